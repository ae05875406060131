//! From an operation's name to its handler.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Kinesis;
use super::request::{parse, stream_of_arn};
use crate::aws::AwsError;

/// Operations that this service offers.
pub(crate) const OPERATIONS: &[&str] = &[
    "CreateStream",
    "DecreaseStreamRetentionPeriod",
    "DeleteStream",
    "DescribeStream",
    "DescribeStreamSummary",
    "GetRecords",
    "GetShardIterator",
    "IncreaseStreamRetentionPeriod",
    "ListShards",
    "ListStreams",
    "MergeShards",
    "PutRecord",
    "PutRecords",
    "SplitShard",
    "UpdateMaxRecordSize",
    "UpdateShardCount",
];

impl Kinesis {
    /// Carries out one operation with a JSON body and gives the JSON answer.
    ///
    /// # Errors
    /// The service's error.
    pub fn call(&self, operation: &str, body: &[u8]) -> Result<Bytes, AwsError> {
        let answer = match operation {
            "GetRecords" => return Ok(self.get_records(&parse(body)?)?.json()),
            "PutRecords" => self.put_records(parse(body)?)?,
            "PutRecord" => self.put_record(parse(body)?)?,
            "CreateStream" => with(body, |request| self.create(&request))?,
            "DeleteStream" => with(body, |request| self.delete(&request))?,
            "DescribeStream" => with(body, |request| self.describe_stream(&request))?,
            "DescribeStreamSummary" => with(body, |request| self.describe_stream_summary(&request))?,
            "GetShardIterator" => with(body, |request| self.get_shard_iterator(&request))?,
            "ListShards" => with(body, |request| self.list_shards(&request))?,
            "ListStreams" => with(body, |request| self.list_streams(&request))?,
            "SplitShard" => with(body, |request| self.split_shard(&request))?,
            "MergeShards" => with(body, |request| self.merge_shards(&request))?,
            "UpdateShardCount" => with(body, |request| self.update_shard_count(&request))?,
            "IncreaseStreamRetentionPeriod" => with(body, |request| self.set_retention(&request, true))?,
            "DecreaseStreamRetentionPeriod" => with(body, |request| self.set_retention(&request, false))?,
            "UpdateMaxRecordSize" => with(body, |request| self.set_max_record_size(&request))?,
            _ => return Err(AwsError::new("UnknownOperationException", "")),
        };
        // Operations without output answer with an empty body.
        Ok(if answer.is_null() { Bytes::new() } else { Bytes::from(answer.to_string()) })
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
