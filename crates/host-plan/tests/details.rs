//! Single decisions of the planners, each with the smallest view that shows it.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_plan::{Action, Attachment, Datapath, DhcpLease, DhcpServer, HostPlan, PortKind, diff, names};
use host_view::{AgentRole, HostRoute, PortState, Segment};
use net_types::{NetworkType, Vni};
use support::*;

fn dhcp<'p>(plan: &'p HostPlan, network: &str) -> &'p DhcpServer {
    plan.services[&names::dhcp_namespace(id(network))].dhcp.as_ref().unwrap()
}

fn lease(plan: &HostPlan, network: &str, mac_text: &str) -> DhcpLease {
    dhcp(plan, network).leases[&mac(mac_text)].clone()
}

fn routes(lease: &DhcpLease) -> Vec<String> {
    lease.classless_routes.iter().map(|route| format!("{} {}", route.destination, route.via)).collect()
}

/// One network with DHCP on one subnet and a client on it.
fn served(gateway: Option<&str>, routers: &[&str]) -> Host {
    let mut host = Host::empty();
    host.network("1", Segment::Local, 1500);
    host.subnet("51", "1", "10.0.0.0/24", gateway);
    host.dhcp("d1", "1", "fa:16:3e:00:00:d1", &[("51", "10.0.0.2")], routers);
    host.plug(NewPort::new("a1", "1", "fa:16:3e:00:00:a1", &[("51", "10.0.0.5")]));
    host
}

#[test]
fn a_device_without_a_number_waits_for_it_unless_nobody_knows_its_port() {
    let mut host = served(None, &[]);
    let device = names::tap(id("a1"));
    let settled = host.settle();
    assert_ne!(settled.tags[&device].tag, 4095);
    host.state.interfaces.get_mut(&device).unwrap().ofport = None;
    let plan = host.plan();
    assert!(!plan.tags.contains_key(&device), "neither dead nor in its network");
    assert_eq!(plan.ports[&id("a1")], PortState::Down);
    host.view.ports.remove(&id("a1"));
    assert_eq!(host.plan().tags[&device].tag, 4095);
}

#[test]
fn an_isolated_subnet_leads_to_metadata_by_its_server() {
    let of = |host: &mut Host| routes(&lease(&host.settle(), "1", "fa:16:3e:00:00:a1"));
    assert_eq!(of(&mut served(None, &[])), ["169.254.169.254/32 10.0.0.2"]);
    assert_eq!(of(&mut served(Some("10.0.0.1"), &[])), ["169.254.169.254/32 10.0.0.2", "0.0.0.0/0 10.0.0.1"]);
    assert_eq!(of(&mut served(Some("10.0.0.1"), &["10.0.0.1"])), ["169.254.169.254/32 10.0.0.1", "0.0.0.0/0 10.0.0.1"]);
}

#[test]
fn host_routes_and_sibling_subnets_are_told() {
    let mut host = served(None, &[]);
    host.subnet("52", "1", "10.9.0.0/24", None);
    let subnet = host.view.subnets.get_mut(&id("51")).unwrap();
    let route = |destination: &str, by: &str| HostRoute { destination: net(destination), nexthop: ip(by) };
    subnet.host_routes = vec![
        route("0.0.0.0/0", "10.0.0.9"),
        route("192.0.2.0/24", "10.0.0.8"),
        route("169.254.169.254/32", "10.0.0.7"),
        route("2001:db8::/32", "fe80::1"),
    ];
    subnet.dns_nameservers = vec![ip("192.0.2.53"), ip("2001:db8::53"), ip("192.0.2.54")];
    let lease = lease(&host.settle(), "1", "fa:16:3e:00:00:a1");
    let expected =
        ["10.9.0.0/24 0.0.0.0", "192.0.2.0/24 10.0.0.8", "169.254.169.254/32 10.0.0.7", "0.0.0.0/0 10.0.0.9"];
    assert_eq!(routes(&lease), expected);
    assert_eq!(lease.router, Some("10.0.0.9".parse().unwrap()));
    assert_eq!(lease.dns_servers, ["192.0.2.53", "192.0.2.54"].map(|dns| dns.parse::<std::net::Ipv4Addr>().unwrap()));
}

#[test]
fn only_addresses_that_the_server_can_answer_for_are_leased() {
    let mut host = served(None, &[]);
    host.subnet("52", "1", "10.9.0.0/24", None);
    host.subnet("53", "1", "10.8.0.0/24", None);
    host.view.subnets.get_mut(&id("53")).unwrap().enable_dhcp = false;
    host.view
        .ports
        .get_mut(&id("d1"))
        .unwrap()
        .fixed_ips
        .push(host_view::FixedIp { subnet: id("53"), address: ip("10.8.0.2") });
    host.port(NewPort::new("a2", "1", "fa:16:3e:00:00:a2", &[("52", "10.9.0.5")]));
    host.port(NewPort::new("a3", "1", "fa:16:3e:00:00:a3", &[("53", "10.8.0.5"), ("51", "10.0.0.6")]));
    let plan = host.settle();
    assert!(!dhcp(&plan, "1").leases.contains_key(&mac("fa:16:3e:00:00:a2")), "no server address on that subnet");
    let lease = lease(&plan, "1", "fa:16:3e:00:00:a3");
    assert_eq!(lease.address.to_string(), "10.0.0.6", "the other subnet is without DHCP");
    assert_eq!((lease.prefix_len, lease.hostname.as_str()), (24, "host-10-0-0-6"));
}

#[test]
fn new_addresses_are_announced_and_old_connections_forgotten_once() {
    let mut host = Host::router_with_floating_ip();
    let before = host.settle();
    let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
    let floating = router.floating_ips.values_mut().next().unwrap();
    floating.floating_address = ip("198.51.100.240");
    let after = host.settle();
    let actions = diff(&before, &after);
    let (namespace, device) = (names::router_namespace(id(ROUTER)), names::router_gateway(id(QG)));
    let forget = Action::ForgetFloatingIp {
        namespace: namespace.clone(),
        floating: ip("198.51.100.238"),
        fixed: ip("10.10.2.144"),
    };
    let announce = Action::Announce { namespace, device, mac: mac("fa:16:3e:9c:eb:28"), address: ip("198.51.100.240") };
    assert_eq!(actions[actions.len() - 2..], [forget, announce]);
    assert_eq!(actions.iter().filter(|action| matches!(action, Action::Announce { .. })).count(), 1);
    // Flows do not change for that.
    assert!(!actions.iter().any(|action| matches!(action, Action::ChangeFlows { .. })));
}

#[test]
fn a_local_vlan_that_changes_its_network_is_flushed() {
    let mut host = Host::vxlan_port_with_group();
    let before = host.settle();
    let vlan = before.local_vlans[&id(VLAN_NET)];
    host.view.dhcp.remove(&id(VLAN_NET));
    host.view.ports.remove(&id(DHCP_VLAN));
    let after = host.settle();
    assert!(diff(&before, &after).contains(&Action::FlushZone { zone: vlan }));
}

#[test]
fn extra_routes_go_by_the_device_of_their_next_hop() {
    let mut host = Host::router_with_floating_ip();
    let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
    let route = |destination: &str, by: &str| HostRoute { destination: net(destination), nexthop: ip(by) };
    router.routes =
        [route("172.16.0.0/12", "10.10.0.9"), route("0.0.0.0/0", "198.51.100.2"), route("192.0.2.0/24", "203.0.113.1")]
            .into();
    router.default_route_ecmp = true;
    let plan = host.settle();
    let namespace = &plan.namespaces[&names::router_namespace(id(ROUTER))];
    let text: Vec<String> = namespace
        .routes
        .iter()
        .map(|route| format!("{} {} {}", route.destination, route.via.unwrap(), route.device))
        .collect();
    assert_eq!(text, ["0.0.0.0/0 198.51.100.2 qg-3214e3a1-fe", "172.16.0.0/12 10.10.0.9 qr-4ff3a089-76"]);
    let said = format!("router {ROUTER}: next hop 203.0.113.1 of the route to 192.0.2.0/24 is on none of its subnets");
    assert_eq!(plan.errors, [said].into());
    assert_eq!(namespace.sysctls.get("net.ipv4.fib_multipath_hash_policy"), None, "one way each");
}

#[test]
fn with_ecmp_the_default_routes_of_all_gateways_stand_side_by_side() {
    let mut host = Host::router_with_floating_ip();
    host.add_gateway();
    let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
    router.default_route_ecmp = true;
    let route = |destination: &str, by: &str| HostRoute { destination: net(destination), nexthop: ip(by) };
    router.routes = [route("172.16.0.0/12", "10.10.0.8"), route("172.16.0.0/12", "10.10.0.9")].into();
    let ways = |host: &mut Host| -> Vec<String> {
        let plan = host.settle();
        let namespace = &plan.namespaces[&names::router_namespace(id(ROUTER))];
        assert_eq!(namespace.sysctls["net.ipv4.fib_multipath_hash_policy"], "1");
        let text = |route: &host_plan::Route| format!("{} {} {}", route.destination, route.via.unwrap(), route.device);
        namespace.routes.iter().filter(|route| route.mark.is_none()).map(text).collect()
    };
    assert_eq!(
        ways(&mut host),
        [
            "0.0.0.0/0 198.51.100.1 qg-3214e3a1-fe",
            "0.0.0.0/0 203.0.113.1 qg-6214e3a1-fe",
            "172.16.0.0/12 10.10.0.8 qr-4ff3a089-76",
            "172.16.0.0/12 10.10.0.9 qr-4ff3a089-76",
        ]
    );

    // Two gateways on one network have the same next hop, by two devices.
    let port = host.view.ports.get_mut(&id(QG2)).unwrap();
    port.network = id(EXT_NET);
    port.fixed_ips[0].subnet = id(EXT_SUBNET);
    port.fixed_ips[0].address = ip("198.51.100.182");
    assert_eq!(
        ways(&mut host)[..2],
        ["0.0.0.0/0 198.51.100.1 qg-3214e3a1-fe", "0.0.0.0/0 198.51.100.1 qg-6214e3a1-fe"]
    );
}

#[test]
fn a_router_that_is_down_has_nothing_on_the_host() {
    let mut host = Host::router_with_floating_ip();
    host.view.routers.get_mut(&id(ROUTER)).unwrap().admin_state_up = false;
    let plan = host.plan();
    assert!(!plan.namespaces.contains_key(&names::router_namespace(id(ROUTER))));
    assert!(!plan.bridges["br-int"].ports.contains_key(&names::router_interface(id(QR))));
    assert_eq!(plan.ports[&id(QR)], PortState::Down);
    assert_eq!(plan.tags[&names::router_interface(id(QR))].tag, 4095, "until it is removed");
}

#[test]
fn the_kernel_datapath_gets_internal_ports_that_compute_checksums() {
    let mut host = Host::router_with_floating_ip();
    host.config.datapath = Datapath::System;
    let plan = host.settle();
    assert!(plan.tunnel_neighbours.is_empty());
    let device = &plan.namespaces[&names::router_namespace(id(ROUTER))].devices[&names::router_gateway(id(QG))];
    assert_eq!((device.attachment, device.checksum_offload), (Attachment::Internal, true));
    assert_eq!(plan.bridges["br-int"].ports[&names::router_gateway(id(QG))].kind, PortKind::Internal);
    assert_eq!(plan.bridges["br-int"].datapath_type.as_deref(), Some("system"));
}

#[test]
fn what_cannot_be_realised_says_why() {
    let mut host = Host::empty();
    host.network("1", Segment::Flat { physical_network: "unknown".into() }, 1500);
    host.network("2", Segment::Geneve { vni: Vni::new(5).unwrap() }, 1500);
    host.network("3", Segment::Flat { physical_network: "phys".into() }, 1500);
    for network in ["1", "2", "3", "4"] {
        host.plug(NewPort::new(&format!("a{network}"), network, &format!("fa:16:3e:00:00:a{network}"), &[]));
    }
    host.state.bridges.remove("br-phys");
    let plan = host.plan();
    let reason = |port: &str| match &plan.ports[&id(port)] {
        PortState::Failed { reason } => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("a1"), "physical network unknown is not in this host's bridge_mappings");
    assert_eq!(reason("a2"), "geneve is not in this host's tunnel_types");
    assert_eq!(reason("a3"), "bridge br-phys of physical network phys does not exist");
    assert!(reason("a4").contains("is not known on this host"));
    assert!(plan.tags.values().all(|tag| tag.tag == 4095) && plan.tags.len() == 4);
    assert!(plan.local_vlans.is_empty());

    host.config.roles = [AgentRole::L3].into();
    let plan = host.plan();
    assert!(plan.bridges.is_empty() && plan.flows.is_empty() && !plan.errors.is_empty());
}

#[test]
fn a_port_is_up_only_when_its_network_leaves_the_bridge() {
    let mut host = Host::second_host();
    host.state.interfaces.get_mut("patch-tun").unwrap().ofport = None;
    let plan = host.plan();
    assert_eq!(plan.ports[&id(G2)], PortState::Down);
    assert_eq!(plan.ports[&id(G4)], PortState::Up, "its network leaves by int-br-phys");
    host.state.interfaces.get_mut("patch-tun").unwrap().ofport = Some(2);
    assert_eq!(host.plan().ports[&id(G2)], PortState::Up);
}

#[test]
fn each_tunnel_type_has_its_own_way_in() {
    for (kind, table, name) in [(NetworkType::Gre, 3, "gre-0a4d0002"), (NetworkType::Geneve, 6, "geneve-0a4d0002")] {
        let mut host = Host::second_host();
        host.config.tunnel.as_mut().unwrap().types = [kind].into();
        host.view.tunnel_peers.get_mut("peer2").unwrap().types = [kind].into();
        host.view.networks.get_mut(&id(VXLAN_NET)).unwrap().segment = match kind {
            NetworkType::Gre => Segment::Gre { key: 1000 },
            _ => Segment::Geneve { vni: Vni::new(1000).unwrap() },
        };
        let plan = host.settle();
        let text = flows_text(&plan, &host.state, "br-tun");
        assert!(text.contains(&format!("in_port=\"{name}\" actions=goto_table:{table}")), "{text}");
        assert!(text.contains(&format!("table={table}, priority=1,tun_id=0x3e8 ")), "{text}");
        assert!(text.contains(&format!(
            "table=22, priority=1,dl_vlan=1 actions=pop_vlan,set_field:0x3e8->tun_id,output:\"{name}\""
        )));
    }
}

#[test]
fn a_group_without_rules_on_this_host_allows_nothing_and_is_said() {
    let mut host = Host::vxlan_port_with_group();
    host.view.security_groups.clear();
    let plan = host.settle();
    assert_eq!(plan.errors, [format!("security group {WEB}: its rules are not known on this host")].into());
    let rules =
        plan.flows["br-int"].iter().filter(|flow| [72, 82].contains(&flow.table) && (70..80).contains(&flow.priority));
    assert_eq!(rules.count(), 0);
}

#[test]
fn every_gateway_has_a_device_and_the_first_one_the_default_route() {
    let mut host = Host::router_with_floating_ip();
    host.add_gateway();
    let plan = host.settle();
    let namespace = &plan.namespaces[&names::router_namespace(id(ROUTER))];
    let addresses = |port: &str| {
        let device = &namespace.devices[&names::router_gateway(id(port))];
        device.addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(addresses(QG), ["198.51.100.181/24", "198.51.100.238/32"]);
    assert_eq!(addresses(QG2), ["203.0.113.181/24", "203.0.113.238/32"]);
    let routes = |marked: bool| -> Vec<_> {
        let such = namespace.routes.iter().filter(|route| route.mark.is_some() == marked);
        such.map(|route| (route.destination.to_string(), &*route.device)).collect()
    };
    assert_eq!(routes(false), [("0.0.0.0/0".to_owned(), "qg-3214e3a1-fe")]);
    // Each for what keeps to it.
    let mut marked = routes(true);
    marked.sort();
    let all = "0.0.0.0/0".to_owned();
    assert_eq!(marked, [(all.clone(), "qg-3214e3a1-fe"), (all, "qg-6214e3a1-fe")]);
    let script = namespace.nft[0].install_script();
    let said = |text: &str| assert!(script.contains(text), "{text} in\n{script}");
    for (device, address) in [("qg-3214e3a1-fe", "198.51.100.181"), ("qg-6214e3a1-fe", "203.0.113.181")] {
        said(&format!("iifname \"{device}\" meta mark set"));
        said(&format!("oifname \"{device}\" goto source_nat"));
        said(&format!("oifname \"{device}\" snat to {address}"));
    }

    // On the same network, and without SNAT.
    let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
    router.further_gateways[0].enable_snat = false;
    let port = host.view.ports.get_mut(&id(QG2)).unwrap();
    port.network = id(EXT_NET);
    port.fixed_ips[0].subnet = id(EXT_SUBNET);
    port.fixed_ips[0].address = ip("198.51.100.182");
    let plan = host.settle();
    let namespace = &plan.namespaces[&names::router_namespace(id(ROUTER))];
    assert_eq!(namespace.routes.iter().filter(|route| route.mark.is_none()).count(), 1);
    assert!(!namespace.nft[0].install_script().contains("snat to 198.51.100.182"));
    let ports: Vec<_> = plan.bridges["br-int"].ports.keys().filter(|name| name.starts_with("qg-")).collect();
    assert_eq!(ports, ["qg-3214e3a1-fe", "qg-6214e3a1-fe"]);
}
