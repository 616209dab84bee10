//! What must hold of any plan, whatever the view.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_plan::{HostPlan, LocalState, diff};
use host_view::{AddressPair, Direction, EtherType, Remote, RuleMatch, SecurityGroupRule, Segment};
use net_types::{NetworkId, PortRange, VlanId, Vni};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use support::*;

fn any_remote() -> impl Strategy<Value = Remote> {
    prop_oneof![
        Just(Remote::Any),
        Just(Remote::Prefix(net("10.1.0.0/16"))),
        Just(Remote::Prefix(net("2001:db8::/32"))),
        (0u8..3).prop_map(|n| Remote::Group(id(&format!("9{n}")))),
    ]
}

fn any_rule() -> impl Strategy<Value = SecurityGroupRule> {
    let direction = prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)];
    let ethertype = prop_oneof![Just(EtherType::IPv4), Just(EtherType::IPv6)];
    let kind = prop_oneof![
        Just((None, RuleMatch::Any)),
        (1u16..2000, 0u16..20)
            .prop_map(|(first, more)| (Some(6), RuleMatch::Ports(PortRange::new(first, first + more).unwrap()))),
        (0u8..10).prop_map(|kind| (Some(1), RuleMatch::Icmp { kind, code: None })),
        Just((Some(47), RuleMatch::Any)),
    ];
    (direction, ethertype, kind, any_remote()).prop_map(|(direction, ethertype, (protocol, matching), remote)| {
        SecurityGroupRule { direction, ethertype, protocol, matching, remote }
    })
}

/// What a port is like: network, host, groups, secured, up, plugged, address pair.
type PortShape = (u8, bool, BTreeSet<u8>, bool, bool, bool, Option<u8>);

fn any_host() -> impl Strategy<Value = Host> {
    let networks = proptest::collection::btree_map(0u8..5, any::<bool>(), 1..5);
    let port = (
        0u8..5,
        any::<bool>(),
        proptest::collection::btree_set(0u8..3, 0..3),
        any::<bool>(),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.8),
        proptest::option::weighted(0.2, 1u8..4),
    );
    let ports = proptest::collection::btree_map(1u8..30, port, 0..12);
    let groups = proptest::collection::vec(proptest::collection::vec(any_rule(), 0..5), 3);
    let members = proptest::collection::btree_set(1u8..20, 0..5);
    (networks, ports, groups, members, any::<bool>(), any::<bool>(), proptest::collection::btree_set(1u8..9, 0..4))
        .prop_map(|(networks, ports, groups, members, dhcp, routed, floating)| {
            let mut host = Host::empty();
            for (number, up) in &networks {
                let segment = match number {
                    0 => Segment::Local,
                    1 => Segment::Flat { physical_network: "phys".into() },
                    2 => Segment::Vlan { physical_network: "phys".into(), vlan: VlanId::new(200).unwrap() },
                    3 => Segment::Vlan { physical_network: "elsewhere".into(), vlan: VlanId::new(200).unwrap() },
                    _ => Segment::Vxlan { vni: Vni::new(77).unwrap() },
                };
                host.network(&format!("{number}"), segment, 1400);
                host.view.networks.get_mut(&id(&format!("{number}"))).unwrap().admin_state_up = *up || *number != 4;
                host.subnet(&format!("5{number}"), &format!("{number}"), &format!("10.{number}.0.0/24"), None);
            }
            for (index, rules) in groups.into_iter().enumerate() {
                host.view.security_groups.insert(id(&format!("9{index}")), group(rules));
                let addresses = members.iter().map(|last| net(&format!("10.1.0.{last}"))).collect();
                host.view.group_members.insert(id(&format!("9{index}")), addresses);
            }
            host.view.tunnel_peers.insert(
                "other".into(),
                host_view::TunnelPeer {
                    address: ip("10.77.0.9"),
                    mac: None,
                    types: [net_types::NetworkType::Vxlan].into(),
                    watched: false,
                },
            );
            for (number, shape) in ports {
                add_port(&mut host, number, shape);
            }
            if dhcp && networks.contains_key(&4) {
                host.dhcp("d4", "4", "fa:16:3e:dd:00:04", &[("54", "10.4.0.2")], &[]);
            }
            for number in floating.iter().filter(|number| dhcp || **number % 2 == 0) {
                add_local_ip(&mut host, *number);
            }
            for number in &floating {
                add_log(&mut host, *number);
            }
            if routed && networks.contains_key(&1) && networks.contains_key(&4) {
                add_router(&mut host, &floating);
            }
            host
        })
}

fn add_port(host: &mut Host, number: u8, shape: PortShape) {
    let (network, here, groups, secured, up, plugged, pair) = shape;
    if !host.view.networks.contains_key(&id::<NetworkId>(&format!("{network}"))) {
        return;
    }
    let mac_text = format!("fa:16:3e:00:00:{number:02x}");
    let address = format!("10.{network}.0.{number}");
    if !here {
        let remote = host_view::RemotePort {
            network: id(&format!("{network}")),
            host: "other".into(),
            mac: mac(&mac_text),
            addresses: [ip(&address)].into(),
            may_be_on: [].into(),
        };
        host.view.remote_ports.insert(id(&format!("e{number:02x}")), remote);
        return;
    }
    let subnet = format!("5{network}");
    let mut new = NewPort::new(&format!("c{number:02x}"), &format!("{network}"), &mac_text, &[(&subnet, &address)]);
    new.port.port_security = secured;
    new.port.admin_state_up = up;
    if secured {
        new.port.security_groups = groups.iter().map(|group| id(&format!("9{group}"))).collect();
        new.port.allowed_address_pairs.extend(
            pair.map(|last| AddressPair {
                mac: mac(&format!("00:00:5e:00:01:{last:02x}")),
                address: net("10.0.0.0/8"),
            }),
        );
    }
    if plugged { host.plug(new) } else { host.port(new) }
}

fn add_router(host: &mut Host, floating: &BTreeSet<u8>) {
    host.port(NewPort::new("2a", "4", "fa:16:3e:dd:00:01", &[("54", "10.4.0.1")]).owner("network:router_interface"));
    host.port(NewPort::new("2b", "1", "fa:16:3e:dd:00:02", &[("51", "10.1.0.1")]).owner("network:router_gateway"));
    let router = host_view::Router {
        standby: None,
        admin_state_up: true,
        interfaces: [id("2a")].into(),
        gateway: Some(host_view::Gateway { port: id("2b"), enable_snat: floating.len().is_multiple_of(2) }),
        floating_ips: floating
            .iter()
            .map(|n| {
                let pair = host_view::FloatingIp {
                    floating_address: ip(&format!("10.1.0.2{n}")),
                    fixed_address: ip(&format!("10.4.0.{n}")),
                };
                (id(&format!("f{n}")), pair)
            })
            .collect(),
        ..host_view::Router::default()
    };
    host.view.routers.insert(id("a0"), router);
}

/// It leads to every second port, on whatever network; the first that is wired counts.
fn add_local_ip(host: &mut Host, number: u8) {
    let ports = host.view.ports.iter().enumerate().filter(|(index, _)| index % 2 == usize::from(number % 2));
    let local_ip = host_view::LocalIp {
        address: ip(&format!("10.4.0.20{number}")),
        mode: if number < 7 { host_view::LocalIpMode::Translate } else { host_view::LocalIpMode::Passthrough },
        ports: ports.filter_map(|(_, (id, port))| Some((*id, port.fixed_ips.first()?.address))).collect(),
    };
    host.view.local_ips.insert(uuid::Uuid::from_u128(number.into()), local_ip);
}

/// It is about every third port, or one group of them.
fn add_log(host: &mut Host, number: u8) {
    use host_view::LogEvent::{Accept, All, Drop};
    let ports = host.view.ports.keys().enumerate().filter(|(index, _)| index % 3 == usize::from(number % 3));
    let log = host_view::Log {
        project: format!("p{}", number % 2),
        event: [Accept, Drop, All][usize::from(number / 3) % 3],
        group: number.is_multiple_of(2).then(|| id(&format!("9{}", number % 3))),
        ports: ports.map(|(_, id)| *id).collect(),
    };
    host.view.logs.insert(uuid::Uuid::from_u128(number.into()), log);
}

/// What is only said about the host is not part of what is applied.
fn host_of(plan: &HostPlan) -> HostPlan {
    HostPlan {
        local_vlans: BTreeMap::new(),
        translations: BTreeMap::new(),
        logged: BTreeMap::new(),
        ports: BTreeMap::new(),
        errors: BTreeSet::new(),
        ..plan.clone()
    }
}

/// The state as an agent finds it that has just started: local VLANs only in OVSDB.
fn after_restart(host: &Host, plan: &HostPlan) -> LocalState {
    let stored = |tag: &host_plan::PortTag| {
        let network = tag.other_config.get("net_uuid")?.parse().ok()?;
        Some((network, VlanId::new(tag.other_config.get("tag")?.parse().ok()?).ok()?))
    };
    let local_vlans = plan.tags.values().filter_map(stored).collect();
    LocalState { local_vlans, ..host.state.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn applying_the_difference_gives_the_new_host(old in any_host(), new in any_host()) {
        let (mut old, mut new) = (old, new);
        let (before, after) = (old.settle(), new.settle());
        let mut host = before.clone();
        for action in diff(&before, &after) {
            host.apply(&action);
        }
        prop_assert_eq!(host_of(&host), host_of(&after));
        let settled = HostPlan { local_vlans: after.local_vlans.clone(), ..host };
        prop_assert!(diff(&settled, &after).is_empty());
        prop_assert!(diff(&after, &after).is_empty());
    }

    #[test]
    fn a_restarted_agent_plans_the_same(host in any_host()) {
        let mut host = host;
        let plan = host.settle();
        host.state = after_restart(&host, &plan);
        prop_assert_eq!(host.plan(), plan.clone());
        let text = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<HostPlan>(&text).unwrap(), plan);
    }

    #[test]
    fn flows_are_distinct_ours_and_about_ports_that_exist(host in any_host()) {
        let mut host = host;
        let plan = host.settle();
        for (bridge, flows) in &plan.flows {
            let keys: std::collections::HashSet<_> = flows.iter().map(openflow::Flow::key).collect();
            prop_assert_eq!(keys.len(), flows.len());
            let known: BTreeSet<u32> = host
                .state
                .interfaces
                .values()
                .filter(|interface| interface.bridge == *bridge)
                .filter_map(|interface| interface.ofport)
                .collect();
            for flow in flows {
                prop_assert!(host_plan::FLOW_OWNER.owns(flow.cookie));
                if let Some(port) = flow.matches.exact(openflow::Field::InPort) {
                    prop_assert!(known.contains(&(port as u32)), "{}", flow);
                }
                for action in &flow.actions {
                    if let openflow::Action::Output(port) = action {
                        prop_assert!(!port.is_ordinary() || known.contains(&port.0), "{}", flow);
                    }
                }
            }
        }
    }

    /// Whoever comes, networks and groups of the others keep their numbers: their flows stay. Only a member's address may
    /// become a clause of one more conjunction.
    #[test]
    fn another_port_changes_no_flow_of_the_others(host in any_host(), number in 40u8..50) {
        let mut host = host;
        let before = host.settle();
        add_port(&mut host, number, (0, true, [0].into(), true, true, true, None));
        let after = host.settle();
        for (bridge, flows) in &before.flows {
            let now: std::collections::HashMap<_, _> = after.flows[bridge].iter().map(|flow| (flow.key(), flow)).collect();
            for flow in flows {
                let kept = now.get(&flow.key()).is_some_and(|kept| {
                    kept.actions == flow.actions
                        || kept.actions.iter().all(|action| matches!(action, openflow::Action::Conjunction { .. }))
                            && flow.actions.iter().all(|action| kept.actions.contains(action))
                });
                prop_assert!(kept, "{} of {} is gone", flow, bridge);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A log adds flows of its own and touches no other; every such flow says what it is for, and all are limited.
    #[test]
    fn logs_touch_no_other_flow(host in any_host(), number in 10u8..20) {
        let mut host = host;
        let before = host.settle();
        add_log(&mut host, number);
        let after = host.settle();
        let plain = |plan: &HostPlan| -> BTreeSet<String> {
            let own = |flow: &&openflow::Flow| flow.cookie == host_plan::FLOW_OWNER.value();
            plan.flows.values().flatten().filter(own).map(ToString::to_string).collect()
        };
        prop_assert_eq!(plain(&before), plain(&after));
        let copies = |flow: &openflow::Flow| flow.actions.contains(&openflow::Action::ControllerMetered(0x4000));
        for flow in &after.flows["br-int"] {
            let number = (flow.cookie & 0xffff_ffff) as u32;
            prop_assert_eq!(after.logged.contains_key(&number), copies(flow), "{}", flow);
        }
        let metered = after.meters.get("br-int").is_some_and(|meters| meters.contains_key(&0x4000));
        prop_assert_eq!(metered, !after.logged.is_empty());
    }
}

/// Neutron needs 58 flows per port for this group; a quarter of that is the aim.
#[test]
fn two_hundred_ports_of_one_group_cost_few_flows_each() {
    let mut host = Host::remote_group_member();
    let count = |plan: &HostPlan| plan.flows.values().map(Vec::len).sum::<usize>();
    let before = count(&host.settle());
    for number in 0..200u32 {
        let mac = format!("fa:16:3e:00:01:{number:02x}");
        let port = NewPort::new(
            &format!("{:x}", 0x1000 + number),
            VXLAN_NET,
            &mac,
            &[(VXLAN_SUBNET, &format!("10.10.8.{number}"))],
        );
        host.plug(port.group(WEB));
    }
    let after = count(&host.settle());
    assert_eq!((after - before) / 200, 9);
    assert!(after < 12_031 / 4, "{after}");
}

/// Members of remote groups and rules add up; they do not multiply.
#[test]
fn remote_groups_grow_as_the_sum() {
    let size = |members: u32, rules: u16| {
        let mut host = Host::vxlan_port_with_group();
        let remote = || Remote::Group(id(REMOTE));
        let rules = (0..rules).map(|port| tcp(1000 + 2 * port, 1000 + 2 * port, remote()));
        host.view.security_groups.insert(id(WEB), group(rules));
        let addresses = (0..members).map(|n| net(&format!("10.10.{}.{}", n / 250, n % 250)));
        host.view.group_members.insert(id(REMOTE), addresses.collect());
        host.settle().flows["br-int"].len()
    };
    let none = size(0, 1);
    assert_eq!(size(500, 1) - none, 500);
    assert_eq!(size(500, 41) - none, 540);
}
