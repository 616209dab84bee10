//! The agent channel on the server's own port: `GET /hosts/{host}/watch?revision=N` (newline-delimited JSON, see
//! [`host_view::WatchEvent`]) and `POST /hosts/{host}/report` ([`host_view::HostReport`]); both want
//! `Authorization: Bearer SECRET`.

use crate::hub::{Feed, Hub};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::stream;
use host_view::{HostReport, WatchEvent};
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A line is sent at least so often; an agent that hears nothing for three times as long connects anew.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of the largest report: one with the states of some 50,000 ports.
const REPORT_LIMIT: usize = 8 << 20;

impl Feed {
    /// The routes, to be nested under `/agent/v1`.
    pub fn router(&self) -> axum::Router {
        axum::Router::new()
            .route("/hosts/{host}/watch", get(watch))
            .route("/hosts/{host}/report", post(report))
            .layer(DefaultBodyLimit::max(REPORT_LIMIT))
            .layer(middleware::from_fn_with_state(Arc::clone(self.hub()), authenticate))
            .with_state(Arc::clone(self.hub()))
    }
}

fn refuse(status: StatusCode, why: impl ToString) -> Response {
    (status, Json(serde_json::json!({ "error": why.to_string() }))).into_response()
}

async fn authenticate(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
        .unwrap_or_default();
    if equal(given, hub.config.secret.as_bytes()) {
        next.run(request).await
    } else {
        refuse(StatusCode::UNAUTHORIZED, "the agents' secret is missing or wrong")
    }
}

/// Compares in a time that does not tell where they differ. An empty secret lets nobody in.
fn equal(given: &[u8], secret: &[u8]) -> bool {
    let differences = given.iter().zip(secret).fold(0, |found, (a, b)| found | (a ^ b));
    !secret.is_empty() && given.len() == secret.len() && std::hint::black_box(differences) == 0
}

#[derive(Deserialize)]
struct WatchQuery {
    revision: Option<u64>,
}

async fn watch(State(hub): State<Arc<Hub>>, Path(host): Path<String>, Query(query): Query<WatchQuery>) -> Response {
    let news = hub.news(&host);
    let stream = Stream { hub, host, had: query.revision, news, ready: VecDeque::new(), started: false };
    let body = stream::unfold(stream, |mut stream| async move {
        let line = stream.next().await?;
        Some((Ok::<_, Infallible>(line), stream))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response()
}

/// One agent's stream.
struct Stream {
    hub: Arc<Hub>,
    host: String,
    had: Option<u64>,
    news: watch::Receiver<()>,
    ready: VecDeque<WatchEvent>,
    started: bool,
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ready.is_empty() {
            if !self.started
                && let Some(had) = self.had
            {
                self.hub.reach(had).await;
            }
            if self.started {
                // Woken or not, what to send is looked up afterwards; a bookmark goes out when there is nothing.
                let _ = tokio::time::timeout(BOOKMARK_INTERVAL, self.news.changed()).await;
            }
            self.started = true;
            self.news.mark_unchanged();
            self.ready.extend(self.hub.lines_after(&self.host, self.had));
        }
        let line = self.ready.pop_front().unwrap_or(WatchEvent::Bookmark { revision: self.had.unwrap_or(0) });
        let (WatchEvent::Snapshot { revision, .. }
        | WatchEvent::Delta { revision, .. }
        | WatchEvent::Bookmark { revision }) = &line;
        self.had = Some(*revision);
        let mut text = serde_json::to_vec(&line).ok()?;
        text.push(b'\n');
        Some(Bytes::from(text))
    }
}

async fn report(State(hub): State<Arc<Hub>>, Path(host): Path<String>, body: Bytes) -> Response {
    let report: HostReport = match serde_json::from_slice(&body) {
        Ok(report) => report,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("not a report: {error}")),
    };
    match hub.take_report(&host, report).await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => {
            tracing::error!(host, error = &error as &dyn std::error::Error, "a report cannot be taken");
            refuse(StatusCode::SERVICE_UNAVAILABLE, "the report cannot be kept now")
        }
    }
}
