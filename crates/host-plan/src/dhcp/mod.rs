//! DHCP: a namespace per network that this host serves, and what the server in it answers.
//!
//! ```text
//! qdhcp-<network>
//!   tap<port>  server's addresses, one per subnet    ── br-int, access port of the network
//!   default route by the first subnet's gateway; other subnets of the network on-link
//! client ── DISCOVER ── br-int ── tap<port>, UDP 67  ── lease by MAC, or no answer
//!           SOLICIT                            UDP 547 ── the same for IPv6, see `v6`
//!           names                       UDP and TCP 53 ── the network's own, or forwarded, see `names`
//! ```
//! In: `dhcp`, `dhcp_clients`, subnets, ports. Out: [`Namespace`]s and their [`NamespaceServices`]. Clients get exactly the addresses
//! that the API gave them, from subnets with DHCP that the server has an address on, and nobody else gets any. A subnet that
//! names no DNS servers gets the network's DHCP servers for that.

mod extra_options;
mod names;
mod v6;

use crate::host_plan::Namespace;
use crate::metadata;
use crate::names::{dhcp_namespace, tap};
use crate::namespaces::Planned;
use crate::namespaces::{default_routes, device, on_link, subnets_of, sysctls};
use crate::services::{ClasslessRoute, DhcpLease, DhcpServer, NamespaceServices};
use crate::wiring::Wiring;
use host_view::{Dhcp, DhcpClient, Port, Subnet};
use net_types::{IpNet, Ipv4Net, NetworkId, SubnetId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

pub(crate) fn plan(wiring: &Wiring<'_>) -> Planned {
    let mut planned = Planned::default();
    let mut clients: BTreeMap<NetworkId, Vec<&DhcpClient>> = BTreeMap::new();
    for (port, client) in &wiring.view.dhcp_clients {
        clients.entry(client.network).or_default().push(client);
        planned.errors.extend(extra_options::errors(client).map(|reason| format!("port {port}: {reason}")));
    }
    for (id, dhcp) in &wiring.view.dhcp {
        let name = tap(dhcp.port);
        let port = wiring.view.ports.get(&dhcp.port).filter(|_| wiring.own_devices.contains_key(&name));
        let (Some(port), Some(mut device)) = (port, device(wiring.view, wiring.config, dhcp.port)) else { continue };
        let mut routes = default_routes(subnets_of(wiring.view, port), &name);
        routes.extend(on_link(wiring, port, &name));
        let metadata = metadata::of_network(wiring, *id, dhcp, &name);
        let metadata = metadata.map(|(proxy, addresses)| {
            device.addresses.extend(addresses);
            proxy
        });
        let namespace = Namespace {
            sysctls: sysctls([("net.ipv4.ip_nonlocal_bind", "1"), ("net.ipv6.conf.default.accept_ra", "0")]),
            devices: BTreeMap::from([(name.clone(), device)]),
            routes,
            ..Namespace::default()
        };
        planned.namespaces.insert(dhcp_namespace(*id), namespace);
        let clients = clients.get(id).map_or(&[][..], Vec::as_slice);
        let leases =
            clients.iter().filter_map(|client| Some((client.mac, lease(wiring, *id, dhcp, port, client)?))).collect();
        let services = NamespaceServices {
            dhcp: Some(DhcpServer { network: *id, device: name, leases }),
            dhcp6: v6::server(wiring.view, *id, dhcp, port, clients),
            dns: names::server(wiring, *id, dhcp, port, clients),
            metadata,
            ..NamespaceServices::default()
        };
        planned.services.insert(dhcp_namespace(*id), services);
    }
    planned
}

/// What a client is called at one of its addresses.
fn hostname(client: &DhcpClient, address: IpAddr) -> String {
    let by_address = || format!("host-{}", address.to_string().replace(['.', ':'], "-"));
    client.hostname.clone().unwrap_or_else(by_address)
}

/// DNS servers for clients of a subnet: those that it names, else the network's DHCP servers, this host's first.
/// An unspecified address (0.0.0.0, ::) is the API's way of saying "none at all".
fn dns_servers(dhcp: &Dhcp, own: &Port, id: SubnetId, subnet: &Subnet) -> Vec<IpAddr> {
    let v4 = subnet.cidr.addr().is_ipv4();
    let named = subnet.dns_nameservers.iter().copied().filter(|server| server.is_ipv4() == v4).collect::<Vec<_>>();
    if !named.is_empty() {
        return if named.iter().any(IpAddr::is_unspecified) { vec![] } else { named };
    }
    let mut servers: Vec<IpAddr> =
        own.fixed_ips.iter().filter(|fixed| fixed.subnet == id).map(|fixed| fixed.address).collect();
    let others = dhcp.servers.iter().filter(|fixed| fixed.subnet == id).map(|fixed| fixed.address);
    servers.extend(others.filter(|address| !own.fixed_ips.iter().any(|fixed| fixed.address == *address)));
    servers
}

/// What a client is told: of its first IPv4 address that this server can answer for.
fn lease(wiring: &Wiring<'_>, network: NetworkId, dhcp: &Dhcp, own: &Port, client: &DhcpClient) -> Option<DhcpLease> {
    let view = wiring.view;
    let servers: BTreeMap<SubnetId, Ipv4Addr> =
        own.fixed_ips.iter().filter_map(|fixed| Some((fixed.subnet, ipv4(fixed.address)?))).collect();
    let (address, id, subnet, server) = client.fixed_ips.iter().find_map(|fixed| {
        let subnet = view.subnets.get(&fixed.subnet).filter(|subnet| subnet.enable_dhcp)?;
        Some((ipv4(fixed.address)?, fixed.subnet, subnet, *servers.get(&fixed.subnet)?))
    })?;
    let router = gateway(subnet);
    Some(DhcpLease {
        address,
        prefix_len: subnet.cidr.prefix_len(),
        server,
        router,
        dns_servers: dns_servers(dhcp, own, id, subnet).into_iter().filter_map(ipv4).collect(),
        hostname: hostname(client, IpAddr::V4(address)),
        domain: dhcp.domain.clone(),
        mtu: view.networks.get(&network)?.mtu,
        lease_seconds: dhcp.lease_seconds,
        classless_routes: classless_routes(wiring, network, dhcp, subnet, server),
        options: extra_options::v4(client),
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
    wiring: &Wiring<'_>,
    network: NetworkId,
    dhcp: &Dhcp,
    subnet: &Subnet,
    server: Ipv4Addr,
) -> Vec<ClasslessRoute> {
    let siblings: BTreeSet<Ipv4Net> = wiring
        .subnets_of(network)
        .filter(|other| other.cidr != subnet.cidr)
        .filter_map(|other| ipv4_net(other.cidr))
        .collect();
    let on_link = siblings.into_iter().map(|destination| ClasslessRoute { destination, via: Ipv4Addr::UNSPECIFIED });
    let host_routes = subnet.host_routes.iter().filter_map(|route| {
        let destination = ipv4_net(route.destination).filter(|net| net.prefix_len() > 0)?;
        Some(ClasslessRoute { destination, via: ipv4(route.nexthop)? })
    });
    let mut routes: Vec<_> = on_link.chain(host_routes).collect();
    let gateway = gateway(subnet);
    let address = Ipv4Net::from(metadata::ADDRESS);
    // An isolated subnet has no router that could lead to metadata: the server's own address must.
    let config = wiring.config.metadata;
    let by_server = config.proxy && (config.force || config.isolated && metadata::is_isolated(dhcp, subnet));
    let routed = gateway.filter(|_| !metadata::is_isolated(dhcp, subnet));
    let via = if by_server { Some(server) } else { routed };
    if let Some(via) = via.filter(|_| !routes.iter().any(|route| route.destination == address)) {
        routes.push(ClasslessRoute { destination: address, via });
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

fn ipv4_net(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net.trunc()),
        IpNet::V6(_) => None,
    }
}
