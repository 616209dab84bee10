//! A router's plan in real namespaces: its packet filter is accepted and read back equal, and every kind of connection gets
//! the addresses that it should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_drivers::Place;
use host_drivers::testing::PrivateSwitch;
use host_plan::{Namespace, names};
use host_view::PortForwarding;
use net_types::PortRange;
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
                self.ip(&self.router, &format!("addr add {address} dev {name}"));
            }
        }
        for route in &self.plan.routes {
            let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
            self.ip(&self.router, &format!("route replace {}{via} dev {}", route.destination, route.device));
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

    fn socket(&self, namespace: &str, address: &str, port: u16) -> UdpSocket {
        let address = SocketAddr::new(ip(address), port);
        let socket = Place::named(namespace).run_blocking(move || UdpSocket::bind(address)).unwrap().unwrap();
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
    let with_floating = lab.socket(&lab.inside, "10.10.2.144", 7000);
    let without = lab.socket(&lab.inside, "10.10.2.71", 7001);
    let second = lab.socket(&lab.second, "10.30.0.5", 7002);
    let outside = lab.socket(&lab.outside, OUTSIDE, 7003);
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
    let with_floating = lab.socket(&lab.inside, "10.10.2.144", 7000);
    let first = lab.socket(&lab.inside, "10.10.2.71", 7001);
    let second = lab.socket(&lab.second, "10.30.0.5", 7002);
    let outside = lab.socket(&lab.outside, OUTSIDE, 7003);
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

#[test]
fn without_snat_only_floating_ips_are_translated() {
    let lab = Lab::new(&two_subnets(false));
    let with_floating = lab.socket(&lab.inside, "10.10.2.144", 7000);
    let without = lab.socket(&lab.inside, "10.10.2.71", 7001);
    let outside = lab.socket(&lab.outside, OUTSIDE, 7003);
    assert_eq!(lab.source_seen(&with_floating, (OUTSIDE, 7003), &outside), ip(FLOATING));
    assert_eq!(lab.source_seen(&without, (OUTSIDE, 7003), &outside), ip("10.10.2.71"));
}

#[test]
fn each_of_several_gateways_has_its_own_address_and_floating_ips() {
    let mut host = two_subnets(true);
    host.add_gateway();
    let lab = Lab::new(&host);
    let with_floating = lab.socket(&lab.inside, "10.10.2.144", 7000);
    let without = lab.socket(&lab.inside, "10.10.2.71", 7001);
    let second = lab.socket(&lab.second, "10.30.0.5", 7002);
    let outside = lab.socket(&lab.outside, OUTSIDE, 7003);
    let beyond = lab.socket(&lab.beyond, "203.0.113.7", 7004);
    assert_eq!(lab.source_seen(&without, (OUTSIDE, 7003), &outside), ip(GATEWAY));
    assert_eq!(lab.source_seen(&without, ("203.0.113.7", 7004), &beyond), ip("203.0.113.181"));
    assert_eq!(lab.source_seen(&second, ("203.0.113.7", 7004), &beyond), ip("203.0.113.238"));
    assert_eq!(lab.source_seen(&outside, (FLOATING, 7000), &with_floating), ip(OUTSIDE));
    assert_eq!(lab.source_seen(&beyond, ("203.0.113.238", 7002), &second), ip("203.0.113.7"));
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
