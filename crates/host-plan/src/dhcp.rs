//! DHCP: a namespace per network that this host serves, and what the server in it answers.
//!
//! ```text
//! qdhcp-<network>
//!   tap<port>  server's addresses, one per subnet    ── br-int, access port of the network
//!   default route by the first subnet's gateway; other subnets of the network on-link
//! client ── DISCOVER ── br-int ── tap<port>, UDP 67 ── lease by MAC, or no answer
//! ```
//! In: `dhcp`, `dhcp_clients`, subnets, ports. Out: [`Namespace`]s and their [`NamespaceServices`]. Clients get exactly the addresses
//! that the API gave them, from subnets with DHCP that the server has an address on, and nobody else gets any. DHCPv6 and
//! DNS are not served yet, so that no DNS server is named when the subnet names none.

use crate::host_plan::Namespace;
use crate::names;
use crate::namespaces::{default_routes, device, on_link, subnets_of, sysctls};
use crate::services::{ClasslessRoute, DhcpLease, DhcpServer, NamespaceServices};
use crate::wiring::Wiring;
use host_view::{Dhcp, DhcpClient, HostView, Port, Subnet};
use net_types::{IpNet, Ipv4Net, NetworkId, SubnetId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// Where instances ask for metadata.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Namespaces and what runs in them, by name.
pub(crate) fn plan(wiring: &Wiring<'_>) -> (BTreeMap<String, Namespace>, BTreeMap<String, NamespaceServices>) {
    let (mut namespaces, mut services) = (BTreeMap::new(), BTreeMap::new());
    for (id, dhcp) in &wiring.view.dhcp {
        let name = names::tap(dhcp.port);
        let port = wiring.view.ports.get(&dhcp.port).filter(|_| wiring.own_devices.contains_key(&name));
        let (Some(port), Some(device)) = (port, device(wiring.view, wiring.config, dhcp.port)) else { continue };
        let mut routes = default_routes(subnets_of(wiring.view, port), &name);
        routes.extend(on_link(wiring.view, port, &name));
        let namespace = Namespace {
            sysctls: sysctls([("net.ipv4.ip_nonlocal_bind", "1"), ("net.ipv6.conf.default.accept_ra", "0")]),
            devices: BTreeMap::from([(name.clone(), device)]),
            routes,
            ..Namespace::default()
        };
        namespaces.insert(names::dhcp_namespace(*id), namespace);
        let leases = wiring
            .view
            .dhcp_clients
            .values()
            .filter(|client| client.network == *id)
            .filter_map(|client| Some((client.mac, lease(wiring.view, *id, dhcp, port, client)?)))
            .collect();
        let dhcp = Some(DhcpServer { network: *id, device: name, leases });
        services.insert(names::dhcp_namespace(*id), NamespaceServices { dhcp });
    }
    (namespaces, services)
}

/// What a client is told: of its first IPv4 address that this server can answer for.
fn lease(view: &HostView, network: NetworkId, dhcp: &Dhcp, server: &Port, client: &DhcpClient) -> Option<DhcpLease> {
    let servers: BTreeMap<SubnetId, Ipv4Addr> =
        server.fixed_ips.iter().filter_map(|fixed| Some((fixed.subnet, ipv4(fixed.address)?))).collect();
    let (address, subnet, server) = client.fixed_ips.iter().find_map(|fixed| {
        let subnet = view.subnets.get(&fixed.subnet).filter(|subnet| subnet.enable_dhcp)?;
        Some((ipv4(fixed.address)?, subnet, *servers.get(&fixed.subnet)?))
    })?;
    let router = gateway(subnet);
    Some(DhcpLease {
        address,
        prefix_len: subnet.cidr.prefix_len(),
        server,
        router,
        // 0.0.0.0 is the API's way of saying "no DNS server at all".
        dns_servers: ipv4s(&subnet.dns_nameservers).filter(|dns| !dns.is_unspecified()).collect(),
        hostname: client.hostname.clone().unwrap_or_else(|| format!("host-{}", address.to_string().replace('.', "-"))),
        domain: dhcp.domain.clone(),
        mtu: view.networks.get(&network)?.mtu,
        lease_seconds: dhcp.lease_seconds,
        classless_routes: classless_routes(view, network, dhcp, subnet, server),
    })
}

/// The subnet's gateway; without one, where its host routes send everything.
fn gateway(subnet: &Subnet) -> Option<Ipv4Addr> {
    let by_route = || subnet.host_routes.iter().find(|route| route.destination.prefix_len() == 0);
    subnet.gateway.or_else(|| by_route().map(|route| route.nexthop)).and_then(ipv4)
}

/// Other subnets of the network on-link, host routes, metadata, and then the default route, for a client that
/// understands option 121 ignores option 3 (RFC 3442).
fn classless_routes(
    view: &HostView,
    network: NetworkId,
    dhcp: &Dhcp,
    subnet: &Subnet,
    server: Ipv4Addr,
) -> Vec<ClasslessRoute> {
    let siblings: BTreeSet<Ipv4Net> = view
        .subnets
        .values()
        .filter(|other| other.network == network && other.cidr != subnet.cidr)
        .filter_map(|other| ipv4_net(other.cidr))
        .collect();
    let on_link = siblings.into_iter().map(|destination| ClasslessRoute { destination, via: Ipv4Addr::UNSPECIFIED });
    let host_routes = subnet.host_routes.iter().filter_map(|route| {
        let destination = ipv4_net(route.destination).filter(|net| net.prefix_len() > 0)?;
        Some(ClasslessRoute { destination, via: ipv4(route.nexthop)? })
    });
    let mut routes: Vec<_> = on_link.chain(host_routes).collect();
    let gateway = gateway(subnet);
    let metadata = Ipv4Net::from(METADATA);
    // An isolated subnet has no router that could lead to metadata: the server's own address must.
    let routed = subnet.gateway.is_some_and(|gateway| dhcp.routers.contains(&gateway));
    let via = if routed { gateway } else { Some(server) };
    if let Some(via) = via.filter(|_| !routes.iter().any(|route| route.destination == metadata)) {
        routes.push(ClasslessRoute { destination: metadata, via });
    }
    if let Some(via) = gateway {
        routes.push(ClasslessRoute { destination: Ipv4Net::default(), via });
    }
    routes
}

fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn ipv4s(addresses: &[IpAddr]) -> impl Iterator<Item = Ipv4Addr> {
    addresses.iter().copied().filter_map(ipv4)
}

fn ipv4_net(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net.trunc()),
        IpNet::V6(_) => None,
    }
}
