//! Everything that decides what hosts must realise, held in memory, with the indexes that make one change cheap.
//!
//! In: [`RowChange`](crate::row::RowChange)s, one at a time (`change`). Out: look-ups for `compute` and `affected`. Pure: who
//! reads the rows from the store is `load`.

mod change;
mod index;

use crate::row::{
    FloatingIpRow, HostRow, LogRow, LogScope, MeteringLabelRow, NetworkRow, PortRow, RouterHosts, RouterRow,
    TapServiceRow, TrunkRow,
};
use host_view::{LocalIp, PortQos, SecurityGroup, Subnet, TapMirror};
use index::{Index, Tally};
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
    local_ips: BTreeMap<Uuid, LocalIp>,
    logs: BTreeMap<Uuid, LogRow>,
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
    local_ips_of_port: Index<PortId, Uuid>,
    logs_by_scope: Index<LogScope, Uuid>,
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

    /// A local IP.
    pub fn local_ip(&self, id: &Uuid) -> Option<&LocalIp> {
        self.local_ips.get(id)
    }

    /// Local IPs that lead to a port.
    pub fn local_ips_of(&self, port: &PortId) -> impl Iterator<Item = (&Uuid, &LocalIp)> {
        self.local_ips_of_port.of(port).filter_map(|id| self.local_ips.get_key_value(id))
    }

    /// A log that is enabled.
    pub fn log(&self, id: &Uuid) -> Option<&LogRow> {
        self.logs.get(id)
    }

    /// Logs of exactly this scope.
    pub fn logs_about(&self, scope: &LogScope) -> impl Iterator<Item = (&Uuid, &LogRow)> {
        self.logs_by_scope.of(scope).filter_map(|id| self.logs.get_key_value(id))
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

    /// Hosts that a router is active on, as far as the server knows.
    pub fn active_hosts(&self, router: &RouterId) -> impl Iterator<Item = &String> {
        self.router_hosts.get(router).into_iter().flat_map(|hosts| &hosts.active)
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

    /// Routers that a host has, or may come to have.
    pub fn routers_bound_to(&self, host: &str) -> impl Iterator<Item = &RouterId> {
        self.routers_of_host.of(host)
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
