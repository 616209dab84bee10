use super::*;
use crate::floating_ip::{self, FloatingIpCreate, FloatingIpUpdate};
use crate::testing::{Cloud, ME, floating_ip_request, gateway_info, refusal, router_request};
use net_types::{FloatingIpId, SubnetId};
use network_model::fixed_ips::FixedIpRequest;
use network_model::router::InterfaceRequest;
use std::net::IpAddr;

/// A tenant network 10.0.0.0/24 and an external one 203.0.113.0/24, joined by a router.
struct Joined {
    cloud: Cloud,
    inside: NetworkId,
    subnet: SubnetId,
    outside: NetworkId,
    router: RouterId,
}

fn joined() -> Joined {
    let cloud = Cloud::new();
    let (inside, outside) = (cloud.network(false), cloud.network(true));
    let subnet = cloud.subnet(inside, "10.0.0.0/24");
    cloud.subnet(outside, "203.0.113.0/24");
    let router = cloud
        .by(ME, move |work| {
            let router = create(work, router_request(Some(outside)))?;
            add_interface(work, router, InterfaceRequest::Subnet(subnet))?;
            Ok(router)
        })
        .unwrap();
    Joined { cloud, inside, subnet, outside, router }
}

impl Joined {
    fn floating_ip(&self, change: impl Fn(&mut FloatingIpCreate)) -> Result<FloatingIpId, NetworkError> {
        let mut request = floating_ip_request(self.outside);
        change(&mut request);
        self.cloud.by(ME, move |work| floating_ip::create(work, &request))
    }

    fn update_floating_ip(&self, id: FloatingIpId, port_id: Option<Option<PortId>>) -> Result<(), NetworkError> {
        let request =
            FloatingIpUpdate { port_id, description: Some("changed".to_owned()), ..FloatingIpUpdate::default() };
        self.cloud.by(ME, move |work| floating_ip::update(work, id, request.clone()))
    }

    fn update(&self, request: RouterUpdate) -> Result<(), NetworkError> {
        let id = self.router;
        self.cloud.by(ME, move |work| update(work, id, request.clone()))
    }

    /// Of a floating IP: the router, the fixed address, the status.
    fn association(&self, id: FloatingIpId) -> (String, String, String) {
        let text = |sql| self.cloud.text(sql, id.0);
        (
            text("SELECT router_id FROM floating_ips WHERE id = ?1"),
            text("SELECT fixed_ip_address FROM floating_ips WHERE id = ?1"),
            text("SELECT status FROM floating_ips WHERE id = ?1"),
        )
    }

    fn gateway_port(&self) -> String {
        self.cloud.text("SELECT gateway_port_id FROM routers WHERE id = ?1", self.router.0)
    }
}

#[test]
fn an_interface_is_a_port_with_the_subnets_gateway_address() {
    let Joined { cloud, subnet, router, .. } = joined();
    let port: PortId =
        cloud.text("SELECT port_id FROM router_interfaces WHERE router_id = ?1", router.0).parse().unwrap();
    assert_eq!(cloud.addresses(port), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(cloud.text("SELECT device_owner FROM ports WHERE id = ?1", port.0), "network:router_interface");
    assert_eq!(cloud.text("SELECT device_id FROM ports WHERE id = ?1", port.0), router.to_string());
    assert_eq!(cloud.text("SELECT project_id FROM ports WHERE id = ?1", port.0), ME);
    let again = cloud.by(ME, move |work| add_interface(work, router, InterfaceRequest::Subnet(subnet)));
    assert_eq!(refusal(again), "BadRequest");
    assert_eq!(refusal(cloud.by(ME, move |work| crate::port::delete(work, port))), "ServicePortInUse");

    let gone = cloud.by(ME, move |work| remove_interface(work, router, InterfaceRequest::Port(port, None))).unwrap();
    assert_eq!((gone.port_id, gone.subnet_ids), (port, vec![subnet]));
    assert_eq!(refusal(cloud.by(ME, move |work| crate::port::get(work.tx, port))), "PortNotFound");
    let none = cloud.by(ME, move |work| remove_interface(work, router, InterfaceRequest::Subnet(subnet)));
    assert_eq!(refusal(none), "RouterInterfaceNotFoundForSubnet");
}

#[test]
fn a_port_becomes_an_interface_and_nobody_elses_does() {
    let Joined { cloud, router, .. } = joined();
    let network = cloud.network(false);
    cloud.subnet(network, "10.0.1.0/24");
    let port = cloud.port(network);
    let by =
        |project, port| cloud.by(project, move |work| add_interface(work, router, InterfaceRequest::Port(port, None)));
    assert_eq!(refusal(by("them", port)), "PortNotFound");
    assert_eq!(by(ME, port).unwrap().port_id, port);
    assert_eq!(refusal(by(ME, port)), "PortInUse");
    assert_eq!(cloud.text("SELECT device_id FROM ports WHERE id = ?1", port.0), router.to_string());
}

#[test]
fn an_ipv6_network_has_one_port_for_all_its_subnets() {
    let Joined { cloud, router, .. } = joined();
    let network = cloud.network(false);
    let (first, second) = (cloud.subnet(network, "fd00::/64"), cloud.subnet(network, "fd01::/64"));
    let add = |subnet| cloud.by(ME, move |work| add_interface(work, router, InterfaceRequest::Subnet(subnet))).unwrap();
    let port = add(first).port_id;
    assert_eq!(add(second).port_id, port);
    let both = ["fd00::".parse::<IpAddr>().unwrap(), "fd01::".parse().unwrap()];
    assert_eq!(cloud.addresses(port), both);
    cloud.by(ME, move |work| remove_interface(work, router, InterfaceRequest::Subnet(first))).unwrap();
    assert_eq!(cloud.addresses(port), both[1..]);
}

#[test]
fn the_gateway_moves_and_goes() {
    let joined = joined();
    let first = joined.gateway_port();
    assert_eq!(joined.cloud.text("SELECT project_id FROM ports WHERE id = ?1", first.parse().unwrap()), "");
    let named = FixedIpRequest { subnet_id: None, ip_address: Some("203.0.113.77".parse().unwrap()) };
    let info =
        GatewayInfo { external_fixed_ips: vec![named], enable_snat: Some(false), ..gateway_info(joined.outside) };
    joined.update(RouterUpdate { external_gateway_info: Some(Some(info)), ..RouterUpdate::default() }).unwrap();
    assert_eq!(joined.gateway_port(), first, "the port stays, its address changes");
    assert_eq!(joined.cloud.addresses(first.parse().unwrap()), ["203.0.113.77".parse::<IpAddr>().unwrap()]);
    assert_eq!(joined.cloud.count("SELECT count(*) FROM router_gateways WHERE enable_snat = 0"), 1);

    let other = joined.cloud.network(true);
    joined.cloud.subnet(other, "198.51.100.0/24");
    let moved = RouterUpdate { external_gateway_info: Some(Some(gateway_info(other))), ..RouterUpdate::default() };
    joined.update(moved).unwrap();
    assert_ne!(joined.gateway_port(), first);
    assert_eq!(joined.cloud.count("SELECT count(*) FROM ports WHERE device_owner = 'network:router_gateway'"), 1);
    joined.update(RouterUpdate { external_gateway_info: Some(None), ..RouterUpdate::default() }).unwrap();
    assert_eq!(joined.gateway_port(), "");

    let internal =
        RouterUpdate { external_gateway_info: Some(Some(gateway_info(joined.inside))), ..RouterUpdate::default() };
    assert_eq!(refusal(joined.update(internal)), "BadRequest");
}

#[test]
fn a_router_in_use_stays() {
    let joined = joined();
    let (router, subnet) = (joined.router, joined.subnet);
    let remove = || joined.cloud.by(ME, move |work| delete(work, router));
    assert_eq!(refusal(remove()), "RouterInUse");
    joined.cloud.by(ME, move |work| remove_interface(work, router, InterfaceRequest::Subnet(subnet))).unwrap();
    remove().unwrap();
    assert_eq!(joined.cloud.count("SELECT count(*) FROM ports"), 0);
    assert_eq!(refusal(remove()), "RouterNotFound");
}

#[test]
fn extra_routes_are_checked_counted_and_changed_one_by_one() {
    let joined = joined();
    let route = |n: u8| Route {
        destination: format!("192.168.{n}.0/24").parse().unwrap(),
        nexthop: "10.0.0.9".parse().unwrap(),
    };
    let set = |routes: Vec<Route>| joined.update(RouterUpdate { routes: Some(routes), ..RouterUpdate::default() });
    set(vec![route(1), route(2)]).unwrap();
    let (router, subnet) = (joined.router, joined.subnet);
    joined.cloud.by(ME, move |work| add_extra_routes(work, router, &[route(2), route(3)])).unwrap();
    joined.cloud.by(ME, move |work| remove_extra_routes(work, router, &[route(1), route(9)])).unwrap();
    assert_eq!(joined.cloud.count("SELECT count(*) FROM router_routes"), 2);
    assert_eq!(refusal(set((0..31).map(route).collect())), "OverQuota");
    let nowhere = Route { nexthop: "172.16.0.1".parse().unwrap(), ..route(1) };
    assert_eq!(refusal(set(vec![nowhere])), "InvalidRoutes");
    let gone = joined.cloud.by(ME, move |work| remove_interface(work, router, InterfaceRequest::Subnet(subnet)));
    assert_eq!(refusal(gone), "RouterInterfaceInUseByRoute");
}

#[test]
fn a_floating_ip_leads_to_a_port_and_away() {
    let joined = joined();
    let port = joined.cloud.port(joined.inside);
    let fixed = joined.cloud.addresses(port)[0].to_string();
    let id = joined.floating_ip(|request| request.port_id = Some(port)).unwrap();
    let expected = (joined.router.to_string(), fixed.clone(), "DOWN".to_owned());
    assert_eq!(joined.association(id), expected);
    joined.update_floating_ip(id, None).unwrap();
    assert_eq!(joined.association(id), expected, "a change of something else");

    let second = joined.floating_ip(|_| ()).unwrap();
    let taken = joined.update_floating_ip(second, Some(Some(port)));
    assert_eq!(refusal(taken), "FloatingIPPortAlreadyAssociated");
    joined.update_floating_ip(id, Some(None)).unwrap();
    assert_eq!(joined.association(id), (String::new(), String::new(), "DOWN".to_owned()));
    joined.update_floating_ip(second, Some(Some(port))).unwrap();
    joined.cloud.by(ME, move |work| floating_ip::update(work, second, FloatingIpUpdate::default())).unwrap();
    assert_eq!(joined.association(second).0, "", "a change that says nothing");
    joined.update_floating_ip(second, Some(Some(port))).unwrap();

    joined.cloud.by(ME, move |work| crate::port::delete(work, port)).unwrap();
    assert_eq!(joined.association(second).0, "");
    joined.cloud.by(ME, move |work| floating_ip::delete(work, id)).unwrap();
    assert_eq!(joined.cloud.count("SELECT count(*) FROM ports WHERE device_owner = 'network:floatingip'"), 1);
}

#[test]
fn floating_ips_hold_what_they_need() {
    let joined = joined();
    let port = joined.cloud.port(joined.inside);
    joined.floating_ip(|request| request.port_id = Some(port)).unwrap();
    let (router, subnet) = (joined.router, joined.subnet);
    let gone = joined.cloud.by(ME, move |work| remove_interface(work, router, InterfaceRequest::Subnet(subnet)));
    assert_eq!(refusal(gone), "RouterInterfaceInUseByFloatingIP");
    let cleared = joined.update(RouterUpdate { external_gateway_info: Some(None), ..RouterUpdate::default() });
    assert_eq!(refusal(cleared), "RouterExternalGatewayInUseByFloatingIp");
    let moved = crate::port::PortUpdate {
        fixed_ips: Some(vec![FixedIpRequest { subnet_id: None, ip_address: Some("10.0.0.200".parse().unwrap()) }]),
        ..Default::default()
    };
    assert_eq!(refusal(joined.cloud.by(ME, move |work| crate::port::update(work, port, moved.clone()))), "BadRequest");
    let theirs = joined.cloud.by("them", move |work| crate::port::delete(work, port));
    assert_eq!(refusal(theirs), "FipAssociated");
}

#[test]
fn floating_ips_are_refused_as_neutron_does() {
    let joined = joined();
    let inside = joined.inside;
    assert_eq!(refusal(joined.floating_ip(|request| request.floating_network_id = inside)), "BadRequest");
    let theirs = joined.cloud.by("them", move |work| {
        let request = FloatingIpCreate { project_id: "them".to_owned(), ..floating_ip_request(inside) };
        floating_ip::create(work, &request)
    });
    assert_eq!(refusal(theirs), "NetworkNotFound", "what one may not know of is not there");
    let unreachable = joined.cloud.network(false);
    joined.cloud.subnet(unreachable, "10.9.0.0/24");
    let port = joined.cloud.port(unreachable);
    let refused = joined.floating_ip(|request| request.port_id = Some(port));
    assert_eq!(refusal(refused), "ExternalGatewayForFloatingIPNotFound");
    let address = "203.0.113.50".parse().unwrap();
    joined.floating_ip(|request| request.floating_ip_address = Some(address)).unwrap();
    let twice = joined.floating_ip(|request| request.floating_ip_address = Some(address));
    assert_eq!(refusal(twice), "IpAddressAlreadyAllocated");
    assert_eq!(joined.cloud.count("SELECT count(*) FROM floating_ips"), 1, "what is refused leaves nothing behind");
    assert_eq!(joined.cloud.count("SELECT count(*) FROM ports WHERE device_owner = 'network:floatingip'"), 1);
}

#[test]
fn an_external_network_takes_unused_floating_ips_along() {
    let cloud = Cloud::new();
    let outside = cloud.network(true);
    cloud.subnet(outside, "203.0.113.0/24");
    let request = floating_ip_request(outside);
    cloud.by(ME, move |work| floating_ip::create(work, &request)).unwrap();
    cloud.by_admin(move |work| crate::network::delete(work, outside)).unwrap();
    assert_eq!(cloud.count("SELECT count(*) FROM floating_ips"), 0);

    let joined = joined();
    let port = joined.cloud.port(joined.inside);
    joined.floating_ip(|request| request.port_id = Some(port)).unwrap();
    let outside = joined.outside;
    assert_eq!(refusal(joined.cloud.by_admin(move |work| crate::network::delete(work, outside))), "NetworkInUse");
}
