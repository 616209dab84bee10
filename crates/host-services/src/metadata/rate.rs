//! How often a client may ask (Neutron's `[metadata_rate_limiting]`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Addresses that are kept at most; idle ones go first.
const LARGEST: usize = 4096;

/// So many requests in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How long it is.
    pub length: Duration,
    /// Requests that may fall into it.
    pub requests: u32,
}

/// What each address may ask; more is answered with 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// `base_window_duration`, `base_query_rate_limit`.
    pub base: Window,
    /// `burst_window_duration`, `burst_query_rate_limit`: a shorter window.
    pub burst: Window,
}

impl Default for RateLimit {
    /// What cloud-init asks when an instance starts passes; what keeps on asking is slowed down.
    fn default() -> Self {
        let window = |seconds, requests| Window { length: Duration::from_secs(seconds), requests };
        Self { base: window(60, 300), burst: window(2, 60) }
    }
}

/// Requests of the window that runs and of the one before, which slides out as the running one fills.
#[derive(Debug, Clone, Copy)]
struct Count {
    begun: Instant,
    before: u32,
    now: u32,
}

impl Count {
    fn new(now: Instant) -> Self {
        Self { begun: now, before: 0, now: 0 }
    }

    fn slide(&mut self, window: &Window, now: Instant) {
        let passed = now.saturating_duration_since(self.begun);
        if passed >= window.length * 2 {
            *self = Self::new(now);
        } else if passed >= window.length {
            *self = Self { begun: self.begun + window.length, before: self.now, now: 0 };
        }
    }

    /// Whether one more fits.
    fn has_room(&self, window: &Window, now: Instant) -> bool {
        let length = window.length.as_millis().max(1);
        let left = length.saturating_sub(now.saturating_duration_since(self.begun).as_millis());
        let sliding = u128::from(self.before) * left / length;
        sliding + u128::from(self.now) < u128::from(window.requests)
    }
}

/// Counts by address; the clock comes in through the parameter.
#[derive(Debug)]
pub(crate) struct Rates {
    limit: RateLimit,
    counts: HashMap<IpAddr, [Count; 2]>,
}

impl Rates {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, counts: HashMap::new() }
    }

    /// Whether this address may ask now; if so, that it did is counted.
    pub(crate) fn pass(&mut self, address: IpAddr, now: Instant) -> bool {
        let windows = [self.limit.base, self.limit.burst];
        if self.counts.len() >= LARGEST && !self.counts.contains_key(&address) {
            let idle = windows.map(|window| window.length * 2);
            self.counts.retain(|_, counts| {
                counts.iter().zip(idle).any(|(count, idle)| now.saturating_duration_since(count.begun) < idle)
            });
            if self.counts.len() >= LARGEST {
                return false;
            }
        }
        let counts = self.counts.entry(address).or_insert([Count::new(now); 2]);
        counts.iter_mut().zip(&windows).for_each(|(count, window)| count.slide(window, now));
        let passes = counts.iter().zip(&windows).all(|(count, window)| count.has_room(window, now));
        if passes {
            counts.iter_mut().for_each(|count| count.now += 1);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn a_burst_is_short_and_the_base_is_long_and_each_counts_for_itself() {
        let window = |seconds, requests| Window { length: Duration::from_secs(seconds), requests };
        let mut rates = Rates::new(RateLimit { base: window(10, 6), burst: window(1, 4) });
        let start = Instant::now();
        let asked = |rates: &mut Rates, address, times, at: u64| {
            (0..times).filter(|_| rates.pass(address, start + Duration::from_millis(at))).count()
        };
        assert_eq!(asked(&mut rates, ONE, 9, 0), 4, "the burst");
        assert_eq!(asked(&mut rates, OTHER, 9, 0), 4, "another's");
        assert_eq!(asked(&mut rates, ONE, 9, 2000), 2, "what the base leaves");
        assert_eq!(asked(&mut rates, ONE, 9, 9000), 0);
        assert_eq!(asked(&mut rates, ONE, 9, 15_000), 3, "half of the base window before has slid out");
        assert_eq!(asked(&mut rates, ONE, 9, 60_000), 4, "and all of it");
    }

    #[test]
    fn no_more_addresses_are_kept_than_fit() {
        let mut rates = Rates::new(RateLimit::default());
        let start = Instant::now();
        let address = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
        let passed = (0..5000).filter(|n| rates.pass(address(*n), start)).count();
        assert_eq!(passed, LARGEST);
        assert!(rates.pass(ONE, start + Duration::from_secs(600)));
        assert_eq!(rates.counts.len(), 1);
    }
}
