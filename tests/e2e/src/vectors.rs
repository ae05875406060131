//! The corpus of payloads in `tests/vectors`.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// A payload and the row it becomes.
#[derive(Debug, Clone)]
pub struct Payload {
    /// What is special about it.
    pub name: String,
    /// Data of the Kinesis record.
    pub data: Vec<u8>,
    /// The row without its line feed, with [`METADATA`] for the spliced member; `None` when the payload is no row.
    pub row: Option<String>,
}

/// Stands for the member `"kinesisMetadata":{…}` in [`Payload::row`].
pub const METADATA: &str = "@METADATA@";

#[derive(Deserialize)]
struct File {
    rows: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    payload: Option<String>,
    payload_hex: Option<String>,
    payload_repeat: Option<Repeat>,
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

/// All payloads of `rows.json`.
///
/// # Errors
/// When the file cannot be read.
pub fn payloads() -> Result<Vec<Payload>, Error> {
    let file: File = read("rows.json")?;
    file.rows.into_iter().map(payload).collect()
}

#[derive(Deserialize)]
struct LineFile {
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    payload: String,
    row: Option<String>,
}

/// The thousand payloads of `lines.json`.
///
/// # Errors
/// When the file cannot be read.
pub fn lines() -> Result<Vec<Payload>, Error> {
    let file: LineFile = read("lines.json")?;
    let payload = |(number, line): (usize, Line)| Payload {
        name: format!("line {number}"),
        data: line.payload.into_bytes(),
        row: line.row,
    };
    Ok(file.lines.into_iter().enumerate().map(payload).collect())
}

fn read<T: DeserializeOwned>(name: &str) -> Result<T, Error> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(name);
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn payload(vector: Vector) -> Result<Payload, Error> {
    let data = match (&vector.payload, &vector.payload_hex, &vector.payload_repeat) {
        (Some(text), ..) => text.clone().into_bytes(),
        (_, Some(hex), _) => unhex(hex)?,
        (_, _, Some(r)) => {
            [&r.prefix, &r.unit.repeat(r.count), &r.middle, &r.closing.repeat(r.count), &r.suffix]
                .map(|part| part.as_bytes())
                .concat()
        }
        _ => return Err(format!("{} has no payload", vector.name).into()),
    };
    let row = match (vector.reject, vector.inject) {
        (Some(_), _) => None,
        (None, Some(row)) => Some(row),
        (None, None) => {
            let text = String::from_utf8(data.clone())?;
            Some(format!("{},{METADATA}}}", text.strip_suffix('}').unwrap_or(&text)))
        }
    };
    Ok(Payload { name: vector.name, data, row })
}

fn unhex(text: &str) -> Result<Vec<u8>, Error> {
    let digit = |at: usize| text.get(at..at + 2).map(|pair| u8::from_str_radix(pair, 16));
    (0..text.len()).step_by(2).map(|at| Ok(digit(at).ok_or("half a byte")??)).collect()
}

/// Data of a Kinesis record, and what it holds.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// What is special about it.
    pub name: String,
    /// Data of the Kinesis record.
    pub data: Vec<u8>,
    /// Partition key and payload of each user record; `None` when the record is no aggregate.
    pub records: Option<Vec<(String, Vec<u8>)>>,
}

#[derive(Deserialize)]
struct AggregateFile {
    aggregates: Vec<AggregateVector>,
}

#[derive(Deserialize)]
struct AggregateVector {
    name: String,
    hex: String,
    records: Option<Vec<UserRecord>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserRecord {
    partition_key: String,
    data_hex: String,
}

/// All records of `aggregates.json`.
///
/// # Errors
/// When the file cannot be read.
pub fn aggregates() -> Result<Vec<Aggregate>, Error> {
    let file: AggregateFile = read("aggregates.json")?;
    file.aggregates.into_iter().map(aggregate).collect()
}

fn aggregate(vector: AggregateVector) -> Result<Aggregate, Error> {
    let user_record = |record: UserRecord| Ok((record.partition_key, unhex(&record.data_hex)?));
    let records = vector.records.map(|records| records.into_iter().map(user_record).collect()).transpose();
    Ok(Aggregate { name: vector.name, data: unhex(&vector.hex)?, records: records.map_err(|e: Error| e)? })
}
