//! Router advertisements: what each internal device of a router says on its link.
//!
//! ```text
//! ipv6_ra_mode of the subnet   prefix          flags of the advertisement
//!   slaac                      on-link, auto   -         dns_nameservers as RDNSS, the first three
//!   dhcpv6-stateless           on-link, auto   other
//!   dhcpv6-stateful            on-link         managed
//!   (none)                     somebody else advertises it, or nobody
//! ```
//! In: the router's internal ports and their subnets. Out: a [`RouterAdvertisement`] per device with at least one such
//! subnet. The modes of a link's subnets add up, as in Neutron, and so do its times and the route to `fe80::a9fe:a9fe`, where
//! instances ask for metadata by IPv6. The source is the device's link-local address, which its MAC implies.

use crate::metadata::ADDRESS_V6;
use crate::names;
use crate::namespaces::subnets_of;
use crate::services::{AdvertisedPrefix, NamespaceServices, RouterAdvertisement};
use crate::wiring::Wiring;
use host_view::{AgentRole, HostView, Router, Subnet};
use net_types::{IpNet, Ipv6Net, PortId};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `min_rtr_adv_interval` and `max_rtr_adv_interval` of Neutron's L3 agent, in seconds.
const INTERVAL: (u16, u16) = (30, 100);
/// A router that is not heard of for three intervals is gone (RFC 4861 section 6.2.1).
const ROUTER_LIFETIME: u16 = 3 * INTERVAL.1;
/// What radvd says of prefixes, in seconds: a day and four hours.
const VALID_SECONDS: u32 = 86_400;
const PREFERRED_SECONDS: u32 = 14_400;
/// How many DNS servers are told (Neutron's `MAX_RDNSS_ENTRIES`).
const MAX_DNS_SERVERS: usize = 3;
/// The least that carries IPv6 (RFC 8200 section 5).
const MIN_MTU: u16 = 1280;

/// What runs in the routers' namespaces, by their name.
pub(super) fn services(wiring: &Wiring<'_>) -> BTreeMap<String, NamespaceServices> {
    let plays = wiring.config.roles.contains(&AgentRole::L3);
    let routers = wiring.view.routers.iter().filter(|(_, router)| plays && router.admin_state_up);
    routers
        .map(|(id, router)| {
            let ra = advertisements(wiring.view, router);
            (names::router_namespace(*id), NamespaceServices { ra, ..NamespaceServices::default() })
        })
        .filter(|(_, services)| !services.is_empty())
        .collect()
}

/// By device.
fn advertisements(view: &HostView, router: &Router) -> BTreeMap<String, RouterAdvertisement> {
    let of = |port: &PortId| advertisement(view, *port).map(|ra| (ra.device.clone(), ra));
    router.interfaces.iter().filter_map(of).collect()
}

fn advertisement(view: &HostView, id: PortId) -> Option<RouterAdvertisement> {
    let port = view.ports.get(&id)?;
    let network = view.networks.get(&port.network)?;
    let advertised =
        || subnets_of(view, port).filter_map(|subnet| Some((subnet, prefix_of(subnet)?, mode_of(subnet)?)));
    advertised().next()?;
    let any = |wanted: Mode| advertised().any(|(_, _, mode)| mode == wanted);
    let dns_servers = advertised()
        .filter(|(_, _, mode)| *mode == Mode::Slaac)
        .flat_map(|(subnet, _, _)| &subnet.dns_nameservers)
        .filter_map(|address| match address {
            IpAddr::V6(address) if !address.is_unspecified() => Some(*address),
            _ => None,
        })
        .take(MAX_DNS_SERVERS)
        .collect();
    let prefixes = advertised().map(|(_, prefix, mode)| AdvertisedPrefix {
        prefix,
        autonomous: mode != Mode::Stateful,
        valid_seconds: VALID_SECONDS,
        preferred_seconds: PREFERRED_SECONDS,
    });
    Some(RouterAdvertisement {
        device: names::router_interface(id),
        mac: port.mac,
        managed: any(Mode::Stateful),
        other: any(Mode::Stateless),
        mtu: (network.mtu >= MIN_MTU).then(|| network.mtu.into()),
        router_lifetime: ROUTER_LIFETIME,
        min_interval: INTERVAL.0,
        max_interval: INTERVAL.1,
        prefixes: prefixes.collect(),
        dns_servers,
        routes: vec![Ipv6Net::from(ADDRESS_V6)],
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Slaac,
    Stateless,
    Stateful,
}

fn mode_of(subnet: &Subnet) -> Option<Mode> {
    match subnet.ipv6_ra_mode.as_deref()? {
        "slaac" => Some(Mode::Slaac),
        "dhcpv6-stateless" => Some(Mode::Stateless),
        "dhcpv6-stateful" => Some(Mode::Stateful),
        _ => None,
    }
}

fn prefix_of(subnet: &Subnet) -> Option<Ipv6Net> {
    match subnet.cidr {
        IpNet::V6(prefix) => Some(prefix.trunc()),
        IpNet::V4(_) => None,
    }
}
