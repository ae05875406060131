//! The account: every record that a channel has passed is in its table once, or was refused.

use std::collections::HashMap;

use local_snowflake::{ChannelView, SqlError, TableView};
use serde_json::{Value, json};

use super::state::{Sources, belongs, sequence};
use crate::kinesis::Record;

/// Shards with more records than this are not gone through.
const MOST_RECORDS: u64 = 1_000_000;
/// Findings named of each shard; the rest is counted.
const NAMED: usize = 20;
/// What a KPL aggregate begins with.
const KPL: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

/// How often something with a position was seen: by shard and sequence number, then by table and sub-sequence number.
type Seen = HashMap<(String, String), HashMap<(usize, String), u64>>;

/// What was found, and per shard of every stream what was compared.
///
/// Appends are checked for order and repetition in every channel. Where rows have the column `KINESISMETADATA`, the
/// records of each shard up to its channel's committed token are looked for in the tables and their error tables.
pub(super) fn check(sources: &Sources) -> Result<Value, SqlError> {
    let mut found = sources.snowflake.audit()?;
    let snapshot = sources.snowflake.snapshot();
    let (mut rows, mut refused, mut unnamed) = (Seen::new(), Seen::new(), 0);
    for (number, table) in snapshot.tables.iter().enumerate().filter(|(_, table)| has_metadata(table)) {
        let path = sources.path(table);
        collect(sources, (number, &path), "kinesisMetadata", &mut rows)?;
        if table.error_rows > 0 {
            let errors = format!("ERROR_TABLE({path})");
            collect(sources, (number, &errors), "error_data:kinesisMetadata", &mut refused)?;
        }
    }
    let judged = snapshot.tables.iter().any(has_metadata);
    let mut shards = Vec::new();
    for stream in sources.front.kinesis.streams() {
        for shard in sources.front.kinesis.shards(&stream).unwrap_or_default() {
            let own = |channel: &&ChannelView| belongs(channel, &stream, &shard.id);
            let channels: Vec<_> = snapshot.channels.iter().filter(own).collect();
            let Some(end) = reached(&channels) else { continue };
            if !judged || shard.records > MOST_RECORDS {
                continue;
            }
            let records = sources.front.kinesis.records(&stream, &shard.id).unwrap_or_default();
            let mut tally = Tally::default();
            let passed = records.iter().filter(|record| record.sequence_number.as_str() <= end);
            passed.for_each(|record| tally.take(&shard.id, record, &rows, &refused));
            // Without an error table a refused row has no name, only a number.
            let errors: u64 = channels.iter().map(|channel| channel.rows_error_count).sum();
            let excused = errors.saturating_sub(tally.refused).min(tally.missing);
            tally.missing -= excused;
            unnamed += excused;
            found.extend(tally.findings(&stream, &shard.id));
            shards.push(tally.shown(&stream, &shard.id, end));
        }
    }
    Ok(json!({ "ok": found.is_empty(), "found": found, "refused_without_name": unnamed, "shards": shards }))
}

/// The highest sequence number that one of the channels has committed.
fn reached<'a>(channels: &[&'a ChannelView]) -> Option<&'a str> {
    let tokens = channels.iter().filter_map(|channel| channel.committed_offset_token.as_deref());
    tokens.filter_map(sequence).max_by_key(|number| (number.len(), *number))
}

fn has_metadata(table: &TableView) -> bool {
    table.columns.iter().any(|(name, _)| name == "KINESISMETADATA")
}

/// Counts the positions in a table or error table.
fn collect(
    sources: &Sources,
    (table, from): (usize, &str),
    metadata: &str,
    seen: &mut Seen,
) -> Result<(), SqlError> {
    let fields = ["shardId", "sequenceNumber", "subSequenceNumber"];
    let columns = fields.map(|field| format!("{metadata}:{field}::VARCHAR")).join(", ");
    let statement = format!("SELECT {columns} FROM {from}");
    for row in sources.snowflake.sql_as("ACCOUNTADMIN", &statement)?.rows {
        let mut cells = row.into_iter();
        let mut next = || cells.next().flatten().unwrap_or_default();
        let (shard, sequence, sub) = (next(), next(), next());
        *seen.entry((shard, sequence)).or_default().entry((table, sub)).or_default() += 1;
    }
    Ok(())
}

/// What became of the records of one shard.
#[derive(Default)]
struct Tally {
    records: u64,
    rows: u64,
    refused: u64,
    no_row: u64,
    missing: u64,
    repeated: u64,
    named: Vec<String>,
}

impl Tally {
    fn take(&mut self, shard: &str, record: &Record, rows: &Seen, refused: &Seen) {
        self.records += 1;
        let key = (shard.to_owned(), record.sequence_number.clone());
        let there: u64 = rows.get(&key).map_or(0, |subs| subs.values().sum());
        let repeated: u64 = rows.get(&key).map_or(0, |subs| subs.values().map(|count| count - 1).sum());
        let errors: u64 = refused.get(&key).map_or(0, |subs| subs.values().sum());
        self.rows += there;
        self.refused += errors;
        self.repeated += repeated;
        if there + errors > 0 {
            return;
        }
        if record.data.starts_with(&KPL) || is_object(&record.data) {
            self.missing += 1;
            if self.named.len() < NAMED {
                self.named.push(record.sequence_number.clone());
            }
        } else {
            self.no_row += 1;
        }
    }

    fn findings(&self, stream: &str, shard: &str) -> Vec<String> {
        let mut found = Vec::new();
        if self.missing > 0 {
            let (missing, named) = (self.missing, self.named.join(", "));
            found.push(format!("{stream} {shard}: {missing} records have no row, among them {named}"));
        }
        if self.repeated > 0 {
            found.push(format!("{stream} {shard}: {} rows more than there are records", self.repeated));
        }
        found
    }

    fn shown(&self, stream: &str, shard: &str, end: &str) -> Value {
        json!({
            "stream": stream,
            "shard": shard,
            "up_to": end,
            "records": self.records,
            "rows": self.rows,
            "refused_rows": self.refused,
            "no_json_object": self.no_row,
            "missing": self.missing,
            "duplicated": self.repeated,
        })
    }
}

/// Whether the payload is exactly one JSON object.
fn is_object(data: &[u8]) -> bool {
    // What is ignored is not checked for UTF-8 by the parser.
    let object = |text| serde_json::from_str::<HashMap<String, serde::de::IgnoredAny>>(text).is_ok();
    std::str::from_utf8(data).is_ok_and(object)
}
