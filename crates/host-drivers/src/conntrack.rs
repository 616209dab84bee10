//! The kernel's table of tracked connections in a namespace.

use crate::{DriverError, Place, program};
use std::net::{IpAddr, SocketAddr};

/// Forgets the connections of a floating IP that has gone: those that came in by the floating address, and those that left
/// with it.
pub async fn forget_floating_ip(place: &Place, floating: IpAddr, fixed: IpAddr) -> Result<(), DriverError> {
    let (floating, fixed) = (floating.to_string(), fixed.to_string());
    delete(place, &["--orig-dst", &floating]).await?;
    delete(place, &["--orig-src", &fixed, "--reply-dst", &floating]).await
}

/// A tracked connection whose ends have ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `tcp`, `udp`, ... in conntrack's words.
    pub protocol: String,
    /// Who asked, and by which port.
    pub source: SocketAddr,
    /// Whom.
    pub destination: SocketAddr,
    /// Who answers: somebody else than was asked, where the destination is translated.
    pub answerer: SocketAddr,
}

/// The connections that were begun to an address.
pub async fn connections_to(place: &Place, address: IpAddr) -> Result<Vec<Connection>, DriverError> {
    let arguments = ["-L", "--orig-dst", &address.to_string()].map(String::from).into();
    let listed = program::run(place, "conntrack", arguments, Vec::new()).await?;
    Ok(String::from_utf8_lossy(&listed).lines().filter_map(connection).collect())
}

/// Forgets one connection. Fine when it has gone already.
pub async fn forget(place: &Place, connection: &Connection) -> Result<(), DriverError> {
    let Connection { protocol, source, destination, .. } = connection;
    let (from, to) = (source.ip().to_string(), destination.ip().to_string());
    let (sport, dport) = (source.port().to_string(), destination.port().to_string());
    delete(place, &["-p", protocol, "--orig-src", &from, "--orig-dst", &to, "--sport", &sport, "--dport", &dport]).await
}

/// `udp 17 29 src=A dst=B sport=1 dport=2 [UNREPLIED] src=B dst=A sport=2 dport=1 ...`
fn connection(line: &str) -> Option<Connection> {
    let protocol = line.split_whitespace().next()?.to_owned();
    let field = |name: &'static str| line.split_whitespace().filter_map(move |word| word.strip_prefix(name));
    // Both ways of the connection say all four; conntrack's own order.
    let end = |address: &'static str, port: &'static str, n: usize| {
        Some(SocketAddr::new(field(address).nth(n)?.parse().ok()?, field(port).nth(n)?.parse().ok()?))
    };
    let (source, destination) = (end("src=", "sport=", 0)?, end("dst=", "dport=", 0)?);
    Some(Connection { protocol, source, destination, answerer: end("src=", "sport=", 1)? })
}

async fn delete(place: &Place, filter: &[&str]) -> Result<(), DriverError> {
    let arguments = std::iter::once("-D").chain(filter.iter().copied()).map(String::from).collect();
    match program::run(place, "conntrack", arguments, Vec::new()).await {
        // It also fails when nothing matched.
        Err(DriverError::Program { said, .. }) if said.contains("0 flow entries have been deleted") => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_a_connection_are_read() {
        let line = "tcp      6 431999 ESTABLISHED src=192.0.2.7 dst=198.51.100.9 sport=4711 dport=80 src=10.0.0.5 \
            dst=192.0.2.7 sport=8080 dport=4711 [ASSURED] mark=67108864 use=1";
        let end = |text: &str| text.parse().unwrap();
        let (source, destination) = (end("192.0.2.7:4711"), end("198.51.100.9:80"));
        let expected = Connection { protocol: "tcp".into(), source, destination, answerer: end("10.0.0.5:8080") };
        assert_eq!(connection(line), Some(expected));
        let ping = "icmp     1 29 src=192.0.2.7 dst=198.51.100.9 type=8 code=0 id=3 src=10.0.0.5 dst=192.0.2.7 type=0 \
            code=0 id=3 mark=0 use=1";
        assert_eq!(connection(ping), None);
        assert_eq!(connection(""), None);
    }
}
