use super::*;
use proptest::prelude::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net_id() -> NetworkId {
    "5a0fa2a2-6d5c-4a2c-8f0e-0d0c1c1d2e3f".parse().unwrap()
}

fn wanted(cidr: &str) -> NewSubnet {
    let cidr = net(cidr);
    NewSubnet {
        ip_version: ip_version(cidr.addr()),
        cidr,
        delegated: false,
        gateway_ip: None,
        allocation_pools: None,
        dns_nameservers: Vec::new(),
        host_routes: Vec::new(),
        enable_dhcp: true,
        ipv6_address_mode: None,
        ipv6_ra_mode: None,
    }
}

fn plan(wanted: &NewSubnet) -> Result<SubnetPlan, ModelError> {
    plan_subnet(net_id(), 1500, &[net("192.168.0.0/16")], wanted)
}

fn refusal(wanted: &NewSubnet) -> String {
    let error = plan(wanted).unwrap_err();
    format!("{} {}: {error}", error.status(), error.type_name())
}

fn pools(plan: &SubnetPlan) -> String {
    plan.allocation_pools.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn defaults_are_neutrons() {
    let v4 = plan(&wanted("10.0.0.77/24")).unwrap();
    assert_eq!((v4.cidr, v4.gateway_ip), (net("10.0.0.0/24"), Some(ip("10.0.0.1"))));
    assert_eq!(pools(&v4), "10.0.0.2-10.0.0.254");
    let middle = plan(&NewSubnet { gateway_ip: Some(Some(ip("10.0.0.100"))), ..wanted("10.0.0.0/24") }).unwrap();
    assert_eq!(pools(&middle), "10.0.0.1-10.0.0.99 10.0.0.101-10.0.0.254");
    let none = plan(&NewSubnet { gateway_ip: Some(None), ..wanted("10.0.0.0/24") }).unwrap();
    assert_eq!((none.gateway_ip, pools(&none).as_str()), (None, "10.0.0.1-10.0.0.254"));
    let v6 = plan(&wanted("fd00::/64")).unwrap();
    assert_eq!(v6.gateway_ip, Some(ip("fd00::")));
    assert_eq!(pools(&v6), "fd00::1-fd00::ffff:ffff:ffff:ffff");
    let two = plan(&NewSubnet { enable_dhcp: false, gateway_ip: Some(None), ..wanted("10.0.0.0/31") }).unwrap();
    assert_eq!((two.gateway_ip, pools(&two).as_str()), (None, "10.0.0.0-10.0.0.1"));
    assert_eq!(
        refusal(&NewSubnet { enable_dhcp: false, ..wanted("10.0.0.0/31") }),
        "409 IpamValueInvalid: Gateway IP 10.0.0.1 cannot be the network or broadcast IP address 10.0.0.0/31"
    );
}

#[test]
fn refuses_prefixes_as_neutron_does() {
    let dhcp = "400 InvalidInput: Invalid input for operation: ";
    assert_eq!(refusal(&wanted("0.0.0.0/0")), format!("{dhcp}0 is not allowed as CIDR prefix length."));
    assert_eq!(
        refusal(&wanted("10.0.0.0/31")),
        format!("{dhcp}Subnet has a prefix length that is incompatible with DHCP service enabled.")
    );
    assert!(refusal(&wanted("224.0.0.0/24")).contains("Multicast IP subnet"));
    assert!(refusal(&wanted("127.0.0.0/24")).contains("Loopback IP subnet"));
    assert!(refusal(&wanted("0.0.0.0/24")).contains("First IP '0.0.0.0'"));
    assert!(refusal(&wanted("::/64")).contains("IPv6 subnet '::' is not supported"));
    assert_eq!(
        refusal(&wanted("192.168.7.0/24")),
        format!(
            "{dhcp}Requested subnet with cidr: 192.168.7.0/24 for network: {} overlaps with another subnet.",
            net_id()
        )
    );
    assert_eq!(
        refusal(&NewSubnet { ip_version: 6, ..wanted("10.0.0.0/24") }),
        format!("{dhcp}cidr '10.0.0.0/24' does not match the ip_version '6'.")
    );
}

#[test]
fn refuses_gateways_and_pools_as_neutron_does() {
    let base = wanted("10.0.0.0/24");
    let gateway = |text: &str| NewSubnet { gateway_ip: Some(Some(ip(text))), ..base.clone() };
    assert!(refusal(&gateway("10.0.0.255")).ends_with("Gateway is not valid on subnet."));
    assert!(refusal(&gateway("fd00::1")).contains("gateway_ip 'fd00::1' does not match the ip_version '4'"));
    assert!(plan(&gateway("172.16.0.1")).is_ok(), "a gateway outside the prefix is on the link");

    let with = |pools: &[(&str, &str)]| NewSubnet {
        allocation_pools: Some(pools.iter().map(|(s, e)| AllocationPool { start: ip(s), end: ip(e) }).collect()),
        ..base.clone()
    };
    assert_eq!(
        refusal(&with(&[("10.0.0.9", "10.0.0.2")])),
        "400 InvalidAllocationPool: The allocation pool {'start': '10.0.0.9', 'end': '10.0.0.2'} is not valid."
    );
    assert_eq!(
        refusal(&with(&[("fd00::1", "fd00::2")])),
        "400 InvalidAllocationPool: The allocation pool fd00::1-fd00::2 is not valid."
    );
    assert_eq!(
        refusal(&with(&[("10.0.0.2", "10.0.0.255")])),
        "400 OutOfBoundsAllocationPool: The allocation pool 10.0.0.2-10.0.0.255 spans beyond the subnet cidr 10.0.0.0/24."
    );
    assert_eq!(
        refusal(&with(&[("10.0.0.2", "10.0.0.9"), ("10.0.0.20", "10.0.0.29"), ("10.0.0.9", "10.0.0.10")])),
        "409 OverlappingAllocationPools: Found overlapping allocation pools: \
         10.0.0.2-10.0.0.9 10.0.0.9-10.0.0.10 for subnet 10.0.0.0/24."
    );
    assert_eq!(
        refusal(&with(&[("10.0.0.1", "10.0.0.9")])),
        "409 GatewayConflictWithAllocationPools: Gateway ip 10.0.0.1 conflicts with allocation pool 10.0.0.1-10.0.0.9."
    );
    assert!(plan(&with(&[])).unwrap().allocation_pools.is_empty());
}

#[test]
fn a_gateway_that_a_router_has_stays() {
    let (old, new) = (Some(ip("10.0.0.1")), Some(ip("10.0.0.2")));
    let port = "739c4cf2-0b00-4000-8000-000000000000".parse().unwrap();
    assert!(check_gateway_change(old, old, Some(port)).is_ok());
    assert!(check_gateway_change(old, None, None).is_ok());
    let error = check_gateway_change(old, new, Some(port)).unwrap_err();
    assert_eq!((error.type_name(), error.status()), ("GatewayIpInUse", 409));
}

#[test]
fn refuses_dns_servers_routes_modes_and_mtu_as_neutron_does() {
    let base = wanted("10.0.0.0/24");
    let dns = NewSubnet { dns_nameservers: vec![ip("9.9.9.9"); 6], ..base.clone() };
    assert_eq!(
        refusal(&dns),
        "400 DNSNameServersExhausted: Unable to complete operation for new subnet. \
         The number of DNS nameservers exceeds the limit 5."
    );
    let route = Route { destination: net("0.0.0.0/0"), nexthop: ip("fd00::1") };
    let routes = NewSubnet { host_routes: vec![route], ..base.clone() };
    assert!(refusal(&routes).contains("nexthop 'fd00::1' does not match the ip_version '4'"));
    let many = NewSubnet { host_routes: vec![route; 21], ..base.clone() };
    assert!(refusal(&many).starts_with("400 HostRoutesExhausted"));
    let v4_mode = NewSubnet { ipv6_ra_mode: Some(Ipv6Mode::Slaac), ..base };
    assert!(refusal(&v4_mode).contains("ipv6_ra_mode is not valid when ip_version is 4"));

    let slaac = NewSubnet { ipv6_address_mode: Some(Ipv6Mode::Slaac), ..wanted("fd00::/64") };
    assert!(plan(&slaac).is_ok());
    assert!(refusal(&NewSubnet { enable_dhcp: false, ..slaac.clone() }).contains("enable_dhcp is set to False"));
    assert!(refusal(&NewSubnet { cidr: net("fd00::/72"), ..slaac.clone() }).contains("requires the prefix to be /64"));
    let mixed = NewSubnet { ipv6_ra_mode: Some(Ipv6Mode::Dhcpv6Stateful), ..slaac.clone() };
    assert!(refusal(&mixed).contains("ipv6_ra_mode set to 'dhcpv6-stateful' with ipv6_address_mode set to 'slaac'"));

    let small = plan_subnet(net_id(), 1000, &[], &slaac).unwrap_err();
    assert_eq!(small.to_string(), format!("MTU of {} is not valid, subnet requires a minimum of 1280", net_id()));
    assert!(plan_subnet(net_id(), 1000, &[], &wanted("10.0.0.0/24")).is_ok());
    assert!(check_mtu(net_id(), 60, []).is_ok() && check_mtu(net_id(), 60, [4]).is_err());
}

proptest! {
    #[test]
    fn default_pools_are_all_hosts_but_the_gateway(addr: u32, prefix in 1u8..=32, gateway: u32) {
        let cidr: IpNet = net_types::Ipv4Net::new(Ipv4Addr::from_bits(addr), prefix).unwrap().trunc().into();
        let within = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(match cidr {
            IpNet::V4(v4) => v4.network().to_bits() | (n & v4.hostmask().to_bits()),
            IpNet::V6(_) => unreachable!(),
        }));
        let gateway = within(gateway);
        let pools = default_pools(cidr, Some(gateway));
        let size: u128 = pools.iter().map(IpRange::size).sum();
        let hosts = host_range(cidr);
        if prefix == 32 {
            prop_assert_eq!(size, 1);
        } else {
            prop_assert!(pools.iter().all(|pool| !pool.contains(gateway)));
            prop_assert_eq!(size, hosts.size() - u128::from(hosts.contains(gateway)));
            // What the rules make by default they also accept when it is given.
            let given: Vec<_> = pools.iter().map(|p| AllocationPool { start: p.first(), end: p.last() }).collect();
            prop_assert_eq!(check_pools(cidr, Some(gateway), &given), Ok(pools));
        }
    }

    #[test]
    fn overlap_is_sharing_an_address(a: u32, b: u32, x in 1u8..=32, y in 1u8..=32) {
        let make = |addr, len| net_types::Ipv4Net::new(Ipv4Addr::from_bits(addr), len).unwrap().trunc();
        // Bring them close together, else hardly any two would meet.
        let (left, right) = (make(a, x), make(a ^ (b & 0xff), y));
        let shared = left.network().max(right.network()) <= left.broadcast().min(right.broadcast());
        prop_assert_eq!(overlap(left.into(), right.into()), shared);
    }
}
