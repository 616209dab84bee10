//! NDP proxies: single IPv6 addresses inside that the router answers for on its external network (RFC 4861, section 7.2.8).
//!
//! ```text
//! qg-<port>   net.ipv6.conf.qg-<port>.proxy_ndp=1, and a proxy entry for each address  (`ip -6 neigh show proxy`)
//! table ip6 neutronium
//!   forward (filter, 5)   in by qg-: to an address of @ndp_proxies: pass; to any other of the subnets inside: drop
//! ```
//! In: a router's proxies, once they are switched on. Out: the device's part, and the chain above. Subnets that are in
//! another address scope than the outside are the business of `scopes`.

use host_view::{HostView, Router};
use net_types::{IpNet, PortId};
use nft_rules::{Chain, DataType, Field, Hook, Kind, Rule, Set, Statement, Table, Value};
use std::collections::BTreeSet;
use std::net::IpAddr;

const NDP_PROXIES: &str = "ndp_proxies";

/// The kernel parameter that lets a device answer for others' addresses.
pub(super) fn parameter(device: &str) -> (String, String) {
    // A dot in a device's name is written as a slash.
    (format!("net.ipv6.conf.{}.proxy_ndp", device.replace('.', "/")), "1".to_owned())
}

/// Lets nothing in by the gateways but what is for a proxied address.
pub(super) fn add(table: &mut Table, view: &HostView, router: &Router, gateways: &[(&str, PortId)]) {
    let Some(proxied) = &router.ndp_proxies else { return };
    let inside: BTreeSet<IpNet> =
        router.interfaces.iter().flat_map(|port| subnets(view, *port)).map(|(net, _)| net).collect();
    if gateways.is_empty() || inside.is_empty() {
        return;
    }
    let elements: BTreeSet<Value> = proxied.iter().filter(|address| address.is_ipv6()).map(|a| (*a).into()).collect();
    table.set(NDP_PROXIES, Set { of: DataType::Ipv6Addr.into(), interval: false, elements });
    let mut filter = Chain::base(Kind::Filter, Hook::Forward, 5);
    for (gateway, port) in gateways {
        let scopes: BTreeSet<_> = subnets(view, *port).map(|(_, scope)| scope).collect();
        let from = || Rule::new().is(Field::IifName, *gateway);
        filter = filter.rule(from().is(Field::Ip6Daddr, Value::Set(NDP_PROXIES.into())).then(Statement::Return));
        let alike = router.interfaces.iter().flat_map(|port| subnets(view, *port));
        let alike: BTreeSet<IpNet> = alike.filter(|(_, scope)| scopes.contains(scope)).map(|(net, _)| net).collect();
        for net in alike {
            filter = filter.rule(from().is(Field::Ip6Daddr, Value::from(net)).then(Statement::Drop));
        }
    }
    table.chain("ndp_proxy", filter);
}

/// Addresses that the gateway device answers for.
pub(super) fn addresses(router: &Router) -> BTreeSet<IpAddr> {
    router.ndp_proxies.iter().flatten().copied().filter(IpAddr::is_ipv6).collect()
}

/// IPv6 subnets that a port has an address on, with their scopes.
fn subnets(view: &HostView, port: PortId) -> impl Iterator<Item = (IpNet, Option<net_types::AddressScopeId>)> {
    let fixed = view.ports.get(&port).into_iter().flat_map(|port| &port.fixed_ips);
    let subnets = fixed.filter_map(|fixed| view.subnets.get(&fixed.subnet));
    subnets.filter(|subnet| subnet.cidr.addr().is_ipv6()).map(|subnet| (subnet.cidr.trunc(), subnet.address_scope))
}
