//! What the connector tells of records that are no rows: the FlowFiles at `invalid` and at `parse-failure`, and the
//! messages about rows that were found stored after a crash.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::keep;
use super::oracle::Findings;
use super::site::Node;
use super::writer::{Fate, REFUSED_VALUE, Written};
use crate::rest::wait_for;
use crate::{Connector, Error, Result};

const PROCESSOR: &str = "PROCESSOR";
/// Said when rows of a FlowFile that came back may have been rejected before. Its FlowFile is a success.
const CAME_BACK: &str = "FlowFiles came back whose rows were stored before";

/// Where a node keeps what is told.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// Has what a stopped flow routes to `invalid` and `parse-failure` written into `folder`.
    pub async fn put_up(connector: &Connector, folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).map_err(Error::io(format!("creating {}", folder.display())))?;
        let Connector { rest, group, consumer, publisher, .. } = connector;
        for connection in rest.connections(group).await? {
            if connection.selected_relationships == ["invalid"] {
                rest.disconnect(&connection.id).await?;
            }
        }
        rest.terminate_only(consumer, &[]).await?;
        let keeper = rest.add_processor(group, keep::CLASS).await?;
        rest.set_properties(&keeper, json!({ "Folder": folder })).await?;
        for (processor, relationship) in [(publisher, "invalid"), (consumer, "parse-failure")] {
            rest.connect(group, (processor, PROCESSOR), &[relationship], (&keeper, PROCESSOR), 0).await?;
        }
        Ok(Self { folder })
    }

    /// Files on it.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let failed = || Error::io(format!("reading {}", self.folder.display()));
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed())? {
            files.push(entry.map_err(failed())?.path());
        }
        Ok(files)
    }
}

/// Everything that was told, of all nodes.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// FlowFiles at `invalid`.
    invalid: u64,
    /// How often each rejected row is in one of them, by shard and position.
    rows: HashMap<(String, String), u64>,
    /// Payloads at `parse-failure`, by shard and position.
    failures: HashMap<(String, String), Vec<Vec<u8>>>,
    /// Messages about rows that were found stored.
    messages: Vec<String>,
}

impl Told {
    /// Reads the shelves and logs of nodes whose flow is stopped.
    pub async fn read(nodes: &[Arc<Node>]) -> Result<Self> {
        let mut told = Self::default();
        for node in nodes {
            for file in node.shelf.files()? {
                told.take(&name(&file), read(&file)?);
            }
            let log = read(&node.nifi.lock().await.log())?;
            let log = String::from_utf8_lossy(&log);
            told.messages.extend(log.lines().filter(|line| line.contains(CAME_BACK)).map(str::to_owned));
        }
        Ok(told)
    }

    /// A FlowFile by the name that it was kept under.
    fn take(&mut self, name: &str, content: Vec<u8>) {
        if let ["failure", shard, position, _] = name.split('~').collect::<Vec<_>>()[..] {
            self.failures.entry((shard.to_owned(), position.to_owned())).or_default().push(content);
            return;
        }
        self.invalid += 1;
        let text = String::from_utf8_lossy(&content);
        for line in text.lines().filter(|line| line.contains(REFUSED_VALUE)) {
            let row: Value = serde_json::from_str(line).unwrap_or_default();
            let metadata = |name: &str| row["kinesisMetadata"][name].as_str().unwrap_or_default().to_owned();
            *self.rows.entry((metadata("shardId"), metadata("shardedSequenceNumber"))).or_default() += 1;
        }
    }

    /// Whether a message says that the row, which was found stored, may have been rejected.
    fn message_covers(&self, line: &Written) -> bool {
        self.messages.iter().any(|message| {
            let last = message.split_once("the last one at or before ").map_or("", |(_, rest)| rest);
            let last = last.split(':').next().unwrap_or_default();
            let position = line.position();
            message.contains(&line.shard) && (last.len(), last) >= (position.len(), position.as_str())
        })
    }

    /// Compares with the ledger. A kill may have both told twice, and a message is enough for a row that came back.
    pub fn check(&self, findings: &mut Findings, ledger: &[Written]) {
        findings.invalid = self.invalid;
        for line in ledger.iter().filter(|line| line.fate == Fate::Rejected) {
            let times = self.rows.get(&(line.shard.clone(), line.position())).copied().unwrap_or(0);
            findings.told_twice += u64::from(times > 1);
            if times == 0 && self.message_covers(line) {
                findings.told_by_message += 1;
            } else if times == 0 {
                findings.untold_rejected += 1;
                findings.example(|| format!("rejected, and in no FlowFile at invalid: {line:?}"));
            }
        }
        let mut known = 0;
        for line in ledger.iter().filter(|line| line.fate == Fate::Unreadable) {
            let payloads = self.failures.get(&(line.shard.clone(), line.position()));
            let payloads = payloads.map_or(&[][..], Vec::as_slice);
            known += payloads.len();
            findings.told_twice += u64::from(payloads.len() > 1);
            if payloads.is_empty() || payloads.iter().any(|payload| *payload != line.payload()) {
                findings.wrong_failures += 1;
                findings.example(|| format!("at parse-failure as {payloads:?}: {line:?}"));
            }
        }
        let all: usize = self.failures.values().map(Vec::len).sum();
        findings.parse_failures = u64::try_from(all).unwrap_or(u64::MAX);
        findings.wrong_failures += u64::try_from(all - known).unwrap_or(u64::MAX);
        if all > known {
            findings
                .example(|| format!("{} FlowFiles at parse-failure that are no such record", all - known));
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(Error::io(format!("reading {}", file.display())))
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Waits until nothing is on its way through a flow, and so many payloads that are no rows are kept.
pub(super) async fn settled(nodes: &[Arc<Node>], unreadable: u64, limit: Duration) -> Result<()> {
    let waited = wait_for("empty queues", limit, || async {
        let (mut waiting, mut kept) = (0, 0);
        for node in nodes {
            waiting += node.connector.rest.queued(&node.connector.group).await?.flow_files_queued;
            kept += node.shelf.files()?.iter().filter(|file| name(file).starts_with("failure")).count();
        }
        Ok((waiting == 0 && u64::try_from(kept).unwrap_or(u64::MAX) >= unreadable).then_some(()))
    });
    match waited.await {
        // The comparison says what is missing.
        Err(Error::Timeout { .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u64, fate: Fate) -> Written {
        let (shard, sequence) = ("shardId-000000000001".to_owned(), format!("4900{id}"));
        Written { id, key: 5, n: id, fate, shard, sequence, sub: 0, between: (0, 0) }
    }

    fn invalid(told: &mut Told, rows: &[u64]) {
        let rows = rows.iter().map(|id| {
            let position = line(*id, Fate::Rejected).position();
            format!(
                "{{\"id\": {id}, \"qty\": {REFUSED_VALUE}, \"kinesisMetadata\":{{\"shardId\":\"shardId-000000000001\",\
                 \"shardedSequenceNumber\":\"{position}\"}}}}\n"
            )
        });
        told.take("invalid~1", rows.collect::<String>().into_bytes());
    }

    fn failure(told: &mut Told, line: &Written, payload: &[u8]) {
        told.take(&format!("failure~{}~{}~1", line.shard, line.position()), payload.to_vec());
    }

    fn check(told: &Told) -> Findings {
        let ledger = [
            line(1, Fate::Row),
            line(2, Fate::Rejected),
            line(3, Fate::Rejected),
            line(75, Fate::Unreadable),
        ];
        let mut findings = Findings::default();
        told.check(&mut findings, &ledger);
        findings
    }

    #[test]
    fn what_is_told_once_or_twice_is_clean_and_what_is_not_told_is_found() {
        let unreadable = line(75, Fate::Unreadable);
        let mut told = Told::default();
        invalid(&mut told, &[2]);
        failure(&mut told, &unreadable, &unreadable.payload());
        assert_eq!(check(&told).untold_rejected, 1, "row 3 is in no FlowFile");
        invalid(&mut told, &[2, 3]);
        let found = check(&told);
        assert!(found.is_clean(), "{found:?}");
        assert_eq!((found.invalid, found.parse_failures, found.told_twice), (2, 1, 1));
        failure(&mut told, &unreadable, b"cut");
        assert_eq!(check(&told).wrong_failures, 1, "another payload");
        told.failures.clear();
        assert_eq!(check(&told).wrong_failures, 1, "no payload");
        failure(&mut told, &unreadable, &unreadable.payload());
        failure(&mut told, &line(1, Fate::Row), b"a row");
        assert_eq!(check(&told).wrong_failures, 1, "a record that is a row");
    }

    #[test]
    fn a_message_covers_rows_of_its_channel_up_to_the_last_rejected_one() {
        let mut told = Told::default();
        invalid(&mut told, &[2]);
        let unreadable = line(75, Fate::Unreadable);
        failure(&mut told, &unreadable, &unreadable.payload());
        for (shard, last, untold) in [
            ("shardId-000000000001", line(3, Fate::Rejected).position(), 0),
            ("shardId-000000000001", line(2, Fate::Rejected).position(), 1),
            ("shardId-000000000002", line(3, Fate::Rejected).position(), 1),
        ] {
            told.messages = vec![format!(
                "channel \"s.1.{shard}\": {CAME_BACK}: they are success. Snowflake has rejected 2 row(s) of the channel \
                 until then, the last one at or before {last}: Numeric value"
            )];
            let found = check(&told);
            assert_eq!(
                (found.untold_rejected, found.told_by_message),
                (untold, 1 - untold),
                "{shard} {last}"
            );
        }
    }
}
