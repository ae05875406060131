//! Enhanced fan-out through the AWS SDK.

use crate::api::{ConsumerInfo, Event, NextEvent, Subscription};
use crate::aws::{CONNECT, Stream, child_id, fetched, unreadable};
use crate::position::Start;
use crate::shard::lock;
use crate::trouble::{Service, Trouble, from_events, from_sdk};
use aws_sdk_kinesis::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_types::DateTime;
use record::SequenceNumber;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SUBSCRIBE: &str = "SubscribeToShard";

/// Subscriptions a connection carries. An HTTP/2 server allows about a hundred streams a connection, and the client
/// would let further ones wait for ever.
const PER_LANE: u64 = 40;
/// Longest time until the service accepts a subscription. Where a connection is dead this comes on top of the silence
/// that was waited for, and both together must stay below 40 seconds.
const ATTEMPT: Duration = Duration::from_secs(4);
/// Connections at most.
const LANES: u64 = 32;

impl Stream {
    pub(crate) async fn describe_consumer(&self, stream_arn: &str) -> Result<ConsumerInfo, Trouble> {
        const OPERATION: &str = "DescribeStreamConsumer";
        let client = &self.clients.made().await.kinesis;
        let name = &self.clients.config.application_name;
        let request = client.describe_stream_consumer().stream_arn(stream_arn).consumer_name(name);
        let answer = request.send().await.map_err(|e| from_sdk(Service::Kinesis, OPERATION, &e))?;
        let description = answer.consumer_description().ok_or_else(|| unreadable(OPERATION))?;
        Ok(ConsumerInfo {
            arn: description.consumer_arn().to_owned(),
            active: *description.consumer_status() == ConsumerStatus::Active,
        })
    }

    pub(crate) async fn register_consumer(&self, stream_arn: &str) -> Result<ConsumerInfo, Trouble> {
        const OPERATION: &str = "RegisterStreamConsumer";
        let client = &self.clients.made().await.kinesis;
        let name = &self.clients.config.application_name;
        let request = client.register_stream_consumer().stream_arn(stream_arn).consumer_name(name);
        let answer = request.send().await.map_err(|e| from_sdk(Service::Kinesis, OPERATION, &e))?;
        let consumer = answer.consumer().ok_or_else(|| unreadable(OPERATION))?;
        Ok(ConsumerInfo {
            arn: consumer.consumer_arn().to_owned(),
            active: *consumer.consumer_status() == ConsumerStatus::Active,
        })
    }

    pub(crate) async fn deregister_consumer(&self, consumer_arn: &str) -> Result<(), Trouble> {
        const OPERATION: &str = "DeregisterStreamConsumer";
        let client = &self.clients.made().await.kinesis;
        let request = client.deregister_stream_consumer().consumer_arn(consumer_arn);
        request.send().await.map(|_| ()).map_err(|e| from_sdk(Service::Kinesis, OPERATION, &e))
    }

    pub(crate) async fn open_subscription(
        &self,
        consumer_arn: &str,
        shard: &str,
        start: &Start,
        lane: u64,
    ) -> Result<Box<dyn Subscription>, Trouble> {
        let made = self.clients.made().await;
        let client = {
            let mut lanes = lock(&self.lanes);
            let lane = lanes.entry(lane / PER_LANE % LANES);
            let connect = || {
                let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT);
                let timeouts = timeouts.operation_attempt_timeout(ATTEMPT).build();
                let config = made.reading_config.to_builder().timeout_config(timeouts);
                let config = config.http_client(self.clients.config.network.client());
                aws_sdk_kinesis::Client::from_conf(config.build())
            };
            lane.or_insert_with(connect).clone()
        };
        let position = starting_position(start)?;
        let way = Way::default();
        let call = || {
            let request = client.subscribe_to_shard().consumer_arn(consumer_arn).shard_id(shard);
            let request = request.starting_position(position.clone()).customize();
            request.interceptor(way.clone()).send()
        };
        let answer = made.protocol.call(call).await;
        let output = answer.map_err(|e| from_sdk(Service::Kinesis, SUBSCRIBE, &e))?;
        Ok(Box::new(Events { output, alone: way.is_http_1() }))
    }
}

fn starting_position(start: &Start) -> Result<StartingPosition, Trouble> {
    let position = StartingPosition::builder();
    let position = match start {
        Start::TrimHorizon => position.r#type(ShardIteratorType::TrimHorizon),
        Start::AtTimestamp(ms) => {
            position.r#type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*ms))
        }
        Start::At(sequence) => {
            position.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(sequence.as_str())
        }
        Start::After(sequence) => {
            position.r#type(ShardIteratorType::AfterSequenceNumber).sequence_number(sequence.as_str())
        }
    };
    position.build().map_err(|_| unreadable(SUBSCRIBE))
}

/// Notes how an answer came. The SDK's client does not say; but only HTTP/1.1 has headers about the connection, and needs
/// one for a body without a length.
#[derive(Debug, Default, Clone)]
struct Way(Arc<AtomicBool>);

impl Way {
    fn is_http_1(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Way {
    fn name(&self) -> &'static str {
        "Way"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let of_http_1 = ["transfer-encoding", "connection"].iter().any(|name| headers.contains_key(*name));
        self.0.store(of_http_1, Ordering::Release);
        Ok(())
    }
}

struct Events {
    output: SubscribeToShardOutput,
    alone: bool,
}

impl Subscription for Events {
    fn is_alone(&self) -> bool {
        self.alone
    }

    fn next(mut self: Box<Self>) -> NextEvent {
        Box::pin(async move {
            let event = loop {
                match self.output.event_stream.recv().await {
                    Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => {
                        break understood(event).map(Some);
                    }
                    // Kinds of events that are newer than this program.
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(None),
                    Err(error) => break Err(from_events(SUBSCRIBE, &error)),
                }
            };
            (self as Box<dyn Subscription>, event)
        })
    }
}

fn understood(event: SubscribeToShardEvent) -> Result<Event, Trouble> {
    let records: Option<Vec<_>> = event.records.into_iter().map(fetched).collect();
    let continuation = event.continuation_sequence_number;
    Ok(Event {
        records: records.ok_or_else(|| unreadable(SUBSCRIBE))?,
        // Absent at the end of a shard, which the SDK makes an empty text.
        continuation: SequenceNumber::new(continuation).ok(),
        millis_behind: Some(event.millis_behind_latest),
        children: event.child_shards.unwrap_or_default().into_iter().map(child_id).collect(),
    })
}
