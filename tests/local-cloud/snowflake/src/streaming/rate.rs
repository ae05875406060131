//! A leaky bucket: what a channel sent lately.

use tokio::time::Instant;

/// Level of one bucket that holds one second's allowance.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    level: f64,
    since: Option<Instant>,
}

impl Bucket {
    /// Takes `amount` at `now` unless the last second's allowance is used up. An amount above the allowance passes
    /// when it finds the bucket empty, and is paid for by waiting afterwards.
    pub(crate) fn take(&mut self, amount: f64, per_second: f64, now: Instant) -> bool {
        let passed = self.since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
        let level = (self.level - passed * per_second).max(0.0);
        if level > 0.0 && level + amount > per_second {
            return false;
        }
        self.level = level + amount;
        self.since = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ten_a_second_and_no_more() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        let taken = (0..20).filter(|_| bucket.take(1.0, 10.0, start)).count();
        assert_eq!(taken, 10);
        assert!(bucket.take(1.0, 10.0, start + Duration::from_millis(100)));
        assert!(!bucket.take(1.0, 10.0, start + Duration::from_millis(100)));
        assert!(bucket.take(30.0, 10.0, start + Duration::from_secs(5)));
        assert!(!bucket.take(1.0, 10.0, start + Duration::from_secs(6)));
        assert!(bucket.take(1.0, 10.0, start + Duration::from_secs(8)));
    }
}
