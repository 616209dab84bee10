//! Entry point of the fuzz target: arbitrary bytes to a server of one network.

use super::Leases;
use super::reply::dhcp_reply;
use host_plan::{ClasslessRoute, DhcpLease, ExtraOption};
use net_types::{Ipv4Net, MacAddr};
use std::net::Ipv4Addr;

const KNOWN: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);

fn leases() -> Leases {
    let (server, via) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 1));
    let route = |n| ClasslessRoute { destination: Ipv4Net::new_assert(Ipv4Addr::new(172, 16, n, 0), 24), via };
    let lease = DhcpLease {
        address: Ipv4Addr::new(10, 0, 0, 3),
        prefix_len: 24,
        server,
        router: Some(via),
        dns_servers: vec![server],
        hostname: "host-10-0-0-3".to_owned(),
        domain: "example.org".to_owned(),
        mtu: 1450,
        lease_seconds: 86_400,
        classless_routes: (0..=u8::MAX).map(route).collect(),
        // Longer than one option may be.
        options: vec![ExtraOption { code: 119, data: vec![1; 700], when: vec![] }],
    };
    [(KNOWN, lease)].into()
}

/// Must return for every input; a reply must be a well-sized message to a known client.
pub fn fuzz_dhcp(data: &[u8]) {
    let leases = leases();
    let _ = dhcp_reply(data, &leases);
    // The same packet with the header of a known client, so that the options are reached.
    let mut known = data.to_vec();
    known.resize(data.len().max(240), 0);
    known[..3].copy_from_slice(&[1, 1, 6]);
    known[28..34].copy_from_slice(&KNOWN.0);
    known[236..240].copy_from_slice(&[99, 130, 83, 99]);
    if let Ok(reply) = dhcp_reply(&known, &leases) {
        assert_eq!(reply.client, KNOWN);
        assert!((300..=1422).contains(&reply.message.len()), "{} bytes", reply.message.len());
    }
}
