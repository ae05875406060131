//! What a source counts: all of it for the status, some of it also for NiFi's counters.

use crate::shard::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// See the module.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) records: AtomicU64,
    /// Payload bytes read.
    pub(crate) bytes: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) rewinds: AtomicU64,
    pub(crate) leases_lost: AtomicUsize,
    /// Events of subscriptions that brought nothing but records read before.
    pub(crate) repeated_events: Count,
    /// Records in aggregates whose hash key belongs to another shard than the one they were read from.
    pub(crate) strays: Count,
    /// Calls of the checkpoint table that stayed throttled in all attempts.
    pub(crate) table_throttled: Count,
}

impl Counters {
    /// What was counted since the last call, by the names of NiFi's counters; none that stands still.
    pub(crate) fn news(&self) -> Vec<(&'static str, u64)> {
        let told = [
            // As Apache NiFi's own processor calls it.
            ("EFO Deduplicated Events", &self.repeated_events),
            ("Aggregated Records Of Other Shards", &self.strays),
            ("Checkpoint Table Throttles", &self.table_throttled),
        ];
        told.into_iter().map(|(name, count)| (name, count.news())).filter(|(_, added)| *added > 0).collect()
    }
}

/// A number that is told in pieces, too.
#[derive(Default)]
pub(crate) struct Count {
    all: AtomicU64,
    told: Mutex<u64>,
}

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.all.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    fn news(&self) -> u64 {
        let mut told = lock(&self.told);
        let all = self.all();
        all - std::mem::replace(&mut *told, all)
    }
}
