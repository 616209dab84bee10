//! A DHCP client (RFC 2131) for a device that has no address yet: DISCOVER, OFFER, REQUEST, ACK.
//!
//! It asks by an ordinary UDP socket bound to the device, with the broadcast flag set, so that the answers reach a host
//! that has no address. It must run inside the probe's namespace and blocks.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use ipnet::Ipv4Net;
use net_types::MacAddr;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

/// First wait for an answer; doubled up to [`LONGEST_WAIT`]. RFC 2131 has 4 seconds for a shared wire; here the first
/// question mostly comes before the port is wired, and the wait would be all that is measured.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What a server granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Our address with the subnet's prefix length.
    pub address: Ipv4Net,
    /// Who granted it.
    pub server: Ipv4Addr,
    /// Routes: destination and next hop (0.0.0.0: directly). Option 121 if it came, else option 3.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Domain.
    pub domain: Option<String>,
    /// Bytes.
    pub mtu: Option<u16>,
    /// Seconds.
    pub lease_time: u32,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum DhcpError {
    /// The socket failed.
    #[error("cannot {0}")]
    Socket(&'static str, #[source] std::io::Error),
    /// Nobody answered.
    #[error("no DHCP server answered within {0} s")]
    Silence(u64),
    /// The server took its word back.
    #[error("the DHCP server refused the address {0}")]
    Refused(Ipv4Addr),
    /// The grant cannot be used.
    #[error("the DHCP server's grant lacks {0}")]
    Incomplete(&'static str),
}

/// Gets a lease for `device`, within `patience`. `id` distinguishes our exchange from others.
pub fn acquire(device: &str, mac: MacAddr, id: u32, patience: Duration) -> Result<Lease, DhcpError> {
    let socket = open(device)?;
    let until = Instant::now() + patience;
    let mut refused = None;
    loop {
        let offer = exchange(&socket, &discover(mac, id), until, |answer| match kind(answer) {
            Some(MessageType::Offer) => Some(answer.clone()),
            _ => None,
        });
        let offer = match (offer, refused) {
            (Err(DhcpError::Silence(_)), Some(address)) => return Err(DhcpError::Refused(address)),
            (Err(DhcpError::Silence(_)), None) => return Err(DhcpError::Silence(patience.as_secs())),
            (other, _) => other?,
        };
        let address = offer.yiaddr();
        let server = server(&offer).ok_or(DhcpError::Incomplete("the server's identifier"))?;
        let answer = exchange(&socket, &request(mac, id, address, server), until, |answer| match kind(answer) {
            Some(MessageType::Ack | MessageType::Nak) => Some(answer.clone()),
            _ => None,
        });
        match answer {
            Ok(answer) if kind(&answer) == Some(MessageType::Ack) => return lease(&answer),
            // Start again (RFC 2131, section 3.1, step 5).
            Ok(_) => refused = Some(address),
            Err(DhcpError::Silence(_)) => return Err(DhcpError::Silence(patience.as_secs())),
            Err(other) => return Err(other),
        }
    }
}

fn open(device: &str) -> Result<UdpSocket, DhcpError> {
    let fail = |what| move |error| DhcpError::Socket(what, error);
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(fail("open a socket for DHCP"))?;
    socket.set_reuse_address(true).map_err(fail("share the DHCP client's port"))?;
    socket.set_broadcast(true).map_err(fail("broadcast"))?;
    socket.bind_device(Some(device.as_bytes())).map_err(fail("bind the DHCP client to its device"))?;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68));
    socket.bind(&any.into()).map_err(fail("take the DHCP client's port"))?;
    Ok(socket.into())
}

/// Sends until `wanted` recognises an answer of our exchange.
fn exchange(
    socket: &UdpSocket,
    question: &Message,
    until: Instant,
    wanted: impl Fn(&Message) -> Option<Message>,
) -> Result<Message, DhcpError> {
    let mut bytes = Vec::new();
    question.encode(&mut Encoder::new(&mut bytes)).map_err(|_| DhcpError::Incomplete("a question that fits"))?;
    let everyone = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);
    let mut wait = FIRST_WAIT;
    let mut buffer = [0; 2048];
    while Instant::now() < until {
        // The port may not be wired yet: what cannot be sent now is sent later.
        let _ = socket.send_to(&bytes, everyone);
        let next = (Instant::now() + wait).min(until);
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left)).map_err(|error| DhcpError::Socket("wait for an answer", error))?;
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            let Some(Ok(answer)) = buffer.get(..length).map(|bytes| Message::decode(&mut Decoder::new(bytes))) else {
                continue;
            };
            let ours = answer.opcode() == Opcode::BootReply
                && answer.xid() == question.xid()
                && answer.chaddr() == question.chaddr();
            if let Some(found) = ours.then(|| wanted(&answer)).flatten() {
                return Ok(found);
            }
        }
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
    Err(DhcpError::Silence(0))
}

fn discover(mac: MacAddr, id: u32) -> Message {
    let mut message = Message::new_with_id(
        id,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::UNSPECIFIED,
        &mac.0,
    );
    message.set_flags(Flags::default().set_broadcast());
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Discover));
    options.insert(DhcpOption::ParameterRequestList(vec![
        OptionCode::SubnetMask,
        OptionCode::ClasslessStaticRoute,
        OptionCode::Router,
        OptionCode::DomainNameServer,
        OptionCode::DomainName,
        OptionCode::InterfaceMtu,
        OptionCode::AddressLeaseTime,
    ]));
    message
}

fn request(mac: MacAddr, id: u32, address: Ipv4Addr, server: Ipv4Addr) -> Message {
    let mut message = discover(mac, id);
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(MessageType::Request));
    options.insert(DhcpOption::RequestedIpAddress(address));
    options.insert(DhcpOption::ServerIdentifier(server));
    message
}

fn kind(message: &Message) -> Option<MessageType> {
    message.opts().msg_type()
}

fn server(message: &Message) -> Option<Ipv4Addr> {
    match message.opts().get(OptionCode::ServerIdentifier)? {
        DhcpOption::ServerIdentifier(server) => Some(*server),
        _ => None,
    }
}

fn lease(ack: &Message) -> Result<Lease, DhcpError> {
    let options = ack.opts();
    let Some(DhcpOption::SubnetMask(mask)) = options.get(OptionCode::SubnetMask) else {
        return Err(DhcpError::Incomplete("a subnet mask"));
    };
    let address =
        Ipv4Net::with_netmask(ack.yiaddr(), *mask).map_err(|_| DhcpError::Incomplete("a proper subnet mask"))?;
    let everywhere = Ipv4Net::default();
    // A client that understands option 121 ignores option 3 when both come (RFC 3442).
    let routes = match (options.get(OptionCode::ClasslessStaticRoute), options.get(OptionCode::Router)) {
        (Some(DhcpOption::ClasslessStaticRoute(routes)), _) => routes.clone(),
        (_, Some(DhcpOption::Router(routers))) => routers.iter().take(1).map(|router| (everywhere, *router)).collect(),
        _ => Vec::new(),
    };
    Ok(Lease {
        address,
        server: server(ack).ok_or(DhcpError::Incomplete("the server's identifier"))?,
        routes,
        dns: match options.get(OptionCode::DomainNameServer) {
            Some(DhcpOption::DomainNameServer(servers)) => servers.clone(),
            _ => Vec::new(),
        },
        domain: match options.get(OptionCode::DomainName) {
            Some(DhcpOption::DomainName(domain)) => Some(domain.to_string()),
            _ => None,
        },
        mtu: match options.get(OptionCode::InterfaceMtu) {
            Some(DhcpOption::InterfaceMtu(mtu)) => Some(*mtu),
            _ => None,
        },
        lease_time: match options.get(OptionCode::AddressLeaseTime) {
            Some(DhcpOption::AddressLeaseTime(seconds)) => *seconds,
            _ => 0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(options: Vec<DhcpOption>) -> Result<Lease, DhcpError> {
        let mut ack = discover(MacAddr([2, 0, 0, 0, 0, 1]), 7);
        ack.set_opcode(Opcode::BootReply).set_yiaddr([10, 0, 0, 9]);
        let mut all = vec![
            DhcpOption::MessageType(MessageType::Ack),
            DhcpOption::ServerIdentifier([10, 0, 0, 2].into()),
            DhcpOption::SubnetMask([255, 255, 255, 0].into()),
        ];
        all.extend(options);
        for option in all {
            ack.opts_mut().insert(option);
        }
        lease(&ack)
    }

    #[test]
    fn classless_routes_win_over_the_router() {
        let router = DhcpOption::Router(vec![[10, 0, 0, 1].into()]);
        let only = grant(vec![router.clone()]).unwrap();
        assert_eq!(only.address, "10.0.0.9/24".parse().unwrap());
        assert_eq!(only.routes, [("0.0.0.0/0".parse().unwrap(), "10.0.0.1".parse().unwrap())]);
        let metadata = ("169.254.169.254/32".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let both = grant(vec![router, DhcpOption::ClasslessStaticRoute(vec![metadata])]).unwrap();
        assert_eq!(both.routes, [metadata]);
    }

    #[test]
    fn a_broken_mask_is_refused() {
        let broken = grant(vec![DhcpOption::SubnetMask([255, 0, 255, 0].into())]);
        assert!(matches!(broken, Err(DhcpError::Incomplete(_))));
    }
}
