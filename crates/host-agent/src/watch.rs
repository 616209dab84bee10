//! Follows the server's stream and publishes the view.
//!
//! A connection that ends, says nothing for too long or does not continue what is known is made anew, resuming at the
//! revision that is known. What was kept on disk is published only when the server cannot be heard soon: it may be a little
//! older than what this host has already realised, and the server is about to say what is newer.

use crate::AgentError;
use crate::backoff::{Backoff, random};
use crate::known::{KnownView, Step, take};
use crate::server::{Lines, Servers};
use host_view::WatchEvent;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Three intervals of the server's bookmarks.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// How long the server may let a starting agent wait before it goes by what was kept.
const PATIENCE_AT_START: Duration = Duration::from_secs(3);
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

pub(crate) type Published = watch::Sender<Option<KnownView>>;

/// Follows for as long as it is polled.
pub(crate) async fn run(servers: Servers, host: String, kept: Option<KnownView>, published: Published) {
    let patience = async {
        sleep(PATIENCE_AT_START).await;
        go_by(&published, kept.clone());
    };
    let follow = async {
        let mut follower = Follower { servers, host, known: kept.clone(), lost: false, published: &published };
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            if let Err(error) = follower.follow(&mut backoff).await {
                tracing::warn!(error = %error, "the watch broke off");
                go_by(&published, kept.clone());
            }
            sleep(backoff.next(random())).await;
        }
    };
    tokio::join!(patience, follow);
}

/// Publishes what was kept, unless something has been published.
fn go_by(published: &Published, kept: Option<KnownView>) {
    published.send_if_modified(|current| {
        if current.is_some() || kept.is_none() {
            return false;
        }
        tracing::warn!("the server cannot be heard; going by the last known view");
        *current = kept;
        true
    });
}

struct Follower<'p> {
    servers: Servers,
    host: String,
    known: Option<KnownView>,
    /// A line did not continue what is known: only a snapshot helps.
    lost: bool,
    published: &'p Published,
}

impl Follower<'_> {
    /// One connection, until it ends.
    async fn follow(&mut self, backoff: &mut Backoff) -> Result<(), AgentError> {
        let known = self.known.as_ref().filter(|_| !self.lost);
        let resume = known.map_or(String::new(), |known| format!("?revision={}", known.revision));
        let mut lines = self.servers.lines(&format!("/agent/v1/hosts/{}/watch{resume}", self.host)).await?;
        let ended = self.take_all(&mut lines, backoff).await;
        // However it ended: another server may go on at once.
        lines.leave();
        ended
    }

    async fn take_all(&mut self, lines: &mut Lines, backoff: &mut Backoff) -> Result<(), AgentError> {
        loop {
            let heard = timeout(SILENCE_LIMIT, lines.next()).await;
            let silent = || AgentError::NotUnderstood {
                what: "watch",
                reason: format!("nothing was said for {} seconds", SILENCE_LIMIT.as_secs()),
            };
            let Some(line) = heard.map_err(|_| silent())?? else { return Ok(()) };
            let event: WatchEvent = serde_json::from_slice(&line)
                .map_err(|error| AgentError::NotUnderstood { what: "watch line", reason: error.to_string() })?;
            self.take(event)?;
            backoff.reset();
        }
    }

    fn take(&mut self, event: WatchEvent) -> Result<(), AgentError> {
        let step = take(&mut self.known, event);
        self.lost = step.is_err();
        match step? {
            Step::Changed | Step::Confirmed => self.publish(),
            // The first sign of life makes the kept view good.
            Step::Alive if self.published.borrow().is_none() => self.publish(),
            Step::Alive => {}
            Step::Stale { revision } => {
                let known = self.known.as_ref().map_or(0, |known| known.revision);
                tracing::warn!(revision, known, "the server is behind what this host knows; its line is left aside");
            }
        }
        Ok(())
    }

    fn publish(&self) {
        self.published.send_replace(self.known.clone());
    }
}
