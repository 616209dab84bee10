//! The tasks around the decision: one that takes connections, one for each connection.

use super::MetadataClients;
use super::rate::{RateLimit, Rates};
use super::socket::MetadataSockets;
use super::upstream::{Asked, Upstream, plain};
use crate::ServiceError;
use crate::limit::LogLimit;
use bytes::Bytes;
use futures_util::future::select_all;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Connections of one address at a time; a further one is closed.
const OF_ONE: usize = 8;
/// Connections of one proxy at a time; a further one waits.
const OF_ALL: usize = 256;
/// Bytes of the largest request body (an instance posts its encrypted password).
const LARGEST_BODY: usize = 64 << 10;
/// Bytes of the request line and headers.
const LARGEST_HEAD: usize = 16 << 10;
/// How long a request's head may take to arrive.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection may take, the metadata service's share included.
const CONNECTION_LIMIT: Duration = Duration::from_secs(90);
/// A socket that keeps failing is not asked in a tight loop.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// What all proxies of a host share.
#[derive(Debug)]
pub struct MetadataService {
    /// Whom they ask.
    pub upstream: Upstream,
    /// How often each address may ask; none: without limit (`rate_limit_enabled`).
    pub rate_limit: Option<RateLimit>,
}

/// A running proxy; dropping it closes its sockets and connections.
#[derive(Debug)]
pub struct MetadataServer {
    clients: watch::Sender<Arc<MetadataClients>>,
    task: JoinHandle<()>,
}

impl MetadataServer {
    /// Starts to answer on `sockets`; `name` (of the network or router) stands in the log. Needs a tokio runtime.
    pub fn start(
        name: &str,
        sockets: MetadataSockets,
        clients: MetadataClients,
        service: Arc<MetadataService>,
    ) -> Result<Self, ServiceError> {
        let register = |listener| TcpListener::from_std(listener).map_err(|source| ServiceError::Register { source });
        let listeners = sockets.0.into_iter().map(register).collect::<Result<Vec<_>, _>>()?;
        let (sender, receiver) = watch::channel(Arc::new(clients));
        let proxy = Arc::new(Proxy {
            name: name.to_owned(),
            clients: receiver,
            rates: service.rate_limit.map(|limit| Mutex::new(Rates::new(limit))),
            log: Mutex::new(LogLimit::new(Instant::now())),
            service,
        });
        Ok(Self { clients: sender, task: tokio::spawn(run(proxy, listeners)) })
    }

    /// Knows these from the next request on.
    pub fn set_clients(&self, clients: MetadataClients) {
        self.clients.send_replace(Arc::new(clients));
    }

    /// Stops and waits until the ports are free again.
    pub async fn stop(mut self) {
        self.task.abort();
        // Cancelled is what was asked for; there is nothing else that it could say.
        let _ = (&mut self.task).await;
    }
}

impl Drop for MetadataServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One proxy, as its connections see it.
struct Proxy {
    name: String,
    clients: watch::Receiver<Arc<MetadataClients>>,
    rates: Option<Mutex<Rates>>,
    log: Mutex<LogLimit>,
    service: Arc<MetadataService>,
}

/// Takes connections. They end with this task.
async fn run(proxy: Arc<Proxy>, listeners: Vec<TcpListener>) {
    let mut connections = JoinSet::<IpAddr>::new();
    let mut open: HashMap<IpAddr, usize> = HashMap::new();
    loop {
        tokio::select! {
            Some(ended) = connections.join_next() => match ended {
                Ok(address) => forget(&mut open, address),
                // Whose it was is not known any more: counted anew from here on.
                Err(_) => open.clear(),
            },
            taken = take(&listeners), if connections.len() < OF_ALL && !listeners.is_empty() => match taken {
                Ok((stream, peer)) => {
                    let address = peer.ip().to_canonical();
                    let count = open.entry(address).or_default();
                    if *count < OF_ONE {
                        *count += 1;
                        connections.spawn(serve(proxy.clone(), stream, address));
                    }
                }
                Err(error) => {
                    proxy.say(|name, more| {
                        tracing::warn!(proxy = name, suppressed = more, %error, "no metadata connection can be taken");
                    });
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            },
            else => return,
        }
    }
}

fn forget(open: &mut HashMap<IpAddr, usize>, address: IpAddr) {
    if let Some(count) = open.get_mut(&address) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            open.remove(&address);
        }
    }
}

async fn take(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    select_all(listeners.iter().map(|listener| Box::pin(listener.accept()))).await.0
}

/// One connection, for one request.
async fn serve(proxy: Arc<Proxy>, stream: TcpStream, address: IpAddr) -> IpAddr {
    let answer = service_fn(|request| {
        let proxy = &proxy;
        async move { Ok::<_, Infallible>(proxy.answer(request, address).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(LARGEST_HEAD).keep_alive(false);
    // What goes wrong on a connection is the client's to see.
    let _ = tokio::time::timeout(CONNECTION_LIMIT, http.serve_connection(TokioIo::new(stream), answer)).await;
    address
}

impl Proxy {
    async fn answer(&self, request: Request<Incoming>, address: IpAddr) -> Response<Full<Bytes>> {
        if !self.may_ask(address) {
            self.say(|name, more| {
                tracing::warn!(proxy = name, suppressed = more, %address, "asks for metadata too often");
            });
            return plain(StatusCode::TOO_MANY_REQUESTS);
        }
        let clients = self.clients.borrow().clone();
        let Some(who) = clients.get(&address) else {
            self.say(|name, more| {
                tracing::warn!(proxy = name, suppressed = more, %address, "no instance is known by this address");
            });
            return plain(StatusCode::NOT_FOUND);
        };
        let (parts, body) = request.into_parts();
        let Some(path) = parts.uri.path_and_query().filter(|path| is_plain(path.path())) else {
            return plain(StatusCode::BAD_REQUEST);
        };
        if parts.method == Method::CONNECT {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let asked = Asked { method: parts.method, path: path.as_str().to_owned(), body: body.to_bytes() };
        self.service.upstream.ask(&asked, address, who).await
    }

    fn may_ask(&self, address: IpAddr) -> bool {
        self.rates
            .as_ref()
            .is_none_or(|rates| rates.lock().unwrap_or_else(PoisonError::into_inner).pass(address, Instant::now()))
    }

    fn say(&self, line: impl FnOnce(&str, u64)) {
        if let Some(suppressed) = self.log.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now()) {
            line(&self.name, suppressed);
        }
    }
}

/// Whether a path begins at the root and leads nowhere upwards: what stands before it at the service must stay before it.
fn is_plain(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    path.starts_with('/') && !lower.contains("%2e") && !path.split('/').any(|part| part == "..")
}
