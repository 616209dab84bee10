//! The view as far as it is known, and how a line of the watch changes it. Pure.
//!
//! Revisions only rise: what is older than what is known changes nothing, and a delta that does not start where we are
//! asks for a snapshot.

use crate::AgentError;
use host_view::{HostView, WatchEvent};
use std::sync::Arc;

/// A view and the revision that it is good for. The revision may rise while the view stays the very same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownView {
    /// Revision of the server's change log.
    pub revision: u64,
    /// What must be true on this host.
    pub view: Arc<HostView>,
}

/// What a line did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The view is another one now.
    Changed,
    /// The view is as it was, and good for a newer revision.
    Confirmed,
    /// Nothing is new.
    Alive,
    /// The line is older than what is known.
    Stale {
        /// What the line says.
        revision: u64,
    },
}

/// Takes one line.
pub(crate) fn take(known: &mut Option<KnownView>, event: WatchEvent) -> Result<Step, AgentError> {
    let current = known.as_ref().map_or(0, |known| known.revision);
    match event {
        WatchEvent::Snapshot { revision, .. } if revision < current => Ok(Step::Stale { revision }),
        WatchEvent::Snapshot { revision, view } => {
            // One of the same revision is taken too: another version of the server may compute another view.
            let view = Arc::new(*view);
            *known = Some(KnownView { revision, view });
            Ok(Step::Changed)
        }
        WatchEvent::Delta { revision, .. } if revision <= current && known.is_some() => Ok(Step::Stale { revision }),
        WatchEvent::Delta { revision, from, delta } => match known {
            Some(known) if known.revision == from => {
                delta.apply(Arc::make_mut(&mut known.view));
                known.revision = revision;
                Ok(Step::Changed)
            }
            _ => Err(AgentError::Gap { from, known: current }),
        },
        WatchEvent::Bookmark { revision } => match known {
            Some(known) if known.revision < revision => {
                known.revision = revision;
                Ok(Step::Confirmed)
            }
            Some(known) if known.revision > revision => Ok(Step::Stale { revision }),
            _ => Ok(Step::Alive),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_view::{HostViewDelta, TunnelPeer};
    use std::collections::BTreeSet;

    fn view(peers: &[&str]) -> HostView {
        let peer =
            TunnelPeer { address: "10.0.0.1".parse().unwrap(), mac: None, types: BTreeSet::new(), watched: false };
        HostView {
            tunnel_peers: peers.iter().map(|name| (name.to_string(), peer.clone())).collect(),
            ..HostView::default()
        }
    }

    fn snapshot(revision: u64, peers: &[&str]) -> WatchEvent {
        WatchEvent::Snapshot { revision, view: Box::new(view(peers)) }
    }

    fn delta(from: u64, revision: u64, old: &[&str], new: &[&str]) -> WatchEvent {
        WatchEvent::Delta { revision, from, delta: Box::new(HostViewDelta::between(&view(old), &view(new))) }
    }

    #[test]
    fn lines_lead_forward_only() {
        let mut known = None;
        assert_eq!(take(&mut known, snapshot(5, &["a"])).unwrap(), Step::Changed);
        assert_eq!(take(&mut known, delta(5, 7, &["a"], &["a", "b"])).unwrap(), Step::Changed);
        assert_eq!(take(&mut known, delta(5, 7, &["a"], &["a", "b"])).unwrap(), Step::Stale { revision: 7 });
        assert_eq!(take(&mut known, snapshot(6, &[])).unwrap(), Step::Stale { revision: 6 });
        assert_eq!(take(&mut known, WatchEvent::Bookmark { revision: 9 }).unwrap(), Step::Confirmed);
        assert_eq!(take(&mut known, WatchEvent::Bookmark { revision: 8 }).unwrap(), Step::Stale { revision: 8 });
        assert_eq!(known, Some(KnownView { revision: 9, view: view(&["a", "b"]).into() }));
    }

    #[test]
    fn a_delta_from_elsewhere_asks_for_a_snapshot() {
        let mut known = None;
        assert!(matches!(take(&mut known, delta(3, 4, &[], &["a"])), Err(AgentError::Gap { from: 3, known: 0 })));
        take(&mut known, snapshot(5, &["a"])).unwrap();
        assert!(matches!(take(&mut known, delta(6, 7, &[], &["b"])), Err(AgentError::Gap { from: 6, known: 5 })));
        assert_eq!(*known.unwrap().view, view(&["a"]), "nothing of it is taken");
    }
}
