//! Requests over HTTP/1.1, plain or by TLS, on connections that are kept.
//!
//! Only a connection that cannot be made is tried again: a request that may have arrived is the caller's to repeat.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use tls_trust::{Authorities, Trust};

use crate::{Account, KeystoneError};

/// The largest answer that is read: a catalogue of a big cloud is some hundred kilobytes.
const LARGEST: usize = 16 << 20;
/// The first pause before a connection is tried again; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(500);
const AGENT: &str = concat!("neutronium/", env!("CARGO_PKG_VERSION"));

type Plain = Client<HttpConnector, Full<Bytes>>;
type Tls = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// What a service answered, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Whether the status is one of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The service's own words for a refusal: OpenStack's services put them below one key.
    #[must_use]
    pub fn message(&self) -> String {
        let body = self.json();
        let said = body.as_object().and_then(|object| object.values().find_map(|value| value.get("message")?.as_str()));
        said.unwrap_or("no reason given").to_owned()
    }

    /// A success as JSON, anything else as [`KeystoneError::Refused`].
    pub fn into_json(self, url: &str) -> Result<Value, KeystoneError> {
        if self.is_success() {
            return Ok(self.json());
        }
        Err(KeystoneError::Refused { url: url.to_owned(), status: self.status, message: self.message() })
    }
}

/// A client with its connections.
pub(crate) struct Http {
    plain: Plain,
    /// Made when the first `https` address is asked.
    tls: OnceLock<Tls>,
    cafile: Option<PathBuf>,
    insecure: bool,
    timeout: Duration,
    retries: u32,
}

impl Http {
    pub(crate) fn new(account: &Account) -> Result<Self, KeystoneError> {
        let http = Self {
            plain: Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector()),
            tls: OnceLock::new(),
            cafile: account.cafile.clone(),
            insecure: account.insecure,
            timeout: account.timeout(),
            retries: account.http_request_max_retries,
        };
        if account.auth_url.starts_with("https:") || account.cafile.is_some() {
            // Whoever wants TLS learns at the start that it cannot be had.
            http.tls()?;
        }
        Ok(http)
    }

    fn tls(&self) -> Result<&Tls, KeystoneError> {
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let mut inner = connector();
        inner.enforce_http(false);
        let authorities = self.cafile.clone().map_or(Authorities::System, Authorities::File);
        let trust = if self.insecure { Trust::Anybody } else { Trust::Named(authorities) };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls_trust::config(&trust).map_err(|error| KeystoneError::Config(error.to_string()))?)
            .https_only()
            .enable_http1()
            .wrap_connector(inner);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(self.tls.get_or_init(|| client))
    }

    /// Sends a request; any answer is one.
    pub(crate) async fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        body: Option<&Value>,
    ) -> Result<Answer, KeystoneError> {
        let uri: Uri = url.parse().map_err(|_| KeystoneError::Url(url.to_owned()))?;
        if uri.host().is_none() {
            return Err(KeystoneError::Url(url.to_owned()));
        }
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(KeystoneError::Url(url.to_owned())),
        };
        let unreachable = |reason: String| KeystoneError::Unreachable { url: url.to_owned(), reason };
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let mut pause = PAUSE;
        let mut left = self.retries;
        loop {
            let request = request(method, &uri, headers, body.clone());
            let sent = async {
                if secure { self.tls()?.request(request).await } else { self.plain.request(request).await }
                    .map_err(|error| Failed::of(&error, &unreachable))
            };
            let answered = async {
                let response = sent.await?;
                let (parts, body) = response.into_parts();
                let read = Limited::new(body, LARGEST).collect().await;
                let body = read.map_err(|error| Failed::For(unreachable(error.to_string())))?.to_bytes();
                Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
            };
            let late = |_| Err(Failed::For(unreachable(format!("no answer within {:?}", self.timeout))));
            match tokio::time::timeout(self.timeout, answered).await.unwrap_or_else(late) {
                Ok(answer) => return Ok(answer),
                Err(Failed::Connecting(error)) if left > 0 => {
                    tracing::debug!(%error, "trying again");
                    tokio::time::sleep(pause).await;
                    (left, pause) = (left - 1, pause * 2);
                }
                Err(Failed::Connecting(error) | Failed::For(error)) => return Err(error),
            }
        }
    }
}

enum Failed {
    /// No connection: nothing has been asked.
    Connecting(KeystoneError),
    /// For good.
    For(KeystoneError),
}

impl From<KeystoneError> for Failed {
    fn from(error: KeystoneError) -> Self {
        Self::For(error)
    }
}

impl Failed {
    fn of(error: &hyper_util::client::legacy::Error, unreachable: &dyn Fn(String) -> KeystoneError) -> Self {
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(error);
        let mut refused = false;
        while let Some(inner) = cause {
            // What TLS refuses, it refuses again.
            refused |= inner.downcast_ref::<rustls::Error>().is_some()
                || inner
                    .downcast_ref::<std::io::Error>()
                    .and_then(std::io::Error::get_ref)
                    .is_some_and(|inner| inner.is::<rustls::Error>());
            reason = format!("{reason}: {inner}");
            cause = inner.source();
        }
        if error.is_connect() && !refused {
            Self::Connecting(unreachable(reason))
        } else {
            Self::For(unreachable(reason))
        }
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

fn request(method: &Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let json = !body.is_empty();
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri.clone();
    let own = request.headers_mut();
    own.insert(ACCEPT, HeaderValue::from_static("application/json"));
    own.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if json {
        own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    own.extend(headers.clone());
    request
}
