//! From a page of Kinesis records to drafts of parts: aggregates taken apart, records joined or alone as the processing
//! strategy says, failures on their own.
//!
//! A rejected payload does not cut the rows around it: its draft goes in front of theirs, and both are in one batch.

use crate::api::{Fetched, HashKeys};
use crate::budget::Permit;
use crate::config::{OutputStrategy, ProcessingStrategy};
use crate::draft::{Content, Draft};
use bytes::Bytes;
use record::{
    ArrivalFormat, Expanded, Metadata, Position, Reject, UserRecord, append_row, append_wrapped, deaggregate,
};
use tokio::time::Instant;

/// What stays the same for all pages of a shard.
pub(crate) struct Shaper {
    pub(crate) stream: String,
    pub(crate) shard: String,
    pub(crate) strategy: ProcessingStrategy,
    pub(crate) output: OutputStrategy,
    pub(crate) format: ArrivalFormat,
    /// Joined records beyond this many bytes begin a new part.
    pub(crate) full: usize,
    /// Hash keys of the shard; `None` when they are not known.
    pub(crate) keys: Option<HashKeys>,
}

/// A page in its new shape.
pub(crate) struct Shaped {
    pub(crate) drafts: Vec<Draft>,
    /// Position of the last record when it gave no content.
    pub(crate) silent: Option<Position>,
    /// Position of the last record.
    pub(crate) read: Option<Position>,
    /// Records in aggregates whose hash key belongs to another shard. The Kinesis Producer Library sends an aggregate
    /// with such records again after a reshard, so they may be there twice. Other producers mix keys freely: nothing is
    /// left out because of it.
    pub(crate) strays: u64,
}

struct Work<'a> {
    shaper: &'a Shaper,
    behind_ms: Option<i64>,
    now: Instant,
    drafts: Vec<Draft>,
    /// The last of `drafts` takes more records.
    open: bool,
    nothing: Permit,
    /// Bytes that the records not shaped yet will take, about.
    room: usize,
    /// Bytes made since the account was looked at last, about.
    made: usize,
    strays: u64,
}

/// Where a payload is from.
struct Origin<'a> {
    position: &'a Position,
    key: &'a str,
    arrival_ms: Option<i64>,
}

/// What metadata and separators add to a record, about.
const AROUND: usize = 400;
/// A draft begins with at most this fraction of the budget.
const LARGEST_SHARE: usize = 8;
/// Bytes after which other tasks get the worker, and the account is looked at.
const BREATH: usize = 1 << 20;
/// A draft grows by what the rest of the answer needs, and at least by this part of itself.
const GROWTH: usize = 4;

impl Shaper {
    /// Shapes `records`, adding to `tail` first. Positions up to `drop_through` are left out. `permit` covers the page,
    /// of which `page` bytes are the records themselves; the drafts take their shares from it.
    ///
    /// Aggregates may grow to many times their size. When that overdraws the budget, shaping ends behind the record and
    /// leaves the rest in `records`, with a share for the page in `permit`.
    pub(crate) async fn shape(
        &self,
        records: &mut std::vec::IntoIter<Fetched>,
        behind_ms: Option<i64>,
        tail: Option<Draft>,
        drop_through: Option<&Position>,
        permit: &mut Permit,
        page: usize,
    ) -> Shaped {
        let nothing = permit.split_nothing();
        let open = tail.is_some();
        let drafts: Vec<Draft> = tail.into_iter().collect();
        let room: usize = records.as_slice().iter().map(|record| record.data.len() + AROUND).sum();
        let room = room.min(permit.capacity() / LARGEST_SHARE);
        let now = Instant::now();
        let mut work = Work { shaper: self, behind_ms, now, drafts, open, nothing, room, made: 0, strays: 0 };
        let (mut silent, mut read) = (None, None);
        for record in records.by_ref() {
            let length = record.data.len();
            let (position, content) = work.record(record, drop_through);
            silent = if content { None } else { Some(position.clone()) };
            read = Some(position);
            work.room = work.room.saturating_sub(length + AROUND);
            if work.made > BREATH {
                work.made = 0;
                if permit.raise(page + footprint(&work.drafts)) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let (mut drafts, strays) = (work.drafts, work.strays);
        let page = if records.as_slice().is_empty() { 0 } else { page };
        share_out(&mut drafts, permit, page);
        Shaped { drafts, silent, read, strays }
    }
}

/// Memory of `drafts`, in whole units of the account.
fn footprint(drafts: &[Draft]) -> usize {
    drafts.iter().map(|d| d.content.footprint().div_ceil(1_024) * 1_024).sum()
}

/// Gives every draft the part of the budget that its memory takes; `page` bytes stay in `permit`.
fn share_out(drafts: &mut [Draft], permit: &mut Permit, page: usize) {
    let nothing = permit.split_nothing();
    for draft in drafts.iter_mut() {
        let own = std::mem::replace(&mut draft.permit, nothing.split_nothing());
        permit.merge(own);
    }
    permit.resize(page + footprint(drafts));
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
                    self.payload(&Origin { position: &last, key: &partition_key, arrival_ms }, &data);
                    content = true;
                }
            }
            Expanded::Aggregate(users) => {
                for (sub, user) in (0u64..).zip(users) {
                    last = Position::new(sequence.clone(), sub);
                    if wanted(&last) {
                        self.strays += u64::from(self.shaper.is_stray(&user));
                        let key = &user.partition_key;
                        self.payload(&Origin { position: &last, key, arrival_ms }, &user.data);
                        content = true;
                    }
                }
            }
        }
        if let Some(draft) = self.drafts.last_mut().filter(|_| content) {
            draft.whole = true;
            draft.covers = last.clone();
            self.open &= draft.takes_more(self.shaper.full);
        }
        (last, content)
    }

    fn payload(&mut self, from: &Origin<'_>, data: &Bytes) {
        let need = data.len() + AROUND;
        self.made += need;
        let joined = match &self.shaper.strategy {
            ProcessingStrategy::FlowFile => return self.alone(from, data, None),
            ProcessingStrategy::LineDelimited => {
                self.join(from, need, |out, first| separate(b"\n", data, out, first))
            }
            ProcessingStrategy::Demarcator(between) => {
                self.join(from, need, |out, first| separate(between, data, out, first))
            }
            ProcessingStrategy::Record => {
                let shaper = self.shaper;
                self.join(from, need, |out, _| shaper.row(from, data, out))
            }
        };
        if let Err(reject) = joined {
            self.alone(from, data, Some(reject.to_string()));
        }
    }

    /// Adds a record to the open draft, or to a new one. `write` leaves its output alone when it fails, and is told
    /// whether the record is the draft's first.
    fn join(
        &mut self,
        from: &Origin<'_>,
        need: usize,
        write: impl FnOnce(&mut Vec<u8>, bool) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        match self.drafts.last_mut().filter(|_| self.open) {
            Some(Draft { content: Content::Joined(bytes), .. }) => {
                if bytes.capacity() - bytes.len() < need {
                    bytes.reserve_exact(self.room.max(need).max(bytes.len() / GROWTH));
                }
                write(bytes, false)?;
            }
            _ => {
                // Growing by doubling would take up to twice the memory that is needed.
                let (mut bytes, mut permit) = self.nothing.buffer(self.room);
                if let Err(reject) = write(&mut bytes, true) {
                    permit.keep(bytes);
                    return Err(reject);
                }
                let mut draft = self.begin(from, Content::Joined(bytes));
                draft.permit = permit;
                self.drafts.push(draft);
                self.open = true;
            }
        }
        if let Some(draft) = self.drafts.last_mut() {
            from.note(draft, self.behind_ms);
        }
        Ok(())
    }

    fn alone(&mut self, from: &Origin<'_>, data: &Bytes, reject: Option<String>) {
        // A copy: a slice would keep the whole answer of the service in memory.
        let payload = Bytes::copy_from_slice(data);
        let mut draft = self.begin(from, Content::Alone { payload, reject });
        from.note(&mut draft, self.behind_ms);
        let enclosing = if self.open { self.drafts.pop() } else { None };
        self.drafts.push(draft);
        if let Some(mut enclosing) = enclosing {
            enclosing.enclosed += 1;
            self.drafts.push(enclosing);
        }
    }

    fn begin(&self, from: &Origin<'_>, content: Content) -> Draft {
        Draft {
            content,
            records: 0,
            first: from.position.clone(),
            last: from.position.clone(),
            covers: from.position.clone(),
            whole: false,
            enclosed: 0,
            partition_key: String::new(),
            arrival_ms: None,
            behind_ms: None,
            since: self.now,
            permit: self.nothing.split_nothing(),
        }
    }
}

impl Origin<'_> {
    /// The record is in the draft, as its last one.
    fn note(&self, draft: &mut Draft, behind_ms: Option<i64>) {
        draft.records += 1;
        draft.last = self.position.clone();
        draft.covers = self.position.clone();
        draft.whole = false;
        draft.partition_key.clear();
        draft.partition_key.push_str(self.key);
        draft.arrival_ms = self.arrival_ms;
        draft.behind_ms = behind_ms;
    }
}

/// A separator stands between two records, not behind the last: as in Apache NiFi.
fn separate(between: &[u8], data: &[u8], out: &mut Vec<u8>, first: bool) -> Result<(), Reject> {
    if !first {
        out.extend_from_slice(between);
    }
    out.extend_from_slice(data);
    Ok(())
}

impl Shaper {
    /// The record's hash key belongs to another shard, as far as that is known.
    fn is_stray(&self, user: &UserRecord) -> bool {
        let Some(keys) = &self.keys else { return false };
        user.hash_key().is_some_and(|key| !keys.contains(&key))
    }

    fn row(&self, from: &Origin<'_>, data: &[u8], out: &mut Vec<u8>) -> Result<(), Reject> {
        let metadata = Metadata {
            stream: &self.stream,
            shard_id: &self.shard,
            approximate_arrival_ms: from.arrival_ms,
            partition_key: from.key,
            sequence_number: from.position.sequence.as_str(),
            sub_sequence_number: from.position.sub_sequence,
        };
        match self.output {
            OutputStrategy::InjectMetadata => append_row(data, Some(&metadata), self.format, out),
            OutputStrategy::UseValue => append_row(data, None, self.format, out),
            OutputStrategy::UseWrapper => append_wrapped(data, &metadata, self.format, out),
        }
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
