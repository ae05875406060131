//! Rows of the checkpoint table as DynamoDB items: the one place that knows attribute names and types.

use crate::store::{NodeRow, ShardRow, StreamRow};
use aws_sdk_dynamodb::types::AttributeValue;
use record::SequenceNumber;
use std::collections::HashMap;

/// One item.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Partition key.
pub(crate) const STREAM: &str = "streamName";
/// Sort key.
pub(crate) const SHARD: &str = "shardId";
/// Sort keys of heartbeats begin with this.
pub(crate) const NODE_PREFIX: &str = "__node__#";
/// Sort key of the marker that Apache NiFi's migration leaves in its side table.
pub(crate) const MIGRATION: &str = "__migration__";
/// Sort key of the row with the stream's own decisions. Apache NiFi looks up rows of listed shards only and ignores it.
pub(crate) const STREAM_ROW: &str = "__stream__";

/// What a row is, told by its sort key.
pub(crate) enum Kind<'a> {
    Node(&'a str),
    Stream,
    Migration,
    Shard(&'a str),
}

/// The kind of the row with this sort key.
pub(crate) fn kind(sort_key: &str) -> Kind<'_> {
    match sort_key.strip_prefix(NODE_PREFIX) {
        Some(node) => Kind::Node(node),
        None if sort_key == STREAM_ROW => Kind::Stream,
        None if sort_key == MIGRATION => Kind::Migration,
        None => Kind::Shard(sort_key),
    }
}

/// Text attribute.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// Number attribute.
pub(crate) fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// Boolean attribute; absent is false.
pub(crate) fn flag(item: &Item, name: &str) -> bool {
    item.get(name).and_then(|v| v.as_bool().ok()).copied().unwrap_or(false)
}

/// A shard's row. What cannot be read counts as absent, as Apache NiFi does with a sequence number that is none.
pub(crate) fn shard_row(item: &Item) -> ShardRow {
    ShardRow {
        owner: text(item, "leaseOwner").map(str::to_owned),
        expiry: number(item, "leaseExpiry"),
        counter: number(item, "leaseCounter"),
        renewals: number(item, "leaseRenewals"),
        sequence: text(item, "sequenceNumber").and_then(|t| SequenceNumber::new(t).ok()),
        sub_sequence: number(item, "subSequenceNumber"),
        padded: text(item, "checkpointPadded").map(str::to_owned),
        last_row: text(item, "lastRowPosition").and_then(|t| t.parse().ok()),
        lineage: text(item, "lineageId").map(str::to_owned),
        anchor: text(item, "startAnchor").and_then(|t| t.parse().ok()),
        ended: flag(item, "shardEnded"),
        skipped: flag(item, "shardSkipped"),
        created: number(item, "streamCreated"),
        updated: number(item, "lastUpdateTimestamp"),
    }
}

/// A heartbeat.
pub(crate) fn node_row(item: &Item) -> NodeRow {
    NodeRow { heartbeat: number(item, "nodeHeartbeat"), name: text(item, "nodeName").map(str::to_owned) }
}

/// The stream's decision.
pub(crate) fn stream_row(item: &Item) -> Option<StreamRow> {
    let anchor = text(item, "startAnchor")?.parse().ok()?;
    Some(StreamRow { anchor, created: number(item, "streamCreated")? })
}

/// Text value.
pub(crate) fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Number value.
pub(crate) fn n(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
