//! The two sockets of a server. They belong to the namespace of the thread that opens them, and work from any thread after.

use crate::ServiceError;
use nix::libc;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::datagram::SERVER_PORT;
use net_types::MacAddr;

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
            link: open_link().map_err(failed("packet socket"))?,
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

fn open_link() -> io::Result<Socket> {
    // DGRAM: the kernel writes the Ethernet header, with the device's own address as the source.
    Socket::new(Domain::PACKET, Type::DGRAM.nonblocking(), None)
}

/// Sends an IPv4 datagram in a frame to `mac`.
pub(super) fn send_frame(socket: &Socket, ifindex: u32, mac: MacAddr, datagram: &[u8]) -> io::Result<()> {
    socket.send_to(datagram, &link_address(ifindex, mac)?).map(|_| ())
}

/// `sockaddr_ll` (packet(7)): IPv4 to a hardware address on a device.
#[allow(unsafe_code)]
fn link_address(ifindex: u32, mac: MacAddr) -> io::Result<SockAddr> {
    let index = i32::try_from(ifindex).map_err(io::Error::other)?;
    let [a, b, c, d, e, f] = mac.0;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_IP as u16).to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [a, b, c, d, e, f, 0, 0],
    };
    // SAFETY: the storage that socket2 hands over is large enough for, and aligned for, every socket address; it is
    // written in full before its length is set to that of the value written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            storage.cast::<libc::sockaddr_ll>().write(address);
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })?
    };
    Ok(address)
}
