//! Reading: `GetShardIterator`, `GetRecords`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kinesis;
use super::answer::Answer;
use super::iterator::{Iterator, LIFE_MS};
use super::log::Page;
use super::number::Number;
use super::request::{StreamRef, check_range, millis};
use super::shard::Shard;
use super::stream::Stream;
use crate::aws::AwsError;
use crate::sync::{lock, read};

/// Most records and bytes of one answer.
const MAX_RECORDS: usize = 10_000;
const MAX_BYTES: usize = 10 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetShardIterator {
    #[serde(flatten)]
    stream: StreamRef,
    shard_id: String,
    #[serde(flatten)]
    start: Start,
}

/// Where to begin in a shard; the same members in `GetShardIterator` and `StartingPosition`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Start {
    #[serde(alias = "Type", rename = "ShardIteratorType")]
    kind: String,
    #[serde(alias = "SequenceNumber")]
    starting_sequence_number: Option<String>,
    timestamp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetRecords {
    shard_iterator: String,
    limit: Option<i64>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

impl Kinesis {
    pub(super) fn get_shard_iterator(&self, request: &GetShardIterator) -> Result<Value, AwsError> {
        let stream = self.stream(&request.stream)?;
        let shard = stream.shard(&request.shard_id)?;
        let now_ms = self.now_ms();
        let iterator = Iterator {
            stream: stream.name.clone(),
            stream_created_ms: stream.created_ms,
            shard: shard.index,
            ordinal: stream.ordinal(&shard, &request.start, now_ms)?,
            issued_ms: now_ms,
        };
        Ok(json!({ "ShardIterator": iterator.encode() }))
    }

    pub(super) fn get_records(&self, request: &GetRecords) -> Result<Answer, AwsError> {
        let limit = request.limit.unwrap_or(MAX_RECORDS as i64);
        check_range(limit, "limit", 1, MAX_RECORDS as i64)?;
        let mut iterator = Iterator::decode(&request.shard_iterator)
            .ok_or_else(|| AwsError::invalid_argument("Invalid ShardIterator."))?;
        if let Some(arn) = &request.stream_arn
            && super::request::stream_of_arn(arn) != Some(&iterator.stream)
        {
            return Err(AwsError::invalid_argument(
                "The ShardIterator is not of the stream that StreamARN names.",
            ));
        }
        let (stream, shard) = self.iterated(&iterator)?;
        let now_ms = self.now_ms();
        if now_ms - iterator.issued_ms > LIFE_MS {
            return Err(AwsError::new(
                "ExpiredIteratorException",
                format!(
                    "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the future than the tolerated delay of {LIFE_MS} milliseconds.",
                    iterator.issued_ms, now_ms
                ),
            ));
        }
        let limited = self.limits().read;
        if limited && !lock(&shard.buckets).begin_read(now_ms) {
            return Err(stream.rate_exceeded(&shard.id));
        }
        let most = (usize::try_from(limit).unwrap_or(MAX_RECORDS), MAX_BYTES);
        let page = self.page(&stream, &shard, iterator.ordinal, most);
        if limited {
            lock(&shard.buckets).end_read(now_ms, page.entries.iter().map(|entry| entry.size()).sum());
        }
        iterator.ordinal = page.next;
        iterator.issued_ms = now_ms;
        let ended = page.closed.is_some();
        Ok(Answer {
            next_iterator: (!ended).then(|| iterator.encode()),
            behind_ms: behind(&page, now_ms),
            child_shards: stream.children(&page),
            page,
        })
    }

    /// The stream and shard that an iterator reads.
    fn iterated(&self, iterator: &Iterator) -> Result<(Arc<Stream>, Arc<Shard>), AwsError> {
        let stream = self.stream_named(&iterator.stream)?;
        if stream.created_ms != iterator.stream_created_ms {
            return Err(self.no_stream(&iterator.stream));
        }
        let shard = stream.shard(&Stream::shard_name(iterator.shard))?;
        Ok((stream, shard))
    }

    /// Reads a page of at most so many records and bytes, after trimming what left retention.
    pub(super) fn page(
        &self,
        stream: &Stream,
        shard: &Shard,
        ordinal: u64,
        (records, bytes): (usize, usize),
    ) -> Page {
        let horizon_ms = read(&stream.state).horizon_ms(self.now_ms());
        let mut log = lock(&shard.log);
        log.trim(horizon_ms, self.inner.options.max_shard_bytes);
        log.page(ordinal, records, bytes)
    }
}

/// How far the end of the page is behind the tip of the shard.
pub(crate) fn behind(page: &Page, now_ms: i64) -> i64 {
    let Some(unread_ms) = page.unread_since_ms else { return 0 };
    let at_ms = page.entries.last().map_or(unread_ms, |entry| entry.arrival_ms);
    (now_ms - at_ms).max(1)
}

impl Stream {
    /// The ordinal at which a start position reads on.
    pub(crate) fn ordinal(&self, shard: &Shard, start: &Start, now_ms: i64) -> Result<u64, AwsError> {
        match start.kind.as_str() {
            "TRIM_HORIZON" => {
                let horizon_ms = read(&self.state).horizon_ms(now_ms);
                let log = lock(&shard.log);
                Ok(log.at_time(horizon_ms).max(log.first()))
            }
            "LATEST" => Ok(lock(&shard.log).end()),
            "AT_TIMESTAMP" => {
                let at_ms = millis(start.timestamp.ok_or_else(|| {
                    AwsError::invalid_argument("Must specify timestamp parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
                })?);
                if at_ms > now_ms {
                    return Err(AwsError::invalid_argument(format!(
                        "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: {at_ms}, currentTimestampInMillis: {now_ms}"
                    )));
                }
                Ok(lock(&shard.log).at_time(at_ms))
            }
            kind @ ("AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER") => {
                let number = self.number(shard, start.starting_sequence_number.as_deref(), kind)?;
                let log = lock(&shard.log);
                let at = log.at_number(number);
                let skip = kind == "AFTER_SEQUENCE_NUMBER"
                    && log.page(at, 1, 1).entries.first().is_some_and(|entry| entry.number == number);
                Ok(at + u64::from(skip))
            }
            other => Err(AwsError::constraint(
                other,
                "shardIteratorType",
                "satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]",
            )),
        }
    }

    /// A sequence number that this shard can have given.
    fn number(&self, shard: &Shard, text: Option<&str>, kind: &str) -> Result<Number, AwsError> {
        let text = text.ok_or_else(|| {
            AwsError::invalid_argument(format!("Must either specify a valid sequence number for iterator of type {kind}. Current request has no sequence number."))
        })?;
        let refused = |why: &str| {
            AwsError::invalid_argument(format!(
                "StartingSequenceNumber {text} used in GetShardIterator on shard {} in stream {} under account {} is invalid{why}.",
                shard.id, self.name, self.account
            ))
        };
        let number = Number::parse(text).ok_or_else(|| refused(""))?;
        if number.shard() != shard.index || number.created_ms() != shard.created_ms {
            return Err(refused(" because it did not come from this stream"));
        }
        Ok(number)
    }

    /// `ChildShards` of a page that reached the end of a closed shard.
    pub(crate) fn children(&self, page: &Page) -> Vec<Value> {
        let Some(closed) = &page.closed else { return Vec::new() };
        let state = read(&self.state);
        let children = closed.children.iter().filter_map(|index| state.shards.get(index));
        children
            .map(|child| {
                let parents: Vec<_> = child.parent.iter().chain(&child.adjacent_parent).map(|p| Self::shard_name(*p)).collect();
                json!({ "ShardId": child.id, "ParentShards": parents, "HashKeyRange": super::describe::hash_range(child) })
            })
            .collect()
    }
}
