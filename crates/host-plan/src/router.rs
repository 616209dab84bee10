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
//!   prerouting, output (nat)    dnat to ip daddr map @floating_to_fixed
//!   postrouting (nat)           out by qg-, or translated on the way in: goto source_nat; else no NAT (east-west)
//!   source_nat                  snat to ip saddr map @fixed_to_floating
//!                               out by qg-: snat to the gateway address                      (enable_snat)
//!                               translated and not from outside: snat to the gateway address (enable_snat, hairpin)
//! ```
//! In: `routers` and their ports. Out: [`Namespace`]s. The table is replaced as a whole in one transaction, and a
//! packet costs one lookup however many floating IPs there are. IPv6 is routed, never translated. A router that is
//! administratively down has no namespace.

use crate::host_plan::{Namespace, Route};
use crate::names;
use crate::namespaces::{default_routes, device, on_link, subnets_of, sysctls};
use crate::wiring::Wiring;
use host_view::{Gateway, HostRoute, Router};
use net_types::{IpNet, PortId};
use nft_rules::{Chain, DataType, Family, Field, Hook, Kind, Map, Nat, Rule, Statement, Table, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The table of ours in every router's namespace.
pub const NAT_TABLE: &str = "neutronium";

/// Map of that table: floating address to fixed address.
const FLOATING_TO_FIXED: &str = "floating_to_fixed";
/// Map of that table, the other way round.
const FIXED_TO_FLOATING: &str = "fixed_to_floating";
/// Chain of that table.
const SOURCE_NAT: &str = "source_nat";

/// Bits of the packet mark that say where a packet is from (Neutron's `ROUTER_MARK_MASK`).
const MARK_MASK: u32 = 0xffff;
/// In by the gateway device (Neutron's `external_ingress_mark`).
const FROM_OUTSIDE: u32 = 0x2;

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
        let floating_ips = floating_ips(router);
        if let Some(device) = self.namespace.devices.get_mut(&name) {
            device.addresses.extend(floating_ips.keys().map(|floating| IpNet::from(*floating)));
        }
        let own = port.fixed_ips.iter().map(|fixed| fixed.address).find(IpAddr::is_ipv4);
        let snat_to = own.filter(|_| gateway.enable_snat);
        self.namespace.nft.push(nat_table(&name, snat_to, &floating_ips));
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

/// Floating to fixed IPv4 addresses. A fixed address has one floating IP only (its first): replies can have but one source.
fn floating_ips(router: &Router) -> BTreeMap<IpAddr, IpAddr> {
    let wanted: BTreeMap<IpAddr, IpAddr> = router
        .floating_ips
        .values()
        .filter(|floating| floating.floating_address.is_ipv4() && floating.fixed_address.is_ipv4())
        .map(|floating| (floating.floating_address, floating.fixed_address))
        .collect();
    let mut seen = BTreeSet::new();
    wanted.into_iter().filter(|(_, fixed)| seen.insert(*fixed)).collect()
}

fn nat_table(gateway: &str, snat_to: Option<IpAddr>, floating_ips: &BTreeMap<IpAddr, IpAddr>) -> Table {
    let map =
        |entries: BTreeMap<Value, Value>| Map { elements: entries, ..Map::new(DataType::Ipv4Addr, DataType::Ipv4Addr) };
    let to_fixed = || Rule::new().then(Statement::Dnat(Nat::map(Field::IpDaddr, FLOATING_TO_FIXED)));
    let from_outside = Statement::SetMark { value: FROM_OUTSIDE, mask: MARK_MASK };
    let source_nat = || Statement::Goto(SOURCE_NAT.into());

    let mut sources = Chain::new()
        .rule(Rule::new().then(Statement::Snat(Nat::map(Field::IpSaddr, FIXED_TO_FLOATING).fully_random())));
    if let Some(address) = snat_to {
        let snat = || Statement::Snat(Nat::to(address).fully_random());
        sources = sources.rule(Rule::new().is(Field::OifName, gateway).then(snat())).rule(
            Rule::new()
                .masked_is_not(Field::MetaMark, MARK_MASK, FROM_OUTSIDE)
                .has(Field::CtStatus, "dnat")
                .then(snat()),
        );
    }

    let mut table = Table::new(Family::Ip, NAT_TABLE);
    table
        .map(FLOATING_TO_FIXED, map(floating_ips.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()))
        .map(FIXED_TO_FLOATING, map(floating_ips.iter().map(|(a, b)| ((*b).into(), (*a).into())).collect()))
        .chain(
            "from_outside",
            Chain::base(Kind::Filter, Hook::Prerouting, -150)
                .rule(Rule::new().is(Field::IifName, gateway).then(from_outside)),
        )
        .chain("prerouting", Chain::base(Kind::Nat, Hook::Prerouting, -100).rule(to_fixed()))
        .chain("output", Chain::base(Kind::Nat, Hook::Output, -100).rule(to_fixed()))
        .chain(
            "postrouting",
            Chain::base(Kind::Nat, Hook::Postrouting, 100)
                .rule(Rule::new().is(Field::OifName, gateway).then(source_nat()))
                .rule(Rule::new().has(Field::CtStatus, "dnat").then(source_nat())),
        )
        .chain(SOURCE_NAT, sources);
    table
}

/// Floating to fixed addresses that a namespace's tables translate.
pub(crate) fn floating_ips_in(tables: &[Table]) -> BTreeMap<IpAddr, IpAddr> {
    let ours = |table: &&Table| table.family == Family::Ip && table.name == NAT_TABLE;
    let entries = tables.iter().filter(ours).filter_map(|table| table.maps.get(FLOATING_TO_FIXED));
    let addresses = |(floating, fixed): (&Value, &Value)| match (floating, fixed) {
        (Value::Address(floating), Value::Address(fixed)) => Some((*floating, *fixed)),
        _ => None,
    };
    entries.flat_map(|map| &map.elements).filter_map(addresses).collect()
}
