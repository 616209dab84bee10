//! Port mirroring: which hosts are told what, while ports move and mirrors come and go.

use crate::tests::{Host, World, eventually};
use host_view::{AgentRole, TapDirection, TapMirrorKind};
use net_types::PortId;
use network_store::port::{self, PortCreate};
use network_store::tap::{self, TapFlowCreate, TapServiceCreate};
use network_store::tap_mirror::{self, TapMirrorCreate};
use serde_json::json;
use uuid::Uuid;

fn flow(service: Uuid, source: PortId, direction: &str) -> TapFlowCreate {
    TapFlowCreate {
        project_id: "p".into(),
        name: String::new(),
        description: String::new(),
        tap_service_id: service,
        source_port: source,
        direction: direction.into(),
    }
}

#[tokio::test]
async fn both_ends_of_a_mirror_are_told() {
    let world = World::new().await;
    let (mut first, mut second) = (Host::new(&world, "c1"), Host::new(&world, "c2"));
    world.register(&mut first, &[AgentRole::L2], "192.0.2.1").await;
    world.register(&mut second, &[AgentRole::L2], "192.0.2.2").await;
    // Networks of their own, so that nothing else makes the hosts neighbours.
    let (one, two) = (world.network().await, world.network().await);
    let (monitor, source, service) = world
        .work(move |work| {
            let monitor = port::create(work, PortCreate::of_service(one, "p", "", ""))?;
            let source = port::create(work, PortCreate::of_service(two, "p", "", ""))?;
            let request = TapServiceCreate {
                project_id: "p".into(),
                name: String::new(),
                description: String::new(),
                port_id: monitor,
            };
            Ok((monitor, source, tap::create_service(work, &request)?))
        })
        .await;
    world.bind(monitor, "c1").await;
    world.bind(source, "c2").await;
    let entered = world.work(move |work| tap::create_flow(work, &flow(service, source, "IN"))).await;
    eventually("the host of the service knows from where copies come", || {
        first.watch();
        first
            .view
            .tap_services
            .get(&service)
            .is_some_and(|service| service.host.is_none() && service.sources.is_empty() && service.from.contains("c2"))
            && first.view.tunnel_peers.contains_key("c2")
    })
    .await;
    eventually("the host of the source knows where they go", || {
        second.watch();
        second.view.tap_services.get(&service).is_some_and(|service| {
            service.host.as_deref() == Some("c1") && service.sources == [(source, TapDirection::In)].into()
        }) && second.view.tunnel_peers.contains_key("c1")
    })
    .await;
    let left = world.work(move |work| tap::create_flow(work, &flow(service, source, "OUT"))).await;
    eventually("two flows of one port are one", || {
        second.watch();
        second.view.tap_services[&service].sources[&source] == TapDirection::Both
    })
    .await;

    // The service moves to the source's host.
    world.bind(monitor, "c2").await;
    eventually("one host is both ends", || {
        first.watch();
        second.watch();
        let service = &second.view.tap_services[&service];
        service.host.is_none() && service.from.is_empty() && first.view.tap_services.is_empty()
    })
    .await;

    // What a service's port is given is not copied again, what it says is.
    let chained = world
        .work(move |work| {
            let request = TapServiceCreate {
                project_id: "p".into(),
                name: String::new(),
                description: String::new(),
                port_id: source,
            };
            let chained = tap::create_service(work, &request)?;
            tap::create_flow(work, &flow(chained, monitor, "BOTH"))?;
            Ok(chained)
        })
        .await;
    eventually("no copies of copies", || {
        second.watch();
        let sources = |id: &Uuid| second.view.tap_services.get(id).map(|service| service.sources.clone());
        sources(&chained) == Some([(monitor, TapDirection::Out)].into())
            && sources(&service) == Some([(source, TapDirection::Out)].into())
    })
    .await;

    world
        .work(move |work| {
            tap::delete_service(work, chained)?;
            tap::delete_flow(work, entered)?;
            tap::delete_flow(work, left)
        })
        .await;
    eventually("nothing is mirrored", || {
        second.watch();
        second.view.tap_services.get(&service).is_some_and(|service| service.sources.is_empty())
            && !second.view.tap_services.contains_key(&chained)
    })
    .await;
}

#[tokio::test]
async fn a_tap_mirror_is_where_its_port_is() {
    let world = World::new().await;
    let mut host = Host::new(&world, "c1");
    world.register(&mut host, &[AgentRole::L2], "192.0.2.1").await;
    let network = world.network().await;
    let (source, mirror) = world
        .work(move |work| {
            let source = port::create(work, PortCreate::of_service(network, "p", "", ""))?;
            let directions = json!({"IN": "101", "OUT": 102}).as_object().cloned().unwrap_or_default();
            let request = TapMirrorCreate {
                project_id: "p".into(),
                name: String::new(),
                description: String::new(),
                port_id: source,
                directions,
                remote_ip: [192, 0, 2, 9].into(),
                mirror_type: "gre".into(),
            };
            Ok((source, tap_mirror::create(work, &request)?))
        })
        .await;
    world.bind(source, "c1").await;
    eventually("its host is told", || {
        host.watch();
        host.view.tap_mirrors.get(&mirror).is_some_and(|mirror| {
            mirror.kind == TapMirrorKind::Gre
                && mirror.numbers == [(TapDirection::In, 101), (TapDirection::Out, 102)].into()
        })
    })
    .await;
    world.work(move |work| tap_mirror::delete(work, mirror)).await;
    eventually("it is gone", || {
        host.watch();
        host.view.tap_mirrors.is_empty() && !host.view.ports.is_empty()
    })
    .await;
}
