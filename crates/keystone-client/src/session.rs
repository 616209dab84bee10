//! The service user's own token, and requests in its name.
//!
//! The token is got when it is first needed, renewed before it expires and when a service does not take it any more; those
//! who wait for a new one wait for the same one, and share its failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use secret::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::catalog::Catalog;
use crate::http::{Answer, Http};
use crate::{Account, Interface, KeystoneError, config};

/// Our own token is renewed so long before it expires.
const AHEAD: SignedDuration = SignedDuration::from_secs(120);
const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub enum To<'a> {
    /// Keystone, at the address that we signed in at; paths begin after `/v3`.
    Keystone,
    /// A service of the catalogue.
    Service {
        /// Its type (`compute`).
        kind: &'a str,
        /// Which of its endpoints.
        interface: Interface,
    },
    /// An address.
    Url(&'a str),
}

/// A request, without the token.
#[derive(Debug, Clone)]
pub struct Call {
    /// The verb.
    pub method: Method,
    /// What follows the service's address, with a slash in front.
    pub path: String,
    /// Further headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Value>,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), headers: HeaderMap::new(), body: None }
    }

    /// Another verb, with a body.
    #[must_use]
    pub fn with(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body }
    }
}

/// A token of our own.
struct Ticket {
    header: HeaderValue,
    expires_at: Timestamp,
    catalog: Catalog,
}

/// A user that is signed in, or will be when that is needed.
pub struct Session {
    account: Account,
    http: Http,
    clock: Clock,
    /// How many signings in have ended, whichever way.
    attempts: AtomicU64,
    held: Mutex<Held>,
}

/// What the last signing in gave.
#[derive(Default)]
struct Held {
    ticket: Option<Arc<Ticket>>,
    failure: Option<KeystoneError>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Session {
    /// A session by the machine's clock. Asks nobody yet.
    pub fn new(account: Account) -> Result<Self, KeystoneError> {
        Self::with_clock(account, Arc::new(Timestamp::now))
    }

    /// A session by another clock.
    pub fn with_clock(account: Account, clock: Clock) -> Result<Self, KeystoneError> {
        account.check()?;
        let http = Http::new(&account)?;
        Ok(Self { account, http, clock, attempts: AtomicU64::new(0), held: Mutex::default() })
    }

    /// Who signs in.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Sends a request in the user's name; any answer is one. When the service says 401, it is asked once more with a new
    /// token.
    pub async fn call(&self, to: To<'_>, call: &Call) -> Result<Answer, KeystoneError> {
        let ticket = self.ticket(None).await?;
        let answer = self.send(to, call, &ticket).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let renewed = self.ticket(Some(&ticket)).await?;
        self.send(to, call, &renewed).await
    }

    /// Sends a request that must succeed; its JSON.
    pub async fn json(&self, to: To<'_>, call: &Call) -> Result<Value, KeystoneError> {
        self.call(to, call).await?.into_json(&format!("{} {}", call.method, call.path))
    }

    async fn send(&self, to: To<'_>, call: &Call, ticket: &Ticket) -> Result<Answer, KeystoneError> {
        let base = match to {
            To::Keystone => self.account.v3(),
            To::Url(url) => url.to_owned(),
            To::Service { kind, interface } => self.endpoint(ticket, kind, interface)?,
        };
        let mut headers = call.headers.clone();
        headers.insert(AUTH_TOKEN, ticket.header.clone());
        let url = format!("{}{}", base.trim_end_matches('/'), call.path);
        self.http.send(&call.method, &url, &headers, call.body.as_ref()).await
    }

    fn endpoint(&self, ticket: &Ticket, kind: &str, interface: Interface) -> Result<String, KeystoneError> {
        let region = self.account.region_name.as_deref();
        match ticket.catalog.endpoint(kind, interface, region) {
            Some(url) if kind == "identity" => Ok(config::v3(url)),
            Some(url) => Ok(url.to_owned()),
            // A Keystone that does not list itself is where we have just been.
            None if kind == "identity" => Ok(self.account.v3()),
            None => Err(KeystoneError::NoEndpoint {
                service: kind.to_owned(),
                interface: interface.as_str(),
                region: region.map(str::to_owned),
            }),
        }
    }

    /// The token in use; a new one if there is none, if it ends soon, or if it is the one that was `refused`.
    async fn ticket(&self, refused: Option<&Arc<Ticket>>) -> Result<Arc<Ticket>, KeystoneError> {
        let before = self.attempts.load(Ordering::SeqCst);
        let mut held = self.held.lock().await;
        if let Some(ticket) = &held.ticket
            && refused.is_none_or(|refused| !Arc::ptr_eq(refused, ticket))
            && ticket.expires_at.duration_since(self.now()) > AHEAD
        {
            return Ok(Arc::clone(ticket));
        }
        // Somebody has tried while we waited: one after the other would wait ever longer for a Keystone that hangs.
        if let Some(failure) = &held.failure
            && self.attempts.load(Ordering::SeqCst) != before
        {
            return Err(failure.clone());
        }
        held.ticket = None;
        let signed_in = self.sign_in().await.map(Arc::new);
        held.ticket = signed_in.as_ref().ok().cloned();
        held.failure = signed_in.as_ref().err().cloned();
        self.attempts.fetch_add(1, Ordering::SeqCst);
        signed_in
    }

    async fn sign_in(&self) -> Result<Ticket, KeystoneError> {
        #[derive(Deserialize)]
        struct Document {
            token: Token,
        }
        #[derive(Deserialize)]
        struct Token {
            expires_at: Timestamp,
            #[serde(default)]
            catalog: Catalog,
        }
        let account = &self.account;
        let domain = |id: &Option<String>, name: &str| match id {
            Some(id) => json!({"id": id}),
            None => json!({"name": name}),
        };
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": account.username, "domain": domain(&account.user_domain_id, &account.user_domain_name),
                "password": account.password()?.reveal(),
            }}},
            "scope": {"project": {
                "name": account.project_name,
                "domain": domain(&account.project_domain_id, &account.project_domain_name),
            }},
        }});
        let url = format!("{}/auth/tokens", account.v3());
        let answer = self.http.send(&Method::POST, &url, &HeaderMap::new(), Some(&body)).await?;
        let broken = |reason: &str| KeystoneError::Broken { url: url.clone(), reason: reason.to_owned() };
        if answer.status >= 500 {
            return Err(KeystoneError::Refused { message: answer.message(), status: answer.status, url });
        }
        if !answer.is_success() {
            let (user, status, message) = (account.username.clone(), answer.status, answer.message());
            return Err(KeystoneError::SignIn { user, status, message });
        }
        let mut header =
            answer.headers.get("x-subject-token").cloned().ok_or_else(|| broken("no X-Subject-Token came"))?;
        header.set_sensitive(true);
        let Document { token } =
            serde_json::from_slice(&answer.body).map_err(|_| broken("the answer is no token document"))?;
        Ok(Ticket { header, expires_at: token.expires_at, catalog: token.catalog })
    }
}

/// A text that goes into a header and is not to be shown.
pub(crate) fn sensitive(text: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text.reveal()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
