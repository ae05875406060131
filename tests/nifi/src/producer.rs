//! Records put onto a stream with the AWS SDK, and a ledger of what Kinesis answered for each.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{Endpoints, Error, Result, Shape};

/// One record in this many is no JSON object.
pub const BAD_EVERY: u64 = 100;
/// Records of one request; the service accepts 500.
const REQUEST_RECORDS: u64 = 250;
const REQUESTS_IN_FLIGHT: usize = 8;
/// What a shard takes, 1000 records a second, less some room for keys that are not spread evenly.
const RECORDS_PER_SHARD_SECOND: u64 = 800;
const ATTEMPTS: u32 = 100;
const THROTTLE_PAUSE: Duration = Duration::from_millis(200);

/// A record and what Kinesis answered when it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Number of the record, also its field `id` when it is good.
    pub id: u64,
    /// Whether it is one JSON object.
    pub good: bool,
    /// Partition key.
    pub partition_key: String,
    /// Shard that took it.
    pub shard_id: String,
    /// Its number in the shard.
    pub sequence_number: String,
    /// Between these two moments it arrived, in milliseconds since 1970.
    pub put_between: (i64, i64),
}

/// The record numbered `id` for the recommended table: its partition key, its payload, and whether that is one JSON
/// object.
pub fn record(id: u64) -> (String, Vec<u8>, bool) {
    Shape::Standard.record(id)
}

/// One of the kinds of payloads that cannot be rows: not JSON, a bare array, truncated, invalid UTF-8, empty.
pub(crate) fn bad_payload(id: u64) -> Vec<u8> {
    match (id / BAD_EVERY) % 5 {
        0 => format!("order {id} is no JSON").into_bytes(),
        1 => format!("[{id}, {id}]").into_bytes(),
        2 => format!("{{\"id\": {id}, \"customer\": \"cut off").into_bytes(),
        3 => [format!("{{\"id\": {id}, \"note\": \"").as_bytes(), &[0xff, 0xfe], b"\"}".as_slice()].concat(),
        _ => Vec::new(),
    }
}

/// How many of the first `records` records are no JSON objects.
pub fn bad_among(records: u64) -> u64 {
    (records + BAD_EVERY - 1 - BAD_EVERY / 2) / BAD_EVERY
}

/// Puts records onto one stream.
#[derive(Clone)]
pub struct Producer {
    client: Client,
    stream: String,
    shards: u64,
    shape: Shape,
    slower: Option<u64>,
}

impl Producer {
    /// Creates the stream and waits until it is active.
    pub async fn create_stream(endpoints: &Endpoints, stream: &str, shards: u32) -> Result<Self> {
        let client = Client::new(&aws_configuration(endpoints).await);
        let failed =
            |what: &str, error: String| Error::Unexpected(format!("{what} stream {stream}: {error}"));
        let count =
            i32::try_from(shards).map_err(|_| Error::Unexpected(format!("{shards} shards are too many")))?;
        let created = client.create_stream().stream_name(stream).shard_count(count).send().await;
        created.map_err(|error| failed("creating", DisplayErrorContext(&error).to_string()))?;
        let (stream, shards) = (stream.to_owned(), u64::from(shards));
        let producer = Self { client, stream, shards, shape: Shape::default(), slower: None };
        producer.active().await?;
        Ok(producer)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// The same producer with messages of another shape.
    #[must_use]
    pub fn with_shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The same producer at no more than this many records a second.
    #[must_use]
    pub fn at_most(self, per_second: u64) -> Self {
        Self { slower: Some(per_second.max(1)), ..self }
    }

    /// Puts the records numbered `from..to` at the pace that the shards take, and returns the ledger, by number.
    pub async fn put(&self, from: u64, to: u64) -> Result<Vec<Sent>> {
        let begun = Instant::now();
        let per_second = (RECORDS_PER_SHARD_SECOND * self.shards).min(self.slower.unwrap_or(u64::MAX));
        let mut ledger = Vec::new();
        let mut requests = JoinSet::new();
        let mut next = from;
        while next < to {
            let end = (next + REQUEST_RECORDS).min(to);
            let due = begun + Duration::from_millis((next - from) * 1000 / per_second);
            tokio::time::sleep_until(due).await;
            if requests.len() >= REQUESTS_IN_FLIGHT {
                ledger.extend(joined(requests.join_next().await)?);
            }
            let producer = self.clone();
            requests.spawn(async move { producer.put_request(next, end).await });
            next = end;
        }
        while let Some(done) = requests.join_next().await {
            ledger.extend(joined(Some(done))?);
        }
        ledger.sort_by_key(|sent| sent.id);
        Ok(ledger)
    }

    /// One request, repeated with what was throttled until all is taken.
    async fn put_request(&self, from: u64, to: u64) -> Result<Vec<Sent>> {
        let mut open: Vec<u64> = (from..to).collect();
        let mut ledger = Vec::with_capacity(open.len());
        for _ in 0..ATTEMPTS {
            let begun = now_ms();
            let entries = open.iter().map(|&id| entry(self.shape, id)).collect::<Result<Vec<_>>>()?;
            let answer =
                self.client.put_records().stream_name(&self.stream).set_records(Some(entries)).send().await;
            let answer = answer.map_err(|error| {
                Error::Unexpected(format!(
                    "putting records onto {}: {}",
                    self.stream,
                    DisplayErrorContext(&error)
                ))
            })?;
            let put_between = (begun, now_ms());
            let mut refused = Vec::new();
            for (&id, result) in open.iter().zip(answer.records()) {
                let (Some(shard), Some(number)) = (result.shard_id(), result.sequence_number()) else {
                    refused.push(id);
                    continue;
                };
                let (partition_key, _, good) = self.shape.record(id);
                let (shard_id, sequence_number) = (shard.to_owned(), number.to_owned());
                ledger.push(Sent { id, good, partition_key, shard_id, sequence_number, put_between });
            }
            open = refused;
            if open.is_empty() {
                return Ok(ledger);
            }
            tokio::time::sleep(THROTTLE_PAUSE).await;
        }
        Err(Error::Unexpected(format!("Kinesis refused {} records {ATTEMPTS} times", open.len())))
    }
}

fn entry(shape: Shape, id: u64) -> Result<PutRecordsRequestEntry> {
    let (key, payload, _) = shape.record(id);
    let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(payload));
    entry.build().map_err(|error| Error::Unexpected(error.to_string()))
}

fn joined(done: Option<Result<Result<Vec<Sent>>, tokio::task::JoinError>>) -> Result<Vec<Sent>> {
    match done {
        Some(Ok(sent)) => sent,
        Some(Err(error)) => Err(Error::Unexpected(format!("putting records: {error}"))),
        None => Ok(Vec::new()),
    }
}

/// Configuration of an AWS SDK client of the local cloud.
pub async fn aws_configuration(endpoints: &Endpoints) -> aws_config::SdkConfig {
    let key = Credentials::new(
        &endpoints.aws_access_key_id,
        &endpoints.aws_secret_access_key,
        None,
        None,
        "endpoints file",
    );
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(&endpoints.aws_endpoint)
        .region(Region::new(endpoints.aws_region.clone()))
        .credentials_provider(key)
        .load()
        .await
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bad_ones_are_as_many_as_said_and_of_every_kind() {
        for records in [0, 1, 50, 51, 100, 150, 151, 1000, 20_000] {
            let bad = (0..records).filter(|&id| !record(id).2).count();
            assert_eq!(bad as u64, bad_among(records), "{records}");
        }
        let kinds: std::collections::BTreeSet<Vec<u8>> =
            (0..500).filter(|id| !record(*id).2).map(|id| record(id).1).collect();
        assert_eq!(kinds.len(), 5);
        assert!(kinds.contains(&Vec::new()));
    }
}
