//! The one writer: runs units of work one after another and commits them in groups, on a thread of its own or, while nobody
//! else writes, on the caller's.
//!
//! ```text
//! write() ---> queue ---> BEGIN IMMEDIATE
//!                          unit 1                              (an error or a panic: ROLLBACK, BEGIN IMMEDIATE)
//!                          SAVEPOINT, unit 2, RELEASE          (an error or a panic: ROLLBACK TO, unit 2 alone)
//!                          ...                                 until the queue is empty or the group is full
//!                         COMMIT  (one fdatasync for all)
//!                         answer unit 1, unit 2, ...           only now
//! ```
//!
//! The first unit needs no savepoint, for there is nothing beside it that a rollback would undo: a savepoint costs a copy of
//! every page that is written under it. While COMMIT waits for the disk, the next group gathers in the queue: groups grow with the load and nobody waits for
//! company. When a group fails as a whole (COMMIT refused, or SQLite ended the transaction by itself after a disk error),
//! nothing of it is kept and each unit runs again alone, so that one unit's failure is never another's. A unit that fails
//! alone for a passing reason (the database was restarted, somebody held a lock) is tried a few times more.
//!
//! **On the caller's thread** ([`Writer::run_here`]): going over to the writer's thread and back wakes two threads, which costs
//! more than most units of work. A caller that says that its thread may wait for a commit, as the only one that it serves,
//! runs its unit itself, if nobody is writing or waiting to. What is asked meanwhile waits in the queue, as ever.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, mpsc};

use std::thread;
use std::time::Duration;

use crate::StoreError;
use crate::revision::Revision;
use crate::session::{Session, Tx};

/// How often a unit that failed alone for a passing reason is tried.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(10);

/// What the writer did so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) units: AtomicU64,
}

/// A unit of work with the way to answer it, its types erased.
pub(crate) trait Unit: Send {
    /// Runs it, keeping the outcome; whether it succeeded.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Turns success (or no outcome) into this failure; a unit that failed by itself keeps its own error.
    fn fail(&mut self, error: StoreError);
    /// Gives the outcome to who asked.
    fn answer(self: Box<Self>);
}

/// A unit of work: `work` gives `Result<T, E>`, `reply` takes it.
pub(crate) struct Job<F, T, E, R> {
    pub(crate) work: F,
    pub(crate) outcome: Option<Result<T, E>>,
    pub(crate) reply: R,
}

impl<F, T, E, R> Unit for Job<F, T, E, R>
where
    F: FnMut(&Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
    R: FnOnce(Result<T, E>) + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> bool {
        self.outcome = None;
        let outcome = (self.work)(tx);
        let succeeded = outcome.is_ok();
        self.outcome = Some(outcome);
        succeeded
    }

    fn fail(&mut self, error: StoreError) {
        if !matches!(self.outcome, Some(Err(_))) {
            self.outcome = Some(Err(E::from(error)));
        }
    }

    fn answer(mut self: Box<Self>) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(E::from(StoreError::Closed)));
        (self.reply)(outcome);
    }
}

/// What stands in a unit's transaction beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Nothing that is to be kept.
    Nothing,
    /// Units that succeeded.
    Others,
}

thread_local! {
    /// Whether this thread is inside a unit of work.
    static IN_UNIT: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a unit of work: there, waiting for another one would be waiting for itself.
pub(crate) fn is_in_unit() -> bool {
    IN_UNIT.get()
}

/// The way to the writer's thread.
pub(crate) struct Queue {
    sender: mpsc::Sender<Box<dyn Unit>>,
    waiting: Arc<AtomicUsize>,
}

impl Queue {
    /// Puts a unit at the end.
    pub(crate) fn push(&self, unit: Box<dyn Unit>) -> Result<(), StoreError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.sender.send(unit).map_err(|_| StoreError::Closed)
    }
}

/// The end of the queue that the writer's thread has.
pub(crate) struct Waiting {
    units: mpsc::Receiver<Box<dyn Unit>>,
    count: Arc<AtomicUsize>,
}

impl Waiting {
    fn counted(&self, unit: Option<Box<dyn Unit>>) -> Option<Box<dyn Unit>> {
        if unit.is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
        unit
    }

    /// The next, when there is one already.
    fn next_if_there(&self) -> Option<Box<dyn Unit>> {
        self.counted(self.units.try_recv().ok())
    }
}

/// Who writes: the connection, and what a commit is told to.
pub(crate) struct Writer {
    /// [`crate::Options::max_group`].
    max_group: usize,
    session: Mutex<Box<dyn Session + Send>>,
    /// Units in the queue.
    waiting: Arc<AtomicUsize>,
    revision: Arc<Revision>,
    counters: Arc<Counters>,
}

impl Writer {
    /// A writer with its queue.
    pub(crate) fn new(
        session: Box<dyn Session + Send>,
        max_group: usize,
        revision: Arc<Revision>,
        counters: Arc<Counters>,
    ) -> (Self, Queue, Waiting) {
        let (sender, units) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let queue = Queue { sender, waiting: Arc::clone(&waiting) };
        let end = Waiting { units, count: Arc::clone(&waiting) };
        (Self { max_group, session: Mutex::new(session), waiting, revision, counters }, queue, end)
    }

    /// Works until the queue is gone: the writer's thread.
    pub(crate) fn run(&self, queue: &Waiting) {
        while let Ok(first) = queue.units.recv() {
            // Counted as waiting until the connection is ours, so that nobody overtakes it.
            let session = self.lock();
            let mut group: Vec<_> = queue.counted(Some(first)).into_iter().collect();
            let outcome = self.transaction(&**session, &mut group, Some(queue));
            let settled = self.settle(&**session, group, outcome, 1);
            // Who is answered may write again at once, and finds the connection free.
            drop(session);
            settled.into_iter().for_each(Unit::answer);
        }
    }

    /// Runs a unit on this thread and answers it, if nobody is writing or waiting to; else gives it back.
    pub(crate) fn run_here(&self, unit: Box<dyn Unit>) -> Option<Box<dyn Unit>> {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return Some(unit);
        }
        let session = match self.session.try_lock() {
            Ok(session) => session,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Some(unit),
        };
        let mut group = vec![unit];
        let outcome = self.transaction(&**session, &mut group, None);
        let settled = self.settle(&**session, group, outcome, 1);
        drop(session);
        settled.into_iter().for_each(Unit::answer);
        None
    }

    /// The connection. Whatever state a panic left it in, the next transaction begins by looking at that.
    fn lock(&self) -> MutexGuard<'_, Box<dyn Session + Send>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back a group that was committed or is lost, ready to be answered; takes one that was not committed apart, and
    /// answers each unit of that as soon as it knows.
    fn settle(
        &self,
        session: &dyn Session,
        mut group: Vec<Box<dyn Unit>>,
        outcome: Result<Option<u64>, StoreError>,
        attempt: u32,
    ) -> Vec<Box<dyn Unit>> {
        match outcome {
            Ok(newest) => {
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                self.counters.units.fetch_add(group.len() as u64, Ordering::Relaxed);
                if let Some(newest) = newest {
                    self.revision.publish(newest);
                }
                group
            }
            // It may be kept: not to be repeated.
            Err(StoreError::Unknown { source }) => {
                tracing::error!(error = &*source as &dyn std::error::Error, units = group.len(), "writes are in doubt");
                let why = source.to_string();
                for unit in &mut group {
                    unit.fail(StoreError::Unknown { source: why.clone().into() });
                }
                group
            }
            Err(error) if group.len() == 1 && error.is_retryable() && attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "running a unit of work again");
                thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
                let outcome = self.transaction(session, &mut group, None);
                self.settle(session, group, outcome, attempt + 1)
            }
            Err(error) if group.len() == 1 => {
                tracing::warn!(%error, "a write was not committed");
                if let Some(unit) = group.first_mut() {
                    unit.fail(error);
                }
                group
            }
            Err(error) => {
                tracing::warn!(%error, units = group.len(), "a group of writes was not committed; running each alone");
                for unit in group {
                    let mut alone = vec![unit];
                    let outcome = self.transaction(session, &mut alone, None);
                    self.settle(session, alone, outcome, 1).into_iter().for_each(Unit::answer);
                }
                Vec::new()
            }
        }
    }

    /// Runs the group, growing it from the queue if there is one, and commits. Ok: the newest revision that it logged.
    /// Err: nothing of it is kept.
    fn transaction(
        &self,
        session: &dyn Session,
        group: &mut Vec<Box<dyn Unit>>,
        queue: Option<&Waiting>,
    ) -> Result<Option<u64>, StoreError> {
        if session.in_transaction() {
            // An earlier ROLLBACK failed; without this one every later BEGIN would.
            session.rollback()?;
        }
        session.begin()?;
        let outcome = self.units(session, group, queue).and_then(|newest| session.commit(newest).map(|()| newest));
        if outcome.is_err() && session.in_transaction() {
            session.rollback()?;
        }
        outcome
    }

    fn units(
        &self,
        session: &dyn Session,
        group: &mut Vec<Box<dyn Unit>>,
        queue: Option<&Waiting>,
    ) -> Result<Option<u64>, StoreError> {
        let mut newest = None;
        let mut kept = false;
        while let Some(unit) = group.last_mut() {
            let beside = if kept { Beside::Others } else { Beside::Nothing };
            let (succeeded, logged) = Self::unit(session, unit.as_mut(), beside)?;
            kept |= succeeded;
            newest = logged.or(newest);
            if group.len() >= self.max_group {
                break;
            }
            match queue.and_then(Waiting::next_if_there) {
                Some(next) => group.push(next),
                None => break,
            }
        }
        Ok(newest)
    }

    /// Runs one unit; whether it is kept, and the newest revision that it logged. Err only when the whole transaction is lost.
    fn unit(session: &dyn Session, unit: &mut dyn Unit, beside: Beside) -> Result<(bool, Option<u64>), StoreError> {
        if beside == Beside::Others {
            session.mark("SAVEPOINT unit")?;
        }
        let tx = Tx::new(session);
        IN_UNIT.set(true);
        // A panic is a bug in one request's code; it must cost that request only. The unit's state is not looked at
        // afterwards, and the transaction is rolled back to before it: nothing half-done can be observed.
        let ran = catch_unwind(AssertUnwindSafe(|| unit.run(&tx)));
        IN_UNIT.set(false);
        let mut succeeded = match ran {
            Ok(succeeded) => succeeded,
            Err(payload) => {
                let message = panic_message(payload.as_ref());
                tracing::error!(message, "a unit of work panicked");
                unit.fail(StoreError::Panicked { message });
                false
            }
        };
        if !session.in_transaction() {
            return Err(session.why_ended());
        }
        if succeeded && session.has_failed() {
            unit.fail(StoreError::Transaction { source: "a refused statement was passed over".into() });
            succeeded = false;
        }
        match beside {
            Beside::Others => {
                if !succeeded {
                    session.mark("ROLLBACK TO SAVEPOINT unit")?;
                }
                session.mark("RELEASE SAVEPOINT unit")?;
            }
            Beside::Nothing if !succeeded => {
                session.rollback()?;
                session.begin()?;
            }
            Beside::Nothing => {}
        }
        Ok((succeeded, tx.logged.get().filter(|_| succeeded)))
    }
}

pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".to_owned())
}
