//! The lines of the watch stream: `GET /agent/v1/hosts/{host}/watch?revision=N`, newline-delimited JSON.
//!
//! The first line is a `snapshot`, unless the server still knows what the agent had at revision N: then it is a `delta`.
//! Revisions only rise; a receiver ignores a line that is not newer than what it has.

use crate::{HostView, HostViewDelta};
use serde::{Deserialize, Serialize};

/// One line of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum WatchEvent {
    /// The whole view.
    Snapshot {
        /// The change-log revision that the view is of.
        revision: u64,
        /// Everything.
        view: Box<HostView>,
    },
    /// What changed since the line before.
    Delta {
        /// The revision that it leads to.
        revision: u64,
        /// The revision that it starts from; a receiver that has another one must start again.
        from: u64,
        /// The change.
        delta: Box<HostViewDelta>,
    },
    /// Nothing of this host changed up to `revision`, or the stream is merely alive (sent every few seconds).
    Bookmark {
        /// The revision that the view is good for.
        revision: u64,
    },
}
