//! The table against the ledger: what is missing, what is there twice, and whether every row says rightly where it came
//! from.

use std::collections::HashMap;

use crate::producer::Sent;
use crate::{Result, Settings, SqlClient};

/// Numbers of records asked for by one statement.
const CHUNK: u64 = 10_000;
/// Examples kept of every kind of trouble.
const EXAMPLES: usize = 5;

/// What the comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Rows in the table.
    pub rows: u64,
    /// Good records without a row.
    pub missing: u64,
    /// Rows more than one for a record, and rows for what was never sent.
    pub duplicated: u64,
    /// Rows whose metadata differ from what Kinesis answered when the record was put.
    pub wrong_metadata: u64,
    /// Rows with another column that is not what was put.
    pub wrong_values: u64,
    /// A few of the findings, in words.
    pub examples: Vec<String>,
}

impl Audit {
    /// Whether every record is there once, with right metadata and values.
    pub fn is_clean(&self) -> bool {
        self.missing + self.duplicated + self.wrong_metadata + self.wrong_values == 0
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }
}

/// Columns with the metadata, in order.
const METADATA: &str = "kinesisMetadata:stream::VARCHAR, kinesisMetadata:shardId::VARCHAR, \
    kinesisMetadata:sequenceNumber::VARCHAR, kinesisMetadata:subSequenceNumber::VARCHAR, \
    kinesisMetadata:shardedSequenceNumber::VARCHAR, kinesisMetadata:partitionKey::VARCHAR, \
    kinesisMetadata:approximateArrival::VARCHAR";

/// How many they are.
const METADATA_COLUMNS: usize = 7;

/// Compares the table of `settings` with the ledger, a range of numbers at a time.
pub async fn compare(sql: &SqlClient, settings: &Settings, ledger: &[Sent]) -> Result<Audit> {
    let table = settings.full_table();
    let mut audit = Audit {
        rows: sql.query(&format!("SELECT COUNT(*) FROM {table}")).await?.number(),
        ..Audit::default()
    };
    if audit.rows == 0 {
        audit.missing = count(ledger.iter().filter(|sent| sent.good).count());
        return Ok(audit);
    }
    let shape = settings.shape;
    let mut columns = vec![shape.id()];
    columns.extend(shape.has_metadata().then_some(METADATA));
    columns.extend(shape.columns());
    let (columns, id) = (columns.join(", "), shape.id());
    let mut seen_in_ranges = 0;
    for part in ledger.chunk_by(|a, b| a.id / CHUNK == b.id / CHUNK) {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let statement = format!(
            "SELECT {columns} FROM {table} WHERE {id}::NUMBER >= {} AND {id}::NUMBER <= {}",
            first.id, last.id
        );
        let found = sql.query(&statement).await?;
        seen_in_ranges += count(found.rows.len());
        compare_part(&mut audit, settings, part, &found.rows);
    }
    let strangers = audit.rows.saturating_sub(seen_in_ranges);
    if strangers > 0 {
        audit.duplicated += strangers;
        audit.example(|| format!("{strangers} rows have a number that was never sent"));
    }
    Ok(audit)
}

fn compare_part(audit: &mut Audit, settings: &Settings, part: &[Sent], rows: &[Vec<Option<String>>]) {
    let mut open: HashMap<u64, (&Sent, u64)> =
        part.iter().filter(|sent| sent.good).map(|sent| (sent.id, (sent, 0))).collect();
    for row in rows {
        let id = row.first().and_then(|id| id.as_deref()?.parse().ok());
        let Some((sent, seen)) = id.and_then(|id: u64| open.get_mut(&id)) else {
            audit.duplicated += 1;
            audit.example(|| format!("a row for a record that is no row: {row:?}"));
            continue;
        };
        *seen += 1;
        if *seen > 1 {
            audit.duplicated += 1;
            let id = sent.id;
            audit.example(|| format!("record {id} is there again: {row:?}"));
        }
        let metadata = if settings.shape.has_metadata() { METADATA_COLUMNS } else { 0 };
        if metadata > 0
            && let Some(difference) = difference(&settings.stream, sent, row)
        {
            audit.wrong_metadata += 1;
            audit.example(|| difference);
        }
        let values = row.get(1 + metadata..).unwrap_or_default().iter().map(Option::as_deref);
        let expected = settings.shape.values(sent.id);
        if !values.clone().eq(expected.iter().map(|value| Some(value.as_str()))) {
            audit.wrong_values += 1;
            let id = sent.id;
            audit
                .example(|| format!("record {id}: {:?} instead of {expected:?}", values.collect::<Vec<_>>()));
        }
    }
    for (sent, _) in open.values().filter(|(_, seen)| *seen == 0) {
        audit.missing += 1;
        audit.example(|| {
            format!("record {} of {} at {} is missing", sent.id, sent.shard_id, sent.sequence_number)
        });
    }
}

/// What of a row's metadata is not as Kinesis said.
fn difference(stream: &str, sent: &Sent, row: &[Option<String>]) -> Option<String> {
    let sharded = format!("{}{}", sent.sequence_number, "0".repeat(20));
    let expected = [
        ("stream", stream),
        ("shardId", &sent.shard_id),
        ("sequenceNumber", &sent.sequence_number),
        ("subSequenceNumber", "0"),
        ("shardedSequenceNumber", &sharded),
        ("partitionKey", &sent.partition_key),
    ];
    for (column, (name, expected)) in expected.iter().enumerate() {
        let found = row.get(column + 1).and_then(Option::as_deref);
        if found != Some(*expected) {
            return Some(format!("record {}: {name} is {found:?} instead of {expected:?}", sent.id));
        }
    }
    let found = row.get(expected.len() + 1).and_then(Option::as_deref);
    let arrival = found.and_then(arrival_ms);
    let (from, to) = sent.put_between;
    if arrival.is_some_and(|arrival| (from..=to).contains(&arrival)) {
        return None;
    }
    Some(format!(
        "record {}: approximateArrival is {found:?}, but it was put between {from} and {to}",
        sent.id
    ))
}

/// `2025-11-05T09:12:15.300`, in UTC, as milliseconds since 1970. Nothing else is accepted: this is the documented form.
pub(crate) fn arrival_ms(text: &str) -> Option<i64> {
    if text.len() != "2025-11-05T09:12:15.300".len() {
        return None;
    }
    let time: jiff::civil::DateTime = text.parse().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    fn sent(id: u64, good: bool) -> Sent {
        Sent {
            id,
            good,
            partition_key: "key".to_owned(),
            shard_id: "shardId-000000000000".to_owned(),
            sequence_number: format!("4900{id}"),
            put_between: (1_762_333_935_000, 1_762_333_936_000),
        }
    }

    fn row(id: u64) -> Vec<Option<String>> {
        let number = format!("4900{id}");
        let sharded = format!("{number}{}", "0".repeat(20));
        let id = id.to_string();
        let texts =
            [&id, "orders", "shardId-000000000000", &number, "0", &sharded, "key", "2025-11-05T09:12:15.300"];
        let values = Shape::Standard.values(number[4..].parse().unwrap());
        texts.iter().map(|text| Some((*text).to_owned())).chain(values.into_iter().map(Some)).collect()
    }

    fn audit(rows: &[Vec<Option<String>>]) -> Audit {
        let mut audit = Audit::default();
        let settings = Settings::new("orders", "ORDERS");
        compare_part(&mut audit, &settings, &[sent(1, true), sent(2, true), sent(3, false)], rows);
        audit
    }

    #[test]
    fn a_faithful_table_is_clean() {
        let audit = audit(&[row(2), row(1)]);
        assert!(audit.is_clean(), "{audit:?}");
    }

    #[test]
    fn every_kind_of_trouble_is_counted() {
        assert_eq!(audit(&[row(1)]).missing, 1);
        assert_eq!(audit(&[row(1), row(2), row(2)]).duplicated, 1);
        assert_eq!(audit(&[row(1), row(2), row(3)]).duplicated, 1, "a bad record has no row");
        for column in 1..8 {
            let mut wrong = row(2);
            wrong[column] = Some("1".to_owned());
            assert_eq!(audit(&[row(1), wrong]).wrong_metadata, 1, "column {column}");
        }
        let mut late = row(2);
        late[7] = Some("2025-11-05T09:12:17.300".to_owned());
        assert_eq!(audit(&[row(1), late]).wrong_metadata, 1);
        let mut changed = row(2);
        changed[9] = Some("1".to_owned());
        assert_eq!(audit(&[row(1), changed]).wrong_values, 1);
    }
}
