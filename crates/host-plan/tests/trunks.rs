//! Trunks: their bridges, patches and tags, as plans and on a real Open vSwitch.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_plan::{Interface, PortKind, names};
use host_view::{PortState, Segment, Trunk};
use net_types::{PortId, TrunkId, VlanId};
use support::real::RealHost;
use support::*;

const TRUNK: &str = "7ac00001";
const BRIDGE: &str = "tbr-7ac00001-0";
const PARENT: &str = "a1";
const SUBPORT: &str = "a2";
/// Others on the parent's and on the subport's network.
const NEIGHBOURS: [&str; 2] = ["b1", "b2"];

fn mac_of(port: &str) -> String {
    format!("fa:16:3e:00:00:{port}")
}

/// Networks 1 and 2, a neighbour on each, a trunk of both; the parent's device is not plugged.
fn host() -> Host {
    let mut host = Host::empty();
    for (network, parts) in [("1", [PARENT, "b1"]), ("2", [SUBPORT, "b2"])] {
        host.network(network, Segment::Local, 1500);
        host.subnet(&format!("5{network}"), network, "10.0.0.0/24", None);
        for (number, port) in parts.into_iter().enumerate() {
            let address = format!("10.0.0.{}", number + 1);
            let new = NewPort::new(port, network, &mac_of(port), &[(&format!("5{network}"), &address)]).group(WEB);
            match NEIGHBOURS.contains(&port) {
                true => host.plug(new.unsecured()),
                false => host.port(new),
            }
        }
    }
    host.view.security_groups.insert(id(WEB), group([]));
    let trunk = Trunk { parent: id(PARENT), subports: [(id(SUBPORT), VlanId::new(101).unwrap())].into() };
    host.view.trunks.insert(id::<TrunkId>(TRUNK), trunk);
    host
}

fn plug_parent(host: &mut Host) {
    let device = Interface {
        bridge: BRIDGE.into(),
        ofport: Some(9),
        iface_id: Some(id(PARENT)),
        attached_mac: Some(mac(&mac_of(PARENT))),
        ..Interface::default()
    };
    host.state.interfaces.insert(names::tap(id(PARENT)), device);
}

#[test]
fn the_bridge_waits_for_the_device_and_the_ports_follow_it() {
    let mut host = host();
    let plan = host.settle();
    assert!(plan.bridges[BRIDGE].ports.is_empty(), "nothing is plugged in yet");
    assert_eq!(plan.bridges[BRIDGE].fail_mode, "standalone");
    assert!(!plan.flows.contains_key(BRIDGE), "it switches by itself");
    let ports: [PortId; 2] = [id(PARENT), id(SUBPORT)];
    assert!(ports.iter().all(|port| plan.ports[port] == PortState::Down), "{:?}", plan.ports);

    plug_parent(&mut host);
    let plan = host.settle();
    assert!(ports.iter().all(|port| plan.ports[port] == PortState::Up), "{:?}", plan.ports);
    for ((inner, outer), port, tag) in
        [(names::trunk_parent(ports[0]), ports[0], 0), (names::trunk_subport(ports[1]), ports[1], 101)]
    {
        assert_eq!(plan.bridges[BRIDGE].ports[&outer].kind, PortKind::Patch { peer: inner.clone() });
        let inside = &plan.bridges["br-int"].ports[&inner];
        assert_eq!(inside.kind, PortKind::Patch { peer: outer.clone() });
        assert_eq!(inside.external_ids["iface-id"], port.to_string());
        assert_eq!(plan.tags[&outer].tag, tag);
        let network = host.view.ports[&port].network;
        assert_eq!(plan.tags[&inner].tag, plan.local_vlans[&network].get());
    }

    // The device leaves: what is left over of the patches must not pass for devices.
    host.state.interfaces.remove(&names::tap(ports[0]));
    let plan = host.plan();
    assert!(ports.iter().all(|port| plan.ports[port] == PortState::Down), "{:?}", plan.ports);
    assert!(plan.bridges[BRIDGE].ports.is_empty());
    host.view.trunks.clear();
    assert!(!host.plan().bridges.contains_key(BRIDGE));
}

#[test]
fn a_parent_without_trunk_bridge_is_an_ordinary_port() {
    let mut host = host();
    plug_parent(&mut host);
    host.state.interfaces.values_mut().for_each(|interface| interface.bridge = "br-int".into());
    let plan = host.settle();
    assert_eq!(plan.ports[&id(PARENT)], PortState::Up);
    assert_eq!(plan.ports[&id(SUBPORT)], PortState::Down);
}

/// Untagged frames are the parent's, those of tag 101 the subport's; any other tag leads nowhere. Their groups apply.
#[test]
fn tags_are_translated_on_a_real_switch() {
    let mut host = host();
    plug_parent(&mut host);
    let real = RealHost::new(&host);
    let taps = NEIGHBOURS.map(|port| names::tap(id(port)));
    let parent = names::tap(id(PARENT));
    let packet = |from: &str, to: &str, addresses: (u8, u8), tag: Option<u16>| {
        let tag = tag.map_or(String::new(), |tag| format!(",dl_vlan={tag},dl_vlan_pcp=0"));
        format!(
            "icmp,dl_src={},dl_dst={}{tag},nw_src=10.0.0.{},nw_dst=10.0.0.{},nw_ttl=64,icmp_type=8",
            mac_of(from),
            mac_of(to),
            addresses.0,
            addresses.1
        )
    };
    const NEW: &[&str] = &["trk,new", "trk,new"];
    let out = |from: &str, to: &str, tag| {
        let mut verdict = real.trace_on(BRIDGE, &parent, &packet(from, to, (1, 2), tag), NEW);
        // The bridge knows no address yet and floods, to its own port as well.
        verdict.ports.remove(BRIDGE);
        verdict
    };
    let untagged = out(PARENT, "b1", None);
    assert!(untagged.only(&taps[0]), "{}", untagged.trace);
    assert_eq!(untagged.tags[&taps[0]], None);
    let tagged = out(SUBPORT, "b2", Some(101));
    assert!(tagged.only(&taps[1]), "{}", tagged.trace);
    assert_eq!(tagged.tags[&taps[1]], None, "the tag is taken off");
    assert!(out(SUBPORT, "b2", Some(102)).is_dropped());
    assert!(out(SUBPORT, "b2", None).is_dropped(), "an address of the subport, without its tag, is forged");
    assert!(out(PARENT, "b2", Some(101)).is_dropped(), "and so is the parent's with it");

    // Towards the instance, as an answer, for the group lets nothing else in.
    let reply = &["trk,est,rpl", "trk,est,rpl"];
    for (tap, (from, to), tag) in [(&taps[0], ("b1", PARENT), None), (&taps[1], ("b2", SUBPORT), Some(101))] {
        let packet = packet(from, to, (2, 1), None);
        let verdict = real.trace(tap, &packet, reply);
        assert_eq!(verdict.tags.get(&parent), Some(&tag), "{}", verdict.trace);
        assert!(real.trace(tap, &packet, NEW).is_dropped(), "nothing lets strangers in");
    }
}
