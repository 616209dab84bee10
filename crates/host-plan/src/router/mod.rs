//! Routers: a namespace with a device per port, and one nftables table for all address translation.
//!
//! ```text
//! qrouter-<router>
//!   qr-<port> ...  gateway addresses of the inside subnets           ── br-int, access ports
//!   qg-<port>      outside address, and each floating IP as a /32    ── br-int, access port of the external network
//!   default route by the external subnet's gateway; extra routes
//!
//! table ip neutronium
//!   prerouting (filter, -150)   in by qg-: mark 0x2, "from outside"
//!   prerouting, output (nat)    dnat to ip daddr map @floating_to_fixed; then single ports: `port_forwarding`
//!   postrouting (nat)           out by qg-, or translated on the way in: goto source_nat; else no NAT (east-west)
//!   source_nat                  snat to ip saddr map @fixed_to_floating
//!                               out by qg-: snat to the gateway address                      (enable_snat)
//!                               translated and not from outside: snat to the gateway address (enable_snat, hairpin)
//! ```
//! In: `routers` and their ports. Out: [`Namespace`]s. The table is replaced as a whole in one transaction, and a
//! packet costs one lookup however many floating IPs there are. IPv6 is routed, never translated. A router that is
//! administratively down has no namespace.

mod nat;
mod port_forwarding;

use crate::host_plan::{Namespace, Route};
use crate::names;
use crate::namespaces::{default_routes, device, on_link, subnets_of, sysctls};
use crate::wiring::Wiring;
use host_view::{Gateway, HostRoute, Router};
pub use nat::NAT_TABLE;
pub(crate) use nat::floating_ips_in;
use net_types::{IpNet, PortId};
pub use port_forwarding::Forwarded;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Namespaces, by name, and what is wrong with routers.
pub(crate) fn plan(wiring: &Wiring<'_>) -> (BTreeMap<String, Namespace>, BTreeSet<String>) {
    let (mut namespaces, mut errors) = (BTreeMap::new(), BTreeSet::new());
    if !wiring.config.roles.contains(&host_view::AgentRole::L3) {
        return (namespaces, errors);
    }
    for (id, router) in wiring.view.routers.iter().filter(|(_, router)| router.admin_state_up) {
        let mut planner = Planner { wiring, namespace: Namespace { sysctls: parameters(), ..Namespace::default() } };
        planner.interfaces(router);
        if let Some(gateway) = &router.gateway {
            planner.gateway(router, gateway);
        }
        errors.extend(port_forwarding::errors(router).map(|reason| format!("router {id}: {reason}")));
        for route in &router.routes {
            if let Err(reason) = planner.extra_route(route) {
                errors.insert(format!("router {id}: {reason}"));
            }
        }
        namespaces.insert(names::router_namespace(*id), planner.namespace);
    }
    (namespaces, errors)
}

fn parameters() -> BTreeMap<String, String> {
    sysctls([
        ("net.ipv4.ip_forward", "1"),
        // Answer and announce only the address of the device itself: others are the business of other devices.
        ("net.ipv4.conf.all.arp_ignore", "1"),
        ("net.ipv4.conf.all.arp_announce", "2"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
        ("net.ipv4.ip_nonlocal_bind", "0"),
        ("net.ipv6.conf.all.forwarding", "1"),
        ("net.ipv6.conf.default.accept_ra", "0"),
    ])
}

struct Planner<'w, 'a> {
    wiring: &'w Wiring<'a>,
    namespace: Namespace,
}

impl Planner<'_, '_> {
    fn interfaces(&mut self, router: &Router) {
        for port in &router.interfaces {
            self.device(names::router_interface(*port), *port);
        }
    }

    fn device(&mut self, name: String, port: PortId) -> bool {
        let Some(mut device) = device(self.wiring.view, self.wiring.config, port) else { return false };
        device.announce = true;
        self.namespace.devices.insert(name, device);
        true
    }

    fn gateway(&mut self, router: &Router, gateway: &Gateway) {
        let view = self.wiring.view;
        let name = names::router_gateway(gateway.port);
        let Some(port) = view.ports.get(&gateway.port).filter(|_| self.device(name.clone(), gateway.port)) else {
            return;
        };
        self.namespace.routes.extend(default_routes(subnets_of(view, port), &name));
        self.namespace.routes.extend(on_link(view, port, &name));
        let floating_ips = nat::floating_ips(router);
        if let Some(device) = self.namespace.devices.get_mut(&name) {
            device.addresses.extend(floating_ips.keys().map(|floating| IpNet::from(*floating)));
            device.addresses.extend(port_forwarding::addresses(router).into_iter().map(IpNet::from));
        }
        let own = port.fixed_ips.iter().map(|fixed| fixed.address).find(IpAddr::is_ipv4);
        let snat_to = own.filter(|_| gateway.enable_snat);
        let mut table = nat::table(&name, snat_to, &floating_ips);
        port_forwarding::add(&mut table, router);
        self.namespace.nft.push(table);
        self.namespace.floating_ips = floating_ips;
    }

    /// By the device that has the next hop's subnet.
    fn extra_route(&mut self, route: &HostRoute) -> Result<(), String> {
        let reaches = |addresses: &BTreeSet<IpNet>| addresses.iter().any(|net| net.trunc().contains(&route.nexthop));
        let found = self.namespace.devices.iter().find(|(_, device)| reaches(&device.addresses));
        let (device, _) = found.ok_or_else(|| {
            format!("next hop {} of the route to {} is on none of its subnets", route.nexthop, route.destination)
        })?;
        let (destination, device) = (route.destination.trunc(), device.clone());
        // An extra default route takes the place of the gateway's: the kernel has room for one.
        self.namespace.routes.retain(|known| known.destination != destination);
        self.namespace.routes.insert(Route { destination, via: Some(route.nexthop), device });
        Ok(())
    }
}
