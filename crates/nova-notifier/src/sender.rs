//! The one task: looks at the queue, claims it, tells Nova, settles.

use std::time::Duration;

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use keystone_client::{Call, KeystoneError, Session, To};
use network_store::NetworkError;
use network_store::nova::{self, NovaEvent};
use serde_json::{Value, json};
use store::Store;
use tokio::task::JoinHandle;

use crate::NovaConfig;
use crate::answer::{Verdict, verdict};

/// Events of one request.
const BATCH: usize = 100;
/// How long a claim holds; a server that has died is replaced after it.
const CLAIM: SignedDuration = SignedDuration::from_secs(30);
/// How long telling a batch may take, signing in included: less than the claim, so that no other server begins meanwhile.
const LIMIT: Duration = Duration::from_secs(20);
/// The pause after a failure; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The first version of Nova's API that this is in; nothing newer is needed.
const MICROVERSION: (&str, &str) = ("openstack-api-version", "compute 2.1");

/// The running notifier; it ends when this is dropped, and leaves the queue as it is.
pub struct Notifier(JoinHandle<()>);

impl Drop for Notifier {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Notifier {
    /// Starts telling Nova what is in the queue of `store`. `holder` is this server's name among those on the database, the
    /// same after a restart.
    pub fn start(store: Store, config: &NovaConfig, holder: String) -> Result<Self, KeystoneError> {
        let mut account = config.account.clone();
        // It is all tried again here.
        account.http_request_max_retries = 0;
        let session = Session::new(account)?;
        let sender = Sender { store, session, config: config.clone(), holder };
        Ok(Self(tokio::spawn(sender.run())))
    }
}

struct Sender {
    store: Store,
    session: Session,
    config: NovaConfig,
    holder: String,
}

/// What a look at the queue led to.
enum Step {
    /// It is empty.
    Idle,
    /// Another server sends, until then at least.
    NotOurs(Timestamp),
    /// Events were settled, or the next batch is to be so large.
    Go(usize),
    /// Not now.
    Failed(String),
}

impl Sender {
    async fn run(self) {
        let mut revisions = self.store.revision_watch();
        let mut pause = PAUSE;
        let mut batch = BATCH;
        loop {
            // What is written after this look changes the revision after it, too.
            revisions.borrow_and_update();
            let step = self.step(batch).await.unwrap_or_else(|error| Step::Failed(format!("the queue: {error}")));
            match step {
                Step::Go(next) => (batch, pause) = (next, PAUSE),
                Step::Idle => {
                    if revisions.changed().await.is_err() {
                        return;
                    }
                }
                Step::NotOurs(until) => {
                    let left = until.duration_since(Timestamp::now()).clamp(SignedDuration::ZERO, CLAIM);
                    tokio::time::sleep(left.unsigned_abs().max(PAUSE)).await;
                }
                Step::Failed(reason) => {
                    tracing::warn!(reason, again_in = ?pause, "Nova is not told of its ports");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn step(&self, batch: usize) -> Result<Step, NetworkError> {
        let events = self.store.read(move |snapshot| nova::pending(snapshot, batch)).await?;
        if events.is_empty() {
            return Ok(Step::Idle);
        }
        let holder = self.holder.clone();
        let claimed = move |tx: &store::Tx<'_>| {
            let now = Timestamp::now();
            nova::claim(tx, &holder, now, now.saturating_add(CLAIM).unwrap_or(Timestamp::MAX))
        };
        if let Some(until) = self.store.write(claimed).await? {
            return Ok(Step::NotOurs(until));
        }
        // Whoever held the claim before may have told some of them: what is left is looked at under our own.
        let events = self.store.read(move |snapshot| nova::pending(snapshot, batch)).await?;
        let told = tokio::time::timeout(LIMIT, self.tell(&events)).await;
        match told.unwrap_or_else(|_| Verdict::Later("Nova did not answer in time".to_owned())) {
            Verdict::Later(reason) => Ok(Step::Failed(reason)),
            Verdict::Smaller => Ok(Step::Go((events.len() / 2).max(1))),
            Verdict::Settled(refused) => {
                for (index, code) in refused {
                    if let Some(event) = events.get(index) {
                        let NovaEvent { name, server_id, port_id, .. } = event;
                        tracing::warn!(
                            event = name,
                            server = server_id,
                            port = port_id,
                            code,
                            "Nova did not take an event"
                        );
                    }
                }
                self.store.write(move |tx| nova::settle(tx, &events)).await?;
                Ok(Step::Go(BATCH))
            }
        }
    }

    async fn tell(&self, events: &[NovaEvent]) -> Verdict {
        if events.is_empty() {
            return Verdict::Settled(Vec::new());
        }
        let body = json!({"events": events.iter().map(told).collect::<Vec<_>>()});
        let mut call = Call::with(Method::POST, "/os-server-external-events", Some(body));
        let (name, value) = MICROVERSION;
        call.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        let to = match &self.config.url {
            Some(url) => To::Url(url),
            None => To::Service { kind: "compute", interface: self.config.endpoint_type },
        };
        match self.session.call(to, &call).await {
            Ok(answer) => verdict(&answer, events),
            Err(error) => Verdict::Later(error.to_string()),
        }
    }
}

/// An event as Nova reads it.
fn told(event: &NovaEvent) -> Value {
    let mut told = json!({"name": event.name, "server_uuid": event.server_id, "tag": event.port_id});
    if let Some(status) = &event.status {
        told["status"] = json!(status);
    }
    told
}
