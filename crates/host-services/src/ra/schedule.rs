//! When the next advertisement to everybody is due. Pure: the clock and chance come in through parameters.

use std::time::{Duration, Instant};

/// How many come quickly after a start or a change (`MAX_INITIAL_RTR_ADVERTISEMENTS`).
const INITIAL: u8 = 3;
/// How far apart those are, at most (`MAX_INITIAL_RTR_ADVERT_INTERVAL`).
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// How far apart two to everybody are, at least (`MIN_DELAY_BETWEEN_RAS`).
const APART: Duration = Duration::from_secs(3);
/// How soon one that could not be sent is tried again: the device's link-local address may not be there yet.
const RETRY: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(super) struct Schedule {
    next: Instant,
    initial: u8,
    last: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now, initial: INITIAL, last: None }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// What is told is another thing now.
    pub(super) fn changed(&mut self, now: Instant) {
        self.initial = INITIAL;
        self.wanted(now);
    }

    /// Somebody asked, whom only all together can be told.
    pub(super) fn wanted(&mut self, now: Instant) {
        let soonest = self.last.map_or(now, |last| now.max(last + APART));
        self.next = self.next.min(soonest);
    }

    /// It was sent. `chance` is in 0..1, the interval in seconds.
    pub(super) fn sent(&mut self, now: Instant, (least, most): (u16, u16), chance: f64) {
        let spread = f64::from(most.saturating_sub(least)) * chance.clamp(0.0, 1.0);
        let regular = Duration::from_secs_f64(f64::from(least.max(4)) + spread);
        self.initial = self.initial.saturating_sub(1);
        self.next = now + if self.initial > 0 { regular.min(INITIAL_INTERVAL) } else { regular };
        self.last = Some(now);
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.next = now + RETRY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quick_ones_then_the_regular_pace() {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(now);
        let mut gaps = vec![];
        for _ in 0..5 {
            assert_eq!(schedule.next(), now);
            schedule.sent(now, (30, 100), 0.5);
            gaps.push((schedule.next() - now).as_secs());
            now = schedule.next();
        }
        assert_eq!(gaps, [16, 16, 65, 65, 65]);
    }

    #[test]
    fn who_asks_is_told_soon_but_not_too_often() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        schedule.sent(start, (30, 100), 0.0);
        schedule.wanted(start + Duration::from_secs(1));
        assert_eq!(schedule.next(), start + APART);
        schedule.wanted(start + Duration::from_secs(2));
        assert_eq!(schedule.next(), start + APART, "still the same one");
        let later = start + APART;
        schedule.sent(later, (30, 100), 0.0);
        let quiet = later + Duration::from_secs(10);
        schedule.changed(quiet);
        assert_eq!(schedule.next(), quiet);
        schedule.failed(quiet);
        assert_eq!(schedule.next(), quiet + RETRY);
    }
}
