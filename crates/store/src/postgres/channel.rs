//! The socket to the server, and TLS over it where the URL asks for it.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::ToSocketAddrs;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::socket::MsgFlags;
use postgres_protocol::message::frontend;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use tls_trust::Trust;

use super::target::{Host, Target};

/// How long connecting and logging in may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that is silently gone is noticed after about so long, also while we wait for its answer.
const DEAD_PEER: Duration = Duration::from_secs(15);
/// The server's answer to a request for TLS when it has it.
const WILLING: u8 = b'S';

/// Octets both ways, in the clear or not.
pub(super) struct Channel {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
}

impl Channel {
    /// Connects; reading gives up after [`CONNECT_TIMEOUT`] until told otherwise.
    pub(super) fn connect(target: &Target) -> io::Result<Self> {
        let socket = open(target)?;
        socket.set_read_timeout(Some(CONNECT_TIMEOUT))?;
        let tls = match (&target.tls, &target.host) {
            (Some(trust), Host::Name(name)) => Some(Box::new(encrypt(&socket, trust, name)?)),
            // A Unix socket has no TLS, and nobody between: libpq passes over `sslmode`, too.
            _ => None,
        };
        Ok(Self { socket, tls })
    }

    pub(super) fn set_read_timeout(&self, patience: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(patience)
    }

    /// A second handle by which another thread can end the waiting of this one.
    pub(super) fn handle(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }

    pub(super) fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(octets),
            Some(tls) => {
                tls.writer().write_all(octets)?;
                send(tls, &self.socket)
            }
        }
    }

    /// As [`Read::read`]: 0 at the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            tls.read_tls(&mut self.socket)?;
            tls.process_new_packets().map_err(refused)?;
            // Whatever TLS itself has to answer.
            send(tls, &self.socket)?;
        }
    }

    /// Whether the connection stands and nothing has been said on it that was not read. What TLS says for itself, as the
    /// tickets that a server sends after the handshake, is taken in and does not count.
    pub(super) fn is_quiet(&mut self) -> bool {
        let Some(tls) = &mut self.tls else {
            let mut octet = [MaybeUninit::uninit()];
            let flags = (MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT).bits();
            let peeked = self.socket.recv_with_flags(&mut octet, flags);
            return matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        };
        loop {
            match tls.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                _ => return false,
            }
            match tls.read_tls(&mut AtOnce(&self.socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return false,
                Ok(_) => {}
            }
        }
    }
}

/// Reads what is there and does not wait for more.
struct AtOnce<'a>(&'a Socket);

impl Read for AtOnce<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(nix::sys::socket::recv(self.0.as_raw_fd(), into, MsgFlags::MSG_DONTWAIT)?)
    }
}

/// Sends what TLS has to send.
fn send(tls: &mut ClientConnection, mut socket: &Socket) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut socket) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            sent => {
                sent?;
            }
        }
    }
    Ok(())
}

/// Asks for TLS and agrees upon it. The answer is one octet, and nothing else is read before the handshake: what somebody
/// between us might add in the clear is never taken for the server's.
fn encrypt(socket: &Socket, trust: &Trust, name: &str) -> io::Result<ClientConnection> {
    let config = tls_trust::config(trust).map_err(io::Error::other)?;
    let peer = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(Arc::new(config), peer).map_err(refused)?;
    // A unit of work may say more at once than rustls keeps by default.
    tls.set_buffer_limit(None);
    let (mut reader, mut writer) = (socket, socket);
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    writer.write_all(&request)?;
    let mut answer = [0];
    reader.read_exact(&mut answer)?;
    if answer != [WILLING] {
        return Err(io::Error::other("the server has no TLS, which sslmode asks for"));
    }
    while tls.is_handshaking() {
        tls.complete_io(&mut reader)?;
    }
    send(&mut tls, socket)?;
    Ok(tls)
}

fn refused(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn open(target: &Target) -> io::Result<Socket> {
    match &target.host {
        Host::Folder(folder) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            let path = folder.join(format!(".s.PGSQL.{}", target.port));
            socket.connect(&SockAddr::unix(path)?)?;
            Ok(socket)
        }
        Host::Name(name) => {
            let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            for address in (name.as_str(), target.port).to_socket_addrs()? {
                let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
                match socket.connect_timeout(&address.into(), CONNECT_TIMEOUT) {
                    Ok(()) => {
                        socket.set_tcp_nodelay(true)?;
                        socket.set_tcp_keepalive(
                            &TcpKeepalive::new().with_time(DEAD_PEER / 3).with_interval(DEAD_PEER / 3).with_retries(2),
                        )?;
                        socket.set_tcp_user_timeout(Some(DEAD_PEER))?;
                        return Ok(socket);
                    }
                    Err(error) => failure = error,
                }
            }
            Err(failure)
        }
    }
}
