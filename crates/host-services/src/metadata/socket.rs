//! Sockets of a proxy. They belong to the namespace of the thread that opens them, and work from any thread after.

use crate::ServiceError;
use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, TcpListener};

/// Connections that wait to be taken.
const BACKLOG: i32 = 64;

/// Listening sockets of one proxy.
#[derive(Debug)]
pub struct MetadataSockets(pub(super) Vec<TcpListener>);

impl MetadataSockets {
    /// Opens them, on `device` if one is said, in the namespace of the calling thread. On a kernel without IPv6 there is
    /// nothing to listen to, and that is no error.
    pub fn open<'a>(
        device: Option<&str>,
        listens: impl IntoIterator<Item = &'a SocketAddr>,
    ) -> Result<Self, ServiceError> {
        let mut listeners = Vec::new();
        for address in listens {
            let failed = |source| ServiceError::OpenSocket {
                what: "TCP socket of the metadata proxy",
                device: device.unwrap_or("any device").to_owned(),
                source,
            };
            match listen(device, *address) {
                Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.is_ipv6() => {
                    if address.ip().is_unspecified() {
                        let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
                        listeners.push(listen(device, v4).map_err(failed)?);
                    }
                }
                listener => listeners.push(listener.map_err(failed)?),
            }
        }
        Ok(Self(listeners))
    }
}

fn listen(device: Option<&str>, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // A proxy that ended a moment ago leaves connections behind that are closing.
    socket.set_reuse_address(true)?;
    let mut address = address;
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
        // The device's addresses may be set a moment later.
        match address {
            SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
            SocketAddr::V6(v6) => {
                socket.set_freebind_v6(true)?;
                let scope = nix::net::if_::if_nametoindex(device).map_err(io::Error::from)?;
                address = SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope).into();
            }
        }
    }
    if let IpAddr::V6(v6) = address.ip() {
        // The unspecified address stands for both families.
        socket.set_only_v6(!v6.is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
