//! Questions to resolvers, from the agent's own namespace: sockets that are opened here are the host's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one resolver may take; a client gives up after five seconds or so.
const PATIENCE: Duration = Duration::from_secs(2);
const PORT: u16 = 53;
/// Resolvers that are asked, as the C library does.
const MAX_RESOLVERS: usize = 3;
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where systemd-resolved says whom it asks itself: its own stub knows the host's names, which are not to be seen.
const BEHIND_THE_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// The host's resolvers.
pub(super) fn host_resolvers() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).map(|text| resolvers(&text)).unwrap_or_default();
    let own = read(RESOLV_CONF);
    let stub = IpAddr::from([127, 0, 0, 53]);
    if own.contains(&stub) {
        let behind = read(BEHIND_THE_STUB);
        if !behind.is_empty() {
            return behind;
        }
    }
    own
}

/// resolv.conf(5).
fn resolvers(text: &str) -> Vec<IpAddr> {
    let named = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    // An address may bear a zone (`fe80::1%eth0`), which only the host's own resolver understands.
    named.filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).take(MAX_RESOLVERS).collect()
}

/// The answer of the first resolver that has one; none: none has.
pub(super) async fn ask(resolvers: &[IpAddr], query: &[u8], by_tcp: bool) -> Option<Vec<u8>> {
    for resolver in resolvers.iter().take(MAX_RESOLVERS) {
        let resolver = SocketAddr::new(*resolver, PORT);
        let asked =
            async { if by_tcp { ask_by_tcp(resolver, query).await } else { ask_by_udp(resolver, query).await } };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%resolver, %error, "a resolver cannot be asked"),
            Err(_) => tracing::debug!(%resolver, "a resolver does not answer"),
        }
    }
    None
}

/// From a port and with an id of its own, so that nobody on the way can guess what answer would be believed.
async fn ask_by_udp(resolver: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any = if resolver.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(resolver).await?;
    let (asked, id) = with_other_id(query).ok_or(io::ErrorKind::InvalidInput)?;
    socket.send(&asked).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer.get(..length).and_then(|answer| restored(answer, &asked, id)) {
            return Ok(answer);
        }
    }
}

async fn ask_by_tcp(resolver: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(resolver).await?;
    let (asked, id) = with_other_id(query).ok_or(io::ErrorKind::InvalidInput)?;
    write_message(&mut stream, &asked).await?;
    let answer = read_message(&mut stream).await?;
    restored(&answer, &asked, id).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// A message with its length before it (RFC 1035 section 4.2.2).
pub(super) async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

pub(super) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], message].concat()).await
}

/// The query under another id, and its own id.
fn with_other_id(query: &[u8]) -> Option<(Vec<u8>, [u8; 2])> {
    let (id, rest) = query.split_first_chunk::<2>()?;
    let other: u16 = rand::random();
    Some(([&other.to_be_bytes()[..], rest].concat(), *id))
}

/// The answer to the very question that was asked, under the id of who asked it.
fn restored(answer: &[u8], asked: &[u8], id: [u8; 2]) -> Option<Vec<u8>> {
    let is_answer = answer.get(2)? & 0x80 != 0 && answer.get(..2) == asked.get(..2);
    let same = question(answer)?.eq_ignore_ascii_case(question(asked)?);
    (is_answer && same).then(|| [&id[..], answer.get(2..).unwrap_or_default()].concat())
}

/// The octets of a message's only question: name, type, class.
pub(super) fn question(message: &[u8]) -> Option<&[u8]> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        // The first name of a message has nothing to point back to.
        if length > 63 {
            return None;
        }
        at += 1 + length;
        if length == 0 {
            return message.get(12..at + 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_is_read_as_the_c_library_does() {
        let text = "# nameserver 1.1.1.1\nsearch x\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # here\n\
                    nameserver fe80::1%eth0\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let expected: Vec<IpAddr> =
            ["192.0.2.1", "2001:db8::1", "192.0.2.2"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(resolvers(text), expected);
    }

    #[test]
    fn only_the_answer_to_the_question_is_believed() {
        let asked = [9, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        let mut answer = asked;
        answer[2] = 0x81;
        answer[13] = b'A';
        assert_eq!(restored(&answer, &asked, [1, 2]).unwrap()[..3], [1, 2, 0x81]);
        let change = |at: usize, to: u8| {
            let mut other = answer;
            other[at] = to;
            restored(&other, &asked, [1, 2])
        };
        assert_eq!(change(0, 8), None, "another id");
        assert_eq!(change(2, 1), None, "a question");
        assert_eq!(change(13, b'b'), None, "another name");
        assert_eq!(change(16, 28), None, "another type");
        assert_eq!(change(5, 2), None, "two questions");
    }
}
