//! The metadata service behind the proxies: asked from the host's own namespace, told who asks, and signed.

use super::sign::sign_instance_id;
use super::tls;
use crate::ServiceError;
use bytes::Bytes;
use error_text::sentence;
use host_plan::MetadataInstance;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secret::Secret;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes of the largest answer that is read.
const LARGEST: usize = 16 << 20;
/// How long a service may take, as Neutron's agent waits.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Where the metadata service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `http://HOST:PORT` or `https://HOST:PORT`, with what stands before every path, of each of several that are all as
    /// good.
    pub services: Vec<String>,
    /// `metadata_proxy_shared_secret`.
    pub secret: Secret,
    /// `auth_ca_cert`: whom to trust with HTTPS; none: the system's authorities.
    pub cafile: Option<PathBuf>,
}

/// A client of the metadata service, shared by all proxies of a host.
pub struct Upstream {
    services: Vec<String>,
    /// Which of them is asked first.
    current: AtomicUsize,
    secret: Secret,
    client: Protocol,
}

enum Protocol {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("services", &self.services).finish_non_exhaustive()
    }
}

/// What an instance asks.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) body: Bytes,
}

impl Upstream {
    /// Errors are those of the configuration.
    pub fn new(config: &UpstreamConfig) -> Result<Self, ServiceError> {
        let wrong = |reason: String| ServiceError::Upstream { reason };
        let mut secure = false;
        for service in &config.services {
            let uri: Uri = service.parse().map_err(|_| wrong(format!("'{service}' is not a URL")))?;
            match (uri.scheme_str(), uri.host()) {
                (Some("http"), Some(_)) => {}
                (Some("https"), Some(_)) => secure = true,
                _ => return Err(wrong(format!("'{service}' is neither http:// nor https://"))),
            }
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30)).pool_max_idle_per_host(8);
        let client = if secure {
            connector.enforce_http(false);
            let tls = tls::config(config.cafile.as_deref()).map_err(wrong)?;
            let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
            Protocol::Tls(builder.build(https.wrap_connector(connector)))
        } else {
            Protocol::Plain(builder.build(connector))
        };
        Ok(Self {
            services: config.services.iter().map(|service| service.trim_end_matches('/').to_owned()).collect(),
            current: AtomicUsize::new(0),
            secret: config.secret.clone(),
            client,
        })
    }

    /// Asks on behalf of an instance. What a service answers is answered; what no service answers becomes 503, and what is
    /// no answer of a metadata service 500, as from Neutron's agent.
    pub(super) async fn ask(&self, asked: &Asked, from: IpAddr, who: &MetadataInstance) -> Response<Full<Bytes>> {
        match tokio::time::timeout(ANSWER_LIMIT, self.ask_any(asked, from, who)).await {
            Ok(Ok(response)) => response,
            Ok(Err(reason)) => {
                tracing::warn!(instance = who.instance, reason, "the metadata service gave no answer");
                unavailable()
            }
            Err(_) => {
                tracing::warn!(instance = who.instance, "the metadata service gave no answer in time");
                unavailable()
            }
        }
    }

    async fn ask_any(
        &self,
        asked: &Asked,
        from: IpAddr,
        who: &MetadataInstance,
    ) -> Result<Response<Full<Bytes>>, String> {
        let mut failure = "none is configured".to_owned();
        for _ in 0..self.services.len() {
            let at = self.current.load(Ordering::Relaxed);
            let Some(service) = self.services.get(at) else { break };
            let request = self.request(service, asked, from, who)?;
            let sent = match &self.client {
                Protocol::Plain(client) => client.request(request).await,
                Protocol::Tls(client) => client.request(request).await,
            };
            match sent {
                Ok(response) => return answer(response).await,
                // Nothing has been asked: another one may do.
                Err(error) if error.is_connect() => {
                    failure = sentence(&error);
                    let next = (at + 1) % self.services.len().max(1);
                    let _ = self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
                }
                Err(error) => return Err(sentence(&error)),
            }
        }
        Err(failure)
    }

    fn request(
        &self,
        service: &str,
        asked: &Asked,
        from: IpAddr,
        who: &MetadataInstance,
    ) -> Result<Request<Full<Bytes>>, String> {
        let signature = sign_instance_id(self.secret.reveal().as_bytes(), &who.instance);
        Request::builder()
            .method(asked.method.clone())
            .uri(format!("{service}{}", asked.path))
            .header("X-Forwarded-For", from.to_string())
            .header("X-Instance-ID", &who.instance)
            .header("X-Tenant-ID", &who.project)
            .header("X-Instance-ID-Signature", signature)
            .body(Full::new(asked.body.clone()))
            .map_err(|error| error.to_string())
    }
}

async fn answer(response: Response<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, String> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.map_err(|error| error.to_string())?.to_bytes();
    let status = parts.status;
    if status.is_success() {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        if let Some(kind) = parts.headers.get(CONTENT_TYPE) {
            response.headers_mut().insert(CONTENT_TYPE, kind.clone());
        }
        return Ok(response);
    }
    if status == StatusCode::FORBIDDEN {
        tracing::warn!("the metadata service refuses what this host signs: do the shared secrets match?");
    }
    let known = [400, 403, 404, 409, 500, 502, 503, 504].contains(&status.as_u16());
    Ok(plain(if known { status } else { StatusCode::INTERNAL_SERVER_ERROR }))
}

fn unavailable() -> Response<Full<Bytes>> {
    plain(StatusCode::SERVICE_UNAVAILABLE)
}

/// An answer that says no more than its status.
pub(super) fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let text = format!("{} {}\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    response
}
