//! The distance between appends: that of the documented limit, and more for a service that takes less.

use std::time::Duration;

/// The first distance that throttling makes, where there was none.
const FIRST: Duration = Duration::from_millis(100);
/// The largest distance.
const MOST: Duration = Duration::from_secs(2);
/// What is left of the distance after an append that was taken: slow enough that throttling stays rare.
const SHRINK: f64 = 0.95;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Pace(Duration);

impl Pace {
    /// An append was throttled.
    pub(super) fn throttled(&mut self, least: Duration) {
        self.0 = (self.interval(least).max(FIRST) * 2).min(MOST);
    }

    /// An append was taken.
    pub(super) fn taken(&mut self) {
        self.0 = self.0.mul_f64(SHRINK);
        if self.0 < FIRST {
            self.0 = Duration::ZERO;
        }
    }

    /// Time from one append to the next, at least `least`.
    pub(super) fn interval(&self, least: Duration) -> Duration {
        self.0.max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_widens_the_distance_and_successes_narrow_it() {
        let least = Duration::from_millis(100);
        let mut pace = Pace::default();
        let mut seen = Vec::new();
        for _ in 0..6 {
            pace.throttled(least);
            seen.push(pace.interval(least).as_millis());
        }
        assert_eq!(seen, [200, 400, 800, 1600, 2000, 2000]);
        (0..10).for_each(|_| pace.taken());
        assert!(pace.interval(least) > Duration::from_secs(1));
        (0..100).for_each(|_| pace.taken());
        assert_eq!(pace.interval(least), least);
        assert_eq!(pace.interval(Duration::ZERO), Duration::ZERO);
    }
}
