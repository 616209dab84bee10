//! A router's plan in real namespaces: its packet filter is accepted and read back equal, and every kind of connection gets
//! the addresses that it should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_drivers::Place;
use host_drivers::testing::{PrivateSwitch, with_room_for_bursts};
use host_plan::{Namespace, names};
use host_view::{
    BandwidthLimits, ConntrackHelper, Direction, FixedIp, FloatingIp, Limit, MeteringRule, PortForwarding,
};
use net_types::PortRange;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use support::*;

const FLOATING: &str = "198.51.100.238";
/// Only single ports of it lead somewhere.
const FORWARDED: &str = "198.51.100.240";
const GATEWAY: &str = "198.51.100.181";
const OUTSIDE: &str = "198.51.100.7";

/// `inside` and `second` (behind qr- devices), `outside` and `beyond` (behind qg-) hang on the router by veth pairs, as far as
/// its plan has the devices.
struct Lab {
    /// Only for its namespaces.
    place: PrivateSwitch,
    router: String,
    inside: String,
    second: String,
    outside: String,
    beyond: String,
    plan: Namespace,
}

/// Who talks, on ports 7000 to 7003.
struct Ends {
    /// Inside, and it has a floating IP.
    with_floating: UdpSocket,
    /// Inside.
    without: UdpSocket,
    /// On the second subnet.
    second: UdpSocket,
    outside: UdpSocket,
}

impl Lab {
    fn new(host: &Host) -> Self {
        let place = PrivateSwitch::start().unwrap();
        let make = || place.extra_namespace().unwrap();
        let (router, inside, second, outside, beyond) = (make(), make(), make(), make(), make());
        let plan = host.plan().namespaces.remove(&names::router_namespace(id(ROUTER))).unwrap();
        let lab = Self { place, router, inside, second, outside, beyond, plan };
        lab.wire();
        lab
    }

    fn ip(&self, namespace: &str, arguments: &str) {
        self.run(namespace, &format!("ip {arguments}"));
    }

    fn run(&self, namespace: &str, command: &str) -> String {
        self.place.run_at(namespace, &command.split(' ').collect::<Vec<_>>()).unwrap()
    }

    fn wire(&self) {
        let ends = [
            (names::router_interface(id(QR)), &self.inside),
            (names::router_interface(id(QR2)), &self.second),
            (names::router_gateway(id(QG)), &self.outside),
            (names::router_gateway(id(QG2)), &self.beyond),
        ];
        for (device, other) in ends.into_iter().filter(|(device, _)| self.plan.devices.contains_key(device)) {
            self.ip(&self.router, &format!("link add {device} type veth peer name eth0 netns {other}"));
            self.ip(other, "link set eth0 up");
        }
        for (name, value) in &self.plan.sysctls {
            self.run(&self.router, &format!("sysctl -qw {name}={value}"));
        }
        for (name, device) in &self.plan.devices {
            self.ip(&self.router, &format!("link set {name} address {} mtu {} up", device.mac, device.mtu));
            for address in &device.addresses {
                let at_once = if address.addr().is_ipv6() { " nodad" } else { "" };
                self.ip(&self.router, &format!("addr add {address} dev {name}{at_once}"));
            }
            for (name, value) in &device.sysctls {
                self.run(&self.router, &format!("sysctl -qw {name}={value}"));
            }
            for address in &device.proxied {
                self.ip(&self.router, &format!("neigh add proxy {address} dev {name}"));
            }
        }
        let mut ways: BTreeMap<_, String> = BTreeMap::new();
        for route in &self.plan.routes {
            let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
            ways.entry((route.mark, route.destination))
                .or_default()
                .push_str(&format!(" nexthop{via} dev {}", route.device));
        }
        for ((mark, destination), ways) in ways {
            let alone = ways.matches("nexthop").count() == 1;
            let ways = if alone { ways.replace(" nexthop", "") } else { ways };
            let table = mark.map(|mark| format!(" table {mark}")).unwrap_or_default();
            self.ip(&self.router, &format!("route replace {destination}{table}{ways}"));
            if let Some(mark) = mark {
                let mask = host_plan::Route::MARK_MASK;
                self.ip(&self.router, &format!("rule add priority 101 fwmark {mark}/{mask} lookup {mark}"));
            }
        }
        if self.plan.routes.iter().any(|route| route.mark.is_some()) {
            self.ip(&self.router, "rule add priority 100 lookup main suppress_prefixlength 0");
        }
        self.load();
        for (namespace, addresses, gateway) in [
            (&self.inside, &["10.10.2.144/16", "10.10.2.71/16"][..], "10.10.0.1"),
            (&self.second, &["10.30.0.5/24"][..], "10.30.0.1"),
            (&self.outside, &["198.51.100.7/24"][..], "198.51.100.181"),
            (&self.beyond, &["203.0.113.7/24"][..], "203.0.113.181"),
        ] {
            if !self.run(namespace, "ip -o link show").contains("eth0") {
                continue;
            }
            for address in addresses {
                self.ip(namespace, &format!("addr add {address} dev eth0"));
            }
            self.ip(namespace, &format!("route add default via {gateway}"));
        }
    }

    fn load(&self) {
        for table in &self.plan.nft {
            let argv = ["ip", "netns", "exec", &self.router, "nft", "-f", "-"];
            self.place.run_with(&argv, &table.install_script()).unwrap();
        }
    }

    fn ends(&self) -> Ends {
        Ends {
            with_floating: self.socket(&self.inside, "10.10.2.144", 7000),
            without: self.socket(&self.inside, "10.10.2.71", 7001),
            second: self.socket(&self.second, "10.30.0.5", 7002),
            outside: self.socket(&self.outside, OUTSIDE, 7003),
        }
    }

    fn socket(&self, namespace: &str, address: &str, port: u16) -> UdpSocket {
        let address = SocketAddr::new(ip(address), port);
        let socket = Place::named(namespace).run_blocking(move || UdpSocket::bind(address)).unwrap().unwrap();
        let socket = with_room_for_bursts(socket).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    /// Sends from one to the other; the source address that the receiver sees. The answer must come back from whom the
    /// sender asked.
    fn source_seen(&self, from: &UdpSocket, to: (&str, u16), receiver: &UdpSocket) -> IpAddr {
        let mut buffer = [0; 16];
        from.send_to(b"question", (ip(to.0), to.1)).unwrap();
        let (_, source) = receiver.recv_from(&mut buffer).expect("the packet must arrive");
        receiver.send_to(b"answer", source).unwrap();
        let (_, answerer) = from.recv_from(&mut buffer).expect("the answer must arrive");
        assert_eq!(answerer, SocketAddr::new(ip(to.0), to.1));
        source.ip()
    }
}

const QR2: &str = "5ff3a089-7600-4000-8000-000000000002";

/// The router of the facts with a second inside subnet.
fn two_subnets(enable_snat: bool) -> Host {
    let mut host = Host::router_with_floating_ip();
    host.network("30", host_view::Segment::Local, 1450);
    host.subnet("530", "30", "10.30.0.0/24", Some("10.30.0.1"));
    host.port(NewPort::new(QR2, "30", "fa:16:3e:30:00:01", &[("530", "10.30.0.1")]).owner("network:router_interface"));
    let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
    router.interfaces.insert(id(QR2));
    router.gateway.as_mut().unwrap().enable_snat = enable_snat;
    // One port to one, many to one, as many of the same numbers, as many of others.
    for (n, external, internal, to) in [
        (1, (8000, 8000), (7001, 7001), "10.10.2.71"),
        (2, (8100, 8109), (7002, 7002), "10.30.0.5"),
        (3, (7000, 7004), (7000, 7004), "10.10.2.71"),
        (4, (8200, 8203), (7000, 7003), "10.10.2.71"),
    ] {
        let ports = |(first, last)| PortRange::new(first, last).unwrap();
        let forwarding = PortForwarding {
            floating_ip: id("f2"),
            floating_address: ip(FORWARDED),
            protocol: "udp".into(),
            external: ports(external),
            internal_address: ip(to),
            internal: ports(internal),
        };
        router.port_forwardings.insert(id(&format!("f{n}")), forwarding);
    }
    host.settle();
    host
}

#[test]
fn the_packet_filter_is_read_back_equal() {
    let lab = Lab::new(&two_subnets(true));
    let listed = lab.run(&lab.router, "nft --json list ruleset");
    let tables = nft_rules::tables_from_json(&listed).unwrap();
    assert_eq!(tables.into_values().collect::<Vec<_>>(), lab.plan.nft);
}

#[test]
fn every_connection_gets_the_right_addresses() {
    let lab = Lab::new(&two_subnets(true));
    let Ends { with_floating, without, second, outside } = lab.ends();
    // Out: by its floating IP, or by the router's address.
    assert_eq!(lab.source_seen(&with_floating, (OUTSIDE, 7003), &outside), ip(FLOATING));
    assert_eq!(lab.source_seen(&without, (OUTSIDE, 7003), &outside), ip(GATEWAY));
    assert_eq!(lab.source_seen(&second, (OUTSIDE, 7003), &outside), ip(GATEWAY));
    // In, to the floating IP: the receiver sees who it is.
    assert_eq!(lab.source_seen(&outside, (FLOATING, 7000), &with_floating), ip(OUTSIDE));
    // From inside to a floating IP: by way of the router, or the answer would not find back.
    assert_eq!(lab.source_seen(&without, (FLOATING, 7000), &with_floating), ip(GATEWAY));
    assert_eq!(lab.source_seen(&second, (FLOATING, 7000), &with_floating), ip(GATEWAY));
    // East-west: no translation.
    assert_eq!(lab.source_seen(&second, ("10.10.2.71", 7001), &without), ip("10.30.0.5"));
    assert_eq!(lab.source_seen(&with_floating, ("10.30.0.5", 7002), &second), ip("10.10.2.144"));
}

#[test]
fn forwarded_ports_lead_in_from_both_sides() {
    let lab = Lab::new(&two_subnets(true));
    let Ends { with_floating, without: first, second, outside } = lab.ends();
    for port in [8000, 7001, 8201] {
        assert_eq!(lab.source_seen(&outside, (FORWARDED, port), &first), ip(OUTSIDE), "{port}");
    }
    assert_eq!(lab.source_seen(&outside, (FORWARDED, 8104), &second), ip(OUTSIDE));
    // From inside: by way of the router, or the answer would not find back.
    assert_eq!(lab.source_seen(&second, (FORWARDED, 8000), &first), ip(GATEWAY));
    assert_eq!(lab.source_seen(&with_floating, (FORWARDED, 8000), &first), ip(FLOATING));
    // Out, the address of the forwardings is nobody's.
    let other = lab.socket(&lab.inside, "10.10.2.71", 7009);
    assert_eq!(lab.source_seen(&other, (OUTSIDE, 7003), &outside), ip(GATEWAY));
    // Other ports are the router's own, where nobody listens.
    let refused = lab.socket(&lab.outside, OUTSIDE, 7004);
    refused.connect((ip(FORWARDED), 8001)).unwrap();
    refused.send(b"question").unwrap();
    assert_eq!(refused.recv(&mut [0; 16]).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

const SCOPE_A: &str = "a0";
const SCOPE_B: &str = "b0";

/// The first inside subnet and the outside are in one scope, the second inside subnet in another.
fn two_scopes(enable_snat: bool) -> Host {
    let mut host = two_subnets(enable_snat);
    for (subnet, scope) in [(VXLAN_SUBNET, SCOPE_A), (EXT_SUBNET, SCOPE_A), ("530", SCOPE_B)] {
        host.view.subnets.get_mut(&id(subnet)).unwrap().address_scope = Some(id(scope));
    }
    // One floating IP leads into the other scope.
    let floating = FloatingIp { floating_address: ip("198.51.100.241"), fixed_address: ip("10.30.0.5") };
    host.view.routers.get_mut(&id(ROUTER)).unwrap().floating_ips.insert(id("f9"), floating);
    host.settle();
    host
}

/// Sends what must not arrive, then what must; the first thing that arrives is the second one.
fn only_the_second(
    lab: &Lab,
    from: &UdpSocket,
    lost: (&str, u16),
    arrives: (&str, u16),
    receiver: &UdpSocket,
) -> IpAddr {
    from.send_to(b"lost", (ip(lost.0), lost.1)).unwrap();
    lab.source_seen(from, arrives, receiver)
}

#[test]
fn between_address_scopes_only_translation_leads() {
    let lab = Lab::new(&two_scopes(true));
    let listed = lab.run(&lab.router, "nft --json list ruleset");
    assert_eq!(nft_rules::tables_from_json(&listed).unwrap().into_values().collect::<Vec<_>>(), lab.plan.nft);
    let Ends { with_floating, without: first, second, outside } = lab.ends();
    lab.ip(&lab.outside, "route add 10.10.0.0/16 via 198.51.100.181");
    lab.ip(&lab.outside, "route add 10.30.0.0/24 via 198.51.100.181");
    // Inside, from one scope to the other: only by a floating IP, in either direction.
    assert_eq!(
        only_the_second(&lab, &second, ("10.10.2.144", 7000), (FLOATING, 7000), &with_floating),
        ip("198.51.100.241")
    );
    assert_eq!(only_the_second(&lab, &first, ("10.30.0.5", 7002), ("198.51.100.241", 7002), &second), ip(GATEWAY));
    // To the outside: untranslated in its own scope, but for a floating IP; the other way round, too.
    let same = lab.socket(&lab.inside, "10.10.2.71", 7004);
    assert_eq!(lab.source_seen(&same, (OUTSIDE, 7003), &outside), ip("10.10.2.71"));
    assert_eq!(lab.source_seen(&with_floating, (OUTSIDE, 7003), &outside), ip(FLOATING));
    assert_eq!(lab.source_seen(&outside, ("10.10.2.71", 7001), &first), ip(OUTSIDE));
    // From another scope: translated. In from outside, only by the floating IP.
    let other = lab.socket(&lab.second, "10.30.0.5", 7005);
    assert_eq!(lab.source_seen(&other, (OUTSIDE, 7003), &outside), ip("198.51.100.241"));
    assert_eq!(only_the_second(&lab, &outside, ("10.30.0.5", 7002), ("198.51.100.241", 7002), &second), ip(OUTSIDE));
}

#[test]
fn without_snat_another_scope_does_not_get_out_but_by_its_floating_ip() {
    let lab = Lab::new(&two_scopes(false));
    lab.ip(&lab.second, "addr add 10.30.0.6/24 dev eth0");
    let with_floating = lab.socket(&lab.second, "10.30.0.5", 7002);
    let without = lab.socket(&lab.second, "10.30.0.6", 7002);
    let first = lab.socket(&lab.inside, "10.10.2.71", 7001);
    let outside = lab.socket(&lab.outside, OUTSIDE, 7003);
    without.send_to(b"lost", (ip(OUTSIDE), 7003)).unwrap();
    assert_eq!(lab.source_seen(&with_floating, (OUTSIDE, 7003), &outside), ip("198.51.100.241"));
    assert_eq!(lab.source_seen(&first, (OUTSIDE, 7003), &outside), ip("10.10.2.71"));
}

#[test]
fn outside_only_proxied_addresses_are_reached() {
    let mut host = two_subnets(true);
    host.subnet("630", "30", "2001:db8:30::/64", Some("2001:db8:30::1"));
    host.subnet("6ff", EXT_NET, "2001:db8:ff::/64", None);
    for (port, subnet, address) in [(QR2, "630", "2001:db8:30::1"), (QG, "6ff", "2001:db8:ff::2")] {
        let fixed = FixedIp { subnet: id(subnet), address: ip(address) };
        host.view.ports.get_mut(&id(port)).unwrap().fixed_ips.push(fixed);
    }
    host.view.routers.get_mut(&id(ROUTER)).unwrap().ndp_proxies = Some([ip("2001:db8:30::5")].into());
    host.settle();
    let lab = Lab::new(&host);
    let listed = lab.run(&lab.router, "nft --json list ruleset");
    assert_eq!(nft_rules::tables_from_json(&listed).unwrap().into_values().collect::<Vec<_>>(), lab.plan.nft);
    for address in ["2001:db8:30::5/64", "2001:db8:30::6/64"] {
        lab.ip(&lab.second, &format!("addr add {address} dev eth0 nodad"));
    }
    lab.ip(&lab.second, "route add default via 2001:db8:30::1");
    lab.ip(&lab.outside, "addr add 2001:db8:ff::7/64 dev eth0 nodad");
    lab.ip(&lab.outside, "route add 2001:db8:30::/64 dev eth0");
    let proxied = lab.socket(&lab.second, "2001:db8:30::5", 7002);
    let hidden = lab.socket(&lab.second, "2001:db8:30::6", 7003);
    let outside = lab.socket(&lab.outside, "2001:db8:ff::7", 7004);
    // The router answers for it, and lets it in.
    assert_eq!(lab.source_seen(&outside, ("2001:db8:30::5", 7002), &proxied), ip("2001:db8:ff::7"));
    assert_eq!(lab.source_seen(&proxied, ("2001:db8:ff::7", 7004), &outside), ip("2001:db8:30::5"));
    // Who knows the router's MAC gets no further.
    let gateway = &lab.plan.devices[&names::router_gateway(id(QG))];
    lab.ip(&lab.outside, &format!("neigh replace 2001:db8:30::6 lladdr {} dev eth0", gateway.mac));
    outside.send_to(b"lost", (ip("2001:db8:30::6"), 7003)).unwrap();
    lab.source_seen(&outside, ("2001:db8:30::5", 7002), &proxied);
    hidden.set_nonblocking(true).unwrap();
    assert!(hidden.recv_from(&mut [0; 16]).is_err());
}

/// How many of these many datagrams arrive.
fn arrive(from: &UdpSocket, to: (&str, u16), receiver: &UdpSocket, many: usize) -> usize {
    let octets = [7; 1400];
    for _ in 0..many {
        from.send_to(&octets, (ip(to.0), to.1)).unwrap();
    }
    receiver.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let arrived = std::iter::from_fn(|| receiver.recv(&mut [0; 2000]).ok()).count();
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    arrived
}

#[test]
fn beyond_its_limit_an_address_gets_and_sends_nothing() {
    let mut host = two_subnets(true);
    let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
    // Almost no rate: what passes is the burst, however long the test takes.
    let limit = |burst| Some(Limit { rate: 1, burst });
    router.limits = [
        (ip(FLOATING), BandwidthLimits { ingress: limit(800), egress: limit(1600) }),
        (ip(GATEWAY), BandwidthLimits { ingress: None, egress: limit(800) }),
    ]
    .into();
    host.settle();
    let lab = Lab::new(&host);
    let listed = lab.run(&lab.router, "nft --json list ruleset");
    assert_eq!(nft_rules::tables_from_json(&listed).unwrap().into_values().collect::<Vec<_>>(), lab.plan.nft);
    let Ends { with_floating, without: first, second, outside } = lab.ends();
    // 100,000 octets are 70 such datagrams.
    let is_about = |seen: usize, expected: usize| (expected - 10..=expected + 10).contains(&seen);
    let seen = arrive(&outside, (FLOATING, 7000), &with_floating, 200);
    assert!(is_about(seen, 70), "to the floating IP: {seen}");
    let seen = arrive(&with_floating, (OUTSIDE, 7003), &outside, 200);
    assert!(is_about(seen, 140), "from the floating IP: {seen}");
    let seen = arrive(&first, (OUTSIDE, 7003), &outside, 200);
    assert!(is_about(seen, 70), "from the gateway's address: {seen}");
    // Nothing else has a limit.
    assert_eq!(arrive(&second, ("10.10.2.71", 7001), &first, 100), 100);
}

#[test]
fn helpers_follow_and_labels_count() {
    let mut host = two_subnets(true);
    let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
    for (helper, protocol, port) in [("tftp", "udp", 69), ("ftp", "tcp", 21), ("ftp", "tcp", 2121)] {
        let helper = ConntrackHelper { helper: helper.into(), protocol: protocol.into(), port };
        router.conntrack_helpers.insert(helper);
    }
    let rule = |direction, excluded, source: &str, destination: &str| {
        let prefix = |text: &str| (!text.is_empty()).then(|| net(text));
        MeteringRule { direction, excluded, source: prefix(source), destination: prefix(destination) }
    };
    router.metering.insert(
        id("c1"),
        [
            rule(Direction::Egress, false, "10.10.0.0/16", ""),
            rule(Direction::Egress, true, "10.10.2.144", ""),
            rule(Direction::Ingress, false, "", "2001:db8::/64"),
        ]
        .into(),
    );
    host.settle();
    let mut lab = Lab::new(&host);
    let listed = |lab: &Lab| nft_rules::tables_from_json(&lab.run(&lab.router, "nft --json list ruleset")).unwrap();
    assert_eq!(listed(&lab).into_values().collect::<Vec<_>>(), lab.plan.nft);

    let Ends { with_floating: excluded, without: counted, second, outside } = lab.ends();
    for from in [&excluded, &counted, &second] {
        lab.source_seen(from, (OUTSIDE, 7003), &outside);
    }
    let label = "label-000000c1-0000-4000-8000-000000000000";
    let packets = |lab: &Lab| lab.run(&lab.router, &format!("nft list counter ip neutronium-metering {label}"));
    assert!(packets(&lab).contains("packets 1 bytes 36"), "{}", packets(&lab));
    let all = nft_rules::counted_from_json(&lab.run(&lab.router, "nft --json list counters")).unwrap();
    let of_label: Vec<_> = all
        .iter()
        .filter(|one| host_plan::metered_label(&one.table, &one.name) == Some(id("c1")))
        .map(|one| (one.family, one.packets, one.octets))
        .collect();
    assert_eq!(of_label, [(nft_rules::Family::Ip, 1, 36), (nft_rules::Family::Ip6, 0, 0)]);
    counted.send_to(b"read", (ip(OUTSIDE), 69)).unwrap();
    lab.source_seen(&second, (OUTSIDE, 7003), &outside);
    let tracked = lab.run(&lab.router, "conntrack -L -p udp --orig-port-dst 69");
    assert!(tracked.contains("helper=tftp"), "{tracked}");

    // Another label changes nothing in what was counted.
    let before = listed(&lab);
    let router = host.view.routers.get_mut(&id(ROUTER)).unwrap();
    router.metering.insert(id("c2"), [rule(Direction::Egress, false, "10.30.0.0/24", "")].into());
    lab.plan = host.settle().namespaces.remove(&names::router_namespace(id(ROUTER))).unwrap();
    let metering =
        lab.plan.nft.iter().find(|table| table.name == "neutronium-metering" && table.has_counters()).unwrap();
    let script = metering.update_script(&before[&(metering.family, metering.name.clone())]);
    lab.place.run_with(&["ip", "netns", "exec", &lab.router, "nft", "-f", "-"], &script).unwrap();
    assert_eq!(listed(&lab).into_values().collect::<Vec<_>>(), lab.plan.nft);
    assert!(packets(&lab).contains("packets 2"), "{}", packets(&lab));
}

#[test]
fn without_snat_only_floating_ips_are_translated() {
    let lab = Lab::new(&two_subnets(false));
    let Ends { with_floating, without, outside, .. } = lab.ends();
    assert_eq!(lab.source_seen(&with_floating, (OUTSIDE, 7003), &outside), ip(FLOATING));
    assert_eq!(lab.source_seen(&without, (OUTSIDE, 7003), &outside), ip("10.10.2.71"));
}

#[test]
fn each_of_several_gateways_has_its_own_address_and_floating_ips() {
    let mut host = two_subnets(true);
    host.add_gateway();
    let lab = Lab::new(&host);
    let Ends { with_floating, without, second, outside } = lab.ends();
    let beyond = lab.socket(&lab.beyond, "203.0.113.7", 7004);
    assert_eq!(lab.source_seen(&without, (OUTSIDE, 7003), &outside), ip(GATEWAY));
    assert_eq!(lab.source_seen(&without, ("203.0.113.7", 7004), &beyond), ip("203.0.113.181"));
    assert_eq!(lab.source_seen(&second, ("203.0.113.7", 7004), &beyond), ip("203.0.113.238"));
    assert_eq!(lab.source_seen(&outside, (FLOATING, 7000), &with_floating), ip(OUTSIDE));
    assert_eq!(lab.source_seen(&beyond, ("203.0.113.238", 7002), &second), ip("203.0.113.7"));
}

#[test]
fn with_ecmp_connections_leave_by_all_gateways_each_by_its_own() {
    let mut host = two_subnets(true);
    host.add_gateway();
    host.view.routers.get_mut(&id(ROUTER)).unwrap().default_route_ecmp = true;
    let lab = Lab::new(&host);
    let far = "192.0.2.7";
    // Far away, and by both ways: each end says who it is and whom it saw.
    for (namespace, gateway) in [(&lab.outside, "198.51.100.1"), (&lab.beyond, "203.0.113.1")] {
        lab.ip(namespace, &format!("addr add {gateway}/24 dev eth0"));
        lab.ip(namespace, "link set lo up");
        lab.ip(namespace, &format!("addr add {far}/32 dev lo"));
        let socket = lab.socket(namespace, far, 7000);
        std::thread::spawn(move || {
            while let Ok((_, source)) = socket.recv_from(&mut [0; 16]) {
                let _ = socket.send_to(format!("{gateway} {}", source.ip()).as_bytes(), source);
            }
        });
    }
    let mut seen = BTreeSet::new();
    for port in 7001..7065 {
        let client = lab.socket(&lab.inside, "10.10.2.71", port);
        let answer = || {
            let mut buffer = [0; 64];
            client.send_to(b"question", (far, 7000)).unwrap();
            let (length, _) = client.recv_from(&mut buffer).expect("the answer must arrive");
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        let first = answer();
        assert_eq!(answer(), first, "a connection keeps to its way");
        seen.insert(first);
    }
    let both = [format!("198.51.100.1 {GATEWAY}"), "203.0.113.1 203.0.113.181".to_owned()];
    assert_eq!(seen, both.into());
}

#[test]
fn what_comes_in_by_a_gateway_is_answered_by_it() {
    let mut host = two_subnets(true);
    host.add_gateway();
    let lab = Lab::new(&host);
    let listed = lab.run(&lab.router, "nft --json list ruleset");
    let tables = nft_rules::tables_from_json(&listed).unwrap();
    assert_eq!(tables.into_values().collect::<Vec<_>>(), lab.plan.nft, "it is read back equal");
    let (far, elsewhere) = ("192.0.2.8", "192.0.2.9");
    for (namespace, gateway, address) in [(&lab.outside, "198.51.100.1", elsewhere), (&lab.beyond, "203.0.113.1", far)]
    {
        lab.ip(namespace, &format!("addr add {gateway}/24 dev eth0"));
        lab.ip(namespace, "link set lo up");
        lab.ip(namespace, &format!("addr add {address}/32 dev lo"));
    }
    let Ends { with_floating, without, second, .. } = lab.ends();
    let by_second = lab.socket(&lab.beyond, far, 7005);
    let by_first = lab.socket(&lab.outside, elsewhere, 7006);
    // To a floating IP of the second gateway from beyond its network, and to the gateway itself.
    assert_eq!(lab.source_seen(&by_second, ("203.0.113.238", 7002), &second), ip(far));
    lab.run(&lab.beyond, &format!("ping -c 1 -W 5 -I {far} 203.0.113.181"));
    // Out: by the network that its floating IP is of, and everybody else by the first gateway.
    assert_eq!(lab.source_seen(&second, (far, 7005), &by_second), ip("203.0.113.238"));
    assert_eq!(lab.source_seen(&with_floating, (elsewhere, 7006), &by_first), ip(FLOATING));
    assert_eq!(lab.source_seen(&without, (elsewhere, 7006), &by_first), ip(GATEWAY));
    // What leads elsewhere goes there.
    assert_eq!(lab.source_seen(&second, ("10.10.2.71", 7001), &without), ip("10.30.0.5"));
}

#[test]
fn replacing_the_table_breaks_no_connection() {
    let lab = Lab::new(&two_subnets(true));
    let without = lab.socket(&lab.inside, "10.10.2.71", 7001);
    let outside = lab.socket(&lab.outside, OUTSIDE, 7003);
    let mut buffer = [0; 16];
    without.send_to(b"question", (ip(OUTSIDE), 7003)).unwrap();
    let (_, source) = outside.recv_from(&mut buffer).unwrap();
    lab.load();
    // The same outside address and port as before still lead in.
    outside.send_to(b"answer", source).unwrap();
    assert_eq!(without.recv_from(&mut buffer).unwrap().1, SocketAddr::new(ip(OUTSIDE), 7003));
}
