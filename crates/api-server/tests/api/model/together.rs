//! Several clients at once. Which of two requests came first nobody can say while both were under way; what holds whatever
//! the order is checked from what each client was told and when.

use super::clients::{Call, Known, addresses, string};
use super::{CLIENTS, LIMITS, Request, request, server};
use crate::server::{ADMIN, Server};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use store::{Changes, Operation, StoreError};

/// Clients; neighbours are of different projects.
const CLIENTS_AT_ONCE: usize = 6;
/// Requests of each.
const REQUESTS: usize = 150;

/// A request that succeeded.
#[derive(Debug)]
struct Done {
    /// Instants of sending and of the answer, on a clock that only counts.
    sent: u64,
    answered: u64,
    project: &'static str,
    request: Request,
    call: Call,
    body: Value,
}

impl Done {
    fn object(&self) -> &Value {
        self.body.as_object().and_then(|members| members.values().next()).unwrap()
    }

    /// The port that it made.
    fn port(&self) -> Option<String> {
        match self.request {
            Request::CreatePort { .. } => Some(string(self.object(), "id")),
            Request::AddInterface { .. } => Some(string(&self.body, "port_id")),
            _ => None,
        }
    }

    /// Kind and id of what it made.
    fn created(&self) -> Option<(&'static str, String)> {
        let kind = match self.request {
            Request::CreateNetwork => "network",
            Request::CreateSubnet { .. } => "subnet",
            Request::CreateRouter => "router",
            Request::CreatePort { .. } | Request::AddInterface { .. } => return self.port().map(|id| ("port", id)),
            _ => return None,
        };
        Some((kind, string(self.object(), "id")))
    }

    /// Kind and id of what it removed by name.
    fn deleted(&self) -> Option<(&'static str, String)> {
        match self.request {
            Request::DeleteNetwork(_) => Some(("network", self.call.ids.0.clone())),
            Request::DeleteSubnet(_) => Some(("subnet", self.call.ids.0.clone())),
            Request::DeletePort(_) => Some(("port", self.call.ids.0.clone())),
            Request::DeleteRouter(_) => Some(("router", self.call.ids.0.clone())),
            Request::RemoveInterface { .. } => Some(("port", string(&self.body, "port_id"))),
            _ => None,
        }
    }
}

/// The requests of one client: the same in each run. How they meet those of others is not.
fn requests(number: usize) -> Vec<Request> {
    let seed = [u8::try_from(number).unwrap(); 32];
    let mut runner = TestRunner::new_with_rng(
        proptest::test_runner::Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &seed),
    );
    let strategy = request();
    (0..REQUESTS).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

async fn client(server: Arc<Server>, number: usize, shared: Arc<(Mutex<Known>, AtomicU64)>) -> Vec<Done> {
    let (token, project) = CLIENTS[number % CLIENTS.len()];
    let (known, clock) = &*shared;
    let mut done = Vec::new();
    for request in requests(number) {
        let call = Call::new(request, &known.lock().unwrap());
        let sent = clock.fetch_add(1, Ordering::SeqCst);
        let answer = call.send(&server, token).await;
        let answered = clock.fetch_add(1, Ordering::SeqCst);
        let expected = [200, 201, 204, 400, 404, 409];
        assert!(expected.contains(&answer.status), "{} {}: {}", call.method, call.path, answer.text);
        if answer.status >= 300 {
            continue;
        }
        known.lock().unwrap().learn(request, &answer);
        done.push(Done { sent, answered, project, request, call, body: answer.body });
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_clients_are_told_fits_together() {
    let server = Arc::new(server().await);
    let shared = Arc::new((Mutex::new(Known::default()), AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS_AT_ONCE)
        .map(|number| tokio::spawn(client(Arc::clone(&server), number, Arc::clone(&shared))))
        .collect();
    let mut done = Vec::new();
    for client in clients {
        done.extend(client.await.unwrap());
    }
    assert!(done.len() > CLIENTS_AT_ONCE * REQUESTS / 10, "only {} requests succeeded", done.len());
    let lives = lives(&done);
    no_quota_is_passed(&lives);
    no_address_is_given_twice(&done, &lives);
    revisions_only_grow(&done);
    references_lead_somewhere(&server).await;
    changes_are_logged_once_and_in_order(&server, &done).await;
}

/// From when until when an object was there for certain.
#[derive(Debug)]
struct Life {
    kind: &'static str,
    id: String,
    project: &'static str,
    from: u64,
    until: u64,
}

/// An object is there for certain from the answer to its creation until its removal is asked for, by its own name or with
/// what it belongs to.
fn lives(done: &[Done]) -> Vec<Life> {
    let mut removals: BTreeMap<String, u64> = BTreeMap::new();
    for one in done {
        if let Some((_, id)) = one.deleted() {
            removals.insert(id, one.sent);
        }
    }
    let created = done.iter().filter_map(|one| Some((one, one.created()?)));
    let lives = created.map(|(one, (kind, id))| {
        let mut until = removals.get(&id).copied().unwrap_or(u64::MAX);
        // Subnets go with their network.
        if let (Request::CreateSubnet { .. }, Some(with)) = (one.request, removals.get(&one.call.ids.0)) {
            until = until.min(*with);
        }
        // A router's interface is used like any port, but no quota keeps the router from having it.
        let kind = if matches!(one.request, Request::AddInterface { .. }) { "interface" } else { kind };
        Life { kind, id, project: one.project, from: one.answered, until }
    });
    lives.collect()
}

fn no_quota_is_passed(lives: &[Life]) {
    for (_, project) in CLIENTS {
        for (kind, limit) in LIMITS {
            let of_kind: Vec<&Life> =
                lives.iter().filter(|life| life.project == project && life.kind == kind).collect();
            for life in &of_kind {
                let there = of_kind.iter().filter(|other| other.from <= life.from && life.from < other.until).count();
                assert!(there <= limit, "{there} of kind {kind} where {limit} are allowed");
            }
        }
    }
}

fn no_address_is_given_twice(done: &[Done], lives: &[Life]) {
    // Network, address, from, until, port.
    let mut held: Vec<(String, String, u64, u64, String)> = Vec::new();
    let moves = |port: &str, after: u64| {
        let moved = done.iter().filter(move |one| matches!(one.request, Request::MovePort { .. }));
        moved.filter(|one| one.call.ids.0 == port && one.sent > after).map(|one| one.sent).min()
    };
    for one in done.iter().filter(|one| matches!(one.request, Request::CreatePort { .. } | Request::MovePort { .. })) {
        let (id, network) = (string(one.object(), "id"), string(one.object(), "network_id"));
        let Some(life) = lives.iter().find(|life| life.id == id) else { continue };
        // Another change of the same port that was under way may have come after this one.
        let contested = done.iter().any(|other| {
            !std::ptr::eq(one, other)
                && matches!(other.request, Request::MovePort { .. })
                && other.call.ids.0 == id
                && other.sent < one.answered
                && other.answered > one.sent
        });
        if contested {
            continue;
        }
        let until = moves(&id, one.answered).unwrap_or(u64::MAX).min(life.until);
        for address in addresses(one.object()) {
            held.push((network.clone(), address, one.answered, until, id.clone()));
        }
    }
    for (index, a) in held.iter().enumerate() {
        for b in &held[index + 1..] {
            let same = a.0 == b.0 && a.1 == b.1 && a.4 != b.4;
            assert!(!same || a.3 <= b.2 || b.3 <= a.2, "one address, two ports: {a:?} {b:?}");
        }
    }
}

fn revisions_only_grow(done: &[Done]) {
    let mut seen: BTreeMap<String, Vec<(u64, u64, i64)>> = BTreeMap::new();
    for one in done {
        let Some(object) = one.body.as_object().and_then(|members| members.values().next()) else { continue };
        if let (Some(id), Some(revision)) = (object["id"].as_str(), object["revision_number"].as_i64()) {
            seen.entry(id.to_owned()).or_default().push((one.sent, one.answered, revision));
        }
    }
    for (id, answers) in seen {
        for a in &answers {
            for b in answers.iter().filter(|b| a.1 < b.0) {
                assert!(a.2 <= b.2, "{id} had revision {} and later {}", a.2, b.2);
            }
        }
    }
}

async fn references_lead_somewhere(server: &Server) {
    let mut all: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for collection in ["networks", "subnets", "ports", "routers"] {
        let body = server.get(ADMIN, &format!("/v2.0/{collection}")).await.expect(200);
        all.insert(collection, body[collection].as_array().unwrap().clone());
    }
    let ids = |collection: &str| -> BTreeSet<String> { all[collection].iter().map(|o| string(o, "id")).collect() };
    let (networks, subnets, routers) = (ids("networks"), ids("subnets"), ids("routers"));
    for subnet in &all["subnets"] {
        assert!(networks.contains(&string(subnet, "network_id")), "{subnet}");
    }
    let mut taken = BTreeSet::new();
    for port in &all["ports"] {
        assert!(networks.contains(&string(port, "network_id")), "{port}");
        for entry in port["fixed_ips"].as_array().unwrap() {
            assert!(subnets.contains(&string(entry, "subnet_id")), "{port}");
            assert!(taken.insert((string(port, "network_id"), string(entry, "ip_address"))), "twice: {port}");
        }
        if port["device_owner"] == "network:router_interface" {
            assert!(routers.contains(&string(port, "device_id")), "{port}");
        }
    }
}

async fn changes_are_logged_once_and_in_order(server: &Server, done: &[Done]) {
    let changes = server
        .store
        .read(|snapshot| {
            let mut all = Vec::new();
            loop {
                let after = all.last().map_or(0, |change: &store::Change| change.revision);
                match snapshot.changes_since(after, 500)? {
                    Changes::Page(page) if page.is_empty() => return Ok::<_, StoreError>(all),
                    Changes::Page(page) => all.extend(page),
                    Changes::Trimmed { up_to } => panic!("trimmed up to {up_to}"),
                }
            }
        })
        .await
        .unwrap();
    assert!(changes.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    let mut histories: BTreeMap<(String, String), Vec<Operation>> = BTreeMap::new();
    for change in changes {
        histories.entry((change.resource, change.id)).or_default().push(change.op);
    }
    let kinds = ["network", "subnet", "port", "router"];
    for ((kind, id), history) in histories.iter().filter(|((kind, _), _)| kinds.contains(&kind.as_str())) {
        let places = |wanted: Operation| {
            history.iter().enumerate().filter(move |(_, op)| **op == wanted).map(|(place, _)| place).collect::<Vec<_>>()
        };
        assert_eq!(places(Operation::Create), [0], "{kind} {id}: {history:?}");
        let deletions = places(Operation::Delete);
        assert!(deletions.is_empty() || deletions == [history.len() - 1], "{kind} {id}: {history:?}");
    }
    let history = |kind: &str, id: &str| histories.get(&(kind.to_owned(), id.to_owned()));
    for one in done {
        if let Some((kind, id)) = one.created() {
            assert!(history(kind, &id).is_some(), "nobody was told of {kind} {id}");
        }
        if let Some((kind, id)) = one.deleted() {
            let told = history(kind, &id).is_some_and(|history| history.last() == Some(&Operation::Delete));
            assert!(told, "nobody was told that {kind} {id} is gone");
        }
    }
    // And nothing was told that nobody did.
    let created: BTreeSet<(String, String)> =
        done.iter().filter_map(Done::created).map(|(kind, id)| (kind.to_owned(), id)).collect();
    let told: BTreeSet<(String, String)> =
        histories.keys().filter(|(kind, _)| kinds.contains(&kind.as_str())).cloned().collect();
    assert_eq!(told, created);
}
