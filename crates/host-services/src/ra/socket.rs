//! The ICMPv6 socket of a router's device. It belongs to the namespace of the thread that opens it, and works from any thread.

use crate::ServiceError;
use crate::packet::{is_or_skip, load_byte, take};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// What nobody beyond the link can have sent, for every router takes one off.
const HOP_LIMIT: u32 = 255;
const SOLICITATION: u32 = 133;

/// The socket, bound to its device.
#[derive(Debug)]
pub struct RaSocket {
    pub(super) socket: Socket,
    pub(super) ifindex: u32,
}

impl RaSocket {
    /// Opens it on `device` in the namespace of the calling thread.
    pub fn open(device: &str) -> Result<Self, ServiceError> {
        let failed = |source| ServiceError::OpenSocket { what: "ICMPv6 socket", device: device.to_owned(), source };
        let ifindex = nix::net::if_::if_nametoindex(device).map_err(|errno| failed(io::Error::from(errno)))?;
        let socket = open(device, ifindex).map_err(failed)?;
        Ok(Self { socket, ifindex })
    }
}

fn open(device: &str, ifindex: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW.nonblocking(), Some(Protocol::ICMPV6))?;
    // Neighbour discovery passes here all the time; only solicitations are for us: the type is the first octet.
    socket.attach_filter(&[load_byte(0), is_or_skip(SOLICITATION, 1), take(true), take(false)])?;
    socket.bind_device(Some(device.as_bytes()))?;
    socket.set_multicast_hops_v6(HOP_LIMIT)?;
    socket.set_unicast_hops_v6(HOP_LIMIT)?;
    socket.set_recv_hoplimit_v6(true)?;
    socket.set_multicast_loop_v6(false)?;
    socket.join_multicast_v6(&ALL_ROUTERS, ifindex)?;
    Ok(socket)
}

/// The length of a message that came from this link, and its sender; none: it came from afar.
pub(super) fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Option<(usize, Ipv6Addr)>> {
    let mut control = nix::cmsg_space!(i32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let near = message.cmsgs()?.any(|control| matches!(control, ControlMessageOwned::Ipv6HopLimit(255)));
    let sender = message.address.map(|address| address.ip());
    Ok(sender.filter(|_| near).map(|sender| (message.bytes, sender)))
}

/// To one station; to all, when none is named.
pub(super) fn send(socket: &Socket, ifindex: u32, to: Option<Ipv6Addr>, message: &[u8]) -> io::Result<()> {
    let to = SocketAddrV6::new(to.unwrap_or(ALL_NODES), 0, 0, ifindex);
    socket.send_to(message, &to.into()).map(|_| ())
}
