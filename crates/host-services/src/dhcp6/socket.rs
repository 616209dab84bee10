//! The sockets of a server. They belong to the namespace of the thread that opens them, and work from any thread after.

use crate::ServiceError;
use crate::packet::{IPV6, is_or_skip, load_byte, load_half, open_receiver, take};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};

/// UDP port of servers and relay agents.
pub(super) const SERVER_PORT: u16 = 547;
/// UDP port of clients.
pub(super) const CLIENT_PORT: u16 = 546;
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const UDP: u32 = 17;
/// Offsets from the IPv6 header: the next header, and the destination port of UDP right behind it. Clients have no reason
/// for extension headers.
const NEXT_HEADER: u32 = 6;
const DESTINATION_PORT: u32 = 42;

/// Sockets of one network's server, bound to its device.
#[derive(Debug)]
pub struct Dhcp6Sockets {
    /// Hears and speaks.
    pub(super) link: Socket,
    /// Keeps the port, so that a second server (a dnsmasq left behind) is seen; what it hears is dropped.
    pub(super) port: Socket,
    pub(super) ifindex: u32,
}

impl Dhcp6Sockets {
    /// Opens them on `device` in the namespace of the calling thread.
    pub fn open(device: &str) -> Result<Self, ServiceError> {
        let failed = |what| move |source| ServiceError::OpenSocket { what, device: device.to_owned(), source };
        let ifindex =
            nix::net::if_::if_nametoindex(device).map_err(|errno| failed("packet socket")(io::Error::from(errno)))?;
        let filter = [
            load_byte(NEXT_HEADER),
            is_or_skip(UDP, 3),
            load_half(DESTINATION_PORT),
            is_or_skip(SERVER_PORT.into(), 1),
            take(true),
            take(false),
        ];
        Ok(Self {
            port: open_port(device, ifindex).map_err(failed("UDP socket of port 547"))?,
            link: open_receiver(ifindex, IPV6, &filter).map_err(failed("packet socket"))?,
            ifindex,
        })
    }
}

fn open_port(device: &str, ifindex: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.bind_device(Some(device.as_bytes()))?;
    // Nothing of what it hears is kept.
    socket.attach_filter(&[take(false)])?;
    socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, SERVER_PORT, 0, 0).into())?;
    socket.join_multicast_v6(&ALL_SERVERS, ifindex)?;
    Ok(socket)
}
