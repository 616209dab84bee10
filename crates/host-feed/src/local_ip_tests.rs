//! Local IPs: the host of an associated port is told, and no other.

use crate::tests::{Host, World, eventually};
use host_view::{AgentRole, LocalIpMode};
use net_types::PortId;
use network_store::local_ip::{self, AssociationCreate, LocalIpCreate};
use network_store::port::{self, PortCreate};

#[tokio::test]
async fn a_local_ip_is_where_its_ports_are() {
    let world = World::new().await;
    let (mut first, mut second) = (Host::new(&world, "c1"), Host::new(&world, "c2"));
    world.register(&mut first, &[AgentRole::L2], "192.0.2.1").await;
    world.register(&mut second, &[AgentRole::L2], "192.0.2.2").await;
    let network = world.network().await;
    let (ports, local_ip, associations) = world
        .work(move |work| {
            let ports = [
                port::create(work, PortCreate::of_service(network, "p", "", ""))?,
                port::create(work, PortCreate::of_service(network, "p", "", ""))?,
            ];
            let request = LocalIpCreate {
                project_id: "p".into(),
                name: String::new(),
                description: String::new(),
                local_port_id: None,
                network_id: Some(network),
                local_ip_address: None,
                ip_mode: "translate".into(),
            };
            let local_ip = local_ip::create(work, &request)?;
            let associate = |port: PortId| {
                let request = AssociationCreate { local_ip_id: local_ip, fixed_port_id: port, fixed_ip: None };
                local_ip::associate(work, request)
            };
            Ok((ports, local_ip, [associate(ports[0])?, associate(ports[1])?]))
        })
        .await;
    world.bind(ports[0], "c1").await;
    world.bind(ports[1], "c2").await;
    for (host, port) in [(&mut first, ports[0]), (&mut second, ports[1])] {
        eventually("each host knows its own port", || {
            host.watch();
            host.view.local_ips.get(&local_ip).is_some_and(|known| {
                known.mode == LocalIpMode::Translate
                    && known.ports.keys().eq([&port])
                    && host.view.ports[&port].fixed_ips[0].address == known.ports[&port]
            })
        })
        .await;
    }
    world.bind(ports[0], "c2").await;
    eventually("it goes with its port", || {
        first.watch();
        second.watch();
        first.view.local_ips.is_empty() && second.view.local_ips[&local_ip].ports.len() == 2
    })
    .await;
    world.work(move |work| local_ip::dissociate(work, associations[0])).await;
    eventually("one is left", || {
        second.watch();
        second.view.local_ips[&local_ip].ports.keys().eq([&ports[1]])
    })
    .await;
    world.work(move |work| local_ip::dissociate(work, associations[1])).await;
    eventually("none is left", || {
        second.watch();
        second.view.local_ips.is_empty() && !second.view.ports.is_empty()
    })
    .await;
}
