//! Writing: `PutRecord`, `PutRecords`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::Kinesis;
use super::log::Entry;
use super::request::StreamRef;
use super::shard::{Appended, Keep, Shard};
use super::stream::{Status, Stream, hash_key};
use crate::aws::AwsError;
use crate::sync::{lock, read};

/// Payload of a record, base64 in JSON.
#[derive(Debug)]
pub(crate) struct Blob(pub(crate) Bytes);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| serde::de::Error::custom("not base64"))?;
        Ok(Self(Bytes::from(bytes)))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NewRecord {
    data: Blob,
    partition_key: Box<str>,
    explicit_hash_key: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct PutRecord {
    #[serde(flatten)]
    stream: StreamRef,
    #[serde(flatten)]
    record: NewRecord,
}

/// Not flattened: a flattened member would buffer every payload once more.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PutRecords {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    records: Vec<NewRecord>,
}

impl NewRecord {
    pub(crate) fn new(partition_key: &str, explicit_hash_key: Option<String>, data: Bytes) -> Self {
        Self { data: Blob(data), partition_key: partition_key.into(), explicit_hash_key }
    }

    fn size(&self) -> usize {
        self.data.0.len() + self.partition_key.len()
    }

    pub(crate) fn check(&self, member: &str, max_bytes: usize) -> Result<(), AwsError> {
        let key = format!("{member}partitionKey");
        if self.partition_key.is_empty() {
            return Err(AwsError::constraint("", &key, "have length greater than or equal to 1"));
        }
        if self.partition_key.chars().count() > 256 {
            return Err(AwsError::constraint(
                &self.partition_key,
                &key,
                "have length less than or equal to 256",
            ));
        }
        if self.size() > max_bytes {
            let member = format!("{member}data");
            return Err(AwsError::constraint(
                "",
                &member,
                &format!("have length less than or equal to {max_bytes}"),
            ));
        }
        Ok(())
    }

    fn hash(&self) -> Result<u128, AwsError> {
        let Some(text) = &self.explicit_hash_key else { return Ok(hash_key(&self.partition_key)) };
        parse_hash(text, "explicitHashKey")
    }
}

/// A hash key in decimal.
pub(crate) fn parse_hash(text: &str, member: &str) -> Result<u128, AwsError> {
    let digits = !text.is_empty() && text.len() <= 39 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(AwsError::constraint(
            text,
            member,
            "satisfy regular expression pattern: 0|([1-9]\\d{0,38})",
        ));
    }
    text.parse().map_err(|_| {
        AwsError::invalid_argument(format!(
            "Invalid {member}. It must be in the range: [0, 2^128-1]. Specified value was {text}"
        ))
    })
}

impl Kinesis {
    pub(super) fn put_record(&self, request: PutRecord) -> Result<Value, AwsError> {
        let stream = self.stream(&request.stream)?;
        let (keep, max_bytes) = self.writable(&stream)?;
        request.record.check("", max_bytes)?;
        let hash = request.record.hash()?;
        let NewRecord { data, partition_key, .. } = request.record;
        let (shard, entry) = self.append(&stream, keep, hash, partition_key, data.0)?;
        Ok(json!({ "ShardId": shard.id, "SequenceNumber": entry.sequence() }))
    }

    /// The answer in JSON.
    pub(super) fn put_records(&self, request: PutRecords) -> Result<Bytes, AwsError> {
        let count = request.records.len();
        if count == 0 || count > 500 {
            let rule = if count == 0 { "greater than or equal to 1" } else { "less than or equal to 500" };
            return Err(AwsError::constraint("", "records", &format!("have length {rule}")));
        }
        let reference = StreamRef { stream_name: request.stream_name, stream_arn: request.stream_arn };
        let stream = self.stream(&reference)?;
        let (keep, max_bytes) = self.writable(&stream)?;
        let mut hashes = Vec::with_capacity(count);
        for (at, record) in request.records.iter().enumerate() {
            record.check(&format!("records.{}.member.", at + 1), max_bytes)?;
            hashes.push(record.hash()?);
        }
        let limit = self.inner.options.max_request_bytes;
        if request.records.iter().map(NewRecord::size).sum::<usize>() > limit {
            return Err(AwsError::invalid_argument(format!("Records size exceeds {} MB limit", limit >> 20)));
        }
        let mut failed = 0;
        // Written as text: a tree of values for each record would cost more than storing it.
        let mut out = Vec::with_capacity(count * 110 + 64);
        out.extend_from_slice(b"{\"Records\":[");
        for (at, (record, hash)) in request.records.into_iter().zip(hashes).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match self.append(&stream, keep, hash, record.partition_key, record.data.0) {
                Ok((shard, entry)) => {
                    let parts =
                        ["{\"ShardId\":\"", &shard.id, "\",\"SequenceNumber\":\"", entry.sequence(), "\"}"];
                    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
                }
                Err(error) => {
                    failed += 1;
                    let result = json!({ "ErrorCode": error.code, "ErrorMessage": error.message });
                    out.extend_from_slice(result.to_string().as_bytes());
                }
            }
        }
        out.extend_from_slice(format!("],\"FailedRecordCount\":{failed}}}").as_bytes());
        Ok(Bytes::from(out))
    }

    /// What a stream that takes records keeps, and its largest record; an error when it takes none.
    pub(super) fn writable(&self, stream: &Stream) -> Result<(Keep, usize), AwsError> {
        let state = read(&stream.state);
        match state.status {
            Status::Active | Status::Updating => {
                if state.open().next().is_some_and(|shard| shard.generated()) {
                    return Err(AwsError::invalid_argument(format!(
                        "Stream {} is generated and takes no records.",
                        stream.name
                    )));
                }
                let since_ms = state.horizon_ms(self.now_ms());
                let keep = Keep { since_ms, bytes: self.inner.options.max_shard_bytes };
                Ok((keep, state.max_record_kib << 10))
            }
            Status::Creating | Status::Deleting => Err(self.no_stream(&stream.name)),
        }
    }

    /// Appends to the open shard that owns the hash, again when a reshard comes between.
    pub(super) fn append(
        &self,
        stream: &Stream,
        keep: Keep,
        hash: u128,
        mut key: Box<str>,
        mut data: Bytes,
    ) -> Result<(Arc<Shard>, Arc<Entry>), AwsError> {
        loop {
            let shard = stream.shard_for(hash)?;
            let now_ms = self.now_ms();
            if self.limits().write && !lock(&shard.buckets).write(now_ms, key.len() + data.len()) {
                return Err(stream.rate_exceeded(&shard.id));
            }
            match shard.append(now_ms, keep, key, data) {
                Appended::At(entry) => return Ok((shard, entry)),
                Appended::Closed(same_key, same_data) => (key, data) = (same_key, same_data),
            }
        }
    }
}

impl Stream {
    pub(super) fn rate_exceeded(&self, shard_id: &str) -> AwsError {
        AwsError::new(
            "ProvisionedThroughputExceededException",
            format!(
                "Rate exceeded for shard {shard_id} in stream {} under account {}.",
                self.name, self.account
            ),
        )
    }
}
