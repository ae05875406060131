//! `DescribeStream`, `DescribeStreamSummary` and how shards are shown.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kinesis;
use super::request::{StreamRef, check_range, seconds};
use super::shard::{Shard, shard_index};
use super::stream::Stream;
use crate::aws::AwsError;
use crate::sync::read;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DescribeStream {
    #[serde(flatten)]
    stream: StreamRef,
    limit: Option<i64>,
    exclusive_start_shard_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct DescribeStreamSummary {
    #[serde(flatten)]
    stream: StreamRef,
}

pub(crate) fn hash_range(shard: &Shard) -> Value {
    json!({ "StartingHashKey": shard.start_hash.to_string(), "EndingHashKey": shard.end_hash.to_string() })
}

/// A shard as the service describes it.
pub(crate) fn shard_json(shard: &Shard) -> Value {
    let mut numbers = json!({ "StartingSequenceNumber": shard.starting().to_string() });
    if let Some(closed) = shard.closed() {
        numbers["EndingSequenceNumber"] = closed.ending.to_string().into();
    }
    let mut out = json!({
        "ShardId": shard.id,
        "HashKeyRange": hash_range(shard),
        "SequenceNumberRange": numbers,
    });
    if let Some(parent) = shard.parent {
        out["ParentShardId"] = Stream::shard_name(parent).into();
    }
    if let Some(parent) = shard.adjacent_parent {
        out["AdjacentParentShardId"] = Stream::shard_name(parent).into();
    }
    out
}

impl Kinesis {
    pub(super) fn describe_stream(&self, request: &DescribeStream) -> Result<Value, AwsError> {
        let limit = request.limit.unwrap_or(100);
        check_range(limit, "limit", 1, 10_000)?;
        let stream = self.stream(&request.stream)?;
        let after =
            match &request.exclusive_start_shard_id {
                Some(id) => Some(shard_index(id).ok_or_else(|| {
                    AwsError::invalid_argument(format!("Invalid ExclusiveStartShardId {id}."))
                })?),
                None => None,
            };
        let state = read(&stream.state);
        let first = after.map_or(0, |index| index.saturating_add(1));
        let mut shards: Vec<_> = state.shards.range(first..).map(|(_, shard)| shard_json(shard)).collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = shards.len() > limit;
        shards.truncate(limit);
        let mut description = stream.common(&state);
        description["Shards"] = shards.into();
        description["HasMoreShards"] = more.into();
        Ok(json!({ "StreamDescription": description }))
    }

    pub(super) fn describe_stream_summary(&self, request: &DescribeStreamSummary) -> Result<Value, AwsError> {
        let stream = self.stream(&request.stream)?;
        let state = read(&stream.state);
        let mut description = stream.common(&state);
        description["OpenShardCount"] = state.open().count().into();
        description["ConsumerCount"] = state.consumers.len().into();
        description["MaxRecordSizeInKiB"] = state.max_record_kib.into();
        Ok(json!({ "StreamDescriptionSummary": description }))
    }
}

impl Stream {
    fn common(&self, state: &super::stream::State) -> Value {
        json!({
            "StreamName": self.name,
            "StreamARN": self.arn,
            "StreamStatus": state.status.name(),
            "StreamModeDetails": self.mode(),
            "RetentionPeriodHours": state.retention_hours,
            "StreamCreationTimestamp": seconds(self.created_ms),
            "EnhancedMonitoring": [{ "ShardLevelMetrics": [] }],
            "EncryptionType": "NONE",
        })
    }

    pub(crate) fn mode(&self) -> Value {
        json!({ "StreamMode": if self.on_demand { "ON_DEMAND" } else { "PROVISIONED" } })
    }
}
