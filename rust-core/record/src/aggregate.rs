//! Aggregated records of the Kinesis Producer Library.
//!
//! Format: github.com/awslabs/amazon-kinesis-producer, aggregation-format.md: four bytes of magic, a protobuf message
//! with tables of keys and the user records, and the MD5 of that message.

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_BYTES: usize = 16;

/// What one Kinesis record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expanded {
    /// One user record: the data as it was. Also a record that only resembles an aggregate.
    Plain(Bytes),
    /// The user records of a well-formed aggregate in order; their index is their sub-sequence number. May be empty.
    Aggregate(Vec<UserRecord>),
}

/// One record of a producer inside an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The producer's partition key.
    pub partition_key: Arc<str>,
    /// The producer's explicit hash key, as text and unchecked: some producers write no number here.
    pub explicit_hash_key: Option<Arc<str>>,
    /// The payload, a slice of the Kinesis record.
    pub data: Bytes,
}

impl UserRecord {
    /// The hash key that says which shard the record belongs to: the explicit one, or the MD5 of the partition key read
    /// as a number. `None` when the producer wrote something that is no hash key.
    #[must_use]
    pub fn hash_key(&self) -> Option<u128> {
        match &self.explicit_hash_key {
            Some(text) => text.parse().ok(),
            None => Some(u128::from_be_bytes(Md5::digest(self.partition_key.as_bytes()).into())),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Record>,
}

/// The field `tags` (4) of the format is for the producer's own use and is not read. Index and data are required by the
/// format; read as optional they have protobuf's defaults, which is what a proto3 writer means when it leaves out an
/// index of 0 or an empty payload.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint64, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
}

/// Takes an aggregate apart. Payloads are slices of `data`; nothing is copied but the keys.
///
/// The result is all user records or, when anything at all is wrong with the envelope (digest, encoding, an
/// index outside its table), the data as one plain record: never a mix. No record is filtered by its
/// hash key: aggregates of other producers mix keys of several shards.
#[must_use]
pub fn deaggregate(data: Bytes) -> Expanded {
    match parse(&data) {
        Some(records) => Expanded::Aggregate(records),
        None => Expanded::Plain(data),
    }
}

fn parse(data: &Bytes) -> Option<Vec<UserRecord>> {
    if !data.starts_with(&MAGIC) {
        return None;
    }
    let end = data.len().checked_sub(DIGEST_BYTES).filter(|end| *end >= MAGIC.len())?;
    let body = data.slice(MAGIC.len()..end);
    if Md5::digest(&body)[..] != data[end..] {
        return None;
    }
    let message = AggregatedRecord::decode(body).ok()?;
    let partition_keys = shared(message.partition_keys);
    let explicit_hash_keys = shared(message.explicit_hash_keys);
    message
        .records
        .into_iter()
        .map(|record| user_record(record, &partition_keys, &explicit_hash_keys))
        .collect()
}

fn shared(texts: Vec<String>) -> Vec<Arc<str>> {
    texts.into_iter().map(Arc::from).collect()
}

fn user_record(record: Record, keys: &[Arc<str>], hash_keys: &[Arc<str>]) -> Option<UserRecord> {
    let explicit_hash_key = match record.explicit_hash_key_index {
        Some(index) => Some(entry(hash_keys, index)?),
        None => None,
    };
    Some(UserRecord {
        partition_key: entry(keys, record.partition_key_index)?,
        explicit_hash_key,
        data: record.data,
    })
}

fn entry(table: &[Arc<str>], index: u64) -> Option<Arc<str>> {
    table.get(usize::try_from(index).ok()?).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_key_is_the_explicit_one_or_the_digest_of_the_partition_key() {
        let record = |key: &str, explicit: Option<&str>| {
            let explicit_hash_key = explicit.map(Arc::from);
            UserRecord { partition_key: key.into(), explicit_hash_key, data: Bytes::new() }.hash_key()
        };
        assert_eq!(record("", None), Some(0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e));
        assert_eq!(record("a", Some("42")), Some(42));
        assert_eq!(record("a", Some(&u128::MAX.to_string())), Some(u128::MAX));
        for nothing in ["undefined", "", "-1", "340282366920938463463374607431768211456"] {
            assert_eq!(record("a", Some(nothing)), None, "{nothing}");
        }
    }
}
