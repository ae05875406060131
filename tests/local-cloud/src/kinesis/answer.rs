//! Encoding of read records, in both protocols.

use bytes::Bytes;
use minicbor::Encoder;
use minicbor::encode::Write;
use serde_json::{Value, json};

use super::log::{Entry, Page};
use super::number::Number;
use super::router::Format;
use crate::aws::cbor;

/// A page of a shard with what belongs around it.
pub(crate) struct Answer {
    pub(crate) page: Page,
    pub(crate) next_iterator: Option<String>,
    pub(crate) behind_ms: i64,
    pub(crate) child_shards: Vec<Value>,
}

impl Answer {
    /// The answer of `GetRecords`.
    pub(crate) fn records(&self, format: Format) -> Bytes {
        let mut rest =
            json!({ "NextShardIterator": self.next_iterator, "MillisBehindLatest": self.behind_ms });
        if self.next_iterator.is_none() {
            rest["ChildShards"] = Value::from(self.child_shards.clone());
        }
        self.encode(format, &rest)
    }

    /// The payload of a `SubscribeToShardEvent`; at the end of a shard there is nothing to continue with.
    pub(crate) fn event(&self, format: Format, continuation: Option<Number>) -> Bytes {
        let mut rest = json!({ "MillisBehindLatest": self.behind_ms });
        match continuation {
            Some(number) => rest["ContinuationSequenceNumber"] = number.to_string().into(),
            None => rest["ChildShards"] = Value::from(self.child_shards.clone()),
        }
        self.encode(format, &rest)
    }

    fn encode(&self, format: Format, rest: &Value) -> Bytes {
        let records = &self.page.entries;
        let bytes: usize = records.iter().map(|entry| entry.size()).sum();
        match format {
            Format::Json => {
                let rest = rest.to_string();
                let mut out = Vec::with_capacity(bytes / 3 * 4 + records.len() * 170 + rest.len() + 16);
                out.extend_from_slice(b"{\"Records\":[");
                for (at, record) in records.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(record.json());
                }
                out.extend_from_slice(b"],");
                out.extend_from_slice(rest.get(1..).unwrap_or_default().as_bytes());
                Bytes::from(out)
            }
            Format::Cbor => {
                let mut out = Vec::with_capacity(bytes + records.len() * 170 + 512);
                // Writing to memory cannot fail.
                let _ = write_cbor(&mut Encoder::new(&mut out), records, rest);
                Bytes::from(out)
            }
        }
    }
}

fn write_cbor<W: Write<Error = std::convert::Infallible>>(
    encoder: &mut Encoder<W>,
    records: &[std::sync::Arc<Entry>],
    rest: &Value,
) -> cbor::Encoded {
    let rest = rest.as_object();
    encoder.map(1 + rest.map_or(0, |members| members.len() as u64))?;
    encoder.str("Records")?.array(records.len() as u64)?;
    for record in records {
        encoder.map(4)?.str("SequenceNumber")?.str(record.sequence())?;
        encoder.str("ApproximateArrivalTimestamp")?;
        cbor::instant(encoder, record.arrival_ms)?;
        encoder.str("Data")?.bytes(&record.data)?.str("PartitionKey")?.str(&record.key)?;
    }
    for (name, member) in rest.into_iter().flatten() {
        encoder.str(name)?;
        cbor::value(encoder, member)?;
    }
    Ok(())
}
