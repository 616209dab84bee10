//! A small cloud in a temporary folder, driven through its router, with a clock that stands until it is moved.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "the configured allowance covers only functions marked as tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use identity::{Clock, Identity, IdentityConfig, Secret};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use store::Store;
use store::testing::TestDatabase;
use tower::ServiceExt;

pub const PASSWORD: &str = "the admin's password";
pub const START: i64 = 1_800_000_000;

pub struct Cloud {
    pub folder: tempfile::TempDir,
    pub store: Store,
    pub identity: Identity,
    pub seconds: Arc<AtomicI64>,
    pub database: TestDatabase,
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Json,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub fn config() -> IdentityConfig {
    IdentityConfig {
        admin_password: Some(Secret::new(PASSWORD)),
        password_hash_memory_kib: 8,
        password_hash_passes: 1,
        ..IdentityConfig::default()
    }
}

impl Cloud {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: IdentityConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::new();
        let store = database.open();
        let seconds = Arc::new(AtomicI64::new(START));
        let identity = open(&store, config, &folder, &seconds);
        Self { folder, store, identity, seconds, database }
    }

    /// Another server on the same database and key file.
    pub fn second_server(&self) -> Identity {
        open(&self.store, config(), &self.folder, &self.seconds)
    }

    pub fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.identity.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = if bytes.is_empty() { Json::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn call(&self, method: &str, path: &str, token: &str, body: Json) -> Reply {
        let mut request =
            Request::builder().method(method).uri(format!("/identity{path}")).header("host", "cloud:5000");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.call("GET", path, token, Json::Null).await
    }

    /// `X-Auth-Token` and `X-Subject-Token`.
    pub async fn about(&self, method: &str, token: &str, subject: &str) -> Reply {
        let request = Request::builder().method(method).uri("/identity/v3/auth/tokens").header("host", "cloud:5000");
        let request = request.header("x-auth-token", token).header("x-subject-token", subject);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn authenticate(&self, identity: Json, scope: Json) -> Reply {
        let mut auth = json!({"identity": identity});
        if !scope.is_null() {
            auth["scope"] = scope;
        }
        self.call("POST", "/v3/auth/tokens", "", json!({"auth": auth})).await
    }

    pub async fn login(&self, name: &str, password: &str, scope: Json) -> Reply {
        self.authenticate(by_password(name, password), scope).await
    }

    /// A token of the administrator.
    pub async fn admin(&self) -> String {
        let reply = self.login("admin", PASSWORD, project("admin")).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.header("x-subject-token").to_owned()
    }

    /// Creates an object as administrator; what it is.
    pub async fn create(&self, plural: &str, singular: &str, given: Json) -> Json {
        let token = self.admin().await;
        let reply = self.call("POST", &format!("/v3/{plural}"), &token, json!({singular: given})).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.body[singular].clone()
    }

    pub async fn role(&self, name: &str) -> String {
        let token = self.admin().await;
        let reply = self.get(&format!("/v3/roles?name={name}"), &token).await;
        reply.body["roles"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A user `name` (password "pw") with a role on a new project `name`; their ids.
    pub async fn person(&self, name: &str, role: &str) -> (String, String) {
        let project = self.create("projects", "project", json!({"name": name, "domain_id": "default"})).await;
        let user = self.create("users", "user", json!({"name": name, "password": "pw"})).await;
        let (user, project) = (id(&user), id(&project));
        let role = self.role(role).await;
        let path = format!("/v3/projects/{project}/users/{user}/roles/{role}");
        assert_eq!(self.call("PUT", &path, &self.admin().await, Json::Null).await.status, 204);
        (user, project)
    }

    /// A token of [`Cloud::person`].
    pub async fn token_of(&self, name: &str) -> String {
        let reply = self.login(name, "pw", project(name)).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.header("x-subject-token").to_owned()
    }
}

fn open(store: &Store, config: IdentityConfig, folder: &tempfile::TempDir, seconds: &Arc<AtomicI64>) -> Identity {
    let seconds = Arc::clone(seconds);
    let clock: Clock = Arc::new(move || Timestamp::from_second(seconds.load(Ordering::SeqCst)).unwrap());
    Identity::open_with_clock(store, config, folder.path(), clock).unwrap()
}

pub fn id(object: &Json) -> String {
    object["id"].as_str().unwrap().to_owned()
}

pub fn by_password(name: &str, password: &str) -> Json {
    json!({"methods": ["password"], "password": {"user": {
        "name": name, "domain": {"id": "default"}, "password": password}}})
}

pub fn by_token(token: &str) -> Json {
    json!({"methods": ["token"], "token": {"id": token}})
}

pub fn project(name: &str) -> Json {
    json!({"project": {"name": name, "domain": {"name": "Default"}}})
}

/// The names in a list, sorted.
pub fn names(list: &Json) -> Vec<String> {
    let mut names: Vec<String> =
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}
