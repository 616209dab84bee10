//! Security groups said twice: by a plain reading of their rules, and by a real Open vSwitch with the plan's flows; over
//! random rules and packets both must agree.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_view::{Direction, EtherType, HostView, Port, Remote, RuleMatch, SecurityGroup, SecurityGroupRule};
use net_types::PortRange;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::net::IpAddr;
use support::real::RealHost;
use support::*;

const PORTS: u8 = 6;
const GROUPS: u8 = 3;

/// The first packet of a connection.
#[derive(Debug, Clone)]
struct Packet {
    from: u8,
    to: u8,
    v6: bool,
    protocol: u8,
    port: u16,
    icmp: (u8, u8),
}

fn mac_of(port: u8) -> String {
    format!("fa:16:3e:00:00:{port:02x}")
}

fn address_of(port: u8, v6: bool) -> IpAddr {
    // Odd ports stand in another /24 (and /64) than even ones.
    if v6 { ip(&format!("2001:db8:0:{}::{port:x}", port % 2)) } else { ip(&format!("10.0.{}.{port}", port % 2)) }
}

/// What the rules say of a packet, read as a person would.
fn allowed(view: &HostView, packet: &Packet) -> bool {
    let (from, to) = (&view.ports[&port_id(packet.from)], &view.ports[&port_id(packet.to)]);
    let (source, target) = (address_of(packet.from, packet.v6), address_of(packet.to, packet.v6));
    may(view, from, Direction::Egress, target, packet) && may(view, to, Direction::Ingress, source, packet)
}

fn may(view: &HostView, port: &Port, direction: Direction, other: IpAddr, packet: &Packet) -> bool {
    let groups = port.security_groups.iter().map(|id| &view.security_groups[id]);
    !port.port_security
        || groups.flat_map(|group| group.rules.values()).any(|rule| {
            rule.direction == direction
                && (rule.ethertype == EtherType::IPv6) == packet.v6
                && rule.protocol.is_none_or(|protocol| protocol == packet.protocol)
                && match rule.matching {
                    RuleMatch::Any => true,
                    RuleMatch::Ports(range) => range.contains(packet.port),
                    RuleMatch::Icmp { kind, code } => {
                        kind == packet.icmp.0 && code.is_none_or(|code| code == packet.icmp.1)
                    }
                }
                && match &rule.remote {
                    Remote::Any => true,
                    Remote::Prefix(prefix) => prefix.contains(&other),
                    Remote::Group(id) => view.group_members[id].iter().any(|member| member.contains(&other)),
                }
        })
}

fn port_id(port: u8) -> net_types::PortId {
    id(&format!("c{port}"))
}

fn any_rule() -> impl Strategy<Value = SecurityGroupRule> {
    let ports = || (0u16..8, 0u16..4).prop_map(|(first, more)| PortRange::new(78 + first, 78 + first + more).unwrap());
    let ports = || prop_oneof![4 => ports(), 1 => Just(PortRange::ALL), 1 => Just(PortRange::new(0, 80).unwrap())];
    let kind = prop_oneof![
        Just((None, RuleMatch::Any)),
        (prop::sample::select(vec![6u8, 17, 132]), ports())
            .prop_map(|(protocol, ports)| (Some(protocol), RuleMatch::Ports(ports))),
        prop::sample::select(vec![1u8, 6, 17, 47, 132]).prop_map(|protocol| (Some(protocol), RuleMatch::Any)),
        (0u8..2, proptest::option::of(0u8..2))
            .prop_map(|(kind, code)| (Some(1), RuleMatch::Icmp { kind: 8 * kind, code })),
    ];
    let remote = (0u8..6, 0..GROUPS);
    let (direction, v6) = (any::<bool>(), any::<bool>());
    (direction, v6, kind, remote).prop_map(|(egress, v6, (protocol, matching), (remote, group))| {
        let prefix = |last: u8| if v6 { format!("2001:db8:0:{last}::/64") } else { format!("10.0.{last}.0/24") };
        let (protocol, matching) = match (protocol, matching) {
            // The API's ICMPv6 types; those below 128 are errors, not connections.
            (Some(1), RuleMatch::Icmp { kind, code }) if v6 => {
                (Some(58), RuleMatch::Icmp { kind: 128 + kind / 8, code })
            }
            (Some(1), matching) if v6 => (Some(58), matching),
            other => other,
        };
        SecurityGroupRule {
            direction: if egress { Direction::Egress } else { Direction::Ingress },
            ethertype: if v6 { EtherType::IPv6 } else { EtherType::IPv4 },
            protocol,
            matching,
            remote: match remote {
                0 | 1 => Remote::Group(id(&format!("9{group}"))),
                2 | 3 => Remote::Prefix(net(&prefix(remote - 2))),
                _ => Remote::Any,
            },
        }
    })
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let protocol = prop::sample::select(vec![1u8, 6, 6, 17, 47, 132]);
    (0..PORTS, 1..PORTS, any::<bool>(), protocol, 77u16..90, (0u8..2, 0u8..2)).prop_map(
        |(from, step, v6, protocol, port, (kind, code))| {
            let to = (from + step) % PORTS;
            let protocol = if protocol == 1 && v6 { 58 } else { protocol };
            let icmp = (if v6 { 128 + kind } else { 8 * kind }, code);
            Packet { from, to, v6, protocol, port, icmp }
        },
    )
}

fn text(packet: &Packet) -> String {
    let (source, target) = (address_of(packet.from, packet.v6), address_of(packet.to, packet.v6));
    let (eth_type, addresses) = match packet.v6 {
        true => ("0x86dd", format!("ipv6_src={source},ipv6_dst={target}")),
        false => ("0x0800", format!("nw_src={source},nw_dst={target}")),
    };
    let rest = match packet.protocol {
        6 => format!(",tcp_src=4000,tcp_dst={}", packet.port),
        17 => format!(",udp_src=4000,udp_dst={}", packet.port),
        132 => format!(",sctp_src=4000,sctp_dst={}", packet.port),
        1 => format!(",icmp_type={},icmp_code={}", packet.icmp.0, packet.icmp.1),
        58 => format!(",icmpv6_type={},icmpv6_code={}", packet.icmp.0, packet.icmp.1),
        _ => String::new(),
    };
    let (from, to) = (mac_of(packet.from), mac_of(packet.to));
    format!("dl_src={from},dl_dst={to},dl_type={eth_type},{addresses},nw_proto={},nw_ttl=64{rest}", packet.protocol)
}

/// One network, six ports; groups as drawn. Port 0 is without security, the others are in one or two groups.
fn host(groups: Vec<Vec<SecurityGroupRule>>, members: Vec<Vec<u8>>) -> Host {
    let mut host = Host::empty();
    host.network("1", host_view::Segment::Local, 1500);
    host.subnet("4a", "1", "10.0.0.0/16", None);
    host.subnet("6a", "1", "2001:db8::/32", None);
    for (index, rules) in groups.into_iter().enumerate() {
        let rules = rules.into_iter().enumerate().map(|(n, rule)| (id(&format!("{n:x}")), rule)).collect();
        host.view.security_groups.insert(id(&format!("9{index}")), SecurityGroup { stateful: true, rules });
    }
    for (index, members) in members.into_iter().enumerate() {
        let addresses = members.into_iter().flat_map(|port| [address_of(port, false), address_of(port, true)]);
        host.view.group_members.insert(id(&format!("9{index}")), addresses.map(Into::into).collect());
    }
    for port in 0..PORTS {
        let (v4, v6) = (address_of(port, false).to_string(), address_of(port, true).to_string());
        let mut new = NewPort::new(&format!("c{port}"), "1", &mac_of(port), &[("4a", &v4), ("6a", &v6)]);
        new.port.port_security = port != 0;
        if port != 0 {
            new = new.group(&format!("9{}", port % GROUPS));
        }
        if port == 4 {
            new = new.group("92");
        }
        host.plug(new);
    }
    host
}

#[test]
fn the_switch_does_what_the_rules_say() {
    let mut runner = TestRunner::deterministic();
    let groups = proptest::collection::vec(proptest::collection::vec(any_rule(), 3..14), usize::from(GROUPS));
    let members = proptest::collection::vec(proptest::collection::vec(0..PORTS, 0..4), usize::from(GROUPS));
    let packets = proptest::collection::vec(any_packet(), 40);
    let mut real: Option<RealHost> = None;
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..8 {
        let drawn =
            host(groups.new_tree(&mut runner).unwrap().current(), members.new_tree(&mut runner).unwrap().current());
        let real = match &mut real {
            Some(real) => {
                real.host.view = drawn.view;
                real.settle();
                real
            }
            None => real.insert(RealHost::new(&drawn)),
        };
        for packet in packets.new_tree(&mut runner).unwrap().current() {
            let expected = allowed(&real.host.view, &packet);
            let device = host_plan::names::tap(port_id(packet.from));
            let verdict = real.trace(&device, &text(&packet), &["trk,new", "trk,new"]);
            let arrives = verdict.ports.contains(&host_plan::names::tap(port_id(packet.to)));
            assert_eq!(arrives, expected, "{packet:?}\n{}", verdict.trace);
            // An allowed packet between ports without security is flooded, for nobody has learned the receiver yet.
            if packet.to != 0 {
                assert!(verdict.ports.len() <= 1, "{packet:?} goes to {:?}\n{}", verdict.ports, verdict.trace);
            }
            *if expected { &mut passed } else { &mut refused } += 1;
        }
    }
    assert!(passed > 40 && refused > 40, "the packets must try both: {passed} allowed, {refused} refused");
}
