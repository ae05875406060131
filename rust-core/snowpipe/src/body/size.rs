//! How many rows go into a body.

use std::time::Duration;

use super::COMPRESSED_LIMIT;

/// Uncompressed bytes of a body. The first: three of them a second are what a channel may take (20 MB/s), and answers
/// that come within a third of a second let it. The others are for slower answers, because a channel has one append
/// under way at a time: two of the second are within the rate, and the last is the largest payload that Snowflake's own
/// client makes (`max_rowset_payload_size_mb`).
const STEPS: [u64; 3] = [6 << 20, 9 << 20, 16 << 20];

/// The smallest compressed size that refusals lead to.
const LEAST: usize = 256 << 10;
/// Answers after which a compressed size that was refused grows by an eighth: a limit may have been lifted.
const PATIENCE: u32 = 200;

/// Bytes at which a body is closed: uncompressed ones, learnt from the time that answers to appends take, and compressed
/// ones, learnt from refusals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    took: Option<Duration>,
    compressed: usize,
    /// Answers since the compressed size changed.
    answers: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { took: None, compressed: COMPRESSED_LIMIT, answers: 0 }
    }
}

impl Size {
    /// An append was answered after this time.
    pub(crate) fn answered(&mut self, took: Duration) {
        self.took = Some(self.took.map_or(took, |before| before.mul_f64(0.75) + took.mul_f64(0.25)));
        self.answers += 1;
        if self.answers >= PATIENCE {
            self.answers = 0;
            self.compressed = (self.compressed + self.compressed / 8).min(COMPRESSED_LIMIT);
        }
    }

    /// A body of this many compressed bytes was refused as too large, or did not get through.
    pub(crate) fn refused(&mut self, bytes: usize) {
        self.compressed = self.compressed.min((bytes / 2).max(LEAST));
        self.answers = 0;
    }

    /// Compressed bytes that a body may have.
    pub(crate) fn compressed(&self) -> usize {
        self.compressed
    }

    /// The smallest size that moves `rate` bytes a second.
    pub(crate) fn limit(&self, rate: u64) -> u64 {
        let [least, .., most] = STEPS;
        let Some(took) = self.took else { return least };
        let wanted = u128::from(rate) * took.as_millis() / 1000;
        STEPS.into_iter().find(|step| u128::from(*step) >= wanted).unwrap_or(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_answers_make_larger_bodies() {
        let rate = 20_000_000;
        for (milliseconds, mebibytes) in [(1, 6), (100, 6), (300, 6), (400, 9), (600, 16), (5_000, 16)] {
            let mut size = Size::default();
            assert_eq!(size.limit(rate), 6 << 20);
            for _ in 0..30 {
                size.answered(Duration::from_millis(milliseconds));
            }
            assert_eq!(size.limit(rate), mebibytes << 20, "{milliseconds} ms");
        }
    }

    #[test]
    fn a_size_that_was_refused_is_halved_and_grows_back_slowly() {
        let mut size = Size::default();
        let mut seen = Vec::new();
        for bytes in [3_000_000, 1_500_000, 700_000, 300_000, 100_000] {
            size.refused(bytes);
            seen.push(size.compressed());
        }
        assert_eq!(seen, [1_500_000, 750_000, 350_000, LEAST, LEAST]);
        (0..PATIENCE).for_each(|_| size.answered(Duration::from_millis(100)));
        assert_eq!(size.compressed(), LEAST + LEAST / 8);
        (0..30 * PATIENCE).for_each(|_| size.answered(Duration::from_millis(100)));
        assert_eq!(size.compressed(), COMPRESSED_LIMIT);
    }

    #[test]
    fn one_slow_answer_is_forgotten() {
        let mut size = Size::default();
        for milliseconds in [30, 30, 4_000, 30, 30, 30, 30, 30, 30, 30, 30] {
            size.answered(Duration::from_millis(milliseconds));
        }
        assert_eq!(size.limit(20_000_000), 6 << 20);
    }
}
