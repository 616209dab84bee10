//! The sockets of a server, a UDP and a TCP one for each address. They belong to the namespace of the thread that opens them.

use crate::ServiceError;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

const PORT: u16 = 53;
const BACKLOG: i32 = 64;

/// Sockets of one network's server, bound to its device.
#[derive(Debug)]
pub struct DnsSockets {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
}

impl DnsSockets {
    /// Opens them on `device` in the namespace of the calling thread. The addresses need not be there yet.
    pub fn open(device: &str, addresses: &BTreeSet<IpAddr>) -> Result<Self, ServiceError> {
        let failed = |what| move |source| ServiceError::OpenSocket { what, device: device.to_owned(), source };
        let mut sockets = Self { udp: vec![], tcp: vec![] };
        for address in addresses {
            let udp = bound(device, *address, Type::DGRAM, Protocol::UDP).map_err(failed("UDP socket of port 53"))?;
            let tcp = bound(device, *address, Type::STREAM, Protocol::TCP)
                .and_then(|socket| socket.listen(BACKLOG).map(|()| socket))
                .map_err(failed("TCP socket of port 53"))?;
            sockets.udp.push(udp.into());
            sockets.tcp.push(tcp.into());
        }
        Ok(sockets)
    }
}

fn bound(device: &str, address: IpAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address((address, PORT).into()), kind.nonblocking(), Some(protocol))?;
    socket.bind_device(Some(device.as_bytes()))?;
    if kind == Type::STREAM {
        // Connections of the service before this one may still be ending.
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    socket.bind(&SocketAddr::new(address, PORT).into())?;
    Ok(socket)
}
