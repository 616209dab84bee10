//! The one writer: a thread that runs units of work one after another and commits them in groups.
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

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

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

/// What the thread needs.
pub(crate) struct Writer {
    /// [`crate::Options::max_group`].
    pub(crate) max_group: usize,
    pub(crate) session: Box<dyn Session + Send>,
    pub(crate) queue: mpsc::Receiver<Box<dyn Unit>>,
    pub(crate) revision: Arc<Revision>,
    pub(crate) counters: Arc<Counters>,
}

impl Writer {
    /// Works until every sender of the queue is gone.
    pub(crate) fn run(self) {
        while let Ok(first) = self.queue.recv() {
            let mut group = vec![first];
            let outcome = self.transaction(&mut group, true);
            self.settle(group, outcome, 1);
        }
    }

    /// Answers a group that was committed; takes one that was not apart.
    fn settle(&self, mut group: Vec<Box<dyn Unit>>, outcome: Result<Option<u64>, StoreError>, attempt: u32) {
        match outcome {
            Ok(newest) => {
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                self.counters.units.fetch_add(group.len() as u64, Ordering::Relaxed);
                if let Some(newest) = newest {
                    self.revision.publish(newest);
                }
                group.into_iter().for_each(Unit::answer);
            }
            // It may be kept: not to be repeated.
            Err(StoreError::Unknown { source }) => {
                tracing::error!(error = &*source as &dyn std::error::Error, units = group.len(), "writes are in doubt");
                let why = source.to_string();
                for mut unit in group {
                    unit.fail(StoreError::Unknown { source: why.clone().into() });
                    unit.answer();
                }
            }
            Err(error) if group.len() == 1 && error.is_retryable() && attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "running a unit of work again");
                thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
                let outcome = self.transaction(&mut group, false);
                self.settle(group, outcome, attempt + 1);
            }
            Err(error) if group.len() == 1 => {
                tracing::warn!(%error, "a write was not committed");
                if let Some(mut unit) = group.pop() {
                    unit.fail(error);
                    unit.answer();
                }
            }
            Err(error) => {
                tracing::warn!(%error, units = group.len(), "a group of writes was not committed; running each alone");
                for unit in group {
                    let mut alone = vec![unit];
                    let outcome = self.transaction(&mut alone, false);
                    self.settle(alone, outcome, 1);
                }
            }
        }
    }

    /// Runs the group, growing it from the queue if `gather`, and commits. Ok: the newest revision that it logged.
    /// Err: nothing of it is kept.
    fn transaction(&self, group: &mut Vec<Box<dyn Unit>>, gather: bool) -> Result<Option<u64>, StoreError> {
        if self.session.in_transaction() {
            // An earlier ROLLBACK failed; without this one every later BEGIN would.
            self.session.rollback()?;
        }
        self.session.begin()?;
        let outcome = self.units(group, gather).and_then(|newest| self.session.commit(newest).map(|()| newest));
        if outcome.is_err() && self.session.in_transaction() {
            self.session.rollback()?;
        }
        outcome
    }

    fn units(&self, group: &mut Vec<Box<dyn Unit>>, gather: bool) -> Result<Option<u64>, StoreError> {
        let mut newest = None;
        let mut kept = false;
        while let Some(unit) = group.last_mut() {
            let beside = if kept { Beside::Others } else { Beside::Nothing };
            let (succeeded, logged) = self.unit(unit.as_mut(), beside)?;
            kept |= succeeded;
            newest = logged.or(newest);
            if !gather || group.len() >= self.max_group {
                break;
            }
            match self.queue.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        Ok(newest)
    }

    /// Runs one unit; whether it is kept, and the newest revision that it logged. Err only when the whole transaction is lost.
    fn unit(&self, unit: &mut dyn Unit, beside: Beside) -> Result<(bool, Option<u64>), StoreError> {
        if beside == Beside::Others {
            self.session.mark("SAVEPOINT unit")?;
        }
        let tx = Tx::new(&*self.session);
        // A panic is a bug in one request's code; it must cost that request only. The unit's state is not looked at
        // afterwards, and the transaction is rolled back to before it: nothing half-done can be observed.
        let mut succeeded = match catch_unwind(AssertUnwindSafe(|| unit.run(&tx))) {
            Ok(succeeded) => succeeded,
            Err(payload) => {
                let message = panic_message(payload.as_ref());
                tracing::error!(message, "a unit of work panicked");
                unit.fail(StoreError::Panicked { message });
                false
            }
        };
        if !self.session.in_transaction() {
            return Err(self.session.why_ended());
        }
        if succeeded && self.session.has_failed() {
            unit.fail(StoreError::Transaction { source: "a refused statement was passed over".into() });
            succeeded = false;
        }
        match beside {
            Beside::Others => {
                if !succeeded {
                    self.session.mark("ROLLBACK TO SAVEPOINT unit")?;
                }
                self.session.mark("RELEASE SAVEPOINT unit")?;
            }
            Beside::Nothing if !succeeded => {
                self.session.rollback()?;
                self.session.begin()?;
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
