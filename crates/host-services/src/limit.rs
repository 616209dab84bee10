//! Keeps a noisy client from filling the log, or from taking all of a service: token buckets.
//!
//! Log lines: so many at once, then one a second, and a count of what was left out.

use std::time::{Duration, Instant};

const BURST: u32 = 20;
const REFILL: Duration = Duration::from_secs(1);

/// A token bucket: `burst` at once, then `per_second`; the clock comes in through the parameter.
#[derive(Debug)]
pub(crate) struct Bucket {
    burst: f64,
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(burst: u16, per_second: u16, now: Instant) -> Self {
        Self { burst: burst.into(), per_second: per_second.into(), tokens: burst.into(), at: now }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }

    fn refill(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.tokens = self.burst.min(self.tokens + earned);
        self.at = now;
    }
}

/// A token bucket of log lines.
#[derive(Debug)]
pub(crate) struct LogLimit {
    tokens: u32,
    refilled: Instant,
    suppressed: u64,
}

impl LogLimit {
    pub(crate) fn new(now: Instant) -> Self {
        Self { tokens: BURST, refilled: now, suppressed: 0 }
    }

    /// `Some(n)` when a line may be written now, `n` lines having been left out since the last one.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        let earned = now.saturating_duration_since(self.refilled).as_millis() / REFILL.as_millis();
        if earned > 0 {
            self.tokens = BURST.min(self.tokens.saturating_add(u32::try_from(earned).unwrap_or(BURST)));
            self.refilled = now;
        }
        if self.tokens == 0 {
            self.suppressed += 1;
            return None;
        }
        self.tokens -= 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_what_it_earns() {
        let start = Instant::now();
        let mut bucket = Bucket::new(5, 2, start);
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 5);
        let later = start + Duration::from_millis(1500);
        assert_eq!((0..100).filter(|_| bucket.take(later)).count(), 3);
        assert_eq!((0..100).filter(|_| bucket.take(later + Duration::from_secs(3600))).count(), 5);
    }

    #[test]
    fn a_burst_passes_then_one_a_second() {
        let start = Instant::now();
        let mut limit = LogLimit::new(start);
        let passed = (0..100).filter(|_| limit.pass(start).is_some()).count();
        assert_eq!(passed, 20);
        let later = start + REFILL;
        assert_eq!(limit.pass(later), Some(80));
        assert_eq!(limit.pass(later), None);
    }
}
