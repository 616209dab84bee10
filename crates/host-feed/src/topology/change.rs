//! One row's new state is taken, and every index follows it.
//!
//! In: [`RowChange`]s. Out: the [`Topology`]; what a row's old state stood in is left before its new state is entered.

use super::{Topology, remote_groups};
use crate::row::{
    FloatingIpRow, HostRow, LogRow, MeteringLabelRow, NetworkRow, PortRow, RouterHosts, RouterRow, RowChange,
    TapServiceRow, TrunkRow,
};
use host_view::{LocalIp, PortQos, SecurityGroup, Subnet, TapMirror};
use net_types::{FloatingIpId, MeteringLabelId, NetworkId, PortId, RouterId, SecurityGroupId, SubnetId, TrunkId};
use std::collections::BTreeSet;
use uuid::Uuid;

impl Topology {
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
            RowChange::LocalIp(id, row) => self.put_local_ip(id, row),
            RowChange::Log(id, row) => self.put_log(id, row),
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

    fn put_local_ip(&mut self, id: Uuid, row: Option<LocalIp>) {
        if let Some(old) = self.local_ips.remove(&id) {
            old.ports.keys().for_each(|port| self.local_ips_of_port.remove(port, &id));
        }
        if let Some(row) = row {
            row.ports.keys().for_each(|port| self.local_ips_of_port.insert(port, &id));
            self.local_ips.insert(id, row);
        }
    }

    fn put_log(&mut self, id: Uuid, row: Option<LogRow>) {
        if let Some(old) = self.logs.remove(&id) {
            self.logs_by_scope.remove(&old.scope(), &id);
        }
        if let Some(row) = row {
            self.logs_by_scope.insert(&row.scope(), &id);
            self.logs.insert(id, row);
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
