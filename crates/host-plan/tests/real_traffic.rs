//! Plans under real packets: instances in namespaces on a real Open vSwitch talk, or do not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in helpers of tests, too

mod support;

use host_drivers::Place;
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
        self.inside(port, move || UdpSocket::bind(("0.0.0.0", number))).unwrap()
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
