//! Between the planner's values and those of OVSDB: pure.
//!
//! In: the copy of OVSDB, a plan. Out: the [`LocalState`] that is planned from, and what OVSDB should hold. What is ours
//! bears our mark; a plan is written in two strokes, so that what goes does so after the flows that lead to it.

use host_plan::{BridgePort, DEAD_VLAN, HostPlan, Interface, LocalState, OWNER_KEY, PortKind};
use net_types::{NetworkId, VlanId};
use ovsdb::{Cache, Desired, DesiredBridge, DesiredPort, Owner, Port, PortVlan};
use std::collections::{BTreeMap, BTreeSet};

/// The highest OpenFlow number that is not reserved (`OFPP_MAX`, in the 16 bits that Open vSwitch uses).
const HIGHEST_OFPORT: u32 = 0xfeff;

/// Our mark.
pub(crate) fn owner() -> Owner {
    Owner::new(OWNER_KEY, "agent")
}

/// What the planner must know. `held` are the local VLANs of the last plan; none: those that OVSDB keeps.
pub(crate) fn local_state(cache: &Cache, held: Option<&BTreeMap<NetworkId, VlanId>>) -> LocalState {
    let mut interfaces = BTreeMap::new();
    for bridge in cache.bridges() {
        for port in cache.ports_of(bridge) {
            for interface in cache.interfaces_of(port) {
                let id = |key: &str| interface.external_ids.get(key);
                let known = Interface {
                    bridge: bridge.name.clone(),
                    ofport: interface.ofport.filter(|number| (1..=HIGHEST_OFPORT).contains(number)),
                    iface_id: id("iface-id").and_then(|id| id.parse().ok()),
                    attached_mac: id("attached-mac").and_then(|mac| mac.parse().ok()),
                };
                interfaces.insert(interface.name.clone(), known);
            }
        }
    }
    LocalState {
        interfaces,
        bridges: cache.bridges().map(|bridge| bridge.name.clone()).collect(),
        local_vlans: held.cloned().unwrap_or_else(|| cache.ports().filter_map(kept_vlan).collect()),
    }
}

/// Where Neutron's agent keeps it, too.
fn kept_vlan(port: &Port) -> Option<(NetworkId, VlanId)> {
    let kept = &port.other_config;
    let vlan: u16 = kept.get("tag")?.parse().ok()?;
    Some((kept.get("net_uuid")?.parse().ok()?, VlanId::new(vlan).ok()?))
}

/// What OVSDB should hold. A port whose device is yet to be made (`ready` lacks it) is left out, unless it is there.
pub(crate) fn desired(plan: &HostPlan, ready: &BTreeSet<String>, cache: &Cache) -> Desired {
    let mut desired = Desired::nothing(owner());
    for (name, bridge) in &plan.bridges {
        let can_be = |port: &String, value: &BridgePort| {
            value.kind != PortKind::Veth || ready.contains(port) || cache.port(port).is_some()
        };
        let ports = bridge.ports.iter().filter(|(port, value)| can_be(port, value));
        let wanted = DesiredBridge {
            create: bridge.ours,
            datapath_type: bridge.datapath_type.clone(),
            fail_mode: Some(bridge.fail_mode.clone()),
            protocols: bridge.protocols.clone(),
            ports: ports.map(|(port, value)| (port.clone(), desired_port(value))).collect(),
            ..DesiredBridge::default()
        };
        desired.bridges.insert(name.clone(), wanted);
    }
    if let Some(endpoint) = &plan.endpoint {
        let bridge = desired.bridges.entry(endpoint.device.clone()).or_default();
        bridge.hwaddr = endpoint.mac.map(|mac| mac.to_string());
    }
    desired.vlans = plan
        .tags
        .iter()
        .map(|(port, tag)| {
            let trunks = if tag.tag == DEAD_VLAN { [DEAD_VLAN].into() } else { BTreeSet::new() };
            (port.clone(), PortVlan { tag: Some(tag.tag), trunks, other_config: tag.other_config.clone() })
        })
        .collect();
    desired
}

fn desired_port(port: &BridgePort) -> DesiredPort {
    let (kind, options) = match &port.kind {
        PortKind::Patch { peer } => ("patch", [("peer".to_owned(), peer.clone())].into()),
        PortKind::Tunnel { tunnel, options } => (tunnel.as_str(), options.clone()),
        PortKind::Veth => ("", BTreeMap::new()),
        PortKind::Internal => ("internal", BTreeMap::new()),
    };
    DesiredPort { kind: kind.to_owned(), options, external_ids: port.external_ids.clone(), ..DesiredPort::default() }
}

/// The same with everything of ours that is there, so that nothing goes yet.
pub(super) fn without_removals(mut desired: Desired, cache: &Cache) -> Desired {
    let wanted: BTreeSet<String> = desired.bridges.values().flat_map(|bridge| bridge.ports.keys().cloned()).collect();
    for bridge in cache.bridges() {
        let ports = cache.ports_of(bridge).filter(|port| {
            desired.owner.owns(&port.external_ids) && !wanted.contains(&port.name) && port.name != bridge.name
        });
        let kept: BTreeMap<String, DesiredPort> = ports
            .filter_map(|port| {
                let interface = cache.interfaces_of(port).find(|interface| interface.name == port.name)?;
                let as_it_is = DesiredPort {
                    kind: interface.kind.clone(),
                    options: interface.options.clone(),
                    external_ids: interface.external_ids.clone(),
                    ..DesiredPort::default()
                };
                Some((port.name.clone(), as_it_is))
            })
            .collect();
        if !kept.is_empty() || desired.owner.owns(&bridge.external_ids) {
            desired.bridges.entry(bridge.name.clone()).or_default().ports.extend(kept);
        }
    }
    desired
}
