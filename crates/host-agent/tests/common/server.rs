//! A server that speaks the agents' protocol: a watch that the test writes, reports that the test reads.

use bytes::Bytes;
use host_view::{HostReport, HostView, HostViewDelta, PortState, ReportAnswer, WatchEvent};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use net_types::PortId;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What the agents must say.
pub const SECRET: &str = "agents-only";

type Body = BoxBody<Bytes, Infallible>;

/// The server; the listener and every connection end when it is dropped or [`FakeServer::die`]s.
pub struct FakeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    view: watch::Sender<(u64, Arc<HostView>)>,
    state: watch::Sender<Seen>,
    /// Revisions that streams were resumed at.
    resumed: Mutex<Vec<Option<u64>>>,
}

/// What the agent has said.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub reports: Vec<HostReport>,
    pub session: Option<uuid::Uuid>,
    pub revision: u64,
    pub ports: BTreeMap<PortId, PortState>,
    pub errors: Vec<String>,
}

impl FakeServer {
    /// Starts on a port of the loopback device, with an empty view of revision 1.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            view: watch::Sender::new((1, Arc::new(HostView::default()))),
            state: watch::Sender::new(Seen::default()),
            resumed: Mutex::new(vec![]),
        });
        let mut server = Self { address: "127.0.0.1:0".parse().unwrap(), shared, task: None };
        server.revive().await;
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops to listen and cuts every connection; what was told is kept.
    pub async fn die(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens (again) on the same address. A new process knows no session.
    pub async fn revive(&mut self) {
        self.shared.state.send_modify(|seen| seen.session = None);
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        self.task = Some(tokio::spawn(serve(listener, self.shared.clone())));
    }

    /// Changes the view; answers its revision.
    pub fn change(&self, change: impl FnOnce(&mut HostView)) -> u64 {
        self.shared.view.send_modify(|(revision, view)| {
            *revision += 1;
            change(Arc::make_mut(view));
        });
        self.shared.view.borrow().0
    }

    /// What the agent has said so far.
    pub fn seen(&self) -> Seen {
        self.shared.state.borrow().clone()
    }

    pub fn resumed_at(&self) -> Vec<Option<u64>> {
        self.shared.resumed.lock().unwrap().clone()
    }

    /// Waits until the agent has said something.
    pub async fn until(&self, what: &str, said: impl Fn(&Seen) -> bool) -> Seen {
        let mut state = self.shared.state.subscribe();
        match tokio::time::timeout(Duration::from_secs(20), state.wait_for(|seen| said(seen))).await {
            Ok(seen) => seen.unwrap().clone(),
            Err(_) => panic!("not in time: {what}; last: {:?}", {
                let mut seen = self.seen();
                seen.reports.clear();
                seen
            }),
        }
    }

    /// Waits until a port is up.
    pub async fn until_up(&self, port: PortId) -> Seen {
        self.until(&format!("port {port} up"), |seen| seen.ports.get(&port) == Some(&PortState::Up)).await
    }

    /// Waits until a port is down.
    pub async fn until_down(&self, port: PortId) -> Seen {
        self.until(&format!("port {port} down"), |seen| seen.ports.get(&port) == Some(&PortState::Down)).await
    }

    /// Waits until a revision is realised.
    pub async fn until_revision(&self, revision: u64) -> Seen {
        self.until(&format!("revision {revision}"), |seen| seen.revision >= revision).await
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, shared.clone()));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn full(body: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(body.into()).boxed()
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, Infallible> {
    let refuse = |status| Ok(Response::builder().status(status).body(full("no")).unwrap());
    if request.headers().get("authorization").is_none_or(|given| *given != format!("Bearer {SECRET}")) {
        return refuse(StatusCode::UNAUTHORIZED);
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/agent/v1/hosts/testhost/watch") => {
            let had =
                request.uri().query().and_then(|query| query.strip_prefix("revision=")).map(|n| n.parse().unwrap());
            shared.resumed.lock().unwrap().push(had);
            Ok(Response::new(stream(had, shared.view.subscribe())))
        }
        (&Method::POST, "/agent/v1/hosts/testhost/report") => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let answer = take(&shared, serde_json::from_slice(&body).unwrap());
            Ok(Response::new(full(serde_json::to_vec(&answer).unwrap())))
        }
        _ => refuse(StatusCode::NOT_FOUND),
    }
}

fn take(shared: &Shared, report: HostReport) -> ReportAnswer {
    let mut wanted = false;
    shared.state.send_modify(|seen| {
        seen.reports.push(report.clone());
        if !report.full && seen.session != Some(report.session) {
            wanted = true;
            return;
        }
        if report.full {
            assert!(report.description.is_some(), "a full report describes the host");
            seen.ports.clear();
        }
        seen.session = Some(report.session);
        seen.revision = report.revision;
        seen.ports.extend(report.ports);
        seen.errors = report.errors;
    });
    ReportAnswer { full_report_wanted: wanted }
}

/// A snapshot, unless the agent has it; then deltas, and bookmarks in between.
fn stream(had: Option<u64>, mut view: watch::Receiver<(u64, Arc<HostView>)>) -> Body {
    let (lines, received) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(4);
    tokio::spawn(async move {
        let (mut at, mut told) = view.borrow_and_update().clone();
        let first = if had == Some(at) {
            WatchEvent::Bookmark { revision: at }
        } else {
            WatchEvent::Snapshot { revision: at, view: Box::new((*told).clone()) }
        };
        let mut event = first;
        loop {
            let mut line = serde_json::to_vec(&event).unwrap();
            line.push(b'\n');
            // In two pieces, for a frame is not a line.
            let rest = line.split_off(line.len() / 2);
            for piece in [line, rest] {
                if lines.send(Ok(Frame::data(piece.into()))).await.is_err() {
                    return;
                }
            }
            event = tokio::select! {
                changed = view.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let (revision, new) = view.borrow_and_update().clone();
                    let delta = Box::new(HostViewDelta::between(&told, &new));
                    let event = WatchEvent::Delta { revision, from: at, delta };
                    (at, told) = (revision, new);
                    event
                }
                () = tokio::time::sleep(Duration::from_secs(1)) => WatchEvent::Bookmark { revision: at },
                () = lines.closed() => return,
            };
        }
    });
    let frames =
        futures_util::stream::unfold(received, |mut received| async { Some((received.recv().await?, received)) });
    StreamBody::new(frames).boxed()
}
