//! Kinesis as this crate uses it: few calls, own types, so that everything above is testable without AWS.

use crate::position::Start;
use crate::trouble::Trouble;
use bytes::Bytes;
use futures::future::BoxFuture;
use record::SequenceNumber;
use std::sync::Arc;

/// Name of a shard, such as `shardId-000000000042`.
pub(crate) type ShardId = Arc<str>;

/// What a call to AWS gives.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Trouble>>;

/// State of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamInfo {
    /// Epoch milliseconds; differs when a stream was deleted and made anew under the same name.
    pub(crate) created: i64,
    /// Records can be read: ACTIVE or UPDATING.
    pub(crate) readable: bool,
    /// The service's word.
    pub(crate) status: String,
    /// The service's clock at the time of the answer, epoch milliseconds, not later than the answer.
    pub(crate) now_ms: i64,
}

/// One shard of the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardInfo {
    pub(crate) id: ShardId,
    /// Parent and adjacent parent, whether still listed or not.
    pub(crate) parents: Vec<ShardId>,
    /// Has an ending sequence number: takes no more records.
    pub(crate) closed: bool,
}

/// One record as Kinesis stores it.
#[derive(Clone)]
pub(crate) struct Fetched {
    pub(crate) sequence: SequenceNumber,
    pub(crate) partition_key: String,
    pub(crate) arrival_ms: Option<i64>,
    pub(crate) data: Bytes,
}

/// Answer of GetRecords.
#[derive(Clone, Default)]
pub(crate) struct Page {
    pub(crate) records: Vec<Fetched>,
    /// `None` at the end of a closed shard.
    pub(crate) next_iterator: Option<String>,
    pub(crate) millis_behind: Option<i64>,
    /// Named by the service only together with the end of the shard.
    pub(crate) children: Vec<ShardId>,
}

impl Page {
    /// Payload bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.records.iter().map(|r| r.data.len()).sum()
    }
}

/// The calls of one stream. Implementations bound every call in time.
pub(crate) trait StreamApi: Send + Sync {
    /// DescribeStream.
    fn describe(&self) -> Answer<'_, StreamInfo>;
    /// ListShards, all pages, each shard once.
    fn list_shards(&self) -> Answer<'_, Vec<ShardInfo>>;
    /// GetShardIterator.
    fn iterator<'a>(&'a self, shard: &'a str, start: &'a Start) -> Answer<'a, String>;
    /// GetRecords, one attempt: the reader paces and repeats.
    fn records<'a>(&'a self, iterator: &'a str, limit: i32) -> Answer<'a, Page>;
}
