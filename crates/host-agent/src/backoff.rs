//! How long to wait before the next attempt: doubles from attempt to attempt up to a limit, and is spread so that many
//! agents that lost the same server do not come back at the same moment.

use std::time::Duration;

/// Waiting times of one thing that keeps failing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, failures: 0 }
    }

    /// It worked: the next failure is the first again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure; `random` is any number, and only spreads it over half to the whole.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(16)).min(self.limit);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        half + half.mul_f64((random % 1024) as f64 / 1024.0)
    }
}

/// Bits that differ between agents and attempts.
pub(crate) fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_limit_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let waits: Vec<_> = (0..6).map(|_| backoff.next(0).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 500, 500]);
        backoff.reset();
        assert!((50..100).contains(&backoff.next(1023).as_millis()));
    }
}
