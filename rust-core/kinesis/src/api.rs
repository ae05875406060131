//! Kinesis as this crate uses it: few calls, own types, so that everything above is testable without AWS.

use crate::position::Start;
use crate::trouble::Trouble;
use bytes::Bytes;
use futures::future::BoxFuture;
use record::SequenceNumber;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Name of a shard, such as `shardId-000000000042`.
pub(crate) type ShardId = Arc<str>;

/// A range of hash keys, both ends included.
pub(crate) type HashKeys = RangeInclusive<u128>;

/// What a call to AWS gives.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, Trouble>>;

/// State of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamInfo {
    /// Amazon resource name of the stream.
    pub(crate) arn: String,
    /// Epoch milliseconds; differs when a stream was deleted and made anew under the same name.
    pub(crate) created: i64,
    /// Records can be read: ACTIVE or UPDATING.
    pub(crate) readable: bool,
    /// The service's word.
    pub(crate) status: String,
    /// The service's clock at the time of the answer, epoch milliseconds: up to a second earlier, never later.
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
    /// That number, when the listing tells it.
    pub(crate) ending: Option<SequenceNumber>,
    /// Hash keys whose records go to this shard, when the listing tells them.
    pub(crate) keys: Option<HashKeys>,
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

/// One event of a subscription.
#[derive(Clone, Default)]
pub(crate) struct Event {
    pub(crate) records: Vec<Fetched>,
    /// Where the next subscription goes on; `None` at the end of the shard.
    pub(crate) continuation: Option<SequenceNumber>,
    pub(crate) millis_behind: Option<i64>,
    /// Named only together with the end of the shard.
    pub(crate) children: Vec<ShardId>,
}

/// An open subscription. Taking the next event gives the subscription away and back, so that a wait for an event can
/// be kept and never has to be broken off in the middle of a frame.
pub(crate) trait Subscription: Send {
    /// The next event; `None` when the service ended the subscription.
    fn next(self: Box<Self>) -> NextEvent;

    /// It has a connection for itself, because the way to the service does without HTTP/2.
    fn is_alone(&self) -> bool {
        false
    }
}

/// See [`Subscription::next`].
pub(crate) type NextEvent = BoxFuture<'static, (Box<dyn Subscription>, Result<Option<Event>, Trouble>)>;

/// A registered fan-out consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerInfo {
    pub(crate) arn: String,
    /// Can be subscribed with.
    pub(crate) active: bool,
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
    /// DescribeStreamConsumer for the consumer of the application's name.
    fn consumer<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, ConsumerInfo>;
    /// RegisterStreamConsumer for the consumer of the application's name.
    fn register<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, ConsumerInfo>;
    /// DeregisterStreamConsumer.
    fn deregister<'a>(&'a self, consumer_arn: &'a str) -> Answer<'a, ()>;
    /// SubscribeToShard. `lane` spreads subscriptions over connections, each of which carries a limited number.
    fn subscribe<'a>(
        &'a self,
        consumer_arn: &'a str,
        shard: &'a str,
        start: &'a Start,
        lane: u64,
    ) -> Answer<'a, Box<dyn Subscription>>;
}
