//! Distributed routers: on which hosts each one is, and what it has there.
//!
//! ```text
//! l3_agent_routers ─► the central host (or those that elect who is active): all ports, the ways out, SNAT
//! ports bound to hosts whose L3 agent has agent_mode dvr or dvr_snat
//!                  ─► a copy on each such host with a port on one of the router's networks: its interfaces, and the
//!                     floating IPs of ports of the host, if that has the external network
//! ```
//! A copy is nobody's decision and no row: it follows from where ports are bound, and comes and goes with them. See
//! `docs/adr/0013-distributed-routers.md`.
//!
//! In: the topology. Out: hosts for `affected`, ports and [`Distributed`] for `compute`.

use crate::election;
use crate::row::{FloatingIpRow, PortRow};
use crate::topology::Topology;
use host_view::{Distributed, FloatingIp, Gateway, Port, Router, station_mac};
use net_types::{FloatingIpId, NetworkId, PortId, RouterId};
use network_model::device_owner;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Interfaces of a router, those that a copy has.
pub fn interfaces<'t>(topology: &'t Topology, router: &RouterId) -> impl Iterator<Item = (&'t PortId, &'t PortRow)> {
    topology.ports_of_router(router).filter(|(_, port)| device_owner::is_router_interface(&port.device_owner))
}

/// Hosts that have a copy of a router, its central ones left out; none of a router that is not distributed.
pub fn copies<'t>(topology: &'t Topology, router: &RouterId) -> BTreeSet<&'t String> {
    if !topology.router(router).is_some_and(|row| row.distributed) {
        return BTreeSet::new();
    }
    let networks: BTreeSet<NetworkId> = interfaces(topology, router).map(|(_, port)| port.network).collect();
    let hosts = networks.iter().flat_map(|network| topology.hosts_of_network(network));
    let central: BTreeSet<&String> = election::hosts(topology, router).collect();
    hosts.filter(|host| !central.contains(*host) && takes_copies(topology, host)).collect()
}

/// Routers that a host has a copy of.
pub fn copied_to(topology: &Topology, host: &str) -> BTreeSet<RouterId> {
    if !takes_copies(topology, host) {
        return BTreeSet::new();
    }
    let networks: BTreeSet<NetworkId> = topology.ports_of_host(host).map(|(_, port)| port.network).collect();
    let routers = networks.iter().flat_map(|network| topology.routers_of_network(network));
    let is_copied = |router: &&RouterId| {
        may_have_copy(topology, host, router)
            && interfaces(topology, router).any(|(_, port)| networks.contains(&port.network))
    };
    routers.filter(is_copied).copied().collect()
}

fn takes_copies(topology: &Topology, host: &str) -> bool {
    topology.host(host).is_some_and(|row| row.takes_copies)
}

/// The hosts, all of them, that a port of the router may be on at once, as far as `host` must know: who has the router itself
/// answers for its gateway addresses, but must reach the others that do; anybody else knows the central one.
pub fn hosts_of_port<'t>(topology: &'t Topology, host: &str, port: &'t PortRow) -> Option<BTreeSet<&'t String>> {
    let router = port.router()?;
    let elected = election::candidates(topology, &router);
    let mut hosts: BTreeSet<&String> = elected.into_iter().flatten().collect();
    if device_owner::is_router_interface(&port.device_owner) {
        let copies = copies(topology, &router);
        let has_it =
            copies.iter().any(|name| *name == host) || election::hosts(topology, &router).any(|name| name == host);
        if has_it && !copies.is_empty() {
            hosts.extend(copies);
            hosts.extend(&port.host);
        }
    }
    (!hosts.is_empty()).then_some(hosts)
}

/// This host's part in a router; none where it is only here, or not distributed.
pub fn part(topology: &Topology, host: &str, router: &RouterId) -> Option<Distributed> {
    let copies = copies(topology, router);
    let central = !copies.iter().any(|name| *name == host);
    if copies.is_empty() {
        return None;
    }
    let central_addresses = if central { BTreeSet::new() } else { central_addresses(topology, router) };
    Some(Distributed { station: station(topology, host), central, central_addresses })
}

fn central_addresses(topology: &Topology, router: &RouterId) -> BTreeSet<IpAddr> {
    let reachable = |port: &PortRow| port.host.is_some() && port.admin_state_up;
    let ports = topology.ports_of_router(router).filter(|(_, port)| is_snat(port) && reachable(port));
    ports.flat_map(|(_, port)| port.fixed_ips.iter().map(|fixed| fixed.address)).collect()
}

/// Whether the port is one by which the central host is reached.
pub fn is_snat(port: &PortRow) -> bool {
    port.device_owner == device_owner::ROUTER_SNAT
}

/// The copy that has a floating IP: that of the host of its port, if it can reach the external network without a tunnel. None:
/// it is the central host's, as are those whose ports lead to several instances.
pub fn copy_of_floating_ip<'t>(topology: &'t Topology, router: &RouterId, row: &FloatingIpRow) -> Option<&'t String> {
    let port = topology.port(&row.port?)?;
    let (host, inside) = (port.host.as_ref().filter(|_| row.forwardings.is_empty())?, port.network);
    let (_, gateway) = gateway_of(topology, router, row)?;
    let network = topology.network(&gateway.network)?;
    let row = topology.host(host)?;
    let segment = network.segment_of(Some(row));
    let reaches = row.reaches(segment) && segment.physical_network().is_some();
    Some(host).filter(|host| reaches && may_have_copy(topology, host, router) && leads_to(topology, router, &inside))
}

/// Whether a host has a copy of a distributed router, if a port there is behind it.
fn may_have_copy(topology: &Topology, host: &str, router: &RouterId) -> bool {
    takes_copies(topology, host)
        && topology.router(router).is_some_and(|row| row.distributed)
        && !election::hosts(topology, router).any(|name| name == host)
}

/// Whether a router has an interface on a network.
fn leads_to(topology: &Topology, router: &RouterId, network: &NetworkId) -> bool {
    interfaces(topology, router).any(|(_, port)| port.network == *network)
}

/// The router's way to a floating IP's network.
fn gateway_of<'t>(
    topology: &'t Topology,
    router: &RouterId,
    row: &FloatingIpRow,
) -> Option<(&'t Gateway, &'t PortRow)> {
    let ways = topology.router(router)?.gateways.iter();
    let mut ways = ways.filter_map(|gateway| Some((gateway, topology.port(&gateway.port)?)));
    ways.find(|(_, port)| {
        let mut subnets = topology.subnets_of(&port.network);
        subnets.any(|(_, subnet)| subnet.cidr.contains(&row.floating_address))
    })
}

/// Floating IPs that a host has itself.
fn floating_ips<'t>(
    topology: &'t Topology,
    host: &str,
    router: &RouterId,
) -> Vec<(&'t FloatingIpId, &'t FloatingIpRow)> {
    let all = topology.floating_ips_of_router(router);
    all.filter(|(_, row)| copy_of_floating_ip(topology, router, row).is_some_and(|name| name == host)).collect()
}

/// Gateway ports by which a copy's floating IPs are reached: the router's, without its address, and with a MAC of this host's
/// own.
pub fn ways_out(topology: &Topology, host: &str, router: &RouterId) -> BTreeMap<PortId, Port> {
    let rows = floating_ips(topology, host, router);
    let ways = rows.into_iter().filter_map(|(_, row)| gateway_of(topology, router, row));
    let here = |(gateway, row): (&Gateway, &PortRow)| {
        let mac = station_mac(row.mac, station(topology, host));
        (gateway.port, Port { mac, fixed_ips: vec![], ..row.port.clone() })
    };
    ways.map(here).collect()
}

/// What a host has of a router that it only has a copy of. Whatever needs to see both directions of a connection with the
/// outside is the central host's.
pub fn copy(topology: &Topology, host: &str, id: &RouterId) -> Option<Router> {
    let row = topology.router(id)?;
    let floating_ips: BTreeMap<_, _> = floating_ips(topology, host, id)
        .into_iter()
        .filter_map(|(id, row)| {
            let fixed_address = row.fixed_address?;
            Some((*id, FloatingIp { floating_address: row.floating_address, fixed_address }))
        })
        .collect();
    let ways = ways_out(topology, host, id);
    let mut gateways = row.gateways.iter().filter(|gateway| ways.contains_key(&gateway.port)).cloned();
    Some(Router {
        gateway: gateways.next(),
        further_gateways: gateways.collect(),
        floating_ips,
        admin_state_up: row.admin_state_up,
        interfaces: interfaces(topology, id).map(|(id, _)| *id).collect(),
        routes: row.routes.clone(),
        distributed: part(topology, host, id),
        ..Router::default()
    })
}

/// A number of a host that no other one has: it follows from the name, so that a host keeps it whoever comes and goes,
/// unless two names fall together.
fn station(topology: &Topology, host: &str) -> u16 {
    stations(topology.hosts().map(|(name, _)| name.as_str())).get(host).copied().unwrap_or_default()
}

fn stations<'n>(hosts: impl Iterator<Item = &'n str>) -> BTreeMap<&'n str, u16> {
    let mut taken = BTreeSet::new();
    let number = |name: &'n str| {
        let mut wish = name.bytes().fold(0x811c_9dc5_u32, |hash, octet| {
            // FNV-1a.
            (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193)
        });
        wish ^= wish >> 16;
        let mut number = (wish & 0xffff) as u16;
        // More hosts than numbers share them: nobody has that many.
        while taken.len() < usize::from(u16::MAX) && !taken.insert(number) {
            number = number.wrapping_add(1);
        }
        (name, number)
    };
    hosts.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::stations;
    use std::collections::BTreeSet;

    #[test]
    fn every_host_has_a_number_of_its_own_and_nearly_all_keep_it_when_others_come() {
        let names: Vec<String> = (0..2000).map(|n| format!("compute{n:04}.example")).collect();
        let all = stations(names.iter().map(String::as_str));
        assert_eq!(all.values().collect::<BTreeSet<_>>().len(), names.len());
        let half = stations(names.iter().step_by(2).map(String::as_str));
        let moved = half.iter().filter(|(name, number)| all[*name] != **number).count();
        assert!(moved * 20 < half.len(), "{moved}");
    }
}
