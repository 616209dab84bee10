//! An OVSDB server in memory that speaks the protocol on a socket: for tests that need no switch, or faults that the real
//! server cannot be brought to.

use ::ovsdb::model::Database;
use ::ovsdb::{Framer, MONITOR_ID, Message, MonitorMethod, Operation, RowChange, Transaction, Update};
use serde_json::{Map, Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;

/// A server. Dropping it closes every connection and removes the socket.
#[derive(Debug)]
pub struct FakeDatabase {
    socket: PathBuf,
    shared: Arc<Shared>,
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    database: Mutex<Database>,
    /// The best generation of the monitor request that it knows.
    best: MonitorMethod,
    told: broadcast::Sender<Update>,
    silent: std::sync::atomic::AtomicBool,
    connections: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl FakeDatabase {
    /// Listens on `socket` with an empty database; knows `best` and older requests. Must be called within a tokio runtime.
    pub fn start(socket: &Path, best: MonitorMethod) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let shared = Arc::new(Shared {
            database: Mutex::new(Database::open_vswitch()),
            best,
            told: broadcast::channel(1024).0,
            silent: false.into(),
            connections: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let accept = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let task = tokio::spawn(drop_error(serve(Arc::clone(&serving), stream)));
                serving.connections.lock().unwrap_or_else(PoisonError::into_inner).push(task);
            }
        });
        Ok(Self { socket: socket.to_owned(), shared, tasks: Mutex::new(vec![accept]) })
    }

    /// What somebody else changes: monitors are told.
    pub fn transact(&self, transaction: &Transaction) -> Value {
        self.shared.transact(transaction)
    }

    /// The database as it is.
    pub fn database(&self) -> Database {
        self.shared.database.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends every connection, as a restart of the server does; clients may connect again.
    pub fn disconnect(&self) {
        for task in self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }

    /// From now on nothing is said on any connection, as by a server that hangs; or it speaks again.
    pub fn be_silent(&self, silent: bool) {
        self.shared.silent.store(silent, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Drop for FakeDatabase {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        self.disconnect();
        drop(std::fs::remove_file(&self.socket));
    }
}

impl Shared {
    fn transact(&self, transaction: &Transaction) -> Value {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let (result, update) = database.transact(transaction);
        if !update.updates.is_empty() {
            // Nobody listens: nobody to tell.
            drop(self.told.send(update));
        }
        result
    }

    fn answer(&self, method: &str, params: &Value, generation: &mut Option<MonitorMethod>) -> Result<Value, Value> {
        let refuse = |why: &str| Err(json!({"error": why}));
        let known = [MonitorMethod::CondSince, MonitorMethod::Cond, MonitorMethod::Plain];
        if let Some(asked) = known.into_iter().find(|known| known.name() == method) {
            if asked < self.best {
                return refuse("unknown method");
            }
            *generation = Some(asked);
            let snapshot = self.database.lock().unwrap_or_else(PoisonError::into_inner).snapshot();
            let rows = rows(&snapshot, asked, "initial");
            return Ok(match asked {
                MonitorMethod::CondSince => json!([false, uuid::Uuid::nil().to_string(), rows]),
                MonitorMethod::Cond | MonitorMethod::Plain => rows,
            });
        }
        match (method, params.as_array().map(Vec::as_slice)) {
            ("echo", _) => Ok(params.clone()),
            ("get_schema", _) => Ok(schema(&self.database.lock().unwrap_or_else(PoisonError::into_inner))),
            ("transact", Some([_, operations @ ..])) => {
                match operations.iter().map(Operation::from_json).collect::<Result<Vec<_>, _>>() {
                    Ok(operations) => Ok(self.transact(&operations.into_iter().collect())),
                    Err(error) => Ok(json!([{"error": "syntax error", "details": error.to_string()}])),
                }
            }
            _ => refuse("unknown method"),
        }
    }
}

async fn drop_error(work: impl Future<Output = io::Result<()>>) {
    drop(work.await);
}

async fn serve(shared: Arc<Shared>, mut stream: UnixStream) -> io::Result<()> {
    let mut told = shared.told.subscribe();
    let (mut framer, mut chunk, mut generation) = (Framer::default(), vec![0; 16 * 1024], None);
    loop {
        tokio::select! {
            // What was changed is told before a transaction is answered, as ovsdb-server does.
            biased;
            update = told.recv() => {
                let update = update.map_err(io::Error::other)?;
                if let Some(generation) = generation {
                    say(&shared, &mut stream, &notification(&shared, &update, generation)).await?;
                }
            }
            read = stream.read(&mut chunk) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                framer.feed(chunk.get(..count).unwrap_or_default());
                while let Some(json) = framer.next_value().map_err(io::Error::other)? {
                    let Ok(Message::Request { id, method, params }) = Message::from_json(json) else { continue };
                    let result = shared.answer(&method, &params, &mut generation);
                    while let (Ok(update), Some(generation)) = (told.try_recv(), generation) {
                        say(&shared, &mut stream, &notification(&shared, &update, generation)).await?;
                    }
                    say(&shared, &mut stream, &Message::Response { id, result }).await?;
                }
            }
        }
    }
}

async fn say(shared: &Shared, stream: &mut UnixStream, message: &Message) -> io::Result<()> {
    if shared.silent.load(std::sync::atomic::Ordering::SeqCst) {
        return Ok(());
    }
    stream.write_all(&message.encode()).await
}

fn notification(shared: &Shared, update: &Update, generation: MonitorMethod) -> Message {
    let (method, params) = match generation {
        MonitorMethod::CondSince => {
            ("update3", json!([MONITOR_ID, uuid::Uuid::nil().to_string(), rows(update, generation, "insert")]))
        }
        MonitorMethod::Cond => ("update2", json!([MONITOR_ID, rows(update, generation, "insert")])),
        MonitorMethod::Plain => {
            // Whole rows, which the model does not tell: as they are now.
            let snapshot = shared.database.lock().unwrap_or_else(PoisonError::into_inner).snapshot();
            let mut whole = update.clone();
            for row in &mut whole.updates {
                let now = snapshot.updates.iter().find(|now| now.uuid == row.uuid);
                row.change = now.map_or(RowChange::Deleted, |now| now.change.clone());
            }
            ("update", json!([MONITOR_ID, rows(&whole, generation, "new")]))
        }
    };
    Message::Notification { method: method.into(), params }
}

/// `<table-updates>` or `<table-updates2>`; a new row is called `new_word`.
fn rows(update: &Update, generation: MonitorMethod, new_word: &str) -> Value {
    let mut tables: Map<String, Value> = Map::new();
    for row in &update.updates {
        let change = match (&row.change, generation) {
            (RowChange::Set(row), MonitorMethod::Plain) => json!({ "new": row }),
            (RowChange::Set(row), _) => json!({ new_word: row }),
            (RowChange::Difference(row), _) => json!({ "modify": row }),
            (RowChange::Deleted, MonitorMethod::Plain) => json!({ "old": {} }),
            (RowChange::Deleted, _) => json!({ "delete": null }),
        };
        let table = tables.entry(row.table.clone()).or_insert_with(|| json!({}));
        if let Some(rows) = table.as_object_mut() {
            rows.insert(row.uuid.to_string(), change);
        }
    }
    tables.into()
}

fn schema(database: &Database) -> Value {
    let column = |column: &::ovsdb::Column| {
        let key = match &column.keeps {
            Some(table) => json!({"type": "uuid", "refTable": table}),
            None => json!({"type": "string"}),
        };
        let max = if column.composite { json!("unlimited") } else { json!(1) };
        let mut kind = json!({"key": key, "min": 0, "max": max});
        if let (true, Some(kind)) = (column.map, kind.as_object_mut()) {
            kind.insert("value".into(), json!("string"));
        }
        json!({ "type": kind })
    };
    let tables = database.schema().tables.iter().map(|(name, table)| {
        let columns: Map<String, Value> =
            table.columns.iter().map(|(name, kind)| (name.clone(), column(kind))).collect();
        (name.clone(), json!({"columns": columns, "isRoot": table.root}))
    });
    json!({"name": "Open_vSwitch", "version": "8.3.0", "tables": tables.collect::<Map<_, _>>()})
}
