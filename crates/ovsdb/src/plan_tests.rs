use super::*;
use crate::model::Database;
use crate::{Change, ChangeKind, Condition, DesiredMirror, ExportKind, Owner, TableName};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn owner() -> Owner {
    Owner::new("neutronium-owner", "agent")
}

/// A database and the copy that a monitor of it keeps.
struct Copied {
    database: Database,
    cache: Cache,
}

impl Copied {
    fn new() -> Self {
        let database = Database::open_vswitch();
        let mut cache = Cache::new(database.schema().clone());
        cache.apply(database.snapshot()).unwrap();
        Self { database, cache }
    }

    fn transact(&mut self, transaction: &Transaction) -> Vec<Outcome> {
        let (result, update) = self.database.transact(transaction);
        let outcomes = transaction.outcome(&result).unwrap_or_else(|error| panic!("{error} in {transaction:?}"));
        self.cache.apply(update).unwrap();
        outcomes
    }

    /// Plans and applies; what was in the way.
    fn reach(&mut self, desired: &Desired) -> Vec<Conflict> {
        let plan = plan(&self.cache, desired);
        if let Some(transaction) = plan.transaction {
            let before = self.cache.switch().unwrap().next_cfg;
            let outcomes = self.transact(&transaction);
            assert_eq!(Plan::next_cfg(&outcomes), Some(before + 1));
        }
        plan.conflicts
    }
}

fn text_map() -> impl Strategy<Value = StringMap> {
    proptest::collection::btree_map("[a-c]", "[x-z]", 0..3)
}

fn port() -> impl Strategy<Value = DesiredPort> {
    let kind = proptest::sample::select(vec!["", "system", "internal", "patch", "vxlan", "gre", "geneve"]);
    let maps = (text_map(), text_map(), text_map());
    (kind, maps, proptest::option::of("0[2-3]"), proptest::option::of(1400u32..1403)).prop_map(
        |(kind, (options, external_ids, bfd), mac, mtu_request)| DesiredPort {
            kind: kind.into(),
            options,
            bfd,
            external_ids,
            mac,
            mtu_request,
        },
    )
}

fn vlan() -> impl Strategy<Value = PortVlan> {
    let config = proptest::collection::btree_map("(net_uuid|tag)", "[x-z]", 0..3);
    (proptest::option::of(1u16..4), proptest::collection::btree_set(1u16..4, 0..3), config)
        .prop_map(|(tag, trunks, other_config)| PortVlan { tag, trunks, other_config })
}

fn mirror() -> impl Strategy<Value = DesiredMirror> {
    let ports = || proptest::collection::btree_set("p[0-5]", 0..3);
    let vlans = proptest::collection::btree_set(0u16..3, 0..3);
    (ports(), ports(), vlans, "p[0-5]").prop_map(|(select_src_port, select_dst_port, select_vlan, output_port)| {
        DesiredMirror { select_src_port, select_dst_port, select_vlan, output_port }
    })
}

fn exports() -> impl Strategy<Value = BTreeMap<ExportKind, Row>> {
    let targets = || proptest::collection::btree_set("192.0.2.[1-3]:6343", 1..3);
    let row = |number: &'static str| {
        (targets(), 1i64..4).prop_map(move |(targets, value)| {
            Row::from([("targets".to_owned(), Value::set(targets)), (number.to_owned(), value.into())])
        })
    };
    let maybe = |kind, number| proptest::option::of(row(number)).prop_map(move |row| row.map(|row| (kind, row)));
    (
        maybe(ExportKind::SFlow, "sampling"),
        maybe(ExportKind::Ipfix, "cache_max_flows"),
        maybe(ExportKind::NetFlow, "active_timeout"),
    )
        .prop_map(|(sflow, ipfix, netflow)| [sflow, ipfix, netflow].into_iter().flatten().collect())
}

fn desired() -> impl Strategy<Value = Desired> {
    let mode = || proptest::option::of(proptest::sample::select(vec!["secure".to_owned(), "standalone".to_owned()]));
    let bridge = (
        (proptest::option::of("(netdev|system)"), mode(), proptest::collection::btree_set("OpenFlow1[0-5]", 0..3)),
        (proptest::option::of("0[2-3]"), proptest::option::of(1400u32..1403)),
        proptest::collection::btree_map("p[0-5]", port(), 0..5),
        proptest::collection::btree_map("m[0-2]", mirror(), 0..3),
        exports(),
    )
        .prop_map(|((datapath_type, fail_mode, protocols), (hwaddr, mtu_request), ports, mirrors, exports)| {
            DesiredBridge {
                create: true,
                datapath_type,
                fail_mode,
                protocols,
                hwaddr,
                mtu_request,
                ports,
                mirrors,
                exports,
            }
        });
    (
        proptest::collection::btree_map("br[0-3]", bridge, 0..4),
        proptest::collection::btree_map("(p[0-7]|br[0-3])", vlan(), 0..5),
    )
        .prop_map(|(bridges, vlans)| {
            let mut desired = Desired { owner: owner(), bridges, vlans };
            // A name can only be in one place.
            let mut seen = BTreeSet::new();
            for bridge in desired.bridges.values_mut() {
                bridge.ports.retain(|name, _| seen.insert(name.clone()));
                let there = |name: &String| bridge.ports.contains_key(name);
                bridge.mirrors.retain(|_, mirror| there(&mirror.output_port));
                for mirror in bridge.mirrors.values_mut() {
                    mirror.select_src_port.retain(there);
                    mirror.select_dst_port.retain(there);
                }
            }
            desired
        })
}

/// Is everything that is desired there, and nothing else of ours?
fn assert_reached(cache: &Cache, desired: &Desired) {
    let kind = |kind: &str| if kind == "system" { String::new() } else { kind.to_owned() };
    for (name, wish) in &desired.bridges {
        let bridge = cache.bridge(name).unwrap();
        assert!(wish.datapath_type.as_ref().is_none_or(|wish| *wish == bridge.datapath_type));
        assert!(wish.fail_mode.is_none() || wish.fail_mode == bridge.fail_mode);
        assert!(wish.protocols.is_empty() || wish.protocols == bridge.protocols);
        assert!(wish.hwaddr.is_none() || wish.hwaddr.as_ref() == bridge.other_config.get("hwaddr"));
        let own = cache.interface(name).unwrap();
        assert_eq!(own.kind, "internal");
        assert!(wish.mtu_request.is_none() || wish.mtu_request == own.mtu_request);
        for (name, wish) in &wish.ports {
            let port = cache.port(name).unwrap();
            assert_eq!(cache.bridge_of(port), Some(bridge));
            let interface = cache.interface(name).unwrap();
            assert_eq!(kind(&wish.kind), kind(&interface.kind));
            assert_eq!(wish.options, interface.options);
            assert!(wish.external_ids.iter().all(|(key, value)| interface.external_ids.get(key) == Some(value)));
            assert!(wish.mac.is_none() || wish.mac == interface.mac);
            assert!(wish.mtu_request.is_none() || wish.mtu_request == interface.mtu_request);
        }
        assert_shows(cache, bridge, wish, &desired.owner);
    }
    for (name, wish) in &desired.vlans {
        let Some(port) = cache.port(name) else { continue };
        assert_eq!((port.tag, &port.trunks), (wish.tag, &wish.trunks));
        for key in crate::desired::PORT_CONFIG_KEYS {
            assert_eq!(port.other_config.get(key), wish.other_config.get(key));
        }
    }
    for bridge in cache.bridges().filter(|bridge| desired.owner.owns(&bridge.external_ids)) {
        assert!(desired.bridges.contains_key(&bridge.name));
    }
    for port in cache.ports().filter(|port| desired.owner.owns(&port.external_ids)) {
        assert!(desired.bridges.values().any(|bridge| bridge.ports.contains_key(&port.name)), "{}", port.name);
    }
}

fn assert_shows(cache: &Cache, bridge: &Bridge, wish: &DesiredBridge, owner: &Owner) {
    let uuids =
        |ports: &BTreeSet<String>| ports.iter().map(|port| cache.port(port).unwrap().uuid).collect::<BTreeSet<_>>();
    let mut ours: Vec<_> = cache.mirrors_of(bridge).filter(|mirror| owner.owns(&mirror.external_ids)).collect();
    ours.sort_by_key(|mirror| &mirror.name);
    assert_eq!(ours.iter().map(|mirror| &mirror.name).collect::<Vec<_>>(), wish.mirrors.keys().collect::<Vec<_>>());
    for (mirror, wish) in ours.into_iter().zip(wish.mirrors.values()) {
        let selected = (&mirror.select_src_port, &mirror.select_dst_port);
        assert_eq!(selected, (&uuids(&wish.select_src_port), &uuids(&wish.select_dst_port)));
        assert_eq!(mirror.select_vlan, wish.select_vlan);
        assert_eq!(mirror.output_port, Some(cache.port(&wish.output_port).unwrap().uuid));
    }
    for kind in ExportKind::ALL {
        match (cache.export_of(bridge, kind), wish.exports.get(&kind)) {
            (Some((_, row)), Some(wish)) => assert!(wish.iter().all(|(column, value)| row.get(column) == Some(value))),
            (found, wish) => assert_eq!((found, wish), (None, None)),
        }
    }
}

/// What is not ours: the rows whose names are not in what was desired before or is now.
fn foreign(cache: &Cache) -> (BTreeMap<String, Vec<Port>>, Vec<Interface>) {
    let is_foreign = |name: &str| name.starts_with("foreign");
    let ports = |bridge| cache.ports_of(bridge).filter(|port| is_foreign(&port.name)).cloned().collect();
    let bridges = cache.bridges().map(|bridge| (bridge.name.clone(), ports(bridge)));
    let interfaces = cache.interfaces().filter(|interface| is_foreign(&interface.name)).cloned().collect();
    (bridges.filter(|(_, ports): &(_, Vec<Port>)| !ports.is_empty()).collect(), interfaces)
}

/// Adds a bridge with a port of somebody else, and a port with `iface-id` on the bridge `br0`.
fn plug_foreign(copied: &mut Copied) {
    let mut others = Desired::nothing(Owner::new("owner", "somebody"));
    let port = DesiredPort { external_ids: [("iface-id".to_owned(), "1".to_owned())].into(), ..DesiredPort::default() };
    let ports: BTreeMap<_, _> = [("foreign1".to_owned(), port.clone())].into();
    let bridge = DesiredBridge { create: true, ports, ..DesiredBridge::default() };
    others.bridges.insert("foreign-br".into(), bridge.clone());
    let ports = [("foreign2".to_owned(), port)].into();
    others.bridges.insert("br0".into(), DesiredBridge { ports, ..bridge });
    assert_eq!(copied.reach(&others), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn applying_the_plan_gives_what_is_desired_and_then_nothing_is_left(first in desired(), second in desired()) {
        let mut copied = Copied::new();
        for desired in [&first, &second, &Desired::nothing(owner())] {
            prop_assert_eq!(copied.reach(desired), []);
            assert_reached(&copied.cache, desired);
            prop_assert_eq!(plan(&copied.cache, desired), Plan::default());
        }
        prop_assert_eq!(copied.cache.bridges().count() + copied.cache.ports().count() + copied.cache.interfaces().count(), 0);
    }

    #[test]
    fn what_is_not_ours_is_left_alone(first in desired(), second in desired()) {
        let mut copied = Copied::new();
        plug_foreign(&mut copied);
        let before = foreign(&copied.cache);
        for desired in [&first, &second, &Desired::nothing(owner())] {
            prop_assert_eq!(copied.reach(desired), []);
            assert_reached(&copied.cache, desired);
            prop_assert_eq!(plan(&copied.cache, desired), Plan::default());
        }
        prop_assert_eq!(foreign(&copied.cache), before);
        prop_assert!(copied.cache.bridge("br0").is_some() && copied.cache.bridge("foreign-br").is_some());
    }

    #[test]
    fn a_cache_kept_by_differences_equals_a_fresh_one(first in desired(), second in desired()) {
        let mut copied = Copied::new();
        copied.reach(&first);
        let mut stale = copied.cache.clone();
        copied.reach(&second);
        let mut fresh = Cache::new(copied.database.schema().clone());
        fresh.apply(copied.database.snapshot()).unwrap();
        let rows = |cache: &Cache| {
            (
                cache.switch().cloned(),
                cache.bridges().cloned().collect::<Vec<_>>(),
                cache.ports().cloned().collect::<Vec<_>>(),
                cache.interfaces().cloned().collect::<Vec<_>>(),
            )
        };
        prop_assert_eq!(rows(&copied.cache), rows(&fresh));
        // As after a lost connection: everything is told anew, and only what differs is a change.
        let changes = stale.apply(copied.database.snapshot()).unwrap();
        prop_assert_eq!(rows(&stale), rows(&fresh));
prop_assert!(changes.iter().all(|change| (change.kind != ChangeKind::Deleted) == exists(&copied.cache, change)));
        prop_assert_eq!(stale.apply(copied.database.snapshot()), Ok(vec![]));
    }
}

fn exists(cache: &Cache, change: &Change) -> bool {
    match change.table {
        TableName::OpenVSwitch => true,
        TableName::Bridge => cache.bridges().any(|row| row.uuid == change.uuid),
        TableName::Port => cache.ports().any(|row| row.uuid == change.uuid),
        TableName::Interface => cache.interfaces().any(|row| row.uuid == change.uuid),
        TableName::Mirror => cache.bridges().any(|bridge| bridge.mirrors.contains(&change.uuid)),
        TableName::SFlow => cache.bridges().any(|bridge| bridge.sflow == Some(change.uuid)),
        TableName::Ipfix => cache.bridges().any(|bridge| bridge.ipfix == Some(change.uuid)),
        TableName::NetFlow => cache.bridges().any(|bridge| bridge.netflow == Some(change.uuid)),
    }
}

fn one_bridge(port: &str) -> Desired {
    let ports = [(port.to_owned(), DesiredPort::default())].into();
    let bridge = DesiredBridge { create: true, fail_mode: Some("secure".into()), ports, ..DesiredBridge::default() };
    Desired { bridges: [("br-int".to_owned(), bridge)].into(), ..Desired::nothing(owner()) }
}

#[test]
fn a_hypervisors_port_gets_its_vlan_and_nothing_else() {
    let mut copied = Copied::new();
    plug_foreign(&mut copied);
    let mut desired = Desired::nothing(owner());
    let other_config: StringMap = [("net_uuid".to_owned(), "n".to_owned())].into();
    desired.vlans.insert("foreign2".into(), PortVlan { tag: Some(3), other_config, ..PortVlan::default() });
    desired.vlans.insert("not-there".into(), PortVlan::default());
    let transaction = plan(&copied.cache, &desired).transaction.unwrap();
    assert_eq!(transaction.to_string(), "comment, update Port, mutate Port, mutate Open_vSwitch, select Open_vSwitch");
    let before = copied.cache.interface("foreign2").cloned();
    copied.transact(&transaction);
    assert_eq!(copied.cache.port("foreign2").unwrap().tag, Some(3));
    assert_eq!(copied.cache.interface("foreign2").cloned(), before);
}

#[test]
fn conflicts_are_said_and_the_rest_is_done() {
    let mut copied = Copied::new();
    plug_foreign(&mut copied);
    let mut desired = one_bridge("foreign1");
    desired.bridges.insert("br-ex".into(), DesiredBridge::default());
    let elsewhere = Conflict::PortElsewhere { port: "foreign1".into(), bridge: "br-int".into() };
    assert_eq!(copied.reach(&desired), [Conflict::MissingBridge("br-ex".into()), elsewhere]);
    assert!(copied.cache.bridge("br-int").is_some());
    assert_eq!(plan(&Cache::default(), &desired).conflicts, [Conflict::NoSwitch]);

    let mut twice = one_bridge("p1");
    twice.bridges.insert("br-tun".into(), twice.bridges["br-int"].clone());
    assert_eq!(Copied::new().reach(&twice), [Conflict::NameTaken("p1".into())]);
}

#[test]
fn keys_that_others_write_survive() {
    let mut copied = Copied::new();
    let mut desired = one_bridge("p1");
    desired.bridges.get_mut("br-int").unwrap().hwaddr = Some("02:00:00:00:00:01".into());
    let config =
        |tag: &str| PortVlan { other_config: [("tag".to_owned(), tag.to_owned())].into(), ..PortVlan::default() };
    desired.vlans.insert("p1".into(), config("1"));
    copied.reach(&desired);
    let theirs = |table: &str| Operation::Mutate {
        table: table.into(),
        conditions: vec![Condition::equal("name", if table == "Bridge" { "br-int" } else { "p1" })],
        mutations: vec![Mutation::insert_pairs("other_config", [("theirs", "1")])],
    };
    copied.transact(&[theirs("Bridge"), theirs("Port")].into_iter().collect());
    desired.bridges.get_mut("br-int").unwrap().hwaddr = Some("02:00:00:00:00:02".into());
    desired.vlans.insert("p1".into(), config("2"));
    copied.reach(&desired);
    let keys =
        |config: &StringMap| config.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&copied.cache.bridge("br-int").unwrap().other_config), "hwaddr=02:00:00:00:00:02 theirs=1");
    assert_eq!(keys(&copied.cache.port("p1").unwrap().other_config), "tag=2 theirs=1");
}

#[test]
fn a_port_that_somebody_else_made_is_set_right_but_stays_theirs() {
    let mut copied = Copied::new();
    plug_foreign(&mut copied);
    let settings = DesiredPort {
        kind: "internal".into(),
        external_ids: [("attached-mac".to_owned(), "2".to_owned())].into(),
        ..DesiredPort::default()
    };
    let mut desired = Desired::nothing(owner());
    let ports = [("foreign2".to_owned(), settings)].into();
    desired.bridges.insert("br0".into(), DesiredBridge { ports, ..DesiredBridge::default() });
    assert_eq!(copied.reach(&desired), []);
    let interface = copied.cache.interface("foreign2").unwrap();
    assert_eq!(interface.kind, "internal");
    assert_eq!(interface.external_ids.keys().map(String::as_str).collect::<Vec<_>>(), ["attached-mac", "iface-id"]);
    assert_eq!(plan(&copied.cache, &desired), Plan::default());
    copied.reach(&Desired::nothing(owner()));
    assert!(copied.cache.port("foreign2").is_some());
}

/// What goes over the wire: a bridge with a patch and a tagged port from nothing, then a change of each kind.
#[test]
fn the_wire_form_of_a_plan() {
    let mut copied = Copied::new();
    let mut desired = one_bridge("tap1");
    let bridge = desired.bridges.get_mut("br-int").unwrap();
    bridge.protocols = ["OpenFlow13".to_owned(), "OpenFlow14".to_owned()].into();
    let options = [("peer".to_owned(), "patch-int".to_owned())].into();
    bridge.ports.insert("patch-tun".into(), DesiredPort { kind: "patch".into(), options, ..DesiredPort::default() });
    let config = |network: &str| [("net_uuid".to_owned(), network.to_owned())].into();
    desired.vlans.insert("tap1".into(), PortVlan { tag: Some(1), trunks: [].into(), other_config: config("n1") });
    let lines = |transaction: &Transaction| {
        transaction.operations().iter().map(|operation| operation.to_json().to_string()).collect::<Vec<_>>().join("\n")
    };
    let first = plan(&copied.cache, &desired).transaction.unwrap();
    copied.transact(&first);
    desired.bridges.get_mut("br-int").unwrap().ports.remove("patch-tun");
    desired.bridges.get_mut("br-int").unwrap().fail_mode = Some("standalone".into());
    desired.vlans.insert("tap1".into(), PortVlan { tag: Some(2), trunks: [].into(), other_config: config("n2") });
    let second = plan(&copied.cache, &desired).transaction.unwrap();
    insta::assert_snapshot!(format!("{}\n\n{}", lines(&first), lines(&second)));
}

/// A mirror and an sFlow agent that somebody set up by hand stay; ours come, change and go beside them.
#[test]
fn what_others_observe_stays() {
    let mut copied = Copied::new();
    let mut desired = one_bridge("tap1");
    copied.reach(&desired);
    let bridge = copied.cache.bridge("br-int").unwrap().uuid;
    let name = |text: &str| Row::from([("name".to_owned(), text.into())]);
    let by_hand: Transaction = [
        Operation::insert("Mirror", "m", name("span")),
        Operation::mutate(
            "Bridge",
            bridge,
            vec![Mutation::new("mirrors", Mutator::Insert, Atom::NamedUuid("m".into()))],
        ),
        Operation::insert("sFlow", "s", [("targets".to_owned(), "192.0.2.9:6343".into())].into()),
        Operation::update("Bridge", bridge, [("sflow".to_owned(), Atom::NamedUuid("s".into()).into())].into()),
    ]
    .into_iter()
    .collect();
    copied.transact(&by_hand);
    let ours = desired.bridges.get_mut("br-int").unwrap();
    // The same name is no reason to take it for ours.
    let port = || BTreeSet::from(["tap1".to_owned()]);
    ours.ports.insert("tmo-1".into(), DesiredPort::default());
    let mirror = DesiredMirror { select_src_port: port(), output_port: "tmo-1".into(), ..DesiredMirror::default() };
    ours.mirrors.insert("span".into(), mirror);
    let missing =
        DesiredMirror { select_src_port: port(), output_port: "not-there".into(), ..DesiredMirror::default() };
    ours.mirrors.insert("lost".into(), missing);
    let targets = || Row::from([("targets".to_owned(), "192.0.2.1:6343".into())]);
    ours.exports = [(ExportKind::SFlow, targets()), (ExportKind::NetFlow, targets())].into();
    let taken = || Conflict::ExportTaken { bridge: "br-int".into(), table: "sFlow" };
    assert_eq!(copied.reach(&desired), [taken()]);
    assert_eq!(plan(&copied.cache, &desired), Plan { transaction: None, conflicts: vec![taken()] });
    let shown = |copied: &Copied| {
        let bridge = copied.cache.bridge("br-int").unwrap();
        let there = |kind| copied.cache.export_of(bridge, kind).is_some();
        (copied.cache.mirrors_of(bridge).count(), ExportKind::ALL.map(there))
    };
    assert_eq!(shown(&copied), (2, [true, false, true]));
    copied.reach(&one_bridge("tap1"));
    assert_eq!(shown(&copied), (1, [true, false, false]));
}
