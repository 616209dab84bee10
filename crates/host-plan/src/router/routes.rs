//! Routes of a router's namespace.
//!
//! ```text
//! 0.0.0.0/0, ::/0      by the gateway of an external subnet: of the first gateway that has one in this family, or of all of
//!                      them side by side (`enable_default_route_ecmp`)
//! that gateway/32      on-link, where it lies outside its subnet
//! other subnets of the external network   on-link
//! extra routes         by the device whose subnet has the next hop; several to one destination side by side
//! ```
//! An extra route to a destination takes the place of all that gateways say of it. Which of the ways side by side a packet takes
//! the kernel finds from its addresses and ports, so that a connection keeps to one while they stay what they are.
//!
//! In: the ports of the gateways with their subnets; `routes`. Out: [`Route`]s.

use crate::host_plan::{Namespace, Route};
use crate::namespaces::{default_routes, on_link, subnets_of, sysctls};
use crate::wiring::Wiring;
use host_view::{HostRoute, Port};
use net_types::IpNet;
use std::collections::BTreeSet;

/// What lets the kernel look at ports, too, where it chooses a way.
const BY_CONNECTION: [(&str, &str); 2] =
    [("net.ipv4.fib_multipath_hash_policy", "1"), ("net.ipv6.fib_multipath_hash_policy", "1")];

/// Adds the routes of a gateway's port, behind those of the gateways before it.
pub(super) fn add_gateway(
    namespace: &mut Namespace,
    wiring: &Wiring<'_>,
    port: &Port,
    device: &str,
    side_by_side: bool,
) {
    let known: BTreeSet<IpNet> = namespace.routes.iter().map(|route| route.destination).collect();
    let routes = default_routes(subnets_of(wiring.view, port), device).into_iter().chain(on_link(wiring, port, device));
    // What leads somewhere already goes on doing so.
    let adds =
        |route: &Route| !known.contains(&route.destination) || (side_by_side && route.destination.prefix_len() == 0);
    namespace.routes.extend(routes.filter(adds));
}

/// Adds extra routes, after those of all gateways; those that lead nowhere, one sentence each.
pub(super) fn finish(namespace: &mut Namespace, extra: &BTreeSet<HostRoute>) -> Vec<String> {
    let mut errors = Vec::new();
    let mut routes = BTreeSet::new();
    for HostRoute { destination, nexthop } in extra {
        let reaches = |addresses: &BTreeSet<IpNet>| addresses.iter().any(|net| net.trunc().contains(nexthop));
        match namespace.devices.iter().find(|(_, device)| reaches(&device.addresses)) {
            Some((device, _)) => {
                let device = device.clone();
                routes.insert(Route { destination: destination.trunc(), via: Some(*nexthop), device, mark: None });
            }
            None => errors.push(format!("next hop {nexthop} of the route to {destination} is on none of its subnets")),
        }
    }
    let said: BTreeSet<IpNet> = routes.iter().map(|route| route.destination).collect();
    namespace.routes.retain(|known| !said.contains(&known.destination));
    namespace.routes.extend(routes);
    let destinations: BTreeSet<IpNet> = namespace.routes.iter().map(|route| route.destination).collect();
    if destinations.len() < namespace.routes.len() {
        namespace.sysctls.extend(sysctls(BY_CONNECTION));
    }
    errors
}
