//! Hears what is changed in a namespace by others, so that drift is looked at when it happens and not only when its turn comes.
//!
//! What the agent does itself is heard, too, and told from the rest by when: while a look is under way nothing is told. What
//! somebody else changes in that moment, and what the kernel tells nobody (most of its parameters), the timed look finds.

use host_drivers::changes::{Changed, Changes};
use host_drivers::{DriverError, Place};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

/// What is done by hand, or by a script, is seldom one change.
const SETTLE: Duration = Duration::from_millis(50);

/// A namespace, and what was changed in it.
pub(super) type Heard = (String, Changed);

/// Open ears; closed with the value.
#[derive(Debug)]
pub(super) struct Ears {
    changes: Arc<Changes>,
    own_work: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ears {
    /// Listens in the namespace of that name. Until [`Self::listen`] is called nothing is told.
    pub(super) async fn open(name: &str, place: &Place, tell: UnboundedSender<Heard>) -> Result<Self, DriverError> {
        let changes = Arc::new(Changes::open(place).await?);
        let own_work = Arc::new(AtomicBool::new(true));
        let (name, ears, working) = (name.to_owned(), changes.clone(), own_work.clone());
        let task = tokio::spawn(async move {
            loop {
                let mut changed = ears.next().await;
                if working.load(Ordering::Acquire) {
                    continue;
                }
                tokio::time::sleep(SETTLE).await;
                let more = ears.heard();
                changed = Changed { links: changed.links || more.links, filters: changed.filters || more.filters };
                if tell.send((name.clone(), changed)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { changes, own_work, task })
    }

    /// Own work begins.
    pub(super) fn ignore(&self) {
        self.own_work.store(true, Ordering::Release);
    }

    /// Own work is done: the kernel has told of it by now, and what it told is dropped.
    pub(super) fn listen(&self) {
        self.changes.heard();
        self.own_work.store(false, Ordering::Release);
    }
}
