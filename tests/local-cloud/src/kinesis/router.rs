//! From an operation's name to its handler.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Kinesis;
use super::request::{parse, stream_of_arn};
use crate::aws::{AwsError, cbor};

/// Operations that this service offers.
pub(crate) const OPERATIONS: &[&str] = &[
    "CreateStream",
    "DecreaseStreamRetentionPeriod",
    "DeleteStream",
    "DeregisterStreamConsumer",
    "DescribeStream",
    "DescribeStreamConsumer",
    "DescribeStreamSummary",
    "GetRecords",
    "GetShardIterator",
    "IncreaseStreamRetentionPeriod",
    "ListShards",
    "ListStreamConsumers",
    "ListStreams",
    "MergeShards",
    "PutRecord",
    "PutRecords",
    "RegisterStreamConsumer",
    "SplitShard",
    "SubscribeToShard",
    "UpdateMaxRecordSize",
    "UpdateShardCount",
];

/// The two forms of requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/x-amz-json-1.1`.
    Json,
    /// `application/x-amz-cbor-1.1`.
    Cbor,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => cbor::CONTENT_TYPE,
        }
    }

    /// An answer without payloads.
    pub(crate) fn encode(self, json: &Value) -> Bytes {
        match self {
            Self::Json => Bytes::from(json.to_string()),
            Self::Cbor => Bytes::from(cbor::encode(|encoder| cbor::value(encoder, json))),
        }
    }
}

/// What an operation gives back.
pub(crate) enum Reply {
    /// A whole body.
    Body(Bytes),
    /// Frames of an event stream, as they come.
    Events(BoxStream<'static, Bytes>),
}

impl Kinesis {
    /// Carries out one operation with a JSON body and gives the JSON answer.
    ///
    /// # Errors
    /// The service's error; `UnknownOperationException` for one that answers with a stream of events.
    pub fn call(&self, operation: &str, body: &[u8]) -> Result<Bytes, AwsError> {
        self.call_for(operation, body, Format::Json)
    }

    /// As [`Kinesis::call`], with the answer in the form asked for. The request is JSON.
    ///
    /// # Errors
    /// As [`Kinesis::call`].
    pub fn call_for(&self, operation: &str, body: &[u8], format: Format) -> Result<Bytes, AwsError> {
        match self.reply(operation, body, format)? {
            Reply::Body(body) => Ok(body),
            Reply::Events(_) => Err(AwsError::new("UnknownOperationException", "")),
        }
    }

    /// Carries out one operation; the request is JSON, the answer in the format asked for.
    pub(crate) fn reply(&self, operation: &str, body: &[u8], format: Format) -> Result<Reply, AwsError> {
        let answer = match operation {
            "GetRecords" => return Ok(Reply::Body(self.get_records(&parse(body)?)?.records(format))),
            "PutRecords" => {
                let answer = self.put_records(parse(body)?)?;
                return Ok(Reply::Body(match format {
                    Format::Json => answer,
                    Format::Cbor => format.encode(&parse(&answer)?),
                }));
            }
            "SubscribeToShard" => return Ok(Reply::Events(self.subscribe(&parse(body)?, format)?.boxed())),
            _ => self.plain(operation, body)?,
        };
        // Operations without output answer with an empty body.
        Ok(Reply::Body(if answer.is_null() { Bytes::new() } else { format.encode(&answer) }))
    }

    /// The operations whose answers have no payloads.
    fn plain(&self, operation: &str, body: &[u8]) -> Result<Value, AwsError> {
        match operation {
            "PutRecord" => self.put_record(parse(body)?),
            "CreateStream" => with(body, |request| self.create(&request)),
            "DeleteStream" => with(body, |request| self.delete(&request)),
            "DescribeStream" => with(body, |request| self.describe_stream(&request)),
            "DescribeStreamSummary" => with(body, |request| self.describe_stream_summary(&request)),
            "GetShardIterator" => with(body, |request| self.get_shard_iterator(&request)),
            "ListShards" => with(body, |request| self.list_shards(&request)),
            "ListStreams" => with(body, |request| self.list_streams(&request)),
            "SplitShard" => with(body, |request| self.split_shard(&request)),
            "MergeShards" => with(body, |request| self.merge_shards(&request)),
            "UpdateShardCount" => with(body, |request| self.update_shard_count(&request)),
            "IncreaseStreamRetentionPeriod" => with(body, |request| self.set_retention(&request, true)),
            "DecreaseStreamRetentionPeriod" => with(body, |request| self.set_retention(&request, false)),
            "UpdateMaxRecordSize" => with(body, |request| self.set_max_record_size(&request)),
            "RegisterStreamConsumer" => with(body, |request| self.register_consumer(&request)),
            "DescribeStreamConsumer" => with(body, |request| self.describe_consumer(&request)),
            "DeregisterStreamConsumer" => with(body, |request| self.deregister_consumer(&request)),
            "ListStreamConsumers" => with(body, |request| self.list_consumers(&request)),
            _ => Err(AwsError::new("UnknownOperationException", "")),
        }
    }

    /// The shard that an operation works on.
    pub(crate) fn shard_of(&self, body: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Named {
            shard_id: Option<String>,
            shard_iterator: Option<String>,
        }
        let named = parse::<Named>(body).ok()?;
        named.shard_id.or_else(|| {
            let iterator = super::iterator::Iterator::decode(named.shard_iterator.as_deref()?)?;
            Some(super::shard::shard_id(iterator.shard))
        })
    }

    /// The ARN that an operation works on, for the access check.
    pub(crate) fn resource(&self, body: &[u8]) -> String {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Named {
            stream_name: Option<String>,
            #[serde(rename = "StreamARN")]
            stream_arn: Option<String>,
            #[serde(rename = "ConsumerARN")]
            consumer_arn: Option<String>,
            shard_iterator: Option<String>,
            next_token: Option<String>,
        }
        let options = &self.inner.options;
        let stream =
            |name: &str| format!("arn:aws:kinesis:{}:{}:stream/{name}", options.region, options.account);
        let Ok(named) = parse::<Named>(body) else { return "*".into() };
        if let Some(arn) = named.consumer_arn.or(named.stream_arn) {
            return arn;
        }
        let from_iterator =
            || super::iterator::Iterator::decode(named.shard_iterator.as_deref()?).map(|it| it.stream);
        let from_token = || super::list::stream_of_token(named.next_token.as_deref()?);
        match named.stream_name.or_else(from_iterator).or_else(from_token) {
            Some(name) => stream_of_arn(&name).map_or_else(|| stream(&name), stream),
            None => "*".into(),
        }
    }
}

fn with<T: DeserializeOwned>(
    body: &[u8],
    run: impl FnOnce(T) -> Result<Value, AwsError>,
) -> Result<Value, AwsError> {
    run(parse(body)?)
}
