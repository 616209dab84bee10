//! Sockets that wait for somebody in a namespace, as `/proc/net` tells them to a thread inside (proc_net(5)).

use crate::{DriverError, Place};
use host_plan::Transport;
use std::collections::BTreeSet;

/// State of a TCP socket that listens (`TCP_LISTEN`), and of a UDP socket that is not connected (`TCP_CLOSE`).
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";

/// Transports and ports at which somebody waits there, on whatever address, of IPv4 or IPv6.
pub async fn listening(place: &Place) -> Result<BTreeSet<(Transport, u16)>, DriverError> {
    place.run(here).await
}

fn here() -> BTreeSet<(Transport, u16)> {
    let files = [
        ("udp", Transport::Udp, UNCONNECTED),
        ("udp6", Transport::Udp, UNCONNECTED),
        ("tcp", Transport::Tcp, LISTEN),
        ("tcp6", Transport::Tcp, LISTEN),
    ];
    let mut found = BTreeSet::new();
    for (file, protocol, state) in files {
        // A kernel without IPv6 has no such files.
        let text = std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        found.extend(ports(&text, state).into_iter().map(|port| (protocol, port)));
    }
    found
}

/// `sl  local_address rem_address   st ...`, the port in hexadecimal after the last colon of the local address.
fn ports(text: &str, state: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next()?;
        (words.nth(1)? == state).then_some(())?;
        u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
    };
    text.lines().skip(1).filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_the_kernel_prints_them() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
                    23: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0\n\
                    24: 0100007F:A2B4 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0\n";
        assert_eq!(ports(text, UNCONNECTED), [67].into());
    }

    #[test]
    fn a_socket_that_listens_is_seen() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(here().contains(&(Transport::Tcp, port)));
    }
}
