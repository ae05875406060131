//! The read quota of a shard, and backlogs of any length that are made up page by page.

use super::stream::{FakeStream, sequence, trouble};
use crate::api::{Fetched, Page, ShardId};
use crate::trouble::{Kind, Trouble};
use bytes::Bytes;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// 2 MiB and 5 calls a second.
pub(crate) const BYTES: f64 = 2_097_152.0;
const CALLS: f64 = 5.0;
/// Largest answer.
const PAGE: usize = 10_485_760;

/// Refills by its size each second; one answer may overdraw it.
struct Bucket {
    size: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(size: f64) -> Self {
        Self { size, level: size, at: Instant::now() }
    }

    fn level(&mut self) -> f64 {
        let now = Instant::now();
        self.level = (self.level + now.duration_since(self.at).as_secs_f64() * self.size).min(self.size);
        self.at = now;
        self.level
    }
}

/// A shard with a quota and a backlog of records of one size.
struct Backlog {
    records: usize,
    record: Bytes,
    bytes: Bucket,
    calls: Bucket,
    counts: Counts,
}

/// What became of calls.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) calls: usize,
    pub(crate) throttled: usize,
    pub(crate) bytes: usize,
    /// When the last record was served.
    pub(crate) done: Option<Instant>,
}

impl Backlog {
    fn admit(&mut self) -> bool {
        let free = self.bytes.level() > 0.0 && self.calls.level() >= 1.0;
        if free {
            self.calls.level -= 1.0;
        }
        free
    }

    fn charge(&mut self, bytes: usize) {
        self.bytes.level();
        self.bytes.level -= f64::from(u32::try_from(bytes).unwrap());
    }
}

/// By shard.
#[derive(Default)]
pub(crate) struct Quotas(BTreeMap<ShardId, Backlog>);

impl Quotas {
    /// `None`: the shard has no quota. Otherwise the page, and the index behind it.
    pub(super) fn page(
        &mut self,
        shard: &str,
        from: usize,
        limit: usize,
    ) -> Option<Result<(Page, usize), Trouble>> {
        let backlog = self.0.get_mut(shard)?;
        backlog.counts.calls += 1;
        if !backlog.admit() {
            backlog.counts.throttled += 1;
            return Some(Err(trouble("GetRecords", Kind::Throttled, "Rate exceeded for shard")));
        }
        let fit = (PAGE / backlog.record.len()).max(1);
        let to = (from + limit.min(fit)).min(backlog.records);
        let fetched = |n: usize| Fetched {
            sequence: sequence(n as u64 + 1),
            partition_key: "k".to_owned(),
            arrival_ms: Some(0),
            data: backlog.record.clone(),
        };
        let records: Vec<Fetched> = (from..to).map(fetched).collect();
        let bytes = records.len() * backlog.record.len();
        backlog.charge(bytes);
        backlog.counts.bytes += bytes;
        if to == backlog.records {
            backlog.counts.done.get_or_insert_with(Instant::now);
        }
        let behind = if to < backlog.records { 1_000 } else { 0 };
        Some(Ok((Page { records, millis_behind: Some(behind), ..Page::default() }, to)))
    }
}

impl FakeStream {
    /// The shard has the service's read quota, and this many records of this size.
    pub(crate) fn backlog(&self, shard: &str, records: usize, bytes: usize) {
        let (record, counts) = (Bytes::from(vec![b'x'; bytes]), Counts::default());
        let backlog =
            Backlog { records, record, bytes: Bucket::new(BYTES), calls: Bucket::new(CALLS), counts };
        self.with(|data| data.quotas.0.insert(shard.into(), backlog));
    }

    /// What became of the calls of a shard with a backlog.
    pub(crate) fn counts(&self, shard: &str) -> Counts {
        self.with(|data| data.quotas.0[shard].counts)
    }

    /// A call of another reader of the shard that would get `bytes`; tells whether it got through.
    pub(crate) fn other_reader(&self, shard: &str, bytes: usize) -> bool {
        self.with(|data| {
            let backlog = data.quotas.0.get_mut(shard).unwrap();
            let admitted = backlog.admit();
            if admitted {
                backlog.charge(bytes);
            }
            admitted
        })
    }
}
