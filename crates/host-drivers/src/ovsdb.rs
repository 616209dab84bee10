//! A copy of Open vSwitch's database that keeps itself up to date, and a way to change it.
//!
//! The protocol is the crate `ovsdb`'s; here are the socket and the order of things. One task holds the connection: it
//! monitors, answers and sends keep-alives, and connects again when the server has gone. While it is gone the last copy
//! stays readable ([`Database::last`]) but nobody can take it for the present one.
//!
//! ```no_run
//! # async fn example(desired: ovsdb::Desired) -> Result<(), host_drivers::DriverError> {
//! let mut database = host_drivers::ovsdb::Database::new("/run/openvswitch/db.sock".as_ref());
//! loop {
//!     let cache = database.cache().await?;
//!     if let Some(transaction) = ovsdb::plan(&cache, &desired).transaction {
//!         database.transact(transaction).await?; // the next cache() shows what it did
//!     }
//!     database.changed().await;
//! }
//! # }
//! ```

use crate::DriverError;
use ::ovsdb::{Cache, Framer, Message, MonitorMethod, OPEN_VSWITCH, Outcome, Schema, Transaction, Update};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

/// A server that is silent for so long is asked whether it is there; silent as long again, it is taken for dead.
const INACTIVITY: Duration = Duration::from_secs(5);
/// How long connecting, and each answer before the monitor runs, may take.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Open vSwitch's database. Dropping it closes the connection.
#[derive(Debug)]
pub struct Database {
    socket: PathBuf,
    asks: mpsc::UnboundedSender<Ask>,
    state: watch::Receiver<Snapshot>,
    task: tokio::task::JoinHandle<()>,
}

/// What is known of the database.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The copy; of a lost connection, the last one.
    pub cache: Arc<Cache>,
    /// Whether the copy is kept up to date.
    pub connection: Connection,
}

/// Whether there is a connection to the database server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Connection {
    /// The first attempt is under way.
    #[default]
    Connecting,
    /// The copy is kept up to date.
    Connected,
    /// It could not be made, or went; it is tried again. Why.
    Lost(String),
}

struct Ask {
    transaction: Transaction,
    answer: oneshot::Sender<Result<Vec<Outcome>, DriverError>>,
}

impl Drop for Database {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Database {
    /// Begins to connect to the server that listens on `socket`. Must be called within a tokio runtime.
    pub fn new(socket: &Path) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let (publish, state) = watch::channel(Snapshot::default());
        let keeper = Keeper { socket: socket.to_owned(), asked, publish, cache: Cache::default() };
        Self { socket: socket.to_owned(), asks, state, task: tokio::spawn(keeper.run()) }
    }

    /// The copy as it is now, and never an outdated one: it fails while there is no connection. Waits for the first
    /// attempt to connect.
    pub async fn cache(&mut self) -> Result<Arc<Cache>, DriverError> {
        let decided = self.state.wait_for(|snapshot| snapshot.connection != Connection::Connecting).await;
        let lost = |said: &str| DriverError::DatabaseLost { socket: self.socket.clone(), said: said.to_owned() };
        // Which marks what is returned as seen, and nothing newer.
        let snapshot = decided.map_err(|_| lost("its task has ended"))?.clone();
        match snapshot.connection {
            Connection::Connected => Ok(snapshot.cache),
            Connection::Connecting => Err(lost("not connected yet")),
            Connection::Lost(said) => Err(lost(&said)),
        }
    }

    /// What is known, connected or not.
    pub fn last(&self) -> Snapshot {
        self.state.borrow().clone()
    }

    /// A watch of the same, for others who want to follow.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.state.clone()
    }

    /// Returns when something has changed since the last [`Database::cache`]: a row that we look at, or the connection.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Does a transaction. When it returns, the copy shows what it did. An error that says that the connection was lost
    /// leaves open whether it was done: look at the copy again.
    pub async fn transact(&self, transaction: Transaction) -> Result<Vec<Outcome>, DriverError> {
        let lost = || DriverError::DatabaseLost { socket: self.socket.clone(), said: "its task has ended".into() };
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { transaction, answer }).map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }

    /// Waits until ovs-vswitchd has put into effect what a transaction changed: see [`ovsdb::Plan::next_cfg`].
    pub async fn wait_for_switch(&mut self, next_cfg: i64) -> Result<(), DriverError> {
        let mut state = self.state.clone();
        let done = state.wait_for(|snapshot| {
            let reached = snapshot.cache.switch().is_some_and(|switch| switch.cur_cfg >= next_cfg);
            reached || snapshot.connection != Connection::Connected
        });
        let lost = |said: &str| DriverError::DatabaseLost { socket: self.socket.clone(), said: said.to_owned() };
        match &done.await.map_err(|_| lost("its task has ended"))?.connection {
            Connection::Connected => Ok(()),
            Connection::Connecting => Err(lost("not connected yet")),
            Connection::Lost(said) => Err(lost(said)),
        }
    }
}

/// The task that holds the connection.
struct Keeper {
    socket: PathBuf,
    asked: mpsc::UnboundedReceiver<Ask>,
    publish: watch::Sender<Snapshot>,
    /// What the next connection continues from.
    cache: Cache,
}

impl Keeper {
    async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        loop {
            let said = match Session::open(&self.socket, &self.cache).await {
                Ok((session, cache)) => {
                    tracing::info!(socket = %self.socket.display(), "connected to OVSDB");
                    wait = FIRST_WAIT;
                    self.cache = cache;
                    let Some(said) = self.follow(session).await else { return };
                    said
                }
                Err(said) => said,
            };
            tracing::warn!(socket = %self.socket.display(), said, "no connection to OVSDB");
            self.publish.send_modify(|snapshot| snapshot.connection = Connection::Lost(said.clone()));
            let again = sleep(wait);
            tokio::pin!(again);
            loop {
                tokio::select! {
                    () = &mut again => break,
                    ask = self.asked.recv() => match ask {
                        Some(ask) => drop(ask.answer.send(Err(self.lost(&said)))),
                        None => return,
                    },
                }
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Until the connection is lost: why. None: nobody wants it any longer.
    async fn follow(&mut self, mut session: Session) -> Option<String> {
        let mut pending = HashMap::new();
        self.publish.send_replace(Snapshot { cache: Arc::new(self.cache.clone()), connection: Connection::Connected });
        let said = loop {
            let step = tokio::select! {
                received = session.receive() => match received {
                    Ok(Some(Message::Response { id, result })) => {
                        self.answer(&mut pending, &id, result);
                        Ok(())
                    }
                    Ok(Some(Message::Notification { method, params })) => self.update(&method, &params),
                    Ok(Some(Message::Request { id, method, params })) => {
                        session.send(&Message::answer(id, &method, params)).await
                    }
                    Ok(None) => session.send(&Message::echo()).await,
                    Err(said) => Err(said),
                },
                ask = self.asked.recv() => {
                    let id = session.take_id();
                    let request = Message::request(id, "transact", ask.as_ref()?.transaction.params(OPEN_VSWITCH));
                    pending.extend(ask.map(|ask| (id, ask)));
                    session.send(&request).await
                }
            };
            if let Err(said) = step {
                break said;
            }
        };
        for (_, ask) in pending {
            drop(ask.answer.send(Err(self.lost(&said))));
        }
        Some(said)
    }

    fn answer(&self, pending: &mut HashMap<u64, Ask>, id: &Value, result: Result<Value, Value>) {
        let Some(ask) = id.as_u64().and_then(|id| pending.remove(&id)) else { return };
        let outcome = match result {
            Ok(result) => ask.transaction.outcome(&result),
            Err(error) => Err(::ovsdb::Error::Refused { method: "transact".into(), error: error.to_string() }),
        };
        drop(ask.answer.send(outcome.map_err(DriverError::Database)));
    }

    fn update(&mut self, method: &str, params: &Value) -> Result<(), String> {
        let taken = Update::from_notification(method, params).and_then(|update| match update {
            Some(update) => self.cache.apply(update),
            None => Ok(Vec::new()),
        });
        match taken {
            Ok(changes) if changes.is_empty() => Ok(()),
            Ok(_) => {
                self.publish.send_modify(|snapshot| snapshot.cache = Arc::new(self.cache.clone()));
                Ok(())
            }
            Err(error) => {
                // Made anew by the next connection, from nothing.
                self.cache = Cache::default();
                Err(error.to_string())
            }
        }
    }

    fn lost(&self, said: &str) -> DriverError {
        DriverError::DatabaseLost { socket: self.socket.clone(), said: said.to_owned() }
    }
}

/// One connection. Errors are words: every one of them ends it.
struct Session {
    stream: UnixStream,
    framer: Framer,
    chunk: Vec<u8>,
    last_id: u64,
    /// When something was last heard, and whether the server was asked since whether it is there.
    heard: Instant,
    asked: bool,
}

impl Session {
    /// Connects, and monitors from where `known` ends; the copy up to date.
    async fn open(socket: &Path, known: &Cache) -> Result<(Self, Cache), String> {
        let stream =
            timeout(PATIENCE, UnixStream::connect(socket)).await.map_err(|_| "it does not accept".to_owned())?;
        let mut session = Self {
            stream: stream.map_err(|error| error.to_string())?,
            framer: Framer::default(),
            chunk: vec![0; 64 * 1024],
            last_id: 0,
            heard: Instant::now(),
            asked: false,
        };
        let schema = session.call("get_schema", json!([OPEN_VSWITCH])).await?.map_err(|error| error.to_string())?;
        let schema = Schema::from_json(&schema).map_err(|error| error.to_string())?;
        let mut cache = if *known.schema() == schema { known.clone() } else { Cache::new(schema) };
        let mut method = Some(MonitorMethod::CondSince);
        while let Some(candidate) = method {
            let params = candidate.params(OPEN_VSWITCH, cache.schema(), cache.last_transaction());
            if let Ok(result) = session.call(candidate.name(), params).await? {
                let update = candidate.reply(&result).map_err(|error| error.to_string())?;
                cache.apply(update).map_err(|error| error.to_string())?;
                return Ok((session, cache));
            }
            method = candidate.fall_back();
        }
        Err("it knows no way to monitor".into())
    }

    fn take_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Asks and waits for the answer; only before the monitor runs, for it drops what comes in between.
    async fn call(&mut self, method: &str, params: Value) -> Result<Result<Value, Value>, String> {
        let id = self.take_id();
        self.send(&Message::request(id, method, params)).await?;
        let answer = async {
            loop {
                match self.receive().await? {
                    Some(Message::Response { id: of, result }) if of == json!(id) => return Ok(result),
                    Some(Message::Request { id, method, params }) => {
                        self.send(&Message::answer(id, &method, params)).await?;
                    }
                    Some(Message::Response { .. } | Message::Notification { .. }) | None => {}
                }
            }
        };
        timeout(PATIENCE, answer).await.map_err(|_| format!("no answer to {method}"))?
    }

    async fn send(&mut self, message: &Message) -> Result<(), String> {
        let sent = timeout(PATIENCE, self.stream.write_all(&message.encode())).await;
        sent.map_err(|_| "it does not read".to_owned())?.map_err(|error| error.to_string())
    }

    /// The next message. None when the server has been silent for long and must be asked whether it is there: an error if it
    /// was asked already. May be dropped at its await without losing anything, so it sends nothing itself.
    async fn receive(&mut self) -> Result<Option<Message>, String> {
        loop {
            if let Some(json) = self.framer.next_value().map_err(|error| error.to_string())? {
                return Message::from_json(json).map(Some).map_err(|error| error.to_string());
            }
            tokio::select! {
                read = self.stream.read(&mut self.chunk) => match read {
                    Ok(0) => return Err("it closed the connection".into()),
                    Ok(count) => {
                        self.framer.feed(self.chunk.get(..count).unwrap_or_default());
                        (self.heard, self.asked) = (Instant::now(), false);
                    }
                    Err(error) => return Err(error.to_string()),
                },
                () = tokio::time::sleep_until(self.heard + INACTIVITY) => {
                    if self.asked {
                        return Err("it does not answer".into());
                    }
                    (self.heard, self.asked) = (Instant::now(), true);
                    return Ok(None);
                }
            }
        }
    }
}
