//! Entry point of the fuzz target: arbitrary bytes to a server of one network.

use super::reply::dhcp_reply;
use super::table::{DhcpLease, DhcpSubnet, DhcpTable};
use net_types::{Ipv4Net, MacAddr};
use std::net::Ipv4Addr;

const KNOWN: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);

fn table() -> DhcpTable {
    let net = |octets: [u8; 4], len| Ipv4Net::new_assert(Ipv4Addr::from(octets), len);
    let server = Ipv4Addr::new(10, 0, 0, 2);
    let gateway = Ipv4Addr::new(10, 0, 0, 1);
    let subnet = DhcpSubnet {
        cidr: net([10, 0, 0, 0], 24),
        server,
        gateway: Some(gateway),
        dns: vec![server],
        routes: (0..=u8::MAX).map(|n| (net([172, 16, n, 0], 24), gateway)).collect(),
    };
    let lease = DhcpLease { addresses: vec![Ipv4Addr::new(10, 0, 0, 3)], hostname: None };
    DhcpTable {
        mtu: 1450,
        lease_seconds: 86_400,
        domain: "example.org".to_owned(),
        subnets: vec![subnet],
        clients: [(KNOWN, lease)].into(),
    }
}

/// Must return for every input; a reply must be a well-sized message to a known client.
pub fn fuzz_dhcp(data: &[u8]) {
    let table = table();
    let _ = dhcp_reply(data, &table);
    // The same packet with the header of a known client, so that the options are reached.
    let mut known = data.to_vec();
    known.resize(data.len().max(240), 0);
    known[..3].copy_from_slice(&[1, 1, 6]);
    known[28..34].copy_from_slice(&KNOWN.0);
    known[236..240].copy_from_slice(&[99, 130, 83, 99]);
    if let Ok(reply) = dhcp_reply(&known, &table) {
        assert_eq!(reply.client, KNOWN);
        assert!((300..=1422).contains(&reply.message.len()), "{} bytes", reply.message.len());
    }
}
