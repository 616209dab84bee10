use super::*;
use crate::fixed_ips::FixedIpRequest;
use crate::subnet::Ipv6Mode;
use uuid::Uuid;

const ME: Caller<'_> = Caller { project_id: "me", is_admin: false };

fn net(n: u128) -> NetworkId {
    NetworkId(Uuid::from_u128(n))
}

fn subnet_id(n: u128) -> SubnetId {
    SubnetId(Uuid::from_u128(n))
}

fn port_id(n: u128) -> PortId {
    PortId(Uuid::from_u128(n))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Subnet `n`, with the prefix's next address as gateway.
fn subnet(n: u128, cidr: &str) -> Subnet {
    let cidr: IpNet = cidr.parse().unwrap();
    let gateway_ip = crate::ip_range::next(cidr.network());
    Subnet { id: subnet_id(n), cidr, gateway_ip, ipv6_address_mode: None, ipv6_ra_mode: None }
}

fn wanted<'a>(subnet: &'a Subnet, network: u128, project_id: &'a str) -> InterfaceSubnet<'a> {
    let network_id = net(network);
    InterfaceSubnet { subnet, network_id, project_id, allocation_pools: &[], shared_with_caller: false }
}

fn router_port(n: u128, network: u128, is_gateway: bool, addresses: &[(u128, &str, &str)]) -> RouterPort {
    let address = |(id, cidr, addr): &(u128, &str, &str)| RouterAddress {
        subnet_id: subnet_id(*id),
        cidr: cidr.parse().unwrap(),
        ip_address: ip(addr),
    };
    RouterPort {
        id: port_id(n),
        network_id: net(network),
        is_gateway,
        addresses: addresses.iter().map(address).collect(),
    }
}

/// Interfaces on 10.0.0.0/24 (subnet 1, network 1) and fd00::/64 (subnet 2, network 2), a gateway on 203.0.113.0/24
/// (subnet 9, network 9), whose network also has 198.51.100.0/24 (subnet 10).
fn router() -> Router {
    Router {
        id: RouterId(Uuid::from_u128(77)),
        ports: vec![
            router_port(1, 1, false, &[(1, "10.0.0.0/24", "10.0.0.1")]),
            router_port(2, 2, false, &[(2, "fd00::/64", "fd00::1")]),
            router_port(9, 9, true, &[(9, "203.0.113.0/24", "203.0.113.5")]),
        ],
        external_subnets: BTreeMap::from([(
            net(9),
            vec![
                (subnet_id(9), "203.0.113.0/24".parse().unwrap()),
                (subnet_id(10), "198.51.100.0/24".parse().unwrap()),
            ],
        )]),
        routes: Vec::new(),
    }
}

fn text(error: ModelError) -> String {
    format!("{} {}: {error}", error.status(), error.type_name())
}

#[test]
fn an_interface_takes_the_subnets_gateway_address() {
    let new = subnet(3, "10.0.1.0/24");
    let added = router().add_interface_by_subnet(&wanted(&new, 3, "me"), ME).unwrap();
    assert_eq!(added, NewInterface::Port(FixedIp { subnet_id: subnet_id(3), ip_address: ip("10.0.1.1") }));
    let second = subnet(4, "fd01::/64");
    let added = router().add_interface_by_subnet(&wanted(&second, 2, "me"), ME).unwrap();
    let address = FixedIp { subnet_id: subnet_id(4), ip_address: ip("fd01::1") };
    assert_eq!(added, NewInterface::Address { port_id: port_id(2), address }, "one port per IPv6 network");
    let elsewhere = router().add_interface_by_subnet(&wanted(&second, 5, "me"), ME).unwrap();
    assert_eq!(elsewhere, NewInterface::Port(address));
}

#[test]
fn interfaces_by_subnet_are_refused_as_neutron_does() {
    let refusal = |subnet: &Subnet, network, project| {
        text(router().add_interface_by_subnet(&wanted(subnet, network, project), ME).unwrap_err())
    };
    let bad = "400 BadRequest: Bad router request: ";
    let id = subnet_id;
    let none = Subnet { gateway_ip: None, ..subnet(3, "10.0.1.0/24") };
    assert_eq!(refusal(&none, 3, "me"), format!("{bad}Subnet for router interface must have a gateway IP."));
    let foreign = subnet(3, "10.0.1.0/24");
    assert_eq!(
        refusal(&foreign, 3, "them"),
        format!(
            "{bad}Cannot add interface to router because subnet {} is not owned by project making the request.",
            id(3)
        )
    );
    let shared = InterfaceSubnet { shared_with_caller: true, ..wanted(&foreign, 3, "them") };
    assert!(router().add_interface_by_subnet(&shared, ME).is_ok());
    let admin = Caller { is_admin: true, ..ME };
    assert!(router().add_interface_by_subnet(&wanted(&foreign, 3, "them"), admin).is_ok());

    assert_eq!(
        refusal(&subnet(1, "10.0.0.0/24"), 1, "me"),
        format!("{bad}Router already has a port on subnet {}.", id(1))
    );
    assert_eq!(
        refusal(&subnet(3, "10.0.0.128/25"), 3, "me"),
        format!("{bad}Cidr 10.0.0.128/25 of subnet {} overlaps with cidr 10.0.0.0/24 of subnet {}.", id(3), id(1))
    );
    assert!(refusal(&subnet(3, "198.51.0.0/16"), 3, "me").contains("overlaps with cidr 198.51.100.0/24"));
    let external_ra = Subnet { ipv6_address_mode: Some(Ipv6Mode::Slaac), ..subnet(3, "fd05::/64") };
    assert!(refusal(&external_ra, 3, "me").contains("configured to receive RAs from an external router"));
}

#[test]
fn interfaces_by_port_are_refused_as_neutron_does() {
    let (v4, other_v4, v6) = (subnet(3, "10.0.1.0/24"), subnet(4, "10.0.2.0/24"), subnet(5, "fd05::/64"));
    let check = |network: u128, device_id: &str, addresses: &[(&str, &Subnet, &str)]| {
        let addresses: Vec<_> =
            addresses.iter().map(|(addr, subnet, project)| (ip(addr), wanted(subnet, network, project))).collect();
        router().check_interface_by_port(port_id(5), net(network), device_id, &addresses, ME)
    };
    let fine = ("10.0.1.9", &v4, "me");
    assert_eq!(check(3, "", &[fine]), Ok(()));
    let used = text(check(3, "vm", &[fine]).unwrap_err());
    assert!(used.starts_with("409 PortInUse") && used.ends_with("Port already has an attached device vm."), "{used}");
    assert!(text(check(3, "", &[]).unwrap_err()).contains("Router port must have at least one fixed IP"));
    assert!(text(check(2, "", &[("fd05::1", &v6, "me")]).unwrap_err()).contains("Router already contains IPv6 port"));
    let two = check(3, "", &[fine, ("10.0.2.9", &other_v4, "me")]).unwrap_err();
    assert!(text(two).contains("Cannot have multiple IPv4 subnets on router port"));
    let outside = check(3, "", &[("10.0.1.9", &v4, "them")]).unwrap_err();
    assert!(text(outside).contains("out of the allocation pool of subnet"));
}

#[test]
fn an_interface_is_named_by_port_or_subnet() {
    let id = port_id(1).to_string();
    let refusal = |port, subnet| text(InterfaceRequest::new(port, subnet, false).unwrap_err());
    assert!(InterfaceRequest::new(Some(&id), None, false).is_ok());
    assert!(InterfaceRequest::new(Some(&id), Some(&id), true).is_ok());
    assert!(refusal(Some(&id), Some(&id)).contains("Cannot specify both subnet-id and port-id"));
    assert!(refusal(None, None).contains("Either subnet_id or port_id must be specified"));
    assert!(refusal(Some("x"), None).contains("'x' is not a valid UUID"));
}

#[test]
fn interfaces_are_found_and_held() {
    let router = router();
    assert_eq!(router.interface_by_port(port_id(1), Some(subnet_id(1))).unwrap().id, port_id(1));
    assert_eq!(router.interface_by_subnet(subnet_id(2)).unwrap().id, port_id(2));
    let kind = |error: ModelError| (error.type_name(), error.status());
    assert_eq!(kind(router.interface_by_port(port_id(9), None).unwrap_err()), ("RouterInterfaceNotFound", 404));
    assert_eq!(
        kind(router.interface_by_port(port_id(1), Some(subnet_id(2))).unwrap_err()),
        ("SubnetMismatchForPort", 400)
    );
    assert_eq!(kind(router.interface_by_subnet(subnet_id(9)).unwrap_err()), ("RouterInterfaceNotFoundForSubnet", 404));
    let cidr = "10.0.0.0/24".parse().unwrap();
    let target = |n| FixedIp { subnet_id: subnet_id(n), ip_address: ip("10.0.0.9") };
    assert_eq!(router.check_interface_removal(subnet_id(1), cidr, &[target(7)]), Ok(()));
    let by_fip = router.check_interface_removal(subnet_id(1), cidr, &[target(1)]).unwrap_err();
    assert_eq!(kind(by_fip), ("RouterInterfaceInUseByFloatingIP", 409));
    let route = Route { destination: "192.0.2.0/24".parse().unwrap(), nexthop: ip("10.0.0.77") };
    let routed = Router { routes: vec![route], ..router };
    let by_route = routed.check_interface_removal(subnet_id(1), cidr, &[]).unwrap_err();
    assert_eq!(kind(by_route), ("RouterInterfaceInUseByRoute", 409));
}

#[test]
fn a_router_goes_when_nothing_hangs_on_it() {
    let full = router();
    assert_eq!(
        text(full.check_deletion(false).unwrap_err()),
        format!("409 RouterInUse: Router {} has ports still attached: {}, {}", full.id, port_id(1), port_id(2))
    );
    let gateway_only = Router { ports: vec![full.ports[2].clone()], ..full };
    assert_eq!(gateway_only.check_deletion(false), Ok(()));
    let held = text(gateway_only.check_deletion(true).unwrap_err());
    assert!(held.starts_with("409 RouterExternalGatewayInUseByFloatingIp: Gateway cannot be updated for router"));
    assert!(gateway_only.check_gateway_removal(&gateway_only.ports[0], true).is_err());
    assert_eq!(gateway_only.check_gateway_removal(&gateway_only.ports[0], false), Ok(()));
    let twice = with_more_gateways();
    assert_eq!(twice.check_gateway_removal(&twice.ports[2], true), Ok(()), "they come in by the other one");
    assert!(twice.check_gateway_removal(&twice.ports[4], true).is_err());
}

#[test]
fn gateways_are_checked_as_neutron_does() {
    let check = |external, cidr: &str, addr: Option<&str>| {
        let fixed = FixedIpRequest { subnet_id: None, ip_address: addr.map(ip) };
        let subnets = [subnet(20, cidr)];
        WantedGateway { network_id: net(8), fixed_ips: &[fixed] }.check(external, &subnets)?;
        router().check_first_gateway(net(8), &subnets)
    };
    assert_eq!(check(true, "192.0.2.0/24", Some("192.0.2.9")), Ok(()));
    assert_eq!(
        text(check(false, "192.0.2.0/24", None).unwrap_err()),
        format!("400 BadRequest: Bad router request: Network {} is not an external network.", net(8))
    );
    let taken = text(check(true, "192.0.2.0/24", Some("192.0.2.1")).unwrap_err());
    assert!(taken.contains("External IP 192.0.2.1 is the same as the gateway IP"));
    assert!(text(check(true, "10.0.0.0/16", None).unwrap_err()).contains("overlaps with cidr 10.0.0.0/24"));
    assert_eq!(check(true, "198.51.0.0/16", None), Ok(()), "the old gateway's network goes");

    let route = Route { destination: "192.0.2.0/24".parse().unwrap(), nexthop: ip("203.0.113.9") };
    let routed = Router { routes: vec![route], ..router() };
    let lost = routed.check_first_gateway(net(8), &[subnet(20, "192.0.2.0/24")]).unwrap_err();
    assert_eq!(lost.type_name(), "InvalidRoutes");
}

/// The router with a second gateway on network 9 and a third on network 8, 192.0.2.0/24 (subnet 8).
fn with_more_gateways() -> Router {
    let mut router = router();
    router.ports.push(router_port(10, 9, true, &[(9, "203.0.113.0/24", "203.0.113.6")]));
    router.ports.push(router_port(8, 8, true, &[(8, "192.0.2.0/24", "192.0.2.5")]));
    router.external_subnets.insert(net(8), vec![(subnet_id(8), "192.0.2.0/24".parse().unwrap())]);
    router
}

fn entry(id: Option<u128>, addr: Option<&str>) -> FixedIpRequest {
    FixedIpRequest { subnet_id: id.map(subnet_id), ip_address: addr.map(ip) }
}

#[test]
fn external_addresses_are_compared_as_sets() {
    let router = router();
    let gateway = router.gateway().unwrap();
    assert!(!gateway.addresses_change(&[]));
    assert!(!gateway.addresses_change(&[entry(Some(9), Some("203.0.113.5"))]));
    assert!(gateway.addresses_change(&[entry(Some(9), Some("203.0.113.6"))]));
    assert!(gateway.addresses_change(&[entry(Some(10), None)]));
}

#[test]
fn several_gateways_may_share_a_network_but_no_prefix() {
    let router = with_more_gateways();
    let outside = [subnet(9, "203.0.113.0/24"), subnet(10, "198.51.100.0/24")];
    assert_eq!(router.check_further_gateway(net(9), &outside), Ok(()));
    let elsewhere = text(router.check_further_gateway(net(7), &[subnet(7, "203.0.113.0/25")]).unwrap_err());
    assert!(elsewhere.ends_with("overlaps with cidr 203.0.113.0/24 of subnet 00000000-0000-0000-0000-000000000009."));
    assert!(router.check_further_gateway(net(7), &[subnet(7, "10.0.0.0/8")]).is_err(), "an interface is there");
    assert!(router.check_first_gateway(net(7), &[subnet(7, "192.0.2.0/25")]).is_err(), "the third one stays");
    let again = router.add_interface_by_subnet(&wanted(&subnet(5, "192.0.2.128/25"), 5, "me"), ME).unwrap_err();
    assert!(text(again).contains("overlaps with cidr 192.0.2.0/24"));
}

#[test]
fn a_request_means_the_gateway_with_one_of_its_addresses() {
    let router = with_more_gateways();
    let find = |network: u128, fixed_ips: &[FixedIpRequest], taken: &[PortId]| {
        let found = router.matching_gateway(&WantedGateway { network_id: net(network), fixed_ips }, taken);
        found.map(|port| port.map(|port| port.id))
    };
    assert_eq!(find(8, &[], &[]), Ok(Some(port_id(8))), "the only one there");
    assert_eq!(find(7, &[], &[]), Ok(None));
    assert_eq!(find(9, &[entry(None, Some("203.0.113.6"))], &[]), Ok(Some(port_id(10))));
    assert_eq!(find(9, &[entry(None, Some("203.0.113.7"))], &[]), Ok(None));
    assert_eq!(find(9, &[], &[port_id(9)]), Ok(Some(port_id(10))), "the only one left");
    let which = find(9, &[entry(Some(9), None)], &[]).unwrap_err();
    assert_eq!((which.type_name(), which.status()), ("UnableToMatchGateways", 400));
}

#[test]
fn routes_lead_by_a_neighbour() {
    let route = |nexthop: &str| Route { destination: "192.0.2.0/24".parse().unwrap(), nexthop: ip(nexthop) };
    assert_eq!(check_routes(&router(), &[route("10.0.0.9"), route("203.0.113.9")]), Ok(()));
    assert_eq!(
        text(check_routes(&router(), &[route("10.9.0.9")]).unwrap_err()),
        "400 InvalidRoutes: Invalid format for routes: [{'destination': '192.0.2.0/24', 'nexthop': '10.9.0.9'}], \
         the nexthop is not connected with router"
    );
    assert!(
        text(check_routes(&router(), &[route("10.0.0.1")]).unwrap_err()).ends_with("the nexthop is used by router")
    );
    let (a, b) = (route("10.0.0.8"), route("10.0.0.9"));
    assert_eq!(add_routes(&[a], &[b, a, b]), [a, b]);
    assert_eq!(remove_routes(&[a, b], &[b, route("10.0.0.7")]), [a]);
}
