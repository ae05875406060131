//! What the local Kinesis costs: records and megabytes a second of processor time, without network.
//!
//! `cargo run -p local-cloud --example serve_throughput`. Numbers are printed, nothing is asserted.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local_cloud::{Clock, Format, Generator, Kinesis, KinesisOptions};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const RECORDS: usize = 200_000;
const BYTES: usize = 1_000;

fn main() -> Outcome<()> {
    let kinesis = Kinesis::new(KinesisOptions::default(), Clock::system());
    kinesis.create_stream("written", 4)?;
    let data = STANDARD.encode(vec![b'x'; BYTES]);
    let records: Vec<_> =
        (0..500).map(|n| json!({ "Data": data, "PartitionKey": format!("k{n}") })).collect();
    let body = json!({ "StreamName": "written", "Records": records }).to_string();
    measure("PutRecords, JSON, 500 a call", RECORDS, || {
        for _ in 0..RECORDS / 500 {
            kinesis.call("PutRecords", body.as_bytes())?;
        }
        Ok(())
    })?;
    for (name, format) in
        [("JSON, first read", Format::Json), ("JSON, second read", Format::Json), ("CBOR", Format::Cbor)]
    {
        measure(&format!("GetRecords, {name}"), RECORDS, || read(&kinesis, "written", format))?;
    }
    let per_shard = RECORDS as u64 / 4;
    let generator = Generator { records: per_shard, bytes: BYTES, per_second: None, aggregate: None };
    kinesis.create_generated_stream("computed", 4, generator)?;
    measure("GetRecords, JSON, computed", RECORDS, || read(&kinesis, "computed", Format::Json))?;
    measure("GetRecords, CBOR, computed", RECORDS, || read(&kinesis, "computed", Format::Cbor))
}

fn read(kinesis: &Kinesis, stream: &str, format: Format) -> Outcome<()> {
    for shard in kinesis.shards(stream)? {
        let mut number = None;
        for _ in 0..shard.written.div_ceil(1_000) {
            let start = json!({
                "StreamName": stream,
                "ShardId": shard.id,
                "ShardIteratorType": if number.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" },
                "StartingSequenceNumber": number,
            });
            let answer = kinesis.call("GetShardIterator", start.to_string().as_bytes())?;
            let answer: Value = serde_json::from_slice(&answer)?;
            let request = json!({ "ShardIterator": answer["ShardIterator"], "Limit": 1_000 });
            let page = kinesis.call_for("GetRecords", request.to_string().as_bytes(), format)?;
            number = Some(last_number(&page, format).ok_or("no record")?);
        }
    }
    Ok(())
}

/// The sequence number of the last record.
fn last_number(page: &[u8], format: Format) -> Option<String> {
    let mark: &[u8] = match format {
        Format::Json => b"\"SequenceNumber\":\"",
        // A text of 14 bytes, then one of 56 bytes with its length.
        Format::Cbor => b"nSequenceNumber\x78\x38",
    };
    let at = page.windows(mark.len()).rposition(|window| window == mark)? + mark.len();
    String::from_utf8(page.get(at..at + 56)?.to_vec()).ok()
}

fn measure(what: &str, records: usize, run: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let start = Instant::now();
    run()?;
    let seconds = start.elapsed().as_secs_f64();
    let count = f64::from(u32::try_from(records)?);
    println!("{what:<32} {:>10.0} records/s {:>7.2} us a record", count / seconds, seconds / count * 1e6);
    Ok(())
}
