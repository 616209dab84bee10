//! What the namespaces of DHCP servers and routers have in common: devices with the addresses of a port.
//!
//! In: the view, the operator's configuration. Out: [`Device`]s and [`Route`]s for `dhcp` and `router`.

use crate::host_plan::{Attachment, Device, Namespace, Route};
use crate::services::NamespaceServices;
use crate::wiring::Wiring;
use crate::{Datapath, HostConfig};
use host_view::{EtherType, HostView, Port, Subnet};
use net_types::{IpNet, Ipv4Net, Ipv6Net, PortId, SubnetId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Namespaces and what runs in them, by name, and what is wrong with what was asked of them.
#[derive(Default)]
pub(crate) struct Planned {
    pub namespaces: BTreeMap<String, Namespace>,
    pub services: BTreeMap<String, NamespaceServices>,
    pub errors: BTreeSet<String>,
}

/// The device of a port of this host; none when the view lacks the port or its network.
pub(crate) fn device(view: &HostView, config: &HostConfig, id: PortId) -> Option<Device> {
    let port = view.ports.get(&id)?;
    let network = view.networks.get(&port.network)?;
    let (attachment, checksum_offload) = match config.datapath {
        Datapath::Netdev => (Attachment::Veth, false),
        Datapath::System => (Attachment::Internal, true),
    };
    Some(Device {
        port: id,
        mac: port.mac,
        mtu: network.mtu,
        addresses: addresses(view, port),
        proxied: BTreeSet::new(),
        attachment,
        checksum_offload,
        announce: false,
        sysctls: BTreeMap::new(),
    })
}

/// A port's fixed addresses with the prefix lengths of their subnets.
fn addresses(view: &HostView, port: &Port) -> BTreeSet<IpNet> {
    let with_prefix = |fixed: &host_view::FixedIp| {
        let subnet = view.subnets.get(&fixed.subnet)?;
        IpNet::new(fixed.address, subnet.cidr.prefix_len()).ok()
    };
    port.fixed_ips.iter().filter_map(with_prefix).collect()
}

/// Subnets that a port has an address on, in the order of its addresses.
pub(crate) fn subnets_of<'a>(view: &'a HostView, port: &'a Port) -> impl Iterator<Item = &'a Subnet> {
    port.fixed_ips.iter().filter_map(|fixed| view.subnets.get(&fixed.subnet))
}

/// Other subnets of a port's network: they are on the same wire.
pub(crate) fn on_link<'a>(wiring: &'a Wiring<'_>, port: &'a Port, device: &'a str) -> impl Iterator<Item = Route> + 'a {
    let own: BTreeSet<SubnetId> = port.fixed_ips.iter().map(|fixed| fixed.subnet).collect();
    let all = wiring.subnets.get(&port.network).into_iter().flatten();
    all.filter(move |(id, _)| !own.contains(id)).map(|(_, subnet)| Route {
        destination: subnet.cidr.trunc(),
        via: None,
        device: device.to_owned(),
        mark: None,
    })
}

/// The default route of each family by the gateway of the first of these subnets that has one, with a way to a gateway
/// that lies outside its subnet.
pub(crate) fn default_routes<'a>(subnets: impl Iterator<Item = &'a Subnet>, device: &str) -> BTreeSet<Route> {
    let mut routes = BTreeSet::new();
    let mut done = BTreeSet::new();
    for subnet in subnets {
        let Some(gateway) = subnet.gateway else { continue };
        if done.insert(EtherType::of(&gateway)) {
            let route = |destination, via| Route { destination, via, device: device.to_owned(), mark: None };
            if !subnet.cidr.contains(&gateway) && !is_link_local(&gateway) {
                routes.insert(route(gateway.into(), None));
            }
            routes.insert(route(everything(&gateway), Some(gateway)));
        }
    }
    routes
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// `0.0.0.0/0` or `::/0`.
pub(crate) fn everything(like: &IpAddr) -> IpNet {
    match like {
        IpAddr::V4(_) => Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Kernel parameters by name.
pub(crate) fn sysctls<const N: usize>(parameters: [(&str, &str); N]) -> BTreeMap<String, String> {
    parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
