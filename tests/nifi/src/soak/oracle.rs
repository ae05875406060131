//! The table against the ledger: every record where it belongs, once, rightly labelled and in order.

use std::collections::HashMap;

use local_cloud::LocalCloud;
use serde::Serialize;

use super::told::Told;
use super::writer::{Fate, Written};
use crate::audit::arrival_ms;
use crate::{Error, Result, Settings};

/// Findings kept in words.
const EXAMPLES: usize = 200;

/// What the comparison found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Findings {
    /// Records put.
    pub sent: u64,
    /// Rows in the table.
    pub rows: u64,
    /// Rows in the error table.
    pub rejected: u64,
    /// Records that should be rows and are not.
    pub missing: u64,
    /// Rows more than one for a record, and rows of what can be no row.
    pub duplicated: u64,
    /// Rows whose metadata are not what Kinesis said, or whose content is another record's.
    pub mislabelled: u64,
    /// Rows before an earlier record of the same key and shard.
    pub out_of_order: u64,
    /// Records that the table must refuse and that the error table has not exactly once.
    pub unaccounted_rejected: u64,
    /// FlowFiles at `invalid`.
    pub invalid: u64,
    /// FlowFiles at `parse-failure`.
    pub parse_failures: u64,
    /// Rejected rows and unreadable payloads that were told more than once, as a kill allows.
    pub told_twice: u64,
    /// Rejected rows that came back after a kill and of which only a message tells.
    pub told_by_message: u64,
    /// Records that the table refuses and that neither a FlowFile at `invalid` nor a message tells of.
    pub untold_rejected: u64,
    /// Records that are no rows and are not at `parse-failure` byte for byte, and FlowFiles there that are no such record.
    pub wrong_failures: u64,
    /// Appends committed in a wrong order, as the local Snowflake saw them.
    pub violations: u64,
    /// Findings in words, the first ones.
    pub examples: Vec<String>,
}

impl Findings {
    /// Whether there is nothing to complain about.
    pub fn is_clean(&self) -> bool {
        let troubles = self.missing + self.duplicated + self.mislabelled + self.out_of_order;
        let untold = self.unaccounted_rejected + self.untold_rejected + self.wrong_failures;
        troubles + untold + self.violations == 0
    }

    pub(super) fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }
}

/// Records with this fate.
pub fn expected(ledger: &[Written], fate: Fate) -> u64 {
    count(ledger.iter().filter(|line| line.fate == fate).count())
}

/// Compares.
pub fn compare(cloud: &LocalCloud, settings: &Settings, ledger: &[Written], told: &Told) -> Result<Findings> {
    let table = settings.full_table();
    let rows = select(
        cloud,
        &format!(
            "SELECT ID, K, N, kinesisMetadata:stream::VARCHAR, kinesisMetadata:shardId::VARCHAR, \
             kinesisMetadata:sequenceNumber::VARCHAR, kinesisMetadata:subSequenceNumber::VARCHAR, \
             kinesisMetadata:shardedSequenceNumber::VARCHAR, kinesisMetadata:partitionKey::VARCHAR, \
             kinesisMetadata:approximateArrival::VARCHAR FROM {table}"
        ),
    )?;
    let refused = select(cloud, &format!("SELECT error_data:id::VARCHAR FROM ERROR_TABLE({table})"))?;
    let mut findings = Findings {
        sent: count(ledger.len()),
        rows: count(rows.len()),
        rejected: count(refused.len()),
        ..Findings::default()
    };
    let lines: HashMap<u64, &Written> = ledger.iter().map(|line| (line.id, line)).collect();
    check_rows(&mut findings, &settings.stream, &lines, &rows);
    check_refused(&mut findings, &lines, &refused);
    told.check(&mut findings, ledger);
    let violations = cloud.snowflake().audit().map_err(|error| Error::Unexpected(error.to_string()))?;
    for violation in violations {
        findings.violations += 1;
        findings.example(|| violation);
    }
    Ok(findings)
}

type Rows = Vec<Vec<Option<String>>>;

fn select(cloud: &LocalCloud, statement: &str) -> Result<Rows> {
    let answer = cloud.snowflake().sql(statement);
    Ok(answer.map_err(|error| Error::Unexpected(format!("{statement}: {error}")))?.rows)
}

fn check_rows(findings: &mut Findings, stream: &str, lines: &HashMap<u64, &Written>, rows: &Rows) {
    let mut seen: HashMap<u64, u64> = HashMap::new();
    // Rows of a shard go through one channel and stand in the table in the order of their commits.
    let mut latest: HashMap<(u32, &str), u64> = HashMap::new();
    for row in rows {
        let id: Option<u64> = row.first().and_then(|id| id.as_deref()?.parse().ok());
        let Some(line) = id.and_then(|id| lines.get(&id)).filter(|line| line.fate == Fate::Row) else {
            findings.duplicated += 1;
            findings.example(|| format!("a row of what can be no row: {row:?}"));
            continue;
        };
        let times = seen.entry(line.id).or_default();
        *times += 1;
        if *times > 1 {
            findings.duplicated += 1;
            findings.example(|| format!("again: {line:?}"));
            continue;
        }
        if let Some(difference) = difference(stream, line, row) {
            findings.mislabelled += 1;
            findings.example(|| difference);
        }
        let latest = latest.entry((line.key, &line.shard)).or_default();
        if *latest > line.n {
            findings.out_of_order += 1;
            let latest = *latest;
            findings.example(|| format!("after number {latest} of its key: {line:?}"));
        }
        *latest = line.n.max(*latest);
    }
    for line in lines.values().filter(|line| line.fate == Fate::Row && !seen.contains_key(&line.id)) {
        findings.missing += 1;
        findings.example(|| format!("missing: {line:?}"));
    }
}

fn check_refused(findings: &mut Findings, lines: &HashMap<u64, &Written>, refused: &Rows) {
    let mut times: HashMap<u64, u64> = HashMap::new();
    for row in refused {
        let id: Option<u64> = row.first().and_then(|id| id.as_deref()?.parse().ok());
        match id.and_then(|id| lines.get(&id)).filter(|line| line.fate == Fate::Rejected) {
            Some(line) => *times.entry(line.id).or_default() += 1,
            None => {
                findings.unaccounted_rejected += 1;
                findings.example(|| format!("refused without reason: {row:?}"));
            }
        }
    }
    for line in lines.values().filter(|line| line.fate == Fate::Rejected) {
        let times = times.get(&line.id).copied().unwrap_or(0);
        if times != 1 {
            findings.unaccounted_rejected += 1;
            findings.example(|| format!("{times} times in the error table: {line:?}"));
        }
    }
}

fn difference(stream: &str, line: &Written, row: &[Option<String>]) -> Option<String> {
    let expected = [
        line.id.to_string(),
        line.partition_key(),
        line.n.to_string(),
        stream.to_owned(),
        line.shard.clone(),
        line.sequence.clone(),
        line.sub.to_string(),
        line.position(),
        line.partition_key(),
    ];
    for (column, expected) in expected.iter().enumerate() {
        let found = row.get(column).and_then(Option::as_deref);
        if found != Some(expected) {
            return Some(format!("column {column} is {found:?} instead of {expected:?}: {line:?}"));
        }
    }
    let arrival = row.get(expected.len()).and_then(|text| arrival_ms(text.as_deref()?));
    let (from, to) = line.between;
    let right = arrival.is_some_and(|arrival| (from..=to).contains(&arrival));
    (!right).then(|| format!("arrived at {arrival:?}: {line:?}"))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u64, n: u64, fate: Fate) -> Written {
        let (shard, sequence) = ("shardId-000000000000".to_owned(), format!("4900{id}"));
        Written {
            id,
            key: 5,
            n,
            fate,
            shard,
            sequence,
            sub: 1,
            between: (1_762_333_935_000, 1_762_333_936_000),
        }
    }

    fn row(line: &Written) -> Vec<Option<String>> {
        let sharded = format!("{}{:020}", line.sequence, 1);
        let (id, n) = (line.id.to_string(), line.n.to_string());
        let texts: [&str; 10] = [
            &id,
            "key-5",
            &n,
            "s",
            &line.shard,
            &line.sequence,
            "1",
            &sharded,
            "key-5",
            "2025-11-05T09:12:15.300",
        ];
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    fn check(rows: &Rows, refused: &[u64]) -> Findings {
        let ledger = [
            line(1, 1, Fate::Row),
            line(2, 2, Fate::Row),
            line(3, 3, Fate::Rejected),
            line(4, 4, Fate::Unreadable),
        ];
        let lines = ledger.iter().map(|line| (line.id, line)).collect();
        let mut findings = Findings::default();
        check_rows(&mut findings, "s", &lines, rows);
        check_refused(&mut findings, &lines, &refused.iter().map(|id| vec![Some(id.to_string())]).collect());
        findings
    }

    #[test]
    fn a_faithful_table_is_clean_and_every_trouble_is_counted() {
        let (one, two) = (row(&line(1, 1, Fate::Row)), row(&line(2, 2, Fate::Row)));
        let clean = check(&vec![one.clone(), two.clone()], &[3]);
        assert!(clean.is_clean(), "{clean:?}");
        assert_eq!(check(&vec![one.clone()], &[3]).missing, 1);
        assert_eq!(check(&vec![one.clone(), two.clone(), two.clone()], &[3]).duplicated, 1);
        assert_eq!(check(&vec![two.clone(), one.clone()], &[3]).out_of_order, 1);
        assert_eq!(check(&vec![one.clone(), two.clone(), row(&line(4, 4, Fate::Row))], &[3]).duplicated, 1);
        assert_eq!(check(&vec![one.clone(), two.clone()], &[]).unaccounted_rejected, 1);
        assert_eq!(check(&vec![one.clone(), two.clone()], &[3, 3]).unaccounted_rejected, 1);
        for column in 1..10 {
            let mut wrong = two.clone();
            wrong[column] = Some("x".to_owned());
            assert_eq!(check(&vec![one.clone(), wrong], &[3]).mislabelled, 1, "column {column}");
        }
    }
}
