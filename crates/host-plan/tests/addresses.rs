//! How instances come by their addresses: what routers advertise, and what DHCP tells beyond an IPv4 address.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_plan::{DhcpServer, DnsUpstream, NamespaceServices, RouterAdvertisement, names};
use host_view::{ExtraDhcpOption, FixedIp, Router, Subnet};
use net_types::{RouterId, SubnetId};
use support::*;

const NET: &str = "1";

/// A network with a router on two IPv6 subnets and one IPv4 subnet.
fn routed(modes: [Option<&str>; 2]) -> Host {
    let mut host = Host::empty();
    host.network(NET, host_view::Segment::Vxlan { vni: net_types::Vni::new(7).unwrap() }, 1450);
    host.subnet("51", NET, "10.0.0.0/24", Some("10.0.0.1"));
    for (subnet, prefix, mode) in [("61", "2001:db8:1::", modes[0]), ("62", "2001:db8:2::", modes[1])] {
        host.subnet(subnet, NET, &format!("{prefix}/64"), Some(&format!("{prefix}1")));
        let value: &mut Subnet = host.view.subnets.get_mut(&id::<SubnetId>(subnet)).unwrap();
        value.ipv6_ra_mode = mode.map(str::to_owned);
        value.ipv6_address_mode = mode.map(str::to_owned);
        value.dns_nameservers = vec![ip("8.8.8.8"), ip(&format!("{prefix}53"))];
    }
    let addresses = [("51", "10.0.0.1"), ("61", "2001:db8:1::1"), ("62", "2001:db8:2::1")];
    host.port(NewPort::new("a1", NET, "fa:16:3e:00:00:a1", &addresses).owner("network:router_interface"));
    let router = Router { admin_state_up: true, interfaces: [id("a1")].into(), ..Router::default() };
    host.view.routers.insert(id::<RouterId>("f1"), router);
    host
}

fn advertised(host: &Host) -> Option<RouterAdvertisement> {
    let plan = host.plan();
    let services = plan.services.get(&names::router_namespace(id("f1")))?;
    assert!(services.ra.len() <= 1);
    services.ra.get(&names::router_interface(id("a1"))).cloned()
}

#[test]
fn the_modes_of_a_links_subnets_add_up() {
    let ra = advertised(&routed([Some("slaac"), Some("dhcpv6-stateful")])).unwrap();
    assert_eq!((ra.managed, ra.other, ra.mtu), (true, false, Some(1450)));
    let prefixes: Vec<_> = ra.prefixes.iter().map(|prefix| (prefix.prefix.to_string(), prefix.autonomous)).collect();
    assert_eq!(prefixes, [("2001:db8:1::/64".to_owned(), true), ("2001:db8:2::/64".to_owned(), false)]);
    assert_eq!(ra.dns_servers, ["2001:db8:1::53".parse::<std::net::Ipv6Addr>().unwrap()], "of SLAAC subnets only");

    let stateless = advertised(&routed([Some("dhcpv6-stateless"), None])).unwrap();
    assert_eq!((stateless.managed, stateless.other), (false, true));
    assert_eq!(stateless.prefixes.len(), 1, "the other one is somebody else's to advertise");
    assert!(stateless.prefixes[0].autonomous && stateless.dns_servers.is_empty());
}

#[test]
fn nothing_is_advertised_without_a_mode_or_by_a_router_that_is_down() {
    assert_eq!(advertised(&routed([None, None])), None);
    let mut down = routed([Some("slaac"), None]);
    down.view.routers.get_mut(&id("f1")).unwrap().admin_state_up = false;
    assert_eq!(advertised(&down), None);
}

#[test]
fn a_small_network_says_no_mtu_that_ipv6_cannot_have() {
    let mut host = routed([Some("slaac"), None]);
    host.view.networks.get_mut(&id(NET)).unwrap().mtu = 1200;
    assert_eq!(advertised(&host).unwrap().mtu, None);
}

/// The same with DHCP and a client on all three subnets.
fn served(modes: [Option<&str>; 2]) -> Host {
    let mut host = routed(modes);
    let server = [("51", "10.0.0.2"), ("61", "2001:db8:1::2"), ("62", "2001:db8:2::2")];
    host.dhcp("d1", NET, "fa:16:3e:00:00:d1", &server, &["10.0.0.1"]);
    let client = [("51", "10.0.0.7"), ("61", "2001:db8:1::7"), ("62", "2001:db8:2::7"), ("62", "2001:db8:2::8")];
    host.plug(NewPort::new("c1", NET, CLIENT, &client).unsecured());
    host
}

const CLIENT: &str = "fa:16:3e:00:00:c1";

fn services(host: &Host) -> NamespaceServices {
    host.plan().services[&names::dhcp_namespace(id(NET))].clone()
}

#[test]
fn stateful_addresses_come_by_dhcpv6_and_others_do_not() {
    let six = services(&served([Some("slaac"), Some("dhcpv6-stateful")])).dhcp6.unwrap();
    assert_eq!((six.device, six.mac), ("tap000000d1-00".to_owned(), mac("fa:16:3e:00:00:d1")));
    let client = &six.clients[&mac(CLIENT)];
    let addresses: Vec<_> = client.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["2001:db8:2::7", "2001:db8:2::8"], "the first subnet's it makes by itself");
    assert_eq!(client.dns_servers, ["2001:db8:2::53".parse::<std::net::Ipv6Addr>().unwrap()]);
    assert_eq!((client.hostname.as_str(), client.domain.as_str()), ("host-2001-db8-2--7", "openstacklocal"));

    let stateless = services(&served([Some("dhcpv6-stateless"), Some("slaac")])).dhcp6.unwrap();
    assert!(stateless.clients[&mac(CLIENT)].addresses.is_empty());
    assert_eq!(services(&served([Some("slaac"), Some("slaac")])).dhcp6, None);
    // Neither mode: as Neutron, by DHCPv6 alone.
    assert!(!services(&served([None, Some("slaac")])).dhcp6.unwrap().clients[&mac(CLIENT)].addresses.is_empty());
}

#[test]
fn a_subnet_without_dns_servers_gets_the_networks_dhcp_servers() {
    let mut host = served([Some("slaac"), Some("dhcpv6-stateful")]);
    for subnet in ["51", "62"] {
        host.view.subnets.get_mut(&id::<SubnetId>(subnet)).unwrap().dns_nameservers.clear();
    }
    let fixed = |address: &str| FixedIp { subnet: id("51"), address: ip(address) };
    host.view.dhcp.get_mut(&id(NET)).unwrap().servers = [fixed("10.0.0.1"), fixed("10.0.0.2")].into();
    let told = services(&host);
    let four: DhcpServer = told.dhcp.unwrap();
    let dns: Vec<_> = four.leases[&mac(CLIENT)].dns_servers.iter().map(ToString::to_string).collect();
    assert_eq!(dns, ["10.0.0.2", "10.0.0.1"], "this host's own first");
    let six: Vec<_> = told.dhcp6.unwrap().clients[&mac(CLIENT)].dns_servers.clone();
    assert_eq!(six, ["2001:db8:2::2".parse::<std::net::Ipv6Addr>().unwrap()]);
}

#[test]
fn dns_knows_every_address_of_every_port() {
    let mut host = served([Some("slaac"), Some("dhcpv6-stateful")]);
    host.config.dns_upstream = DnsUpstream::Servers(vec![ip("192.0.2.53")]);
    host.view.dhcp_clients.get_mut(&id("c1")).unwrap().hostname = Some("vm".into());
    let dns = services(&host).dns.unwrap();
    assert_eq!(dns.addresses, [ip("10.0.0.2"), ip("2001:db8:1::2"), ip("2001:db8:2::2")].into());
    assert_eq!(dns.names[&ip("2001:db8:2::8")], "vm");
    assert_eq!(dns.names[&ip("10.0.0.1")], "host-10-0-0-1");
    assert_eq!((dns.domain.as_str(), dns.upstream), ("openstacklocal", DnsUpstream::Servers(vec![ip("192.0.2.53")])));
}

#[test]
fn extra_options_reach_the_lease_and_wrong_ones_are_told() {
    let mut host = served([None, None]);
    let option =
        |name: &str, value: &str, ip_version| ExtraDhcpOption { name: name.into(), value: value.into(), ip_version };
    host.view.dhcp_clients.get_mut(&id("c1")).unwrap().options =
        [option("tag:!ipxe,67", "a", 4), option("bootfile-url", "b", 6), option("bootfile", "c", 4)].into();
    let told = services(&host);
    let four: Vec<_> = told.dhcp.unwrap().leases[&mac(CLIENT)].options.iter().map(|option| option.code).collect();
    let six: Vec<_> = told.dhcp6.unwrap().clients[&mac(CLIENT)].options.iter().map(|option| option.code).collect();
    assert_eq!((four, six), (vec![67], vec![59]));
    let port = id::<net_types::PortId>("c1");
    let expected = format!("port {port}: extra DHCP option 'bootfile' for IPv4: no option has this name");
    assert_eq!(host.plan().errors, [expected].into());
}
