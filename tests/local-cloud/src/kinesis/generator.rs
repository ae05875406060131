//! Shards of any length that take no memory: their records are computed when they are read.

use std::sync::Arc;

use bytes::Bytes;

use super::aggregate::kpl_aggregate;
use super::log::Entry;
use super::number::Number;
use local_snowflake::Clock;

/// What the shards of a generated stream contain.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    /// User records of each shard.
    pub records: u64,
    /// Bytes of each user record.
    pub bytes: usize,
    /// User records that become visible in each shard a second; all at once when absent.
    pub per_second: Option<u64>,
    /// User records packed into one Kinesis record as the Kinesis Producer Library does; plain when absent.
    pub aggregate: Option<u64>,
}

/// The alphabet, many times over.
const LETTERS: [u8; 26 * 40] = {
    let mut letters = [0; 26 * 40];
    let mut at = 0;
    while at < letters.len() {
        letters[at] = b"abcdefghijklmnopqrstuvwxyz"[at % 26];
        at += 1;
    }
    letters
};

/// The user record number `ordinal` (from 0) of a generated shard: one JSON object of exactly `bytes` bytes, or a
/// few more when the number of bytes is too small for it.
#[must_use]
pub fn generated_record(shard: u32, ordinal: u64, bytes: usize) -> Bytes {
    let mut out = Vec::with_capacity(bytes.max(64));
    out.extend_from_slice(format!("{{\"id\":{ordinal},\"shard\":{shard},\"text\":\"").as_bytes());
    let fill = bytes.saturating_sub(out.len() + 2);
    // A turning alphabet: compressible like text, and no two neighbours are the same.
    let mut from = usize::try_from(ordinal % 26).unwrap_or(0);
    let end = out.len() + fill;
    while out.len() < end {
        let part = LETTERS.get(from..).unwrap_or_default();
        out.extend_from_slice(part.get(..end - out.len()).unwrap_or(part));
        from = 0;
    }
    out.extend_from_slice(b"\"}");
    Bytes::from(out)
}

/// What the records of a generated shard look like: a text around the record's number.
#[derive(Debug)]
pub(crate) struct Template {
    before: Bytes,
    after: Bytes,
}

/// Where a template's number goes, and how many digits it has there.
const PLACE: &str = "000000000000";

impl Template {
    /// The twelve zeros that come first in `text` are replaced by the record's number; without them all records are
    /// the same.
    pub(crate) fn new(text: &str) -> Self {
        let (before, after) = text.split_once(PLACE).map_or((text, ""), |(before, after)| (before, after));
        let copy = |part: &str| Bytes::copy_from_slice(part.as_bytes());
        Self { before: copy(before), after: copy(after) }
    }

    fn record(&self, ordinal: u64) -> Bytes {
        let mut out = Vec::with_capacity(self.before.len() + PLACE.len() + self.after.len());
        out.extend_from_slice(&self.before);
        if !self.after.is_empty() {
            // A JSON number must not begin with a zero.
            out.extend_from_slice((100_000_000_000 + ordinal % 900_000_000_000).to_string().as_bytes());
            out.extend_from_slice(&self.after);
        }
        Bytes::from(out)
    }
}

/// A generator at work in one shard.
#[derive(Debug)]
pub(crate) struct Generated {
    /// Texts that take turns instead of the simple record; none by default.
    pub(crate) templates: Arc<[Template]>,
    pub(crate) generator: Generator,
    pub(crate) clock: Clock,
    pub(crate) created_ms: i64,
    pub(crate) shard: u32,
}

impl Generated {
    fn pack(&self) -> u64 {
        self.generator.aggregate.unwrap_or(1).max(1)
    }

    /// Kinesis records visible now.
    pub(crate) fn end(&self) -> u64 {
        let total = self.generator.records;
        let seen = match self.generator.per_second {
            None => total,
            Some(rate) => {
                let elapsed = u64::try_from(self.clock.now_ms() - self.created_ms).unwrap_or(0);
                total.min(elapsed.saturating_mul(rate) / 1000)
            }
        };
        // The last aggregate may be smaller; one that is not full yet is not visible.
        if seen == total { seen.div_ceil(self.pack()) } else { seen / self.pack() }
    }

    pub(crate) fn arrival_ms(&self, ordinal: u64) -> i64 {
        let last = (ordinal + 1).saturating_mul(self.pack()).min(self.generator.records);
        let after =
            self.generator.per_second.map_or(0, |rate| last.saturating_mul(1000).div_ceil(rate.max(1)));
        self.created_ms + i64::try_from(after).unwrap_or(0)
    }

    fn number(&self, ordinal: u64) -> Number {
        Number::new(self.created_ms, ordinal + 1, self.arrival_ms(ordinal), self.shard)
    }

    /// The user record of a number.
    fn user(&self, ordinal: u64) -> Bytes {
        let turn = usize::try_from(ordinal).unwrap_or(0).checked_rem(self.templates.len());
        match turn.and_then(|turn| self.templates.get(turn)) {
            Some(template) => template.record(ordinal),
            None => generated_record(self.shard, ordinal, self.generator.bytes),
        }
    }

    pub(crate) fn entry(&self, ordinal: u64) -> Arc<Entry> {
        let Generator { records, aggregate, .. } = self.generator;
        let first = ordinal * self.pack();
        let key = format!("key-{}", ordinal % 100);
        let data = match aggregate {
            None => self.user(first),
            Some(_) => {
                let users: Vec<_> =
                    (first..(first + self.pack()).min(records)).map(|user| self.user(user)).collect();
                kpl_aggregate(users.iter().map(|data| (key.as_str(), data.as_ref())))
            }
        };
        Arc::new(Entry::new(self.number(ordinal), self.arrival_ms(ordinal), key.into(), data))
    }

    /// First ordinal for which the condition does not hold; it must hold for a beginning of the shard only.
    pub(crate) fn partition(&self, before: impl Fn(&Self, u64) -> bool) -> u64 {
        let (mut low, mut high) = (0, self.end());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self, middle) { low = middle + 1 } else { high = middle }
        }
        low
    }

    pub(crate) fn at_number(&self, number: Number) -> u64 {
        self.partition(|this, ordinal| this.number(ordinal) < number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn records_have_the_size_and_appear_at_the_rate_asked_for() {
        let record = generated_record(3, 1_234, 200);
        assert_eq!(record.len(), 200);
        let json: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
        assert_eq!((json["id"].as_u64(), json["shard"].as_u64()), (Some(1_234), Some(3)));

        let clock = Clock::fixed(1_763_900_000_000);
        let generator = Generator { records: 25, bytes: 100, per_second: Some(10), aggregate: Some(10) };
        let shard = Generated {
            templates: Arc::default(),
            generator,
            clock: clock.clone(),
            created_ms: clock.now_ms(),
            shard: 0,
        };
        assert_eq!(shard.end(), 0);
        clock.advance(Duration::from_millis(1_999));
        assert_eq!(shard.end(), 1);
        clock.advance(Duration::from_secs(10));
        assert_eq!(shard.end(), 3);
        assert_eq!(
            (shard.arrival_ms(0), shard.arrival_ms(2)),
            (shard.created_ms + 1_000, shard.created_ms + 2_500)
        );
        assert_eq!(shard.at_number(shard.entry(2).number), 2);
    }

    #[test]
    fn templates_take_turns_and_carry_the_number() {
        let templates: Arc<[Template]> =
            [r#"{"a":000000000000,"b":1}"#, r#"{"c":1}"#].map(Template::new).into();
        let generator = Generator { records: 9, bytes: 10, per_second: None, aggregate: None };
        let clock = Clock::fixed(1_763_900_000_000);
        let shard = Generated { templates, generator, clock, created_ms: 0, shard: 0 };
        let records: Vec<_> = (0..3).map(|ordinal| shard.entry(ordinal).data.clone()).collect();
        assert_eq!(records, [r#"{"a":100000000000,"b":1}"#, r#"{"c":1}"#, r#"{"a":100000000002,"b":1}"#]);
    }
}
