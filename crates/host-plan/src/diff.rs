//! From the host as it is to the host as it shall be: ordered actions, only for what differs.
//!
//! ```text
//!  1 stop     services, ports, devices, namespaces that go
//!  2 make     namespaces, bridges, veth pairs, ports, tags, internal devices, routes, packet filters
//!  3 tunnels  endpoint address, neighbours
//!  4 flows    meters that come, the difference per bridge, meters that go; then bridges that go
//!  5 serve    DHCP and the other services of the namespaces
//!  6 moments  connections to forget, addresses to announce: they happen once, when something changes, and leave no trace
//! ```
//! In: two [`HostPlan`]s; the first may be the plan that was applied last, or one filled from what the drivers read back.
//! Out: [`Action`]s. Laws: applying `diff(a, b)` to `a` gives the host of `b`, and then a second difference is empty. What is
//! only said about the host (`local_vlans`, `ports`, `errors`) is not compared.

use crate::FLOW_OWNER;
use crate::host_plan::{Attachment, Bridge, BridgePort, Device, Endpoint, HostPlan, Namespace, PortTag, Route};
use crate::router::{Forwarded, floating_ips_in};
use crate::services::NamespaceServices;
use net_types::{MacAddr, NetworkId, VlanId};
use openflow::{FlowDiff, Meter};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One step. Each may be repeated without harm; names are those of the plan's maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[allow(missing_docs)] // fields are named and documented in the plan's own types
pub enum Action {
    /// Nothing answers in the namespace any more.
    StopServices { namespace: String },
    /// Out of OVSDB.
    DeletePort { bridge: String, port: String },
    /// Out of the namespace; the other end of a veth pair goes with it.
    DeleteDevice { namespace: String, device: String },
    /// With everything that is still in it.
    DeleteNamespace { namespace: String },
    /// Makes it if need be, brings its loopback up and sets its parameters.
    SetNamespace { namespace: String, sysctls: BTreeMap<String, String> },
    /// Makes it if need be and sets its columns; its ports follow by themselves.
    SetBridge { bridge: String, columns: Box<Bridge> },
    /// Makes the device if need be, and gives it everything that the value says, and no other address.
    SetDevice { namespace: String, device: String, value: Box<Device> },
    /// Into OVSDB.
    SetPort { bridge: String, port: String, value: BridgePort },
    /// Into OVSDB; the port is there.
    SetTag { port: String, value: PortTag },
    /// The port has gone, or is nobody's any more: nothing is left to do on the host.
    ForgetTag { port: String },
    /// Out of the namespace's main table.
    DeleteRoute { namespace: String, route: Route },
    /// Into the namespace's main table.
    SetRoute { namespace: String, route: Route },
    /// Removes the table.
    DeleteTable { namespace: String, table: nft_rules::Table },
    /// Makes or replaces the table in one transaction.
    SetTable { namespace: String, table: nft_rules::Table },
    /// Sets the tunnel endpoint's address, or leaves it to others.
    SetEndpoint { endpoint: Option<Endpoint> },
    /// `tnl/neigh/set`.
    SetNeighbour { address: IpAddr, mac: MacAddr },
    /// The peer has gone; the switch forgets by itself.
    ForgetNeighbour { address: IpAddr },
    /// Makes the meter or gives it another rate; before the flows that refer to it.
    SetMeter { bridge: String, id: u32, meter: Meter },
    /// Removes the meter, once no flow refers to it.
    DeleteMeter { bridge: String, id: u32 },
    /// One bundle per bridge.
    ChangeFlows {
        bridge: String,
        #[serde(serialize_with = "flow_counts")]
        change: FlowDiff,
    },
    /// A bridge of ours, with its ports.
    DeleteBridge { bridge: String },
    /// Starts and stops servers, or changes what they answer.
    Serve { namespace: String, services: Box<NamespaceServices> },
    /// A local VLAN has left its network: the connections of its zone must not be taken for those of the next one.
    FlushZone { zone: VlanId },
    /// Connections through a floating IP that has gone.
    ForgetFloatingIp { namespace: String, floating: IpAddr, fixed: IpAddr },
    /// Connections through ports of a floating IP that lead elsewhere now, or nowhere.
    ForgetForwardings { namespace: String, floating: IpAddr },
    /// Gratuitous ARP, or an unsolicited neighbour advertisement.
    Announce { namespace: String, device: String, mac: MacAddr, address: IpAddr },
}

/// The order of the steps is that of [`Action`]'s variants, but for devices, whose place depends on how they are attached.
pub fn diff(old: &HostPlan, new: &HostPlan) -> Vec<Action> {
    let mut steps = Steps::default();
    steps.services(old, new);
    steps.bridges(old, new);
    steps.tags(old, new);
    steps.namespaces(old, new);
    steps.tunnels(old, new);
    steps.flows(old, new);
    steps.zones(old, new);
    steps.actions.sort_by_key(|(order, _)| *order);
    steps.actions.into_iter().map(|(_, action)| action).collect()
}

#[derive(Default)]
struct Steps {
    actions: Vec<(u8, Action)>,
}

/// Keys that only `old` has.
fn gone<'a, K: Ord, V>(old: &'a BTreeMap<K, V>, new: &'a BTreeMap<K, V>) -> impl Iterator<Item = (&'a K, &'a V)> {
    old.iter().filter(|(key, _)| !new.contains_key(*key))
}

/// Entries that `old` lacks or has otherwise.
fn changed<'a, K: Ord, V: PartialEq>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    new.iter().filter(|(key, value)| old.get(*key) != Some(*value))
}

impl Steps {
    fn push(&mut self, action: Action) {
        let order = match &action {
            Action::StopServices { .. } => 0,
            Action::DeletePort { .. } => 1,
            Action::DeleteDevice { .. } => 2,
            Action::DeleteNamespace { .. } => 3,
            Action::SetNamespace { .. } => 4,
            Action::SetBridge { .. } => 5,
            Action::SetDevice { value, .. } if value.attachment == Attachment::Veth => 6,
            Action::SetPort { .. } => 7,
            Action::SetTag { .. } | Action::ForgetTag { .. } => 8,
            Action::SetDevice { .. } => 9,
            Action::DeleteRoute { .. } => 10,
            Action::SetRoute { .. } => 11,
            Action::DeleteTable { .. } => 12,
            Action::SetTable { .. } => 13,
            Action::SetEndpoint { .. } => 14,
            Action::SetNeighbour { .. } | Action::ForgetNeighbour { .. } | Action::SetMeter { .. } => 15,
            Action::ChangeFlows { .. } => 16,
            Action::DeleteMeter { .. } | Action::DeleteBridge { .. } => 17,
            Action::Serve { .. } => 18,
            Action::FlushZone { .. } | Action::ForgetFloatingIp { .. } | Action::ForgetForwardings { .. } => 19,
            Action::Announce { .. } => 20,
        };
        self.actions.push((order, action));
    }

    fn services(&mut self, old: &HostPlan, new: &HostPlan) {
        for (namespace, _) in gone(&old.services, &new.services) {
            self.push(Action::StopServices { namespace: namespace.clone() });
        }
        for (namespace, services) in changed(&old.services, &new.services) {
            self.push(Action::Serve { namespace: namespace.clone(), services: Box::new(services.clone()) });
        }
    }

    fn bridges(&mut self, old: &HostPlan, new: &HostPlan) {
        let none = BTreeMap::new();
        for (name, bridge) in &new.bridges {
            let before = old.bridges.get(name);
            let columns = Bridge { ports: BTreeMap::new(), ..bridge.clone() };
            if before.is_none_or(|before| columns != Bridge { ports: BTreeMap::new(), ..before.clone() }) {
                self.push(Action::SetBridge { bridge: name.clone(), columns: Box::new(columns) });
            }
            let ports = before.map_or(&none, |before| &before.ports);
            for (port, _) in gone(ports, &bridge.ports) {
                self.push(Action::DeletePort { bridge: name.clone(), port: port.clone() });
            }
            for (port, value) in changed(ports, &bridge.ports) {
                self.push(Action::SetPort { bridge: name.clone(), port: port.clone(), value: value.clone() });
            }
        }
        for (name, bridge) in gone(&old.bridges, &new.bridges) {
            for port in bridge.ports.keys().filter(|_| !bridge.ours) {
                self.push(Action::DeletePort { bridge: name.clone(), port: port.clone() });
            }
            if bridge.ours {
                self.push(Action::DeleteBridge { bridge: name.clone() });
            }
        }
    }

    fn tags(&mut self, old: &HostPlan, new: &HostPlan) {
        for (port, _) in gone(&old.tags, &new.tags) {
            self.push(Action::ForgetTag { port: port.clone() });
        }
        for (port, value) in changed(&old.tags, &new.tags) {
            self.push(Action::SetTag { port: port.clone(), value: value.clone() });
        }
    }

    fn namespaces(&mut self, old: &HostPlan, new: &HostPlan) {
        let none = Namespace::default();
        for (name, namespace) in &new.namespaces {
            let before = old.namespaces.get(name);
            if before.is_none_or(|before| before.sysctls != namespace.sysctls) {
                self.push(Action::SetNamespace { namespace: name.clone(), sysctls: namespace.sysctls.clone() });
            }
            self.inside(name, before.unwrap_or(&none), namespace);
        }
        for (name, _) in gone(&old.namespaces, &new.namespaces) {
            // Its devices, routes, tables and connections go with it.
            self.push(Action::DeleteNamespace { namespace: name.clone() });
        }
    }

    fn inside(&mut self, name: &str, old: &Namespace, new: &Namespace) {
        let namespace = || name.to_owned();
        for (device, _) in gone(&old.devices, &new.devices) {
            self.push(Action::DeleteDevice { namespace: namespace(), device: device.clone() });
        }
        for (device, value) in changed(&old.devices, &new.devices) {
            self.push(Action::SetDevice {
                namespace: namespace(),
                device: device.clone(),
                value: Box::new(value.clone()),
            });
            let known = old.devices.get(device).filter(|before| before.mac == value.mac && before.announce);
            let addresses = value.addresses.iter().map(|net| net.addr()).filter(|_| value.announce);
            let before: BTreeSet<_> = known.iter().flat_map(|known| &known.addresses).map(|net| net.addr()).collect();
            for address in addresses.filter(|address| !before.contains(address)) {
                let (device, mac) = (device.clone(), value.mac);
                self.push(Action::Announce { namespace: namespace(), device, mac, address });
            }
        }
        for route in old.routes.difference(&new.routes) {
            self.push(Action::DeleteRoute { namespace: namespace(), route: route.clone() });
        }
        for route in new.routes.difference(&old.routes) {
            self.push(Action::SetRoute { namespace: namespace(), route: route.clone() });
        }
        let named = |tables: &[nft_rules::Table]| -> BTreeMap<_, _> {
            tables.iter().map(|table| ((table.family, table.name.clone()), table.clone())).collect()
        };
        let (before, after) = (named(&old.nft), named(&new.nft));
        for (_, table) in gone(&before, &after) {
            self.push(Action::DeleteTable { namespace: namespace(), table: table.clone() });
        }
        for (_, table) in changed(&before, &after) {
            self.push(Action::SetTable { namespace: namespace(), table: table.clone() });
        }
        for floating in Forwarded::of(&old.nft).moved(&Forwarded::of(&new.nft)) {
            self.push(Action::ForgetForwardings { namespace: namespace(), floating });
        }
        for (floating, fixed) in &old.floating_ips {
            if new.floating_ips.get(floating) != Some(fixed) {
                let (floating, fixed) = (*floating, *fixed);
                self.push(Action::ForgetFloatingIp { namespace: namespace(), floating, fixed });
            }
        }
    }

    fn tunnels(&mut self, old: &HostPlan, new: &HostPlan) {
        if old.endpoint != new.endpoint {
            self.push(Action::SetEndpoint { endpoint: new.endpoint.clone() });
        }
        for (address, _) in gone(&old.tunnel_neighbours, &new.tunnel_neighbours) {
            self.push(Action::ForgetNeighbour { address: *address });
        }
        for (address, mac) in changed(&old.tunnel_neighbours, &new.tunnel_neighbours) {
            self.push(Action::SetNeighbour { address: *address, mac: *mac });
        }
    }

    fn flows(&mut self, old: &HostPlan, new: &HostPlan) {
        let bridges: BTreeSet<_> = old.flows.keys().chain(new.flows.keys()).collect();
        self.meters(old, new);
        for bridge in bridges {
            let none = vec![];
            let (before, after) = (old.flows.get(bridge).unwrap_or(&none), new.flows.get(bridge).unwrap_or(&none));
            let change = openflow::diff(before, after, FLOW_OWNER);
            // Flows of a bridge that goes, go with it.
            let goes = old.bridges.get(bridge).is_some_and(|before| before.ours) && !new.bridges.contains_key(bridge);
            if !change.is_empty() && !goes {
                self.push(Action::ChangeFlows { bridge: bridge.clone(), change });
            }
        }
    }

    fn meters(&mut self, old: &HostPlan, new: &HostPlan) {
        let none = BTreeMap::new();
        for bridge in new.bridges.keys() {
            let (old, new) = (old.meters.get(bridge).unwrap_or(&none), new.meters.get(bridge).unwrap_or(&none));
            for (id, meter) in changed(old, new) {
                self.push(Action::SetMeter { bridge: bridge.clone(), id: *id, meter: *meter });
            }
            for (id, _) in gone(old, new) {
                self.push(Action::DeleteMeter { bridge: bridge.clone(), id: *id });
            }
        }
    }

    fn zones(&mut self, old: &HostPlan, new: &HostPlan) {
        let owner: BTreeMap<VlanId, NetworkId> = new.local_vlans.iter().map(|(id, vlan)| (*vlan, *id)).collect();
        for (network, vlan) in &old.local_vlans {
            if owner.get(vlan) != Some(network) {
                self.push(Action::FlushZone { zone: *vlan });
            }
        }
    }
}

/// In a printed plan the number of flows says enough; the flows themselves stand in the plan.
fn flow_counts<S: serde::Serializer>(change: &FlowDiff, serializer: S) -> Result<S::Ok, S::Error> {
    let counts =
        BTreeMap::from([("add", change.add.len()), ("modify", change.modify.len()), ("delete", change.delete.len())]);
    serializer.collect_map(counts)
}

impl HostPlan {
    /// What the host is after an action: the action's meaning, as a value. Moments leave no trace in it.
    pub fn apply(&mut self, action: &Action) {
        match action.clone() {
            Action::StopServices { namespace } => drop(self.services.remove(&namespace)),
            Action::Serve { namespace, services } => drop(self.services.insert(namespace, *services)),
            Action::SetBridge { bridge, columns } => {
                let ports = self.bridges.remove(&bridge).map(|before| before.ports).unwrap_or_default();
                self.bridges.insert(bridge, Bridge { ports, ..*columns });
            }
            Action::DeleteBridge { bridge } => {
                self.bridges.remove(&bridge);
                self.flows.remove(&bridge);
                self.meters.remove(&bridge);
            }
            Action::SetPort { bridge, port, value } => {
                if let Some(bridge) = self.bridges.get_mut(&bridge) {
                    bridge.ports.insert(port, value);
                }
            }
            Action::DeletePort { bridge, port } => {
                if let Some(bridge) = self.bridges.get_mut(&bridge) {
                    bridge.ports.remove(&port);
                }
                // A bridge that is not ours and has no port of ours is none of our business.
                self.bridges.retain(|_, bridge| bridge.ours || !bridge.ports.is_empty());
            }
            Action::SetTag { port, value } => drop(self.tags.insert(port, value)),
            Action::ForgetTag { port } => drop(self.tags.remove(&port)),
            Action::SetNamespace { namespace, sysctls } => {
                self.namespaces.entry(namespace).or_default().sysctls = sysctls;
            }
            Action::DeleteNamespace { namespace } => drop(self.namespaces.remove(&namespace)),
            Action::SetDevice { namespace, device, value } => {
                self.inside(namespace, |inside| inside.devices.insert(device, *value));
            }
            Action::DeleteDevice { namespace, device } => {
                self.inside(namespace, |inside| inside.devices.remove(&device));
            }
            Action::SetRoute { namespace, route } => {
                self.inside(namespace, |inside| inside.routes.insert(route));
            }
            Action::DeleteRoute { namespace, route } => {
                self.inside(namespace, |inside| inside.routes.remove(&route));
            }
            Action::SetTable { namespace, table } => self.inside(namespace, |inside| {
                inside.nft.retain(|known| (known.family, &known.name) != (table.family, &table.name));
                inside.nft.push(table);
                inside.nft.sort_by(|a, b| (a.family, &a.name).cmp(&(b.family, &b.name)));
                inside.floating_ips = floating_ips_in(&inside.nft);
            }),
            Action::DeleteTable { namespace, table } => self.inside(namespace, |inside| {
                inside.nft.retain(|known| (known.family, &known.name) != (table.family, &table.name));
                inside.floating_ips = floating_ips_in(&inside.nft);
            }),
            Action::SetEndpoint { endpoint } => self.endpoint = endpoint,
            Action::SetNeighbour { address, mac } => drop(self.tunnel_neighbours.insert(address, mac)),
            Action::ForgetNeighbour { address } => drop(self.tunnel_neighbours.remove(&address)),
            Action::SetMeter { bridge, id, meter } => {
                self.meters.entry(bridge).or_default().insert(id, meter);
            }
            Action::DeleteMeter { bridge, id } => {
                self.meters.entry(bridge).or_default().remove(&id);
                self.meters.retain(|_, meters| !meters.is_empty());
            }
            Action::ChangeFlows { bridge, change } => {
                let flows = openflow::apply(self.flows.get(&bridge).map_or(&[], Vec::as_slice), &change);
                self.flows.insert(bridge, flows);
                self.flows.retain(|_, flows| !flows.is_empty());
            }
            Action::FlushZone { .. }
            | Action::ForgetFloatingIp { .. }
            | Action::ForgetForwardings { .. }
            | Action::Announce { .. } => {}
        }
    }

    fn inside<T>(&mut self, namespace: String, change: impl FnOnce(&mut Namespace) -> T) {
        change(self.namespaces.entry(namespace).or_default());
    }
}
