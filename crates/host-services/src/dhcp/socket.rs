//! The two sockets of a server. They belong to the namespace of the thread that opens them, and work from any thread after.

use crate::ServiceError;
use crate::packet::open_sender;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::datagram::SERVER_PORT;

/// Sockets of one network's server, bound to its device.
#[derive(Debug)]
pub struct DhcpSockets {
    /// Hears requests; speaks to relay agents.
    pub(super) udp: std::net::UdpSocket,
    /// Speaks to clients. It hears nothing (protocol 0).
    pub(super) link: Socket,
    /// Number of the device: when the device is made anew under the same name, these sockets are deaf.
    ifindex: u32,
}

impl DhcpSockets {
    /// Opens them on `device` in the namespace of the calling thread (see `host_drivers`' throw-away thread).
    pub fn open(device: &str) -> Result<Self, ServiceError> {
        let failed = |what| move |source| ServiceError::OpenSocket { what, device: device.to_owned(), source };
        let ifindex =
            nix::net::if_::if_nametoindex(device).map_err(|errno| failed("packet socket")(io::Error::from(errno)))?;
        Ok(Self {
            udp: open_udp(device).map_err(failed("UDP socket of port 67"))?,
            link: open_sender().map_err(failed("packet socket"))?,
            ifindex,
        })
    }

    /// Number of the device that the sockets are bound to.
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }
}

fn open_udp(device: &str) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.bind_device(Some(device.as_bytes()))?;
    // Not shared: a second server on the port (a dnsmasq left behind) must be seen, not raced.
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, SERVER_PORT).into())?;
    Ok(socket.into())
}
