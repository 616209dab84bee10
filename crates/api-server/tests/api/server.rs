//! An API over a real store in a directory of its own, called without a network.

use access_policy::{Credentials, Policy};
use api_server::{Api, ApiConfig, Authentication, Authenticator, Caller, Denial, Presented};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use network_store::{NetworkConfig, NetworkOptions};
use serde_json::Value;
use std::future::{Future, ready};
use std::path::Path;
use std::sync::Arc;
use store::Store;
use store::testing::TestDatabase;
use tower::ServiceExt;

pub const ADMIN: &str = "admin";
pub const DEMO: &str = "demo";
pub const MANAGER: &str = "demo-manager";
pub const OTHER: &str = "other";
/// Another part of OpenStack, with an administrator's rights.
pub const SERVICE: &str = "nova";
pub const READER: &str = "demo-reader";
pub const DEMO_PROJECT: &str = "11111111111111111111111111111111";
pub const OTHER_PROJECT: &str = "22222222222222222222222222222222";
pub const ADMIN_PROJECT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Tokens are names.
struct Names;

impl Authenticator for Names {
    fn authenticate<'a>(&'a self, presented: Presented<'a>) -> Authentication<'a> {
        let token = presented.token;
        let (project, roles): (&str, &[&str]) = match token {
            ADMIN => (ADMIN_PROJECT, &["admin", "manager", "member", "reader"]),
            SERVICE => (ADMIN_PROJECT, &["service", "admin", "manager", "member", "reader"]),
            DEMO => (DEMO_PROJECT, &["member", "reader"]),
            MANAGER => (DEMO_PROJECT, &["manager", "member", "reader"]),
            READER => (DEMO_PROJECT, &["reader"]),
            OTHER => (OTHER_PROJECT, &["member", "reader"]),
            _ => return Box::pin(ready(Err(Denial::Unauthorized))),
        };
        let credentials = Credentials {
            user_id: token.to_owned(),
            project_id: project.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..Credentials::default()
        };
        Box::pin(ready(Ok(Caller { credentials })))
    }
}

pub struct Server {
    pub router: Router,
    pub store: Store,
    // Removed last.
    _database: TestDatabase,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// `type` and `message` of an error.
    pub fn error(&self) -> String {
        let error = &self.body["NeutronError"];
        format!("{} {}: {}", self.status, error["type"].as_str().unwrap(), error["message"].as_str().unwrap())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }
}

pub fn options() -> NetworkOptions {
    let mut options = NetworkOptions::default();
    options.ml2.flat_networks = vec!["public".into()];
    options.ml2.network_vlan_ranges = vec!["physnet1:100:199".into()];
    options.ml2.vni_ranges = vec!["1:1000".into()];
    options
}

impl Server {
    pub fn new() -> Self {
        Self::with(&options())
    }

    pub fn with(options: &NetworkOptions) -> Self {
        Self::over(options, TestDatabase::new(), |place| Store::open(place).unwrap())
    }

    /// One with an operator's policy file.
    pub fn ruled(policy: &str) -> Self {
        let policy = Policy::with_file(policy).unwrap();
        Self::built(&options(), TestDatabase::new(), |place| Store::open(place).unwrap(), policy)
    }

    /// One whose store is opened so.
    pub fn over(options: &NetworkOptions, database: TestDatabase, open: impl FnOnce(&Path) -> Store) -> Self {
        Self::built(options, database, open, Policy::neutron())
    }

    fn built(
        options: &NetworkOptions,
        database: TestDatabase,
        open: impl FnOnce(&Path) -> Store,
        policy: Policy,
    ) -> Self {
        let store = open(database.place());
        network_store::prepare(&store).unwrap();
        let network = Arc::new(NetworkConfig::new(options).unwrap());
        network_store::segment::range::note_defaults(&store, &network).unwrap();
        let api = Api::new(store.clone(), Arc::new(Names), ApiConfig::default(), network).with_policy(policy);
        Self { router: api_server::router(api), store, _database: database }
    }

    pub async fn raw(&self, method: &str, path: &str, token: Option<&str>, body: Vec<u8>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "net.example:9696");
        if let Some(token) = token {
            request = request.header("x-auth-token", token);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect(&text) };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.raw("GET", path, Some(token), Vec::new()).await
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.raw("POST", path, Some(token), body.to_string().into_bytes()).await
    }

    pub async fn put(&self, token: &str, path: &str, body: Value) -> Answer {
        self.raw("PUT", path, Some(token), body.to_string().into_bytes()).await
    }

    pub async fn delete(&self, token: &str, path: &str) -> Answer {
        self.raw("DELETE", path, Some(token), Vec::new()).await
    }

    /// Makes an object; its JSON.
    #[track_caller]
    pub fn create<'a>(
        &'a self,
        token: &'a str,
        kind: &'a str,
        members: Value,
    ) -> impl Future<Output = Value> + use<'a> {
        let caller = std::panic::Location::caller();
        async move {
            let resource = api_schema::resources::find(kind).expect(kind);
            let path = format!("/v2.0/{}", resource.path());
            let answer = self.post(token, &path, serde_json::json!({ resource.key(): members })).await;
            assert_eq!(answer.status, 201, "{caller}: {}", answer.text);
            answer.body[resource.key()].clone()
        }
    }
}

pub fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

/// An L2 agent that has just reported.
pub async fn add_l2_agent(server: &Server, host: &str, configurations: Value) {
    let host = host.to_owned();
    server
        .store
        .write(move |tx| {
            let now = jiff::Timestamp::now();
            tx.execute(
                "INSERT INTO agents (id, agent_type, \"binary\", topic, host, availability_zone, admin_state_up, description,
                     configurations, resources_synced, created_at, started_at, heartbeat_timestamp)
                 VALUES (?1, 'Open vSwitch agent', 'neutron-openvswitch-agent', 'N/A', ?2, NULL, 1, NULL, ?3, NULL, ?4, ?4, ?4)",
                store::params![uuid::Uuid::new_v4(), &host, configurations.to_string(), now],
            )
        })
        .await
        .unwrap();
}
