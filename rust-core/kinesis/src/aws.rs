//! Kinesis through the AWS SDK.

use crate::access::{Access, access};
use crate::api::{
    Answer, ConsumerInfo, Fetched, HashKeys, Page, ShardId, ShardInfo, StreamApi, StreamInfo, Subscription,
};
use crate::cbor::{KinesisProtocol, epoch_millis};
use crate::clock::Clock;
use crate::config::SourceConfig;
use crate::dead_connection::LeaveDeadConnections;
use crate::handed::Handed;
use crate::position::Start;
use crate::trouble::{Kind, Service, Trouble, from_sdk};
use crate::whole_body::WholeBodies;
use aws_sdk_kinesis::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{
    BehaviorVersion, ConfigBag, Intercept, Region, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_sdk_kinesis::error::BoxError;
use aws_sdk_kinesis::types::{ChildShard, HashKeyRange, Record, Shard, ShardIteratorType, StreamStatus};
use aws_smithy_types::DateTime;
use record::SequenceNumber;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OnceCell;

pub(crate) const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);
/// An attempt that ends at its own time-out takes its connection out of use; one that is dropped leaves a dead
/// connection of HTTP/2 to all later calls. So attempts are shorter than what waits for them.
const TABLE_ATTEMPT: Duration = Duration::from_secs(3);
const OPERATION: Duration = Duration::from_secs(30);
/// Bodies of answers keep this part of the memory budget for bodies to come.
const KEPT_FOR_BODIES: usize = 16;
/// Shards a page of the listing.
const SHARDS_PER_PAGE: i32 = 1_000;

/// The clients of one source, made when first used.
pub(crate) struct Clients {
    pub(crate) config: SourceConfig,
    /// Filled by the caller when the identity says so.
    pub(crate) handed: Handed,
    made: OnceCell<Made>,
}

pub(crate) struct Made {
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    /// For GetRecords: one attempt a call, because the reader paces and repeats.
    reading: aws_sdk_kinesis::Client,
    pub(crate) protocol: KinesisProtocol,
    /// Settings of `reading`, for more connections.
    pub(crate) reading_config: aws_sdk_kinesis::Config,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Clients {
    pub(crate) fn new(config: SourceConfig) -> Self {
        let handed = Handed::new(&config.identity, Clock::system());
        Self { config, handed, made: OnceCell::new() }
    }

    pub(crate) async fn made(&self) -> &Made {
        self.made.get_or_init(|| make(&self.config, &self.handed)).await
    }

    /// DynamoDB.
    pub(crate) async fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.made().await.dynamodb
    }
}

async fn make(config: &SourceConfig, handed: &Handed) -> Made {
    let region = Region::new(config.region.clone());
    let Access { provider, cache } = access(config, handed).await;
    let http = config.network.client();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let retries = RetryConfig::standard().with_max_attempts(3);
    let mut kinesis = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(region.clone())
        .http_client(http.clone())
        .identity_cache(cache.clone())
        .timeout_config(timeouts.clone())
        .retry_config(retries.clone())
        .interceptor(LeaveDeadConnections)
        // Cuts slow but healthy answers; the time-outs above bound every call anyway.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    kinesis.set_credentials_provider(provider.clone());
    kinesis.set_endpoint_url(config.endpoint.clone());
    let protocol = KinesisProtocol::new(config.wire_format);
    let reading = kinesis.clone().retry_config(RetryConfig::disabled()).protocol(protocol.clone());
    let reading = reading.http_client(config.network.client()).build();
    let bodies = WholeBodies::new(config.memory_budget / KEPT_FOR_BODIES);
    let mut dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(region)
        .http_client(http)
        .identity_cache(cache)
        .timeout_config(timeouts.to_builder().operation_attempt_timeout(TABLE_ATTEMPT).build())
        .retry_config(retries)
        .interceptor(LeaveDeadConnections)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    dynamodb.set_credentials_provider(provider);
    dynamodb.set_endpoint_url(config.endpoint.clone());
    Made {
        kinesis: aws_sdk_kinesis::Client::from_conf(kinesis.build()),
        reading: aws_sdk_kinesis::Client::from_conf(reading.to_builder().interceptor(bodies).build()),
        protocol,
        reading_config: reading,
        dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
    }
}

/// One stream.
pub(crate) struct Stream {
    pub(crate) clients: Arc<Clients>,
    clock: Clock,
    /// Clients for subscriptions, each with connections of its own.
    pub(crate) lanes: Mutex<HashMap<u64, aws_sdk_kinesis::Client>>,
}

impl Stream {
    pub(crate) fn new(clients: Arc<Clients>) -> Self {
        Self { clients, clock: Clock::system(), lanes: Mutex::default() }
    }

    fn name(&self) -> &str {
        &self.clients.config.stream_name
    }

    async fn describe_now(&self) -> Result<StreamInfo, Trouble> {
        const OPERATION: &str = "DescribeStream";
        let client = &self.clients.made().await.kinesis;
        let served = ServedAt::default();
        let sent = self.clock.wall_ms();
        let request = client.describe_stream().stream_name(self.name()).limit(1);
        let answer = request.customize().interceptor(served.clone()).send().await;
        let answer = answer.map_err(|e| from_sdk(Service::Kinesis, OPERATION, &e))?;
        let description = answer.stream_description().ok_or_else(|| unreadable(OPERATION))?;
        let status = description.stream_status();
        Ok(StreamInfo {
            arn: description.stream_arn().to_owned(),
            created: epoch_millis(description.stream_creation_timestamp()),
            readable: matches!(status, StreamStatus::Active | StreamStatus::Updating),
            status: status.as_str().to_owned(),
            now_ms: served.estimate(sent),
        })
    }

    async fn list_all(&self) -> Result<Vec<ShardInfo>, Trouble> {
        let client = &self.clients.made().await.kinesis;
        let (mut shards, mut seen, mut token) = (Vec::new(), HashSet::new(), None::<String>);
        loop {
            // A token stands for the name: sending both is an error.
            let request = match token.take() {
                None => client.list_shards().stream_name(self.name()),
                Some(token) => client.list_shards().next_token(token),
            };
            let answer = request.max_results(SHARDS_PER_PAGE).send().await;
            let answer = answer.map_err(|e| from_sdk(Service::Kinesis, "ListShards", &e))?;
            let listed = answer.shards().iter().map(shard_info);
            shards.extend(listed.filter(|s| seen.insert(s.id.clone())));
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn make_iterator(&self, shard: &str, start: &Start) -> Result<String, Trouble> {
        const OPERATION: &str = "GetShardIterator";
        let client = &self.clients.made().await.kinesis;
        let request = client.get_shard_iterator().stream_name(self.name()).shard_id(shard);
        let request = match start {
            Start::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Start::AtTimestamp(ms) => request
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(*ms)),
            Start::At(sequence) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
            Start::After(sequence) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
        };
        let answer = request.send().await.map_err(|e| from_sdk(Service::Kinesis, OPERATION, &e))?;
        answer.shard_iterator.ok_or_else(|| unreadable(OPERATION))
    }

    async fn fetch(&self, iterator: &str, limit: i32) -> Result<Page, Trouble> {
        const OPERATION: &str = "GetRecords";
        let made = self.clients.made().await;
        let call = || made.reading.get_records().shard_iterator(iterator).limit(limit).send();
        let answer = made.protocol.call(call).await.map_err(|e| from_sdk(Service::Kinesis, OPERATION, &e))?;
        let records: Option<Vec<Fetched>> = answer.records.into_iter().map(fetched).collect();
        Ok(Page {
            records: records.ok_or_else(|| unreadable(OPERATION))?,
            next_iterator: answer.next_shard_iterator,
            millis_behind: answer.millis_behind_latest,
            children: answer.child_shards.unwrap_or_default().into_iter().map(child_id).collect(),
        })
    }
}

impl StreamApi for Stream {
    fn describe(&self) -> Answer<'_, StreamInfo> {
        Box::pin(self.describe_now())
    }

    fn list_shards(&self) -> Answer<'_, Vec<ShardInfo>> {
        Box::pin(self.list_all())
    }

    fn iterator<'a>(&'a self, shard: &'a str, start: &'a Start) -> Answer<'a, String> {
        Box::pin(self.make_iterator(shard, start))
    }

    fn records<'a>(&'a self, iterator: &'a str, limit: i32) -> Answer<'a, Page> {
        Box::pin(self.fetch(iterator, limit))
    }

    fn consumer<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, ConsumerInfo> {
        Box::pin(self.describe_consumer(stream_arn))
    }

    fn register<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, ConsumerInfo> {
        Box::pin(self.register_consumer(stream_arn))
    }

    fn deregister<'a>(&'a self, consumer_arn: &'a str) -> Answer<'a, ()> {
        Box::pin(self.deregister_consumer(consumer_arn))
    }

    fn subscribe<'a>(
        &'a self,
        consumer_arn: &'a str,
        shard: &'a str,
        start: &'a Start,
        lane: u64,
    ) -> Answer<'a, Box<dyn Subscription>> {
        Box::pin(self.open_subscription(consumer_arn, shard, start, lane))
    }
}

pub(crate) fn unreadable(operation: &'static str) -> Trouble {
    Trouble::new(Service::Kinesis, operation, Kind::Other, "the answer lacks a required field")
}

fn shard_info(shard: &Shard) -> ShardInfo {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let ending = shard.sequence_number_range().and_then(|r| r.ending_sequence_number());
    ShardInfo {
        id: ShardId::from(shard.shard_id()),
        parents: parents.into_iter().flatten().map(ShardId::from).collect(),
        closed: ending.is_some(),
        ending: ending.and_then(|e| SequenceNumber::new(e).ok()),
        keys: shard.hash_key_range().and_then(hash_keys),
    }
}

fn hash_keys(range: &HashKeyRange) -> Option<HashKeys> {
    let (first, last) = (range.starting_hash_key().parse().ok()?, range.ending_hash_key().parse().ok()?);
    Some(first..=last)
}

pub(crate) fn child_id(child: ChildShard) -> ShardId {
    ShardId::from(child.shard_id)
}

pub(crate) fn fetched(record: Record) -> Option<Fetched> {
    Some(Fetched {
        sequence: SequenceNumber::new(&record.sequence_number).ok()?,
        partition_key: record.partition_key.unwrap_or_default(),
        arrival_ms: record.approximate_arrival_timestamp.as_ref().map(epoch_millis),
        data: record.data.into_bytes(),
    })
}

/// Notes the service's clock from the `Date` header of an answer.
#[derive(Debug, Default, Clone)]
struct ServedAt(Arc<Mutex<Option<i64>>>);

impl ServedAt {
    /// The service's time when it answered, rounded down to the second: the header tells no more, and a time refined by
    /// our own clock could be later than the service's. Without a header it is `sent`, by our clock.
    fn estimate(&self, sent: i64) -> i64 {
        crate::shard::lock(&self.0).unwrap_or(sent)
    }
}

impl Intercept for ServedAt {
    fn name(&self) -> &'static str {
        "ServedAt"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        use aws_smithy_types::date_time::Format;
        let date = context.response().headers().get("date");
        let time = date.and_then(|d| DateTime::from_str(d, Format::HttpDate).ok());
        *crate::shard::lock(&self.0) = time.map(|t| epoch_millis(&t));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_never_later_than_the_service_says() {
        let served = ServedAt(Arc::new(Mutex::new(Some(7_000))));
        for sent in [1_000, 6_999, 7_000, 7_500, 8_000, 90_000] {
            assert_eq!(served.estimate(sent), 7_000, "by our clock {sent}");
        }
        assert_eq!(ServedAt::default().estimate(7_500), 7_500, "nothing else is known");
    }
}
