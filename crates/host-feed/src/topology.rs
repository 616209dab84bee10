//! Everything that decides what hosts must realise, held in memory, with the indexes that make one change cheap.
//!
//! In: [`RowChange`]s, one at a time. Out: look-ups for `compute` and `affected`. Pure: who reads the rows
//! from the store is `load`.

use crate::election;
use crate::row::{
    FloatingIpRow, HostRow, MeteringLabelRow, NetworkRow, PortRow, RouterHosts, RouterRow, RowChange, TapServiceRow,
    TrunkRow,
};
use host_view::{PortQos, SecurityGroup, Subnet, TapMirror};
use net_types::{
    FloatingIpId, IpNet, MeteringLabelId, NetworkId, PortId, RouterId, SecurityGroupId, SubnetId, TrunkId,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// All rows that matter, and their indexes.
#[derive(Debug, Default)]
pub struct Topology {
    networks: BTreeMap<NetworkId, NetworkRow>,
    subnets: BTreeMap<SubnetId, Subnet>,
    ports: BTreeMap<PortId, PortRow>,
    groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    address_groups: BTreeMap<SecurityGroupId, BTreeSet<IpNet>>,
    routers: BTreeMap<RouterId, RouterRow>,
    floating_ips: BTreeMap<FloatingIpId, FloatingIpRow>,
    qos_policies: BTreeMap<Uuid, PortQos>,
    metering_labels: BTreeMap<MeteringLabelId, MeteringLabelRow>,
    trunks: BTreeMap<TrunkId, TrunkRow>,
    tap_services: BTreeMap<Uuid, TapServiceRow>,
    tap_mirrors: BTreeMap<Uuid, TapMirror>,
    hosts: BTreeMap<String, HostRow>,
    dhcp_hosts: Index<NetworkId, String>,
    router_hosts: BTreeMap<RouterId, RouterHosts>,

    ports_with_policy: Index<Uuid, PortId>,
    networks_with_policy: Index<Uuid, NetworkId>,
    routers_with_policy: Index<Uuid, RouterId>,
    floating_ips_with_policy: Index<Uuid, FloatingIpId>,
    trunks_of_port: Index<PortId, TrunkId>,
    tap_services_of_port: Index<PortId, Uuid>,
    tap_mirrors_of_port: Index<PortId, Uuid>,
    subnets_of_network: Index<NetworkId, SubnetId>,
    ports_of_network: Index<NetworkId, PortId>,
    ports_of_host: Index<String, PortId>,
    ports_of_group: Index<SecurityGroupId, PortId>,
    ports_of_router: Index<RouterId, PortId>,
    floating_ips_of_router: Index<RouterId, FloatingIpId>,
    networks_of_dhcp_host: Index<String, NetworkId>,
    routers_of_host: Index<String, RouterId>,
    routers_of_network: Tally<NetworkId, RouterId>,
    candidate_groups: BTreeMap<Vec<String>, usize>,
    groups_that_refer_to: Index<SecurityGroupId, SecurityGroupId>,
    hosts_of_network: Tally<NetworkId>,
    hosts_of_group: Tally<SecurityGroupId>,
}

/// Keys to sets of values; keys without values are not kept.
#[derive(Debug)]
struct Index<K, V>(BTreeMap<K, BTreeSet<V>>);

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Index<K, V> {
    fn insert(&mut self, key: &K, value: &V) {
        self.0.entry(key.clone()).or_default().insert(value.clone());
    }

    fn remove<Q: Ord + ?Sized>(&mut self, key: &Q, value: &V)
    where
        K: std::borrow::Borrow<Q>,
    {
        if let Some(values) = self.0.get_mut(key) {
            values.remove(value);
            if values.is_empty() {
                self.0.remove(key);
            }
        }
    }

    fn of<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = &V> + use<'_, K, V, Q>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.get(key).into_iter().flatten()
    }

    /// Replaces the set of `key`; answers whether it differed.
    fn replace(&mut self, key: &K, values: BTreeSet<V>) -> bool {
        if self.0.get(key).map_or(values.is_empty(), |old| *old == values) {
            return false;
        }
        if values.is_empty() {
            self.0.remove(key);
        } else {
            self.0.insert(key.clone(), values);
        }
        true
    }
}

/// On how many ports each host has a share in each key, so that "which hosts" needs no look at the ports.
#[derive(Debug)]
struct Tally<K, V = String>(BTreeMap<K, BTreeMap<V, usize>>);

impl<K, V> Default for Tally<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V: Ord> Tally<K, V> {
    fn add<Q: Ord + ToOwned<Owned = V> + ?Sized>(&mut self, key: &K, host: &Q) {
        *self.0.entry(key.clone()).or_default().entry(host.to_owned()).or_default() += 1;
    }

    fn take<Q: Ord + ?Sized>(&mut self, key: &K, host: &Q)
    where
        V: std::borrow::Borrow<Q>,
    {
        let Some(hosts) = self.0.get_mut(key) else { return };
        match hosts.get_mut(host) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(hosts.remove(host)),
        }
        if hosts.is_empty() {
            self.0.remove(key);
        }
    }

    fn of(&self, key: &K) -> impl Iterator<Item = &V> + use<'_, K, V> {
        self.0.get(key).into_iter().flat_map(BTreeMap::keys)
    }
}

impl Topology {
    /// A network.
    pub fn network(&self, id: &NetworkId) -> Option<&NetworkRow> {
        self.networks.get(id)
    }

    /// A subnet.
    pub fn subnet(&self, id: &SubnetId) -> Option<&Subnet> {
        self.subnets.get(id)
    }

    /// A port.
    pub fn port(&self, id: &PortId) -> Option<&PortRow> {
        self.ports.get(id)
    }

    /// A group.
    pub fn group(&self, id: &SecurityGroupId) -> Option<&SecurityGroup> {
        self.groups.get(id)
    }

    /// A router.
    pub fn router(&self, id: &RouterId) -> Option<&RouterRow> {
        self.routers.get(id)
    }

    /// A floating IP.
    pub fn floating_ip(&self, id: &FloatingIpId) -> Option<&FloatingIpRow> {
        self.floating_ips.get(id)
    }

    /// What limits and marks a port: its own policy, or its network's unless it is one of the network's own ports.
    pub fn qos_of(&self, port: &PortRow) -> Option<&PortQos> {
        let networks_own = port.device_owner.starts_with("network:") || port.device_owner.starts_with("neutron:");
        let inherited = || self.networks.get(&port.network).filter(|_| !networks_own)?.qos_policy;
        self.qos_policies.get(&port.qos_policy.or_else(inherited)?)
    }

    /// A QoS policy's rules.
    pub fn qos_policy(&self, id: &Uuid) -> Option<&PortQos> {
        self.qos_policies.get(id)
    }

    /// Routers whose gateway, or a floating IP of whom, has this policy.
    pub fn routers_with_policy(&self, policy: &Uuid) -> impl Iterator<Item = RouterId> {
        let floating = self.floating_ips_with_policy.of(policy).filter_map(|id| self.floating_ips.get(id)?.router);
        self.routers_with_policy.of(policy).copied().chain(floating)
    }

    /// Ports that have this policy themselves.
    pub fn ports_with_policy(&self, policy: &Uuid) -> impl Iterator<Item = &PortRow> {
        self.ports_with_policy.of(policy).filter_map(|id| self.ports.get(id))
    }

    /// Networks that have this policy.
    pub fn networks_with_policy(&self, policy: &Uuid) -> impl Iterator<Item = &NetworkId> {
        self.networks_with_policy.of(policy)
    }

    /// A trunk.
    pub fn trunk(&self, id: &TrunkId) -> Option<&TrunkRow> {
        self.trunks.get(id)
    }

    /// The trunk that a port is in: as its parent, or as a subport.
    pub fn trunk_of(&self, port: &PortId) -> Option<(&TrunkId, &TrunkRow)> {
        self.trunks_of_port.of(port).find_map(|id| self.trunks.get_key_value(id))
    }

    /// A tap service.
    pub fn tap_service(&self, id: &Uuid) -> Option<&TapServiceRow> {
        self.tap_services.get(id)
    }

    /// Tap services that a port has a part in: copies come to it, or it is mirrored.
    pub fn tap_services_of(&self, port: &PortId) -> impl Iterator<Item = (&Uuid, &TapServiceRow)> {
        self.tap_services_of_port.of(port).filter_map(|id| self.tap_services.get_key_value(id))
    }

    /// A tap mirror.
    pub fn tap_mirror(&self, id: &Uuid) -> Option<&TapMirror> {
        self.tap_mirrors.get(id)
    }

    /// Tap mirrors of a port.
    pub fn tap_mirrors_of(&self, port: &PortId) -> impl Iterator<Item = (&Uuid, &TapMirror)> {
        self.tap_mirrors_of_port.of(port).filter_map(|id| self.tap_mirrors.get_key_value(id))
    }

    /// A metering label.
    pub fn metering_label(&self, id: &MeteringLabelId) -> Option<&MeteringLabelRow> {
        self.metering_labels.get(id)
    }

    /// All metering labels; there are few.
    pub fn metering_labels(&self) -> impl Iterator<Item = (&MeteringLabelId, &MeteringLabelRow)> {
        self.metering_labels.iter()
    }

    /// All routers.
    pub fn routers(&self) -> impl Iterator<Item = (&RouterId, &RouterRow)> {
        self.routers.iter()
    }

    /// A host that has an agent.
    pub fn host(&self, name: &str) -> Option<&HostRow> {
        self.hosts.get(name)
    }

    /// All hosts that have an agent.
    pub fn hosts(&self) -> impl Iterator<Item = (&String, &HostRow)> {
        self.hosts.iter()
    }

    /// Subnets of a network.
    pub fn subnets_of(&self, network: &NetworkId) -> impl Iterator<Item = (&SubnetId, &Subnet)> {
        self.subnets_of_network.of(network).filter_map(|id| self.subnets.get_key_value(id))
    }

    /// Ports of a network.
    pub fn ports_of_network(&self, network: &NetworkId) -> impl Iterator<Item = (&PortId, &PortRow)> {
        self.ports_of_network.of(network).filter_map(|id| self.ports.get_key_value(id))
    }

    /// Ports bound to a host.
    pub fn ports_of_host(&self, host: &str) -> impl Iterator<Item = (&PortId, &PortRow)> {
        self.ports_of_host.of(host).filter_map(|id| self.ports.get_key_value(id))
    }

    /// Ports in a group.
    pub fn ports_of_group(&self, group: &SecurityGroupId) -> impl Iterator<Item = (&PortId, &PortRow)> {
        self.ports_of_group.of(group).filter_map(|id| self.ports.get_key_value(id))
    }

    /// A router's ports, gateway included.
    pub fn ports_of_router(&self, router: &RouterId) -> impl Iterator<Item = (&PortId, &PortRow)> {
        self.ports_of_router.of(router).filter_map(|id| self.ports.get_key_value(id))
    }

    /// Floating IPs that a router realises.
    pub fn floating_ips_of_router(&self, router: &RouterId) -> impl Iterator<Item = (&FloatingIpId, &FloatingIpRow)> {
        self.floating_ips_of_router.of(router).filter_map(|id| self.floating_ips.get_key_value(id))
    }

    /// Hosts that ports of a network are bound to.
    pub fn hosts_of_network(&self, network: &NetworkId) -> impl Iterator<Item = &String> {
        self.hosts_of_network.of(network)
    }

    /// Hosts that ports in a group are bound to.
    pub fn hosts_of_group(&self, group: &SecurityGroupId) -> impl Iterator<Item = &String> {
        self.hosts_of_group.of(group)
    }

    /// Hosts whose DHCP agents serve a network.
    pub fn dhcp_hosts(&self, network: &NetworkId) -> impl Iterator<Item = &String> {
        self.dhcp_hosts.of(network)
    }

    /// Networks that a host's DHCP agent serves.
    pub fn networks_of_dhcp_host(&self, host: &str) -> impl Iterator<Item = &NetworkId> {
        self.networks_of_dhcp_host.of(host)
    }

    /// Hosts that a router lives on: all that elect who is active, or the one where it is.
    pub fn router_hosts(&self, router: &RouterId) -> impl Iterator<Item = &String> {
        let elected = election::candidates(self, router);
        let active = self.router_hosts.get(router).filter(|_| elected.is_none()).map(|hosts| &hosts.active);
        elected.into_iter().flatten().chain(active.into_iter().flatten())
    }

    /// Whether a router is active on a host, as far as the server knows.
    pub fn is_active_on(&self, router: &RouterId, host: &str) -> bool {
        self.router_hosts.get(router).is_some_and(|hosts| hosts.active.contains(host))
    }

    /// All hosts of a highly available router, the one to be preferred first.
    pub fn router_candidates(&self, router: &RouterId) -> Option<&[String]> {
        self.router_hosts.get(router).map(|hosts| hosts.candidates.as_slice()).filter(|hosts| !hosts.is_empty())
    }

    /// Those lists, each once.
    pub fn candidate_groups(&self) -> impl Iterator<Item = &Vec<String>> {
        self.candidate_groups.keys()
    }

    /// Routers that live on a host.
    pub fn routers_of_host(&self, host: &str) -> impl Iterator<Item = &RouterId> {
        self.routers_of_host.of(host).filter(move |router| self.router_hosts(router).any(|name| name == host))
    }

    /// Routers with a port on a network.
    pub fn routers_of_network(&self, network: &NetworkId) -> impl Iterator<Item = &RouterId> {
        self.routers_of_network.of(network)
    }

    /// The addresses of an address group that has any.
    pub fn address_group(&self, id: &SecurityGroupId) -> Option<&BTreeSet<IpNet>> {
        self.address_groups.get(id)
    }

    /// Groups with a rule whose remote group, or address group, is this one.
    pub fn groups_that_refer_to(&self, group: &SecurityGroupId) -> impl Iterator<Item = &SecurityGroupId> {
        self.groups_that_refer_to.of(group)
    }

    /// Takes one row's new state.
    pub fn apply(&mut self, change: RowChange) {
        match change {
            RowChange::Network(id, row) => self.put_network(id, row),
            RowChange::Subnet(id, row) => self.put_subnet(id, row),
            RowChange::Port(id, row) => self.put_port(id, row),
            RowChange::Group(id, row) => self.put_group(id, row),
            RowChange::AddressGroup(id, Some(row)) => drop(self.address_groups.insert(id, row)),
            RowChange::AddressGroup(id, None) => drop(self.address_groups.remove(&id)),
            RowChange::Router(id, row) => self.put_router(id, row),
            RowChange::FloatingIp(id, row) => self.put_floating_ip(id, row),
            RowChange::QosPolicy(id, row) => self.put_qos_policy(id, row),
            RowChange::MeteringLabel(id, row) => self.put_metering_label(id, row),
            RowChange::Trunk(id, row) => self.put_trunk(id, row),
            RowChange::TapService(id, row) => self.put_tap_service(id, row),
            RowChange::TapMirror(id, row) => self.put_tap_mirror(id, row),
            RowChange::Host(name, row) => self.put_host(name, row),
            RowChange::DhcpHosts(network, hosts) => self.put_dhcp_hosts(network, hosts),
            RowChange::RouterHosts(router, hosts) => self.put_router_hosts(router, hosts),
        }
    }

    fn put_qos_policy(&mut self, id: Uuid, row: Option<PortQos>) {
        match row {
            Some(row) => self.qos_policies.insert(id, row),
            None => self.qos_policies.remove(&id),
        };
    }

    fn put_network(&mut self, id: NetworkId, row: Option<NetworkRow>) {
        if let Some(policy) = self.networks.get(&id).and_then(|old| old.qos_policy) {
            self.networks_with_policy.remove(&policy, &id);
        }
        if let Some(policy) = row.as_ref().and_then(|row| row.qos_policy) {
            self.networks_with_policy.insert(&policy, &id);
        }
        match row {
            Some(row) => self.networks.insert(id, row),
            None => self.networks.remove(&id),
        };
    }

    fn put_subnet(&mut self, id: SubnetId, row: Option<Subnet>) {
        if let Some(old) = self.subnets.remove(&id) {
            self.subnets_of_network.remove(&old.network, &id);
        }
        if let Some(row) = row {
            self.subnets_of_network.insert(&row.network, &id);
            self.subnets.insert(id, row);
        }
    }

    fn put_port(&mut self, id: PortId, row: Option<PortRow>) {
        if let Some(old) = self.ports.remove(&id) {
            self.ports_of_network.remove(&old.network, &id);
            if let Some(policy) = &old.qos_policy {
                self.ports_with_policy.remove(policy, &id);
            }
            for host in old.hosts() {
                self.ports_of_host.remove(host, &id);
                self.hosts_of_network.take(&old.network, host);
                old.security_groups.iter().for_each(|group| self.hosts_of_group.take(group, host));
            }
            if let Some(router) = old.router() {
                self.ports_of_router.remove(&router, &id);
                self.routers_of_network.take(&old.network, &router);
            }
            for group in &old.security_groups {
                self.ports_of_group.remove(group, &id);
            }
        }
        if let Some(row) = row {
            self.ports_of_network.insert(&row.network, &id);
            if let Some(policy) = &row.qos_policy {
                self.ports_with_policy.insert(policy, &id);
            }
            for host in row.hosts() {
                self.ports_of_host.insert(host, &id);
                self.hosts_of_network.add(&row.network, host);
                row.security_groups.iter().for_each(|group| self.hosts_of_group.add(group, host));
            }
            if let Some(router) = row.router() {
                self.ports_of_router.insert(&router, &id);
                self.routers_of_network.add(&row.network, &router);
            }
            for group in &row.security_groups {
                self.ports_of_group.insert(group, &id);
            }
            self.ports.insert(id, row);
        }
    }

    fn put_group(&mut self, id: SecurityGroupId, row: Option<SecurityGroup>) {
        if let Some(old) = self.groups.remove(&id) {
            for remote in remote_groups(&old) {
                self.groups_that_refer_to.remove(&remote, &id);
            }
        }
        if let Some(row) = row {
            for remote in remote_groups(&row) {
                self.groups_that_refer_to.insert(&remote, &id);
            }
            self.groups.insert(id, row);
        }
    }

    fn put_router(&mut self, id: RouterId, row: Option<RouterRow>) {
        if let Some(policy) = self.routers.remove(&id).and_then(|old| old.gateway_policy) {
            self.routers_with_policy.remove(&policy, &id);
        }
        if let Some(row) = row {
            if let Some(policy) = &row.gateway_policy {
                self.routers_with_policy.insert(policy, &id);
            }
            self.routers.insert(id, row);
        }
    }

    fn put_floating_ip(&mut self, id: FloatingIpId, row: Option<FloatingIpRow>) {
        if let Some(old) = self.floating_ips.remove(&id) {
            old.router.iter().for_each(|router| self.floating_ips_of_router.remove(router, &id));
            old.policy.iter().for_each(|policy| self.floating_ips_with_policy.remove(policy, &id));
        }
        if let Some(row) = row {
            if let Some(policy) = &row.policy {
                self.floating_ips_with_policy.insert(policy, &id);
            }
            if let Some(router) = &row.router {
                self.floating_ips_of_router.insert(router, &id);
            }
            self.floating_ips.insert(id, row);
        }
    }

    fn put_trunk(&mut self, id: TrunkId, row: Option<TrunkRow>) {
        let ports =
            |row: &TrunkRow| -> Vec<PortId> { row.trunk.subports.keys().copied().chain([row.trunk.parent]).collect() };
        if let Some(old) = self.trunks.remove(&id) {
            ports(&old).iter().for_each(|port| self.trunks_of_port.remove(port, &id));
        }
        if let Some(row) = row {
            ports(&row).iter().for_each(|port| self.trunks_of_port.insert(port, &id));
            self.trunks.insert(id, row);
        }
    }

    fn put_tap_service(&mut self, id: Uuid, row: Option<TapServiceRow>) {
        if let Some(old) = self.tap_services.remove(&id) {
            old.ports().for_each(|port| self.tap_services_of_port.remove(port, &id));
        }
        if let Some(row) = row {
            row.ports().for_each(|port| self.tap_services_of_port.insert(port, &id));
            self.tap_services.insert(id, row);
        }
    }

    fn put_tap_mirror(&mut self, id: Uuid, row: Option<TapMirror>) {
        if let Some(old) = self.tap_mirrors.remove(&id) {
            self.tap_mirrors_of_port.remove(&old.port, &id);
        }
        if let Some(row) = row {
            self.tap_mirrors_of_port.insert(&row.port, &id);
            self.tap_mirrors.insert(id, row);
        }
    }

    fn put_metering_label(&mut self, id: MeteringLabelId, row: Option<MeteringLabelRow>) {
        match row {
            Some(row) => self.metering_labels.insert(id, row),
            None => self.metering_labels.remove(&id),
        };
    }

    fn put_host(&mut self, name: String, description: Option<HostRow>) {
        match description {
            Some(description) => self.hosts.insert(name, description),
            None => self.hosts.remove(&name),
        };
    }

    fn put_dhcp_hosts(&mut self, network: NetworkId, hosts: BTreeSet<String>) {
        for old in self.dhcp_hosts.of(&network).cloned().collect::<Vec<_>>() {
            self.networks_of_dhcp_host.remove(&old, &network);
        }
        for host in &hosts {
            self.networks_of_dhcp_host.insert(host, &network);
        }
        self.dhcp_hosts.replace(&network, hosts);
    }

    fn put_router_hosts(&mut self, router: RouterId, hosts: RouterHosts) {
        if let Some(old) = self.router_hosts.remove(&router) {
            for host in old.active.iter().chain(&old.candidates) {
                self.routers_of_host.remove(host, &router);
            }
            if let Some(routers) = self.candidate_groups.get_mut(&old.candidates) {
                *routers -= 1;
                if *routers == 0 {
                    self.candidate_groups.remove(&old.candidates);
                }
            }
        }
        for host in hosts.active.iter().chain(&hosts.candidates) {
            self.routers_of_host.insert(host, &router);
        }
        if !hosts.candidates.is_empty() {
            *self.candidate_groups.entry(hosts.candidates.clone()).or_default() += 1;
        }
        if hosts != RouterHosts::default() {
            self.router_hosts.insert(router, hosts);
        }
    }
}

/// The groups that a group's rules refer to.
pub fn remote_groups(group: &SecurityGroup) -> BTreeSet<SecurityGroupId> {
    group
        .rules
        .values()
        .filter_map(|rule| match rule.remote {
            host_view::Remote::Group(id) => Some(id),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn a_host_stays_until_its_last_port_goes() {
        let mut tally: Tally<i32> = Tally::default();
        for host in ["a", "b", "a"] {
            tally.add(&7, host);
        }
        tally.take(&7, "a");
        assert_eq!(tally.of(&7).collect::<Vec<_>>(), ["a", "b"]);
        tally.take(&7, "a");
        assert_eq!(tally.of(&7).collect::<Vec<_>>(), ["b"]);
        tally.take(&7, "b");
        assert!(tally.0.is_empty(), "keys without hosts are not kept");
    }
}
