//! Which hosts a change concerns. Called before and after the change is taken, so that those that lose something are told
//! too. Pure; together with `compute` the one place that decides what a change costs.

use crate::row::{LogScope, PortRow, RowChange, TapServiceRow};
use crate::topology::Topology;
use crate::{distributed, election};
use net_types::{NetworkId, PortId, RouterId, SecurityGroupId};
use std::collections::BTreeSet;

/// Whether a change says anything that is not known, and that hosts look at. To be asked before the change is taken.
pub fn is_news(topology: &Topology, change: &RowChange) -> bool {
    match change {
        // What is read again because of its pool has often not changed.
        RowChange::Subnet(id, row) => topology.subnet(id) != row.as_ref(),
        // Its status is what the hosts themselves told.
        RowChange::Port(id, row) => match (topology.port(id), row) {
            (Some(old), Some(new)) => !old.realises_like(new),
            (old, new) => old.is_some() || new.is_some(),
        },
        _ => true,
    }
}

/// Hosts whose view may differ because of `change`, as the topology stands now.
pub fn hosts(topology: &Topology, change: &RowChange, found: &mut BTreeSet<String>) {
    match change {
        RowChange::Network(id, _) => of_network(topology, id, found),
        RowChange::Subnet(id, row) => {
            let networks =
                topology.subnet(id).map(|old| old.network).into_iter().chain(row.as_ref().map(|r| r.network));
            networks.for_each(|network| of_network(topology, &network, found));
        }
        RowChange::Port(id, row) => {
            topology.port(id).into_iter().chain(row).for_each(|port| of_port(topology, port, found));
            topology.tap_services_of(id).for_each(|(_, service)| of_tap_service(topology, service, found));
        }
        RowChange::Group(id, _) => of_group(topology, id, found),
        RowChange::AddressGroup(id, _) => {
            topology.groups_that_refer_to(id).for_each(|referring| of_group(topology, referring, found));
        }
        RowChange::Router(id, _) => of_router(topology, id, found),
        RowChange::FloatingIp(id, row) => {
            let old = topology.floating_ip(id).and_then(|old| old.router);
            let new = row.as_ref().and_then(|row| row.router);
            old.into_iter().chain(new).for_each(|router| of_router(topology, &router, found));
        }
        RowChange::QosPolicy(id, _) => {
            found.extend(topology.ports_with_policy(id).flat_map(|port| port.hosts().cloned()));
            topology
                .networks_with_policy(id)
                .for_each(|network| found.extend(topology.hosts_of_network(network).cloned()));
            topology.routers_with_policy(id).for_each(|router| of_router(topology, &router, found));
        }
        RowChange::Trunk(id, row) => {
            let trunks = topology.trunk(id).into_iter().chain(row);
            let parents = trunks.filter_map(|row| topology.port(&row.trunk.parent));
            found.extend(parents.flat_map(|parent| parent.hosts().cloned()));
        }
        RowChange::TapService(id, row) => {
            let services = topology.tap_service(id).into_iter().chain(row);
            services.for_each(|service| of_tap_service(topology, service, found));
        }
        RowChange::TapMirror(id, row) => {
            let mirrors = topology.tap_mirror(id).into_iter().chain(row);
            mirrors.for_each(|mirror| at_port(topology, &mirror.port, found));
        }
        RowChange::LocalIp(id, row) => {
            let ports = topology.local_ip(id).into_iter().chain(row).flat_map(|local_ip| local_ip.ports.keys());
            found.extend(ports.filter_map(|port| topology.port(port)?.host.clone()));
        }
        // Its name may have changed.
        RowChange::Log(id, row) if topology.log(id) == row.as_ref() => {}
        RowChange::Log(id, row) => {
            for log in topology.log(id).into_iter().chain(row) {
                match log.scope() {
                    LogScope::Port(port) => at_port(topology, &port, found),
                    LogScope::Group(group) => of_group(topology, &group, found),
                    // Rare: an administrator's.
                    LogScope::Project(_) => found.extend(topology.hosts().map(|(name, _)| name.clone())),
                }
            }
        }
        // Rare: an administrator's.
        RowChange::MeteringLabel(id, row) => {
            for label in topology.metering_label(id).into_iter().chain(row) {
                let measured = topology.routers().filter(|(_, router)| label.measures(router));
                measured.for_each(|(router, _)| of_router(topology, router, found));
            }
        }
        // Rare, and every host that shares a tunnel network with it must know.
        RowChange::Host(name, _) => {
            found.insert(name.clone());
            found.extend(topology.hosts().map(|(name, _)| name.clone()));
        }
        RowChange::DhcpHosts(network, hosts) => {
            found.extend(topology.dhcp_hosts(network).cloned());
            found.extend(hosts.iter().cloned());
        }
        RowChange::RouterHosts(router, hosts) => {
            of_router(topology, router, found);
            found.extend(hosts.active.iter().cloned());
            found.extend(election::involved(topology, router).into_iter().cloned());
            // Everybody on its networks must know on which hosts it may be.
            for (id, port) in topology.ports_of_router(router) {
                of_network(topology, &port.network, found);
                topology.tap_services_of(id).for_each(|(_, service)| of_tap_service(topology, service, found));
            }
        }
    }
}

fn of_network(topology: &Topology, id: &NetworkId, found: &mut BTreeSet<String>) {
    found.extend(topology.hosts_of_network(id).cloned());
    found.extend(topology.dhcp_hosts(id).cloned());
    // Hosts on which a highly available router stands by have its networks, too.
    topology.routers_of_network(id).for_each(|router| of_router(topology, router, found));
}

fn of_port(topology: &Topology, port: &PortRow, found: &mut BTreeSet<String>) {
    found.extend(port.hosts().cloned());
    if let Some(router) = port.router() {
        of_router(topology, &router, found);
    }
    // Hosts that reach it through a tunnel, and those that answer its DHCP requests. A router's interface also tells the
    // network's DHCP servers where metadata is.
    of_network(topology, &port.network, found);
    for group in &port.security_groups {
        for referring in topology.groups_that_refer_to(group) {
            of_group(topology, referring, found);
        }
    }
}

/// Hosts of mirrored ports must know where the copies go, and the host there from where they come.
fn of_tap_service(topology: &Topology, service: &TapServiceRow, found: &mut BTreeSet<String>) {
    service.ports().for_each(|port| at_port(topology, port, found));
}

/// Where a port is, or may be: that of a highly available router on each of its hosts.
fn at_port(topology: &Topology, id: &PortId, found: &mut BTreeSet<String>) {
    let Some(port) = topology.port(id) else { return };
    found.extend(port.hosts().cloned());
    if let Some(router) = port.router() {
        of_router(topology, &router, found);
    }
}

fn of_group(topology: &Topology, id: &SecurityGroupId, found: &mut BTreeSet<String>) {
    found.extend(topology.hosts_of_group(id).cloned());
}

fn of_router(topology: &Topology, id: &RouterId, found: &mut BTreeSet<String>) {
    found.extend(election::hosts(topology, id).cloned());
    found.extend(distributed::copies(topology, id).into_iter().cloned());
}
