//! What becomes of real connections when rules come and go: what is still allowed notices nothing, all else ends, also
//! when only answers still flow, and what is allowed again goes on.
//!
//! Needs root, Open vSwitch, iproute2 and ethtool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::view::{Net, add_network, add_port, id, ip, mac};
use common::{Host, Instance, on_a_host, until};
use host_drivers::Place;
use host_view::{Direction, EtherType, HostView, Remote, RuleMatch, SecurityGroup, SecurityGroupRule, Segment};
use net_types::{PortId, PortRange, SecurityGroupId, SecurityGroupRuleId};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// Long enough for anything that arrives at all.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long something that must not arrive is waited for.
const SILENCE: Duration = Duration::from_millis(700);

fn ports(direction: Direction, protocol: u8, port: u16) -> SecurityGroupRule {
    SecurityGroupRule {
        direction,
        ethertype: EtherType::IPv4,
        protocol: Some(protocol),
        matching: RuleMatch::Ports(PortRange::new(port, port).unwrap()),
        remote: Remote::Any,
    }
}

/// A port in a group of its own with these rules, and nothing else.
fn add_grouped(
    view: &mut HostView,
    net: Net,
    last: u8,
    rules: &[(SecurityGroupRuleId, SecurityGroupRule)],
) -> (PortId, SecurityGroupId) {
    let port = add_port(view, net, "compute:nova", mac(last), &format!("10.0.0.{last}"));
    let group: SecurityGroupId = id();
    view.security_groups.insert(group, SecurityGroup { stateful: true, rules: rules.iter().cloned().collect() });
    let value = view.ports.get_mut(&port).unwrap();
    value.port_security = true;
    value.security_groups.insert(group);
    (port, group)
}

/// A server 10.0.0.1 in a group, and a client 10.0.0.2 that may do anything.
struct Pair {
    server: Instance,
    client: Instance,
    client_port: PortId,
    group: SecurityGroupId,
}

/// A pair that is plugged, the server in a group with these rules.
async fn pair(host: &Host, rules: &[(SecurityGroupRuleId, SecurityGroupRule)]) -> Pair {
    let mut made = None;
    host.server.change(|view| {
        let net = add_network(view, Segment::Local, "10.0.0.0/24", None);
        let (server, group) = add_grouped(view, net, 1, rules);
        made = Some((server, add_port(view, net, "compute:nova", mac(2), "10.0.0.2"), group));
    });
    let (server_port, client_port, group) = made.unwrap();
    let server = host.plug(server_port, mac(1), &["10.0.0.1/24"]);
    let client = host.plug(client_port, mac(2), &["10.0.0.2/24"]);
    host.server.until_up(server_port).await;
    host.server.until_up(client_port).await;
    Pair { server, client, client_port, group }
}

fn at<T: Send + 'static>(instance: &Instance, work: impl FnOnce() -> T + Send + 'static) -> T {
    Place::named(&instance.namespace).run_blocking(work).unwrap()
}

fn udp(instance: &Instance, address: &str) -> UdpSocket {
    let address = address.to_owned();
    let socket = at(instance, move || UdpSocket::bind(address)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Tracked connections to this port of UDP or TCP.
fn tracked(host: &Host, port: u16) -> usize {
    let text = host.switch.appctl(&["dpctl/dump-conntrack"]).unwrap();
    let original = |line: &str| line.split("reply=").next().unwrap_or("").contains(&format!("dport={port})"));
    text.lines().filter(|line| original(line)).count()
}

#[test]
fn answers_alone_do_not_keep_a_connection_alive() {
    on_a_host(|host| async move {
        let _agent = host.agent();
        let (gone, stays): (SecurityGroupRuleId, SecurityGroupRuleId) = (id(), id());
        let rules = [(gone, ports(Direction::Ingress, 17, 5000)), (stays, ports(Direction::Ingress, 17, 5001))];
        let Pair { server: a, client: b, client_port, group } = pair(&host, &rules).await;

        let mut buffer = [0; 16];
        let mut streams = vec![];
        for port in [5000u16, 5001] {
            let (server, client) = (udp(&a, &format!("10.0.0.1:{port}")), udp(&b, "10.0.0.2:0"));
            client.connect(("10.0.0.1", port)).unwrap();
            client.send(b"question").unwrap();
            let (_, asker) = server.recv_from(&mut buffer).unwrap();
            for _ in 0..3 {
                server.send_to(b"answer", asker).unwrap();
                client.recv(&mut buffer).unwrap();
            }
            streams.push((server, client, asker));
        }
        assert_eq!((tracked(&host, 5000), tracked(&host, 5001)), (1, 1));
        explained(&host, client_port, &a, gone).await;

        host.server.change(|view| {
            view.security_groups.get_mut(&group).unwrap().rules.remove(&gone);
        });
        until("the connection is forgotten", || tracked(&host, 5000) == 0).await;
        // Nobody asked again: only answers were on their way, and no rule allows them by themselves.
        let (server, client, asker) = &streams[0];
        server.send_to(b"answer", asker).unwrap();
        client.set_read_timeout(Some(SILENCE)).unwrap();
        assert!(client.recv(&mut buffer).is_err(), "the answer of a connection that is no longer allowed");
        assert_eq!(tracked(&host, 5000), 0);
        // The other one was not touched: its answers still need nobody's question.
        let (server, client, asker) = &streams[1];
        server.send_to(b"answer", asker).unwrap();
        client.recv(&mut buffer).expect("a connection that is still allowed");
        assert_eq!(tracked(&host, 5001), 1);

        // A port that loses its group loses what the group allowed.
        host.server.change(|view| view.ports.get_mut(&server_port(view, "10.0.0.1")).unwrap().security_groups.clear());
        until("all its connections are forgotten", || tracked(&host, 5001) == 0).await;
    });
}

/// What the agent has kept explains a packet's way, and names the rule.
async fn explained(host: &Host, from: PortId, to: &Instance, rule: SecurityGroupRuleId) {
    let config = host.config("");
    let mut known = host_agent::known_host(&config, host_agent::ViewFrom::Kept).await.unwrap();
    while known.view.ports.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        known = host_agent::known_host(&config, host_agent::ViewFrom::Kept).await.unwrap();
    }
    let question = packet_trace::Question { from, protocol: 17, to: ip("10.0.0.1"), port: 5000 };
    let packet = question.packet(&known.view).unwrap();
    let switch = packet_trace::Switch::new(&known.plan, &known.state);
    let device = format!("tap{}", from.short());
    let trace = switch.send("br-int", &device, &packet, &mut packet_trace::Tracker::default());
    assert!(trace.reaches(&to.device), "{trace}");
    assert_eq!(packet_trace::rules_met(&trace, &known.rules), [[rule].into()], "{trace}");
}

/// Who asks a local IP all the time is answered by the port that it leads to, not by the one that it led to.
#[test]
fn a_local_ip_that_leads_elsewhere_takes_its_connections_along() {
    on_a_host(|host| async move {
        let _agent = host.agent();
        let Pair { server: a, client: b, client_port, .. } = pair(&host, &[]).await;
        let mut third = None;
        host.server.change(|view| {
            let net = Net { network: view.ports[&client_port].network, subnet: *view.subnets.keys().next().unwrap() };
            third = Some(add_port(view, net, "compute:nova", mac(3), "10.0.0.3"));
            let server = server_port(view, "10.0.0.1");
            view.ports.get_mut(&server).unwrap().port_security = false;
        });
        let third = third.unwrap();
        let c = host.plug(third, mac(3), &["10.0.0.3/24"]);
        host.server.until_up(third).await;
        let lead = |address: &'static str| {
            host.server.change(|view| {
                let ports = [(server_port(view, address), ip(address))].into();
                let mode = host_view::LocalIpMode::Translate;
                let local_ip = host_view::LocalIp { address: ip("10.0.0.100"), mode, ports };
                view.local_ips.insert(uuid::Uuid::from_u128(1), local_ip);
            });
        };
        let client = udp(&b, "10.0.0.2:5000");
        client.set_read_timeout(Some(SILENCE)).unwrap();
        client.connect("10.0.0.100:5001").unwrap();
        for (instance, address) in [(&a, "10.0.0.1"), (&c, "10.0.0.3"), (&a, "10.0.0.1")] {
            lead(address);
            let server = udp(instance, &format!("{address}:5001"));
            server.set_nonblocking(true).unwrap();
            let mut buffer = [0; 8];
            until("it answers", || {
                client.send(b"question").is_ok()
                    && (0..20).any(|_| {
                        std::thread::sleep(Duration::from_millis(5));
                        server.recv_from(&mut [0; 8]).is_ok_and(|(_, asker)| server.send_to(b"answer", asker).is_ok())
                    })
                    && client.recv(&mut [0; 8]).is_ok()
            })
            .await;
            // Later questions, too.
            client.send(b"question").unwrap();
            until("once more", || server.recv_from(&mut [0; 8]).is_ok()).await;
            while client.set_nonblocking(true).is_ok() && client.recv(&mut buffer).is_ok() {}
            client.set_nonblocking(false).unwrap();
        }
        host.server.change(|view| view.local_ips.clear());
        until("nothing of it is left", || {
            !host.flows("br-int").contains("10.0.0.100")
                && !host.switch.appctl(&["dpctl/dump-conntrack"]).unwrap().contains("dst=10.0.0.100")
        })
        .await;
    });
}

fn server_port(view: &HostView, address: &str) -> PortId {
    let found = view.ports.iter().find(|(_, port)| port.fixed_ips.iter().any(|fixed| fixed.address == ip(address)));
    *found.unwrap().0
}

/// Whether what is written on one side is read on the other.
fn passes(from: &mut TcpStream, to: &mut TcpStream, wait: Duration) -> bool {
    to.set_read_timeout(Some(wait)).unwrap();
    from.write_all(b"x").unwrap();
    to.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_connection_ends_with_its_rule_and_goes_on_with_it() {
    on_a_host(|host| async move {
        let _agent = host.agent();
        let rule: SecurityGroupRuleId = id();
        // Outwards everything: an answer would be allowed by itself, so the connection may not simply be forgotten.
        let out = SecurityGroupRule { protocol: None, matching: RuleMatch::Any, ..ports(Direction::Egress, 6, 1) };
        let rules = [(rule, ports(Direction::Ingress, 6, 22)), (id(), out)];
        let Pair { server: a, client: b, group, .. } = pair(&host, &rules).await;

        let listener = at(&a, || TcpListener::bind("10.0.0.1:22")).unwrap();
        let mut client = at(&b, || TcpStream::connect_timeout(&"10.0.0.1:22".parse().unwrap(), PATIENCE)).unwrap();
        let mut server = listener.accept().unwrap().0;
        assert!(passes(&mut client, &mut server, PATIENCE) && passes(&mut server, &mut client, PATIENCE));

        let kept = std::sync::Mutex::new(None);
        host.server.change(|view| {
            *kept.lock().unwrap() = view.security_groups.get_mut(&group).unwrap().rules.remove(&rule);
        });
        until("the rule is gone from the switch", || !host.flows("br-int").contains("tp_dst=22")).await;
        assert!(!passes(&mut client, &mut server, SILENCE), "no rule allows it any more");
        assert!(!passes(&mut server, &mut client, SILENCE), "nor answers");
        let marked = || host.switch.appctl(&["dpctl/dump-conntrack"]).unwrap().contains("mark=1");
        until("the connection is marked", marked).await;

        host.server.change(|view| {
            let rule_value = kept.lock().unwrap().take().unwrap();
            view.security_groups.get_mut(&group).unwrap().rules.insert(rule, rule_value);
        });
        // What was written meanwhile is repeated by TCP and arrives; the connection is as it was.
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        server.read_exact(&mut [0]).expect("what the client wrote in vain arrives");
        client.read_exact(&mut [0]).expect("what the server wrote in vain arrives");
        assert!(passes(&mut client, &mut server, PATIENCE) && passes(&mut server, &mut client, PATIENCE));
    });
}
