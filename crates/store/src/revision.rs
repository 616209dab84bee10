//! The newest committed revision, as far as this process has heard.

use tokio::sync::watch;

/// Told by the writer after each COMMIT, and by who listens to other servers; followed through a watch.
pub(crate) struct Revision {
    sender: watch::Sender<u64>,
}

impl Revision {
    pub(crate) fn new(revision: u64) -> Self {
        Self { sender: watch::Sender::new(revision) }
    }

    /// News come by several ways, in any order: only what is newer wakes anybody.
    pub(crate) fn publish(&self, revision: u64) {
        self.sender.send_if_modified(|newest| {
            let newer = revision > *newest;
            *newest = revision.max(*newest);
            newer
        });
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.sender.subscribe()
    }
}
