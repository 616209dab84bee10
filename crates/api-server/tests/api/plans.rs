//! What the frequent requests ask the database: no statement may read a table from end to end, however it grows, and none
//! of them may become many.

use crate::server::{ADMIN, DEMO, Server, id};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use store::testing::TestDatabase;
use store::{Observer, Options, Store, StoreError};

/// The beginnings of plans that read what does not grow with a cloud: the few rules that new groups begin with.
const ALLOWED: &[&str] = &["SCAN CONSTANT ROW", "SCAN (subquery", "SCAN template"];

/// Most statements of a change, and of a look.
const CHANGE: usize = 50;
const LOOK: usize = 10;
/// Of a look at a port without pairs, DHCP options and tags: nobody asks for these.
const BARE_LOOK: usize = 7;

/// The statements of one request and how often each ran.
type Statements = BTreeMap<String, usize>;

struct Watched {
    server: Server,
    seen: Arc<Mutex<Statements>>,
    wrong: Vec<String>,
}

impl Watched {
    fn new() -> Self {
        let seen: Arc<Mutex<Statements>> = Arc::default();
        let shared = Arc::clone(&seen);
        let observe = Observer(Arc::new(move |sql: &str| {
            *shared.lock().unwrap().entry(sql.to_owned()).or_default() += 1;
        }));
        let options = Options { observe: Some(observe), ..Options::default() };
        let server = Server::over(&crate::server::options(), TestDatabase::file(), |path| {
            Store::open_with(path, &options).unwrap()
        });
        Self { server, seen, wrong: Vec::new() }
    }

    /// One request; `most` statements are allowed to it.
    async fn ask(&mut self, what: &str, most: usize, method: &str, path: &str, body: Value) -> Value {
        self.seen.lock().unwrap().clear();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = self.server.raw(method, path, Some(DEMO), body).await;
        assert!(answer.status < 300, "{what}: {}", answer.text);
        let statements = std::mem::take(&mut *self.seen.lock().unwrap());
        let ran: usize = statements.values().sum();
        if ran > most {
            self.wrong.push(format!("{what}: {ran} statements instead of {most}: {statements:#?}"));
        }
        for sql in statements.keys() {
            for line in plan(&self.server.store, sql).unwrap() {
                if line.starts_with("SCAN ") && !ALLOWED.iter().any(|allowed| line.starts_with(allowed)) {
                    self.wrong.push(format!("{what}: {line}: {sql}"));
                }
            }
        }
        answer.body
    }

    async fn make(&mut self, kind: &str, members: Value) -> Value {
        let path = format!("/v2.0/{}s", kind.replace('_', "-"));
        let body = json!({ kind: members });
        let made = self.ask(&format!("{kind} create"), CHANGE, "POST", &path, body).await;
        made[kind].clone()
    }
}

/// How SQLite would run a statement.
fn plan(store: &Store, sql: &str) -> Result<Vec<String>, StoreError> {
    let control = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"];
    if control.iter().any(|word| sql.starts_with(word)) {
        return Ok(Vec::new());
    }
    let parameters = (1..).take_while(|n| sql.contains(&format!("?{n}"))).count();
    let nothing = vec![store::Value::Null; parameters];
    store.read_blocking(|snapshot| {
        snapshot.query(&format!("EXPLAIN QUERY PLAN {sql}"), &nothing, |row| row.get::<String>(3))
    })
}

#[tokio::test]
async fn frequent_requests_are_few_look_ups_by_index() {
    let mut watched = Watched::new();
    let outside = watched.server.create(ADMIN, "network", json!({"router:external": true})).await;
    let subnet = json!({"network_id": id(&outside), "ip_version": 4, "cidr": "203.0.113.0/24"});
    watched.server.create(ADMIN, "subnet", subnet).await;
    // The first of a project makes its default group.
    watched.server.create(DEMO, "network", json!({})).await;

    let network = watched.make("network", json!({"name": "n"})).await;
    let network = id(&network).to_owned();
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"});
    let subnet = watched.make("subnet", subnet).await;
    let port = watched.make("port", json!({"network_id": network, "name": "p"})).await;
    let port_path = format!("/v2.0/ports/{}", id(&port));
    let group = watched.make("security_group", json!({"name": "g"})).await;
    let rule = json!({"security_group_id": id(&group), "direction": "ingress", "protocol": "tcp",
        "port_range_min": 80, "port_range_max": 80});
    let rule = watched.make("security_group_rule", rule).await;
    let router = watched.make("router", json!({"external_gateway_info": {"network_id": id(&outside)}})).await;
    let router_path = format!("/v2.0/routers/{}", id(&router));
    let join = json!({"subnet_id": id(&subnet)});
    let path = format!("{router_path}/add_router_interface");
    watched.ask("router add interface", CHANGE, "PUT", &path, join.clone()).await;
    let floating = json!({"floating_network_id": id(&outside), "port_id": id(&port)});
    let floating = watched.make("floatingip", floating).await;
    watched.ask("port show", BARE_LOOK, "GET", &port_path, Value::Null).await;
    watched.ask("port update", CHANGE, "PUT", &port_path, json!({"port": {"name": "q"}})).await;
    watched.ask("port list", LOOK, "GET", "/v2.0/ports", Value::Null).await;
    watched.ask("port page", LOOK, "GET", "/v2.0/ports?limit=1", Value::Null).await;
    watched.ask("port list by device", BARE_LOOK, "GET", "/v2.0/ports?device_id=x", Value::Null).await;
    watched.ask("network list", LOOK, "GET", "/v2.0/networks", Value::Null).await;
    let path = format!("/v2.0/floatingips/{}", id(&floating));
    watched.ask("floating IP delete", CHANGE, "DELETE", &path, Value::Null).await;
    let path = format!("{router_path}/remove_router_interface");
    watched.ask("router remove interface", CHANGE, "PUT", &path, join).await;
    watched.ask("router delete", CHANGE, "DELETE", &router_path, Value::Null).await;
    let path = format!("/v2.0/security-group-rules/{}", id(&rule));
    watched.ask("rule delete", CHANGE, "DELETE", &path, Value::Null).await;
    watched.ask("group delete", CHANGE, "DELETE", &format!("/v2.0/security-groups/{}", id(&group)), Value::Null).await;
    watched.ask("port delete", CHANGE, "DELETE", &port_path, Value::Null).await;
    watched.ask("subnet delete", CHANGE, "DELETE", &format!("/v2.0/subnets/{}", id(&subnet)), Value::Null).await;
    watched.ask("network delete", CHANGE, "DELETE", &format!("/v2.0/networks/{network}"), Value::Null).await;
    assert!(watched.wrong.is_empty(), "{}", watched.wrong.join("\n\n"));
}

/// Whatever a row refers to looks for its rows when it is deleted. (An index of the rows that do refer to something is one.)
#[tokio::test]
async fn every_reference_has_an_index() {
    let server = Server::over(&crate::server::options(), TestDatabase::file(), |path| Store::open(path).unwrap());
    let without: Vec<String> = server
        .store
        .read_blocking(|snapshot| {
            snapshot.query(
                "SELECT tables.name || '.' || keys.\"from\" FROM sqlite_master AS tables
                     JOIN pragma_foreign_key_list(tables.name) AS keys
                 WHERE tables.type = 'table' AND keys.seq = 0 AND NOT EXISTS (SELECT 1
                     FROM pragma_index_list(tables.name) AS indexes JOIN pragma_index_info(indexes.name) AS columns
                     WHERE columns.seqno = 0 AND columns.name = keys.\"from\" AND (indexes.partial = 0 OR EXISTS (SELECT 1
                         FROM sqlite_master AS made WHERE made.name = indexes.name
                         AND made.sql LIKE '% WHERE ' || columns.name || ' IS NOT NULL')))",
                &[],
                |row| row.get(0),
            )
        })
        .unwrap();
    assert_eq!(without, Vec::<String>::new());
}
