//! BFD sessions with other hosts, as far as what OVSDB says of them can be believed: pure.
//!
//! A session that has only just begun is down whether the other end lives or not. Sessions do not come up together, neither
//! after a restart of the switch nor when a host that was cut off comes back; whoever concluded from the first one that
//! the others are dead would be active beside them. So a session that has not been up yet is given time.
//!
//! In: OVSDB's copy, the clock's reading. Out: which sessions mean nothing yet, and until when.

use ovsdb::Cache;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long. Sessions that are down speak once a second (RFC 5880, 6.8.3), and three messages make one.
const TIME_TO_MEET: Duration = Duration::from_secs(4);

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Sessions that are not up, and until when that means nothing.
    waiting: BTreeMap<String, Instant>,
    /// None: nothing was seen yet.
    seen: Option<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    names: BTreeSet<String>,
    any_up: bool,
}

impl Sessions {
    /// Looks at them all; those that say nothing yet.
    pub(super) fn look(&mut self, cache: &Cache, now: Instant) -> BTreeSet<String> {
        let sessions = cache.interfaces().filter(|interface| !interface.bfd.is_empty());
        // Also one whose other end says that it is impaired: they have met.
        let up = |interface: &ovsdb::Interface| interface.bfd_status.get("state").is_some_and(|state| state == "up");
        self.step(sessions.map(|interface| (interface.name.clone(), up(interface))).collect(), now)
    }

    fn step(&mut self, sessions: BTreeMap<String, bool>, now: Instant) -> BTreeSet<String> {
        let any_up = sessions.values().any(|up| *up);
        let before = self.seen.take();
        // Those that were there before this process knew that long ago who lives, unless the switch has begun anew as well.
        let all_new = before.as_ref().map_or(!any_up, |before| !before.any_up && any_up);
        let is_new = |name: &String| all_new || before.as_ref().is_some_and(|before| !before.names.contains(name));
        for (name, up) in &sessions {
            if *up {
                self.waiting.remove(name);
            } else if is_new(name) {
                self.waiting.insert(name.clone(), now + TIME_TO_MEET);
            }
        }
        self.waiting.retain(|name, until| sessions.contains_key(name) && *until > now);
        self.seen = Some(Seen { names: sessions.into_keys().collect(), any_up });
        self.waiting.keys().cloned().collect()
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(sessions: &mut Sessions, now: Instant, states: &[(&str, bool)]) -> Vec<String> {
        sessions.step(states.iter().map(|(name, up)| ((*name).to_owned(), *up)).collect(), now).into_iter().collect()
    }

    #[test]
    fn sessions_that_begin_are_given_time() {
        let (mut sessions, start) = (Sessions::default(), Instant::now());
        let nothing: [&str; 0] = [];
        assert_eq!(step(&mut sessions, start, &[]), nothing);
        assert_eq!(step(&mut sessions, start, &[("a", false), ("b", false)]), ["a", "b"]);
        assert_eq!(step(&mut sessions, start, &[("a", false), ("b", true)]), ["a"]);
        assert_eq!(sessions.next(), Some(start + TIME_TO_MEET));
        assert_eq!(step(&mut sessions, start + TIME_TO_MEET, &[("a", false), ("b", true)]), nothing);
        assert_eq!(sessions.next(), None);
        // A new one.
        assert_eq!(step(&mut sessions, start, &[("a", false), ("b", true), ("c", false)]), ["c"]);
    }

    #[test]
    fn one_that_goes_down_means_it_and_one_that_comes_back_from_alone_waits_for_all() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let nothing: [&str; 0] = [];
        assert_eq!(step(&mut sessions, now, &[("a", true), ("b", true)]), nothing);
        assert_eq!(step(&mut sessions, now, &[("a", false), ("b", true)]), nothing);
        assert_eq!(step(&mut sessions, now, &[("a", false), ("b", false)]), nothing);
        assert_eq!(step(&mut sessions, now, &[("a", false), ("b", true)]), ["a"]);
        assert_eq!(step(&mut sessions, now, &[("a", true), ("b", true)]), nothing);
    }

    #[test]
    fn an_agent_that_starts_again_believes_what_it_finds() {
        let now = Instant::now();
        let nothing: [&str; 0] = [];
        assert_eq!(step(&mut Sessions::default(), now, &[("a", false), ("b", true)]), nothing);
        assert_eq!(step(&mut Sessions::default(), now, &[("a", false), ("b", false)]), ["a", "b"]);
    }
}
