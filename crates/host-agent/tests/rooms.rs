//! DHCP servers and routers against the real kernel and the real Open vSwitch.
//!
//! Needs root, Open vSwitch, iproute2, ethtool, nft and conntrack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::view::{Net, add_client, add_network, add_port, id, ip, mac, serve_dhcp};
use common::{Host, Instance, on_a_host};
use dhcproto::v4::{Decodable, DhcpOption, Encodable, Flags, Message, MessageType, OptionCode};
use host_drivers::Place;
use host_view::{FloatingIp, Gateway, HostView, PortForwarding, PortState, Router, Segment};
use net_types::{FloatingIpId, MacAddr, PortForwardingId, PortId, PortRange, RouterId};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

/// Asks for an address by broadcast, as a starting instance does; none when nobody answers.
fn ask_dhcp(instance: &Instance, attempts: u32) -> Option<Message> {
    let mac = instance.mac;
    Place::named(&instance.namespace).run_blocking(move || discover(mac, attempts)).unwrap()
}

fn discover(mac: MacAddr, attempts: u32) -> Option<Message> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind_device(Some(b"eth0")).unwrap();
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68).into()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let socket = UdpSocket::from(socket);
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new(none, none, none, none, &mac.0);
    message.opts_mut().insert(DhcpOption::MessageType(MessageType::Discover));
    message.set_flags(Flags::default().set_broadcast());
    let mut buffer = [0; 2048];
    for _ in 0..attempts {
        socket.send_to(&message.to_vec().unwrap(), (Ipv4Addr::BROADCAST, 67)).unwrap();
        while let Ok(length) = socket.recv(&mut buffer) {
            let reply = Message::from_bytes(&buffer[..length]).unwrap();
            if reply.xid() == message.xid() {
                return Some(reply);
            }
        }
    }
    None
}

#[test]
fn a_network_answers_its_ports_and_nobody_else() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let mut ports: Vec<PortId> = vec![];
        let mut net = None;
        host.server.change(|view| {
            let made = add_network(view, Segment::Local, "10.0.0.0/24", Some("10.0.0.1"));
            ports.push(serve_dhcp(view, made, mac(0xd), "10.0.0.2"));
            ports.push(add_port(view, made, "compute:nova", mac(1), "10.0.0.11"));
            ports.push(add_port(view, made, "compute:nova", mac(2), "10.0.0.12"));
            add_client(view, ports[1]);
            net = Some(made);
        });
        let Net { network, .. } = net.unwrap();
        let first = host.plug(ports[1], mac(1), &[]);
        let second = host.plug(ports[2], mac(2), &[]);
        for port in &ports {
            host.server.until_up(*port).await;
        }
        let offer = ask_dhcp(&first, 10).expect("an offer");
        assert_eq!(offer.yiaddr(), Ipv4Addr::new(10, 0, 0, 11));
        assert_eq!(offer.opts().get(OptionCode::Router), Some(&DhcpOption::Router(vec![Ipv4Addr::new(10, 0, 0, 1)])));
        assert_eq!(offer.opts().get(OptionCode::InterfaceMtu), Some(&DhcpOption::InterfaceMtu(1400)));
        assert!(ask_dhcp(&second, 2).is_none(), "a port that DHCP may not answer");

        // A new port is answered without a restart of anything.
        let revision = host.server.change(|view| add_client(view, ports[2]));
        host.server.until_revision(revision).await;
        assert_eq!(ask_dhcp(&second, 10).expect("an offer").yiaddr(), Ipv4Addr::new(10, 0, 0, 12));

        // A new agent takes the namespace over as it is.
        let namespace = format!("qdhcp-{network}");
        let inode = || {
            std::fs::metadata(format!("/run/netns/{namespace}")).map(|file| std::os::unix::fs::MetadataExt::ino(&file))
        };
        let before = inode().unwrap();
        let session = host.server.seen().session;
        agent.kill().await;
        let agent = host.agent();
        host.server.until("a new session", |seen| seen.session != session).await;
        host.server.until_up(ports[0]).await;
        assert_eq!(inode().unwrap(), before);
        assert!(ask_dhcp(&first, 10).is_some());

        // Served no more: nothing of it is left.
        let revision = host.server.change(|view| {
            view.dhcp.clear();
            view.dhcp_clients.clear();
            view.ports.remove(&ports[0]);
        });
        host.server.until_revision(revision).await;
        let device = format!("tap{}", ports[0].short());
        for _ in 0..100 {
            if inode().is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(inode().is_err());
        assert!(host.switch.run(&["ip", "link", "show", &device]).is_err());
        assert!(!host.switch.vsctl(&["list-ports", "br-int"]).unwrap().contains(&device));
        assert!(ask_dhcp(&first, 1).is_none());
        agent.stop().await;
    });
}

/// A router between an inside network and a flat outside one, with the world behind the operator's bridge.
struct Routed {
    router: RouterId,
    floating: FloatingIpId,
    inside: Instance,
    inside_port: PortId,
    gateway_port: PortId,
    world: String,
}

const BRIDGE_MAPPINGS: &str = "bridge_mappings = { physnet1 = 'br-ex' }";

async fn routed(host: &Host) -> Routed {
    let world = host.switch.extra_namespace().unwrap();
    host.switch.vsctl(&["add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev"]).unwrap();
    host.switch
        .run(&[
            "sh",
            "-ec",
            &format!(
                "ip link add ex0 type veth peer name eth0 netns {world}
                 ethtool -K ex0 tx off >/dev/null; ip netns exec {world} ethtool -K eth0 tx off >/dev/null
                 sysctl -qw net.ipv6.conf.ex0.disable_ipv6=1; ip link set ex0 up
                 ip -n {world} addr add 203.0.113.1/24 dev eth0; ip -n {world} link set eth0 up"
            ),
        ])
        .unwrap();
    host.switch.vsctl(&["add-port", "br-ex", "ex0"]).unwrap();

    let (router, floating) = (id(), id());
    let (mut ports, mut inside_port) = (vec![], None);
    host.server.change(|view: &mut HostView| {
        let net = add_network(view, Segment::Local, "10.0.0.0/24", Some("10.0.0.1"));
        let flat = Segment::Flat { physical_network: "physnet1".to_owned() };
        let outside = add_network(view, flat, "203.0.113.0/24", Some("203.0.113.1"));
        inside_port = Some(add_port(view, net, "compute:nova", mac(1), "10.0.0.11"));
        let interface = add_port(view, net, "network:router_interface", mac(0xa), "10.0.0.1");
        let gateway = add_port(view, outside, "network:router_gateway", mac(0xb), "203.0.113.10");
        ports.extend([interface, gateway]);
        let value = Router {
            admin_state_up: true,
            interfaces: [interface].into(),
            gateway: Some(Gateway { port: gateway, enable_snat: true }),
            ..Router::default()
        };
        view.routers.insert(router, value);
    });
    let inside_port = inside_port.unwrap();
    let inside = host.plug(inside_port, mac(1), &["10.0.0.11/24"]);
    host.inside(&inside.namespace, "ip route add default via 10.0.0.1").unwrap();
    for port in ports.iter().chain([&inside_port]) {
        host.server.until_up(*port).await;
    }
    Routed { router, floating, inside, inside_port, gateway_port: ports[1], world }
}

/// What is answered at an address; none when there is no connection.
fn ask_metadata(namespace: &str, address: &str) -> Option<String> {
    let address: std::net::SocketAddr = address.parse().unwrap();
    let ask = move || {
        let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(4)).ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: metadata\r\n\r\n").ok()?;
        let mut said = String::new();
        stream.read_to_string(&mut said).ok()?;
        Some(said)
    };
    Place::named(namespace).run_blocking(ask).unwrap()
}

#[test]
fn a_router_translates_and_forgets() {
    on_a_host(|host| async move {
        let agent = host.agent_with(host.config(BRIDGE_MAPPINGS));
        let routed = routed(&host).await;
        assert!(host.can_ping(&routed.inside, ip("203.0.113.1")), "out, by source translation");
        // The metadata proxy hears who asks by an inside device, knows nobody yet, and is not reached by its own port.
        let said = ask_metadata(&routed.inside.namespace, "169.254.169.254:80");
        assert!(said.as_deref().is_some_and(|said| said.starts_with("HTTP/1.1 404 ")), "{said:?}");
        assert_eq!(ask_metadata(&routed.inside.namespace, "10.0.0.1:9697"), None);
        let from_world = |command: &str| host.inside(&routed.world, command);
        assert!(from_world("ping -n -c 1 -W 1 203.0.113.20").is_err());
        // As if the address had lived elsewhere before.
        from_world("ip neigh replace 203.0.113.20 lladdr 02:00:00:00:00:99 dev eth0 nud stale").unwrap();

        let revision = host.server.change(|view| {
            let value = FloatingIp { floating_address: ip("203.0.113.20"), fixed_address: ip("10.0.0.11") };
            view.routers.get_mut(&routed.router).unwrap().floating_ips.insert(routed.floating, value);
        });
        host.server.until_revision(revision).await;
        // The neighbours were told, so the world learns it without asking.
        let mut neighbours = String::new();
        for _ in 0..50 {
            neighbours = from_world("ip neigh show 203.0.113.20").unwrap();
            if neighbours.contains(&mac(0xb).to_string()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(neighbours.contains(&mac(0xb).to_string()), "{neighbours}");
        let answered = from_world("ping -n -c 5 -i 0.2 -W 1 203.0.113.20");
        assert!(answered.is_ok(), "{answered:?}");

        // A connection that is under way through a floating IP ends with it.
        let namespace = format!("qrouter-{}", routed.router);
        let tracked = || {
            let list = ["ip", "netns", "exec", &namespace, "conntrack", "-L", "--orig-dst", "203.0.113.20"];
            host.switch.run(&list).unwrap_or_default()
        };
        assert!(tracked().contains("203.0.113.20"), "{}", tracked());
        let revision = host.server.change(|view| {
            view.routers.get_mut(&routed.router).unwrap().floating_ips.clear();
        });
        host.server.until_revision(revision).await;
        assert!(!tracked().contains("203.0.113.20"), "{}", tracked());
        assert!(from_world("ping -n -c 1 -W 1 203.0.113.20").is_err());
        assert!(host.can_ping(&routed.inside, ip("203.0.113.1")));

        // A connection through a forwarded port ends when the port leads elsewhere; another one of the same address stays.
        let forwarding = |external: u16, internal: u16| PortForwarding {
            floating_ip: routed.floating,
            floating_address: ip("203.0.113.22"),
            protocol: "udp".to_owned(),
            external: PortRange::new(external, external).unwrap(),
            internal_address: ip("10.0.0.11"),
            internal: PortRange::new(internal, internal).unwrap(),
        };
        let (one, two): (PortForwardingId, PortForwardingId) = (id(), id());
        let forward = |which: PortForwardingId, value: PortForwarding| {
            host.server.change(move |view| {
                view.routers.get_mut(&routed.router).unwrap().port_forwardings.insert(which, value);
            })
        };
        forward(one, forwarding(8001, 7001));
        host.server.until_revision(forward(two, forwarding(8002, 7002))).await;
        let ask = |port: u16| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"question", (ip("203.0.113.22"), port)).unwrap();
        };
        Place::named(&routed.world).run_blocking(move || [8001, 8002].map(ask)).unwrap();
        let tracked = || {
            let list = ["ip", "netns", "exec", &namespace, "conntrack", "-L", "--orig-dst", "203.0.113.22"];
            host.switch.run(&list).unwrap_or_default()
        };
        let mut seen = String::new();
        for _ in 0..50 {
            seen = tracked();
            if seen.contains("sport=7001") && seen.contains("sport=7002") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(seen.contains("sport=7001") && seen.contains("sport=7002"), "{seen}");
        host.server.until_revision(forward(one, forwarding(8001, 7003))).await;
        assert!(!tracked().contains("sport=7001") && tracked().contains("sport=7002"), "{}", tracked());
        let revision = host.server.change(|view| {
            view.routers.get_mut(&routed.router).unwrap().port_forwardings.clear();
        });
        host.server.until_revision(revision).await;
        assert!(!tracked().contains("sport=7002"), "{}", tracked());

        // What somebody removes by hand comes back.
        let inside =
            |command: &str| host.switch.run(&["ip", "netns", "exec", &namespace, "sh", "-ec", command]).unwrap();
        inside("nft delete table ip neutronium; ip route del default");
        let mut mended = false;
        for _ in 0..20 {
            mended = host.can_ping(&routed.inside, ip("203.0.113.1"));
            if mended {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(mended, "{}", inside("ip addr; ip route; nft list ruleset"));

        // The agent goes and another comes: a ping through the router loses nothing, and a floating IP that was taken away
        // meanwhile is forgotten, too.
        let revision = host.server.change(|view| {
            let value = FloatingIp { floating_address: ip("203.0.113.21"), fixed_address: ip("10.0.0.11") };
            view.routers.get_mut(&routed.router).unwrap().floating_ips.insert(routed.floating, value);
        });
        host.server.until_revision(revision).await;
        assert!(from_world("ping -n -c 2 -i 0.2 -W 1 203.0.113.21").is_ok());
        let place = Place::named(&routed.inside.namespace);
        let ping = tokio::task::spawn_blocking(move || {
            place
                .run_blocking(|| {
                    let command = ["-n", "-c", "40", "-i", "0.05", "-W", "1", "203.0.113.1"];
                    std::process::Command::new("ping").args(command).output().unwrap()
                })
                .unwrap()
        });
        agent.kill().await;
        let revision = host.server.change(|view| {
            view.routers.get_mut(&routed.router).unwrap().floating_ips.clear();
        });
        let agent = host.agent_with(host.config(BRIDGE_MAPPINGS));
        host.server.until_revision(revision).await;
        let output = String::from_utf8(ping.await.unwrap().stdout).unwrap();
        assert!(output.contains(" 0% packet loss"), "{output}");
        let list = ["ip", "netns", "exec", &namespace, "conntrack", "-L", "--orig-dst", "203.0.113.21"];
        assert!(!host.switch.run(&list).unwrap_or_default().contains("203.0.113.21"));

        // The router goes: so does all that was made for it, and nothing else.
        let revision = host.server.change(|view| {
            view.routers.clear();
            let router_port = |owner: &str| owner.starts_with("network:router");
            view.ports.retain(|_, port| !router_port(&port.device_owner));
        });
        host.server.until_revision(revision).await;
        for _ in 0..100 {
            if !std::path::Path::new("/run/netns").join(&namespace).exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!std::path::Path::new("/run/netns").join(&namespace).exists());
        let ports = host.switch.vsctl(&["list-ports", "br-int"]).unwrap();
        assert!(!ports.contains("qg-") && !ports.contains("qr-"), "{ports}");
        assert_eq!(host.server.seen().ports[&routed.inside_port], PortState::Up);
        assert!(host.switch.vsctl(&["list-ports", "br-ex"]).unwrap().contains("ex0"));
        assert_ne!(routed.gateway_port, routed.inside_port);
        agent.stop().await;
    });
}

#[test]
fn a_namespace_that_cannot_be_made_holds_up_nobody() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let mut view = HostView::default();
        let blocked = add_network(&mut view, Segment::Local, "10.0.0.0/24", None);
        let free = add_network(&mut view, Segment::Local, "10.0.1.0/24", None);
        let first = serve_dhcp(&mut view, blocked, mac(1), "10.0.0.2");
        let second = serve_dhcp(&mut view, free, mac(2), "10.0.1.2");
        let obstacle = format!("/run/netns/qdhcp-{}", blocked.network);
        std::fs::create_dir_all(&obstacle).unwrap();

        let revision = host.server.change(|shown| *shown = view);
        host.server.until_up(second).await;
        let is_failed =
            |state: Option<&PortState>| matches!(state, Some(PortState::Failed { reason }) if reason.contains("qdhcp"));
        let seen = host.server.until("the reason", |seen| is_failed(seen.ports.get(&first))).await;
        assert!(seen.errors.iter().any(|error| error.contains(&blocked.network.to_string())), "{:?}", seen.errors);
        host.server.until_revision(revision).await;

        std::fs::remove_dir(&obstacle).unwrap();
        let seen = host.server.until_up(first).await;
        assert_eq!(seen.ports[&second], PortState::Up);
        host.server.until("no errors", |seen| seen.errors.is_empty()).await;
        agent.stop().await;
    });
}
