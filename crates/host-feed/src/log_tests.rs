//! Logs: which ports of which hosts they are about.

use crate::tests::{Host, World, eventually};
use host_view::{AgentRole, LogEvent};
use net_types::PortId;
use network_store::log::{self, LogCreate, LogUpdate};
use network_store::port::{self, PortCreate, PortUpdate};
use uuid::Uuid;

fn about(group: Option<Uuid>, port: Option<PortId>, event: &str) -> LogCreate {
    LogCreate {
        project_id: "p".into(),
        name: String::new(),
        description: String::new(),
        resource_type: "security_group".into(),
        resource_id: group,
        target_id: port.map(|port| port.0),
        event: event.into(),
        enabled: true,
    }
}

#[tokio::test]
async fn a_log_is_about_a_port_a_group_or_a_project() {
    let world = World::new().await;
    let mut host = Host::new(&world, "c1");
    world.register(&mut host, &[AgentRole::L2], "192.0.2.1").await;
    let network = world.network().await;
    let ports = world
        .work(move |work| {
            let mut ports = Vec::new();
            for _ in 0..2 {
                let id = port::create(work, PortCreate::of_service(network, "p", "", ""))?;
                let binding_host = Some(Some("c1".to_owned()));
                port::update(work, id, PortUpdate { binding_host, ..PortUpdate::default() })?;
                ports.push(id);
            }
            Ok(ports)
        })
        .await;
    eventually("both ports are here", || {
        host.watch();
        host.view.ports.len() == 2
    })
    .await;
    let (one, all) = world
        .work({
            let port = ports[0];
            move |work| {
                Ok((
                    log::create(work, &about(None, Some(port), "DROP"))?,
                    log::create(work, &about(None, None, "ALL"))?,
                ))
            }
        })
        .await;
    eventually("one of a port, one of the project", || {
        host.watch();
        let known = |id: &Uuid| host.view.logs.get(id).map(|log| (log.event, log.ports.len()));
        known(&one) == Some((LogEvent::Drop, 1)) && known(&all) == Some((LogEvent::All, 2))
    })
    .await;
    world.work(move |work| log::update(work, all, LogUpdate { enabled: Some(false), ..LogUpdate::default() })).await;
    eventually("one that is not enabled is none", || {
        host.watch();
        host.view.logs.keys().eq([&one])
    })
    .await;
    world.work(move |work| log::delete(work, one)).await;
    eventually("none is left", || {
        host.watch();
        host.view.logs.is_empty() && host.view.ports.len() == 2
    })
    .await;
}
