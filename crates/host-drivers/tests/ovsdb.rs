//! The copy of OVSDB against the real server and switch, and against a server that misbehaves.

#![allow(clippy::unwrap_used)]

use host_drivers::ovsdb::{Connection, Database};
use host_drivers::testing::{FakeDatabase, PrivateSwitch};
use host_drivers::{DriverError, ovsdb as driver};
use ovsdb::{
    Condition, Desired, DesiredBridge, DesiredMirror, DesiredPort, ExportKind, MonitorMethod, Operation, Owner, Plan,
    PortVlan, Row, Transaction, Value,
};
use std::collections::BTreeMap;

/// Beyond what the slowest machine needs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

fn patch(peer: &str) -> DesiredPort {
    let options = [("peer".to_owned(), peer.to_owned())].into();
    DesiredPort { kind: "patch".into(), options, ..DesiredPort::default() }
}

fn mirror(port: &str) -> DesiredMirror {
    let select_src_port = [port.to_owned()].into();
    let select_vlan = [0, 101].into();
    DesiredMirror { select_src_port, select_vlan, output_port: format!("tmo-{port}"), ..DesiredMirror::default() }
}

fn exports() -> BTreeMap<ExportKind, Row> {
    let row = |number: &str| {
        let targets = Value::set(["127.0.0.1:6343", "127.0.0.1:6344"]);
        Row::from([("targets".to_owned(), targets), (number.to_owned(), 60.into())])
    };
    let kinds = [
        (ExportKind::SFlow, row("sampling")),
        (ExportKind::Ipfix, row("cache_max_flows")),
        (ExportKind::NetFlow, row("active_timeout")),
    ];
    kinds.into()
}

fn desired() -> Desired {
    let mut desired = Desired::nothing(Owner::new("neutronium-owner", "agent"));
    for (bridge, port, peer) in [("br-int", "patch-tun", "patch-int"), ("br-tun", "patch-int", "patch-tun")] {
        let bridge_settings = DesiredBridge {
            create: true,
            datapath_type: Some("netdev".into()),
            fail_mode: Some("secure".into()),
            protocols: ["OpenFlow13".to_owned(), "OpenFlow14".to_owned()].into(),
            hwaddr: Some("02:00:00:00:00:07".into()),
            mtu_request: Some(1600),
            ports: [(port.to_owned(), patch(peer)), (format!("tmo-{port}"), patch("nobody"))].into(),
            mirrors: [(format!("tmo-{port}"), mirror(port))].into(),
            exports: exports(),
        };
        desired.bridges.insert(bridge.into(), bridge_settings);
    }
    let options =
        [("remote_ip", "10.9.9.2"), ("local_ip", "10.9.9.1"), ("key", "flow")].map(|(k, v)| (k.into(), v.into()));
    let tunnel = DesiredPort { kind: "vxlan".into(), options: options.into(), ..DesiredPort::default() };
    desired.bridges.get_mut("br-tun").unwrap().ports.insert("vxlan-0a090902".into(), tunnel);
    let other_config = [("net_uuid".to_owned(), "x".to_owned())].into();
    desired.vlans.insert("patch-tun".into(), PortVlan { tag: Some(7), trunks: [7, 8].into(), other_config });
    desired
}

async fn until(database: &mut Database, what: &str, condition: impl Fn(&driver::Snapshot) -> bool) {
    let mut watch = database.watch();
    let met = tokio::time::timeout(PATIENCE, watch.wait_for(condition)).await;
    assert!(met.is_ok(), "{what}: {:?}", database.last());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_takes_the_plan_and_the_copy_shows_it() {
    let mut switch = PrivateSwitch::start().unwrap();
    let mut database = Database::new(&switch.db_socket());
    let cache = database.cache().await.unwrap();
    let desired = desired();

    let plan = ovsdb::plan(&cache, &desired);
    assert_eq!(plan.conflicts, []);
    let outcomes = database.transact(plan.transaction.unwrap()).await.unwrap();
    // At once, not a little later.
    let cache = database.cache().await.unwrap();
    assert_eq!(ovsdb::plan(&cache, &desired), Plan::default());
    database.wait_for_switch(Plan::next_cfg(&outcomes).unwrap()).await.unwrap();
    until(&mut database, "the switch gave numbers", |s| {
        s.cache.interface("patch-tun").is_some_and(|i| i.ofport.is_some())
    })
    .await;
    assert_eq!(switch.vsctl(&["get", "port", "patch-tun", "tag"]).unwrap().trim(), "7");
    assert_eq!(switch.vsctl(&["get", "bridge", "br-int", "fail_mode"]).unwrap().trim(), "secure");
    until(&mut database, "the bridge has its MAC", |s| {
        s.cache.interface("br-int").and_then(|i| i.mac_in_use.as_deref()) == Some("02:00:00:00:00:07")
    })
    .await;

    // What others change is seen: differences of sets, maps and optional columns.
    switch
        .vsctl(&[
            "add",
            "port",
            "patch-tun",
            "trunks",
            "9",
            "--",
            "remove",
            "port",
            "patch-tun",
            "trunks",
            "7",
            "--",
            "set",
            "port",
            "patch-tun",
            "other_config:theirs=1",
            "external_ids:theirs=2",
            "--",
            "clear",
            "port",
            "patch-tun",
            "tag",
        ])
        .unwrap();
    until(&mut database, "others' changes", |s| s.cache.port("patch-tun").is_some_and(|p| p.tag.is_none())).await;
    let cache = database.cache().await.unwrap();
    let port = cache.port("patch-tun").unwrap();
    assert_eq!(port.trunks, [8, 9].into());
    assert_eq!(port.other_config.get("theirs").map(String::as_str), Some("1"));
    assert!(port.external_ids.contains_key("neutronium-owner") && port.external_ids.contains_key("theirs"));

    // Put right again, theirs kept.
    database.transact(ovsdb::plan(&cache, &desired).transaction.unwrap()).await.unwrap();
    let cache = database.cache().await.unwrap();
    assert_eq!(ovsdb::plan(&cache, &desired), Plan::default());
    assert!(cache.port("patch-tun").unwrap().other_config.contains_key("theirs"));

    // The server goes and comes back.
    switch.restart_ovsdb_server().unwrap();
    until(&mut database, "back again", |s| s.connection == Connection::Connected).await;
    let done = tokio::time::timeout(PATIENCE, async {
        while database.cache().await.is_err() {
            database.changed().await;
        }
        database.cache().await.unwrap()
    });
    assert_eq!(ovsdb::plan(&done.await.unwrap(), &desired), Plan::default());

    // And nothing of ours stays, when nothing is wanted.
    let nothing = Desired::nothing(desired.owner);
    let cache = database.cache().await.unwrap();
    database.transact(ovsdb::plan(&cache, &nothing).transaction.unwrap()).await.unwrap();
    assert_eq!(switch.vsctl(&["list-br"]).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_transaction_names_the_operation_and_changes_nothing() {
    let switch = PrivateSwitch::start().unwrap();
    let mut database = Database::new(&switch.db_socket());
    database.cache().await.unwrap();
    let port = |name: &str| Operation::insert("Port", name, [("name".to_owned(), name.into())].into());
    let error = database.transact([port("a"), port("b")].into_iter().collect()).await.unwrap_err();
    assert!(matches!(error, DriverError::Database(ovsdb::Error::Transaction { .. })), "{error}");
    assert!(error.to_string().contains("at commit: referential integrity violation"), "{error}");
    assert!(database.cache().await.unwrap().ports().next().is_none());
    let wait = Operation::Wait {
        timeout: 0,
        table: "Bridge".into(),
        conditions: vec![Condition::equal("name", "none")],
        columns: vec!["name".into()],
        equal: true,
        rows: vec![[("name".to_owned(), "none".into())].into()],
    };
    let error = database.transact([Operation::Comment("x".into()), wait].into_iter().collect()).await.unwrap_err();
    let DriverError::Database(ovsdb::Error::Transaction { index: 1, operation, error, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!((operation.as_str(), error.as_str()), ("wait Bridge", "timed out"));
}

/// The model that the planner's laws are held by does what the real server does.
#[tokio::test(flavor = "multi_thread")]
async fn the_model_agrees_with_the_real_server() {
    let switch = PrivateSwitch::start().unwrap();
    let mut real = Database::new(&switch.db_socket());
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeDatabase::start(&folder.path().join("db.sock"), MonitorMethod::CondSince).unwrap();
    let mut model = Database::new(&folder.path().join("db.sock"));
    let shape = |cache: &ovsdb::Cache| {
        let bridge = |bridge: &ovsdb::Bridge| {
            let ports: std::collections::BTreeSet<_> = cache.ports_of(bridge).map(|port| port.name.clone()).collect();
            (
                bridge.name.clone(),
                bridge.fail_mode.clone(),
                bridge.protocols.clone(),
                bridge.other_config.clone(),
                ports,
            )
        };
        let port = |port: &ovsdb::Port| (port.name.clone(), port.tag, port.trunks.clone(), port.other_config.clone());
        let interface =
            |row: &ovsdb::Interface| (row.name.clone(), row.kind.clone(), row.options.clone(), row.mtu_request);
        let sorted = |mut list: Vec<_>| {
            list.sort();
            list
        };
        let mut ports: Vec<_> = cache.ports().map(port).collect();
        let mut interfaces: Vec<_> = cache.interfaces().map(interface).collect();
        ports.sort();
        interfaces.sort();
        (sorted(cache.bridges().map(bridge).collect::<Vec<_>>()), ports, interfaces)
    };
    let full = desired();
    let mut less = full.clone();
    let moved = less.bridges.get_mut("br-tun").unwrap().ports.remove("vxlan-0a090902").unwrap();
    less.bridges.get_mut("br-int").unwrap().ports.insert("vxlan-0a090902".into(), moved);
    less.bridges.get_mut("br-int").unwrap().fail_mode = Some("standalone".into());
    less.vlans.insert("patch-tun".into(), PortVlan::default());
    for wanted in [&full, &less, &Desired::nothing(full.owner.clone()), &full] {
        for database in [&mut real, &mut model] {
            let cache = database.cache().await.unwrap();
            database.transact(ovsdb::plan(&cache, wanted).transaction.unwrap()).await.unwrap();
        }
        assert_eq!(shape(&real.cache().await.unwrap()), shape(&model.cache().await.unwrap()));
    }
    drop(fake);
}

#[tokio::test]
async fn older_servers_are_understood_too() {
    for best in [MonitorMethod::CondSince, MonitorMethod::Cond, MonitorMethod::Plain] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("db.sock");
        let fake = FakeDatabase::start(&socket, best).unwrap();
        let mut database = Database::new(&socket);
        let desired = desired();
        for wanted in [&desired, &Desired::nothing(desired.owner.clone()), &desired] {
            let cache = database.cache().await.unwrap();
            database.transact(ovsdb::plan(&cache, wanted).transaction.unwrap()).await.unwrap();
            assert_eq!(ovsdb::plan(&database.cache().await.unwrap(), wanted), Plan::default(), "{best:?}");
        }
        fake.transact(&[retag(5)].into_iter().collect());
        until(&mut database, "told", |s| s.cache.port("patch-tun").is_some_and(|port| port.tag == Some(5))).await;
    }
}

fn retag(tag: u16) -> Operation {
    let conditions = vec![Condition::equal("name", "patch-tun")];
    Operation::Update { table: "Port".into(), conditions, row: [("tag".to_owned(), tag.into())].into() }
}

/// A lost connection says so, keeps the last copy, and what was missed meanwhile is there afterwards.
#[tokio::test]
async fn a_lost_connection_is_said_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("db.sock");
    let mut database = Database::new(&socket);
    let error = database.cache().await.unwrap_err();
    assert!(matches!(error, DriverError::DatabaseLost { .. }), "{error}");

    let fake = FakeDatabase::start(&socket, MonitorMethod::CondSince).unwrap();
    until(&mut database, "connected", |s| s.connection == Connection::Connected).await;
    let transaction = ovsdb::plan(&database.cache().await.unwrap(), &desired()).transaction.unwrap();
    database.transact(transaction).await.unwrap();

    let model = fake.database();
    drop(fake);
    until(&mut database, "lost", |s| matches!(s.connection, Connection::Lost(_))).await;
    assert!(database.cache().await.is_err() && database.last().cache.port("patch-tun").is_some());
    assert!(database.transact(Transaction::new()).await.is_err());
    drop(model);

    // Another, empty database behind the same socket.
    let fake = FakeDatabase::start(&socket, MonitorMethod::CondSince).unwrap();
    until(&mut database, "connected again", |s| s.connection == Connection::Connected).await;
    assert!(database.cache().await.unwrap().port("patch-tun").is_none());
    fake.disconnect();
    until(&mut database, "lost again", |s| matches!(s.connection, Connection::Lost(_))).await;
    until(&mut database, "and back", |s| s.connection == Connection::Connected).await;
}

/// A server that hangs keeps its socket open; only silence tells.
#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_taken_for_dead() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("db.sock");
    let fake = FakeDatabase::start(&socket, MonitorMethod::CondSince).unwrap();
    let mut database = Database::new(&socket);
    database.cache().await.unwrap();
    // Echoes keep a quiet connection alive.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(database.last().connection, Connection::Connected);
    fake.be_silent(true);
    let (asked, ()) = tokio::join!(database.transact([retag(1)].into_iter().collect()), async {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await
    });
    assert!(matches!(asked, Err(DriverError::DatabaseLost { .. })));
    assert!(matches!(database.last().connection, Connection::Lost(_)));
    fake.be_silent(false);
    until(&mut database, "back", |s| s.connection == Connection::Connected).await;
}
