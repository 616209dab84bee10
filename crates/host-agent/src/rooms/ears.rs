//! Hears what is changed in a namespace by others, so that drift is looked at when it happens and not only when its turn comes.
//!
//! What the agent does itself is heard, too, and told from the rest by when: while a look is under way nothing is told. What
//! was heard meanwhile is said at its end, since it may be somebody else's: who has mended something looks once more. What
//! the kernel tells nobody (most of its parameters) the timed look finds.

use host_drivers::changes::{Changed, Changes};
use host_drivers::{DriverError, Place};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

/// What is done by hand, or by a script, is seldom one change.
const SETTLE: Duration = Duration::from_millis(50);

/// A namespace, and what was changed in it.
pub(super) type Heard = (String, Changed);

/// While a look is under way: what has been heard since it began.
#[derive(Debug)]
struct OwnWork(Mutex<Option<Changed>>);

impl OwnWork {
    fn get(&self) -> MutexGuard<'_, Option<Changed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is under way; then it keeps what was heard.
    fn keeps(&self, changed: Changed) -> bool {
        match &mut *self.get() {
            Some(heard) => {
                *heard = heard.and(changed);
                true
            }
            None => false,
        }
    }
}

/// Open ears; closed with the value.
#[derive(Debug)]
pub(super) struct Ears {
    changes: Arc<Changes>,
    own_work: Arc<OwnWork>,
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
        let own_work = Arc::new(OwnWork(Mutex::new(Some(Changed::default()))));
        let (name, ears, working) = (name.to_owned(), changes.clone(), own_work.clone());
        let task = tokio::spawn(async move {
            loop {
                let mut changed = ears.next().await;
                if working.keeps(changed) {
                    continue;
                }
                tokio::time::sleep(SETTLE).await;
                changed = changed.and(ears.heard());
                if tell.send((name.clone(), changed)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { changes, own_work, task })
    }

    /// Own work begins.
    pub(super) fn ignore(&self) {
        *self.own_work.get() = Some(Changed::default());
    }

    /// Own work is done, and the kernel has told of it by now: what was heard since it began, of it and of others.
    pub(super) fn listen(&self) -> Changed {
        let heard = self.own_work.get().take().unwrap_or_default();
        heard.and(self.changes.heard())
    }
}
