//! [`Store`]: the handle that the rest of the program holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use tokio::runtime::RuntimeFlavor;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::StoreError;
use crate::database::Database;
use crate::gate::Gate;
use crate::migration::{self, Migration};
use crate::postgres::Follower;
use crate::revision::Revision;
use crate::session::{Session, Snapshot, Tx};
use crate::writer::{Counters, Job, Queue, Unit, Writer, is_in_unit, panic_message};

/// Connections to a database server on which a runtime's threads read at the same time. PostgreSQL has 100 for all.
const MAX_CONNECTIONS: usize = 32;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections kept open for reading, and so many asynchronous reads at a time.
    pub readers: usize,
    /// An SQLite file may not grow beyond so many pages of 4096 bytes; writes then fail with [`StoreError::Full`].
    pub max_pages: Option<u32>,
    /// At most so many units of work share one COMMIT. It bounds what a failed COMMIT repeats and how long the first unit
    /// of a group waits; 1 turns group commit off (to measure it).
    pub max_group: usize,
    /// Asked by [`Store::write`] on its caller's thread: whether this thread has nothing else to do than to wait for the
    /// commit. Then the unit of work runs on it, if nobody else writes. Without: on the writer's thread, always.
    pub may_wait: Option<fn() -> bool>,
    /// Is told the text of every statement before it runs on SQLite: for tests and measurements of what a request asks the
    /// database.
    pub observe: Option<Observer>,
}

/// Called with the text of a statement.
#[derive(Clone)]
pub struct Observer(pub Arc<dyn Fn(&str) + Send + Sync>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 8, max_pages: None, max_group: 256, may_wait: None, observe: None }
    }
}

/// Counters since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// COMMITs that succeeded.
    pub commits: u64,
    /// Units of work that those commits answered.
    pub units: u64,
}

/// The database. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// `None` only while dropping.
    queue: Option<Queue>,
    writer: Arc<Writer>,
    thread: Option<thread::JoinHandle<()>>,
    may_wait: Option<fn() -> bool>,
    /// Hears of other servers' changes, where there can be others.
    follower: Option<Follower>,
    readers: Mutex<Vec<Box<dyn Session + Send>>>,
    max_readers: usize,
    permits: Semaphore,
    /// Connections for reading that there may be at once, to a database that has only so many.
    reading: Gate,
    revision: Arc<Revision>,
    counters: Arc<Counters>,
    observe: Option<Observer>,
}

impl Inner {
    fn is_writer(&self) -> bool {
        self.thread.as_ref().is_some_and(|writer| writer.thread().id() == thread::current().id())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.queue.take());
        drop(self.follower.take());
        // Wait for the writer, so that the file is closed when the last handle is gone; unless this *is* the writer
        // (a unit of work held the last handle), which ends by itself.
        if !self.is_writer()
            && let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the database writer ended by a panic");
        }
    }
}

impl Store {
    /// Opens the database and brings the store's own tables up to date. `place` is the path of an SQLite file, made if it is
    /// not there, or `postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?host=FOLDER]`, which several processes may have open.
    pub fn open(place: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(place, &Options::default())
    }

    /// Like [`Store::open`], with settings.
    pub fn open_with(place: impl AsRef<Path>, options: &Options) -> Result<Self, StoreError> {
        let database = Database::of(place.as_ref())?;
        let session = database.open_writer(options)?;
        session.begin()?;
        session.script(migration::BOOTSTRAP)?;
        migration::apply(&Tx::new(&*session), database.migrations(), jiff::Timestamp::now())?;
        let revision = Arc::new(Revision::new(Snapshot::new(&*session).revision()?));
        session.commit(None)?;

        let counters = Arc::new(Counters::default());
        let max_group = database.max_group(options);
        let (writer, queue, waiting) = Writer::new(session, max_group, Arc::clone(&revision), Arc::clone(&counters));
        let writer = Arc::new(writer);
        let of_thread = Arc::clone(&writer);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || of_thread.run(&waiting))
            .map_err(|source| StoreError::Open { path: database.to_string(), source: Box::new(source) })?;
        let max_readers = options.readers.max(1);
        Ok(Self {
            inner: Arc::new(Inner {
                follower: database.follow(&revision)?,
                database,
                queue: Some(queue),
                writer,
                thread: Some(thread),
                may_wait: options.may_wait,
                readers: Mutex::new(Vec::new()),
                max_readers,
                permits: Semaphore::new(max_readers),
                reading: Gate::new(MAX_CONNECTIONS),
                revision,
                counters,
                observe: options.observe.clone(),
            }),
        })
    }

    /// Applies those of `migrations` that this database does not have yet, in order, all or none. For the program's start:
    /// it blocks.
    pub fn migrate(&self, migrations: &[Migration]) -> Result<(), StoreError> {
        let migrations = migrations.to_vec();
        let applied = self.write_blocking(move |tx| migration::apply(tx, &migrations, jiff::Timestamp::now()))?;
        for name in applied {
            tracing::info!(name, "migration applied");
        }
        Ok(())
    }

    /// Runs a unit of work; answers after its COMMIT is on the disk. `Err` from `work` undoes all that it wrote.
    ///
    /// `work` may run more than once, and runs to its end even if the caller goes away. It must not wait for anything but
    /// the database: every other write waits for it.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.submit(work, move |outcome| drop(sender.send(outcome)), self.inner.may_wait.is_some_and(|ask| ask()))?;
        receiver.await.unwrap_or_else(|_| Err(E::from(StoreError::Closed)))
    }

    /// [`Store::write`] for threads that may block. Not from inside a unit of work, which would wait for itself: there it
    /// fails with [`StoreError::Nested`].
    pub fn write_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if is_in_unit() {
            return Err(E::from(StoreError::Nested));
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        self.submit(work, move |outcome| drop(sender.send(outcome)), false)?;
        receiver.recv().unwrap_or_else(|_| Err(E::from(StoreError::Closed)))
    }

    /// Has it run: at once on this thread, if it may be `here` and nobody else writes.
    pub(crate) fn submit<T, E, F, R>(&self, work: F, reply: R, here: bool) -> Result<(), E>
    where
        F: FnMut(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        R: FnOnce(Result<T, E>) + Send + 'static,
    {
        let unit: Box<dyn Unit> = Box::new(Job { work, outcome: None, reply });
        let Some(unit) = (if here { self.inner.writer.run_here(unit) } else { Some(unit) }) else { return Ok(()) };
        match &self.inner.queue {
            Some(queue) => queue.push(unit).map_err(E::from),
            None => Err(E::from(StoreError::Closed)),
        }
    }

    /// Runs `look` on one consistent view, on a thread that may block.
    pub async fn read<T, E, F>(&self, look: F) -> Result<T, E>
    where
        F: FnOnce(&Snapshot<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let _permit = self.inner.permits.acquire().await.map_err(|_| E::from(StoreError::Closed))?;
        let store = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            catch_unwind(AssertUnwindSafe(|| store.read_blocking(look))).unwrap_or_else(|payload| {
                Err(E::from(StoreError::Panicked { message: panic_message(payload.as_ref()) }))
            })
        });
        looked.await.unwrap_or_else(|_| Err(E::from(StoreError::Closed)))
    }

    /// Runs `look` on one consistent view, on this thread: for blocking threads, and for asynchronous code when the reading
    /// is a matter of microseconds (a row by its key), cheaper than changing threads.
    pub fn read_blocking<T, E, F>(&self, look: F) -> Result<T, E>
    where
        F: FnOnce(&Snapshot<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        match self.inner.database.is_remote().then(tokio::runtime::Handle::try_current) {
            // The answers come over a connection: let another thread take over the tasks of this one meanwhile.
            Some(Ok(runtime)) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
                tokio::task::block_in_place(|| {
                    let _place = self.inner.reading.enter();
                    self.look(look)
                })
            }
            _ => self.look(look),
        }
    }

    fn look<T, E, F>(&self, look: F) -> Result<T, E>
    where
        F: FnOnce(&Snapshot<'_>) -> Result<T, E>,
        E: From<StoreError>,
    {
        let idle = std::iter::from_fn(|| self.readers().pop()).find(|reader| reader.is_usable());
        let reader = match idle {
            Some(reader) => reader,
            None => self.inner.database.open_reader(self.inner.observe.clone())?,
        };
        reader.begin_read()?;
        // If `look` panics the connection is closed by unwinding, which ends its transaction.
        let outcome = look(&Snapshot::new(&*reader));
        if reader.commit(None).is_ok() {
            let mut readers = self.readers();
            if readers.len() < self.inner.max_readers {
                readers.push(reader);
            }
        }
        outcome
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Box<dyn Session + Send>>> {
        // Nothing can panic while the list is held half-changed.
        self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the newest committed revision: woken after each COMMIT that logged a change, here or on another server of
    /// the same database. Only a signal: what changed is
    /// read by [`Snapshot::changes_since`].
    #[must_use]
    pub fn revision_watch(&self) -> watch::Receiver<u64> {
        self.inner.revision.watch()
    }

    /// Whether other processes may have this database open too, and write to it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.inner.database.is_remote()
    }

    /// Commits and units of work so far: their ratio is what group commit saves.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            commits: self.inner.counters.commits.load(Ordering::Relaxed),
            units: self.inner.counters.units.load(Ordering::Relaxed),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.inner.database.to_string()).finish_non_exhaustive()
    }
}
