//! Sockets of tests.

use nix::sys::socket::{setsockopt, sockopt};
use std::net::UdpSocket;

/// Octets for what has arrived and was not read yet.
const ROOM: usize = 4 << 20;

/// Gives a socket room for a burst of hundreds of packets, whatever this machine's default is: what does not arrive was lost
/// on the way then, and not at its end.
pub fn with_room_for_bursts(socket: UdpSocket) -> std::io::Result<UdpSocket> {
    setsockopt(&socket, sockopt::RcvBufForce, &ROOM)?;
    Ok(socket)
}
