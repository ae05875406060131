//! The distance between appends: that of the documented limit, and more for a service that takes less.

use std::time::Duration;

use super::types::Now;

/// The first distance that throttling makes, where there was none.
const FIRST: Duration = Duration::from_millis(100);
/// The largest distance.
const MOST: Duration = Duration::from_secs(2);
/// What is left of the distance after an append that was taken: slow enough that throttling stays rare.
const SHRINK: f64 = 0.95;
/// A distance without throttling halves in this time at the latest: by appends alone a large one would last too long.
const HALVES_IN: Duration = Duration::from_secs(5);

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Pace {
    distance: Duration,
    /// The append under way was throttled before. Further tries have pauses of their own, and say nothing about distances:
    /// after minutes in which nothing is taken at all, the rate is what it was.
    throttled: bool,
    /// When the append before was taken, without throttling since.
    taken: Option<Now>,
}

impl Pace {
    /// An append was throttled.
    pub(super) fn throttled(&mut self, least: Duration) {
        if !std::mem::replace(&mut self.throttled, true) {
            self.distance = (self.interval(least).max(FIRST) * 2).min(MOST);
        }
        self.taken = None;
    }

    /// An append was taken.
    pub(super) fn taken(&mut self, now: Now) {
        let since = self.taken.map_or(Duration::ZERO, |before| now.saturating_sub(before));
        let by_time = 0.5_f64.powf(since.as_secs_f64() / HALVES_IN.as_secs_f64());
        self.distance = self.distance.mul_f64(SHRINK.min(by_time));
        if self.distance < FIRST {
            self.distance = Duration::ZERO;
        }
        (self.throttled, self.taken) = (false, Some(now));
    }

    /// Time from one append to the next, at least `least`.
    pub(super) fn interval(&self, least: Duration) -> Duration {
        self.distance.max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(100);
    const SECOND: Duration = Duration::from_secs(1);

    /// Throttled once on the way of each of `appends`.
    fn widened(appends: u32) -> Pace {
        let mut pace = Pace::default();
        for _ in 0..appends {
            pace.throttled(LEAST);
            pace.taken(Duration::ZERO);
        }
        pace
    }

    #[test]
    fn throttling_widens_the_distance_and_successes_narrow_it() {
        let mut pace = Pace::default();
        let mut seen = Vec::new();
        for _ in 0..6 {
            pace.throttled(LEAST);
            seen.push(pace.interval(LEAST).as_millis());
            pace.taken(Duration::ZERO);
        }
        assert_eq!(seen, [200, 380, 722, 1371, 2000, 2000]);
        (0..10).for_each(|_| pace.taken(Duration::ZERO));
        assert!(pace.interval(LEAST) > SECOND);
        (0..100).for_each(|_| pace.taken(Duration::ZERO));
        assert_eq!(pace.interval(LEAST), LEAST);
        assert_eq!(pace.interval(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn tries_of_one_append_widen_the_distance_once() {
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.throttled(LEAST));
        assert_eq!(pace.interval(LEAST), 2 * LEAST);
        pace.taken(600 * SECOND);
        assert!(pace.interval(LEAST) < 2 * LEAST);
    }

    #[test]
    fn the_largest_distance_is_gone_within_twenty_seconds_of_a_service_that_takes_all() {
        let (mut pace, mut now) = (widened(20), Duration::ZERO);
        assert!(pace.interval(LEAST) > MOST.mul_f64(0.9));
        while pace.interval(LEAST) > LEAST {
            now += pace.interval(LEAST);
            pace.taken(now);
        }
        assert!(now < 20 * SECOND, "{now:?}");
    }

    /// Appends taken and throttled in ten minutes by a service that takes one each `limit`.
    fn against(limit: Duration) -> (u32, u32) {
        let (mut pace, mut now, mut free) = (Pace::default(), Duration::ZERO, Duration::ZERO);
        let (mut taken, mut throttled, mut pause) = (0, 0, SECOND / 2);
        while now < 600 * SECOND {
            if now >= free {
                free = now + limit;
                pace.taken(now);
                (taken, pause) = (taken + 1, SECOND / 2);
                now += pace.interval(LEAST);
            } else {
                pace.throttled(LEAST);
                throttled += 1;
                now += pause;
                pause *= 2;
            }
        }
        (taken, throttled)
    }

    #[test]
    fn throttling_stays_rare_while_it_goes_on_and_little_is_left_unused() {
        for (millis, most) in [(125, 0.12), (200, 0.12), (500, 0.2), (1000, 0.3)] {
            let (taken, throttled) = against(Duration::from_millis(millis));
            let could = 600_000.0 / f64::from(u32::try_from(millis).unwrap());
            assert!(f64::from(taken) > could * 0.55, "{millis} ms: {taken} of {could}");
            let share = f64::from(throttled) / f64::from(taken + throttled);
            assert!(share < most, "{millis} ms: {throttled} throttled, {taken} taken");
        }
    }
}
