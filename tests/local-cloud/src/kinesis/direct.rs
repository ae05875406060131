//! The service for a test in the same process: no requests, no passing states.

use std::sync::Arc;

use bytes::Bytes;

use super::Kinesis;
use super::generator::{Generated, Generator, Template};
use super::number::Number;
use super::put::NewRecord;
use super::shard::Shard;
use super::stream::{Stream, hash_key};
use crate::aws::AwsError;
use crate::sync::{lock, read, write};

/// Where a record was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Shard that took the record.
    pub shard_id: String,
    /// Its number there.
    pub sequence_number: String,
}

/// A stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// 56 digits.
    pub sequence_number: String,
    /// Key given by the producer.
    pub partition_key: String,
    /// Payload.
    pub data: Bytes,
    /// Milliseconds since 1970.
    pub arrival_ms: i64,
}

/// A shard as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// `shardId-000000000000`.
    pub id: String,
    /// Parents: one after a split, two after a merge.
    pub parents: Vec<String>,
    /// No longer written to.
    pub closed: bool,
    /// Records ever written.
    pub written: u64,
    /// Records kept.
    pub records: u64,
    /// Bytes kept.
    pub bytes: u64,
    /// Number of the last record kept.
    pub last_sequence_number: Option<String>,
    /// Arrival of the last record kept, milliseconds since 1970.
    pub last_arrival_ms: Option<i64>,
}

impl Kinesis {
    /// Makes an ACTIVE stream.
    ///
    /// # Errors
    /// `ResourceInUseException` when the name is taken.
    pub fn create_stream(&self, name: &str, shards: u32) -> Result<(), AwsError> {
        self.make(name, shards, false, 0)
    }

    /// Allows records of up to `kib` KiB, where 1,024 is the default and 10,240 the service's most.
    ///
    /// # Errors
    /// When there is no such stream.
    pub fn set_max_record_kib(&self, stream: &str, kib: usize) -> Result<(), AwsError> {
        write(&self.stream_named(stream)?.state).max_record_kib = kib;
        Ok(())
    }

    /// Makes an ACTIVE stream whose shards are full of computed records; see [`Generator`]. It cannot be written to.
    ///
    /// # Errors
    /// `ResourceInUseException` when the name is taken.
    pub fn create_generated_stream(
        &self,
        name: &str,
        shards: u32,
        generator: Generator,
    ) -> Result<(), AwsError> {
        self.create_templated_stream(name, shards, generator, &[])
    }

    /// As [`Kinesis::create_generated_stream`], with records made of texts that take turns. In each, the first number
    /// written as twelve zeros becomes the record's own.
    ///
    /// # Errors
    /// `ResourceInUseException` when the name is taken.
    pub fn create_templated_stream(
        &self,
        name: &str,
        shards: u32,
        generator: Generator,
        templates: &[&str],
    ) -> Result<(), AwsError> {
        let templates: Arc<[Template]> = templates.iter().map(|text| Template::new(text)).collect();
        self.make(name, shards, false, 0)?;
        let stream = self.stream_named(name)?;
        for shard in read(&stream.state).shards.values() {
            let (clock, created_ms, index) = (self.inner.clock.clone(), shard.created_ms, shard.index);
            lock(&shard.log).generated = Some(Generated {
                templates: Arc::clone(&templates),
                generator,
                clock,
                created_ms,
                shard: index,
            });
        }
        Ok(())
    }

    /// Removes a stream and everything in it, at once.
    ///
    /// # Errors
    /// `ResourceNotFoundException`.
    pub fn delete_stream(&self, name: &str) -> Result<(), AwsError> {
        let gone = write(&self.inner.streams).remove(name).ok_or_else(|| self.no_stream(name))?;
        gone.forget();
        Ok(())
    }

    /// Writes one record to the shard its key belongs to.
    ///
    /// # Errors
    /// As `PutRecord`.
    pub fn put(
        &self,
        stream: &str,
        partition_key: &str,
        data: impl Into<Bytes>,
    ) -> Result<Receipt, AwsError> {
        self.store(stream, hash_key(partition_key), partition_key, data.into())
    }

    /// Writes one record to a given open shard.
    ///
    /// # Errors
    /// As `PutRecord`; `InvalidArgumentException` when the shard is closed.
    pub fn put_to_shard(
        &self,
        stream: &str,
        shard_id: &str,
        partition_key: &str,
        data: impl Into<Bytes>,
    ) -> Result<Receipt, AwsError> {
        let shard = self.stream_named(stream)?.shard(shard_id)?;
        if shard.closed().is_some() {
            return Err(AwsError::invalid_argument(format!(
                "Shard {shard_id} in stream {stream} is not open."
            )));
        }
        self.store(stream, shard.start_hash, partition_key, data.into())
    }

    fn store(&self, name: &str, hash: u128, partition_key: &str, data: Bytes) -> Result<Receipt, AwsError> {
        let stream = self.stream_named(name)?;
        let (keep, max_bytes) = self.writable(&stream)?;
        NewRecord::new(partition_key, None, data.clone()).check("", max_bytes)?;
        let (shard, entry) = self.append(&stream, keep, hash, partition_key.into(), data)?;
        Ok(Receipt { shard_id: shard.id.clone(), sequence_number: entry.sequence().to_owned() })
    }

    /// Splits an open shard in the middle and gives the ids of the two children.
    ///
    /// # Errors
    /// As `SplitShard`.
    pub fn split(&self, stream: &str, shard_id: &str) -> Result<Vec<String>, AwsError> {
        let stream = self.stream_named(stream)?;
        self.reshard(&stream, 0, |state, now_ms| stream.split(state, now_ms, shard_id, None))
    }

    /// Merges two open neighbours and gives the id of the child.
    ///
    /// # Errors
    /// As `MergeShards`.
    pub fn merge(&self, stream: &str, shard_id: &str, adjacent: &str) -> Result<String, AwsError> {
        let stream = self.stream_named(stream)?;
        self.reshard(&stream, 0, |state, now_ms| stream.merge(state, now_ms, shard_id, adjacent))
    }

    /// All records kept of a shard, in order.
    ///
    /// # Errors
    /// `ResourceNotFoundException`.
    pub fn records(&self, stream: &str, shard_id: &str) -> Result<Vec<Record>, AwsError> {
        let shard = self.stream_named(stream)?.shard(shard_id)?;
        let page = lock(&shard.log).page(0, usize::MAX, usize::MAX);
        let records = page.entries.iter().map(|entry| Record {
            sequence_number: entry.sequence().to_owned(),
            partition_key: entry.key.to_string(),
            data: entry.data.clone(),
            arrival_ms: entry.arrival_ms,
        });
        Ok(records.collect())
    }

    /// Shards of a stream, closed ones included, by id.
    ///
    /// # Errors
    /// `ResourceNotFoundException`.
    pub fn shards(&self, stream: &str) -> Result<Vec<ShardInfo>, AwsError> {
        let stream = self.stream_named(stream)?;
        let shards: Vec<Arc<Shard>> = read(&stream.state).shards.values().cloned().collect();
        Ok(shards.iter().map(|shard| shard.info()).collect())
    }

    /// How many of a shard's records have this sequence number or a lower one; `None` when it is not of this shard.
    #[must_use]
    pub fn count_up_to(&self, stream: &str, shard_id: &str, sequence_number: &str) -> Option<u64> {
        let shard = self.stream_named(stream).ok()?.shard(shard_id).ok()?;
        let number = Number::parse(sequence_number)?;
        (number.shard() == shard.index && number.created_ms() == shard.created_ms).then(|| {
            let log = lock(&shard.log);
            let at = log.at_number(number);
            at + u64::from(log.page(at, 1, 1).entries.first().is_some_and(|entry| entry.number == number))
        })
    }

    /// `StreamStatus` of a stream.
    #[must_use]
    pub fn status(&self, stream: &str) -> Option<&'static str> {
        self.stream_named(stream).ok().map(|stream| read(&stream.state).status.name())
    }

    /// Names of all streams.
    #[must_use]
    pub fn streams(&self) -> Vec<String> {
        read(&self.inner.streams).keys().cloned().collect()
    }
}

impl Shard {
    fn info(&self) -> ShardInfo {
        let log = lock(&self.log);
        let end = log.end();
        let last = log.page(end.saturating_sub(1), 1, 1).entries.pop();
        ShardInfo {
            id: self.id.clone(),
            parents: self
                .parent
                .iter()
                .chain(&self.adjacent_parent)
                .map(|index| Stream::shard_name(*index))
                .collect(),
            closed: log.closed.is_some(),
            written: end,
            records: end - log.first(),
            bytes: log.bytes,
            last_sequence_number: last.as_ref().map(|entry| entry.sequence().to_owned()),
            last_arrival_ms: last.map(|entry| entry.arrival_ms),
        }
    }
}
