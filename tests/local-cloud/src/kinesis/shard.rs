//! One shard: its place in the hash range, its lineage and its log.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;

use super::limits::Buckets;
use super::log::{Closed, Entry, Log};
use super::number::Number;
use crate::sync::lock;

/// A shard of a stream.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) index: u32,
    pub(crate) id: String,
    pub(crate) start_hash: u128,
    pub(crate) end_hash: u128,
    pub(crate) parent: Option<u32>,
    pub(crate) adjacent_parent: Option<u32>,
    /// Later than the creation of every shard made before it, so that numbers of children sort after.
    pub(crate) created_ms: i64,
    pub(crate) log: Mutex<Log>,
    /// Told after each append and when the shard closes.
    pub(crate) grown: watch::Sender<()>,
    pub(crate) buckets: Mutex<Buckets>,
}

/// What a shard keeps: records since an instant, at most so many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) since_ms: i64,
    pub(crate) bytes: u64,
}

/// What comes of an append.
pub(crate) enum Appended {
    /// Stored and visible under this number.
    At(Arc<Entry>),
    /// The shard was closed by a reshard: the record goes back to be routed anew.
    Closed(Box<str>, Bytes),
}

pub(crate) fn shard_id(index: u32) -> String {
    format!("shardId-{index:012}")
}

/// The index of a shard id in the service's form.
pub(crate) fn shard_index(id: &str) -> Option<u32> {
    let digits = id.strip_prefix("shardId-")?;
    (digits.len() == 12).then(|| digits.parse().ok()).flatten()
}

impl Shard {
    pub(crate) fn new(index: u32, start_hash: u128, end_hash: u128, created_ms: i64) -> Self {
        Self {
            index,
            id: shard_id(index),
            start_hash,
            end_hash,
            parent: None,
            adjacent_parent: None,
            created_ms,
            log: Mutex::new(Log::default()),
            grown: watch::Sender::new(()),
            buckets: Mutex::new(Buckets::default()),
        }
    }

    pub(crate) fn starting(&self) -> Number {
        Number::new(self.created_ms, 0, self.created_ms, self.index)
    }

    /// Whether the records are computed, so that nobody tells when there are more.
    pub(crate) fn generated(&self) -> bool {
        lock(&self.log).generated.is_some()
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        lock(&self.log).closed.clone()
    }

    /// Gives the record its number and makes it visible, in one step.
    pub(crate) fn append(&self, now_ms: i64, keep: Keep, key: Box<str>, data: Bytes) -> Appended {
        let entry = {
            let mut log = lock(&self.log);
            if log.closed.is_some() {
                return Appended::Closed(key, data);
            }
            let arrival_ms = log.arrival(now_ms);
            // Index 0 belongs to the shard's own starting number.
            let number = Number::new(self.created_ms, log.end() + 1, arrival_ms, self.index);
            let entry = Arc::new(Entry::new(number, arrival_ms, key, data));
            if let Some(records) = &mut log.records {
                records.write(&entry);
            }
            log.push(Arc::clone(&entry));
            log.trim(keep.since_ms, keep.bytes);
            entry
        };
        self.grown.send_replace(());
        Appended::At(entry)
    }

    /// Closes the shard: no record is accepted from here on.
    pub(crate) fn close(&self, now_ms: i64, children: Vec<u32>) {
        {
            let mut log = lock(&self.log);
            let at_ms = log.arrival(now_ms);
            let ending = Number::new(self.created_ms, log.end() + 1, at_ms, self.index);
            log.closed = Some(Closed { ending, at_ms, children });
        }
        self.grown.send_replace(());
    }
}
