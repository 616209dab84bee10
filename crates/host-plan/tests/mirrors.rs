//! Port mirroring, as plans and on a real Open vSwitch.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_plan::{Exports, Mirror, PortKind, SFlow, names};
use host_view::{TapDirection, TapMirror, TapMirrorKind, TapService};
use std::collections::{BTreeMap, BTreeSet};
use support::real::RealHost;
use support::*;
use uuid::Uuid;

const SERVICE: Uuid = Uuid::from_u128(0x7a90_0001_0000_4000_8000_0000_0000_0001);
const KEY: u32 = 0xff_fffe;
/// Of the host of `support`: what it has of each port.
const PLAIN_MAC: &str = "fa:16:3e:c3:ac:c9";
const WEB_MAC: &str = "fa:16:3e:51:ee:cd";

fn service(port: &str, sources: &[(&str, TapDirection)]) -> TapService {
    TapService {
        port: id(port),
        host: None,
        key: KEY,
        sources: sources.iter().map(|(port, direction)| (id(port), *direction)).collect(),
        from: BTreeSet::new(),
    }
}

fn taps<const N: usize>(ports: [&str; N]) -> BTreeSet<String> {
    ports.iter().map(|port| names::tap(id(port))).collect()
}

/// Two hosts; G1 has no port security, G2 and G3 have, G4 is on a VLAN network.
fn host(service: TapService) -> Host {
    let mut host = Host::second_host();
    host.view.tap_services.insert(SERVICE, service);
    host
}

#[test]
fn sources_and_their_directions_are_selected() {
    let sources = [(G1, TapDirection::Out), (G2, TapDirection::Both), (G3, TapDirection::In)];
    let plan = host(service(G4, &sources)).settle();
    let (output, inner) = (names::mirror("tmo", SERVICE), names::mirror("tmp", SERVICE));
    let bridge = &plan.bridges["br-int"];
    let mirror = Mirror { from: taps([G1, G2]), to: taps([G2, G3]), vlans: [].into(), output: output.clone() };
    assert_eq!(bridge.mirrors, BTreeMap::from([(output.clone(), mirror)]));
    assert_eq!(bridge.ports[&output].kind, PortKind::Patch { peer: inner.clone() });
    for name in [&output, &inner] {
        assert_eq!(plan.tags[name].tag, 0, "of no network, and not with the dead");
    }
    // A source that is not plugged in, or of nothing wired, is passed over.
    let nothing = host(service(G4, &[("77", TapDirection::Both)])).settle();
    assert!(nothing.bridges["br-int"].mirrors.is_empty());
    assert!(!nothing.bridges["br-int"].ports.contains_key(&output));
    assert_eq!(nothing.errors, BTreeSet::new());
}

#[test]
fn between_hosts_copies_have_a_tunnel_of_their_own() {
    let there = TapService { host: Some("peer2".into()), ..service("77", &[(G1, TapDirection::Both)]) };
    let plan = host(there).settle();
    let options = |plan: &host_plan::HostPlan, name: &str| match &plan.bridges["br-int"].ports[name].kind {
        PortKind::Tunnel { tunnel, options } => {
            assert_eq!(tunnel.as_str(), "vxlan");
            options.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        }
        other => panic!("{other:?}"),
    };
    let output = names::mirror("tmo", SERVICE);
    assert_eq!(options(&plan, &output), format!("df_default=false key={KEY} local_ip=10.77.0.1 remote_ip=10.77.0.2"));
    let here = TapService { from: ["peer2".to_owned()].into(), ..service(G4, &[]) };
    let plan = host(here).settle();
    let arrival = names::mirror("tmv", SERVICE);
    assert_eq!(options(&plan, &arrival), format!("df_default=false key={KEY} local_ip=10.77.0.1 remote_ip=flow"));
    assert!(plan.bridges["br-int"].mirrors.is_empty());

    let mut apart = host(TapService { host: Some("peer2".into()), ..service("77", &[(G1, TapDirection::Both)]) });
    apart.view.tunnel_peers.get_mut("peer2").unwrap().types = [net_types::NetworkType::Gre].into();
    let errors = apart.settle().errors;
    assert!(errors.iter().any(|error| error.contains("no kind of tunnel is common")), "{errors:?}");
}

/// A switch makes no tunnel between addresses of two families.
#[test]
fn a_host_of_another_family_gets_no_copies_and_no_session() {
    let there = TapService { host: Some("peer2".into()), ..service("77", &[(G1, TapDirection::Both)]) };
    let here = TapService { from: ["peer2".to_owned()].into(), ..service(G4, &[]) };
    for service in [there, here] {
        let mut host = host(service);
        let peer = host.view.tunnel_peers.get_mut("peer2").unwrap();
        (peer.address, peer.watched) = (ip("2001:db8::2"), true);
        let plan = host.settle();
        let tunnels = plan.bridges["br-int"].ports.values().filter(|port| matches!(port.kind, PortKind::Tunnel { .. }));
        assert_eq!(tunnels.count(), 0);
        assert!(plan.errors.iter().any(|error| error.contains("of another family")), "{:?}", plan.errors);
    }
}

#[test]
fn collectors_get_a_tunnel_for_each_number() {
    let mut host = Host::second_host();
    let numbers = [(TapDirection::In, 101), (TapDirection::Out, 102)];
    let mirror =
        TapMirror { port: id(G2), collector: ip("192.0.2.9"), kind: TapMirrorKind::ErspanV1, numbers: numbers.into() };
    host.view.tap_mirrors.insert(SERVICE, mirror.clone());
    let plan = host.settle();
    let bridge = &plan.bridges["br-int"];
    // The key is decimal, the index hexadecimal.
    let wanted = [("tmi", "101", "65", taps([]), taps([G2])), ("tmq", "102", "66", taps([G2]), taps([]))];
    for (kind, number, index, from, to) in wanted {
        let name = names::mirror(kind, SERVICE);
        assert_eq!(bridge.mirrors[&name], Mirror { from, to, vlans: [].into(), output: name.clone() });
        let PortKind::Erspan { options } = &bridge.ports[&name].kind else { panic!("{:?}", bridge.ports[&name]) };
        assert_eq!((options["key"].as_str(), options["erspan_idx"].as_str()), (number, index));
        assert_eq!((options["remote_ip"].as_str(), options["erspan_ver"].as_str()), ("192.0.2.9", "1"));
    }
    let mut by_gre = host.clone();
    by_gre.config.tunnel.as_mut().unwrap().types.insert(net_types::NetworkType::Gre);
    by_gre.view.tap_mirrors.insert(SERVICE, TapMirror { collector: ip("10.77.0.2"), ..mirror.clone() });
    assert!(by_gre.settle().errors.iter().any(|error| error.contains("reached on by GRE")));
    let numbers = [(TapDirection::Both, 1024)].into();
    host.view.tap_mirrors.insert(SERVICE, TapMirror { numbers, ..mirror.clone() });
    assert!(host.settle().errors.iter().any(|error| error.contains("is not a session of ERSPAN")));
    host.view.tap_mirrors.insert(SERVICE, TapMirror { collector: ip("2001:db8::9"), ..mirror });
    assert!(host.settle().errors.iter().any(|error| error.contains("another family")));
}

#[test]
fn the_networks_own_ports_get_no_copies() {
    let plan = host(service(QR, &[(G1, TapDirection::Both)])).settle();
    assert!(plan.bridges["br-int"].mirrors.is_empty());
    assert!(plan.errors.iter().any(|error| error.contains("network's own")), "{:?}", plan.errors);
    // As sources they are like any other.
    let plan = host(service(G4, &[(QR, TapDirection::Both)])).settle();
    let mirror = &plan.bridges["br-int"].mirrors[&names::mirror("tmo", SERVICE)];
    assert_eq!(mirror.from, [names::router_interface(id(QR))].into());
}

#[test]
fn the_operators_collectors_stand_with_the_bridge() {
    let mut host = Host::empty();
    let sflow = SFlow { targets: ["192.0.2.7:6343".to_owned()].into(), sampling: Some(64), ..SFlow::default() };
    host.config.exports = Exports { sflow: Some(sflow), ..Exports::default() };
    let plan = host.settle();
    assert_eq!(plan.bridges["br-int"].exports, host.config.exports);
    assert!(plan.bridges.iter().all(|(name, bridge)| name == "br-int" || bridge.exports.is_empty()));
}

/// A packet takes the same way with a mirror as without, and one copy more, untagged, to the tap service's port, which needs no
/// rule for it; also when rules refuse the packet.
#[test]
fn copies_change_nothing_on_a_real_switch() {
    let echo = |from: &str, to: &str, addresses: (&str, &str)| {
        format!("icmp,dl_src={from},dl_dst={to},nw_src={},nw_dst={},nw_ttl=64,icmp_type=8", addresses.0, addresses.1)
    };
    let new: &[&str] = &["trk,new", "trk,new"];
    let allowed = echo(PLAIN_MAC, WEB_MAC, ("10.10.3.181", "10.10.2.144"));
    let broadcast =
        "arp,dl_src=fa:16:3e:c3:ac:c9,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=10.10.3.181,arp_tpa=10.10.9.9";
    let forged = echo("02:00:00:00:00:01", WEB_MAC, ("10.10.2.144", "10.10.2.144"));
    let (plain, web) = (names::tap(id(G1)), names::tap(id(G2)));
    let monitor = names::tap(id(G4));
    let quiet = RealHost::new(&Host::second_host());
    let mirrored = RealHost::new(&host(service(G4, &[(G1, TapDirection::Out), (G2, TapDirection::Both)])));
    for (from, packet) in [(&plain, allowed.as_str()), (&plain, broadcast), (&web, forged.as_str())] {
        let (before, after) = (quiet.trace(from, packet, new), mirrored.trace(from, packet, new));
        let mut with_copy = before.ports.clone();
        assert!(with_copy.insert(monitor.clone()), "{}", before.trace);
        assert_eq!(after.ports, with_copy, "{}", after.trace);
        assert_eq!(after.tags[&monitor], None);
        let line = after.trace.lines().rfind(|line| line.starts_with("Datapath actions: ")).unwrap().to_owned();
        assert!(line.len() < 2000, "one copy of each mirror: {line}");
    }
    // What the monitor itself sends and gets is as before.
    let own = echo("fa:16:3e:33:a0:a6", "ff:ff:ff:ff:ff:ff", ("10.20.0.35", "10.20.0.255"));
    assert_eq!(quiet.trace(&monitor, &own, new).ports, mirrored.trace(&monitor, &own, new).ports);
}

/// In the moment before the flow is there, a copy goes nowhere.
#[test]
fn a_copy_without_its_flow_meets_nobody() {
    let mut host = host(service(G4, &[(G1, TapDirection::Out)]));
    // A device that nobody knows is dead.
    host.plug(NewPort::new("d0", VXLAN_NET, "fa:16:3e:00:00:d0", &[]));
    host.view.ports.remove(&id("d0"));
    let real = RealHost::new(&host);
    assert_eq!(real.plan.tags[&names::tap(id("d0"))].tag, 4095);
    let inner = names::mirror("tmp", SERVICE);
    let number = real.switch.vsctl(&["get", "interface", &inner, "ofport"]).unwrap();
    real.switch.ofctl(&["del-flows", "br-int", &format!("table=0,in_port={}", number.trim())]).unwrap();
    let packet = "arp,dl_src=fa:16:3e:c3:ac:c9,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=10.10.3.181,arp_tpa=10.10.9.9";
    let copy = real.trace(&inner, packet, &[]);
    let devices = copy.ports.iter().filter(|port| port.starts_with("tap") || port.starts_with('q')).count();
    assert!(devices == 0 && !copy.trace.contains("tnl_push"), "{:?}\n{}", copy.ports, copy.trace);
}

const TRUNK: &str = "7ac00001";
const TRUNK_BRIDGE: &str = "tbr-7ac00001-0";
const PARENT_MAC: &str = "fa:16:3e:00:00:a1";
const SUBPORT_MAC: &str = "fa:16:3e:00:00:a2";

/// A trunk whose parent is on G1's network and whose subport, of tag 101, on G4's.
fn with_trunk(host: &mut Host) {
    host.port(NewPort::new("a1", VXLAN_NET, PARENT_MAC, &[(VXLAN_SUBNET, "10.10.0.61")]).unsecured());
    host.port(NewPort::new("a2", VLAN_NET, SUBPORT_MAC, &[(VLAN_SUBNET, "10.20.0.61")]).unsecured());
    let tag = net_types::VlanId::new(101).unwrap();
    let trunk = host_view::Trunk { parent: id("a1"), subports: [(id("a2"), tag)].into() };
    host.view.trunks.insert(id(TRUNK), trunk);
    let device = host_plan::Interface {
        bridge: TRUNK_BRIDGE.into(),
        ofport: Some(9),
        iface_id: Some(id("a1")),
        ..host_plan::Interface::default()
    };
    host.state.interfaces.insert(names::tap(id("a1")), device);
}

/// What the parent and the subport of a trunk send and get is copied like that of any other port, each one's by itself; also
/// what no connection tracker looks at, and what is for all.
#[test]
fn ports_of_trunks_are_mirrored_on_a_real_switch() {
    let broadcast = |from: &str, address: &str, tag: &str| {
        format!(
            "arp,dl_src={from},dl_dst=ff:ff:ff:ff:ff:ff{tag},arp_op=1,arp_sha={from},arp_spa={address},arp_tpa=10.9.9.9"
        )
    };
    let (parent, monitor) = (names::tap(id("a1")), names::tap(id(G3)));
    let parents = broadcast(PARENT_MAC, "10.10.0.61", "");
    let subports = broadcast(SUBPORT_MAC, "10.20.0.61", ",dl_vlan=101,dl_vlan_pcp=0");
    let to_subport = broadcast("fa:16:3e:33:a0:a6", "10.20.0.35", "");
    let to_parent = broadcast(PLAIN_MAC, "10.10.3.181", "");
    // From where, what; a copy of it when the subport, and when the parent is the source.
    let (subports_tap, plain) = (names::tap(id(G4)), names::tap(id(G1)));
    let packets = [
        (TRUNK_BRIDGE, &parent, &parents, [false, true]),
        (TRUNK_BRIDGE, &parent, &subports, [true, false]),
        ("br-int", &subports_tap, &to_subport, [true, false]),
        ("br-int", &plain, &to_parent, [false, true]),
    ];
    for (which, source) in ["a2", "a1"].into_iter().enumerate() {
        let mut host = host(TapService { port: id(G3), ..service(G3, &[(source, TapDirection::Both)]) });
        with_trunk(&mut host);
        let real = RealHost::new(&host);
        for (bridge, from, packet, copied) in &packets {
            let verdict = real.trace_on(bridge, from, packet, &[]);
            // Broadcast to the monitor's own network is no copy: count what it gets.
            let line = verdict.trace.lines().rfind(|line| line.starts_with("Datapath actions: ")).unwrap();
            let own = verdict.trace.contains("priority 250");
            assert_eq!(own, copied[which], "{source}: {line}\n{}", verdict.trace);
            assert!(!own || verdict.ports.contains(&monitor), "{}", verdict.trace);
        }
        // One way only.
        host.view.tap_services.get_mut(&SERVICE).unwrap().sources = [(id(source), TapDirection::In)].into();
        let one_way = RealHost::new(&host);
        for (bridge, from, packet, copied) in &packets {
            let verdict = one_way.trace_on(bridge, from, packet, &[]);
            let is_in = *bridge == "br-int";
            assert_eq!(verdict.trace.contains("priority 250"), copied[which] && is_in, "{}", verdict.trace);
        }
    }
}

/// Also to another host or a collector: the copy goes from the trunk's bridge to the tunnel.
#[test]
fn copies_of_a_trunks_ports_leave_by_tunnels() {
    let mut host = host(TapService { host: Some("peer2".into()), ..service("77", &[("a2", TapDirection::Both)]) });
    with_trunk(&mut host);
    let numbers = [(TapDirection::In, 101), (TapDirection::Out, 102)].into();
    let mirror = TapMirror { port: id("a1"), collector: ip("192.0.2.9"), kind: TapMirrorKind::Gre, numbers };
    host.view.tap_mirrors.insert(Uuid::from_u128(9), mirror);
    let plan = host.settle();
    assert_eq!(plan.errors, BTreeSet::new());
    assert!(plan.bridges["br-int"].mirrors.is_empty());
    let there = &plan.bridges[TRUNK_BRIDGE].mirrors;
    let tap = BTreeSet::from([names::tap(id("a1"))]);
    let wanted = [
        ("tmo", SERVICE, 101, true, true),
        ("tmi", Uuid::from_u128(9), 0, false, true),
        ("tmq", Uuid::from_u128(9), 0, true, false),
    ];
    assert_eq!(there.len(), wanted.len());
    for (kind, service, tag, from, to) in wanted {
        let tunnel = names::mirror(kind, service);
        let (outer, inner) = names::mirror_patch(&tunnel, TRUNK_BRIDGE);
        let some = |is: bool| if is { tap.clone() } else { BTreeSet::new() };
        let mirror = Mirror { from: some(from), to: some(to), vlans: [tag].into(), output: outer.clone() };
        assert_eq!(there[&names::mirror_of_tag(&tunnel, tag)], mirror);
        assert_eq!(plan.bridges["br-int"].ports[&inner].kind, PortKind::Patch { peer: outer });
        let number = |port: &str| host.state.interfaces[port].ofport.unwrap();
        let flow = format!("priority=250,in_port={} actions=output:{}", number(&inner), number(&tunnel));
        assert!(plan.flows["br-int"].iter().any(|known| known.to_string().contains(&flow)), "{flow}");
    }
}
