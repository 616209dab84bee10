//! A Keystone in memory behind a real socket, for tests: it speaks the protocol of signing in and validating, counts what it
//! is asked, and can be told to misbehave.

#![allow(clippy::unwrap_used, reason = "a test that cannot start must stop")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::{Account, CheckerConfig, Clock, Secret};

/// What a user of the fake signs in with.
pub const PASSWORD: &str = "the service user's password";

/// More permits than a test has requests.
const OPEN: usize = 1 << 20;

/// Something that Keystone was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Verb, path and query.
    pub what: String,
    /// `X-Subject-Token`.
    pub subject: Option<String>,
}

#[derive(Default)]
struct Inner {
    /// Tokens that users hold, as their documents' members.
    tokens: HashMap<String, Value>,
    /// Our own service tokens that are taken.
    own: Vec<String>,
    own_lifetime_seconds: i64,
    signed_in: usize,
    tries: usize,
    asked: Vec<Asked>,
    broken: Option<u16>,
    catalog: Value,
}

/// The fake.
#[derive(Clone)]
pub struct FakeKeystone {
    /// `http://127.0.0.1:port`.
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
    gate: Arc<Semaphore>,
    sign_in_gate: Arc<Semaphore>,
    server: Arc<Mutex<Option<Server>>>,
}

struct Server {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl FakeKeystone {
    /// Starts one that tells the time by `clock`.
    pub async fn start(clock: Clock) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner { own_lifetime_seconds: 3600, catalog: json!([]), ..Inner::default() };
        let [gate, sign_in_gate] = [(); 2].map(|()| Arc::new(Semaphore::new(OPEN)));
        let fake = Self { url, inner: Arc::new(Mutex::new(inner)), clock, gate, sign_in_gate, server: Arc::default() };
        fake.serve(listener);
        fake
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new().fallback(answer).with_state(self.clone());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let until = async { drop(stopped.await) };
            axum::serve(listener, router).with_graceful_shutdown(until).await.unwrap();
        });
        *self.server.lock().unwrap() = Some(Server { task, stop });
    }

    /// Goes away: nobody listens any more.
    pub async fn go_away(&self) {
        let server = self.server.lock().unwrap().take();
        if let Some(Server { task, stop }) = server {
            drop(stop);
            task.await.unwrap();
        }
    }

    /// Comes back at the same address.
    pub async fn come_back(&self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        self.serve(TcpListener::bind(address).await.unwrap());
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// A configuration for it, which does not wait.
    pub fn account(&self) -> Account {
        Account {
            auth_url: self.url.clone(),
            username: "neutron".to_owned(),
            password: Some(Secret::new(PASSWORD)),
            http_request_max_retries: 0,
            ..Account::default()
        }
    }

    /// A configuration for checking tokens by it.
    pub fn config(&self) -> CheckerConfig {
        CheckerConfig { account: self.account(), ..CheckerConfig::default() }
    }

    /// Knows a token: members of its document beside user and times. It expires `seconds` from now.
    pub fn add_token(&self, token: &str, seconds: i64, members: Value) {
        let now = (self.clock)();
        let expires = Timestamp::from_second(now.as_second() + seconds).unwrap();
        let mut document = json!({
            "methods": ["password"], "user": {"id": format!("user-of-{token}"), "name": "u", "domain": {"id": "default", "name": "Default"}},
            "issued_at": now.to_string(), "expires_at": expires.to_string(),
        });
        document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.inner().tokens.insert(token.to_owned(), document);
    }

    /// Knows it no more.
    pub fn revoke(&self, token: &str) {
        self.inner().tokens.remove(token);
    }

    /// Takes none of the service tokens that it has given so far.
    pub fn forget_own_tokens(&self) {
        self.inner().own.clear();
    }

    /// How long the service user's next tokens live.
    pub fn set_own_lifetime(&self, seconds: i64) {
        self.inner().own_lifetime_seconds = seconds;
    }

    /// Answers everything with this status; none: properly again.
    pub fn break_with(&self, status: Option<u16>) {
        self.inner().broken = status;
    }

    /// What the service user's catalogue says.
    pub fn set_catalog(&self, catalog: Value) {
        self.inner().catalog = catalog;
    }

    /// Holds back every answer to a validation until [`FakeKeystone::let_go`].
    pub fn hold(&self) {
        self.gate.forget_permits(OPEN);
    }

    /// Lets held answers go.
    pub fn let_go(&self) {
        self.gate.add_permits(OPEN);
    }

    /// Holds back every answer to a signing in until [`FakeKeystone::let_sign_in`].
    pub fn hold_sign_in(&self) {
        self.sign_in_gate.forget_permits(OPEN);
    }

    /// Lets held signings in go.
    pub fn let_sign_in(&self) {
        self.sign_in_gate.add_permits(OPEN);
    }

    /// How often somebody has tried to sign in.
    pub fn tries(&self) -> usize {
        self.inner().tries
    }

    /// How often somebody has signed in.
    pub fn signed_in(&self) -> usize {
        self.inner().signed_in
    }

    /// The validations that were asked for, in order.
    pub fn validations(&self) -> Vec<Asked> {
        self.inner().asked.clone()
    }

    /// Whether a service token of ours is taken, for fakes of other services.
    pub fn takes(&self, token: &str) -> bool {
        self.inner().own.iter().any(|own| own == token)
    }
}

async fn answer(State(fake): State<FakeKeystone>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method == "POST" {
        fake.inner().tries += 1;
        drop(fake.sign_in_gate.acquire().await);
    }
    if let Some(status) = fake.inner().broken {
        return error(status);
    }
    match (parts.method.as_str(), parts.uri.path()) {
        ("POST", "/v3/auth/tokens") => {
            let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            sign_in(&fake, &serde_json::from_slice(&bytes).unwrap_or_default())
        }
        ("GET", "/v3/auth/tokens") => {
            let what = format!("{} {}", parts.method, parts.uri);
            let subject = text(&parts.headers, "x-subject-token").map(str::to_owned);
            fake.inner().asked.push(Asked { what, subject });
            drop(fake.gate.acquire().await);
            validate(&fake, &parts.headers, parts.uri.query().unwrap_or_default())
        }
        _ => error(404),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn error(status: u16) -> Response {
    let body = json!({"error": {"code": status, "message": "no", "title": "No"}});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn sign_in(fake: &FakeKeystone, request: &Value) -> Response {
    let password = request.pointer("/auth/identity/password/user/password").and_then(Value::as_str);
    if password != Some(PASSWORD) {
        return error(401);
    }
    let now = (fake.clock)();
    let mut inner = fake.inner();
    inner.signed_in += 1;
    let token = format!("own-token-{}", inner.signed_in);
    inner.own.push(token.clone());
    let expires = Timestamp::from_second(now.as_second() + inner.own_lifetime_seconds).unwrap();
    let document = json!({"token": {
        "user": {"id": "neutron", "name": "neutron"}, "roles": [{"id": "s", "name": "service"}],
        "expires_at": expires.to_string(), "catalog": inner.catalog,
    }});
    (StatusCode::CREATED, [("x-subject-token", token)], axum::Json(document)).into_response()
}

fn validate(fake: &FakeKeystone, headers: &HeaderMap, query: &str) -> Response {
    let now = (fake.clock)();
    let inner = fake.inner();
    if !text(headers, "x-auth-token").is_some_and(|token| inner.own.iter().any(|own| own == token)) {
        return error(401);
    }
    let Some(token) = text(headers, "x-subject-token").and_then(|token| inner.tokens.get(token)) else {
        return error(404);
    };
    let expires: Timestamp = token["expires_at"].as_str().unwrap().parse().unwrap();
    if expires <= now && !query.contains("allow_expired=1") {
        return error(404);
    }
    let restricted = token.pointer("/application_credential/access_rules").is_some();
    if restricted && text(headers, "openstack-identity-access-rules").is_none() {
        return error(404);
    }
    ([(header::VARY, "X-Auth-Token")], axum::Json(json!({"token": token}))).into_response()
}
