//! QoS: which rules a host is told for which port.

use crate::tests::{ALL, Host, World, eventually};
use host_view::{AgentRole, BandwidthLimits, Limit, Limits, PortQos};
use network_model::qos::RuleKind;
use network_store::port::{self, PortUpdate};
use network_store::qos::rule::{self, RuleCreate};
use network_store::router::{self, GatewayInfo, RouterCreate, RouterUpdate};
use network_store::{floating_ip, network, qos};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;

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

/// Each gateway's address is limited as the router's policy says, each by itself; a floating IP as its own says, whichever
/// gateway it is behind.
#[tokio::test]
async fn a_routers_policy_is_every_gateways() {
    let world = World::new().await;
    let mut host = Host::new(&world, "c1");
    world.register(&mut host, ALL, "192.0.2.1").await;
    let outside = [world.network_of("198.51.100.0/24", &[]).await, world.network_of("203.0.113.0/24", &[]).await];
    let router = world
        .work(move |work| {
            for network in outside {
                let sql = "UPDATE networks SET external = 1, project_id = 'admin' WHERE id = ?1";
                work.tx.execute(sql, store::params![network.0])?;
            }
            let policy = |rate| {
                let request = json!({"project_id": "p", "name": "q", "description": "", "is_default": false,
                    "shared": false});
                let policy = qos::create(work, &serde_json::from_value(request).unwrap())?;
                let direction = Some("egress".to_owned());
                let rule = RuleCreate { qos_policy_id: policy, rate, burst: 0, direction };
                rule::create(work, RuleKind::BandwidthLimit, &rule)?;
                Ok::<_, network_store::NetworkError>(policy)
            };
            let (of_router, of_floating_ip) = (policy(3000)?, policy(1000)?);
            let request = json!({
                "project_id": "p", "name": "r", "description": "", "admin_state_up": true, "external_gateway_info": null,
                "availability_zone_hints": [], "ha": false, "distributed": false
            });
            let request: RouterCreate = serde_json::from_value(request).unwrap();
            let id = router::create(work, request)?;
            let gateway = |network: net_types::NetworkId| -> GatewayInfo {
                serde_json::from_value(json!({ "network_id": network })).unwrap()
            };
            router::add_external_gateways(work, id, outside.map(gateway).to_vec())?;
            let info = json!({"external_gateway_info": {"network_id": outside[0], "qos_policy_id": of_router}});
            let change: RouterUpdate = serde_json::from_value(info).unwrap();
            router::update(work, id, change)?;
            let address = json!({
                "project_id": "p", "description": "", "floating_network_id": outside[1], "floating_ip_address": "203.0.113.99",
                "qos_policy_id": of_floating_ip
            });
            let floating_ip = floating_ip::create(work, &serde_json::from_value(address).unwrap())?;
            let sql = "UPDATE floating_ips SET router_id = ?2 WHERE id = ?1";
            work.tx.execute(sql, store::params![floating_ip.0, id.0])?;
            Ok(id)
        })
        .await;
    let limit = |rate| BandwidthLimits { egress: Some(Limit { rate, burst: 0 }), ingress: None };
    eventually("all are limited", || {
        host.watch();
        let Some(view) = host.view.routers.get(&router) else { return false };
        let gateways = view.gateways().filter_map(|gateway| host.view.ports.get(&gateway.port));
        let own = gateways.flat_map(|port| &port.fixed_ips).map(|fixed| (fixed.address, limit(3000)));
        let floating = ("203.0.113.99".parse::<IpAddr>().unwrap(), limit(1000));
        let expected: BTreeMap<IpAddr, BandwidthLimits> = own.chain([floating]).collect();
        expected.len() == 3 && view.limits == expected
    })
    .await;
}
