//! Two servers' feeds on one database.

use crate::FeedConfig;
use crate::hub::Feed;
use crate::tests::{ALL, Host, World, eventually};
use host_view::{AgentRole, HostReport, PortState};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::Store;

struct Pair {
    world: World,
    // A server has a handle of its own on the database.
    second: Feed,
    store: Store,
}

impl Pair {
    async fn new() -> Self {
        let world = World::on(store::testing::TestDatabase::shared()).await;
        let store = world.database.open();
        let config = FeedConfig { secret: "s".into(), ..FeedConfig::default() };
        let second = Feed::start(store.clone(), config, Arc::clone(&world.network)).await.unwrap();
        Self { world, second, store }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_waits_for_hosts_that_talk_to_different_servers() {
    let pair = Pair::new().await;
    let world = &pair.world;
    let (mut net, mut c1) = (Host::new(world, "net"), Host::at(&pair.second, "c1"));
    world.register(&mut net, ALL, "192.0.2.1").await;
    world.register(&mut c1, &[AgentRole::L2], "192.0.2.2").await;
    let network = world.network().await;
    eventually("the network node is told to serve DHCP", || {
        net.watch();
        net.view.dhcp.contains_key(&network)
    })
    .await;
    net.realise().await;
    let port = world.port(network, "c1").await;
    eventually("both hosts are told of the port", || {
        net.watch();
        c1.watch();
        net.view.dhcp_clients.contains_key(&port) && c1.view.ports.contains_key(&port)
    })
    .await;
    assert_eq!(net.view.tunnel_peers["c1"].address.to_string(), "192.0.2.2");
    c1.realise().await;
    // Whatever the servers have made of that, both have heard of it now.
    let newest = pair.store.read_blocking(|snapshot| snapshot.revision()).map_err(|e: store::StoreError| e).unwrap();
    world.feed.hub().reach(newest).await;
    pair.second.hub().reach(newest).await;
    assert_eq!(world.status(port), "DOWN", "DHCP does not answer it yet");
    net.realise().await;
    eventually("ACTIVE", || world.status(port) == "ACTIVE").await;

    // The device leaves; then the agent is started anew, goes to the other server, and the device is there again.
    let gone = HostReport {
        full: false,
        description: None,
        ..c1.report_of(&[], "192.0.2.2", BTreeMap::from([(port, PortState::Down)]))
    };
    c1.hub.take_report("c1", gone).await.unwrap();
    eventually("DOWN", || world.status(port) == "DOWN").await;
    let mut moved = Host::new(world, "c1");
    moved.realise().await;
    eventually("ACTIVE again", || world.status(port) == "ACTIVE").await;
    // The server that it has left does not contradict: the log falls silent.
    let revision = || pair.store.read_blocking::<_, store::StoreError, _>(|snapshot| snapshot.revision()).unwrap();
    let mut last = 0;
    eventually("silence", || {
        let before = std::mem::replace(&mut last, revision());
        before == last
    })
    .await;
    pair.second.hub().reach(last).await;
    assert_eq!(world.status(port), "ACTIVE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_goes_on_at_another_server_where_it_was() {
    let pair = Pair::new().await;
    let world = &pair.world;
    let mut c1 = Host::new(world, "c1");
    world.register(&mut c1, &[AgentRole::L2], "192.0.2.2").await;
    let network = world.network().await;
    let hubs = [Arc::clone(world.feed.hub()), Arc::clone(pair.second.hub())];
    let mut ports = Vec::new();
    for turn in 0..6 {
        ports.push(world.port(network, "c1").await);
        c1.hub = Arc::clone(&hubs[turn % 2]);
        // As its stream does before the first line.
        if let Some(had) = c1.revision {
            c1.hub.reach(had).await;
        }
        let before = c1.revision;
        eventually("told of the new port", || {
            c1.watch();
            ports.iter().all(|port| c1.view.ports.contains_key(port))
        })
        .await;
        assert!(before <= c1.revision, "an agent is never told older news");
        assert_eq!(c1.view.ports.len(), ports.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_without_news_is_not_logged_and_an_unknown_agent_is_asked_for_all() {
    let pair = Pair::new().await;
    let world = &pair.world;
    let mut c1 = Host::new(world, "c1");
    let partial = |host: &Host| HostReport {
        full: false,
        description: None,
        ..host.report_of(&[], "192.0.2.2", BTreeMap::new())
    };
    let answer = pair.second.hub().take_report("c1", partial(&c1)).await.unwrap();
    assert!(answer.full_report_wanted);
    world.register(&mut c1, &[AgentRole::L2], "192.0.2.2").await;
    let revision = || pair.store.read_blocking::<_, store::StoreError, _>(|snapshot| snapshot.revision()).unwrap();
    let before = revision();
    for feed in [&world.feed, &pair.second] {
        let answer = feed.hub().take_report("c1", partial(&c1)).await.unwrap();
        assert!(!answer.full_report_wanted, "every server knows the agent");
    }
    assert_eq!(revision(), before);
}
