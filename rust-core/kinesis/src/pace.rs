//! When the next GetRecords of a shard may leave, and how much it asks for.
//!
//! A shard serves 5 calls and 2 MB a second to all its readers together (Kinesis quotas). A large answer is served at
//! once and paid for after: 10 MB block the shard for everybody for five seconds. So a backlog is read in answers of
//! about 600 KB, three to four a second: the same rate, and other readers' calls come through in between. What others
//! use up shows as throttling; the share of the quota that is used shrinks by a tenth then, and grows back slowly.
//! Calls of a quiet shard fall back to about one a second.

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
/// Bytes a second: the quota is 2 MiB.
const RATE: f64 = 0.993 * 2_097_152.0;
/// Bytes asked for at once: more than a fifth of a second's, so that calls are left for other readers.
const WANTED: f64 = 600_000.0;
/// Records asked for when no answer had any so far: a thousand may be ten megabytes, and after an outage all shards have
/// them at once. The very first answer is as large as it comes, because memory for the largest one is reserved.
const FIRST: i32 = 1;
/// So many times the records seen are asked for at most: a few tell little about the others.
const TRUST: i32 = 16;
/// The quota is that of a second: after this long without a call it is there again.
const REFILL: Duration = Duration::from_secs(1);
/// How often a call of a backlog follows the one before at once. When even the two are too much for what the shard has
/// left, others find nothing between our calls, although ours all come through.
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// Smallest share of the quota that is left to us.
const SHARE_LEAST: f64 = 0.2;
/// What remains of the share after throttling.
const SHRINK: f64 = 0.9;
/// Growth of the share a second.
const GROWTH: f64 = 0.001;

/// `SHARDFLOW_READ_PACE=off` in the environment: a backlog is read as fast as it comes. For measurements against an
/// endpoint without quotas; Kinesis would throttle.
static UNPACED: LazyLock<bool> =
    LazyLock::new(|| std::env::var("SHARDFLOW_READ_PACE").is_ok_and(|value| value == "off"));

/// See the module.
pub(crate) struct Pace {
    next: Instant,
    last_records: Instant,
    wait: Duration,
    /// What was read is paid for then.
    due: Instant,
    probed: Instant,
    /// Of the quota, what we use: up to 1.
    share: f64,
    /// When the share was last brought up to date.
    shared: Instant,
    /// Bytes of a record, about.
    record: Option<f64>,
    /// Records seen; `None` before the first answer.
    seen: Option<i32>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            next: now,
            last_records: now,
            wait: LIVELY,
            due: now,
            probed: now,
            share: 1.0,
            shared: now,
            record: None,
            seen: None,
        }
    }

    /// The next call may leave then.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// How many records to ask for: at most `most`.
    pub(crate) fn limit(&self, most: i32) -> i32 {
        let most = self.seen.map_or(most, |seen| seen.saturating_mul(TRUST).clamp(FIRST, most));
        match self.record {
            #[allow(clippy::cast_possible_truncation, reason = "clamped into the range of the quota")]
            Some(bytes) if !*UNPACED => ((WANTED / bytes.max(1.0)) as i32).clamp(1, most),
            _ => most,
        }
    }

    /// Bytes the next answer may have; `None` while nothing is known about the records.
    pub(crate) fn expected(&self, most: i32) -> Option<usize> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive and some ten million"
        )]
        self.record.map(|bytes| (bytes * f64::from(self.limit(most))).min(1e9) as usize)
    }

    /// There was no answer so far.
    pub(crate) fn is_new(&self) -> bool {
        self.seen.is_none()
    }

    /// A call that left at `sent` brought this.
    pub(crate) fn answered(&mut self, sent: Instant, bytes: usize, records: usize, behind: bool) {
        let now = Instant::now();
        self.learn(bytes, records);
        if behind && *UNPACED {
            self.next = now;
            return;
        }
        if records > 0 {
            self.last_records = now;
        }
        self.share = (self.share + GROWTH * now.duration_since(self.shared).as_secs_f64()).min(1.0);
        self.shared = now;
        let lively = records > 0 || now.duration_since(self.last_records) < LIVELY_FOR;
        self.wait = match (behind, lively) {
            (true, _) => LEAST.div_f64(self.share),
            (false, true) => LIVELY.div_f64(self.share),
            (false, false) => (self.wait * 3 / 2).clamp(LIVELY, QUIET),
        };
        let jitter = if lively || behind { 1.0 } else { rand::rng().random_range(0.9..=1.0) };
        #[allow(clippy::cast_precision_loss, reason = "a page has at most some ten million bytes")]
        let by_bytes = Duration::from_secs_f64(bytes as f64 / (RATE * self.share));
        self.due = self.due.max(sent) + by_bytes.max(self.wait.mul_f64(jitter));
        self.next = self.due;
        let large = by_bytes > REFILL;
        if large && self.record.is_some_and(|size| size < RATE) {
            // The quota is overdrawn. Paid back to the byte it would stay at nothing, and others would find nothing.
            self.next += REFILL;
        } else if behind && by_bytes < REFILL.mul_f64(0.6) && now.duration_since(self.probed) >= PROBE_EVERY {
            self.probed = now;
            self.next = now;
        }
    }

    /// Follows the size of records: at once when they grow, slowly when they shrink.
    fn learn(&mut self, bytes: usize, records: usize) {
        let count = i32::try_from(records).unwrap_or(i32::MAX);
        self.seen = Some(self.seen.unwrap_or(0).saturating_add(count));
        if records == 0 {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a page has at most some ten million bytes")]
        let size = bytes as f64 / records as f64;
        self.record = Some(self.record.map_or(size, |known| size.max((known + size) / 2.0)));
    }

    /// A call was refused because the quota is used up: others read the shard, too.
    pub(crate) fn throttled(&mut self) {
        self.share = (self.share * SHRINK).max(SHARE_LEAST);
        self.shared = Instant::now();
        self.hold(REFILL);
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
        assert!(start.elapsed() >= Duration::from_secs(43));
    }

    #[tokio::test(start_paused = true)]
    async fn few_records_are_asked_for_after_an_empty_answer() {
        let mut pace = Pace::new();
        assert_eq!((pace.limit(1_000), pace.expected(1_000)), (1_000, None));
        pace.answered(Instant::now(), 0, 0, false);
        assert_eq!((pace.limit(1_000), pace.expected(1_000)), (1, None), "an empty answer tells nothing");
        let mut limits = Vec::new();
        for _ in 0..3 {
            let records = usize::try_from(pace.limit(1_000)).unwrap();
            pace.answered(Instant::now(), 100 * records, records, true);
            limits.push((pace.limit(1_000), pace.expected(1_000)));
        }
        assert_eq!(limits, [(16, Some(1_600)), (272, Some(27_200)), (1_000, Some(100_000))]);
        assert_eq!(pace.limit(10), 10);
        pace.answered(Instant::now(), 3_000_000, 3, true);
        assert_eq!(pace.limit(1_000), 1);
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
