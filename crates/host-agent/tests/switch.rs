//! The l2 part against the real Open vSwitch: plugged, unplugged, restarted, left alone.
//!
//! Needs root, Open vSwitch, iproute2 and ethtool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::server::FakeServer;
use common::view::{add_network, add_port, add_secured_port, ip, mac};
use common::{Host, on_a_host};
use host_agent::Layer;
use host_view::{HostView, PortState, Segment};
use std::time::Duration;

const LOCAL: Segment = Segment::Local;

/// Duration and counters say whether a flow was touched: those that were not grow older.
fn ages(flows: &str) -> Vec<(String, f64)> {
    let mut ages: Vec<(String, f64)> = flows
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once("duration=")?;
            let (duration, rest) = rest.split_once("s, ")?;
            let (_, what) = rest.split_once(" priority=").map_or(("", rest), |(_, what)| ("", what));
            let table = rest.split_once(',').map(|(table, _)| table)?;
            Some((format!("{table} {what}"), duration.parse().ok()?))
        })
        .collect();
    ages.sort_by(|a, b| a.0.cmp(&b.0));
    ages
}

async fn settled(host: &Host) {
    // Nothing more is written when two looks in a row find the same flows.
    let mut before = host.flows("br-int").lines().count();
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = host.flows("br-int").lines().count();
        if now == before {
            return;
        }
        before = now;
    }
}

#[test]
fn a_plugged_port_is_up_and_an_unplugged_one_down() {
    on_a_host(|host| async move {
        let agent = host.agent();
        // Nothing is made before a port needs it, but the host is known at once.
        let seen = host.server.until("a full report", |seen| seen.session.is_some()).await;
        let description = seen.reports[0].description.clone().unwrap();
        assert_eq!((description.datapath_type.as_str(), description.roles.len()), ("netdev", 3));

        let mut ports = vec![];
        host.server.change(|view| {
            let net = add_network(view, LOCAL, "10.0.0.0/24", None);
            ports.push(add_port(view, net, "compute:nova", mac(1), "10.0.0.1"));
            ports.push(add_port(view, net, "compute:nova", mac(2), "10.0.0.2"));
        });
        host.server.until_down(ports[0]).await;
        let first = host.plug(ports[0], mac(1), &["10.0.0.1/24"]);
        let second = host.plug(ports[1], mac(2), &["10.0.0.2/24"]);
        host.server.until_up(ports[0]).await;
        host.server.until_up(ports[1]).await;
        assert!(host.can_ping(&first, ip("10.0.0.2")));

        host.unplug(&second);
        host.server.until_down(ports[1]).await;
        assert_eq!(host.server.seen().ports[&ports[0]], PortState::Up);
        assert!(!host.can_ping(&first, ip("10.0.0.2")));

        // Unbound: its device is on the dead VLAN, its flows are gone.
        let ofport = host.switch.vsctl(&["get", "Interface", &first.device, "ofport"]).unwrap();
        let revision = host.server.change(|view| {
            view.ports.remove(&ports[0]);
        });
        host.server.until_revision(revision).await;
        assert_eq!(host.switch.vsctl(&["get", "Port", &first.device, "tag"]).unwrap().trim(), "4095");
        let of_port = format!("in_port={}", ofport.trim());
        assert!(!host.flows("br-int").lines().any(|line| line.contains(&of_port) && !line.contains("drop")));
        agent.stop().await;
    });
}

/// How often OVSDB was changed by those who count that.
fn changes(host: &Host) -> u32 {
    host.switch.vsctl(&["get", "Open_vSwitch", ".", "next_cfg"]).unwrap().trim().parse().unwrap()
}

#[test]
fn a_port_costs_one_change_of_the_database_and_its_flows_come_first() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let mut ports = vec![];
        host.server.change(|view| {
            let net = add_network(view, LOCAL, "10.0.0.0/24", None);
            ports.push(add_port(view, net, "compute:nova", mac(1), "10.0.0.1"));
            ports.push(add_secured_port(view, net, mac(2), "10.0.0.2", true));
        });
        host.server.until_down(ports[1]).await;
        host.plug(ports[0], mac(1), &["10.0.0.1/24"]);
        host.server.until_up(ports[0]).await;
        settled(&host).await;

        let before = changes(&host);
        let second = host.plug(ports[1], mac(2), &["10.0.0.2/24"]);
        host.server.until_up(ports[1]).await;
        settled(&host).await;
        // Who plugs counts one; the other one is the tag.
        assert_eq!(changes(&host) - before, 2);
        assert_ne!(host.switch.vsctl(&["get", "Port", &second.device, "tag"]).unwrap().trim(), "4095");
        agent.stop().await;
    });
}

#[test]
fn security_groups_hold() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let mut ports = vec![];
        host.server.change(|view| {
            let net = add_network(view, LOCAL, "10.0.0.0/24", None);
            ports.push(add_secured_port(view, net, mac(1), "10.0.0.1", false));
            ports.push(add_secured_port(view, net, mac(2), "10.0.0.2", true));
        });
        let closed = host.plug(ports[0], mac(1), &["10.0.0.1/24"]);
        let open = host.plug(ports[1], mac(2), &["10.0.0.2/24"]);
        host.server.until_up(ports[0]).await;
        host.server.until_up(ports[1]).await;
        assert!(host.can_ping(&closed, ip("10.0.0.2")), "answers to what a closed port asks come in");
        assert!(!host.can_ping(&open, ip("10.0.0.1")), "nothing else does");
        // Nobody may use an address that is not its own.
        host.inside(&closed.namespace, "ip addr add 10.0.0.9/24 dev eth0").unwrap();
        assert!(host.inside(&closed.namespace, "ping -n -c 2 -i 0.2 -W 1 -I 10.0.0.9 10.0.0.2").is_err());
        agent.stop().await;
    });
}

#[test]
fn a_device_that_is_gone_or_never_came_is_no_port() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let mut ports = vec![];
        host.server.change(|view| {
            let net = add_network(view, LOCAL, "10.0.0.0/24", None);
            ports.push(add_port(view, net, "compute:nova", mac(1), "10.0.0.1"));
            ports.push(add_port(view, net, "compute:nova", mac(2), "10.0.0.2"));
        });
        let instance = host.plug(ports[0], mac(1), &["10.0.0.1/24"]);
        host.server.until_up(ports[0]).await;
        // The hypervisor died and left its port behind.
        host.switch.run(&["ip", "link", "del", &instance.device]).unwrap();
        host.server.until_down(ports[0]).await;

        let id = format!("external_ids:iface-id={}", ports[1]);
        let words = ["--no-wait", "add-port", "br-int", "tapabsent", "--", "set", "Interface", "tapabsent", &id];
        host.switch.vsctl(&words).unwrap();
        let why = |state: Option<&PortState>| matches!(state, Some(PortState::Failed { reason }) if reason.contains("tapabsent"));
        host.server.until("the reason", |seen| why(seen.ports.get(&ports[1]))).await;
        agent.stop().await;
    });
}

/// The state of a host with some ports, and a ping that goes on between two of them.
async fn two_talking(host: &Host) -> (Vec<net_types::PortId>, common::Instance, common::Instance) {
    let mut ports = vec![];
    host.server.change(|view: &mut HostView| {
        let net = add_network(view, LOCAL, "10.0.0.0/24", None);
        ports.push(add_secured_port(view, net, mac(1), "10.0.0.1", true));
        ports.push(add_secured_port(view, net, mac(2), "10.0.0.2", true));
    });
    let first = host.plug(ports[0], mac(1), &["10.0.0.1/24"]);
    let second = host.plug(ports[1], mac(2), &["10.0.0.2/24"]);
    host.server.until_up(ports[0]).await;
    host.server.until_up(ports[1]).await;
    assert!(host.can_ping(&first, ip("10.0.0.2")));
    (ports, first, second)
}

#[test]
fn a_restart_of_the_agent_touches_nothing_and_loses_no_packet() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let (ports, first, _second) = two_talking(&host).await;
        settled(&host).await;
        let before = ages(&host.flows("br-int"));
        assert!(before.len() > 20, "{before:?}");

        let namespace = first.namespace.clone();
        let place = host_drivers::Place::named(&namespace);
        let ping = tokio::task::spawn_blocking(move || {
            place
                .run_blocking(|| {
                    let command = ["-n", "-c", "60", "-i", "0.05", "-W", "1", "10.0.0.2"];
                    std::process::Command::new("ping").args(command).output().unwrap()
                })
                .unwrap()
        });
        agent.kill().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let session = host.server.seen().session;
        let agent = host.agent();
        host.server.until("a new session", |seen| seen.session != session).await;
        host.server.until_up(ports[0]).await;
        let output = String::from_utf8(ping.await.unwrap().stdout).unwrap();
        assert!(output.contains(" 0% packet loss"), "{output}");

        let after = ages(&host.flows("br-int"));
        let names = |ages: &[(String, f64)]| ages.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&before), names(&after));
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            assert!(after > before, "{name} was written again");
        }
        agent.stop().await;
    });
}

#[test]
fn without_a_server_the_host_becomes_what_it_was() {
    on_a_host(|mut host| async move {
        let agent = host.agent();
        let (_, first, _second) = two_talking(&host).await;
        // The view is on disk soon after.
        for _ in 0..100 {
            if host.state_dir().join("view.json").exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        agent.kill().await;
        host.server.die().await;
        host.switch.restart_vswitchd().unwrap();
        assert!(!host.can_ping(&first, ip("10.0.0.2")), "no flows, no packets");
        let agent = host.agent();
        for _ in 0..20 {
            if host.can_ping(&first, ip("10.0.0.2")) {
                break;
            }
        }
        assert!(host.can_ping(&first, ip("10.0.0.2")));
        // The server comes back, and is told everything.
        host.server.revive().await;
        host.server.until("a full report", |seen| seen.session.is_some() && seen.ports.len() == 2).await;
        for _ in 0..100 {
            if host.server.resumed_at().iter().any(Option::is_some) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(host.server.resumed_at().iter().any(Option::is_some), "the watch is resumed");
        agent.stop().await;
    });
}

#[test]
fn a_restart_of_the_switch_is_mended() {
    on_a_host(|mut host| async move {
        let agent = host.agent();
        let (_, first, _second) = two_talking(&host).await;
        host.switch.restart_vswitchd().unwrap();
        let mut mended = false;
        for _ in 0..20 {
            mended = host.can_ping(&first, ip("10.0.0.2"));
            if mended {
                break;
            }
        }
        assert!(mended, "{}", host.flows("br-int"));
        // And of the database: it is connected to again, and heard.
        host.switch.restart_ovsdb_server().unwrap();
        host.unplug(&first);
        let port = host.server.seen().ports.keys().copied().collect::<Vec<_>>();
        host.server
            .until("the unplugged port down", |seen| {
                port.iter().filter(|id| seen.ports.get(id) == Some(&PortState::Down)).count() == 1
            })
            .await;
        agent.stop().await;
    });
}

#[test]
fn a_change_while_the_database_is_away_is_made_up_for() {
    on_a_host(|mut host| async move {
        let agent = host.agent();
        let (ports, first, _second) = two_talking(&host).await;
        host.kill_daemon("ovsdb-server");
        let seen = host.server.until("the reason", |seen| !seen.errors.is_empty()).await;
        assert!(seen.errors[0].contains("OVSDB"), "{:?}", seen.errors);
        let revision = host.server.change(|view| {
            for group in view.security_groups.values_mut() {
                group.rules.retain(|_, rule| rule.direction == host_view::Direction::Egress);
            }
        });
        // ovs-vswitchd does nothing without its database (its userspace datapath does not even forward).
        let seen = host.server.seen();
        assert!(seen.revision < revision && seen.ports[&ports[0]] == PortState::Up, "{seen:?}");
        host.switch.restart_ovsdb_server().unwrap();
        host.server.until_revision(revision).await;
        host.server.until("no errors", |seen| seen.errors.is_empty()).await;
        // The switch's cache of decisions follows its flows by itself, a little later.
        let mut closed = false;
        for _ in 0..10 {
            closed = !host.can_ping(&first, ip("10.0.0.2"));
            if closed {
                break;
            }
        }
        assert!(closed, "nothing may come in any more");
        let revision = host.server.change(|view| {
            for group in view.security_groups.values_mut() {
                let rule = group.rules.values().next().unwrap().clone();
                let ingress = host_view::SecurityGroupRule { direction: host_view::Direction::Ingress, ..rule };
                group.rules.insert(common::view::id(), ingress);
            }
        });
        host.server.until_revision(revision).await;
        assert!(host.can_ping(&first, ip("10.0.0.2")), "and now it may");
        agent.stop().await;
    });
}

#[test]
fn drift_is_mended_and_what_is_foreign_stays() {
    on_a_host(|host| async move {
        let vsctl = |words: &str| host.switch.vsctl(&words.split(' ').collect::<Vec<_>>()).unwrap();
        vsctl("add-br br-mine -- set bridge br-mine datapath_type=netdev");
        vsctl("add-port br-mine mine0 -- set interface mine0 type=internal");
        host.switch.wait_for_bridge("br-mine").unwrap();
        host.switch.ofctl(&["add-flow", "br-mine", "table=7,priority=7,actions=drop"]).unwrap();
        let foreign_database = vsctl("list bridge br-mine") + &vsctl("list port mine0");

        let agent = host.agent();
        let (_, first, _second) = two_talking(&host).await;
        host.switch.ofctl(&["add-flow", "br-int", "cookie=0x99,table=7,priority=7,actions=drop"]).unwrap();
        settled(&host).await;
        let before = ages(&host.flows("br-int"));
        let ours = "cookie=0x4e65757400000000/0xffffffff00000000";
        host.switch.ofctl(&["del-flows", "br-int", ours]).unwrap();
        let names = |ages: &[(String, f64)]| ages.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let mut after = vec![];
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            after = ages(&host.flows("br-int"));
            if names(&after) == names(&before) {
                break;
            }
        }
        assert_eq!(names(&after), names(&before));
        let younger = before.iter().zip(&after).filter(|((_, before), (_, after))| after < before).count();
        assert_eq!(younger, before.len() - 1, "all but the foreign one were written again");
        assert!(host.can_ping(&first, ip("10.0.0.2")));
        assert!(host.flows("br-int").contains("cookie=0x99,"), "a flow of somebody else");
        assert!(host.flows("br-mine").contains("priority=7"));
        assert_eq!(vsctl("list bridge br-mine") + &vsctl("list port mine0"), foreign_database);
        agent.stop().await;
    });
}

#[test]
fn the_tunnel_endpoint_survives_the_switch() {
    on_a_host(|mut host| async move {
        host.switch.vsctl(&["add-br", "br-phys", "--", "set", "bridge", "br-phys", "datapath_type=netdev"]).unwrap();
        host.switch.wait_for_bridge("br-phys").unwrap();
        let agent = host.agent_with(host.config(
            "local_ip = '192.0.2.11'\nendpoint = { bridge = 'br-phys', prefix_len = 24 }\ntunnel_types = ['vxlan']",
        ));
        let mut ports = vec![];
        let revision = host.server.change(|view| {
            let vni = net_types::Vni::new(77).unwrap();
            let net = add_network(view, Segment::Vxlan { vni }, "10.0.0.0/24", None);
            ports.push(add_port(view, net, "compute:nova", mac(1), "10.0.0.1"));
            let peer = host_view::TunnelPeer {
                address: ip("192.0.2.12"),
                mac: Some(mac(0x12)),
                types: [net_types::NetworkType::Vxlan].into(),
                watched: false,
            };
            view.tunnel_peers.insert("other".to_owned(), peer);
        });
        host.server.until_revision(revision).await;
        let _instance = host.plug(ports[0], mac(1), &["10.0.0.1/24"]);
        host.server.until_up(ports[0]).await;
        assert!(host.switch.vsctl(&["list-ports", "br-tun"]).unwrap().contains("vxlan-c000020c"));
        let own: net_types::MacAddr = "02:4e:c0:00:02:0b".parse().unwrap();
        let described = |seen: &common::server::Seen| {
            seen.reports.iter().any(|report| report.description.as_ref().is_some_and(|d| d.endpoint_mac == Some(own)))
        };
        host.server.until("the endpoint's MAC", described).await;

        let is_whole = |host: &Host| {
            let shown = host.switch.run(&["ip", "-o", "addr", "show", "dev", "br-phys"]).unwrap_or_default();
            let link = host.switch.run(&["ip", "-o", "link", "show", "dev", "br-phys"]).unwrap_or_default();
            let neighbours = host.switch.appctl(&["tnl/neigh/show"]).unwrap_or_default();
            let known =
                neighbours.lines().any(|line| line.contains("192.0.2.12") && line.contains(&mac(0x12).to_string()));
            (shown.contains("192.0.2.11/24") && link.contains("UP") && link.contains(&own.to_string()) && known)
                .then_some(())
                .ok_or(format!("{shown}{link}{neighbours}"))
        };
        let mut whole = Err(String::new());
        for _ in 0..50 {
            whole = is_whole(&host);
            if whole.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(whole, Ok(()));
        host.switch.restart_vswitchd().unwrap();
        for _ in 0..50 {
            whole = is_whole(&host);
            if whole.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(whole, Ok(()));
        agent.stop().await;
    });
}

#[test]
fn what_would_be_done_is_said_and_everything_can_be_undone() {
    on_a_host(|host| async move {
        // A bridge that becomes secure loses its flows, which is the switch's doing and once only.
        let secure = ["add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev", "fail_mode=secure"];
        host.switch.vsctl(&secure).unwrap();
        host.switch.wait_for_bridge("br-ex").unwrap();
        host.switch.ofctl(&["add-flow", "br-ex", "table=7,priority=7,actions=drop"]).unwrap();
        let config = host.config("bridge_mappings = { physnet1 = 'br-ex' }");
        let mut view = HostView::default();
        let net = add_network(&mut view, LOCAL, "10.0.0.0/24", None);
        let port = common::view::serve_dhcp(&mut view, net, mac(0xd), "10.0.0.2");
        let given = || host_agent::ViewFrom::Given(std::sync::Arc::new(view.clone()));
        let audit = host_agent::audit(&config, given()).await.unwrap();
        let missing = |layer, place: &str| {
            let of = |finding: &&host_agent::Finding| (finding.layer, finding.place.as_str()) == (layer, place);
            audit.findings.iter().filter(of).filter(|finding| finding.how == host_agent::How::Missing).count()
        };
        assert_eq!(missing(Layer::Ovsdb, "br-int"), 2, "the bridge and its own port: {:?}", audit.findings);
        assert!(missing(Layer::Flow, "br-int") > 10);
        assert_eq!(missing(Layer::Namespace, &format!("qdhcp-{}", net.network)), 1);
        assert!(host.switch.vsctl(&["list-br"]).unwrap().trim() == "br-ex", "nothing was done");

        let agent = host.agent_with(config.clone());
        host.server.change(|shown| *shown = view.clone());
        host.server.until_up(port).await;
        agent.stop().await;
        let gone = host_agent::audit(&config, given()).await.unwrap();
        let services = gone.findings.iter().filter(|finding| finding.layer == Layer::Service).count();
        assert_eq!((gone.findings.len(), services), (4, 4), "the agent takes its sockets with it: {:?}", gone.findings);

        let cleanup = host_agent::remove_everything(&config).await.unwrap();
        assert!(cleanup.errors.is_empty() && cleanup.kept.is_empty(), "{cleanup:?}");
        assert_eq!(host.switch.vsctl(&["list-br"]).unwrap().trim(), "br-ex");
        assert_eq!(host.switch.vsctl(&["list-ports", "br-ex"]).unwrap().trim(), "");
        let flows = host.flows("br-ex");
        assert!(flows.contains("table=7") && !flows.contains("cookie=0x4e6575"), "{flows}");
        assert!(host_drivers::netns::list().unwrap().iter().all(|name| !name.starts_with("qdhcp-")));
        assert!(!host.switch.run(&["ip", "-o", "link"]).unwrap().contains("tap"));
        assert!(!host.state_dir().join("view.json").exists());
    });
}

#[test]
fn an_agent_goes_over_to_another_server() {
    on_a_host(|host| async move {
        let mut others = [FakeServer::start().await, FakeServer::start().await];
        let mut config = host.config("");
        config.agent.server = others.iter().map(FakeServer::url).collect();
        let agent = host.agent_with(config);
        // What servers on one database tell is the same.
        let mut ports = vec![];
        let mut told = HostView::default();
        let net = add_network(&mut told, LOCAL, "10.0.0.0/24", None);
        ports.push(add_port(&mut told, net, "compute:nova", mac(1), "10.0.0.1"));
        let tell = |told: &HostView, servers: &[FakeServer]| {
            servers.iter().map(|server| server.change(|view| *view = told.clone())).max().unwrap()
        };
        tell(&told, &others);
        let _first = host.plug(ports[0], mac(1), &["10.0.0.1/24"]);
        let up = |port| move |seen: &common::server::Seen| seen.ports.get(&port) == Some(&PortState::Up);
        // It began with either of them.
        let chosen = tokio::select! {
            _ = others[0].until("up, said to the first", up(ports[0])) => 0,
            _ = others[1].until("up, said to the second", up(ports[0])) => 1,
        };
        others[chosen].die().await;
        ports.push(add_port(&mut told, net, "compute:nova", mac(2), "10.0.0.2"));
        tell(&told, &others);
        let _second = host.plug(ports[1], mac(2), &["10.0.0.2/24"]);
        let other = 1 - chosen;
        let seen = others[other].until("both up", |seen| up(ports[0])(seen) && up(ports[1])(seen)).await;
        assert!(seen.reports.iter().any(|report| report.full), "a server that knows nothing of the agent is told all");
        others[chosen].revive().await;
        others[other].die().await;
        others[chosen].until("both up", |seen| seen.session.is_some() && up(ports[1])(seen)).await;
        agent.stop().await;
    });
}
