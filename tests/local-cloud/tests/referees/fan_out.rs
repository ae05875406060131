//! Enhanced fan-out: positions, exclusivity and takeover of subscriptions, seen through the AWS SDK.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_kinesis::error::ProvideErrorMetadata as _;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError as Exception;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, StreamStatus, SubscribeToShardEventStream,
};

use crate::signed::Service;

const STREAM: &str = "pushed";
const SHARD: &str = "shardId-000000000000";
const SOON: Duration = Duration::from_secs(10);

/// What the service does, and what is seen of it.
pub const WANTED: &[(&str, &str)] = &[
    ("from the oldest record", "a b c"),
    ("from a record on", "b c"),
    ("after a record", "c"),
    ("from a time on", "a b c"),
    ("from the tip", "d"),
    ("an event names where to go on", "yes"),
    ("a second subscription at once", "ResourceInUseException"),
    ("a second subscription after five seconds", "e"),
    ("the first one then", "ResourceInUseException"),
    ("a subscription to an unknown shard", "ResourceNotFoundException"),
    ("a subscription of a consumer that is gone", "ResourceNotFoundException"),
];

struct Observer {
    client: Client,
    stream: String,
}

/// Goes through all of [`WANTED`].
pub async fn observe(service: &Service) -> BTreeMap<&'static str, String> {
    let observer = Observer::new(service).await;
    let mut seen = BTreeMap::new();
    let numbers = observer.put(&["a", "b", "c"]).await;
    let consumer = observer.consumer("positions-1").await;
    let mut first =
        observer.subscribe(&consumer, SHARD, position(ShardIteratorType::TrimHorizon, None)).await;
    seen.insert("from the oldest record", text(&mut first, 3).await);
    let consumers = [
        (
            "positions-2",
            "from a record on",
            position(ShardIteratorType::AtSequenceNumber, Some(&numbers[1])),
            2,
        ),
        (
            "positions-3",
            "after a record",
            position(ShardIteratorType::AfterSequenceNumber, Some(&numbers[1])),
            1,
        ),
        ("positions-4", "from a time on", since(1_700_000_000), 3),
    ];
    for (name, step, start, count) in consumers {
        let consumer = observer.consumer(name).await;
        let mut subscription = observer.subscribe(&consumer, SHARD, start).await;
        seen.insert(step, text(&mut subscription, count).await);
    }
    observer.takeover(&mut seen).await;
    let unknown =
        observer.subscribe(&consumer, "shardId-000000000077", position(ShardIteratorType::Latest, None));
    seen.insert("a subscription to an unknown shard", text(&mut unknown.await, 1).await);
    observer.client.deregister_stream_consumer().consumer_arn(&consumer).send().await.expect("deregistered");
    observer.gone(&consumer).await;
    let gone = observer.subscribe(&consumer, SHARD, position(ShardIteratorType::Latest, None));
    seen.insert("a subscription of a consumer that is gone", text(&mut gone.await, 1).await);
    seen
}

impl Observer {
    async fn new(service: &Service) -> Self {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(service.region.clone()))
            .credentials_provider(Credentials::new(&service.id, &service.secret, None, None, "test"))
            .endpoint_url(&service.endpoint)
            .retry_config(RetryConfig::disabled());
        let client = Client::from_conf(config.build());
        client.create_stream().stream_name(STREAM).shard_count(1).send().await.expect("created");
        let deadline = Instant::now() + SOON;
        loop {
            let summary = client.describe_stream_summary().stream_name(STREAM).send().await.expect("summary");
            let summary = summary.stream_description_summary.expect("summary");
            if summary.stream_status == StreamStatus::Active {
                return Self { client, stream: summary.stream_arn };
            }
            assert!(Instant::now() < deadline, "the stream becomes ACTIVE");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn put(&self, texts: &[&str]) -> Vec<String> {
        let mut numbers = Vec::new();
        for text in texts {
            let put = self.client.put_record().stream_name(STREAM).partition_key("k").data(Blob::new(*text));
            numbers.push(put.send().await.expect("put").sequence_number);
        }
        numbers
    }

    /// Registers a consumer and waits until it is ACTIVE.
    async fn consumer(&self, name: &str) -> String {
        let register = self.client.register_stream_consumer().stream_arn(&self.stream).consumer_name(name);
        let arn = register.send().await.expect("registered").consumer.expect("consumer").consumer_arn;
        let deadline = Instant::now() + SOON;
        while self.status(&arn).await != Some(ConsumerStatus::Active) {
            assert!(Instant::now() < deadline, "{name} becomes ACTIVE");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        arn
    }

    async fn status(&self, arn: &str) -> Option<ConsumerStatus> {
        let answer = self.client.describe_stream_consumer().consumer_arn(arn).send().await.ok()?;
        answer.consumer_description.map(|description| description.consumer_status)
    }

    async fn gone(&self, arn: &str) {
        let deadline = Instant::now() + SOON;
        while self.status(arn).await.is_some() {
            assert!(Instant::now() < deadline, "{arn} goes");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn subscribe(&self, consumer: &str, shard: &str, start: StartingPosition) -> Subscribed {
        let request = self.client.subscribe_to_shard().consumer_arn(consumer).shard_id(shard);
        let answer = request.starting_position(start).send().await;
        answer.map_err(|error| error.code().unwrap_or("no code").to_owned())
    }

    /// Two subscriptions of one consumer to one shard.
    async fn takeover(&self, seen: &mut BTreeMap<&'static str, String>) {
        let consumer = self.consumer("takeover").await;
        let latest = || position(ShardIteratorType::Latest, None);
        let mut first = self.subscribe(&consumer, SHARD, latest()).await;
        let began = Instant::now();
        self.put(&["d"]).await;
        let (texts, number) = events(&mut first, 1).await;
        seen.insert("from the tip", texts);
        let named = number.as_deref().is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        seen.insert("an event names where to go on", if named { "yes" } else { "no" }.to_owned());
        let mut at_once = self.subscribe(&consumer, SHARD, latest()).await;
        seen.insert("a second subscription at once", text(&mut at_once, 1).await);
        let rest = Duration::from_millis(5_300).saturating_sub(began.elapsed());
        tokio::time::sleep(rest).await;
        let start = position(ShardIteratorType::AfterSequenceNumber, number.as_deref());
        let mut second = self.subscribe(&consumer, SHARD, start).await;
        self.put(&["e"]).await;
        // It starts where the first one's event said: nothing between is missing, nothing comes twice.
        seen.insert("a second subscription after five seconds", text(&mut second, 1).await);
        seen.insert("the first one then", text(&mut first, 1).await);
    }
}

/// A subscription, or the code of the refusal.
type Subscribed = Result<SubscribeToShardOutput, String>;

fn position(kind: ShardIteratorType, number: Option<&str>) -> StartingPosition {
    let position = StartingPosition::builder().r#type(kind).set_sequence_number(number.map(str::to_owned));
    position.build().expect("position")
}

fn since(seconds: i64) -> StartingPosition {
    let position = StartingPosition::builder().r#type(ShardIteratorType::AtTimestamp);
    position.timestamp(DateTime::from_secs(seconds)).build().expect("position")
}

async fn text(subscription: &mut Subscribed, count: usize) -> String {
    events(subscription, count).await.0
}

/// Payloads until there are `count`, or the exception that came instead; and the last continuation number.
async fn events(subscription: &mut Subscribed, count: usize) -> (String, Option<String>) {
    let output = match subscription {
        Ok(output) => output,
        Err(code) => return (code.clone(), None),
    };
    let (mut texts, mut continuation) = (Vec::new(), None);
    let deadline = tokio::time::Instant::now() + SOON;
    while texts.len() < count {
        let Ok(event) = tokio::time::timeout_at(deadline, output.event_stream.recv()).await else {
            texts.push("silence".to_owned());
            break;
        };
        match event {
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => {
                texts.extend(
                    event.records.iter().map(|r| String::from_utf8_lossy(r.data.as_ref()).into_owned()),
                );
                continuation = Some(event.continuation_sequence_number);
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                texts.push("end".to_owned());
                break;
            }
            Err(error) => {
                texts.push(match error.as_service_error() {
                    Some(Exception::ResourceInUseException(_)) => "ResourceInUseException".to_owned(),
                    Some(Exception::ResourceNotFoundException(_)) => "ResourceNotFoundException".to_owned(),
                    _ => "another error".to_owned(),
                });
                break;
            }
        }
    }
    (texts.join(" "), continuation)
}
