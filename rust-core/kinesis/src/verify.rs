//! Checks a configuration against the services without consuming or changing anything.

use crate::api::StreamApi;
use crate::aws::{Clients, Stream};
use crate::config::SourceConfig;
use crate::core::{place, within};
use crate::dynamo::Table;
use crate::position::Start;
use crate::prepare::unusable;
use crate::store::{LeaseStore, TableState};
use crate::trouble::{Place, Service, Trouble};
use std::sync::Arc;
use std::time::Duration;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The step works.
    Successful,
    /// The step does not work; the explanation says what to do.
    Failed,
    /// Not tried, because an earlier step failed or because trying would change something.
    Skipped,
}

impl Verdict {
    /// NiFi's name of the outcome.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Successful => "SUCCESSFUL",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "SKIPPED",
        }
    }
}

/// One line of the answer to NiFi's *Verify* button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub step: String,
    /// How it ended.
    pub outcome: Verdict,
    /// For a person.
    pub explanation: String,
}

/// Longest time of one call; a person is waiting.
const LIMIT: Duration = Duration::from_secs(5);

const STREAM: &str = "Find the stream";
const SHARDS: &str = "List the shards";
const READ: &str = "Read records";
const TABLE: &str = "Find the checkpoint table";
const ROWS: &str = "Read the checkpoints";

fn finding(step: &str, outcome: Verdict, explanation: impl Into<String>) -> Finding {
    Finding { step: step.to_owned(), outcome, explanation: explanation.into() }
}

/// All checks, in the order in which they matter.
pub(crate) async fn verify(config: &SourceConfig) -> Vec<Finding> {
    let clients = Arc::new(Clients::new(config.clone()));
    let place = place(config);
    let mut findings = stream(&Stream::new(clients.clone()), &place).await;
    findings.extend(table(&Table::new(clients), &place).await);
    findings
}

fn failed(step: &str, trouble: &Trouble, place: &Place) -> Finding {
    finding(step, Verdict::Failed, trouble.explain(place))
}

async fn stream(api: &dyn StreamApi, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    match within(LIMIT, Service::Kinesis, "DescribeStream", api.describe()).await {
        Ok(info) if info.readable => {
            findings.push(finding(STREAM, Verdict::Successful, format!("The stream is {}.", info.status)));
        }
        Ok(info) => {
            let text = format!("The stream is {} and cannot be read yet.", info.status);
            findings.push(finding(STREAM, Verdict::Failed, text));
        }
        Err(trouble) => {
            findings.push(failed(STREAM, &trouble, place));
            findings.push(finding(SHARDS, Verdict::Skipped, "The stream was not found."));
            findings.push(finding(READ, Verdict::Skipped, "The stream was not found."));
            return findings;
        }
    }
    let shards = match within(LIMIT, Service::Kinesis, "ListShards", api.list_shards()).await {
        Ok(shards) => shards,
        Err(trouble) => {
            findings.push(failed(SHARDS, &trouble, place));
            findings.push(finding(READ, Verdict::Skipped, "No shard is known."));
            return findings;
        }
    };
    let open = shards.iter().filter(|s| !s.closed).count();
    let text = format!("{open} open shards, {} closed ones.", shards.len() - open);
    findings.push(finding(SHARDS, Verdict::Successful, text));
    let Some(shard) = shards.iter().find(|s| !s.closed).or(shards.first()) else {
        findings.push(finding(READ, Verdict::Skipped, "The stream has no shard."));
        return findings;
    };
    findings.push(match read(api, &shard.id).await {
        Ok(()) => finding(READ, Verdict::Successful, format!("Shard {} can be read.", shard.id)),
        Err(trouble) => failed(READ, &trouble, place),
    });
    findings
}

/// Reads at most one record and forgets it. Reading has no effect on positions; it only counts as one call.
async fn read(api: &dyn StreamApi, shard: &str) -> Result<(), Trouble> {
    let start = Start::TrimHorizon;
    let iterator = within(LIMIT, Service::Kinesis, "GetShardIterator", api.iterator(shard, &start)).await?;
    within(LIMIT, Service::Kinesis, "GetRecords", api.records(&iterator, 1)).await.map(|_| ())
}

async fn table(store: &dyn LeaseStore, place: &Place) -> Vec<Finding> {
    let state = match within(LIMIT, Service::DynamoDb, "DescribeTable", store.table()).await {
        Ok(state) => state,
        Err(trouble) => {
            return vec![
                failed(TABLE, &trouble, place),
                finding(ROWS, Verdict::Skipped, "The table was not found."),
            ];
        }
    };
    let table = &place.table;
    let (verdict, text) = match &state {
        TableState::Ready => (Verdict::Successful, format!("Table \"{table}\" is ready.")),
        TableState::Missing => (
            Verdict::Skipped,
            format!(
                "Table \"{table}\" does not exist; it is created at the first start, with dynamodb:CreateTable."
            ),
        ),
        TableState::NotReady(status) => (Verdict::Failed, format!("Table \"{table}\" is {status}.")),
        TableState::Legacy | TableState::Foreign(_) => (Verdict::Failed, unusable(table, &state)),
    };
    let mut findings = vec![finding(TABLE, verdict, text)];
    findings.push(if state == TableState::Ready {
        match within(LIMIT, Service::DynamoDb, "Query", store.rows()).await {
            Ok(rows) => {
                finding(ROWS, Verdict::Successful, format!("{} shards are known.", rows.shards.len()))
            }
            Err(trouble) => failed(ROWS, &trouble, place),
        }
    } else {
        finding(ROWS, Verdict::Skipped, "There is no usable table yet.")
    });
    findings
}
