//! Packets through routers: floating IPs, SNAT, east-west, and answers by the same way back.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

#[path = "../../host-plan/tests/support/mod.rs"]
mod support;

use openflow::{Field, Masked};
use packet_trace::{Packet, Question, Rooms, Switch, Tracker, neighbours, rules_met};
use std::net::IpAddr;
use support::*;

/// Somebody outside.
const OUTSIDE: (&str, &str) = ("fa:16:3e:00:00:77", "198.51.100.7");
const GATEWAY_MAC: &str = "fa:16:3e:9c:eb:28";

/// The host of `07`, with somebody known on the external network.
fn host() -> Host {
    let mut host = Host::router_with_floating_ip();
    let outside = NewPort::new("0ff", EXT_NET, OUTSIDE.0, &[(EXT_SUBNET, OUTSIDE.1)]);
    let client = host_view::DhcpClient {
        network: id(EXT_NET),
        mac: outside.port.mac,
        fixed_ips: outside.port.fixed_ips.clone(),
        hostname: None,
        options: [].into(),
    };
    host.view.dhcp_clients.insert(outside.id, client);
    // The wire's port of br-phys, as the operator has it.
    let wire = host_plan::Interface { bridge: "br-phys".into(), ofport: Some(77), ..Default::default() };
    host.state.interfaces.insert("wire".into(), wire);
    host.settle();
    host
}

fn address(packet: &Packet, field: Field) -> IpAddr {
    IpAddr::V4((packet.get(field) as u32).into())
}

fn inward(to: &str, port: u16) -> Packet {
    let (mac, source) = OUTSIDE;
    let text = format!(
        "tcp,dl_src={mac},dl_dst={GATEWAY_MAC},nw_src={source},nw_dst={to},nw_ttl=64,tcp_src=4000,tcp_dst={port}"
    );
    Packet::parse(&text).unwrap()
}

const G2_TAP: &str = "tapb433cbf7-b9";

#[test]
fn a_floating_ip_leads_in_and_its_answer_out() {
    let host = host();
    let plan = host.plan();
    let (switch, near) = (Switch::new(&plan, &host.state), neighbours(&host.view, &plan));
    let (mut rooms, mut tracker) = (Rooms::new(&plan), Tracker::default());
    let trace = rooms.send(&switch, ("br-phys", "wire"), &inward("198.51.100.238", 22), &mut tracker, &near);
    let exit = trace.exits().find(|exit| exit.port == G2_TAP).unwrap_or_else(|| panic!("{trace}"));
    assert_eq!(address(&exit.packet, Field::Ipv4Dst), ip("10.10.2.144"));
    assert_eq!(address(&exit.packet, Field::Ipv4Src), ip(OUTSIDE.1));
    assert_eq!(exit.packet.get(Field::IpTtl), 63);
    // The rule that let it in is named: the group's "TCP 22 from anywhere".
    let rules = host_plan::flow_rules(&host.view, &host.config, &host.state);
    let met = rules_met(&trace, &rules);
    assert_eq!(met.last().unwrap().iter().copied().collect::<Vec<_>>(), [id("2")], "{trace}");

    let answer = "tcp,dl_src=fa:16:3e:51:ee:cd,dl_dst=fa:16:3e:1a:28:4f,nw_src=10.10.2.144,nw_dst=198.51.100.7,nw_ttl=64,\
                  tcp_src=22,tcp_dst=4000";
    let trace = rooms.send(&switch, ("br-int", G2_TAP), &Packet::parse(answer).unwrap(), &mut tracker, &near);
    let exit = trace.exits().find(|exit| exit.port == "wire").unwrap_or_else(|| panic!("{trace}"));
    assert_eq!(address(&exit.packet, Field::Ipv4Src), ip("198.51.100.238"));
    assert_eq!(exit.packet.vlan(), None, "flat");
    assert_eq!(exit.packet.get(Field::EthDst), Masked::from(mac(OUTSIDE.0)).value());

    // Another port is not allowed, and the last table that speaks says so.
    let trace = rooms.send(&switch, ("br-phys", "wire"), &inward("198.51.100.238", 23), &mut tracker, &near);
    assert!(!trace.reaches(G2_TAP), "{trace}");
    assert!(trace.flows().any(|flow| flow.table == 93), "{trace}");
}

#[test]
fn who_has_no_floating_ip_leaves_with_the_routers_address() {
    let mut host = host();
    let subnet = host.view.subnets.get_mut(&id(VXLAN_SUBNET)).unwrap();
    assert_eq!(subnet.gateway, Some(ip("10.10.0.1")));
    let plan = host.plan();
    let (switch, near) = (Switch::new(&plan, &host.state), neighbours(&host.view, &plan));
    let (mut rooms, mut tracker) = (Rooms::new(&plan), Tracker::default());
    let question = Question { from: id(G3), protocol: 6, to: ip(OUTSIDE.1), port: 80 };
    let packet = question.packet(&host.view).unwrap();
    let trace = rooms.send(&switch, ("br-int", "tap3b9e7cdf-62"), &packet, &mut tracker, &near);
    let exit = trace.exits().find(|exit| exit.port == "wire").unwrap_or_else(|| panic!("{trace}"));
    assert_eq!(address(&exit.packet, Field::Ipv4Src), ip("198.51.100.181"));
    // Outwards everything is allowed: by a rule of its group, which is named.
    let rules = host_plan::flow_rules(&host.view, &host.config, &host.state);
    assert!(rules_met(&trace, &rules)[0].contains(&id("0")), "{trace}");
    // To the router itself.
    let question = Question { to: ip("10.10.0.1"), protocol: 1, ..question };
    let packet = question.packet(&host.view).unwrap();
    let trace = rooms.send(&switch, ("br-int", "tap3b9e7cdf-62"), &packet, &mut tracker, &near);
    assert!(trace.to_string().contains("delivered to 10.10.0.1"), "{trace}");
    // Nobody answers for an address that nobody has.
    let question = Question { to: ip("10.10.99.99"), ..question };
    assert!(question.packet(&host.view).unwrap_err().contains("nobody who is known"));
    let question = Question { to: ip("2001:db8::1"), ..question };
    assert!(question.packet(&host.view).unwrap_err().contains("no address of the family"));
}

#[test]
fn a_forwarded_port_leads_in_and_its_answer_out() {
    let mut host = host();
    let ports = |port| net_types::PortRange::new(port, port).unwrap();
    let forwarding = host_view::PortForwarding {
        floating_ip: id("f1"),
        floating_address: ip("198.51.100.240"),
        protocol: "tcp".into(),
        external: ports(2222),
        internal_address: ip("10.10.2.144"),
        internal: ports(22),
    };
    host.view.routers.get_mut(&id(ROUTER)).unwrap().port_forwardings.insert(id("f2"), forwarding);
    let plan = host.settle();
    let (switch, near) = (Switch::new(&plan, &host.state), neighbours(&host.view, &plan));
    let (mut rooms, mut tracker) = (Rooms::new(&plan), Tracker::default());
    let trace = rooms.send(&switch, ("br-phys", "wire"), &inward("198.51.100.240", 2222), &mut tracker, &near);
    let exit = trace.exits().find(|exit| exit.port == G2_TAP).unwrap_or_else(|| panic!("{trace}"));
    let target = (address(&exit.packet, Field::Ipv4Dst), exit.packet.get(Field::TcpDst));
    assert_eq!(target, (ip("10.10.2.144"), 22));
    let answer = "tcp,dl_src=fa:16:3e:51:ee:cd,dl_dst=fa:16:3e:1a:28:4f,nw_src=10.10.2.144,nw_dst=198.51.100.7,nw_ttl=64,\
                  tcp_src=22,tcp_dst=4000";
    let trace = rooms.send(&switch, ("br-int", G2_TAP), &Packet::parse(answer).unwrap(), &mut tracker, &near);
    let exit = trace.exits().find(|exit| exit.port == "wire").unwrap_or_else(|| panic!("{trace}"));
    let source = (address(&exit.packet, Field::Ipv4Src), exit.packet.get(Field::TcpSrc));
    assert_eq!(source, (ip("198.51.100.240"), 2222), "{trace}");
}
