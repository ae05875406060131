//! The append log of one shard.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::disk::Records;
use super::generator::Generated;
use super::number::{DIGITS, Number};

/// A stored record.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) number: Number,
    text: [u8; DIGITS],
    pub(crate) arrival_ms: i64,
    pub(crate) data: Bytes,
    pub(crate) key: Box<str>,
    json: OnceLock<Bytes>,
}

impl Entry {
    pub(crate) fn new(number: Number, arrival_ms: i64, key: Box<str>, data: Bytes) -> Self {
        Self { number, text: number.text(), arrival_ms, data, key, json: OnceLock::new() }
    }

    /// The sequence number in digits.
    pub(crate) fn sequence(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Bytes that count towards the limits: payload and partition key.
    pub(crate) fn size(&self) -> usize {
        self.data.len() + self.key.len()
    }

    /// The record as a JSON object, encoded at the first read and kept.
    pub(crate) fn json(&self) -> &Bytes {
        self.json.get_or_init(|| {
            let mut out = Vec::with_capacity(self.data.len() * 4 / 3 + self.key.len() + 170);
            out.extend_from_slice(b"{\"SequenceNumber\":\"");
            out.extend_from_slice(&self.text);
            let (seconds, millis) = (self.arrival_ms.div_euclid(1000), self.arrival_ms.rem_euclid(1000));
            out.extend_from_slice(
                format!("\",\"ApproximateArrivalTimestamp\":{seconds}.{millis:03},\"PartitionKey\":")
                    .as_bytes(),
            );
            out.extend_from_slice(serde_json::Value::from(&*self.key).to_string().as_bytes());
            out.extend_from_slice(b",\"Data\":\"");
            let start = out.len();
            out.resize(start + self.data.len().div_ceil(3) * 4, 0);
            let written = STANDARD.encode_slice(&self.data, &mut out[start..]).unwrap_or(0);
            out.truncate(start + written);
            out.extend_from_slice(b"\"}");
            Bytes::from(out)
        })
    }
}

/// What a shard became: closed at a number, continued by its children.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    pub(crate) ending: Number,
    pub(crate) at_ms: i64,
    pub(crate) children: Vec<u32>,
}

/// Records of a shard by ordinal. The ordinal of a record never changes; trimming only raises `first`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    first: u64,
    entries: VecDeque<Arc<Entry>>,
    last_arrival_ms: i64,
    pub(crate) bytes: u64,
    pub(crate) closed: Option<Closed>,
    /// Computes the records instead of keeping them; such a shard is not written to.
    pub(crate) generated: Option<Generated>,
    /// Keeps the records over a restart.
    pub(crate) records: Option<Records>,
}

/// One page of a shard, taken under the shard's lock and encoded outside it.
pub(crate) struct Page {
    pub(crate) entries: Vec<Arc<Entry>>,
    /// Ordinal of the first record not in the page.
    pub(crate) next: u64,
    /// Arrival of the first record not in the page.
    pub(crate) unread_since_ms: Option<i64>,
    /// Set when the page reaches the end of a closed shard.
    pub(crate) closed: Option<Closed>,
}

impl Log {
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Ordinal that the next record gets.
    pub(crate) fn end(&self) -> u64 {
        if let Some(generated) = &self.generated {
            return generated.end();
        }
        self.first + self.entries.len() as u64
    }

    /// Time of arrival for a record appended now: never before the one in front of it.
    pub(crate) fn arrival(&self, now_ms: i64) -> i64 {
        now_ms.max(self.last_arrival_ms)
    }

    /// Appends an entry whose number was made for [`Log::end`] under the same lock.
    pub(crate) fn push(&mut self, entry: Arc<Entry>) {
        self.last_arrival_ms = entry.arrival_ms;
        self.bytes += entry.size() as u64;
        self.entries.push_back(entry);
    }

    /// Reads from ordinal `from`, at most `limit` records and `max_bytes` bytes, but at least one record.
    pub(crate) fn page(&self, from: u64, limit: usize, max_bytes: usize) -> Page {
        let from = from.max(self.first).min(self.end());
        if let Some(generated) = &self.generated {
            return self.generated_page(generated, from, limit, max_bytes);
        }
        let start = usize::try_from(from - self.first).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let entries: Vec<_> = self
            .entries
            .range(start..)
            .take(limit)
            .take_while(|entry| {
                let fits = bytes == 0 || bytes + entry.size() <= max_bytes;
                bytes += entry.size().max(1);
                fits
            })
            .cloned()
            .collect();
        let next = from + entries.len() as u64;
        let unread = self.entries.get(start + entries.len());
        Page {
            entries,
            next,
            unread_since_ms: unread.map(|entry| entry.arrival_ms),
            closed: if unread.is_none() { self.closed.clone() } else { None },
        }
    }

    fn generated_page(&self, generated: &Generated, from: u64, limit: usize, max_bytes: usize) -> Page {
        let end = generated.end();
        let mut bytes = 0;
        let mut entries = Vec::new();
        for ordinal in (from..end).take(limit) {
            let entry = generated.entry(ordinal);
            if bytes > 0 && bytes + entry.size() > max_bytes {
                break;
            }
            bytes += entry.size();
            entries.push(entry);
        }
        let next = from + entries.len() as u64;
        let unread_since_ms = (next < end).then(|| generated.arrival_ms(next));
        Page {
            entries,
            next,
            unread_since_ms,
            closed: self.closed.clone().filter(|_| unread_since_ms.is_none()),
        }
    }

    /// Ordinal of the first record with this number or a later one.
    pub(crate) fn at_number(&self, number: Number) -> u64 {
        if let Some(generated) = &self.generated {
            return generated.at_number(number);
        }
        self.first + self.entries.partition_point(|entry| entry.number < number) as u64
    }

    /// Ordinal of the first record that arrived at this instant or later.
    pub(crate) fn at_time(&self, ms: i64) -> u64 {
        if let Some(generated) = &self.generated {
            return generated.partition(|this, ordinal| this.arrival_ms(ordinal) < ms);
        }
        self.first + self.entries.partition_point(|entry| entry.arrival_ms < ms) as u64
    }

    /// Drops records that arrived before `before_ms`, and the oldest ones above `max_bytes`.
    pub(crate) fn trim(&mut self, before_ms: i64, max_bytes: u64) {
        while let Some(oldest) = self.entries.front() {
            if oldest.arrival_ms >= before_ms && self.bytes <= max_bytes {
                break;
            }
            self.bytes -= oldest.size() as u64;
            self.first += 1;
            self.entries.pop_front();
        }
    }
}
