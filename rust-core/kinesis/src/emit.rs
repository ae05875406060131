//! Attributes of a FlowFile: Apache NiFi's own names first, then ours.

use crate::batch::Part;
use crate::budget::Permit;
use crate::config::ProcessingStrategy;
use crate::draft::{Content, Draft};
use crate::shard::Shard;
use record::ShardedNumber;

const NDJSON: &str = "application/x-ndjson";
const BINARY: &str = "application/octet-stream";

/// Makes the part of a draft. `previous` is the last position of the shard that left as a success before it.
pub(crate) fn part(stream: &str, shard: &Shard, draft: Draft, previous: &ShardedNumber) -> (Part, Permit) {
    let Draft { content, records, first, last, partition_key, arrival_ms, behind_ms, mut permit, .. } = draft;
    let mut attributes: Vec<(&'static str, String)> = Vec::with_capacity(16);
    let mut add = |name, value| attributes.push((name, value));
    add("aws.kinesis.stream.name", stream.to_owned());
    add("aws.kinesis.shard.id", shard.id.to_string());
    add("aws.kinesis.lineage.id", shard.lineage.clone());
    add("aws.kinesis.partition.key", partition_key);
    add("aws.kinesis.first.sequence.number", first.sequence.to_string());
    add("aws.kinesis.first.subsequence.number", first.sub_sequence.to_string());
    add("aws.kinesis.last.sequence.number", last.sequence.to_string());
    add("aws.kinesis.last.subsequence.number", last.sub_sequence.to_string());
    if let Some(ms) = arrival_ms {
        add("aws.kinesis.approximate.arrival.timestamp.ms", ms.to_string());
    }
    if let Some(ms) = behind_ms {
        add("kinesis.millis.behind", ms.to_string());
    }
    add("record.count", records.to_string());
    add("aws.kinesis.first.sharded.sequence.number", first.sharded().to_string());
    add("aws.kinesis.last.sharded.sequence.number", last.sharded().to_string());
    add("aws.kinesis.previous.sharded.sequence.number", previous.to_string());
    let (failed, content) = match content {
        Content::Joined(bytes) => {
            // The type of what is joined by other strategies is known to the producer alone.
            if shard.shaper.strategy == ProcessingStrategy::Record {
                add("mime.type", NDJSON.to_owned());
            }
            (false, permit.rows(bytes))
        }
        Content::Alone { payload, reject: None } => (false, payload),
        Content::Alone { payload, reject: Some(reason) } => {
            add("mime.type", BINARY.to_owned());
            add("record.error.message", reason);
            (true, payload)
        }
    };
    let transit_uri = format!("kinesis://{stream}/{}", shard.id);
    (Part { failed, content, records, attributes, transit_uri }, permit)
}
