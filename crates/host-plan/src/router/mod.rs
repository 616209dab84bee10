//! Routers: a namespace with a device per port, and one nftables table for all address translation.
//!
//! ```text
//! qrouter-<router>
//!   qr-<port> ...  gateway addresses of the inside subnets           ── br-int, access ports
//!   qg-<port> ...  outside address, and each floating IP as a /32    ── br-int, access port of the external network
//!   default route by the first external subnet's gateway; extra routes: `routes`
//!
//! table ip neutronium
//!   prerouting (filter, -150)   in by qg-: mark 0x2, "from outside"
//!   prerouting, output (nat)    dnat to ip daddr map @floating_to_fixed; then single ports: `port_forwarding`
//!   postrouting (nat)           out by qg-, or translated on the way in: goto source_nat; else no NAT (east-west)
//!   source_nat                  snat to ip saddr map @fixed_to_floating
//!                               out by qg-, from the address scope of the outside: no NAT    (`scopes`)
//!                               out by qg-: snat to its address                              (enable_snat)
//!                               translated and not from outside: snat to the gateway address (enable_snat, hairpin)
//!   and what `scopes` (in table ip6 neutronium, too) and `limits` draw; tables of their own: `helpers`, `metering`
//! ```
//! A router may have several gateways. Each has its device and says for itself whether what leaves by it takes its address;
//! a floating IP is on the device whose network it is of, and a connection keeps to the gateway that it began by (`ways`).
//! In: `routers` and their ports. Out: [`Namespace`]s and what runs in them (see `advertisement`, and `metadata`, which has
//! tables of its own). The table is replaced as a whole in one transaction, and a packet costs one lookup however many
//! floating IPs there are. IPv6 is routed, never translated. A router that is administratively down has no namespace.

mod advertisement;
pub(crate) mod distributed;
mod helpers;
mod limits;
mod metering;
mod nat;
mod ndp_proxy;
mod port_forwarding;
mod routes;
mod scopes;
pub(crate) mod standby;
mod ways;

use crate::host_plan::Namespace;
use crate::metadata;
use crate::names;
use crate::namespaces::Planned;
use crate::namespaces::{device, sysctls};
use crate::services::MetadataProxy;
use crate::wiring::Wiring;
pub use helpers::is_optional;
use host_view::{Gateway, Port, Router, RouterState};
pub use metering::metered_label;
pub use nat::NAT_TABLE;
pub(crate) use nat::floating_ips_in;
use net_types::{IpNet, PortId};
use nft_rules::{Family, Table};
pub use port_forwarding::Forwarded;
use scopes::Scopes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(crate) fn plan(wiring: &Wiring<'_>) -> Planned {
    if !wiring.config.roles.contains(&host_view::AgentRole::L3) {
        return Planned::default();
    }
    let states = standby::states(wiring);
    let mut planned = Planned { services: advertisement::services(wiring), ..Planned::default() };
    for (id, router) in wiring.view.routers.iter().filter(|(_, router)| router.admin_state_up) {
        let announces = states.get(id) != Some(&RouterState::Standby);
        let moves = router.standby.is_some();
        let namespace = Namespace { sysctls: parameters(router), moves, ..Namespace::default() };
        let mut planner = Planner { wiring, announces, namespace };
        planner.interfaces(router);
        planner.other_hosts(router);
        let ways = planner.gateways(router);
        let said = planner.tables(router, &ways);
        planned.errors.extend(said.into_iter().map(|reason| format!("router {id}: {reason}")));
        let unreachable = routes::finish(&mut planner.namespace, &router.routes);
        planner.namespace.routes.extend(ways::routes(wiring.view, &ways));
        if router.is_copy() {
            planner.namespace.routes.extend(distributed::ways_out(&wiring.subnets, &ways));
        }
        // What a copy cannot reach, the central host may.
        let unreachable = unreachable.into_iter().filter(|_| !router.is_copy());
        planned.errors.extend(unreachable.map(|reason| format!("router {id}: {reason}")));
        let name = names::router_namespace(*id);
        if let Some(proxy) = planner.metadata(&id.to_string(), router) {
            planned.services.entry(name.clone()).or_default().metadata = Some(proxy);
        }
        planned.namespaces.insert(name, planner.namespace);
    }
    planned
}

fn parameters(router: &Router) -> BTreeMap<String, String> {
    let mut parameters = sysctls([
        ("net.ipv4.ip_forward", "1"),
        // Answer and announce only the address of the device itself: others are the business of other devices.
        ("net.ipv4.conf.all.arp_ignore", "1"),
        ("net.ipv4.conf.all.arp_announce", "2"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
        ("net.ipv4.ip_nonlocal_bind", "0"),
        ("net.ipv6.conf.all.forwarding", "1"),
        ("net.ipv6.conf.default.accept_ra", "0"),
    ]);
    if router.standby.is_some() || router.distributed.is_some() {
        // Other hosts have the same addresses.
        parameters.extend(sysctls([("net.ipv6.conf.default.accept_dad", "0")]));
    }
    parameters
}

/// A gateway that is realised.
struct Way<'a> {
    id: PortId,
    port: &'a Port,
    device: String,
    /// Fixed addresses whose floating IPs are on it.
    floating: BTreeSet<IpAddr>,
    /// What leaves by it takes this address.
    snat_to: Option<IpAddr>,
}

struct Planner<'w, 'a> {
    wiring: &'w Wiring<'a>,
    /// False while it stands by: then its addresses are another host's to announce.
    announces: bool,
    namespace: Namespace,
}

impl<'a> Planner<'_, 'a> {
    fn interfaces(&mut self, router: &Router) {
        for port in &router.interfaces {
            self.device(names::router_interface(*port), *port);
        }
    }

    /// What the hosts of a distributed router need to reach each other.
    fn other_hosts(&mut self, router: &Router) {
        for port in &router.snat_ports {
            let name = names::router_snat(*port);
            if self.device(name.clone(), *port)
                && let Some(device) = self.namespace.devices.get_mut(&name)
            {
                // The way to the subnet is the interface's.
                device.addresses = device.addresses.iter().map(|net| IpNet::from(net.addr())).collect();
            }
        }
        if let Some(part) = &router.distributed {
            self.namespace.routes.extend(distributed::default_routes(&self.namespace, part));
        }
    }

    fn device(&mut self, name: String, port: PortId) -> bool {
        let Some(mut device) = device(self.wiring.view, self.wiring.config, port) else { return false };
        device.announce = self.announces;
        self.namespace.devices.insert(name, device);
        true
    }

    /// What leads to the metadata proxy of a router that instances are behind.
    fn metadata(&mut self, name: &str, router: &Router) -> Option<MetadataProxy> {
        let inside = router.interfaces.iter().filter_map(|id| self.wiring.view.ports.get(id));
        let networks: BTreeSet<_> = inside.map(|port| port.network).collect();
        if networks.is_empty() || !self.wiring.config.metadata.proxy {
            return None;
        }
        self.namespace.nft.extend(metadata::tables());
        // In the order in which the kernel lists them to us.
        self.namespace.nft.sort_by(|a, b| (a.family, &a.name).cmp(&(b.family, &b.name)));
        Some(metadata::of_router(self.wiring, name.to_owned(), &networks))
    }

    /// Devices, addresses and routes of the gateways.
    fn gateways(&mut self, router: &Router) -> Vec<Way<'a>> {
        let mut ways: Vec<Way<'_>> = Vec::new();
        for gateway in router.gateways() {
            ways.extend(self.gateway(gateway, router));
        }
        let Some(first) = ways.first() else { return ways };
        if router.ndp_proxies.is_some()
            && let Some(device) = self.namespace.devices.get_mut(&first.device)
        {
            device.proxied = ndp_proxy::addresses(router);
            device.sysctls.extend([ndp_proxy::parameter(&first.device)]);
        }
        self.namespace.floating_ips = nat::floating_ips(router);
        let shared = port_forwarding::addresses(router);
        for floating in self.namespace.floating_ips.keys().copied().chain(shared) {
            let index = ways.iter().position(|way| self.leads_to(way.port, &floating)).unwrap_or(0);
            let Some(way) = ways.get_mut(index) else { continue };
            way.floating.extend(self.namespace.floating_ips.get(&floating));
            if let Some(device) = self.namespace.devices.get_mut(&way.device) {
                device.addresses.insert(IpNet::from(floating));
            }
        }
        ways
    }

    /// The packet filter; what of it cannot be, one sentence each.
    fn tables(&mut self, router: &Router, ways: &[Way<'_>]) -> Vec<String> {
        let ports = self.namespace.devices.iter().map(|(name, device)| (name.clone(), device.port)).collect();
        let [v4, v6] = [true, false].map(|is_v4| Scopes::of(self.wiring.view, router, &ports, is_v4));
        let mut table = Table::new(Family::Ip, NAT_TABLE);
        let translated: Vec<_> = ways.iter().map(|way| (way.device.as_str(), way.snat_to)).collect();
        if !ways.is_empty() {
            nat::add(&mut table, &translated, &self.namespace.floating_ips, v4.untranslated());
            port_forwarding::add(&mut table, router);
        }
        let hidden = translated.iter().filter(|(_, address)| address.is_some()).map(|(device, _)| *device).collect();
        v4.add(&mut table, &hidden, self.namespace.floating_ips.values().copied());
        let devices: Vec<&str> = ways.iter().map(|way| way.device.as_str()).collect();
        limits::add(&mut table, &devices, &router.limits);
        let mut table_v6 = Table::new(Family::Ip6, NAT_TABLE);
        v6.add(&mut table_v6, &BTreeSet::new(), std::iter::empty());
        let gateways: Vec<_> = ways.iter().map(|way| (way.device.as_str(), way.id)).collect();
        ndp_proxy::add(&mut table_v6, self.wiring.view, router, &gateways);
        ways::add(&mut table, self.wiring.view, ways);
        ways::add(&mut table_v6, self.wiring.view, ways);
        if router.is_copy() {
            distributed::mark(&mut table, ways);
        }
        let (helpers, mut errors) = helpers::tables(&router.conntrack_helpers);
        let tables = [table, table_v6].into_iter().filter(|table| !table.chains.is_empty());
        self.namespace.nft = tables.chain(helpers).chain(metering::tables(&devices, &router.metering)).collect();
        self.namespace.nft.sort_by(|a, b| (a.family, &a.name).cmp(&(b.family, &b.name)));
        errors.extend(port_forwarding::errors(router));
        errors
    }

    /// Device and routes of one gateway; none while its port is not there.
    fn gateway(&mut self, gateway: &Gateway, router: &Router) -> Option<Way<'a>> {
        let view = self.wiring.view;
        let device = names::router_gateway(gateway.port);
        let port = view.ports.get(&gateway.port).filter(|_| self.device(device.clone(), gateway.port))?;
        let own = if router.is_copy() {
            // It has no address of its own; what is to come back here needs one.
            let floating = router.floating_ips.values().map(|one| one.floating_address);
            floating.filter(|address| address.is_ipv4() && self.leads_to(port, address)).min()
        } else {
            routes::add_gateway(&mut self.namespace, self.wiring, port, &device, router.default_route_ecmp);
            port.fixed_ips.iter().map(|fixed| fixed.address).find(IpAddr::is_ipv4)
        };
        Some(Way {
            id: gateway.port,
            port,
            device,
            floating: BTreeSet::new(),
            snat_to: own.filter(|_| gateway.enable_snat || router.is_copy()),
        })
    }

    /// Whether an address is of the network that a port is on.
    fn leads_to(&self, port: &Port, address: &IpAddr) -> bool {
        self.wiring.subnets_of(port.network).any(|subnet| subnet.cidr.contains(address))
    }
}
