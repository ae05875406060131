//! The corpus shared with the Java tests and the tests against the local cloud: `tests/vectors`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use bytes::Bytes;
use record::{
    ArrivalFormat, Expanded, Metadata, Position, Reject, ShardedNumber, append_row, append_wrapped,
    deaggregate, row_token,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn load<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowFile {
    metadata: MetadataVector,
    iso: String,
    epoch: String,
    rows: Vec<RowVector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataVector {
    stream: String,
    shard_id: String,
    approximate_arrival_ms: i64,
    partition_key: String,
    sequence_number: String,
    sub_sequence_number: u64,
}

impl MetadataVector {
    fn metadata(&self) -> Metadata<'_> {
        Metadata {
            stream: &self.stream,
            shard_id: &self.shard_id,
            approximate_arrival_ms: Some(self.approximate_arrival_ms),
            partition_key: &self.partition_key,
            sequence_number: &self.sequence_number,
            sub_sequence_number: self.sub_sequence_number,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowVector {
    name: String,
    payload: Option<String>,
    payload_hex: Option<String>,
    payload_repeat: Option<Repeat>,
    value: Option<String>,
    inject: Option<String>,
    reject: Option<String>,
}

#[derive(Deserialize)]
struct Repeat {
    prefix: String,
    unit: String,
    count: usize,
    middle: String,
    closing: String,
    suffix: String,
}

impl RowVector {
    fn payload(&self) -> Vec<u8> {
        match (&self.payload, &self.payload_hex, &self.payload_repeat) {
            (Some(text), None, None) => text.clone().into_bytes(),
            (None, Some(hex), None) => unhex(hex),
            (None, None, Some(r)) => {
                [&r.prefix, &r.unit.repeat(r.count), &r.middle, &r.closing.repeat(r.count), &r.suffix]
                    .map(|part| part.clone())
                    .concat()
                    .into_bytes()
            }
            _ => panic!("{}: exactly one form of payload is needed", self.name),
        }
    }
}

fn code(reject: &Reject) -> &'static str {
    match reject {
        Reject::Empty => "empty",
        Reject::ByteOrderMark => "byte-order-mark",
        Reject::NotUtf8 { .. } => "not-utf8",
        Reject::NotAnObject(_) => "not-an-object",
        Reject::Trailing(_) => "trailing",
        Reject::CutShort(_) => "cut-short",
        Reject::Syntax(_) => "syntax",
    }
}

/// What stands in the output before each row, to see that nothing else changes.
const BEFORE: &[u8] = b"{\"row\":\"before\"}\n";

fn shaped(shape: impl FnOnce(&mut Vec<u8>) -> Result<(), Reject>) -> Result<String, &'static str> {
    let mut out = BEFORE.to_vec();
    let result = shape(&mut out);
    let added = out.strip_prefix(BEFORE).expect("what stood before is unchanged").to_vec();
    match result {
        Ok(()) => Ok(String::from_utf8(added).expect("a row is UTF-8")),
        Err(reject) => {
            assert!(added.is_empty(), "a rejected payload leaves nothing");
            Err(code(&reject))
        }
    }
}

#[test]
fn every_payload_becomes_its_row_or_is_rejected_for_its_reason() {
    let file: RowFile = load("rows.json");
    let metadata = file.metadata.metadata();
    for vector in &file.rows {
        let (payload, name) = (vector.payload(), &vector.name);
        let plain = shaped(|out| append_row(&payload, None, ArrivalFormat::Iso, out));
        let iso = shaped(|out| append_row(&payload, Some(&metadata), ArrivalFormat::Iso, out));
        let epoch = shaped(|out| append_row(&payload, Some(&metadata), ArrivalFormat::EpochMillis, out));
        let wrapped = shaped(|out| append_wrapped(&payload, &metadata, ArrivalFormat::Iso, out));
        if let Some(reject) = &vector.reject {
            for result in [plain, iso, epoch, wrapped] {
                assert_eq!(result, Err(reject.as_str()), "{name}");
            }
            continue;
        }
        let text = String::from_utf8(payload).unwrap();
        let value = vector.value.as_ref().unwrap_or(&text);
        let inject = match &vector.inject {
            Some(inject) => inject.clone(),
            None => format!("{},@METADATA@}}", value.strip_suffix('}').unwrap()),
        };
        let expected = |member: &str| Ok(format!("{}\n", inject.replace("@METADATA@", member)));
        // Compared with `==`: a failing row of a mebibyte should not fill the terminal.
        assert!(plain == Ok(format!("{value}\n")), "{name}: value");
        assert!(iso == expected(&file.iso), "{name}: inject");
        assert!(epoch == expected(&file.epoch), "{name}: inject, epoch");
        assert!(wrapped == Ok(format!("{{{},\"value\":{value}}}\n", file.iso)), "{name}: wrapper");
        let token = row_token(iso.unwrap().as_bytes(), "/kinesisMetadata/shardedSequenceNumber").unwrap();
        assert_eq!(token.position().unwrap().sub_sequence, metadata.sub_sequence_number, "{name}: token");
    }
}

#[derive(Deserialize)]
struct LineFile {
    lines: Vec<LineVector>,
}

#[derive(Deserialize)]
struct LineVector {
    payload: String,
    row: Option<String>,
}

#[test]
fn a_thousand_random_payloads_are_what_another_parser_says() {
    let (rows, lines): (RowFile, LineFile) = (load("rows.json"), load("lines.json"));
    let metadata = rows.metadata.metadata();
    assert_eq!(lines.lines.len(), 1_000);
    for (number, line) in lines.lines.iter().enumerate() {
        let got = shaped(|out| append_row(line.payload.as_bytes(), Some(&metadata), ArrivalFormat::Iso, out));
        let expected = line.row.as_ref().map(|row| format!("{}\n", row.replace("@METADATA@", &rows.iso)));
        assert_eq!(got.ok(), expected, "line {number}");
    }
}

#[derive(Deserialize)]
struct AggregateFile {
    aggregates: Vec<AggregateVector>,
}

#[derive(Deserialize)]
struct AggregateVector {
    name: String,
    hex: String,
    records: Option<Vec<UserRecordVector>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserRecordVector {
    partition_key: String,
    explicit_hash_key: Option<String>,
    data_hex: String,
}

#[test]
fn every_aggregate_yields_its_records_or_itself() {
    let file: AggregateFile = load("aggregates.json");
    for vector in file.aggregates {
        let data = Bytes::from(unhex(&vector.hex));
        let name = &vector.name;
        match (deaggregate(data.clone()), vector.records) {
            (Expanded::Plain(whole), None) => assert_eq!(whole, data, "{name}"),
            (Expanded::Aggregate(records), Some(expected)) => {
                assert_eq!(records.len(), expected.len(), "{name}");
                for (record, expected) in records.iter().zip(&expected) {
                    assert_eq!(*record.partition_key, *expected.partition_key, "{name}");
                    assert_eq!(
                        record.explicit_hash_key.as_deref(),
                        expected.explicit_hash_key.as_deref(),
                        "{name}"
                    );
                    assert_eq!(record.data, unhex(&expected.data_hex), "{name}");
                }
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

#[derive(Deserialize)]
struct PositionFile {
    positions: Vec<PositionVector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PositionVector {
    sequence: String,
    sub_sequence: String,
    sharded: String,
    padded: String,
}

#[test]
fn positions_have_one_number_and_one_order() {
    let file: PositionFile = load("positions.json");
    let positions: Vec<(Position, ShardedNumber)> = file
        .positions
        .iter()
        .map(|vector| {
            let position =
                Position::new(vector.sequence.parse().unwrap(), vector.sub_sequence.parse().unwrap());
            assert_eq!(position.sharded().as_str(), vector.sharded);
            assert_eq!(position.padded(), vector.padded);
            let number: ShardedNumber = vector.sharded.parse().unwrap();
            assert_eq!(number.position().as_ref(), Some(&position));
            (position, number)
        })
        .collect();
    assert!(positions.len() > 10);
    for pair in positions.windows(2) {
        assert!(pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1, "{pair:?}");
    }
}
