//! Hears of what other servers commit: a connection that listens, and asks now and then all the same.

use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::Socket;

use super::link::Link;
use super::target::Target;
use super::{CHANNEL, PAUSE};
use crate::StoreError;

/// A notification that was lost is made up for after so long.
const POLL: Duration = Duration::from_secs(2);
/// Whom a new revision is told.
type Told = Arc<dyn Fn(u64) + Send + Sync>;

/// The thread that listens. Dropping it ends the thread.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    /// `None` once it is to end; inside, the connection that it waits on.
    waiting: Mutex<Option<Option<Socket>>>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Option<Option<Socket>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn is_ending(&self) -> bool {
        self.waiting().is_none()
    }
}

impl Follower {
    /// Starts it; `told` is called with every newest revision that it hears of, some of them more than once.
    pub(crate) fn start(target: Arc<Target>, told: Told) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared { waiting: Mutex::new(Some(None)) });
        let inner = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("store-follower".to_owned())
            .spawn(move || run(&target, &inner, &told))
            .map_err(|source| StoreError::Disconnected { source: Box::new(source) })?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(Some(socket)) = self.shared.waiting().take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the database follower ended by a panic");
        }
    }
}

fn run(target: &Target, shared: &Shared, told: &Told) {
    let mut complained = false;
    while !shared.is_ending() {
        let Err(error) = listen(target, shared, told, &mut complained) else { return };
        if shared.is_ending() {
            return;
        }
        if !complained {
            tracing::warn!(%error, database = %target, "the database cannot be followed; trying again");
            complained = true;
        }
        thread::sleep(PAUSE);
    }
}

fn listen(target: &Target, shared: &Shared, told: &Told, complained: &mut bool) -> std::io::Result<()> {
    let mut link = Link::connect(target)?;
    match &mut *shared.waiting() {
        Some(place) => *place = Some(link.handle()?),
        None => return Ok(()),
    }
    link.simple(&format!("LISTEN {CHANNEL}"))?;
    *complained = false;
    loop {
        // First of all, and whenever nothing was heard for a while.
        let newest = link.simple("SELECT max(revision) FROM change_log")?.last_text();
        tell(newest.as_deref(), told);
        loop {
            let heard = link.notifications(POLL)?;
            if heard.is_empty() {
                break;
            }
            heard.iter().for_each(|revision| tell(Some(revision), told));
        }
    }
}

fn tell(revision: Option<&str>, told: &Told) {
    if let Some(revision) = revision.and_then(|text| text.parse().ok()) {
        told(revision);
    }
}
