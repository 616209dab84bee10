//! QoS: which rules a host is told for which port.

use crate::tests::{Host, World, eventually};
use host_view::{AgentRole, Limit, Limits, PortQos};
use network_model::qos::RuleKind;
use network_store::port::{self, PortUpdate};
use network_store::qos::rule::{self, RuleCreate};
use network_store::{network, qos};
use serde_json::json;

#[tokio::test]
async fn a_port_obeys_its_own_policy_or_its_networks() {
    let world = World::new().await;
    let mut host = Host::new(&world, "c1");
    world.register(&mut host, &[AgentRole::L2], "192.0.2.1").await;
    let network = world.network().await;
    let port = world.port(network, "c1").await;
    let (networks, own) = world
        .work(move |work| {
            let policy = || {
                let request = json!({"project_id": "p", "name": "q", "description": "", "is_default": false,
                    "shared": false});
                qos::create(work, &serde_json::from_value(request).unwrap())
            };
            let (networks, own) = (policy()?, policy()?);
            let rule = |policy, kind, rate, burst, direction: Option<&str>| {
                let direction = direction.map(str::to_owned);
                rule::create(work, kind, &RuleCreate { qos_policy_id: policy, rate, burst, direction })
            };
            rule(networks, RuleKind::BandwidthLimit, 3000, 300, Some("ingress"))?;
            rule(networks, RuleKind::MinimumBandwidth, 100, 0, Some("egress"))?;
            rule(own, RuleKind::PacketRateLimit, 2, 1, Some("egress"))?;
            rule(own, RuleKind::DscpMarking, 26, 0, None)?;
            let request = serde_json::from_value(json!({"qos_policy_id": networks})).unwrap();
            network::update(work, network, request)?;
            Ok((networks, own))
        })
        .await;
    let limit = |rate, burst| Some(Limit { rate, burst });
    let of_network =
        |rate| PortQos { ingress: Limits { bandwidth: limit(rate, 300), packets: None }, ..PortQos::default() };
    eventually("its network's", || {
        host.watch();
        host.view.qos.get(&port) == Some(&of_network(3000))
    })
    .await;
    assert_eq!(host.view.qos.len(), 1, "not of the network's own ports");
    let set = move |work: &network_store::Work<'_>, policy| {
        port::update(work, port, PortUpdate { qos_policy_id: Some(policy), ..PortUpdate::default() })
    };
    world.work(move |work| set(work, Some(own))).await;
    let of_port = PortQos {
        egress: Limits { bandwidth: None, packets: limit(2000, 1000) },
        dscp: Some(26),
        ..PortQos::default()
    };
    eventually("its own", || {
        host.watch();
        host.view.qos.get(&port) == Some(&of_port)
    })
    .await;
    world.work(move |work| set(work, None)).await;
    world
        .work(move |work| {
            let id = work.tx.query_opt(
                "SELECT id FROM qos_rules WHERE qos_policy_id = ?1 AND kind = 'bandwidth_limit'",
                store::params![networks],
                |row| row.parse::<uuid::Uuid>(0),
            )?;
            let request = serde_json::from_value(json!({"max_kbps": 5000})).unwrap();
            rule::update(work, id.unwrap(), &request)
        })
        .await;
    eventually("its network's again, with another rate", || {
        host.watch();
        host.view.qos.get(&port) == Some(&of_network(5000))
    })
    .await;
}
