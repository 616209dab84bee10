//! Extra routes: static routes of a router beside those to its own subnets.

use super::Router;
use crate::{ModelError, subnet::Route};
use net_types::IpNet;
use std::net::IpAddr;

/// Refuses routes whose next hop the router cannot reach, or is the router itself.
pub fn check_routes(router: &Router, routes: &[Route]) -> Result<(), ModelError> {
    let addresses = || router.ports.iter().flat_map(|port| &port.addresses);
    let cidrs: Vec<_> = addresses().map(|address| address.cidr).collect();
    let own: Vec<_> = addresses().map(|address| address.ip_address).collect();
    check_nexthops(routes, &cidrs, &own)
}

pub(super) fn check_nexthops(routes: &[Route], cidrs: &[IpNet], own: &[IpAddr]) -> Result<(), ModelError> {
    let refuse = |reason| {
        let list: Vec<String> = routes.iter().map(ToString::to_string).collect();
        Err(ModelError::InvalidRoutes { routes: format!("[{}]", list.join(", ")), reason })
    };
    for route in routes {
        if !cidrs.iter().any(|cidr| cidr.contains(&route.nexthop)) {
            return refuse("the nexthop is not connected with router");
        }
        if own.contains(&route.nexthop) {
            return refuse("the nexthop is used by router");
        }
    }
    Ok(())
}

/// The routes with `more` added; what is there already is not there twice.
pub fn add_routes(routes: &[Route], more: &[Route]) -> Vec<Route> {
    let mut all = Vec::with_capacity(routes.len() + more.len());
    for route in routes.iter().chain(more) {
        if !all.contains(route) {
            all.push(*route);
        }
    }
    all
}

/// The routes without `gone`; what is not there is no matter.
pub fn remove_routes(routes: &[Route], gone: &[Route]) -> Vec<Route> {
    routes.iter().filter(|route| !gone.contains(route)).copied().collect()
}
