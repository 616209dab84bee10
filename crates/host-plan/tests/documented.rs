//! `docs/dataplane/flows.md` lists exactly the tables and priorities that plans have.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_view::{Direction, EtherType, RuleMatch, SecurityGroup, SecurityGroupRule};
use std::collections::{BTreeMap, BTreeSet};
use support::*;

/// Table and priority of every row, by heading.
fn documented() -> BTreeMap<String, BTreeSet<(u8, u16)>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dataplane/flows.md");
    let (mut heading, mut found) = (String::new(), BTreeMap::<_, BTreeSet<_>>::new());
    for line in std::fs::read_to_string(path).unwrap().lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.to_owned();
        }
        let mut cells = line.split('|').skip(1).map(str::trim);
        if let (Some(Ok(table)), Some(Ok(priority))) = (cells.next().map(str::parse), cells.next().map(str::parse)) {
            assert!(found.entry(heading.clone()).or_default().insert((table, priority)), "twice: {line}");
        }
    }
    found
}

/// A host with something of everything.
fn everything() -> Host {
    let mut host = Host::distributed(false);
    let mut rules = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        let all = rule(direction, EtherType::IPv4);
        let icmp = |code| SecurityGroupRule {
            protocol: Some(1),
            matching: RuleMatch::Icmp { kind: 8, code },
            ..rule(direction, EtherType::IPv4)
        };
        let remote = SecurityGroupRule { remote: host_view::Remote::Group(id(REMOTE)), ..all.clone() };
        let ssh = SecurityGroupRule { direction, ..tcp(22, 22, host_view::Remote::Any) };
        rules.extend([all, icmp(None), icmp(Some(0)), remote, ssh]);
    }
    let limits = host_view::Limits {
        bandwidth: Some(host_view::Limit { rate: 1000, burst: 0 }),
        packets: Some(host_view::Limit { rate: 1000, burst: 0 }),
    };
    host.view.qos.insert(id(G2), host_view::PortQos { egress: limits, ingress: limits, dscp: Some(26) });
    host.view.security_groups.insert(id(WEB), group(rules));
    let virtual_mac = host_view::AddressPair { mac: mac("00:00:5e:00:01:07"), address: net("10.20.0.77") };
    host.view.ports.get_mut(&id(G4)).unwrap().allowed_address_pairs.insert(virtual_mac);
    host.view.security_groups.insert(id(REMOTE), SecurityGroup { stateful: false, ..group([]) });
    let tap = host_view::TapService {
        port: id(G4),
        host: None,
        key: 7,
        sources: [(id(G1), host_view::TapDirection::Both)].into(),
        from: BTreeSet::new(),
    };
    host.view.tap_services.insert(uuid::Uuid::from_u128(7), tap);
    for (number, port, fixed) in [(1, G1, "10.10.3.181"), (2, G2, "10.10.2.144")] {
        let local_ip = host_view::LocalIp {
            address: ip(&format!("10.10.9.{number}")),
            mode: host_view::LocalIpMode::Translate,
            ports: [(id(port), ip(fixed))].into(),
        };
        host.view.local_ips.insert(uuid::Uuid::from_u128(number), local_ip);
    }
    for (number, about) in [(1, None), (2, Some(id(WEB)))] {
        let ports = [id(G2), id(G3)].into();
        let log = host_view::Log { project: "p".into(), event: host_view::LogEvent::All, group: about, ports };
        host.view.logs.insert(uuid::Uuid::from_u128(number), log);
    }
    host.view.ports.get_mut(&id(G2)).unwrap().security_groups.insert(id(REMOTE));
    highly_available(&mut host);
    host
}

/// The router stands by for `peer2`, and `peer3` lives.
fn highly_available(host: &mut Host) {
    let mut peer = host.view.tunnel_peers["peer2"].clone();
    peer.watched = true;
    host.view.tunnel_peers.insert("peer2".into(), peer.clone());
    peer.address = ip("10.77.0.3");
    host.view.tunnel_peers.insert("peer3".into(), peer);
    let others = ["peer2", "peer3"].map(str::to_owned);
    let standby =
        host_view::Standby { preferred: [others[0].clone()].into(), others: others.into(), ..Default::default() };
    host.view.routers.values_mut().for_each(|router| router.standby = Some(standby.clone()));
    let interface = host.view.ports[&id(QR)].clone();
    let elsewhere = host_view::RemotePort {
        network: interface.network,
        host: "peer2".to_owned(),
        mac: interface.mac,
        addresses: interface.fixed_ips.iter().map(|fixed| fixed.address).collect(),
        may_be_on: ["peer2", "peer3"].map(str::to_owned).into(),
    };
    host.view.remote_ports.insert(id(QR), elsewhere);
    host.settle();
    host.state.interfaces.get_mut("ha-0a4d0003").unwrap().lives = true;
}

#[test]
fn the_page_lists_what_is_planned() {
    let plan = everything().settle();
    let documented = documented();
    for (bridge, heading) in [("br-int", "br-int"), ("br-tun", "br-tun"), ("br-phys", "physical bridges")] {
        let planned: BTreeSet<_> = plan.flows[bridge].iter().map(|flow| (flow.table, flow.priority)).collect();
        assert_eq!(documented[heading], planned, "{bridge}");
    }
}
