//! From a page of Kinesis records to drafts of parts: aggregates taken apart, rows with metadata, failures on their own.

use crate::api::Fetched;
use crate::budget::Permit;
use crate::config::OutputStrategy;
use crate::draft::{Content, Draft};
use bytes::Bytes;
use record::{ArrivalFormat, Expanded, Metadata, Position, Reject, append_row, append_wrapped, deaggregate};
use tokio::time::Instant;

/// What stays the same for all pages of a shard.
pub(crate) struct Shaper {
    pub(crate) stream: String,
    pub(crate) shard: String,
    pub(crate) output: OutputStrategy,
    pub(crate) format: ArrivalFormat,
    /// Rows beyond this many bytes begin a new part.
    pub(crate) full: usize,
}

/// A page in its new shape.
pub(crate) struct Shaped {
    pub(crate) drafts: Vec<Draft>,
    /// Position of the last record when it gave no content.
    pub(crate) silent: Option<Position>,
    /// Position of the last record.
    pub(crate) read: Option<Position>,
}

struct Work<'a> {
    shaper: &'a Shaper,
    behind_ms: Option<i64>,
    now: Instant,
    drafts: Vec<Draft>,
    /// Draft that takes more rows is the last of `drafts`.
    open: bool,
    nothing: Permit,
}

/// Bytes after which other tasks get the worker.
const BREATH: usize = 1 << 20;

impl Shaper {
    /// Shapes `records`, adding rows to `tail` first. Positions up to `drop_through` are left out. `permit` covers the
    /// page and becomes the drafts' shares.
    pub(crate) async fn shape(
        &self,
        records: Vec<Fetched>,
        behind_ms: Option<i64>,
        tail: Option<Draft>,
        drop_through: Option<&Position>,
        permit: Permit,
    ) -> Shaped {
        let nothing = permit.split_nothing();
        let open = tail.is_some();
        let drafts: Vec<Draft> = tail.into_iter().collect();
        let mut work = Work { shaper: self, behind_ms, now: Instant::now(), drafts, open, nothing };
        let (mut silent, mut read, mut bytes) = (None, None, 0);
        for record in records {
            bytes += record.data.len();
            let (position, content) = work.record(record, drop_through);
            silent = if content { None } else { Some(position.clone()) };
            read = Some(position);
            if bytes > BREATH {
                bytes = 0;
                tokio::task::yield_now().await;
            }
        }
        let mut drafts = work.drafts;
        share_out(&mut drafts, permit);
        Shaped { drafts, silent, read }
    }
}

/// Gives every draft the part of the budget that its memory takes.
fn share_out(drafts: &mut [Draft], mut permit: Permit) {
    let nothing = permit.split_nothing();
    for draft in drafts.iter_mut() {
        let own = std::mem::replace(&mut draft.permit, nothing.split_nothing());
        permit.merge(own);
    }
    permit.resize(drafts.iter().map(|d| d.content.footprint().div_ceil(1_024) * 1_024).sum());
    for draft in drafts {
        draft.permit = permit.split(draft.content.footprint());
    }
}

impl Work<'_> {
    /// The record's last position, and whether it gave any content.
    fn record(&mut self, record: Fetched, drop_through: Option<&Position>) -> (Position, bool) {
        let Fetched { sequence, partition_key, arrival_ms, data } = record;
        let wanted = |p: &Position| drop_through.is_none_or(|d| p > d);
        let mut content = false;
        let mut last = Position::new(sequence.clone(), 0);
        match deaggregate(data) {
            Expanded::Plain(data) => {
                if wanted(&last) {
                    self.payload(&last, &partition_key, arrival_ms, data);
                    content = true;
                }
            }
            Expanded::Aggregate(users) => {
                for (sub, user) in (0u64..).zip(users) {
                    last = Position::new(sequence.clone(), sub);
                    if wanted(&last) {
                        self.payload(&last, &user.partition_key, arrival_ms, user.data);
                        content = true;
                    }
                }
            }
        }
        if let Some(draft) = self.drafts.last_mut().filter(|_| content) {
            draft.whole = true;
            draft.covers = last.clone();
            if draft.content.len() >= self.shaper.full {
                self.open = false;
            }
        }
        (last, content)
    }

    fn payload(&mut self, position: &Position, key: &str, arrival_ms: Option<i64>, data: Bytes) {
        if !self.open {
            self.begin(position, Content::Rows(Vec::new()));
            self.open = true;
        }
        if let Err(reject) = self.row(position, key, arrival_ms, &data) {
            if self.drafts.last().is_some_and(|d| d.records == 0) {
                self.drafts.pop();
            }
            // A copy: a slice would keep the whole answer of the service in memory.
            let payload = Bytes::copy_from_slice(&data);
            self.begin(position, Content::Failed { payload, reason: reject.to_string() });
            self.open = false;
        }
        if let Some(draft) = self.drafts.last_mut() {
            draft.records += 1;
            draft.last = position.clone();
            draft.covers = position.clone();
            draft.whole = false;
            draft.partition_key.clear();
            draft.partition_key.push_str(key);
            draft.arrival_ms = arrival_ms;
            draft.behind_ms = self.behind_ms;
        }
    }

    fn row(&mut self, at: &Position, key: &str, arrival_ms: Option<i64>, data: &[u8]) -> Result<(), Reject> {
        let shaper = self.shaper;
        let metadata = Metadata {
            stream: &shaper.stream,
            shard_id: &shaper.shard,
            approximate_arrival_ms: arrival_ms,
            partition_key: key,
            sequence_number: at.sequence.as_str(),
            sub_sequence_number: at.sub_sequence,
        };
        let Some(Draft { content: Content::Rows(rows), .. }) = self.drafts.last_mut() else { return Ok(()) };
        match shaper.output {
            OutputStrategy::InjectMetadata => append_row(data, Some(&metadata), shaper.format, rows),
            OutputStrategy::UseValue => append_row(data, None, shaper.format, rows),
            OutputStrategy::UseWrapper => append_wrapped(data, &metadata, shaper.format, rows),
        }
    }

    fn begin(&mut self, position: &Position, content: Content) {
        self.drafts.push(Draft {
            content,
            records: 0,
            first: position.clone(),
            last: position.clone(),
            covers: position.clone(),
            whole: false,
            partition_key: String::new(),
            arrival_ms: None,
            behind_ms: None,
            since: self.now,
            permit: self.nothing.split_nothing(),
        });
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
