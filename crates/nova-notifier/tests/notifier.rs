//! The queue against a small Nova that speaks the protocol, and a small Keystone: order, trouble, restarts, several servers.
//! On both stores; what is about several servers on one database always on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the configured allowance covers only functions marked as tests")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use keystone_client::testing::FakeKeystone;
use net_types::PortId;
use network_store::network::{self, NetworkCreate};
use network_store::nova::{self, NovaEvents};
use network_store::port::{self, PortCreate};
use network_store::{NetworkConfig, NetworkOptions, Work};
use nova_notifier::{Notifier, NovaConfig};
use serde_json::{Value, json};
use store::testing::TestDatabase;
use store::{Store, params};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

/// How the next requests are answered.
#[derive(Clone, Default)]
enum Mood {
    /// Each event gets 200.
    #[default]
    Good,
    /// The whole request gets this.
    All(u16),
    /// Events of this server get 404, the request 207.
    Unknown(String),
    /// A request with an event of this server gets 400.
    Poison(String),
}

#[derive(Default)]
struct Nova {
    moods: Mutex<Vec<Mood>>,
    requests: Mutex<Vec<(u16, Vec<Value>)>>,
    keystone: Mutex<Option<FakeKeystone>>,
    heard: Notify,
    gate: Mutex<Option<Arc<Semaphore>>>,
}

async fn answer(State(nova): State<Arc<Nova>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(uri.path(), "/v2.1/os-server-external-events");
    assert_eq!(headers["openstack-api-version"], "compute 2.1");
    let token = headers["x-auth-token"].to_str().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let events = body["events"].as_array().unwrap().clone();
    let gate = nova.gate.lock().unwrap().clone();
    let known = nova.keystone.lock().unwrap().as_ref().unwrap().takes(token);
    let mood = {
        let mut moods = nova.moods.lock().unwrap();
        if moods.len() > 1 { moods.remove(0) } else { moods.first().cloned().unwrap_or_default() }
    };
    let has = |server: &str| events.iter().any(|event| event["server_uuid"] == server);
    let (status, body) = match mood {
        _ if !known => (401, json!({"error": {"message": "who are you"}})),
        Mood::All(status) => (status, json!({"fault": {"message": "trouble"}})),
        Mood::Poison(server) if has(&server) => (400, json!({"badRequest": {"message": "cannot read"}})),
        Mood::Unknown(server) => {
            let code = |event: &Value| if event["server_uuid"] == server.as_str() { 404 } else { 200 };
            let coded = |event: &Value| {
                let mut coded = event.clone();
                coded["code"] = json!(code(event));
                coded
            };
            (207, json!({"events": events.iter().map(coded).collect::<Vec<_>>()}))
        }
        Mood::Good | Mood::Poison(_) => (200, json!({"events": events})),
    };
    nova.requests.lock().unwrap().push((status, events));
    nova.heard.notify_one();
    if let Some(gate) = gate {
        drop(gate.acquire().await);
    }
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

struct World {
    store: Store,
    network: Arc<NetworkConfig>,
    config: NovaConfig,
    keystone: FakeKeystone,
    nova: Arc<Nova>,
    database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        Self::on(TestDatabase::new()).await
    }

    async fn on(database: TestDatabase) -> Self {
        let store = database.open();
        network_store::prepare(&store).unwrap();
        let network = NetworkConfig::new(&NetworkOptions::default()).unwrap();
        let network = Arc::new(NetworkConfig { nova: NovaEvents { status: true, data: true }, ..network });
        let keystone = FakeKeystone::start(Arc::new(Timestamp::now)).await;
        let nova = Arc::new(Nova::default());
        *nova.keystone.lock().unwrap() = Some(keystone.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/v2.1", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&nova));
        tokio::spawn(async move { axum::serve(listener, router).await });
        keystone.set_catalog(
            json!([{"type": "compute", "endpoints": [{"interface": "public", "region_id": "One", "url": url}]}]),
        );
        let config = NovaConfig { enabled: true, account: keystone.account(), ..NovaConfig::default() };
        Self { store, network, config, keystone, nova, database }
    }

    fn start(&self, holder: &str) -> Notifier {
        Notifier::start(self.store.clone(), &self.config, holder.to_owned()).unwrap()
    }

    fn moods(&self, moods: &[Mood]) {
        *self.nova.moods.lock().unwrap() = moods.to_vec();
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Work<'_>) -> Result<T, network_store::NetworkError> + Send + 'static,
    ) -> T {
        let config = Arc::clone(&self.network);
        self.store.write(move |tx| work(&Work::system(tx, &config))).await.unwrap()
    }

    /// A port of an instance.
    async fn port(&self, server: &'static str) -> PortId {
        self.write(move |work| {
            let network =
                network::create(work, NetworkCreate { project_id: "p".into(), ..NetworkCreate::of_service() })?;
            port::create(work, PortCreate::of_service(network, "p", "compute:nova", server))
        })
        .await
    }

    async fn set_status(&self, port: PortId, status: &'static str) {
        self.write(move |work| port::set_status(work, port, status)).await;
    }

    /// As if its holder had said nothing for long enough.
    async fn claim_runs_out(&self) {
        let over =
            |tx: &store::Tx<'_>| tx.execute("UPDATE nova_sender SET held_until = ?1", params![Timestamp::UNIX_EPOCH]);
        self.store.write(over).await.unwrap();
    }

    async fn waiting(&self) -> usize {
        self.store.read(|snapshot| nova::pending(snapshot, 1000)).await.unwrap().len()
    }

    /// Waits until nothing is left to tell.
    async fn settled(&self) {
        while self.waiting().await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Status, server and name of each event that Nova was told, in order.
    fn told(&self) -> Vec<(u16, String, String)> {
        let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
        let requests = self.nova.requests.lock().unwrap();
        let each = requests.iter().flat_map(|(status, events)| events.iter().map(move |event| (*status, event)));
        each.map(|(status, event)| (status, text(event, "server_uuid"), text(event, "name"))).collect()
    }
}

const A: &str = "aaaaaaaa-8b86-4011-b42d-00cf4fc964ff";
const B: &str = "bbbbbbbb-8b86-4011-b42d-00cf4fc964ff";

fn taken(server: &str, name: &str) -> (u16, String, String) {
    (200, server.to_owned(), name.to_owned())
}

#[tokio::test]
async fn events_are_told_in_order_with_all_that_nova_reads() {
    let world = World::new().await;
    let port = world.port(A).await;
    world.set_status(port, "ACTIVE").await;
    world.set_status(port, "DOWN").await;
    let _notifier = world.start("one");
    world.settled().await;
    world.write(move |work| port::delete(work, port)).await;
    world.settled().await;
    let events: Vec<Value> =
        world.nova.requests.lock().unwrap().iter().flat_map(|(_, events)| events.clone()).collect();
    let tag = port.to_string();
    let expected = [
        json!({"name": "network-vif-plugged", "server_uuid": A, "tag": tag, "status": "completed"}),
        json!({"name": "network-vif-unplugged", "server_uuid": A, "tag": tag, "status": "completed"}),
        json!({"name": "network-vif-deleted", "server_uuid": A, "tag": tag}),
    ];
    assert_eq!(events, expected);
    // The two that waited went together.
    assert_eq!(world.nova.requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn trouble_is_waited_out_and_nothing_is_lost() {
    let world = World::new().await;
    let port = world.port(A).await;
    world.set_status(port, "ACTIVE").await;
    world.moods(&[Mood::All(503), Mood::Good]);
    let _notifier = world.start("one");
    world.settled().await;
    let expected = [(503, A.to_owned(), "network-vif-plugged".to_owned()), taken(A, "network-vif-plugged")];
    assert_eq!(world.told(), expected);
}

#[tokio::test]
async fn a_keystone_that_is_away_is_waited_for() {
    let world = World::new().await;
    let port = world.port(A).await;
    world.set_status(port, "ACTIVE").await;
    world.keystone.go_away().await;
    let _notifier = world.start("one");
    world.set_status(port, "DOWN").await;
    assert_eq!(world.waiting().await, 2);
    world.keystone.come_back().await;
    world.settled().await;
    assert_eq!(world.told(), [taken(A, "network-vif-plugged"), taken(A, "network-vif-unplugged")]);
}

#[tokio::test]
async fn a_token_that_nova_does_not_take_is_renewed() {
    let world = World::new().await;
    let port = world.port(A).await;
    let _notifier = world.start("one");
    world.set_status(port, "ACTIVE").await;
    world.settled().await;
    world.keystone.forget_own_tokens();
    world.set_status(port, "DOWN").await;
    world.settled().await;
    let statuses: Vec<u16> = world.told().into_iter().map(|(status, _, _)| status).collect();
    assert_eq!((statuses, world.keystone.signed_in()), (vec![200, 401, 200], 2));
}

#[tokio::test]
async fn instances_that_nova_does_not_know_hold_nothing_up() {
    let world = World::new().await;
    let (a, b) = (world.port(A).await, world.port(B).await);
    world.set_status(a, "ACTIVE").await;
    world.set_status(b, "ACTIVE").await;
    world.moods(&[Mood::Unknown(A.into()), Mood::All(404)]);
    let _notifier = world.start("one");
    world.settled().await;
    world.set_status(a, "DOWN").await;
    world.settled().await;
    let statuses: Vec<u16> = world.told().into_iter().map(|(status, _, _)| status).collect();
    assert_eq!(statuses, [207, 207, 404]);
}

#[tokio::test]
async fn an_event_that_nova_cannot_read_takes_no_other_with_it() {
    let world = World::new().await;
    let (a, b) = (world.port(A).await, world.port(B).await);
    for status in ["ACTIVE", "DOWN"] {
        world.set_status(a, status).await;
        world.set_status(b, status).await;
    }
    world.moods(&[Mood::Poison(A.into())]);
    let _notifier = world.start("one");
    world.settled().await;
    let good: Vec<_> = world.told().into_iter().filter(|(status, _, _)| *status == 200).collect();
    assert_eq!(good, [taken(B, "network-vif-plugged"), taken(B, "network-vif-unplugged")]);
}

#[tokio::test]
async fn what_was_in_the_air_at_a_restart_is_told_again() {
    let world = World::new().await;
    let port = world.port(A).await;
    world.set_status(port, "ACTIVE").await;
    *world.nova.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    let notifier = world.start("one");
    world.nova.heard.notified().await;
    drop(notifier);
    *world.nova.gate.lock().unwrap() = None;
    assert_eq!(world.waiting().await, 1);
    let _again = world.start("one");
    world.settled().await;
    assert_eq!(world.told(), [taken(A, "network-vif-plugged"), taken(A, "network-vif-plugged")]);
}

#[tokio::test]
async fn of_several_servers_on_one_database_one_sends() {
    let world = World::new().await;
    let port = world.port(A).await;
    let _servers = ["one", "two", "three"].map(|holder| world.start(holder));
    for _ in 0..20 {
        world.set_status(port, "ACTIVE").await;
        world.set_status(port, "DOWN").await;
    }
    world.settled().await;
    let pair = [taken(A, "network-vif-plugged"), taken(A, "network-vif-unplugged")];
    assert_eq!(world.told(), pair.iter().cycle().take(40).cloned().collect::<Vec<_>>());
}

/// A server that dies while Nova reads its request, with the database's connections of its own.
#[tokio::test]
async fn a_server_that_dies_is_replaced_and_no_event_is_lost() {
    let world = World::on(TestDatabase::shared()).await;
    let (a, b) = (world.port(A).await, world.port(B).await);
    world.set_status(a, "ACTIVE").await;
    *world.nova.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    let store = world.database.open();
    let dying = Notifier::start(store.clone(), &world.config, "dying".to_owned()).unwrap();
    world.nova.heard.notified().await;
    // What happens while the one that has the claim hangs, through another server.
    world.set_status(b, "ACTIVE").await;
    world.set_status(a, "DOWN").await;
    drop((dying, store));
    *world.nova.gate.lock().unwrap() = None;
    assert_eq!(world.waiting().await, 3, "nothing was answered, so nothing is forgotten");
    world.claim_runs_out().await;
    let _other = world.start("other");
    world.settled().await;
    world.set_status(b, "DOWN").await;
    world.settled().await;
    let (first, rest) = world.told().split_first().map(|(first, rest)| (first.clone(), rest.to_vec())).unwrap();
    assert_eq!(first, taken(A, "network-vif-plugged"), "Nova has heard this one of both");
    let expected = [
        taken(A, "network-vif-plugged"),
        taken(B, "network-vif-plugged"),
        taken(A, "network-vif-unplugged"),
        taken(B, "network-vif-unplugged"),
    ];
    assert_eq!(rest, expected);
}
