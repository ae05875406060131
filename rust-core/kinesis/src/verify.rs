//! Checks a configuration against the services without consuming or changing anything.

mod sample;

use crate::api::{ShardInfo, StreamApi};
use crate::aws::{Clients, Stream};
use crate::config::{ConsumerType, ProcessingStrategy, SourceConfig};
use crate::core::{place, within};
use crate::dynamo::Table;
use crate::explain::Place;
use crate::prepare::unusable;
use crate::store::{Holder, LeaseStore, TableState};
use crate::trouble::{Kind, Service, Trouble};
use bulletin::{Finding, Verdict};
use sample::Sample;
use std::sync::Arc;
use std::time::Duration;

/// Longest time of one call; a person is waiting.
const LIMIT: Duration = Duration::from_secs(5);

const STREAM: &str = "Find the stream";
const SHARDS: &str = "List the shards";
const READ: &str = "Read records";
const PARSE: &str = "Parse a sample of records";
const CONSUMER: &str = "Find the fan-out consumer";
const TABLE: &str = "Find the checkpoint table";
const ROWS: &str = "Read the checkpoints";
const WRITE: &str = "Write the checkpoints";
/// Sort key of a row that nobody makes.
const NO_SHARD: &str = "__verify__";

/// All checks, in the order in which they matter.
pub(crate) async fn verify(config: &SourceConfig) -> Vec<Finding> {
    let clients = Arc::new(Clients::new(config.clone()));
    verify_in(config, &Stream::new(clients.clone()), &Table::new(clients)).await
}

/// As [`verify`], in any world.
async fn verify_in(config: &SourceConfig, api: &dyn StreamApi, store: &dyn LeaseStore) -> Vec<Finding> {
    let mut checks = Checks { config, place: place(config), findings: Vec::new() };
    checks.stream(api).await;
    checks.table(store).await;
    checks.findings
}

struct Checks<'a> {
    config: &'a SourceConfig,
    place: Place,
    findings: Vec<Finding>,
}

impl Checks<'_> {
    fn add(&mut self, step: &str, outcome: Verdict, explanation: impl Into<String>) {
        self.findings.push(Finding::new(step, outcome, explanation));
    }

    fn failed(&mut self, step: &str, trouble: &Trouble) {
        let text = trouble.explain(&self.place);
        self.add(step, Verdict::Failed, text);
    }

    fn skipped(&mut self, steps: &[&str], why: &str) {
        for step in steps {
            self.add(step, Verdict::Skipped, why);
        }
    }

    fn fans_out(&self) -> bool {
        self.config.consumer_type == ConsumerType::EnhancedFanOut
    }

    async fn stream(&mut self, api: &dyn StreamApi) {
        let arn = match within(LIMIT, Service::Kinesis, "DescribeStream", api.describe()).await {
            Ok(info) => {
                let (verdict, text) = if info.readable {
                    (Verdict::Successful, format!("The stream is {}.", info.status))
                } else {
                    (Verdict::Failed, format!("The stream is {} and cannot be read yet.", info.status))
                };
                self.add(STREAM, verdict, text);
                info.arn
            }
            Err(trouble) => {
                self.failed(STREAM, &trouble);
                self.skipped(&[SHARDS, READ, PARSE], "The stream was not found.");
                return;
            }
        };
        match within(LIMIT, Service::Kinesis, "ListShards", api.list_shards()).await {
            Ok(shards) => self.records(api, &shards).await,
            Err(trouble) => {
                self.failed(SHARDS, &trouble);
                self.skipped(&[READ, PARSE], "No shard is known.");
            }
        }
        if self.fans_out() {
            self.consumer(api, &arn).await;
        }
    }

    async fn records(&mut self, api: &dyn StreamApi, shards: &[ShardInfo]) {
        let open = shards.iter().filter(|s| !s.closed).count();
        let text = format!("{open} open shards, {} closed ones.", shards.len() - open);
        self.add(SHARDS, Verdict::Successful, text);
        if shards.is_empty() {
            self.skipped(&[READ, PARSE], "The stream has no shard.");
            return;
        }
        match sample::take(api, shards).await {
            Ok(sample) => {
                let text = format!(
                    "{} records of {} shards were read and forgotten; no position was touched.",
                    sample.records, sample.shards
                );
                self.add(READ, Verdict::Successful, text);
                self.parsed(&sample);
            }
            // The least that fan-out needs does not include polling.
            Err(trouble) if self.fans_out() && trouble.kind == Kind::Denied => {
                let why = "Enhanced Fan-Out does without kinesis:GetShardIterator and kinesis:GetRecords, which this \
                           sample would need.";
                self.skipped(&[READ, PARSE], why);
            }
            Err(trouble) => {
                self.failed(READ, &trouble);
                self.skipped(&[PARSE], "No record was read.");
            }
        }
    }

    fn parsed(&mut self, sample: &Sample) {
        let Sample { records, objects, .. } = sample;
        if self.config.processing_strategy != ProcessingStrategy::Record {
            self.skipped(&[PARSE], "The processing strategy takes any bytes.");
        } else if *records == 0 {
            self.skipped(&[PARSE], "The sample holds no record.");
        } else if let Some(reason) = &sample.first_reject {
            let text = format!(
                "{objects} of {records} records are JSON objects. The first of the others: {reason}. Such records go to \
                 parse-failure."
            );
            self.add(PARSE, if *objects == 0 { Verdict::Failed } else { Verdict::Successful }, text);
        } else {
            self.add(PARSE, Verdict::Successful, format!("All {records} records are JSON objects."));
        }
    }

    async fn consumer(&mut self, api: &dyn StreamApi, stream_arn: &str) {
        let name = &self.config.application_name;
        let call = api.consumer(stream_arn);
        match within(LIMIT, Service::Kinesis, "DescribeStreamConsumer", call).await {
            Ok(consumer) if consumer.active => {
                let text = format!("The consumer \"{name}\" is registered and active.");
                self.add(CONSUMER, Verdict::Successful, text);
            }
            Ok(_) => {
                let text = format!("The consumer \"{name}\" is registered and not active yet.");
                self.add(CONSUMER, Verdict::Successful, text);
            }
            Err(trouble) if trouble.kind == Kind::NotFound => {
                let text = format!(
                    "The consumer \"{name}\" is registered at the first start, with kinesis:RegisterStreamConsumer."
                );
                self.add(CONSUMER, Verdict::Skipped, text);
            }
            Err(trouble) => self.failed(CONSUMER, &trouble),
        }
    }

    async fn table(&mut self, store: &dyn LeaseStore) {
        let state = match within(LIMIT, Service::DynamoDb, "DescribeTable", store.table()).await {
            Ok(state) => state,
            Err(trouble) => {
                self.failed(TABLE, &trouble);
                self.skipped(&[ROWS, WRITE], "The table was not found.");
                return;
            }
        };
        let table = &self.place.table;
        let (verdict, text) = match &state {
            TableState::Ready => (Verdict::Successful, format!("Table \"{table}\" is ready.")),
            TableState::Missing => (
                Verdict::Skipped,
                format!(
                    "Table \"{table}\" does not exist; it is created at the first start, with \
                     dynamodb:CreateTable."
                ),
            ),
            TableState::NotReady(status) => (Verdict::Failed, format!("Table \"{table}\" is {status}.")),
            TableState::Legacy => (Verdict::Skipped, unusable(table, &state)),
            TableState::Foreign(_) => (Verdict::Failed, unusable(table, &state)),
        };
        self.add(TABLE, verdict, text);
        if state == TableState::Ready {
            self.rows(store).await;
        } else {
            self.skipped(&[ROWS, WRITE], "There is no usable table yet.");
        }
    }

    async fn rows(&mut self, store: &dyn LeaseStore) {
        let read = async {
            let rows = within(LIMIT, Service::DynamoDb, "Query", store.rows()).await?;
            within(LIMIT, Service::DynamoDb, "GetItem", store.row(NO_SHARD)).await?;
            Ok(rows.shards.len())
        };
        match read.await {
            Ok(shards) => self.add(ROWS, Verdict::Successful, format!("{shards} shards are known.")),
            Err(trouble) => self.failed(ROWS, &trouble),
        }
        // Refused for its condition, which no row meets, by a service that permits it.
        let nobody = Holder { shard: NO_SHARD.into(), owner: "nobody".to_owned(), epoch: 0 };
        match within(LIMIT, Service::DynamoDb, "UpdateItem", store.renew(&nobody, 0)).await {
            Ok(_) => self.add(WRITE, Verdict::Successful, "Writing is permitted; nothing was written."),
            Err(trouble) => self.failed(WRITE, &trouble),
        }
    }
}

#[cfg(test)]
mod tests;
