//! The law that lists and single objects obey one rule: a condition as SQL finds exactly the rows whose objects meet it in
//! memory.

use super::render::{Fetch, Order};
use super::shape::Shape;
use super::sql::Given;
use super::target::ObjectTarget;
use access_policy::{Condition, Credentials, Expected, Of, Policy};
use api_schema::{Resource, resources};
use jiff::Timestamp;
use net_types::NetworkId;
use network_store::network::NetworkCreate;
use network_store::port::PortCreate;
use network_store::rbac::RbacPolicyCreate;
use network_store::{NetworkConfig, NetworkError, NetworkOptions, Work, network, port, rbac};
use proptest::prelude::*;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use store::testing::TestDatabase;
use store::{Snapshot, Store, StoreError};

fn share(work: &Work<'_>, network: NetworkId, target: &str) -> Result<(), NetworkError> {
    let request = RbacPolicyCreate {
        project_id: "other".into(),
        object_type: "network".into(),
        object_id: network.0,
        action: rbac::SHARED.into(),
        target_tenant: target.into(),
    };
    rbac::create(work, &request).map(drop)
}

/// Networks of two projects, shared with all or one, external or neither, with ports of both projects on each.
fn cloud() -> (Store, TestDatabase) {
    let database = TestDatabase::new();
    let store = database.open();
    network_store::prepare(&store).unwrap();
    let config = NetworkConfig::new(&NetworkOptions::default()).unwrap();
    store
        .write_blocking(move |tx| {
            let work = Work::system(tx, &config);
            for index in 0..6_u8 {
                let request = NetworkCreate {
                    project_id: ["own", "other"][usize::from(index % 2)].into(),
                    admin_state_up: index % 3 == 0,
                    shared: index == 2 || index == 3,
                    external: index == 4 || index == 3,
                    ..NetworkCreate::of_service()
                };
                let id = network::create(&work, request)?;
                if index == 5 {
                    share(&work, id, "own")?;
                } else if index == 1 {
                    share(&work, id, "other")?;
                }
                for (project, owner) in
                    [("own", ""), ("other", "compute:nova"), ("own", "network:dhcp"), ("", "network:x")]
                {
                    port::create(&work, PortCreate::of_service(id, project, owner, ""))?;
                }
            }
            Ok::<_, NetworkError>(())
        })
        .unwrap();
    (store, database)
}

/// The caller is of this project.
fn own() -> Credentials {
    Credentials { project_id: "own".into(), ..Credentials::default() }
}

fn given(who: &Credentials) -> Given<'_> {
    Given { alive_since: Timestamp::now(), who, dot_domain: "", related_to: None, key: "", parent: "" }
}

fn objects(
    snapshot: &Snapshot<'_>,
    resource: &'static Resource,
    condition: &Condition,
) -> Result<Vec<Value>, StoreError> {
    let fetch = Fetch::new(Shape::everything(resource));
    let mut sql = fetch.select.clone();
    let condition = sql.condition(resource, condition);
    sql.push(&format!(" WHERE {condition}"));
    let mut list = fetch.run(snapshot, &sql, &given(&own()), Order::AsRead, b"[")?.bytes;
    list.push(b']');
    Ok(serde_json::from_slice(&list).unwrap())
}

fn check(snapshot: &Snapshot<'_>, resource: &'static Resource, condition: &Condition) -> Result<(), StoreError> {
    let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
    let by_sql: BTreeSet<String> = objects(snapshot, resource, condition)?.iter().map(id).collect();
    let meets = |object: &Value| {
        let values: &Map<String, Value> = object.as_object().unwrap();
        condition.holds(&ObjectTarget { resource, values, snapshot, given: &given(&own()) })
    };
    let all = objects(snapshot, resource, &Condition::Always)?;
    let in_memory: BTreeSet<String> = all.iter().filter(|object| meets(object)).map(id).collect();
    assert_eq!(by_sql, in_memory, "{} {condition:?}", resource.name);
    Ok(())
}

#[test]
fn default_rules_mean_the_same_in_sql_and_in_memory() {
    let (store, _database) = cloud();
    let policy = Policy::neutron();
    let rules =
        ["get_network", "get_port", "update_port", "delete_port", "create_port", "create_port:device_owner", "default"];
    for roles in [&["reader"][..], &["member", "reader"], &["service"], &["admin"], &[]] {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let who = Credentials { project_id: "own".into(), roles, ..Credentials::default() };
        for rule in rules {
            let condition = policy.condition(rule, &who);
            store.read_blocking(|snapshot| check(snapshot, &resources::PORT, &condition)).unwrap();
        }
        let condition = policy.condition("get_network", &who);
        store.read_blocking(|snapshot| check(snapshot, &resources::NETWORK, &condition)).unwrap();
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    let equals = |key: &str, value: &str| Condition::Equals { key: key.into(), value: value.into() };
    let field = |collection: &str, field: &str, expected| Condition::Field {
        collection: collection.into(),
        field: field.into(),
        expected,
    };
    let own = |key: &str| Condition::Own { key: key.into(), of: Of::Project, value: "own".into() };
    let leaves = vec![
        Condition::Always,
        Condition::Never,
        equals("project_id", "own"),
        equals("project_id", "other"),
        equals("network:project_id", "own"),
        equals("nothing", "own"),
        own("project_id"),
        own("network:project_id"),
        own("revision_number"),
        own("admin_state_up"),
        field("networks", "shared", Expected::Exactly("True".into())),
        field("networks", "shared", Expected::Exactly("False".into())),
        field("networks", "router:external", Expected::Exactly("False".into())),
        field("port", "device_owner", Expected::Prefix("network:".into())),
        field("port", "device_owner", Expected::Exactly("compute:nova".into())),
    ];
    proptest::sample::select(leaves).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::All),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::Any),
            inner.prop_map(|condition| Condition::Not(Box::new(condition))),
        ]
    })
}

#[test]
fn any_condition_means_the_same_in_sql_and_in_memory() {
    let (store, _database) = cloud();
    proptest!(ProptestConfig::with_cases(200), |(condition in condition())| {
        store.read_blocking(|snapshot| check(snapshot, &resources::PORT, &condition)).unwrap();
    });
}
