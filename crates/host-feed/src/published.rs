//! What has been published for one host, and what its agent says it has realised of it.
//!
//! In: a newly computed view (`publish`), reports (`take_report`). Out: the lines that a stream must send to an agent that
//! has a given revision, and whether the host has realised a given port or router. No clock, no I/O.

use host_view::{HostReport, HostView, HostViewDelta, PortState, WatchEvent};
use net_types::{PortId, RouterId};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// How many deltas are kept for agents that come back; older ones get a snapshot.
const KEPT_DELTAS: usize = 128;
/// How many times in a row a look may find nothing new before those that were told something meanwhile, by another server, start
/// anew.
const KEPT_DOUBTS: usize = 64;

/// One host's side of the feed.
#[derive(Debug, Default)]
pub struct Published {
    view: HostView,
    /// The change-log revision that `view` is good for.
    revision: u64,
    /// The revision since which the view has been what it is, as far as is known.
    since: u64,
    /// Revisions since then at which it may have been another one.
    doubts: Vec<Range<u64>>,
    /// Whether there is a view yet.
    started: bool,
    deltas: VecDeque<Step>,
    /// Revision of the last line that told the host something about a port, or about what DHCP may answer it.
    told_port: BTreeMap<PortId, u64>,
    told_router: BTreeMap<RouterId, u64>,
    session: Option<Session>,
}

#[derive(Debug)]
struct Step {
    from: u64,
    /// Up to this revision nothing had changed since `from`, as far as is known.
    same_until: u64,
    /// But for these.
    doubts: Vec<Range<u64>>,
    to: u64,
    delta: HostViewDelta,
}

/// What the agent has said since it started.
#[derive(Debug)]
struct Session {
    id: uuid::Uuid,
    realised: u64,
    ports: BTreeMap<PortId, PortState>,
}

impl Published {
    /// Takes the view of a revision; answers whether a stream has something to send. Until `same_until` nothing has changed for
    /// this host since the last time.
    pub fn publish(&mut self, same_until: u64, revision: u64, view: HostView) -> bool {
        if revision < self.revision {
            return false;
        }
        let delta = HostViewDelta::between(&self.view, &view);
        for id in delta.ports.set.keys().chain(delta.dhcp_clients.set.keys()) {
            self.told_port.insert(*id, revision);
        }
        for id in delta.ports.unset.iter().chain(&delta.dhcp_clients.unset) {
            if !view.ports.contains_key(id) && !view.dhcp_clients.contains_key(id) {
                self.told_port.remove(id);
            }
        }
        // A DHCP server that is new may answer nobody before it runs.
        for id in view.dhcp_clients.iter().filter(|(_, c)| delta.dhcp.set.contains_key(&c.network)).map(|(id, _)| id) {
            self.told_port.insert(*id, revision);
        }
        self.told_router.extend(delta.routers.set.keys().map(|id| (*id, revision)));
        for id in &delta.routers.unset {
            self.told_router.remove(id);
        }
        let changes = !delta.is_empty();
        let same_until = same_until.max(self.revision);
        if changes && self.started {
            if self.deltas.len() == KEPT_DELTAS {
                self.deltas.pop_front();
            }
            let doubts = std::mem::take(&mut self.doubts);
            self.deltas.push_back(Step { from: self.since, same_until, doubts, to: revision, delta });
        }
        let is_first = !self.started;
        if changes || is_first || self.doubts.len() == KEPT_DOUBTS {
            self.since = revision;
            self.doubts.clear();
        } else if same_until + 1 < revision {
            self.doubts.push(same_until + 1..revision);
        }
        self.started = true;
        self.view = view;
        self.revision = revision;
        changes || is_first
    }

    /// What is published.
    pub fn view(&self) -> &HostView {
        &self.view
    }

    /// The lines that bring an agent from `had` to what is published: none when it has that already; a snapshot when it has
    /// nothing, or what can no longer be told.
    pub fn lines_after(&self, had: Option<u64>) -> Vec<WatchEvent> {
        if !self.started {
            return Vec::new();
        }
        let snapshot = || vec![WatchEvent::Snapshot { revision: self.revision, view: Box::new(self.view.clone()) }];
        let Some(had) = had.filter(|had| *had <= self.revision) else { return snapshot() };
        let missing: Vec<&Step> = self.deltas.iter().filter(|step| step.to > had).collect();
        match missing.first() {
            // What another server has told may lie within a step; half a difference leads nowhere.
            Some(step) if step.from > had || step.same_until < had || is_in(&step.doubts, had) => return snapshot(),
            // Told by another process, too.
            None if had < self.since || is_in(&self.doubts, had) => return snapshot(),
            _ => {}
        }
        let mut at = had;
        let mut lines = Vec::with_capacity(missing.len());
        for step in missing {
            // Between the end of the step before and the start of this one nothing changed for this host.
            lines.push(WatchEvent::Delta { revision: step.to, from: at, delta: Box::new(step.delta.clone()) });
            at = step.to;
        }
        if at < self.revision {
            lines.push(WatchEvent::Bookmark { revision: self.revision });
        }
        lines
    }

    /// Takes a report; answers whether a full one is wanted instead.
    pub fn take_report(&mut self, report: &HostReport) -> bool {
        match &mut self.session {
            Some(session) if session.id == report.session => {
                session.realised = session.realised.max(report.revision);
                if report.full {
                    session.ports = report.ports.clone();
                } else {
                    session.ports.extend(report.ports.iter().map(|(id, state)| (*id, state.clone())));
                }
                false
            }
            _ if report.full => {
                self.session =
                    Some(Session { id: report.session, realised: report.revision, ports: report.ports.clone() });
                false
            }
            _ => true,
        }
    }

    /// What the host says of a port that its view has: nothing while it has not yet realised the last line about it.
    pub fn port_state(&self, id: &PortId) -> Option<&PortState> {
        let session = self.session.as_ref()?;
        if self.realised(self.told_port.get(id)) { session.ports.get(id) } else { None }
    }

    /// Whether the host's DHCP server answers a port as the last line about it says.
    pub fn answers_dhcp(&self, id: &PortId) -> bool {
        self.view.dhcp_clients.contains_key(id) && self.realised(self.told_port.get(id))
    }

    /// Whether the host has realised the last line about a router.
    pub fn has_router(&self, id: &RouterId) -> bool {
        self.view.routers.contains_key(id) && self.realised(self.told_router.get(id))
    }

    /// Whether the agent has said before, in this life of its, that it has realised as much.
    pub fn knows(&self, session: uuid::Uuid, revision: u64) -> bool {
        self.session.as_ref().is_some_and(|known| known.id == session && known.realised >= revision)
    }

    /// Whether an agent has reported since this process started.
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    fn realised(&self, told: Option<&u64>) -> bool {
        let realised = self.session.as_ref().map_or(0, |session| session.realised);
        told.is_some_and(|told| realised >= *told)
    }
}

fn is_in(doubts: &[Range<u64>], revision: u64) -> bool {
    doubts.iter().any(|doubt| doubt.contains(&revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_view::TunnelPeer;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn view(peers: &[u8]) -> HostView {
        let peer = |n: &u8| {
            let address = std::net::IpAddr::from([10, 0, 0, *n]);
            (format!("h{n}"), TunnelPeer { address, mac: None, types: BTreeSet::new(), watched: false })
        };
        HostView { tunnel_peers: peers.iter().map(peer).collect(), ..HostView::default() }
    }

    /// What an agent holds, taking lines as the contract says.
    #[derive(Default)]
    struct Agent {
        revision: Option<u64>,
        view: HostView,
    }

    impl Agent {
        fn take(&mut self, line: WatchEvent) {
            match line {
                WatchEvent::Snapshot { revision, view } => (self.revision, self.view) = (Some(revision), *view),
                WatchEvent::Delta { revision, from, delta } => {
                    assert_eq!(Some(from), self.revision);
                    delta.apply(&mut self.view);
                    self.revision = Some(revision);
                }
                WatchEvent::Bookmark { revision } => self.revision = Some(revision),
            }
        }
    }

    proptest! {
        /// Whenever an agent asks, and however long it was away, it ends with exactly what is published.
        #[test]
        fn lines_lead_to_what_is_published(
            steps in proptest::collection::vec((proptest::collection::btree_set(0u8..4, 0..4), 1u64..3, any::<bool>()), 1..200),
        ) {
            let (mut published, mut agent, mut revision) = (Published::default(), Agent::default(), 0u64);
            for (peers, more, asks) in steps {
                let before = revision;
                revision += more;
                let peers: Vec<u8> = peers.into_iter().collect();
                published.publish(before, revision, view(&peers));
                if asks {
                    published.lines_after(agent.revision).into_iter().for_each(|line| agent.take(line));
                    prop_assert_eq!(agent.revision, Some(revision));
                    prop_assert_eq!(&agent.view, published.view());
                }
            }
        }
    }

    #[test]
    fn an_agent_of_an_earlier_process_gets_a_snapshot() {
        let mut published = Published::default();
        assert!(published.lines_after(Some(3)).is_empty());
        published.publish(0, 7, view(&[1]));
        assert!(matches!(published.lines_after(Some(3))[..], [WatchEvent::Snapshot { revision: 7, .. }]));
        assert!(matches!(published.lines_after(Some(9))[..], [WatchEvent::Snapshot { revision: 7, .. }]));
        assert!(published.lines_after(Some(7)).is_empty());
        assert!(!published.publish(0, 6, view(&[])), "an older view must not win");
        assert_eq!(published.view(), &view(&[1]));
    }

    #[test]
    fn an_agent_of_another_server_gets_a_snapshot_when_its_place_lies_within_a_step() {
        let mut published = Published::default();
        published.publish(0, 4, view(&[1]));
        published.publish(6, 9, view(&[2]));
        for (had, whole) in [(4, false), (5, false), (6, false), (7, true), (8, true)] {
            let lines = published.lines_after(Some(had));
            assert_eq!(matches!(lines[..], [WatchEvent::Snapshot { .. }]), whole, "{had}");
        }
    }

    /// A stream is not woken when a change of others turned out to change nothing here: what it has last sent still leads on.
    #[test]
    fn a_look_that_found_nothing_new_costs_no_snapshot() {
        let mut published = Published::default();
        published.publish(0, 4, view(&[1]));
        assert!(!published.publish(5, 6, view(&[1])));
        assert!(!published.publish(7, 8, view(&[1])));
        published.publish(8, 9, view(&[2]));
        for had in 4..=8 {
            let lines = published.lines_after(Some(had));
            assert!(matches!(lines[..], [WatchEvent::Delta { revision: 9, from, .. }] if from == had), "{had}");
        }
        assert!(matches!(published.lines_after(Some(3))[..], [WatchEvent::Snapshot { .. }]));
        // Within what was looked at together, another server may have told of something that has gone again.
        published.publish(10, 13, view(&[2]));
        for (had, whole) in [(9, false), (10, false), (11, true), (12, true), (13, false)] {
            let is_whole =
                |published: &Published| matches!(published.lines_after(Some(had))[..], [WatchEvent::Snapshot { .. }]);
            assert_eq!(is_whole(&published), whole, "{had}");
            let mut later = Published::default();
            for (same, to, peer) in [(0, 9, 1), (10, 13, 1), (13, 14, 2)] {
                later.publish(same, to, view(&[peer]));
            }
            assert_eq!(is_whole(&later), whole, "{had}, and a change after that");
        }
    }

    #[test]
    fn only_a_full_report_opens_a_session() {
        let mut published = Published::default();
        let mut report = HostReport {
            routers: BTreeMap::new(),
            session: uuid::Uuid::from_u128(1),
            revision: 5,
            full: false,
            description: None,
            ports: BTreeMap::new(),
            errors: Vec::new(),
        };
        assert!(published.take_report(&report));
        report.full = true;
        assert!(!published.take_report(&report));
        report.full = false;
        assert!(!published.take_report(&report));
        report.session = uuid::Uuid::from_u128(2);
        assert!(published.take_report(&report));
    }
}
