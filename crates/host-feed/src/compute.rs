//! The view of one host, from the whole topology. Pure; what a change costs is decided here and in `affected`.

mod local_ips;
mod logs;
mod metadata;
mod taps;

use crate::row::{PortRow, RouterRow};
use crate::topology::{Topology, remote_groups};
use crate::{distributed, election};
use host_view::{
    BandwidthLimits, Dhcp, DhcpClient, FloatingIp, Gateway, HostView, MeteringRule, Network, Port, PortQos, RemotePort,
    Router, TunnelPeer,
};
use net_types::{IpNet, MeteringLabelId, NetworkId, PortId, RouterId, SecurityGroupId};
use network_model::device_owner;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use uuid::Uuid;

/// What the deployment says about DHCP, for all networks.
#[derive(Debug, Clone)]
pub struct DhcpDefaults {
    /// `dns_domain` without the trailing dot.
    pub domain: String,
    /// `dhcp_lease_duration` in seconds.
    pub lease_seconds: u32,
}

/// All that `host` must realise.
pub fn host_view(topology: &Topology, host: &str, dhcp: &DhcpDefaults) -> HostView {
    let mut view = HostView::default();
    for (id, row) in topology.ports_of_host(host) {
        view.ports.insert(*id, as_hosts_know_it(&row.port));
        if let Some(qos) = topology.qos_of(row).filter(|qos| **qos != PortQos::default()) {
            view.qos.insert(*id, qos.clone());
        }
        if let Some((trunk_id, row)) = topology.trunk_of(id).filter(|(_, row)| row.trunk.parent == *id) {
            view.trunks.insert(*trunk_id, row.trunk.clone());
        }
    }
    for router in election::routers(topology, host).filter(|router| election::candidates(topology, router).is_some()) {
        // Each of its hosts has all of its ports, wherever it is active.
        let ports = topology.ports_of_router(router);
        view.ports.extend(ports.map(|(id, row)| (*id, as_hosts_know_it(&row.port))));
    }
    let copied = distributed::copied_to(topology, host);
    for router in &copied {
        let ports = distributed::interfaces(topology, router);
        view.ports.extend(ports.map(|(id, row)| (*id, as_hosts_know_it(&row.port))));
        view.ports.extend(distributed::ways_out(topology, host, router));
    }
    let networks: BTreeSet<NetworkId> = view.ports.values().map(|port| port.network).collect();
    for id in &networks {
        add_network(topology, host, id, &mut view);
    }
    add_groups(topology, &mut view);
    for id in topology.networks_of_dhcp_host(host) {
        add_dhcp(topology, host, id, dhcp, &mut view);
    }
    for id in election::routers(topology, host) {
        add_router(topology, host, id, &mut view);
    }
    for id in &copied {
        let Some((row, copy)) = topology.router(id).zip(distributed::copy(topology, host, id)) else { continue };
        let is_here = |address: &IpAddr| copy.floating_ips.values().any(|one| one.floating_address == *address);
        let limits = limits(topology, id, row).into_iter().filter(|(address, _)| is_here(address)).collect();
        let metering = if copy.gateway.is_some() { metering(topology, row) } else { BTreeMap::new() };
        view.routers.insert(*id, Router { limits, metering, ..copy });
    }
    for name in election::watched_by(topology, host) {
        if let Some(peer) = add_peer(topology, name, &mut view) {
            peer.watched = true;
        }
    }
    metadata::add_clients(topology, &mut view);
    taps::add(topology, host, &mut view);
    local_ips::add(topology, host, &mut view);
    logs::add(topology, host, &mut view);
    view
}

/// Another host as the end of a tunnel, if it is one.
fn add_peer<'v>(topology: &Topology, name: &str, view: &'v mut HostView) -> Option<&'v mut TunnelPeer> {
    let row = topology.host(name)?;
    let address = row.tunnel_address?;
    Some(view.tunnel_peers.entry(name.to_owned()).or_insert_with(|| TunnelPeer {
        address,
        mac: row.endpoint_mac,
        types: row.tunnel_types.clone(),
        watched: false,
    }))
}

/// The port with the owner that tells a host what to do. Where a router of any kind is active, its interfaces are wired
/// as those of every router.
fn as_hosts_know_it(port: &Port) -> Port {
    let mut port = port.clone();
    if device_owner::is_router_interface(&port.device_owner) {
        port.device_owner = device_owner::ROUTER_INTERFACE.to_owned();
    }
    port
}

/// A network with a port here: itself, its subnets and, when it is tunnelled, who else is on it and where.
fn add_network(topology: &Topology, host: &str, id: &NetworkId, view: &mut HostView) {
    let Some(row) = topology.network(id) else { return };
    let segment = row.segment_of(topology.host(host));
    view.networks.insert(*id, Network { segment: segment.clone(), ..row.network.clone() });
    view.subnets.extend(topology.subnets_of(id).map(|(id, subnet)| (*id, subnet.clone())));
    let network = row;
    if segment.tunnel_key().is_none() {
        return;
    }
    for (port_id, port) in topology.ports_of_network(id) {
        let several = distributed::hosts_of_port(topology, host, port);
        let may_be_on_many = several.is_some();
        let hosts = several.unwrap_or_else(|| port.host.iter().collect());
        if !port.admin_state_up {
            continue;
        }
        // On another segment it is no neighbour.
        let is_neighbour = |other: &&String| {
            topology.host(other).is_some_and(|row| network.segment_of(Some(row)) == segment) && *other != host
        };
        let mut there = BTreeSet::new();
        for other in hosts.into_iter().filter(is_neighbour) {
            if add_peer(topology, other, view).is_some() {
                there.insert(other.clone());
            }
        }
        let known = port.host.as_ref().filter(|host| there.contains(*host)).or_else(|| there.first()).cloned();
        let Some(other) = known else { continue };
        let addresses = port.fixed_ips.iter().map(|fixed| fixed.address).collect();
        let may_be_on = if may_be_on_many { there } else { BTreeSet::new() };
        let remote = RemotePort { network: *id, host: other, mac: port.mac, addresses, may_be_on };
        view.remote_ports.insert(*port_id, remote);
    }
}

/// The groups of the secured ports here, and the members of those that their rules refer to.
fn add_groups(topology: &Topology, view: &mut HostView) {
    let in_use: BTreeSet<SecurityGroupId> = view
        .ports
        .values()
        .filter(|port| port.port_security)
        .flat_map(|port| port.security_groups.iter().copied())
        .collect();
    for id in in_use {
        let Some(group) = topology.group(&id) else { continue };
        for remote in remote_groups(group) {
            view.group_members.entry(remote).or_insert_with(|| members(topology, &remote));
        }
        view.security_groups.insert(id, group.clone());
    }
}

fn members(topology: &Topology, group: &SecurityGroupId) -> BTreeSet<IpNet> {
    if let Some(addresses) = topology.address_group(group) {
        return addresses.clone();
    }
    let ports = topology.ports_of_group(group).map(|(_, port)| port);
    ports
        .flat_map(|port| {
            let own = port.fixed_ips.iter().map(|fixed| IpNet::from(fixed.address));
            // A member that may forge any address must not make everybody a member.
            let pairs = port.allowed_address_pairs.iter().map(|pair| pair.address.trunc());
            own.chain(pairs.filter(|net| net.prefix_len() > 0))
        })
        .collect()
}

/// A network that this host serves with DHCP, once the server's own port is here.
fn add_dhcp(topology: &Topology, host: &str, id: &NetworkId, defaults: &DhcpDefaults, view: &mut HostView) {
    let servers_port = topology
        .ports_of_network(id)
        .find(|(_, port)| port.device_owner == device_owner::DHCP && port.host.as_deref() == Some(host));
    let Some((server, _)) = servers_port else { return };
    let routers = topology
        .ports_of_network(id)
        .filter(|(_, port)| device_owner::is_router_interface(&port.device_owner))
        .flat_map(|(_, port)| port.fixed_ips.iter().map(|fixed| fixed.address))
        .collect();
    let servers = topology
        .ports_of_network(id)
        .filter(|(_, port)| port.device_owner == device_owner::DHCP)
        .flat_map(|(_, port)| port.fixed_ips.iter().cloned())
        .collect();
    view.dhcp.insert(
        *id,
        Dhcp {
            port: *server,
            domain: defaults.domain.clone(),
            lease_seconds: defaults.lease_seconds,
            routers,
            servers,
        },
    );
    for (port_id, port) in topology.ports_of_network(id) {
        if let Some(client) = dhcp_client(topology, id, port) {
            view.dhcp_clients.insert(*port_id, client);
        }
    }
}

/// What DHCP may answer a port, if anything.
fn dhcp_client(topology: &Topology, network: &NetworkId, port: &PortRow) -> Option<DhcpClient> {
    if port.device_owner == device_owner::DHCP {
        return None;
    }
    let served = |subnet| topology.subnet(subnet).is_some_and(|subnet| subnet.enable_dhcp);
    let fixed_ips: Vec<_> = port.fixed_ips.iter().filter(|fixed| served(&fixed.subnet)).cloned().collect();
    (!fixed_ips.is_empty()).then(|| DhcpClient {
        network: *network,
        mac: port.mac,
        fixed_ips,
        hostname: port.hostname.clone(),
        options: port.dhcp_options.clone(),
    })
}

/// A router here, with those of its ports that are bound here.
fn add_router(topology: &Topology, host: &str, id: &RouterId, view: &mut HostView) {
    let Some(row) = topology.router(id) else { return };
    let standby = election::standby(topology, host, id);
    // The kinds of ports that `PortRow::router` knows: gateways, interfaces, and what is reached by copies.
    let (gateways, inside): (Vec<_>, Vec<_>) = topology
        .ports_of_router(id)
        .filter(|(_, port)| standby.is_some() || port.host.as_deref() == Some(host))
        .partition(|(_, port)| port.device_owner == device_owner::ROUTER_GATEWAY);
    let (snat, interfaces): (Vec<_>, Vec<_>) = inside.into_iter().partition(|(_, port)| distributed::is_snat(port));
    let interfaces: BTreeSet<PortId> = interfaces.into_iter().map(|(id, _)| *id).collect();
    let is_here = |wanted: &&Gateway| gateways.iter().any(|(port, _)| **port == wanted.port);
    let mut gateways = row.gateways.iter().filter(is_here).cloned();
    let (gateway, further_gateways) = (gateways.next(), gateways.collect());
    let floating_ips = topology
        .floating_ips_of_router(id)
        .filter(|(_, row)| distributed::copy_of_floating_ip(topology, id, row).is_none())
        .filter_map(|(id, row)| {
            let fixed_address = row.fixed_address?;
            Some((*id, FloatingIp { floating_address: row.floating_address, fixed_address }))
        })
        .collect();
    let port_forwardings = topology.floating_ips_of_router(id).flat_map(|(_, row)| row.forwardings.clone()).collect();
    view.routers.insert(
        *id,
        Router {
            ndp_proxies: row.ndp_proxies.clone(),
            limits: limits(topology, id, row),
            conntrack_helpers: row.conntrack_helpers.clone(),
            metering: metering(topology, row),
            admin_state_up: row.admin_state_up,
            interfaces,
            gateway,
            further_gateways,
            default_route_ecmp: row.default_route_ecmp,
            routes: row.routes.clone(),
            floating_ips,
            port_forwardings,
            standby,
            snat_ports: snat.into_iter().map(|(id, _)| *id).collect(),
            distributed: distributed::part(topology, host, id),
        },
    );
}

/// What metering labels count of a router.
fn metering(topology: &Topology, row: &RouterRow) -> BTreeMap<MeteringLabelId, BTreeSet<MeteringRule>> {
    let measured = topology.metering_labels().filter(|(_, label)| label.measures(row) && !label.rules.is_empty());
    measured.map(|(id, label)| (*id, label.rules.clone())).collect()
}

/// The limits of a router's addresses outside: those of each of its gateways obey the router's policy, floating IPs their own.
fn limits(topology: &Topology, id: &RouterId, row: &RouterRow) -> BTreeMap<IpAddr, BandwidthLimits> {
    let of_policy = |policy: Option<Uuid>| {
        let rules = topology.qos_policy(&policy?)?;
        let limits = BandwidthLimits { egress: rules.egress.bandwidth, ingress: rules.ingress.bandwidth };
        (limits != BandwidthLimits::default()).then_some(limits)
    };
    let gateways = row.gateways.iter().filter_map(|gateway| topology.port(&gateway.port));
    let own = gateways.flat_map(|port| &port.fixed_ips).map(|fixed| (fixed.address, row.gateway_policy));
    let floating = topology.floating_ips_of_router(id).map(|(_, row)| (row.floating_address, row.policy));
    own.chain(floating).filter_map(|(address, policy)| Some((address, of_policy(policy)?))).collect()
}
