//! The same page of records in both formats.

use super::Outcome;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minicbor::Encoder;
use minicbor::data::IanaTag;
use std::fmt::Write;

const ARRIVAL_MS: i64 = 1_762_333_935_307;

/// One JSON object of exactly `size` bytes, with the mix of members that events have.
fn payload(size: usize) -> Vec<u8> {
    let start = r#"{"orderId":184467440737,"customer":"c-00042","amount":129.95,"paid":true,"note":""#;
    let filler = size.saturating_sub(start.len() + 2);
    format!("{start}{}\"}}", "lorem ipsum dolor sit amet ".chars().cycle().take(filler).collect::<String>())
        .into_bytes()
}

fn sequence(index: usize) -> String {
    format!("49598630142999655949899443842509554952738656579378{index:06}")
}

/// `application/x-amz-json-1.1`
pub fn json(records: usize, size: usize) -> Outcome<Vec<u8>> {
    let data = STANDARD.encode(payload(size));
    let mut out = String::from(r#"{"Records":["#);
    for index in 0..records {
        let comma = if index == 0 { "" } else { "," };
        let sequence = sequence(index);
        write!(
            out,
            r#"{comma}{{"SequenceNumber":"{sequence}","ApproximateArrivalTimestamp":1762333935.307,"#
        )?;
        write!(out, r#""Data":"{data}","PartitionKey":"customer-{index}"}}"#)?;
    }
    out.push_str(r#"],"NextShardIterator":"iterator","MillisBehindLatest":0}"#);
    Ok(out.into_bytes())
}

/// `application/x-amz-cbor-1.1`, maps and arrays of indefinite length as Kinesis' own SDK for Java writes them.
pub fn cbor(records: usize, size: usize) -> Outcome<Vec<u8>> {
    let data = payload(size);
    let mut out = Encoder::new(Vec::new());
    out.begin_map()?.str("Records")?.begin_array()?;
    for index in 0..records {
        out.begin_map()?.str("SequenceNumber")?.str(&sequence(index))?;
        out.str("ApproximateArrivalTimestamp")?.tag(IanaTag::Timestamp)?.i64(ARRIVAL_MS)?;
        out.str("Data")?.bytes(&data)?.str("PartitionKey")?.str(&format!("customer-{index}"))?.end()?;
    }
    out.end()?.str("NextShardIterator")?.str("iterator")?.str("MillisBehindLatest")?.u8(0)?.end()?;
    Ok(out.into_writer())
}

/// Byte counts of a run are far below 2^53.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub fn as_float(bytes: usize) -> f64 {
    bytes as f64
}
