//! Plans under real packets: instances in namespaces on a real Open vSwitch talk, or do not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_drivers::Place;
use host_drivers::testing::with_room_for_bursts;
use host_view::Remote;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use support::real::RealHost;
use support::*;

/// Long enough for anything that arrives at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long something that must not arrive is waited for.
const SILENCE: Duration = Duration::from_millis(700);

/// Port id, network, its address, its group (none: without port security).
const INSTANCES: [(&str, &str, &str, Option<&str>); 5] = [
    ("a1", "1", "10.0.0.1", Some(WEB)),
    ("a2", "1", "10.0.0.2", Some(WEB)),
    ("a3", "1", "10.0.0.3", None),
    // Another network, the same addresses.
    ("b1", "2", "10.0.0.1", Some(WEB)),
    ("b3", "2", "10.0.0.3", None),
];

struct Lab {
    real: RealHost,
    /// Namespace by port.
    namespaces: std::collections::BTreeMap<&'static str, String>,
}

fn mac_of(port: &str) -> String {
    format!("fa:16:3e:00:00:{port}")
}

impl Lab {
    fn new() -> Self {
        let mut host = Host::empty();
        for network in ["1", "2"] {
            host.network(network, host_view::Segment::Local, 1500);
            host.subnet(&format!("5{network}"), network, "10.0.0.0/24", None);
        }
        host.view.security_groups.insert(id(WEB), group([tcp(22, 22, Remote::Any), tcp(80, 80, Remote::Any)]));
        for (port, network, address, group) in INSTANCES {
            let new = NewPort::new(port, network, &mac_of(port), &[(&format!("5{network}"), address)]);
            host.plug(match group {
                Some(group) => new.group(group),
                None => new.unsecured(),
            });
        }
        let real = RealHost::new(&host);
        let mut namespaces = std::collections::BTreeMap::new();
        for (port, _, address, _) in INSTANCES {
            let namespace = real.switch.extra_namespace().unwrap();
            let device = host_plan::names::tap(id(port));
            real.switch.run(&["ip", "link", "set", &device, "netns", &namespace]).unwrap();
            let inside = |command: &str| {
                real.switch.run_at(&namespace, &command.split(' ').collect::<Vec<_>>()).unwrap();
            };
            inside(&format!("ip link set {device} address {}", mac_of(port)));
            inside(&format!("ip addr add {address}/24 dev {device}"));
            inside(&format!("ip link set {device} up"));
            namespaces.insert(port, namespace);
        }
        Self { real, namespaces }
    }

    fn inside<T: Send + 'static>(&self, port: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
        Place::named(&self.namespaces[port]).run_blocking(work).unwrap()
    }

    fn listen(&self, port: &str, number: u16) -> TcpListener {
        self.inside(port, move || TcpListener::bind(("0.0.0.0", number))).unwrap()
    }

    /// None: nobody answers.
    fn connect(&self, port: &str, to: &str, number: u16, wait: Duration) -> Option<TcpStream> {
        let to = SocketAddr::new(ip(to), number);
        self.inside(port, move || TcpStream::connect_timeout(&to, wait)).ok()
    }

    fn udp(&self, port: &str, number: u16) -> UdpSocket {
        with_room_for_bursts(self.inside(port, move || UdpSocket::bind(("0.0.0.0", number))).unwrap()).unwrap()
    }
}

/// Whether what is written on one side is read on the other.
fn passes(from: &mut TcpStream, to: &mut TcpStream, wait: Duration) -> bool {
    to.set_read_timeout(Some(wait)).unwrap();
    from.write_all(b"x").unwrap();
    to.read_exact(&mut [0]).is_ok()
}

#[test]
fn groups_hold_for_real_connections() {
    let mut lab = Lab::new();
    let (ssh, other, web) = (lab.listen("a1", 22), lab.listen("a1", 23), lab.listen("a1", 80));
    let mut client = lab.connect("a3", "10.0.0.1", 22, PATIENCE).expect("port 22 is allowed");
    let mut server = ssh.accept().unwrap().0;
    assert!(passes(&mut client, &mut server, PATIENCE) && passes(&mut server, &mut client, PATIENCE));
    let mut web_client = lab.connect("a2", "10.0.0.1", 80, PATIENCE).expect("from a secured port, too");
    let mut web_server = web.accept().unwrap().0;
    assert!(passes(&mut web_client, &mut web_server, PATIENCE));
    assert!(lab.connect("a3", "10.0.0.1", 23, SILENCE).is_none(), "port 23 is not allowed");

    // The rule goes: its connections end in both directions, others do not notice.
    let group = lab.real.host.view.security_groups.get_mut(&id(WEB)).unwrap();
    group.rules.retain(|_, rule| rule.matching != tcp(22, 22, Remote::Any).matching);
    lab.real.settle();
    assert!(!passes(&mut client, &mut server, SILENCE), "no rule allows it any more");
    assert!(!passes(&mut server, &mut client, SILENCE), "nor answers");
    assert!(passes(&mut web_client, &mut web_server, PATIENCE) && passes(&mut web_server, &mut web_client, PATIENCE));
    drop(other);
}

#[test]
fn answers_come_back_and_forged_sources_do_not_leave() {
    let lab = Lab::new();
    let (secured, open) = (lab.udp("a1", 5000), lab.udp("a3", 5001));
    for socket in [&secured, &open] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    // Outwards everything is allowed, and the answer to it; unasked, nothing comes in.
    let mut buffer = [0; 8];
    secured.send_to(b"question", ("10.0.0.3", 5001)).unwrap();
    let (_, asker) = open.recv_from(&mut buffer).unwrap();
    open.send_to(b"answer", asker).unwrap();
    assert_eq!(secured.recv_from(&mut buffer).unwrap().1, "10.0.0.3:5001".parse().unwrap());
    let stranger = lab.udp("a3", 5002);
    stranger.send_to(b"unasked", ("10.0.0.1", 5000)).unwrap();
    secured.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(secured.recv_from(&mut buffer).is_err());

    // An address that is not the port's own.
    let device = host_plan::names::tap(id("a1"));
    let add = ["ip", "addr", "add", "10.0.0.99/24", "dev", &device];
    lab.real.switch.run_at(&lab.namespaces["a1"], &add).unwrap();
    let forged = lab.inside("a1", || UdpSocket::bind("10.0.0.99:5003")).unwrap();
    forged.send_to(b"forged", ("10.0.0.3", 5001)).unwrap();
    open.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(open.recv_from(&mut buffer).is_err());
}

/// How many of 200 packets of a kilobyte arrive.
fn arrived(from: &UdpSocket, to: &UdpSocket, address: SocketAddr) -> usize {
    for _ in 0..200 {
        // Slowly enough for the switch, and far faster than any limit here.
        from.send_to(&[7; 1000], address).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    to.set_read_timeout(Some(SILENCE)).unwrap();
    let mut buffer = [0; 1500];
    std::iter::from_fn(|| to.recv_from(&mut buffer).ok()).count()
}

/// Of a burst far beyond a limit a few packets arrive, of one without limit nearly all.
#[test]
fn limits_hold_in_both_directions() {
    use host_view::{Limit, Limits, PortQos};
    let mut lab = Lab::new();
    let packets = Limits { packets: Some(Limit { rate: 2, burst: 20 }), bandwidth: None };
    let bandwidth = Limits { bandwidth: Some(Limit { rate: 16, burst: 200 }), packets: None };
    let both = [("a2", packets, Limits::default()), ("a1", Limits::default(), packets), ("b3", bandwidth, bandwidth)];
    for (port, egress, ingress) in both {
        lab.real.host.view.qos.insert(id(port), PortQos { egress, ingress, dscp: None });
    }
    lab.real.settle();
    let (secured, limited, open) = (lab.udp("a1", 7000), lab.udp("a2", 7000), lab.udp("a3", 7000));
    let to = |text: &str| SocketAddr::new(ip(text), 7000);
    let few = |count: usize, what: &str| assert!((3..100).contains(&count), "{what}: {count}");
    let free = arrived(&secured, &open, to("10.0.0.3"));
    assert!(free > 150, "without a limit: {free}");
    few(arrived(&limited, &open, to("10.0.0.3")), "packets from a secured port");
    // Its group lets answers in only: it has asked before.
    few(arrived(&open, &secured, to("10.0.0.1")), "packets to a secured port");
    let (b1, b3) = (lab.udp("b1", 7000), lab.udp("b3", 7000));
    few(arrived(&b1, &b3, to("10.0.0.3")), "bandwidth to a port without security");
    few(arrived(&b3, &b1, to("10.0.0.1")), "bandwidth from a port without security, as answers");
}

/// The mark is put on what the port sends, not on what it gets.
#[test]
fn marks_are_set() {
    let mut lab = Lab::new();
    let qos = host_view::PortQos { dscp: Some(26), ..host_view::PortQos::default() };
    lab.real.host.view.qos.insert(id("a3"), qos);
    lab.real.settle();
    let packet = |from: &str, to: &str| {
        let (source, target) = (format!("10.0.0.{}", &from[1..]), format!("10.0.0.{}", &to[1..]));
        format!("udp,dl_src={},dl_dst={},nw_src={source},nw_dst={target},nw_ttl=64", mac_of(from), mac_of(to))
    };
    let tap = |port: &str| host_plan::names::tap(id(port));
    let states = &["trk,est,rpl", "trk,est,rpl"];
    let marked = lab.real.trace(&tap("a3"), &packet("a3", "a1"), states);
    assert!(marked.only(&tap("a1")) && marked.trace.contains("tos=0x68"), "{}", marked.trace);
    let other = lab.real.trace(&tap("a1"), &packet("a1", "a3"), states);
    assert!(other.only(&tap("a3")) && !other.trace.contains("tos=0x68"), "{}", other.trace);
}

/// Leads a local IP to a port of the first network.
fn lead(lab: &mut Lab, number: u128, address: &str, port: &str) {
    let fixed = ip(&format!("10.0.0.{}", &port[1..]));
    let (mode, ports) = (host_view::LocalIpMode::Translate, [(id(port), fixed)].into());
    let local_ip = host_view::LocalIp { address: ip(address), mode, ports };
    lab.real.host.view.local_ips.insert(uuid::Uuid::from_u128(number), local_ip);
    lab.real.settle();
}

#[test]
fn a_local_ip_leads_to_a_port_of_the_host() {
    let mut lab = Lab::new();
    let other_network = lab.listen("b1", 22);
    let (ssh, web, other) = (lab.listen("a1", 22), lab.listen("a1", 80), lab.listen("a1", 23));
    assert!(lab.connect("a3", "10.0.0.100", 22, SILENCE).is_none(), "nobody has that address");
    lead(&mut lab, 1, "10.0.0.100", "a1");
    // From a port without rules and from one with; the server sees who asks, the client whom it has asked.
    for (from, number, listener) in [("a3", 22, &ssh), ("a2", 80, &web)] {
        let mut client = lab.connect(from, "10.0.0.100", number, PATIENCE).expect(from);
        let (mut server, asker) = listener.accept().unwrap();
        assert_eq!(asker.ip(), ip(&format!("10.0.0.{}", &from[1..])));
        assert_eq!(client.peer_addr().unwrap().ip(), ip("10.0.0.100"));
        assert!(passes(&mut client, &mut server, PATIENCE) && passes(&mut server, &mut client, PATIENCE));
        // Its own address goes on as before.
        let mut direct = lab.connect(from, "10.0.0.1", number, PATIENCE).expect(from);
        assert!(passes(&mut direct, &mut listener.accept().unwrap().0, PATIENCE));
    }
    assert!(lab.connect("a3", "10.0.0.100", 23, SILENCE).is_none(), "its rules hold");
    assert!(lab.connect("a1", "10.0.0.100", 22, SILENCE).is_none(), "it means whoever has the address, who is nobody");
    assert!(lab.connect("b3", "10.0.0.100", 22, SILENCE).is_none(), "another network");
    drop((other, other_network));

    // To a port without rules, asked by one with: answers are let in, and bear the address that was asked.
    lead(&mut lab, 2, "10.0.0.101", "a3");
    let (asker, answerer) = (lab.udp("a1", 6100), lab.udp("a3", 6101));
    asker.set_read_timeout(Some(PATIENCE)).unwrap();
    answerer.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 8];
    for _ in 0..3 {
        asker.send_to(b"question", ("10.0.0.101", 6101)).unwrap();
        let (_, from) = answerer.recv_from(&mut buffer).unwrap();
        assert_eq!(from, "10.0.0.1:6100".parse().unwrap());
        answerer.send_to(b"answer", from).unwrap();
        assert_eq!(asker.recv_from(&mut buffer).unwrap().1, "10.0.0.101:6101".parse().unwrap());
    }

    // Who forges a source makes no entry in another's name.
    let device = host_plan::names::tap(id("a2"));
    let add = ["ip", "addr", "add", "10.0.0.99/24", "dev", &device];
    lab.real.switch.run_at(&lab.namespaces["a2"], &add).unwrap();
    let forged = lab.inside("a2", || UdpSocket::bind("10.0.0.99:6102")).unwrap();
    forged.send_to(b"forged", ("10.0.0.101", 6101)).unwrap();
    answerer.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(answerer.recv_from(&mut buffer).is_err());
    let tracked = lab.real.switch.appctl(&["dpctl/dump-conntrack"]).unwrap();
    assert!(tracked.contains("dst=10.0.0.101") && !tracked.contains("10.0.0.99"), "{tracked}");

    lab.real.host.view.local_ips.clear();
    lab.real.settle();
    assert!(lab.connect("a3", "10.0.0.100", 22, SILENCE).is_none(), "it leads nowhere");
    assert!(lab.connect("a3", "10.0.0.1", 22, PATIENCE).is_some());
}

#[test]
fn the_same_addresses_at_the_same_time_on_two_networks() {
    let lab = Lab::new();
    // Addresses and ports are the same, all five of the tuple: only the conntrack zones differ.
    let askers = ["a1", "b1"].map(|port| lab.udp(port, 6000));
    let answerers = ["a3", "b3"].map(|port| lab.udp(port, 6001));
    for socket in askers.iter().chain(&answerers) {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let mut buffer = [0; 1];
    for round in 0..3 {
        for (socket, word) in askers.iter().zip([b"a", b"b"]) {
            socket.send_to(word, ("10.0.0.3", 6001)).unwrap();
        }
        for (socket, word) in answerers.iter().zip([b"a", b"b"]) {
            let (_, asker) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer, word, "round {round}");
            socket.send_to(&buffer, asker).unwrap();
        }
        for (socket, word) in askers.iter().zip([b"a", b"b"]) {
            socket.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer, word, "round {round}");
        }
    }
}
