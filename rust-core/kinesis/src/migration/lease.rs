//! A lease of the Kinesis Client Library (1.x to 3.5), and what it means for us.

use crate::api::{ShardId, ShardInfo, StreamInfo};
use crate::config::InitialPosition;
use crate::position::Anchor;
use crate::store::ShardRow;
use record::{Position, SequenceNumber};
use std::collections::{BTreeMap, BTreeSet};

/// One item of the legacy table, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lease {
    /// `leaseKey`
    pub(crate) key: String,
    /// `leaseOwner`
    pub(crate) owner: Option<String>,
    /// `leaseCounter`: grows with every sign of life.
    pub(crate) counter: Option<u64>,
    /// `checkpoint`: a sequence number or a word.
    pub(crate) checkpoint: Option<String>,
    /// `checkpointSubSequenceNumber`
    pub(crate) sub_sequence: Option<u64>,
    /// `entityType`, from 3.5 on: the table also holds rows that are no leases.
    pub(crate) entity: Option<String>,
}

/// Whose a lease is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of this shard of our stream.
    Ours(ShardId),
    /// Of our stream before it was deleted and created again.
    Earlier,
    /// Of something else; its name.
    Other(String),
    /// Bookkeeping of the library.
    NoLease,
}

impl Lease {
    /// Single-stream keys are shard ids; multi-stream keys are `<account>:<stream>:<creation second>:<shard id>`.
    pub(crate) fn whose(&self, stream: &StreamInfo) -> Whose {
        if self.entity.as_deref().is_some_and(|e| e != "LEASE") {
            return Whose::NoLease;
        }
        let parts: Vec<&str> = self.key.split(':').collect();
        match parts.as_slice() {
            [shard] if shard.starts_with("shardId-") => Whose::Ours(ShardId::from(*shard)),
            [account, name, created, shard] => {
                if (Some(*account), Some(*name)) != named(&stream.arn) {
                    return Whose::Other(format!("{account}:{name}"));
                }
                let same = created.parse() == Ok(stream.created.div_euclid(1_000));
                if same { Whose::Ours(ShardId::from(*shard)) } else { Whose::Earlier }
            }
            _ => Whose::Other(self.key.clone()),
        }
    }
}

/// Account and name in `arn:<partition>:kinesis:<region>:<account>:stream/<name>`.
fn named(arn: &str) -> (Option<&str>, Option<&str>) {
    (arn.split(':').nth(4), arn.split_once(":stream/").map(|(_, name)| name))
}

/// Leases of our stream, and what else is in the table.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) ours: BTreeMap<ShardId, Lease>,
    pub(crate) others: BTreeSet<String>,
    /// Leases of our stream before it was created again.
    pub(crate) earlier: usize,
}

/// Sorts a whole table.
pub(crate) fn sort(leases: Vec<Lease>, stream: &StreamInfo) -> Sorted {
    let mut sorted = Sorted::default();
    for lease in leases {
        match lease.whose(stream) {
            Whose::Ours(shard) => {
                sorted.ours.insert(shard, lease);
            }
            Whose::Earlier => sorted.earlier += 1,
            Whose::Other(name) => {
                sorted.others.insert(name);
            }
            Whose::NoLease => {}
        }
    }
    sorted
}

/// What rows are made from.
pub(crate) struct Frame<'a> {
    pub(crate) stream: &'a StreamInfo,
    pub(crate) shards: &'a [ShardInfo],
    pub(crate) initial: InitialPosition,
}

/// The rows of our table for the leases of our stream.
pub(crate) fn rows(leases: &BTreeMap<ShardId, Lease>, frame: &Frame<'_>) -> BTreeMap<ShardId, ShardRow> {
    let mut rows: BTreeMap<ShardId, ShardRow> =
        leases.iter().map(|(shard, lease)| (shard.clone(), row(shard, lease, frame))).collect();
    for shard in finished_without_lease(leases, frame.shards) {
        rows.insert(shard.clone(), ended(&shard, frame));
    }
    rows
}

fn row(shard: &str, lease: &Lease, frame: &Frame<'_>) -> ShardRow {
    let begins = |anchor| ShardRow {
        anchor: Some(anchor),
        created: Some(frame.stream.created),
        ..ShardRow::default()
    };
    let open = frame.shards.iter().any(|s| *s.id == *shard && !s.closed);
    match (lease.checkpoint.as_deref(), frame.initial) {
        // A shard that takes records has no end: this is about an earlier stream of the same name.
        (Some("SHARD_END"), _) if open => begins(Anchor::TrimHorizon),
        (Some("SHARD_END"), _) => ended(shard, frame),
        (Some("LATEST"), _) => begins(Anchor::Latest(frame.stream.now_ms)),
        (Some("AT_TIMESTAMP"), InitialPosition::AtTimestamp(ms)) => begins(Anchor::AtTimestamp(ms)),
        (Some(text), _) => match SequenceNumber::new(text) {
            Ok(number) => at(number, lease.sub_sequence.unwrap_or(0), frame),
            Err(_) => begins(Anchor::TrimHorizon),
        },
        (None, _) => begins(Anchor::TrimHorizon),
    }
}

/// The library resumes *at* the record and drops what is done, also when the sub-sequence is zero: whether the record
/// is an aggregate is not known before it is read. Apache NiFi's own processor always goes on behind a whole record, so
/// in the middle of an aggregate it is shown the number before: it repeats the aggregate and loses nothing.
fn at(number: SequenceNumber, sub: u64, frame: &Frame<'_>) -> ShardRow {
    let shown = if sub == 0 { Some(number.clone()) } else { before(&number) };
    ShardRow {
        padded: Some(Position::new(number.clone(), sub).padded()),
        sequence: Some(shown.unwrap_or(number)),
        sub_sequence: Some(sub),
        created: Some(frame.stream.created),
        ..ShardRow::default()
    }
}

/// A number behind the shard's last record lets Apache NiFi's own processor find the end at once.
fn ended(shard: &str, frame: &Frame<'_>) -> ShardRow {
    let ending = frame.shards.iter().find(|s| *s.id == *shard).and_then(|s| s.ending.clone());
    ShardRow { sequence: ending, ended: true, created: Some(frame.stream.created), ..ShardRow::default() }
}

/// The library deletes the lease of a finished shard when its children are being read, while the shard is still listed.
fn finished_without_lease(leases: &BTreeMap<ShardId, Lease>, shards: &[ShardInfo]) -> Vec<ShardId> {
    let listed: BTreeMap<&str, &ShardInfo> = shards.iter().map(|s| (&*s.id, s)).collect();
    let mut finished = BTreeSet::new();
    let mut next: Vec<&str> = leases.keys().map(|s| &**s).collect();
    while let Some(id) = next.pop() {
        for parent in listed.get(id).into_iter().flat_map(|s| &s.parents) {
            let known = listed.get(&**parent).is_some_and(|p| p.closed);
            if known && !leases.contains_key(parent) && finished.insert(parent.clone()) {
                next.push(parent);
            }
        }
    }
    finished.into_iter().collect()
}

/// The number minus one; `None` for zero.
fn before(number: &SequenceNumber) -> Option<SequenceNumber> {
    let mut digits = number.as_str().as_bytes().to_vec();
    let at = digits.iter().rposition(|d| *d != b'0')?;
    digits[at] -= 1;
    digits[at + 1..].fill(b'9');
    let text = String::from_utf8(digits).ok()?;
    let trimmed = text.trim_start_matches('0');
    SequenceNumber::new(if trimmed.is_empty() { "0" } else { trimmed }).ok()
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
