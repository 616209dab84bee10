//! What Keystone said of tokens a moment ago. Pure: the time is told with every call.
//!
//! Tokens are not kept, their hashes are. An answer that a token is good holds until `good_for` has passed or the token
//! expires; that it is not good, until `bad_for` has passed. A token that was shown to be good although it has expired
//! (`allow_expired`, for services that finish what they began) is so only for those who may show such tokens.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::TokenInfo;

/// Remembered answers; some hundred bytes each.
const MOST: usize = 10_000;

/// What is asked: this token, by somebody who may show expired ones or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    hash: [u8; 32],
    pub(crate) allow_expired: bool,
}

impl Question {
    pub(crate) fn new(token: &str, allow_expired: bool) -> Self {
        Self { hash: Sha256::digest(token.as_bytes()).into(), allow_expired }
    }
}

/// What is known: the token, or that it is no good.
pub(crate) type Known = Option<Arc<TokenInfo>>;

struct Entry {
    known: Known,
    until: Timestamp,
}

/// Answers by question.
pub(crate) struct Cache {
    good_for: SignedDuration,
    bad_for: SignedDuration,
    entries: HashMap<Question, Entry>,
}

impl Cache {
    pub(crate) fn new(good_for_seconds: u32, bad_for_seconds: u32) -> Self {
        Self {
            good_for: SignedDuration::from_secs(good_for_seconds.into()),
            bad_for: SignedDuration::from_secs(bad_for_seconds.into()),
            entries: HashMap::new(),
        }
    }

    /// The answer, if it still holds.
    pub(crate) fn get(&self, question: &Question, now: Timestamp) -> Option<Known> {
        let entry = self.entries.get(question).filter(|entry| now < entry.until)?;
        match &entry.known {
            Some(token) if token.expires_at <= now && !question.allow_expired => Some(None),
            known => Some(known.clone()),
        }
    }

    /// Remembers an answer that was asked for at `asked`.
    pub(crate) fn put(&mut self, question: Question, known: Known, asked: Timestamp) {
        let lifetime = if known.is_some() { self.good_for } else { self.bad_for };
        let Ok(until) = asked.checked_add(lifetime) else { return };
        if self.entries.len() >= MOST {
            self.entries.retain(|_, entry| asked < entry.until);
            if self.entries.len() >= MOST {
                self.entries.clear();
            }
        }
        self.entries.insert(question, Entry { known, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    const GOOD: u32 = 300;
    const BAD: u32 = 5;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn token(expires: i64) -> Known {
        Some(Arc::new(TokenInfo {
            user_id: "u".into(),
            scope: Scope::Unscoped,
            roles: Vec::new(),
            is_admin_project: true,
            expires_at: at(expires),
            access_rules: None,
        }))
    }

    #[test]
    fn an_answer_holds_for_its_time_and_no_longer() {
        let mut cache = Cache::new(GOOD, BAD);
        let (good, bad) = (Question::new("good", false), Question::new("bad", false));
        cache.put(good, token(10_000), at(0));
        cache.put(bad, None, at(0));
        assert!(matches!(cache.get(&good, at(299)), Some(Some(_))));
        assert_eq!(cache.get(&good, at(300)), None);
        assert_eq!(cache.get(&bad, at(4)), Some(None));
        assert_eq!(cache.get(&bad, at(5)), None);
        assert_eq!(cache.get(&Question::new("other", false), at(0)), None);
    }

    #[test]
    fn a_token_that_expires_is_no_good_at_once() {
        let mut cache = Cache::new(GOOD, BAD);
        let question = Question::new("t", false);
        cache.put(question, token(60), at(0));
        assert!(matches!(cache.get(&question, at(59)), Some(Some(_))));
        assert_eq!(cache.get(&question, at(60)), Some(None));
    }

    #[test]
    fn an_expired_token_is_good_only_for_those_who_may_show_it() {
        let mut cache = Cache::new(GOOD, BAD);
        let (service, user) = (Question::new("t", true), Question::new("t", false));
        cache.put(service, token(-60), at(0));
        assert!(matches!(cache.get(&service, at(1)), Some(Some(_))));
        assert_eq!(cache.get(&user, at(1)), None, "a user's question is another one");
    }

    #[test]
    fn nothing_is_remembered_when_the_time_is_nothing() {
        let mut cache = Cache::new(0, 0);
        let question = Question::new("t", false);
        cache.put(question, token(60), at(0));
        assert_eq!(cache.get(&question, at(0)), None);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut cache = Cache::new(GOOD, BAD);
        for i in 0..(MOST * 2 + 5) {
            cache.put(Question::new(&i.to_string(), false), None, at(0));
            assert!(cache.entries.len() <= MOST);
        }
        assert_eq!(cache.get(&Question::new(&(MOST * 2 + 4).to_string(), false), at(0)), Some(None));
    }
}
