//! Events of a subscription in JSON, which is how Kinesis streams them, turned into CBOR in one pass: payloads are decoded
//! from base64 straight into the one buffer that they stay slices of.
//!
//! It only understands what events are. Whatever else comes is for the SDK's own decoder to judge.

use super::time::epoch_millis;
use aws_smithy_types::DateTime;
use base64_simd::{AsOut, STANDARD};
use bytes::Bytes;
use minicbor::Encoder;
use minicbor::data::IanaTag;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Members that are not here are not used by anyone.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event<'a> {
    #[serde(borrow)]
    records: Vec<Record<'a>>,
    continuation_sequence_number: &'a str,
    millis_behind_latest: i64,
    child_shards: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    sequence_number: &'a str,
    /// Base64 needs no check of its own: what is not part of its alphabet is refused when it is decoded.
    #[serde(borrow)]
    data: &'a [u8],
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    approximate_arrival_timestamp: Option<f64>,
}

/// What a record takes beside its payload, its key and its number, about.
const AROUND: usize = 96;

/// The event as Kinesis would have written it in CBOR; `None` when it is not what events usually are.
pub(super) fn transcribe(payload: &[u8]) -> Option<Bytes> {
    let event: Event<'_> = serde_json::from_slice(payload).ok()?;
    // The last event of a shard.
    if event.child_shards.is_some() {
        return None;
    }
    let room = |r: &Record<'_>| {
        AROUND
            + r.sequence_number.len()
            + r.partition_key.len()
            + STANDARD.estimated_decoded_length(r.data.len())
    };
    let capacity = AROUND * 2 + event.records.iter().map(room).sum::<usize>();
    let mut out = Encoder::new(Vec::with_capacity(capacity));
    out.map(3).ok()?.str("Records").ok()?.array(u64::try_from(event.records.len()).ok()?).ok()?;
    for record in &event.records {
        record.write(&mut out)?;
    }
    out.str("ContinuationSequenceNumber").ok()?.str(event.continuation_sequence_number).ok()?;
    out.str("MillisBehindLatest").ok()?.i64(event.millis_behind_latest).ok()?;
    Some(Bytes::from(out.into_writer()))
}

impl Record<'_> {
    fn write(&self, out: &mut Encoder<Vec<u8>>) -> Option<()> {
        let members = if self.approximate_arrival_timestamp.is_some() { 4 } else { 3 };
        out.map(members).ok()?.str("SequenceNumber").ok()?.str(self.sequence_number).ok()?;
        out.str("PartitionKey").ok()?.str(&self.partition_key).ok()?;
        if let Some(seconds) = self.approximate_arrival_timestamp {
            let millis = epoch_millis(&DateTime::from_secs_f64(seconds));
            out.str("ApproximateArrivalTimestamp").ok()?.tag(IanaTag::Timestamp).ok()?.i64(millis).ok()?;
        }
        let length = STANDARD.decoded_length(self.data).ok()?;
        out.str("Data").ok()?.bytes_len(u64::try_from(length).ok()?).ok()?;
        let buffer = out.writer_mut();
        let start = buffer.len();
        buffer.resize(start + length, 0);
        STANDARD.decode(self.data, buffer[start..].as_out()).ok()?;
        Some(())
    }
}

#[cfg(test)]
#[path = "json_event_tests.rs"]
mod tests;
