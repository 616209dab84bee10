//! Routers of every kind: on which hosts they are, and that their packets always have one that forwards them.

use crate::schedule::l3::{Rules, serve, unserved};
use crate::tests::{ALL, Host, World, eventually};
use host_view::{HostDescription, HostReport, RouterState, Standby};
use jiff::Timestamp;
use net_types::{NetworkId, RouterId, SubnetId};
use network_model::router::InterfaceRequest;
use network_store::router::{self, GatewayInfo, RouterCreate, RouterUpdate};
use network_store::{NetworkError, Work, l3_agent};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{StoreError, params};

impl World {
    /// A router with an interface on a network's subnet.
    async fn router(&self, network: NetworkId, ha: bool, distributed: bool) -> RouterId {
        self.work(move |work| {
            let id = router::create(work, router_request(ha, distributed))?;
            let sql = "SELECT id FROM subnets WHERE network_id = ?1";
            let subnets: Vec<SubnetId> = work.tx.query(sql, params![network.0], |row| row.parse(0))?;
            router::add_interface(work, id, InterfaceRequest::Subnet(subnets[0]))?;
            Ok(id)
        })
        .await
    }

    /// Host and `ha_state` of every agent of a router.
    fn agents_of(&self, router: RouterId) -> Vec<(String, Option<String>)> {
        let sql = "SELECT a.host, b.ha_state FROM l3_agent_routers b JOIN agents a ON a.id = b.agent_id
                   WHERE b.router_id = ?1 ORDER BY COALESCE(b.ha_state, ''), a.host";
        let read = |snapshot: &store::Snapshot<'_>| {
            snapshot.query(sql, params![router.0], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        self.store.read_blocking::<_, StoreError, _>(read).unwrap()
    }

    pub async fn agent(&self, host: &str) -> uuid::Uuid {
        let host = host.to_owned();
        let sql = "SELECT id FROM agents WHERE host = ?1 AND agent_type = 'L3 agent'";
        self.work(move |work| Ok(work.tx.query_opt(sql, params![&host], |row| row.parse(0))?)).await.unwrap()
    }
}

fn router_request(ha: bool, distributed: bool) -> RouterCreate {
    let request = json!({
        "project_id": "p", "name": "r", "description": "", "admin_state_up": true, "external_gateway_info": null,
        "availability_zone_hints": [], "ha": ha, "distributed": distributed
    });
    serde_json::from_value(request).unwrap()
}

/// Two hosts with all agents.
async fn pair(world: &World) -> (Host, Host) {
    let (a, b) = (Host::new(world, "a"), Host::new(world, "b"));
    let (mut a, mut b) = (a, b);
    world.register(&mut a, ALL, "192.0.2.1").await;
    world.register(&mut b, ALL, "192.0.2.2").await;
    (a, b)
}

fn forwards(host: &mut Host, router: RouterId) -> bool {
    host.watch();
    let is_first = |router: &host_view::Router| router.standby.as_ref().is_none_or(|place| place.preferred.is_empty());
    host.view.routers.get(&router).is_some_and(|router| !router.interfaces.is_empty() && is_first(router))
}

impl Host {
    /// Says whether a router is active here.
    pub async fn says(&mut self, router: RouterId, state: RouterState) {
        let report =
            HostReport { routers: [(router, state)].into(), ..self.report_of(&[], "192.0.2.0", BTreeMap::new()) };
        let report = HostReport { full: false, description: None, ..report };
        self.hub.take_report(self.name, report).await.unwrap();
    }
}

#[tokio::test]
async fn a_highly_available_router_forwards_on_one_host_and_stands_by_on_the_other() {
    let world = World::new().await;
    let (mut a, mut b) = pair(&world).await;
    let network = world.network().await;
    let router = world.router(network, true, false).await;
    eventually("scheduled to both", || world.agents_of(router).len() == 2).await;
    let agents = world.agents_of(router);
    let states: Vec<_> = agents.iter().map(|(_, state)| state.as_deref()).collect();
    assert_eq!(states, [Some("active"), Some("standby")]);
    let (active, standby) = if agents[0].0 == "a" { (&mut a, &mut b) } else { (&mut b, &mut a) };
    eventually("it forwards", || forwards(active, router)).await;
    eventually("the other is ready, and knows its place", || {
        standby.watch();
        standby.view.routers.get(&router).is_some_and(|view| {
            let before = std::collections::BTreeSet::from([active.name.to_owned()]);
            let place = Standby { preferred: before.clone(), successors: [].into(), others: before };
            view.standby == Some(place) && view.interfaces == active.view.routers[&router].interfaces
        })
    })
    .await;
    for (host, other) in [(&*active, &*standby), (&*standby, &*active)] {
        assert!(host.view.tunnel_peers[other.name].watched);
        let port = host.view.routers[&router].interfaces.first().unwrap();
        assert_eq!(host.view.remote_ports[port].may_be_on, [other.name.to_owned()].into());
    }
    let interfaces = &active.view.routers[&router].interfaces;
    let owner = &active.view.ports[interfaces.first().unwrap()].device_owner;
    assert_eq!(owner, "network:router_interface", "wired as every router's");
    for host in [&*active, &*standby] {
        let ha = host.view.ports.values().filter(|port| port.device_owner == "network:router_ha_interface");
        assert_eq!(ha.count(), 1, "one port on the HA network");
    }

    // Taken off its active host by hand, it forwards on the other at once.
    let agent = world.agent(active.name).await;
    world.work(move |work| l3_agent::remove_router(work, agent, router)).await;
    eventually("the other forwards", || forwards(standby, router)).await;
    assert_eq!(world.agents_of(router), [(standby.name.to_owned(), Some("active".to_owned()))]);
    world.work(move |work| router::update(work, router, RouterUpdate::default())).await;
    eventually("a change schedules it again", || world.agents_of(router).len() == 2).await;
}

#[tokio::test]
async fn who_is_active_is_what_the_hosts_say() {
    let world = World::new().await;
    let (mut a, mut b) = pair(&world).await;
    let network = world.network().await;
    let router = world.router(network, true, false).await;
    eventually("scheduled to both", || world.agents_of(router).len() == 2).await;
    let first = world.agents_of(router)[0].0.clone();
    let (active, standby) = if first == "a" { (&mut a, &mut b) } else { (&mut b, &mut a) };
    eventually("both know", || {
        standby.watch();
        standby.view.routers.get(&router).is_some_and(|view| view.standby.is_some())
    })
    .await;
    let view = standby.view.clone();
    let state = |name: &str, state: &str| (name.to_owned(), Some(state.to_owned()));
    standby.says(router, RouterState::Active).await;
    assert_eq!(world.agents_of(router), [state(standby.name, "active"), state(active.name, "standby")]);
    eventually("the server has taken it in", || standby.hub.state().topology().is_active_on(&router, standby.name))
        .await;
    active.says(router, RouterState::Standby).await;
    assert_eq!(world.agents_of(router)[0].0, standby.name);
    standby.watch();
    assert_eq!(standby.view.routers, view.routers, "what hosts must be does not change with it");
    active.says(router, RouterState::Active).await;
    assert_eq!(world.agents_of(router)[0].0, active.name);
}

#[tokio::test]
async fn where_hosts_cannot_elect_the_server_lets_another_one_take_over() {
    let world = World::new().await;
    let (mut a, mut b) = pair(&world).await;
    let network = world.network().await;
    let router = world.router(network, true, false).await;
    eventually("scheduled to both", || world.agents_of(router).len() == 2).await;
    for host in [&mut a, &mut b] {
        let mut report = host.report_of(ALL, "192.0.2.1", BTreeMap::new());
        report.description =
            report.description.map(|of| HostDescription { tunnel_types: [].into(), local_ip: None, ..of });
        host.hub.take_report(host.name, report).await.unwrap();
    }
    let dead = world.agents_of(router)[0].0.clone();
    let heartbeats = "UPDATE agents SET heartbeat_timestamp = 0 WHERE host = ?1";
    let host = dead.clone();
    world.work(move |work| Ok(work.tx.execute(heartbeats, params![&host])?)).await;
    let alive_since = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1);
    let rules = move |fail_over| Rules { alive_since, most_agents: 2, fail_over, reschedule: false };
    let needing = |rules| {
        let look = move |snapshot: &store::Snapshot<'_>| unserved(snapshot, None, rules);
        world.store.read_blocking::<_, StoreError, _>(look).unwrap()
    };
    assert!(needing(rules(false)).is_empty(), "a server that has just started waits for what agents report");
    assert_eq!(needing(rules(true)), [router.to_string()]);
    let config = Arc::clone(&world.network);
    let work = move |tx: &store::Tx<'_>| serve(&Work::system(tx, &config), &router.to_string(), rules(true));
    world.store.write(work).await.unwrap();
    let next = if dead == "a" { "b" } else { "a" };
    assert_eq!(world.agents_of(router)[0], (next.to_owned(), Some("active".to_owned())));
    assert!(needing(rules(true)).is_empty());
}

#[tokio::test]
async fn a_router_leaves_a_dead_agent_only_where_it_may() {
    let world = World::new().await;
    let (mut a, mut b) = pair(&world).await;
    let network = world.network().await;
    let router = world.router(network, false, false).await;
    eventually("scheduled", || world.agents_of(router).len() == 1).await;
    let dead = world.agents_of(router)[0].0.clone();
    let (old, next) = if dead == "a" { (&mut a, &mut b) } else { (&mut b, &mut a) };
    eventually("it forwards", || forwards(old, router)).await;
    world
        .work(move |work| {
            let sql = "UPDATE agents SET heartbeat_timestamp = 0 WHERE host = ?1";
            Ok(work.tx.execute(sql, params![&dead])?)
        })
        .await;
    let alive_since = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1);
    let rules = |fail_over, reschedule| Rules { alive_since, most_agents: 2, fail_over, reschedule };
    let needing = |rules| {
        let look = move |snapshot: &store::Snapshot<'_>| unserved(snapshot, None, rules);
        world.store.read_blocking::<_, StoreError, _>(look).unwrap()
    };
    assert!(needing(rules(true, false)).is_empty(), "its host may forward on without its agent");
    assert!(needing(rules(false, true)).is_empty(), "a server that has just started waits for what agents report");
    assert_eq!(needing(rules(true, true)), [router.to_string()]);
    let (config, may) = (Arc::clone(&world.network), rules(true, true));
    let work = move |tx: &store::Tx<'_>| serve(&Work::system(tx, &config), &router.to_string(), may);
    world.store.write(work).await.unwrap();
    assert_eq!(world.agents_of(router), [(next.name.to_owned(), None)]);
    eventually("it forwards there", || forwards(next, router)).await;
    old.watch();
    assert!(!old.view.routers.contains_key(&router), "a host that comes back takes its router down");
    assert!(needing(rules(true, true)).is_empty());
}

#[tokio::test]
async fn a_distributed_router_forwards_and_stays_where_hands_put_it() {
    let world = World::new().await;
    let (mut a, mut b) = pair(&world).await;
    let network = world.network().await;
    let router = world.router(network, false, true).await;
    eventually("scheduled", || world.agents_of(router).len() == 1).await;
    let first = world.agents_of(router)[0].0.clone();
    let (from, to) = if first == "a" { (&mut a, &mut b) } else { (&mut b, &mut a) };
    eventually("it forwards", || forwards(from, router)).await;

    let (old, new) = (world.agent(from.name).await, world.agent(to.name).await);
    let taken = world.work(move |work| Ok(l3_agent::add_router(work, new, router).map_err(name))).await;
    assert_eq!(taken, Err("RouterHostedByL3Agent"));
    world.work(move |work| l3_agent::remove_router(work, old, router)).await;
    eventually("nobody has it", || {
        from.watch();
        !from.view.routers.contains_key(&router)
    })
    .await;
    assert!(world.agents_of(router).is_empty(), "a hand has taken it away, a hand gives it back");
    world.work(move |work| l3_agent::add_router(work, new, router)).await;
    eventually("it forwards on the other", || forwards(to, router)).await;
}

fn name(error: NetworkError) -> &'static str {
    match error {
        NetworkError::Named { kind, .. } => kind,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn all_gateways_of_a_router_are_on_its_host_and_the_first_one_is_told_apart() {
    let world = World::new().await;
    let mut host = Host::new(&world, "a");
    world.register(&mut host, ALL, "192.0.2.1").await;
    let outside = world.network().await;
    let router = world.work(|work| router::create(work, router_request(false, false))).await;
    let external = "UPDATE networks SET external = 1, project_id = 'admin' WHERE id = ?1";
    world.work(move |work| Ok(work.tx.execute(external, params![outside.0])?)).await;
    let one = move |enable_snat| -> GatewayInfo {
        serde_json::from_value(json!({"network_id": outside, "enable_snat": enable_snat})).unwrap()
    };
    world.work(move |work| router::add_external_gateways(work, router, vec![one(true), one(false)])).await;
    let snat = |host: &mut Host| {
        host.watch();
        let router = host.view.routers.get(&router);
        router.map(|router| router.gateways().map(|gateway| gateway.enable_snat).collect::<Vec<_>>())
    };
    eventually("both are there", || snat(&mut host) == Some(vec![true, false])).await;
    let first = host.view.routers[&router].gateway.clone().unwrap();
    assert_eq!(host.view.ports[&first.port].device_owner, "network:router_gateway");
    assert!(!host.view.routers[&router].default_route_ecmp);
    world
        .work(move |work| {
            router::update(work, router, serde_json::from_value(json!({"enable_default_route_ecmp": true})).unwrap())
        })
        .await;
    eventually("both are used", || {
        host.watch();
        host.view.routers[&router].default_route_ecmp
    })
    .await;
    world
        .work(move |work| {
            router::update(work, router, serde_json::from_value(json!({"external_gateway_info": null})).unwrap())
        })
        .await;
    eventually("the other is the first", || snat(&mut host) == Some(vec![false])).await;
    assert_ne!(host.view.routers[&router].gateway.as_ref().unwrap().port, first.port);
}
