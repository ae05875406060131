//! The checkpoint table as this crate uses it: rows of one stream and the conditional writes on them.
//!
//! Layout and expressions of the attributes `sequenceNumber`, `leaseOwner`, `leaseExpiry`, `lastUpdateTimestamp` and
//! `nodeHeartbeat` are those of Apache NiFi's ConsumeKinesis 2.9 and later, so that both can share a table. All other
//! attributes are additions that NiFi ignores and keeps.

use crate::api::{Answer, ShardId};
use crate::position::{Anchor, Done};
use record::{Position, SequenceNumber, ShardedNumber};
use std::collections::BTreeMap;

/// What DescribeTable says about the table of the application's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TableState {
    /// There is none.
    Missing,
    /// Not usable yet; the service's word.
    NotReady(String),
    /// The layout is right and the table can be used.
    Ready,
    /// A lease table of the Kinesis Client Library.
    Legacy,
    /// Something else; its keys, for the message.
    Foreign(String),
}

/// Row of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ShardRow {
    /// `leaseOwner`
    pub(crate) owner: Option<String>,
    /// `leaseExpiry`, epoch milliseconds by the owner's wall clock. Never compared with our clock.
    pub(crate) expiry: Option<i64>,
    /// `leaseCounter`: grows with every acquisition; the fencing epoch.
    pub(crate) counter: Option<u64>,
    /// `leaseRenewals`: grows with every renewal and checkpoint; the sign of life.
    pub(crate) renewals: Option<u64>,
    /// `sequenceNumber`; `None` also when it is no number.
    pub(crate) sequence: Option<SequenceNumber>,
    /// `subSequenceNumber`: only part of the record `sequence` is done.
    pub(crate) sub_sequence: Option<u64>,
    /// `checkpointPadded`
    pub(crate) padded: Option<String>,
    /// `lastRowPosition`: last position that became a row.
    pub(crate) last_row: Option<ShardedNumber>,
    /// `lineageId`
    pub(crate) lineage: Option<String>,
    /// `startAnchor`
    pub(crate) anchor: Option<Anchor>,
    /// `shardEnded`
    pub(crate) ended: bool,
    /// `shardSkipped`: closed before the beginning the user asked for; nothing of it was or will be read.
    pub(crate) skipped: bool,
    /// `streamCreated`
    pub(crate) created: Option<i64>,
    /// `lastUpdateTimestamp`, epoch milliseconds by the writer's clock; a release leaves it as it was.
    pub(crate) updated: Option<i64>,
}

impl ShardRow {
    /// What is done, whoever wrote it. Apache NiFi moves `sequenceNumber` alone; the larger of the two positions counts,
    /// because everything up to either of them was committed.
    pub(crate) fn done(&self) -> Option<Done> {
        let padded = self.padded.as_deref().and_then(parse_padded);
        let Some(sequence) = self.sequence.clone() else { return padded.map(Done::whole) };
        match padded {
            // Written by a migration in the middle of an aggregate: `sequenceNumber` is behind on purpose.
            Some(position) if position.sequence > sequence => {
                Some(Done { within_record: self.sub_sequence == Some(position.sub_sequence), position })
            }
            Some(position) if position.sequence == sequence => {
                Some(Done { position, within_record: self.sub_sequence.is_some() })
            }
            // Only the number is known: the whole record is done, unless a sub-sequence says otherwise.
            None if self.sub_sequence.is_some() => Some(Done {
                position: Position::new(sequence, self.sub_sequence.unwrap_or(0)),
                within_record: true,
            }),
            _ => Some(Done::whole(Position::new(sequence, 0))),
        }
    }

    /// The lease as it is in the table; equal prints mean that the owner gave no sign of life.
    pub(crate) fn print(&self) -> LeasePrint {
        LeasePrint {
            owner: self.owner.clone(),
            expiry: self.expiry,
            counter: self.counter,
            renewals: self.renewals,
        }
    }
}

/// `<64 digits>#<20 digits>`
fn parse_padded(text: &str) -> Option<Position> {
    let (sequence, sub) = text.split_once('#')?;
    let digits = sequence.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    Some(Position::new(SequenceNumber::new(digits).ok()?, sub.parse().ok()?))
}

/// The part of a row that its owner changes by being alive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LeasePrint {
    pub(crate) owner: Option<String>,
    pub(crate) expiry: Option<i64>,
    pub(crate) counter: Option<u64>,
    pub(crate) renewals: Option<u64>,
}

/// Heartbeat of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeRow {
    /// `nodeHeartbeat`, epoch milliseconds by that node's clock; absent after a clean stop.
    pub(crate) heartbeat: Option<i64>,
    /// `nodeName`: the node that beats in this row. Apache NiFi does not write it.
    pub(crate) name: Option<String>,
}

impl NodeRow {
    /// The node whose heartbeat this is, in the row with this key.
    pub(crate) fn node<'a>(&'a self, key: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(key)
    }
}

/// What was decided for the stream as a whole at the application's first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamRow {
    /// Beginning of shards that are no children of known shards.
    pub(crate) anchor: Anchor,
    /// The stream it was decided for.
    pub(crate) created: i64,
}

/// All rows of the stream, read consistently.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) shards: BTreeMap<ShardId, ShardRow>,
    /// By the key of the row, which is the name of the node that made it.
    pub(crate) nodes: BTreeMap<String, NodeRow>,
    pub(crate) stream: Option<StreamRow>,
}

/// Who writes, under which epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) shard: ShardId,
    pub(crate) owner: String,
    pub(crate) epoch: u64,
}

/// An attempt to take a lease.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) shard: ShardId,
    pub(crate) owner: String,
    /// The lease must still be exactly this.
    pub(crate) seen: LeasePrint,
    /// Beginning of the shard.
    pub(crate) anchor: Anchor,
    /// Whether the row shall keep `anchor`, unless it has one: it has no position yet.
    pub(crate) store_anchor: bool,
    /// Written only where the row has none.
    pub(crate) lineage: String,
    /// Creation time of the stream.
    pub(crate) created: i64,
    pub(crate) parents: Vec<ShardId>,
    /// The row belongs to an earlier stream of the same name: its positions go, `lineage` and `anchor` are new.
    pub(crate) reset: bool,
    /// The position to write into our own attributes because another program moved `sequenceNumber` past them.
    pub(crate) repair: Option<Done>,
}

/// A position to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// `None`: the shard ended without a record being read.
    pub(crate) done: Option<Done>,
    /// Last position that became a row; zero when there was none.
    pub(crate) last_row: ShardedNumber,
    /// All records up to the end of the shard are done.
    pub(crate) ended: bool,
    /// Stored together with `ended`.
    pub(crate) children: Vec<ShardId>,
}

/// Reads and conditional writes on the rows of one stream. Implementations bound every call in time.
pub(crate) trait LeaseStore: Send + Sync {
    /// DescribeTable.
    fn table(&self) -> Answer<'_, TableState>;
    /// Query with consistent reads, all pages.
    fn rows(&self) -> Answer<'_, Rows>;
    /// GetItem with a consistent read.
    fn row<'a>(&'a self, shard: &'a str) -> Answer<'a, Option<ShardRow>>;
    /// Stores the stream's decision unless there is one for the same stream or a newer one of its name; gives what is in
    /// force.
    fn decide(&self, decision: StreamRow) -> Answer<'_, StreamRow>;
    /// Marks a shard as closed before the beginning; leaves a row that exists alone.
    fn skip<'a>(&'a self, shard: &'a str, decision: StreamRow) -> Answer<'a, ()>;
    /// Stores where a shard begins; leaves one that has a beginning or a position alone.
    fn begin<'a>(&'a self, shard: &'a str, decision: StreamRow) -> Answer<'a, ()>;
    /// Heartbeat of `node` in the row with this key. `false`: the row is another node's.
    fn beat<'a>(&'a self, key: &'a str, node: &'a str, now_ms: i64) -> Answer<'a, bool>;
    /// The same in a row that another node left; `false`: the row is no longer what was seen.
    fn adopt<'a>(&'a self, key: &'a str, seen: &'a NodeRow, node: &'a str, now_ms: i64) -> Answer<'a, bool>;
    /// End of the heartbeat. Nothing happens when the row is another node's.
    fn retire<'a>(&'a self, key: &'a str, node: &'a str) -> Answer<'a, ()>;
    /// The row after the claim; `None` when the lease is no longer what was seen.
    fn acquire<'a>(&'a self, claim: &'a Claim, now_ms: i64) -> Answer<'a, Option<ShardRow>>;
    /// `false`: the lease is not ours any more.
    fn renew<'a>(&'a self, holder: &'a Holder, now_ms: i64) -> Answer<'a, bool>;
    /// `false`: the lease is not ours any more, or the position is not ahead of the stored one.
    fn checkpoint<'a>(
        &'a self,
        holder: &'a Holder,
        checkpoint: &'a Checkpoint,
        now_ms: i64,
    ) -> Answer<'a, bool>;
    /// `false`: the lease was not ours any more.
    fn release<'a>(&'a self, holder: &'a Holder) -> Answer<'a, bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: Option<&str>, padded: Option<(&str, u64)>, sub: Option<u64>) -> ShardRow {
        ShardRow {
            sequence: sequence.map(|s| SequenceNumber::new(s).unwrap()),
            padded: padded.map(|(s, n)| Position::new(SequenceNumber::new(s).unwrap(), n).padded()),
            sub_sequence: sub,
            ..ShardRow::default()
        }
    }

    #[test]
    fn the_larger_position_counts() {
        let cases = [
            (row(None, None, None), None),
            (row(Some("7"), None, None), Some(("7", 0, false))),
            (row(Some("7"), Some(("7", 4)), None), Some(("7", 4, false))),
            (row(Some("7"), Some(("7", 4)), Some(4)), Some(("7", 4, true))),
            // NiFi's own processor moved on and knows nothing of sub-sequences.
            (row(Some("11"), Some(("9", 4)), Some(4)), Some(("11", 0, false))),
            // NiFi's own processor fell back behind what was committed.
            (row(Some("7"), Some(("9", 4)), None), Some(("9", 4, false))),
            // Written by a migration in the middle of an aggregate, so that NiFi's own processor repeats it.
            (row(Some("6"), Some(("7", 3)), Some(3)), Some(("7", 3, true))),
            // A sub-sequence without our own attribute.
            (row(Some("7"), None, Some(3)), Some(("7", 3, true))),
        ];
        for (row, expected) in cases {
            let got = row
                .done()
                .map(|d| (d.position.sequence.as_str().to_owned(), d.position.sub_sequence, d.within_record));
            assert_eq!(got, expected.map(|(s, n, w)| (s.to_owned(), n, w)), "{row:?}");
        }
    }

    #[test]
    fn padded_text_is_read_back() {
        for (sequence, sub) in [("0", 0), ("49590338271490256608559692538361571095921575989136588898", 19)] {
            let position = Position::new(SequenceNumber::new(sequence).unwrap(), sub);
            assert_eq!(parse_padded(&position.padded()), Some(position));
        }
    }
}
