//! When the next GetRecords of a shard may leave.
//!
//! A shard serves 5 calls and 2 MB a second to all its readers together (Kinesis quotas). Calls keep that pace while
//! records come, and fall back to about one a second when a shard is quiet, so that other readers of a quiet shard get
//! theirs.

use rand::Rng;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::Instant;

/// Five calls a second, less a little for jitter on the way.
const LEAST: Duration = Duration::from_millis(205);
/// Between calls at the tip of a shard with recent records.
const LIVELY: Duration = Duration::from_millis(225);
/// A shard is lively for this long after its last record.
const LIVELY_FOR: Duration = Duration::from_secs(5);
/// Between calls of a quiet shard.
const QUIET: Duration = Duration::from_millis(1_000);
/// Bytes a second.
const RATE: f64 = 2_000_000.0;

/// `SHARDFLOW_READ_PACE=off` in the environment: a backlog is read as fast as it comes. For measurements against an
/// endpoint without quotas; Kinesis would throttle.
static UNPACED: LazyLock<bool> =
    LazyLock::new(|| std::env::var("SHARDFLOW_READ_PACE").is_ok_and(|value| value == "off"));

/// See the module.
pub(crate) struct Pace {
    next: Instant,
    last_records: Instant,
    wait: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { next: now, last_records: now, wait: LIVELY }
    }

    /// The next call may leave then.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// A call that left at `sent` brought this.
    pub(crate) fn answered(&mut self, sent: Instant, bytes: usize, records: usize, behind: bool) {
        let now = Instant::now();
        if behind && *UNPACED {
            self.next = now;
            return;
        }
        if records > 0 {
            self.last_records = now;
        }
        let lively = records > 0 || now.duration_since(self.last_records) < LIVELY_FOR;
        self.wait = match (behind, lively) {
            (true, _) => LEAST,
            (false, true) => LIVELY,
            (false, false) => (self.wait * 3 / 2).clamp(LIVELY, QUIET),
        };
        let jitter = if lively || behind { 1.0 } else { rand::rng().random_range(0.9..=1.0) };
        #[allow(clippy::cast_precision_loss, reason = "a page has at most some ten million bytes")]
        let by_bytes = Duration::from_secs_f64(bytes as f64 / RATE);
        self.next = sent + by_bytes.max(self.wait.mul_f64(jitter));
    }

    /// Nothing leaves before `wait` has passed.
    pub(crate) fn hold(&mut self, wait: Duration) {
        self.next = self.next.max(Instant::now() + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn never_more_than_five_calls_or_two_megabytes_a_second() {
        let mut pace = Pace::new();
        let start = Instant::now();
        for _ in 0..50 {
            tokio::time::sleep_until(pace.next()).await;
            pace.answered(Instant::now(), 1_000, 1, true);
        }
        assert!(start.elapsed() >= Duration::from_millis(49 * 200));
        let start = Instant::now();
        for _ in 0..10 {
            tokio::time::sleep_until(pace.next()).await;
            pace.answered(Instant::now(), 10_000_000, 1_000, true);
        }
        assert!(start.elapsed() >= Duration::from_secs(45));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_shard_is_asked_about_once_a_second() {
        let mut pace = Pace::new();
        let mut calls = 0;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(65) {
            tokio::time::sleep_until(pace.next()).await;
            calls += 1;
            pace.answered(Instant::now(), 0, 0, false);
        }
        assert!((80..=110).contains(&calls), "{calls}");
    }
}
