//! Distributed routers on a real store: a copy comes to a host with the first port behind the router, and goes with the last.

use crate::tests::{ALL, Host, World, eventually};
use host_view::{AgentRole, L3Mode, RouterState};
use net_types::{NetworkId, RouterId, SubnetId};
use network_model::router::InterfaceRequest;
use network_store::router::{self, GatewayInfo, RouterCreate};
use network_store::{NetworkError, l3_agent, port};
use serde_json::json;
use std::net::IpAddr;
use store::params;

const COMPUTE: &[AgentRole] = &[AgentRole::L2, AgentRole::L3];

struct Three {
    world: World,
    central: Host,
    one: Host,
    two: Host,
}

/// A host for what is central, and two with instances.
async fn three() -> Three {
    let world = World::new().await;
    let [mut central, mut one, mut two] = ["central", "one", "two"].map(|name| Host::new(&world, name));
    (one.l3_mode, two.l3_mode) = (L3Mode::Dvr, L3Mode::Dvr);
    world.register(&mut central, ALL, "192.0.2.1").await;
    world.register(&mut one, COMPUTE, "192.0.2.2").await;
    world.register(&mut two, COMPUTE, "192.0.2.3").await;
    Three { world, central, one, two }
}

/// Two inside and one outside.
async fn networks(world: &World) -> [NetworkId; 3] {
    [
        world.network_of("10.0.0.0/24", &[]).await,
        world.network_of("10.0.1.0/24", &[]).await,
        world.network_of("198.51.100.0/24", &[]).await,
    ]
}

impl World {
    /// A distributed router with interfaces on these networks and a gateway on another.
    async fn distributed(&self, networks: &[NetworkId], outside: NetworkId, ha: bool) -> RouterId {
        let networks = networks.to_vec();
        let external = "UPDATE networks SET external = 1, project_id = 'admin' WHERE id = ?1";
        self.work(move |work| Ok(work.tx.execute(external, params![outside.0])?)).await;
        self.work(move |work| {
            let request = json!({
                "project_id": "p", "name": "r", "description": "", "admin_state_up": true, "external_gateway_info": null,
                "availability_zone_hints": [], "ha": ha, "distributed": true
            });
            let request: RouterCreate = serde_json::from_value(request).unwrap();
            let id = router::create(work, request)?;
            for network in &networks {
                let sql = "SELECT id FROM subnets WHERE network_id = ?1";
                let subnets: Vec<SubnetId> = work.tx.query(sql, params![network.0], |row| row.parse(0))?;
                router::add_interface(work, id, InterfaceRequest::Subnet(subnets[0]))?;
            }
            let gateway: GatewayInfo = serde_json::from_value(json!({ "network_id": outside })).unwrap();
            router::add_external_gateways(work, id, vec![gateway])?;
            Ok(id)
        })
        .await
    }

    fn snat_addresses(&self, router: RouterId) -> Vec<(String, IpAddr)> {
        let sql = "SELECT p.binding_host, f.ip_address FROM ports p JOIN fixed_ips f ON f.port_id = p.id
                   WHERE p.device_id = ?1 AND p.device_owner = 'network:router_centralized_snat' ORDER BY f.ip_address";
        let read = |snapshot: &store::Snapshot<'_>| {
            snapshot.query(sql, params![router.to_string()], |row| Ok((row.get(0)?, row.parse(1)?)))
        };
        self.store.read_blocking::<_, store::StoreError, _>(read).unwrap()
    }
}

fn has(host: &mut Host, router: RouterId) -> bool {
    host.watch();
    host.view.routers.contains_key(&router)
}

#[tokio::test]
async fn a_copy_comes_with_the_first_port_and_goes_with_the_last() {
    let Three { world, mut central, mut one, mut two } = three().await;
    let [a, b, outside] = networks(&world).await;
    let router = world.distributed(&[a, b], outside, false).await;
    eventually("it has its central host", || has(&mut central, router)).await;
    assert!(!has(&mut one, router) && !has(&mut two, router), "no port, no copy");
    assert!(central.view.routers[&router].distributed.is_none(), "it is there and nowhere else");
    let snat = world.snat_addresses(router);
    assert!(snat.len() == 2 && snat.iter().all(|(host, _)| host == "central"), "{snat:?}");
    assert_eq!(central.view.routers[&router].snat_ports.len(), 2);

    let on_a = world.port(a, "one").await;
    eventually("a copy", || has(&mut one, router)).await;
    let copy = one.view.routers[&router].clone();
    let part = copy.distributed.unwrap();
    assert!(!part.central && copy.gateway.is_none() && copy.snat_ports.is_empty());
    assert_eq!(part.central_addresses, snat.iter().map(|(_, address)| *address).collect());
    assert_eq!(copy.interfaces.len(), 2);
    assert!(
        copy.interfaces.iter().all(|port| one.view.ports.contains_key(port)),
        "on all networks, not the port's alone"
    );
    let on_b = world.port(b, "two").await;
    eventually("another copy", || has(&mut two, router)).await;

    // Each reaches instances of the other network, and is reached by what is sent to all copies.
    eventually("its neighbours", || {
        one.watch();
        one.view.remote_ports.contains_key(&on_b)
    })
    .await;
    for port in &copy.interfaces {
        let on =
            |host: &Host| host.view.remote_ports.get(port).map(|remote| remote.may_be_on.clone()).unwrap_or_default();
        let names = |names: [&str; 2]| names.map(str::to_owned).into();
        central.watch();
        assert_eq!(on(&one), names(["central", "two"]));
        assert_eq!(on(&central), names(["one", "two"]));
    }
    let stations: std::collections::BTreeSet<u16> = [&mut central, &mut one, &mut two]
        .map(|host| host.view.routers[&router].distributed.as_ref().unwrap().station)
        .into();
    assert_eq!(stations.len(), 3);

    // What moves is followed.
    world.bind(on_b, "one").await;
    eventually("its copy goes", || !has(&mut two, router)).await;
    world.work(move |work| port::remove(work, on_a)).await;
    world.work(move |work| port::remove(work, on_b)).await;
    eventually("both are gone", || !has(&mut one, router)).await;
    eventually("it is central again, and nowhere else", || {
        has(&mut central, router) && central.view.routers[&router].distributed.is_none()
    })
    .await;
}

#[tokio::test]
async fn an_agent_of_copies_gets_no_router_of_its_own() {
    let Three { world, mut one, .. } = three().await;
    let [a, b, outside] = networks(&world).await;
    let router = world.distributed(&[a, b], outside, false).await;
    eventually("scheduled", || world.snat_addresses(router).iter().all(|(host, _)| host == "central")).await;
    assert!(!has(&mut one, router));
    let agent = world.agent("one").await;
    let taken = world.work(move |work| Ok(l3_agent::add_router(work, agent, router))).await;
    assert!(matches!(taken, Err(NetworkError::Named { kind: "DVRL3CannotAssignToDvrAgent", .. })));
}

/// What a distributed router has in one place only is elected among hosts like a whole router; whoever has it, copies lead
/// there by the same addresses.
#[tokio::test]
async fn what_is_central_of_a_highly_available_one_is_on_several_hosts() {
    let world = World::new().await;
    let [mut first, mut second, mut one] = ["first", "second", "one"].map(|name| Host::new(&world, name));
    (first.l3_mode, second.l3_mode, one.l3_mode) = (L3Mode::DvrSnat, L3Mode::DvrSnat, L3Mode::Dvr);
    world.register(&mut first, ALL, "192.0.2.1").await;
    world.register(&mut second, ALL, "192.0.2.2").await;
    world.register(&mut one, COMPUTE, "192.0.2.3").await;
    let [a, b, outside] = networks(&world).await;
    let router = world.distributed(&[a, b], outside, true).await;
    world.port(a, "one").await;
    let is_ready = |host: &mut Host| {
        host.watch();
        let view = host.view.routers.get(&router);
        view.is_some_and(|view| view.standby.is_some() && view.distributed.is_some() && view.gateway.is_some())
    };
    eventually("both are ready, for copies too", || is_ready(&mut first) && is_ready(&mut second)).await;
    let [of_first, of_second] = [&first, &second].map(|host| host.view.routers[&router].clone());
    let preferred = if of_first.standby.as_ref().unwrap().preferred.is_empty() { "first" } else { "second" };
    let (active, standby) = if preferred == "first" { (&of_first, &of_second) } else { (&of_second, &of_first) };
    let place = standby.standby.clone().unwrap();
    assert_eq!(place.preferred, [preferred.to_owned()].into());
    assert_eq!(place.others, [preferred, "one"].map(str::to_owned).into(), "the third one is the witness");
    assert!([active, standby].iter().all(|view| view.distributed.as_ref().unwrap().central));
    assert!(active.snat_ports.len() == 2 && active.snat_ports == standby.snat_ports);
    assert_eq!(active.interfaces, standby.interfaces);

    eventually("a copy", || has(&mut one, router)).await;
    let copy = one.view.routers[&router].clone();
    let led_to = copy.distributed.clone().unwrap().central_addresses;
    assert!(copy.standby.is_none() && copy.gateway.is_none() && led_to.len() == 2);
    for port in &active.snat_ports {
        assert_eq!(one.view.remote_ports[port].may_be_on, ["first", "second"].map(str::to_owned).into());
    }

    // Whoever takes over has what the copies are led to; they need not even be told.
    let other = if preferred == "first" { &mut second } else { &mut first };
    other.says(router, RouterState::Active).await;
    let moved = || world.snat_addresses(router).iter().all(|(host, _)| *host != preferred);
    eventually("its ports are shown where it is", moved).await;
    one.watch();
    assert_eq!(one.view.routers[&router], copy);
}
