//! Between the planner's values and those of OVSDB: pure.
//!
//! In: the copy of OVSDB, a plan. Out: the [`LocalState`] that is planned from, and what OVSDB should hold. What is ours
//! bears our mark; a plan is written in two strokes: before the flows what they need, and what keeps a port from its network;
//! after them what lets a port into its network, and what goes.

use super::exports;
use host_plan::{BridgePort, DEAD_VLAN, HostPlan, Interface, LocalState, Mirror, OWNER_KEY, PortKind};
use net_types::{NetworkId, PortId, VlanId};
use ovsdb::{Cache, Desired, DesiredBridge, DesiredMirror, DesiredPort, Owner, Port, PortVlan};
use std::collections::{BTreeMap, BTreeSet};

/// The highest OpenFlow number that is not reserved (`OFPP_MAX`, in the 16 bits that Open vSwitch uses).
const HIGHEST_OFPORT: u32 = 0xfeff;

/// Our mark.
pub(crate) fn owner() -> Owner {
    Owner::new(OWNER_KEY, "agent")
}

/// What the planner must know. `held` are the local VLANs of the last plan; none: those that OVSDB keeps. `begins`: interfaces whose
/// BFD session has only just begun.
pub(crate) fn local_state(
    cache: &Cache,
    held: Option<&BTreeMap<NetworkId, VlanId>>,
    begins: &BTreeSet<String>,
) -> LocalState {
    let mut interfaces = BTreeMap::new();
    for bridge in cache.bridges() {
        for port in cache.ports_of(bridge) {
            for interface in cache.interfaces_of(port) {
                let id = |key: &str| interface.external_ids.get(key);
                let bfd = |key: &str, value: &str| interface.bfd_status.get(key).is_some_and(|known| known == value);
                let known = Interface {
                    bridge: bridge.name.clone(),
                    ofport: interface
                        .ofport
                        .filter(|number| (1..=HIGHEST_OFPORT).contains(number) && !device_is_gone(interface)),
                    iface_id: id("iface-id").and_then(|id| id.parse().ok()),
                    attached_mac: id("attached-mac").and_then(|mac| mac.parse().ok()),
                    begins: begins.contains(&interface.name),
                    lives: bfd("forwarding", "true"),
                    is_impaired: bfd("state", "up") && bfd("remote_diagnostic", "Concatenated Path Down"),
                    carrier: interface
                        .link_state
                        .as_ref()
                        .filter(|_| is_a_device(interface))
                        .map(|state| state == "up"),
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

/// Whether it stands for a device of the kernel, which others make and remove.
fn is_a_device(interface: &ovsdb::Interface) -> bool {
    matches!(interface.kind.as_str(), "" | "system")
}

/// The userspace datapath keeps the OpenFlow number of a device that was removed.
fn device_is_gone(interface: &ovsdb::Interface) -> bool {
    is_a_device(interface) && interface.ifindex == Some(0)
}

/// Which device each row of OVSDB stood for when it was first seen.
///
/// The userspace datapath goes on listening to a device that was removed, also when there is a new one of the same name: such
/// a port must be taken out and put in again, and not before the switch has let go of it: of a port that it sees go and come in
/// one look it keeps the old device. The kernel's datapath needs no such help.
#[derive(Debug, Default)]
pub(super) struct Devices {
    first: BTreeMap<uuid::Uuid, (String, u32)>,
    /// Interfaces that are out of OVSDB, and the configuration (`next_cfg`) with which the switch lets go of them.
    leaving: BTreeMap<String, i64>,
}

impl Devices {
    /// Interfaces whose device is, or may be, another one than that the switch listens to.
    pub(super) fn replaced(&mut self, cache: &Cache) -> BTreeSet<String> {
        let rows: BTreeSet<uuid::Uuid> = cache.interfaces().map(|interface| interface.uuid).collect();
        let (next, current) = cache.switch().map_or((0, 0), |switch| (switch.next_cfg, switch.cur_cfg));
        let gone = self.first.extract_if(.., |row, _| !rows.contains(row));
        self.leaving.extend(gone.map(|(_, (name, _))| (name, next)));
        self.leaving.retain(|_, configuration| current < *configuration);
        let mut replaced: BTreeSet<String> = self.leaving.keys().cloned().collect();
        for interface in cache.interfaces().filter(|interface| is_a_device(interface)) {
            let Some(now) = interface.ifindex.filter(|number| *number != 0) else { continue };
            let (_, first) = self.first.entry(interface.uuid).or_insert_with(|| (interface.name.clone(), now));
            if *first != now {
                replaced.insert(interface.name.clone());
            }
        }
        replaced
    }
}

/// Where Neutron's agent keeps it, too.
fn kept_vlan(port: &Port) -> Option<(NetworkId, VlanId)> {
    let kept = &port.other_config;
    let vlan: u16 = kept.get("tag")?.parse().ok()?;
    Some((kept.get("net_uuid")?.parse().ok()?, VlanId::new(vlan).ok()?))
}

/// Ports whose device the switch cannot open, and why.
pub(super) fn broken_ports(cache: &Cache) -> BTreeMap<PortId, String> {
    let broken = cache.interfaces().filter_map(|interface| {
        let port = interface.external_ids.get("iface-id")?.parse().ok()?;
        Some((port, interface.error.clone().filter(|error| !error.is_empty())?))
    });
    broken.collect()
}

/// What OVSDB should hold. A port whose device is yet to be made (`ready` lacks it) is left out, unless it is there; one whose
/// device is gone or `replaced` is left out once, so that the next look puts it in again.
pub(crate) fn desired(
    plan: &HostPlan,
    ready: &BTreeSet<String>,
    replaced: &BTreeSet<String>,
    cache: &Cache,
) -> Desired {
    let mut desired = Desired::nothing(owner());
    let can_be = |port: &String, value: &BridgePort| match cache.interface(port) {
        _ if value.kind != PortKind::Veth => true,
        Some(interface) => !device_is_gone(interface) && !replaced.contains(port),
        None => ready.contains(port) && !replaced.contains(port),
    };
    for (name, bridge) in &plan.bridges {
        let ports = bridge.ports.iter().filter(|(port, value)| can_be(port, value));
        let wanted = DesiredBridge {
            create: bridge.ours,
            datapath_type: bridge.datapath_type.clone(),
            fail_mode: Some(bridge.fail_mode.clone()),
            protocols: bridge.protocols.clone(),
            ports: ports.map(|(port, value)| (port.clone(), desired_port(value))).collect(),
            mirrors: bridge.mirrors.iter().map(|(name, mirror)| (name.clone(), desired_mirror(mirror))).collect(),
            exports: exports::desired(&bridge.exports),
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
        .filter(|(port, _)| plan.bridges.values().all(|bridge| bridge.ports.get(*port).is_none_or(|v| can_be(port, v))))
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
        PortKind::Erspan { options } => ("erspan", options.clone()),
        PortKind::Veth => ("", BTreeMap::new()),
        PortKind::Internal => ("internal", BTreeMap::new()),
    };
    DesiredPort {
        kind: kind.to_owned(),
        options,
        bfd: port.bfd.clone(),
        external_ids: port.external_ids.clone(),
        ..DesiredPort::default()
    }
}

fn desired_mirror(mirror: &Mirror) -> DesiredMirror {
    DesiredMirror {
        select_src_port: mirror.from.clone(),
        select_dst_port: mirror.to.clone(),
        select_vlan: mirror.vlans.clone(),
        output_port: mirror.output.clone(),
    }
}

/// The part that comes before the flows: nothing goes yet, and no port that is there gets into its network.
pub(super) fn before_flows(mut desired: Desired, cache: &Cache) -> Desired {
    desired.vlans.retain(|port, vlan| vlan.tag == Some(DEAD_VLAN) || cache.port(port).is_none());
    without_removals(desired, cache)
}

/// The same with all bridges and ports of ours that are there, so that none goes yet.
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
                    bfd: interface.bfd.clone(),
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

#[cfg(test)]
mod tests {
    use super::{DEAD_VLAN, Devices, before_flows, owner};
    use ovsdb::model::Database;
    use ovsdb::{Cache, Desired, PortVlan, Row, RowChange, RowUpdate, Update, Value};
    use uuid::Uuid;

    const SWITCH: Uuid = Uuid::from_u128(1);

    fn tell(cache: &mut Cache, table: &str, uuid: Uuid, change: RowChange) {
        let updates = vec![RowUpdate { table: table.into(), uuid, change }];
        cache.apply(Update { continues: true, last_transaction: None, updates }).unwrap();
    }

    fn row<const N: usize>(columns: [(&str, Value); N]) -> Row {
        columns.into_iter().map(|(column, value)| (column.to_owned(), value)).collect()
    }

    fn plug(cache: &mut Cache, uuid: Uuid, ifindex: i64) {
        let columns = [("name", "tap1".into()), ("type", "".into()), ("ifindex", ifindex.into())];
        tell(cache, "Interface", uuid, RowChange::Set(row(columns)));
    }

    #[test]
    fn no_port_gets_into_its_network_before_its_flows() {
        let mut cache = Cache::new(Database::open_vswitch().schema().clone());
        for (uuid, name) in [(5, "tap1"), (6, "tap2")] {
            tell(&mut cache, "Port", Uuid::from_u128(uuid), RowChange::Set(row([("name", name.into())])));
        }
        let tags = [("tap1", 7), ("tap2", DEAD_VLAN), ("tap-of-ours", 7)];
        let vlans = tags.map(|(port, tag)| (port.to_owned(), PortVlan { tag: Some(tag), ..PortVlan::default() }));
        let desired = Desired { vlans: vlans.into(), ..Desired::nothing(owner()) };
        let first: Vec<String> = before_flows(desired, &cache).vlans.into_keys().collect();
        // What has no number yet can have no flows.
        assert_eq!(first, ["tap-of-ours", "tap2"]);
    }

    #[test]
    fn a_port_comes_back_only_when_the_switch_has_let_go_of_it() {
        let mut cache = Cache::new(Database::open_vswitch().schema().clone());
        let mut devices = Devices::default();
        let configured = |cache: &mut Cache, next: i64, current: i64| {
            let counters = row([("next_cfg", next.into()), ("cur_cfg", current.into())]);
            tell(cache, "Open_vSwitch", SWITCH, RowChange::Set(counters));
        };
        let (first, second) = (Uuid::from_u128(7), Uuid::from_u128(8));
        configured(&mut cache, 3, 3);
        plug(&mut cache, first, 10);
        assert!(devices.replaced(&cache).is_empty());
        plug(&mut cache, first, 11);
        assert!(devices.replaced(&cache).contains("tap1"), "another device of the same name");
        tell(&mut cache, "Interface", first, RowChange::Deleted);
        configured(&mut cache, 4, 3);
        assert!(devices.replaced(&cache).contains("tap1"), "the switch may still have it");
        configured(&mut cache, 5, 4);
        assert!(devices.replaced(&cache).is_empty());
        plug(&mut cache, second, 11);
        assert!(devices.replaced(&cache).is_empty());
    }
}
