//! The decision: what to answer to a packet, and where to send it. Pure; no packet, however malformed, makes it panic.

use super::Leases;
use super::message::{Request, Writer};
use dhcproto::v4::{DhcpOption, MessageType, OptionCode};
use host_plan::{ClasslessRoute, DhcpLease, ExtraOption};
use net_types::{Ipv4Net, MacAddr};
use std::net::Ipv4Addr;

/// Microsoft's private number of the classless routes, from before RFC 3442.
const CLASSLESS_ROUTES_MICROSOFT: u8 = 249;
const SERVER_NAME: u8 = 66;
const BOOT_FILE: u8 = 67;
/// Mask, MTU, broadcast address, renewal and rebinding time.
const ALWAYS_TOLD: [u8; 5] = [1, 26, 28, 58, 59];

/// What a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// DHCPOFFER.
    Offer,
    /// DHCPACK.
    Ack,
    /// DHCPNAK.
    Nak,
}

impl From<ReplyKind> for MessageType {
    fn from(kind: ReplyKind) -> Self {
        match kind {
            ReplyKind::Offer => Self::Offer,
            ReplyKind::Ack => Self::Ack,
            ReplyKind::Nak => Self::Nak,
        }
    }
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Which of the three it is.
    pub kind: ReplyKind,
    /// Whose request it answers.
    pub client: MacAddr,
    /// The address given or refused (unspecified in the answer to INFORM).
    pub address: Ipv4Addr,
    /// The server's address to send from, UDP port 67.
    pub source: Ipv4Addr,
    /// Where to.
    pub to: Destination,
    /// The DHCP message: payload of a UDP datagram.
    pub message: Vec<u8>,
}

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To a client on the same wire, UDP port 68: a frame to this hardware address with this IP address, no ARP.
    Link {
        /// Hardware address of the frame.
        mac: MacAddr,
        /// IP address of the datagram.
        address: Ipv4Addr,
    },
    /// To a relay agent, UDP port 67, routed.
    Relay(Ipv4Addr),
}

/// Why nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Not a DHCP request over Ethernet.
    Malformed,
    /// A message of a kind that a server has no answer to.
    NotForServers,
    /// Not one of the network's ports, or a port without an address on a subnet that is served.
    UnknownClient(MacAddr),
    /// The client took another server's offer.
    OtherServer(MacAddr),
    /// A request that names no address.
    NoAddressNamed(MacAddr),
    /// The client found its address in use by somebody else: worth a look by the operator.
    Declined(MacAddr, Ipv4Addr),
    /// The client gave its address back; it stays its own.
    Released(MacAddr),
}

/// What to answer to `packet` (the payload of a UDP datagram to port 67).
pub fn dhcp_reply(packet: &[u8], leases: &Leases) -> Result<Reply, Silence> {
    let request = Request::read(packet).ok_or(Silence::Malformed)?;
    let unknown = Silence::UnknownClient(request.mac);
    let lease = leases.get(&request.mac).ok_or(unknown)?;
    let subnet = Ipv4Net::new(lease.address, lease.prefix_len).map_err(|_| unknown)?.trunc();
    // A relay agent speaks for the subnet that it is on.
    let here = request.giaddr.is_unspecified() || subnet.contains(&request.giaddr);
    if !here {
        return Err(unknown);
    }
    let answer = Answer { request: &request, lease, subnet };
    match request.kind {
        MessageType::Discover => Ok(answer.grant(ReplyKind::Offer)),
        MessageType::Request => answer.to_request(),
        MessageType::Inform if subnet.contains(&request.ciaddr) => Ok(answer.inform()),
        MessageType::Inform => Err(unknown),
        MessageType::Decline => Err(Silence::Declined(request.mac, request.requested.unwrap_or(Ipv4Addr::UNSPECIFIED))),
        MessageType::Release => Err(Silence::Released(request.mac)),
        _ => Err(Silence::NotForServers),
    }
}

/// A known client's request and what the client may have.
struct Answer<'a> {
    request: &'a Request,
    lease: &'a DhcpLease,
    subnet: Ipv4Net,
}

impl Answer<'_> {
    /// REQUEST in all its states (RFC 2131 section 4.3.2).
    fn to_request(&self) -> Result<Reply, Silence> {
        let (request, lease) = (self.request, self.lease);
        // SELECTING: only the server whose offer was taken is meant.
        if request.server.is_some_and(|server| server != lease.server) {
            return Err(Silence::OtherServer(request.mac));
        }
        // SELECTING and INIT-REBOOT name the address in option 50, RENEWING and REBINDING in ciaddr.
        let claimed = Some(request.ciaddr).filter(|address| !address.is_unspecified());
        match request.requested.or(claimed) {
            Some(address) if address == lease.address => Ok(self.grant(ReplyKind::Ack)),
            Some(address) => Ok(self.refuse(address)),
            None => Err(Silence::NoAddressNamed(request.mac)),
        }
    }

    /// OFFER or ACK of the client's address.
    fn grant(&self, kind: ReplyKind) -> Reply {
        let (request, lease) = (self.request, self.lease);
        let ciaddr = if kind == ReplyKind::Ack { request.ciaddr } else { Ipv4Addr::UNSPECIFIED };
        let mut writer = Writer::new(request, lease.address, ciaddr, request.flags, lease.mtu);
        writer.option(&DhcpOption::MessageType(kind.into()));
        writer.option(&DhcpOption::ServerIdentifier(lease.server));
        writer.option(&DhcpOption::AddressLeaseTime(lease.lease_seconds));
        self.write_own_options(&mut writer);
        if lease.lease_seconds != u32::MAX {
            writer.option(&DhcpOption::Renewal(lease.lease_seconds / 2));
            writer.option(&DhcpOption::Rebinding(lease.lease_seconds - lease.lease_seconds / 8));
        }
        self.write_parameters(&mut writer);
        self.reply(kind, lease.address, self.destination(ciaddr, lease.address), writer)
    }

    /// ACK of INFORM: parameters only, to the address that the client says it has (RFC 2131 section 4.3.5).
    fn inform(&self) -> Reply {
        let (request, lease, none) = (self.request, self.lease, Ipv4Addr::UNSPECIFIED);
        let mut writer = Writer::new(request, none, request.ciaddr, request.flags, lease.mtu);
        writer.option(&DhcpOption::MessageType(MessageType::Ack));
        writer.option(&DhcpOption::ServerIdentifier(lease.server));
        self.write_own_options(&mut writer);
        self.write_parameters(&mut writer);
        self.reply(ReplyKind::Ack, none, self.destination(request.ciaddr, request.ciaddr), writer)
    }

    /// NAK: heard by everybody, since the client has no address that it may use (RFC 2131 section 4.1).
    fn refuse(&self, address: Ipv4Addr) -> Reply {
        let (request, lease, none) = (self.request, self.lease, Ipv4Addr::UNSPECIFIED);
        let relayed = !request.giaddr.is_unspecified();
        let flags = if relayed { request.flags | Writer::BROADCAST } else { request.flags };
        let mut writer = Writer::new(request, none, none, flags, lease.mtu);
        writer.option(&DhcpOption::MessageType(MessageType::Nak));
        writer.option(&DhcpOption::ServerIdentifier(lease.server));
        writer.option(&DhcpOption::Message(format!("{address} is not the address of this port")));
        self.write_echoes(&mut writer);
        let to = if relayed {
            Destination::Relay(request.giaddr)
        } else {
            Destination::Link { mac: MacAddr::BROADCAST, address: Ipv4Addr::BROADCAST }
        };
        self.reply(ReplyKind::Nak, address, to, writer)
    }

    fn reply(&self, kind: ReplyKind, address: Ipv4Addr, to: Destination, writer: Writer) -> Reply {
        Reply { kind, client: self.request.mac, address, source: self.lease.server, to, message: writer.finish() }
    }

    fn destination(&self, ciaddr: Ipv4Addr, your_address: Ipv4Addr) -> Destination {
        let request = self.request;
        if !request.giaddr.is_unspecified() {
            Destination::Relay(request.giaddr)
        } else if !ciaddr.is_unspecified() {
            Destination::Link { mac: request.mac, address: ciaddr }
        } else if request.wants_broadcast() {
            Destination::Link { mac: MacAddr::BROADCAST, address: Ipv4Addr::BROADCAST }
        } else {
            Destination::Link { mac: request.mac, address: your_address }
        }
    }

    /// The network's parameters, the most needed first. Mask, broadcast address and MTU are always told, as Neutron's
    /// dnsmasq does; the others when asked for or when the client asks for nothing in particular.
    fn write_parameters(&self, writer: &mut Writer) {
        let (request, lease) = (self.request, self.lease);
        self.write_echoes(writer);
        writer.option(&DhcpOption::SubnetMask(self.subnet.netmask()));
        writer.option(&DhcpOption::BroadcastAddr(self.subnet.broadcast()));
        // The least that the option may say (RFC 2132 section 5.1).
        if lease.mtu >= 68 {
            writer.option(&DhcpOption::InterfaceMtu(lease.mtu));
        }
        if let Some(router) = lease.router.filter(|_| request.wants(OptionCode::Router)) {
            writer.option(&DhcpOption::Router(vec![router]));
        }
        if !lease.dns_servers.is_empty() && request.wants(OptionCode::DomainNameServer) {
            writer.option(&DhcpOption::DomainNameServer(lease.dns_servers.clone()));
        }
        if !lease.classless_routes.is_empty() {
            if request.wants(OptionCode::ClasslessStaticRoute) {
                writer.raw(OptionCode::ClasslessStaticRoute, encode_routes(&lease.classless_routes));
            }
            let microsoft = OptionCode::from(CLASSLESS_ROUTES_MICROSOFT);
            if request.asks_for(microsoft) {
                writer.raw(microsoft, encode_routes(&lease.classless_routes));
            }
        }
        if !lease.domain.is_empty() && request.wants(OptionCode::DomainName) {
            writer.option(&DhcpOption::DomainName(lease.domain.clone()));
        }
        if !lease.hostname.is_empty() && request.wants(OptionCode::Hostname) {
            writer.option(&DhcpOption::Hostname(lease.hostname.clone()));
        }
    }

    /// What this port is told beyond what all are told, or in its place: first, since somebody asked for it. What a client
    /// boots from goes into the header when it does not ask for the option, as dnsmasq does it for clients older than those.
    fn write_own_options(&self, writer: &mut Writer) {
        let tags: &[&str] = if self.request.ipxe { &["ipxe"] } else { &[] };
        for option in self.lease.options.iter().filter(|option| option.applies(tags)) {
            let Ok(code) = u8::try_from(option.code) else { continue };
            if option.code == ExtraOption::NEXT_SERVER {
                if let Some(address) = option.data.first_chunk() {
                    writer.next_server(*address);
                }
                continue;
            }
            let asked = self.request.asks_for(OptionCode::from(code));
            match code {
                SERVER_NAME if !asked => writer.server_name(&option.data),
                BOOT_FILE if !asked => writer.boot_file(&option.data),
                _ => {}
            }
            writer.instead(
                code,
                &option.data,
                ALWAYS_TOLD.contains(&code) || self.request.wants(OptionCode::from(code)),
            );
        }
    }

    /// What the client and the relay agent want back unchanged (RFC 6842, RFC 3046).
    fn write_echoes(&self, writer: &mut Writer) {
        if let Some(id) = &self.request.client_id {
            writer.raw(OptionCode::ClientIdentifier, id.clone());
        }
        if let Some(info) = self.request.relay_info.as_ref().filter(|_| !self.request.giaddr.is_unspecified()) {
            writer.raw(OptionCode::RelayAgentInformation, info.clone());
        }
    }
}

/// Width, significant bytes of the destination, router; one after another (RFC 3442).
fn encode_routes(routes: &[ClasslessRoute]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for route in routes {
        let significant = usize::from(route.destination.prefix_len().div_ceil(8));
        bytes.push(route.destination.prefix_len());
        bytes.extend(route.destination.network().octets().iter().take(significant));
        bytes.extend(route.via.octets());
    }
    bytes
}
