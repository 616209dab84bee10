//! Trunks: who is told of them, where their parents are plugged in, and what becomes of their status.

use crate::tests::{Host, World, eventually};
use host_view::{AgentRole, HostReport, PortState, Trunk};
use net_types::{PortId, TrunkId, VlanId};
use network_store::port::{self, PortCreate, PortUpdate};
use network_store::trunk::{self, Subport, TrunkCreate};
use serde_json::json;
use std::collections::BTreeMap;
use store::params;

fn status(world: &World, id: TrunkId) -> String {
    let read = |snapshot: &store::Snapshot<'_>| {
        snapshot.query_opt("SELECT status FROM trunks WHERE id = ?1", params![id.0], |row| row.get(0))
    };
    world.store.read_blocking::<_, store::StoreError, _>(read).unwrap().unwrap()
}

fn bridge(world: &World, id: PortId) -> String {
    let read = |snapshot: &store::Snapshot<'_>| {
        snapshot
            .query_opt("SELECT binding_vif_details FROM ports WHERE id = ?1", params![id.0], |row| row.get::<String>(0))
    };
    let details = world.store.read_blocking::<_, store::StoreError, _>(read).unwrap().unwrap();
    serde_json::from_str::<serde_json::Value>(&details).unwrap()["bridge_name"].as_str().unwrap().to_owned()
}

fn subport(port: PortId, tag: u16) -> Subport {
    Subport { port_id: port, segmentation_type: json!("vlan"), segmentation_id: json!(tag) }
}

#[tokio::test]
async fn a_trunk_follows_its_parent_and_is_active_with_all_of_its_subports() {
    let world = World::new().await;
    let mut host = Host::new(&world, "c1");
    world.register(&mut host, &[AgentRole::L2], "192.0.2.1").await;
    let network = world.network().await;
    let (parent, first, second, trunk) = world
        .work(move |work| {
            let port = || port::create(work, PortCreate::of_service(network, "p", "", ""));
            let (parent, first, second) = (port()?, port()?, port()?);
            let request = TrunkCreate {
                project_id: "p".into(),
                name: String::new(),
                description: String::new(),
                admin_state_up: true,
                port_id: parent,
                sub_ports: vec![subport(first, 101)],
            };
            Ok((parent, first, second, trunk::create(work, request)?))
        })
        .await;
    world
        .work(move |work| {
            let binding_host = Some(Some("c1".to_owned()));
            port::update(work, parent, PortUpdate { binding_host, ..PortUpdate::default() })
        })
        .await;
    let tag = |number| VlanId::new(number).unwrap();
    eventually("its host is told", || {
        host.watch();
        host.view.trunks.get(&trunk) == Some(&Trunk { parent, subports: [(first, tag(101))].into() })
            && host.view.ports.contains_key(&parent)
            && host.view.ports.contains_key(&first)
    })
    .await;
    assert_eq!(bridge(&world, parent), trunk.bridge(), "where the parent is plugged in");
    assert_eq!(bridge(&world, first), "br-int");
    assert_eq!(status(&world, trunk), "DOWN");
    host.realise().await;
    eventually("ACTIVE", || status(&world, trunk) == "ACTIVE").await;

    // One more, which its host cannot realise.
    world.work(move |work| trunk::add_subports(work, trunk, vec![subport(second, 102)])).await;
    eventually("its host is told of the second", || {
        host.watch();
        host.view.trunks.get(&trunk).is_some_and(|trunk| trunk.subports.get(&second) == Some(&tag(102)))
            && host.view.ports.contains_key(&second)
    })
    .await;
    let say = |host: &Host, id, state| HostReport {
        full: false,
        description: None,
        ..host.report_of(&[], "192.0.2.1", BTreeMap::from([(id, state)]))
    };
    let failed = PortState::Failed { reason: "why not".into() };
    host.hub.take_report("c1", say(&host, second, failed)).await.unwrap();
    eventually("DEGRADED", || status(&world, trunk) == "DEGRADED").await;
    host.hub.take_report("c1", say(&host, second, PortState::Up)).await.unwrap();
    eventually("ACTIVE again", || status(&world, trunk) == "ACTIVE").await;
    host.hub.take_report("c1", say(&host, parent, PortState::Down)).await.unwrap();
    eventually("DOWN with its parent", || status(&world, trunk) == "DOWN").await;

    // The parent leaves, and its trunk with it.
    world
        .work(move |work| {
            let binding_host = Some(Some(String::new()));
            port::update(work, parent, PortUpdate { binding_host, ..PortUpdate::default() })
        })
        .await;
    eventually("its host has nothing of it", || {
        host.watch();
        host.view.trunks.is_empty() && host.view.ports.is_empty()
    })
    .await;
}
