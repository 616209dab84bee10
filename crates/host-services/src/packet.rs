//! Sockets that the runtime knows no type for: packet sockets, which see a frame's addresses, and raw ones; and how any socket
//! is read by services of which a host has thousands: none keeps a buffer while nothing comes.

use crate::ServiceError;
use net_types::MacAddr;
use nix::libc;
use nix::sys::socket::{LinkAddr, recvfrom};
use socket2::{Domain, SockAddr, SockFilter, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use tokio::io::unix::AsyncFd;
use tokio::net::UdpSocket;

/// Larger than what any device delivers.
const RECEIVE_BUFFER: usize = 9216;

/// `ETH_P_IP` and `ETH_P_IPV6`.
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;

/// A classic BPF instruction: what decides, in the kernel, whether a packet is worth waking anybody.
pub(crate) fn load_byte(at: u32) -> SockFilter {
    SockFilter::new(0x30, 0, 0, at)
}

/// Loads two octets.
pub(crate) fn load_half(at: u32) -> SockFilter {
    SockFilter::new(0x28, 0, 0, at)
}

/// Goes on if what was loaded is `value`, else leaps over so many instructions.
pub(crate) fn is_or_skip(value: u32, skip: u8) -> SockFilter {
    SockFilter::new(0x15, 0, skip, value)
}

/// Ends: with the whole packet, or with nothing.
pub(crate) fn take(whole: bool) -> SockFilter {
    SockFilter::new(0x06, 0, 0, if whole { u32::MAX } else { 0 })
}

/// A non-blocking socket in the runtime.
#[derive(Debug)]
pub(crate) struct Registered(AsyncFd<Socket>);

impl Registered {
    #[allow(unsafe_code)]
    pub(crate) fn new(socket: Socket) -> Result<Self, ServiceError> {
        // SAFETY: the value owns its descriptor, always gives the same one, and closes it only when it is dropped, which
        // `AsyncFd` does after it has taken it out of the runtime.
        let registered = unsafe { AsyncFd::register(socket) };
        registered.map(Self).map_err(|error| ServiceError::Register { source: error.into() })
    }

    pub(crate) fn socket(&self) -> &Socket {
        self.0.get_ref()
    }

    /// Waits until there is something to read, and reads it.
    pub(crate) async fn read<T>(&self, mut read: impl FnMut(&Socket) -> io::Result<T>) -> io::Result<T> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(result) = ready.try_io(|socket| read(socket.get_ref())) {
                return result;
            }
        }
    }
}

/// A packet socket that only sends: it hears nothing (protocol 0). The kernel writes the Ethernet header, with the device's
/// own address as the source.
pub(crate) fn open_sender() -> io::Result<Socket> {
    Socket::new(Domain::PACKET, Type::DGRAM.nonblocking(), None)
}

/// A packet socket that hears what passes the filter (offsets count from the IP header) of one protocol on one device.
pub(crate) fn open_receiver(ifindex: u32, ethertype: u16, filter: &[SockFilter]) -> io::Result<Socket> {
    // Deaf until the filter is there, then bound to protocol and device.
    let socket = open_sender()?;
    socket.attach_filter(filter)?;
    socket.bind(&link_address(ifindex, ethertype, MacAddr::BROADCAST)?)?;
    Ok(socket)
}

/// A packet that is there, and the hardware address that its frame came from.
pub(crate) fn receive_frame(socket: &Socket) -> io::Result<(Vec<u8>, Option<MacAddr>)> {
    read(|buffer| {
        let (length, from) = recvfrom::<LinkAddr>(socket.as_raw_fd(), buffer)?;
        Ok((length, from.and_then(|from| from.addr()).map(MacAddr)))
    })
}

/// Waits for a datagram; that, and whose it is. Safe to be cancelled.
pub(crate) async fn receive(socket: &UdpSocket) -> io::Result<(Vec<u8>, SocketAddr)> {
    loop {
        socket.readable().await?;
        match read(|buffer| socket.try_recv_from(buffer)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received,
        }
    }
}

/// Reads by a buffer on the stack.
pub(crate) fn read<T>(read: impl FnOnce(&mut [u8]) -> io::Result<(usize, T)>) -> io::Result<(Vec<u8>, T)> {
    let mut buffer = [0; RECEIVE_BUFFER];
    let (length, with) = read(&mut buffer)?;
    Ok((buffer.get(..length).unwrap_or_default().to_vec(), with))
}

/// Sends a datagram in a frame to `mac`.
pub(crate) fn send_frame(
    socket: &Socket,
    ifindex: u32,
    ethertype: u16,
    mac: MacAddr,
    datagram: &[u8],
) -> io::Result<()> {
    socket.send_to(datagram, &link_address(ifindex, ethertype, mac)?).map(|_| ())
}

/// `sockaddr_ll` (packet(7)).
#[allow(unsafe_code)]
fn link_address(ifindex: u32, ethertype: u16, mac: MacAddr) -> io::Result<SockAddr> {
    let index = i32::try_from(ifindex).map_err(io::Error::other)?;
    let [a, b, c, d, e, f] = mac.0;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
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
