//! What security groups accept and refuse is written down where a log asks for it, and no faster than allowed.
//!
//! Needs root, Open vSwitch, iproute2 and ethtool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::view::{add_network, add_port, id, mac};
use common::{Host, Instance, on_a_host, until};
use host_drivers::Place;
use host_view::{
    Direction, EtherType, HostView, Log, LogEvent, Remote, RuleMatch, SecurityGroup, SecurityGroupRule, Segment,
};
use net_types::{PortId, PortRange, SecurityGroupId};
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

fn udp_in(port: u16) -> SecurityGroupRule {
    SecurityGroupRule {
        direction: Direction::Ingress,
        ethertype: EtherType::IPv4,
        protocol: Some(17),
        matching: RuleMatch::Ports(PortRange::new(port, port).unwrap()),
        remote: Remote::Any,
    }
}

fn out() -> SecurityGroupRule {
    SecurityGroupRule { direction: Direction::Egress, protocol: None, matching: RuleMatch::Any, ..udp_in(1) }
}

fn add_group(view: &mut HostView, port: PortId, rules: &[SecurityGroupRule]) -> SecurityGroupId {
    let group: SecurityGroupId = id();
    let rules = rules.iter().map(|rule| (id(), rule.clone())).collect();
    view.security_groups.insert(group, SecurityGroup { stateful: true, rules });
    let port = view.ports.get_mut(&port).unwrap();
    port.port_security = true;
    port.security_groups.insert(group);
    group
}

fn socket(instance: &Instance, address: &'static str) -> UdpSocket {
    Place::named(&instance.namespace).run_blocking(move || UdpSocket::bind(address)).unwrap().unwrap()
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn put(host: &Host, number: u128, event: LogEvent, group: Option<SecurityGroupId>, port: PortId) {
    let log = Log { project: "the-project".into(), event, group, ports: [port].into() };
    host.server.change(|view| drop(view.logs.insert(Uuid::from_u128(number), log.clone())));
}

/// Whether flows of logs are there.
fn logs(host: &Host) -> bool {
    host.flows("br-int").contains("controller(meter_id=16384)")
}

#[test]
fn what_is_accepted_and_refused_is_written_down() {
    on_a_host(|host| async move {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("security-groups.log");
        let section = format!("[network_log]\nlocal_output_log_base = '{}'", file.display());
        let _agent = host.agent_with(host.config(&section));
        let mut made = None;
        host.server.change(|view| {
            let net = add_network(view, Segment::Local, "10.0.0.0/24", None);
            let server = add_port(view, net, "compute:nova", mac(1), "10.0.0.1");
            let client = add_port(view, net, "compute:nova", mac(2), "10.0.0.2");
            let first = add_group(view, server, &[udp_in(5000), out()]);
            add_group(view, server, &[udp_in(5001)]);
            add_group(view, client, &[out()]);
            made = Some((server, client, first));
        });
        let (server, client, first) = made.unwrap();
        let a = host.plug(server, mac(1), &["10.0.0.1/24"]);
        let b = host.plug(client, mac(2), &["10.0.0.2/24"]);
        host.server.until_up(server).await;
        host.server.until_up(client).await;
        let before = host.flows("br-int").lines().count();

        // Of the server what the first of its groups lets in, and what is refused; of the client everything.
        put(&host, 1, LogEvent::Accept, Some(first), server);
        put(&host, 2, LogEvent::Drop, None, server);
        put(&host, 3, LogEvent::All, None, client);
        until("the flows are there", || logs(&host)).await;
        let listeners = [socket(&a, "10.0.0.1:5000"), socket(&a, "10.0.0.1:5001"), socket(&a, "10.0.0.1:5002")];
        let asker = socket(&b, "10.0.0.2:6000");
        let said = |port: u16, action: &str, of: PortId| {
            let all = lines(&file);
            let packet = format!("udp(src_port=6000,dst_port={port})");
            let is_it = |line: &&String| {
                line.contains(&packet)
                    && line.contains(&format!("action={action} project_id=the-project "))
                    && line.contains(&format!("vm_port={of} pkt=ethernet("))
            };
            all.iter().filter(is_it).count()
        };
        // The agent may not listen yet: the first is asked until it is heard of, the others by new connections after that.
        until("it listens", || {
            asker.send_to(b"x", "10.0.0.1:5002").unwrap();
            // Slowly: each packet is logged twice, and the meter counts.
            std::thread::sleep(Duration::from_millis(100));
            said(5002, "DROP", server) > 0
        })
        .await;
        for port in [5000, 5001] {
            asker.send_to(b"x", ("10.0.0.1", port)).unwrap();
        }
        until("both sides of what was accepted", || {
            said(5000, "ACCEPT", server) == 1 && said(5000, "ACCEPT", client) == 1 && said(5001, "ACCEPT", client) == 1
        })
        .await;
        // What is logged arrives all the same; once a connection is answered, no more of it is logged.
        asker.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for (port, listener) in (5000..).zip(&listeners[..2]) {
            listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            for _ in 0..3 {
                let (_, from) = listener.recv_from(&mut [0; 8]).unwrap();
                listener.send_to(b"y", from).unwrap();
                asker.recv_from(&mut [0; 8]).unwrap();
                asker.send_to(b"x", ("10.0.0.1", port)).unwrap();
            }
        }
        let refused = said(5002, "DROP", server);
        until("something later is heard of", || {
            asker.send_to(b"x", "10.0.0.1:5002").unwrap();
            std::thread::sleep(Duration::from_millis(100));
            said(5002, "DROP", server) > refused
        })
        .await;
        assert_eq!((said(5000, "ACCEPT", server), said(5000, "ACCEPT", client)), (1, 1));
        assert_eq!(said(5001, "ACCEPT", server), 0, "another group's rule let it in");
        assert_eq!(said(5000, "DROP", server) + said(5001, "DROP", server), 0);

        // A flood is limited before it comes here; what else is under way is not touched by it.
        let (begun, old) = (Instant::now(), lines(&file).len());
        for _ in 0..20_000 {
            asker.send_to(b"x", "10.0.0.1:5002").unwrap();
        }
        until("it is over", || {
            let count = lines(&file).len();
            std::thread::sleep(Duration::from_millis(500));
            count == lines(&file).len()
        })
        .await;
        let (new, most) = (lines(&file).len() - old, 100 * (begun.elapsed().as_secs() as usize + 2) + 25);
        assert!(new > 0 && new <= most, "{new} lines, at most {most} were allowed");

        // A log that goes takes its flows along, and no others.
        host.server.change(|view| view.logs.clear());
        until("no flow of a log is left", || !logs(&host)).await;
        assert_eq!(host.flows("br-int").lines().count(), before);
        until("nor its meter", || !host.switch.ofctl(&["dump-meters", "br-int"]).unwrap().contains("meter=16384"))
            .await;
    });
}
