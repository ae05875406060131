//! Throughput limits of a shard: 1 MB/s and 1,000 records/s in, 5 calls/s and 2 MB/s out.

/// Which limits are enforced.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// 1 MiB and 1,000 records a second and shard for writing.
    pub write: bool,
    /// 5 calls and 2 MiB a second and shard for `GetRecords`.
    pub read: bool,
}

const WRITE_BYTES: f64 = 1_048_576.0;
const WRITE_RECORDS: f64 = 1_000.0;
const READ_BYTES: f64 = 2_097_152.0;
const READ_CALLS: f64 = 5.0;

/// A bucket that refills by its size each second. It may be overdrawn by one request: what follows waits.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    at_ms: i64,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { level: f64::INFINITY, at_ms: 0 }
    }
}

impl Bucket {
    fn level(&self, size: f64, now_ms: i64) -> f64 {
        let elapsed = (now_ms - self.at_ms).max(0);
        #[allow(clippy::cast_precision_loss, reason = "milliseconds between two requests")]
        let refill = elapsed as f64 / 1000.0 * size;
        (self.level + refill).min(size)
    }

    fn draw(&mut self, size: f64, now_ms: i64, amount: f64) {
        self.level = self.level(size, now_ms) - amount;
        self.at_ms = now_ms;
    }
}

/// The four buckets of a shard.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    write_bytes: Bucket,
    write_records: Bucket,
    read_bytes: Bucket,
    read_calls: Bucket,
}

impl Buckets {
    /// Takes one record of `bytes`; false when the shard's share of this second is used up.
    pub(crate) fn write(&mut self, now_ms: i64, bytes: usize) -> bool {
        let bytes = size(bytes);
        let free = self.write_bytes.level(WRITE_BYTES, now_ms) >= bytes.min(WRITE_BYTES)
            && self.write_records.level(WRITE_RECORDS, now_ms) >= 1.0;
        if free {
            self.write_bytes.draw(WRITE_BYTES, now_ms, bytes);
            self.write_records.draw(WRITE_RECORDS, now_ms, 1.0);
        }
        free
    }

    /// Takes one read call; false when it has to be refused.
    pub(crate) fn begin_read(&mut self, now_ms: i64) -> bool {
        let free = self.read_bytes.level(READ_BYTES, now_ms) > 0.0
            && self.read_calls.level(READ_CALLS, now_ms) >= 1.0;
        if free {
            self.read_calls.draw(READ_CALLS, now_ms, 1.0);
        }
        free
    }

    /// Charges what the call returned: 10 MB at once cost the next five seconds, as on AWS.
    pub(crate) fn end_read(&mut self, now_ms: i64, bytes: usize) {
        self.read_bytes.draw(READ_BYTES, now_ms, size(bytes));
    }
}

fn size(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_reads_a_second_and_a_large_answer_blocks_the_following_seconds() {
        let mut buckets = Buckets::default();
        assert!((0..5).all(|_| buckets.begin_read(1_000)));
        assert!(!buckets.begin_read(1_000));
        assert!(buckets.begin_read(1_200));
        buckets.end_read(1_200, 10 * 1_048_576);
        assert!(!buckets.begin_read(5_000));
        assert!(buckets.begin_read(5_300));
    }

    #[test]
    fn a_thousand_records_or_one_mebibyte_a_second() {
        let mut buckets = Buckets::default();
        assert!((0..1_000).all(|_| buckets.write(0, 1)));
        assert!(!buckets.write(0, 1));
        assert!(buckets.write(1_000, 1_048_576));
        assert!(!buckets.write(1_000, 1_048_576));
    }
}
