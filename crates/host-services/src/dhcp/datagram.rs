//! IP and UDP headers around a reply, checksums included: a virtual wire has no hardware to fill them in later.

use etherparse::PacketBuilder;
use std::net::Ipv4Addr;

/// UDP port of servers and relay agents.
pub(super) const SERVER_PORT: u16 = 67;
/// UDP port of clients.
pub(super) const CLIENT_PORT: u16 = 68;
const TTL: u8 = 64;

/// An IPv4 datagram; none when the payload is longer than a datagram can be.
pub(super) fn to_client(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Option<Vec<u8>> {
    let headers = PacketBuilder::ipv4(source.octets(), destination.octets(), TTL).udp(SERVER_PORT, CLIENT_PORT);
    let mut datagram = Vec::with_capacity(headers.size(payload.len()));
    headers.write_to_vec(&mut datagram, payload).ok()?;
    Some(datagram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::SlicedPacket;

    #[test]
    fn headers_are_right_to_the_checksum() {
        let (from, to) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 9));
        let datagram = to_client(from, to, &[7; 301]).unwrap();
        let sliced = SlicedPacket::from_ip(&datagram).unwrap();
        let (Some(etherparse::NetSlice::Ipv4(ip)), Some(etherparse::TransportSlice::Udp(udp))) =
            (sliced.net, sliced.transport)
        else {
            panic!("not UDP over IPv4");
        };
        let header = ip.header().to_header();
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
        let checksum = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
        assert_eq!((udp.source_port(), udp.destination_port(), udp.checksum()), (67, 68, checksum));
        assert_eq!(udp.payload(), [7; 301]);
    }

    #[test]
    fn what_does_not_fit_is_not_sent() {
        assert_eq!(to_client(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, &vec![0; 70_000]), None);
    }
}
