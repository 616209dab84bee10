//! Trunks and limits of ports against the real Open vSwitch.
//!
//! Needs root, Open vSwitch, iproute2 and ethtool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::view::{add_network, add_port, id, mac};
use common::{Host, on_a_host};
use host_agent::{How, ViewFrom, audit};
use host_view::{Limit, Limits, PortQos, Segment, Trunk};
use net_types::{PortId, TrunkId, VlanId};
use std::time::Duration;

/// Waits until the meters of br-int are such.
async fn until_meters(host: &Host, what: &str, are_such: impl Fn(&str) -> bool) {
    for _ in 0..200 {
        if are_such(&host.switch.ofctl(&["dump-meters", "br-int"]).unwrap()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}

#[test]
fn limits_come_change_and_go_and_other_meters_stay() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let mut port: PortId = id();
        host.server.change(|view| {
            let net = add_network(view, Segment::Local, "10.0.0.0/24", None);
            port = add_port(view, net, "compute:nova", mac(1), "10.0.0.1");
            let bandwidth = Some(Limit { rate: 1000, burst: 0 });
            let qos = PortQos { ingress: Limits { bandwidth, packets: None }, ..PortQos::default() };
            view.qos.insert(port, qos);
        });
        let instance = host.plug(port, mac(1), &["10.0.0.1/24"]);
        host.server.until_up(port).await;
        let foreign = "meter=7,kbps,band=type=drop,rate=5";
        host.switch.ofctl(&["add-meter", "br-int", foreign]).unwrap();
        let number: u32 =
            host.switch.vsctl(&["get", "Interface", &instance.device, "ofport"]).unwrap().trim().parse().unwrap();
        let meter = format!("meter={} ", 0x4000 + 4 * number + 3);
        until_meters(&host, "the limit", |all| {
            all.lines().any(|line| line.starts_with(&meter) && line.contains("kbps")) && all.contains("rate=1000")
        })
        .await;
        let refers = |host: &Host| host.flows("br-int").contains(&format!("meter:{}", 0x4000 + 4 * number + 3));
        assert!(refers(&host), "the flow with the meter");

        // Removed by hand, with the flow that refers to it: the next audit puts both back.
        host.switch.ofctl(&["del-meter", "br-int", &format!("meter={}", 0x4000 + 4 * number + 3)]).unwrap();
        until_meters(&host, "mended", |all| all.contains(&meter)).await;
        let revision = host.server.change(|view| {
            view.qos.values_mut().for_each(|qos| qos.ingress.bandwidth = Some(Limit { rate: 2000, burst: 500 }));
        });
        host.server.until_revision(revision).await;
        until_meters(&host, "the new limit", |all| all.contains("rate=2000") && all.contains("burst_size=500")).await;
        assert!(refers(&host));

        let revision = host.server.change(|view| view.qos.clear());
        host.server.until_revision(revision).await;
        until_meters(&host, "ours is gone, the other one is not", |all| {
            !all.contains(&meter) && all.contains("meter=7 ")
        })
        .await;
        assert!(!refers(&host));
        agent.stop().await;
    });
}

#[test]
fn an_audit_sees_limits_that_were_changed_by_hand() {
    on_a_host(|host| async move {
        let config = host.config("");
        let agent = host.agent_with(config.clone());
        let mut port: PortId = id();
        host.server.change(|view| {
            let net = add_network(view, Segment::Local, "10.0.0.0/24", None);
            port = add_port(view, net, "compute:nova", mac(1), "10.0.0.1");
            let limit = Some(Limit { rate: 1000, burst: 500 });
            let qos = PortQos { egress: Limits { bandwidth: limit, packets: limit }, ..PortQos::default() };
            view.qos.insert(port, qos);
        });
        let _instance = host.plug(port, mac(1), &["10.0.0.1/24"]);
        host.server.until_up(port).await;
        until_meters(&host, "the limits", |all| all.matches("rate=1000").count() == 2).await;
        // Nobody mends from here on.
        agent.stop().await;
        let seen = async || {
            let audit = audit(&config, ViewFrom::Server).await.unwrap();
            let findings = audit.findings.into_iter().filter(|finding| finding.what.starts_with("meter"));
            findings.map(|finding| (finding.how, finding.about.unwrap_or_default())).collect::<Vec<_>>()
        };
        host.switch.ofctl(&["add-meter", "br-int", "meter=7,kbps,band=type=drop,rate=5"]).unwrap();
        assert_eq!(seen().await, [], "as planned; another one's meter is not looked at");
        let number = host.switch.vsctl(&[
            "--bare",
            "--columns=ofport",
            "find",
            "Interface",
            &format!("external_ids:iface-id={port}"),
        ]);
        let first = 0x4000 + 4 * number.unwrap().trim().parse::<u32>().unwrap();
        let faster = format!("meter={},kbps,burst,stats,band=type=drop,rate=9000,burst_size=500", first + 1);
        host.switch.ofctl(&["mod-meter", "br-int", &faster]).unwrap();
        host.switch.ofctl(&["del-meter", "br-int", &format!("meter={first}")]).unwrap();
        let stray = format!("meter={},kbps,band=type=drop,rate=5", first + 3);
        host.switch.ofctl(&["add-meter", "br-int", &stray]).unwrap();
        let seen = seen().await;
        assert_eq!(
            seen.iter().map(|(how, _)| *how).collect::<Vec<_>>(),
            [How::Missing, How::Unexpected, How::Different]
        );
        assert!(seen.iter().all(|(_, about)| about.starts_with(&format!("port {port}"))), "{seen:?}");
    });
}

#[test]
fn a_trunk_is_wired_when_its_parent_is_plugged_into_its_bridge() {
    on_a_host(|host| async move {
        let agent = host.agent();
        let (mut parent, mut subport): (PortId, PortId) = (id(), id());
        let trunk: TrunkId = id();
        host.server.change(|view| {
            let nets = ["10.0.0.0/24", "10.0.1.0/24"].map(|cidr| add_network(view, Segment::Local, cidr, None));
            parent = add_port(view, nets[0], "compute:nova", mac(1), "10.0.0.1");
            subport = add_port(view, nets[1], "trunk:subport", mac(2), "10.0.1.1");
            let subports = [(subport, VlanId::new(101).unwrap())].into();
            view.trunks.insert(trunk, Trunk { parent, subports });
        });
        host.switch.wait_for_bridge(&trunk.bridge()).unwrap();
        host.server.until_down(parent).await;
        let (bridge, device) = (trunk.bridge(), format!("tap{}", parent.short()));
        let iface_id = format!("external_ids:iface-id={parent}");
        let plug = ["add-port", &bridge, &device, "--", "set", "Interface", &device, "type=internal", &iface_id];
        host.switch.vsctl(&plug).unwrap();
        host.server.until_up(parent).await;
        host.server.until_up(subport).await;
        let ports = host.switch.vsctl(&["list-ports", &bridge]).unwrap();
        let ends = [format!("spt-{}", subport.short()), format!("tpt-{}", parent.short())];
        assert!(ends.iter().all(|end| ports.lines().any(|port| port == end)), "{ports}");
        assert_eq!(host.switch.vsctl(&["get", "Port", &ends[0], "tag"]).unwrap().trim(), "101");

        host.switch.vsctl(&["del-port", &device]).unwrap();
        host.server.until_down(parent).await;
        host.server.until_down(subport).await;
        let revision = host.server.change(|view| {
            view.trunks.clear();
            view.ports.clear();
        });
        host.server.until_revision(revision).await;
        let bridges = host.switch.vsctl(&["list-br"]).unwrap();
        assert!(!bridges.contains(&bridge), "{bridges}");
        let left = host.switch.vsctl(&["list-ports", "br-int"]).unwrap();
        assert!(!left.contains("tpi-") && !left.contains("spi-"), "{left}");
        agent.stop().await;
    });
}
