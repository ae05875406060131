//! Checks a configuration without side effects.

mod privileges;

use bulletin::{Finding, Verdict};

use crate::api::Api;
use crate::catalog::{self, Table};
use crate::config::SinkConfig;
use crate::machine::{Fault, FaultClass};
use crate::names::{self, PipePath};
use crate::rejected::Source;
use crate::trip::Trips;
use privileges::Checked;

/// Names of the steps, as the official processor calls the first two.
const ACCOUNT: &str = "Account Configuration";
const CONNECTION: &str = "Snowpipe Streaming Connection";
const DESTINATION: &str = "Destination";
const PRIVILEGES: &str = "Privileges";
const ERROR_LOGGING: &str = "Error Logging";
const EVOLUTION: &str = "Schema Evolution";
const REJECTED: &str = "Rejected Rows";
/// A channel that is asked for and never opened.
const NO_CHANNEL: &str = "SHARDFLOW-VERIFY";

/// Account and key, then login, then the destination by a status call for a channel that was never opened.
pub(crate) async fn verify(config: &SinkConfig) -> Vec<Finding> {
    let api = Api::new(config, &Trips::default());
    let mut findings = Vec::new();
    let login = match api.login() {
        Ok(login) => login,
        Err(fault) => {
            findings.push(Finding::new(ACCOUNT, Verdict::Failed, fault.detail));
            findings.extend(skipped(
                &[CONNECTION, DESTINATION, PRIVILEGES, ERROR_LOGGING, EVOLUTION],
                "the configuration cannot be used",
            ));
            return findings;
        }
    };
    let text = format!("host {}, {}", login.control_host(), login.identity());
    findings.push(Finding::new(ACCOUNT, Verdict::Successful, text));
    match login.session().await {
        Ok(session) => {
            let host = session.base.host_str().unwrap_or_default().to_owned();
            findings.push(Finding::new(
                CONNECTION,
                Verdict::Successful,
                format!("logged in, ingest host {host}"),
            ));
            findings.push(destination(&api, config).await);
            findings.extend(table(&api, config).await);
            findings.extend(rejected(&api, config).await);
        }
        Err(fault) => {
            findings.push(Finding::new(CONNECTION, Verdict::Failed, fault.detail));
            let rest = [DESTINATION, PRIVILEGES, ERROR_LOGGING, EVOLUTION];
            findings.extend(skipped(&rest, "there is no connection"));
        }
    }
    findings
}

async fn destination(api: &Api, config: &SinkConfig) -> Finding {
    let Some(destination) = &config.destination else {
        return Finding::new(
            DESTINATION,
            Verdict::Skipped,
            "database, schema and table are known only with a FlowFile",
        );
    };
    let label = names::label(destination);
    let pipe = PipePath::of(destination);
    match api.bulk_status(&pipe, &[NO_CHANNEL.to_owned()]).await {
        Ok(_) => Finding::new(
            DESTINATION,
            Verdict::Successful,
            format!("{label} answers through pipe {}", pipe.pipe),
        ),
        // A table's default pipe exists from its first use on.
        Err(Fault { class: FaultClass::Missing, detail, .. }) => match api.pipe_info(&pipe).await {
            Ok(()) => Finding::new(
                DESTINATION,
                Verdict::Successful,
                format!("{label} answers through pipe {}", pipe.pipe),
            ),
            Err(_) => Finding::new(DESTINATION, Verdict::Failed, format!("{label}: {detail}")),
        },
        Err(fault) => Finding::new(DESTINATION, Verdict::Failed, format!("{label}: {}", fault.detail)),
    }
}

fn skipped(steps: &[&str], reason: &str) -> Vec<Finding> {
    steps.iter().map(|step| Finding::new(step, Verdict::Skipped, reason)).collect()
}

/// What the catalog says about the table, and about the role on the way to it.
async fn table(api: &Api, config: &SinkConfig) -> Vec<Finding> {
    let Some(destination) = &config.destination else {
        return skipped(
            &[PRIVILEGES, ERROR_LOGGING, EVOLUTION],
            "database, schema and table are known only with a FlowFile",
        );
    };
    let untold = |fault: Fault| format!("the SQL API, which tells this, answered {}", fault.detail);
    let target = catalog::target(api, destination).await;
    let (target, table) = match target {
        Ok(Some(target)) => match catalog::table(api, &target).await {
            Ok(Some(table)) => (Some(target), Ok(table)),
            Ok(None) => (Some(target), Err("the table is not shown to the role".to_owned())),
            Err(fault) => (Some(target), Err(untold(fault))),
        },
        Ok(None) => (None, Err("the table of the pipe is not shown to the role".to_owned())),
        Err(fault) => (None, Err(untold(fault))),
    };
    let Checked { finding, evolves } =
        privileges::check(api, config, destination, target.as_ref(), table.as_ref().ok()).await;
    let mut findings = vec![finding];
    match table {
        Ok(table) => {
            let by_name = target.is_none_or(|target| target.by_name);
            findings.extend([error_logging(&table), evolution(&table, by_name, evolves)]);
        }
        Err(untold) => findings.extend(skipped(&[ERROR_LOGGING, EVOLUTION], &untold)),
    }
    findings
}

fn error_logging(table: &Table) -> Finding {
    match table.error_logging {
        Some(true) => {
            Finding::new(ERROR_LOGGING, Verdict::Successful, "rejected rows are kept in the error table")
        }
        Some(false) => Finding::new(
            ERROR_LOGGING,
            Verdict::Successful,
            "off: rows that Snowflake rejects are counted and not kept; ALTER TABLE … SET ERROR_LOGGING = TRUE keeps them",
        ),
        None => Finding::new(ERROR_LOGGING, Verdict::Skipped, "SHOW TABLES does not tell"),
    }
}

fn evolution(table: &Table, by_name: bool, may: bool) -> Finding {
    match table.schema_evolution {
        Some(true) if !by_name => Finding::new(
            EVOLUTION,
            Verdict::Successful,
            "on, but the pipe names what goes into the table: other first-level keys are ignored",
        ),
        Some(true) if !may => Finding::new(
            EVOLUTION,
            Verdict::Failed,
            "on, but the role may not add columns: first-level keys without a column are lost; see Privileges",
        ),
        Some(true) => Finding::new(EVOLUTION, Verdict::Successful, "unknown first-level keys become columns"),
        Some(false) => {
            Finding::new(EVOLUTION, Verdict::Successful, "off: first-level keys without a column are ignored")
        }
        None => Finding::new(EVOLUTION, Verdict::Skipped, "SHOW TABLES does not tell"),
    }
}

/// Whether the error table can be read, when rejected rows are to be told one by one by it.
async fn rejected(api: &Api, config: &SinkConfig) -> Option<Finding> {
    let warehouse = config.warehouse.as_ref().filter(|_| config.tells_rows())?;
    let skipped = |reason: &str| Some(Finding::new(REJECTED, Verdict::Skipped, reason));
    let Some(destination) = &config.destination else {
        return skipped("database, schema and table are known only with a FlowFile");
    };
    let target = match catalog::target(api, destination).await {
        Ok(None) => {
            return skipped(
                "the table of the pipe is not shown to the role: rejected rows are told by request",
            );
        }
        target => target.ok().flatten(),
    };
    if let Some(target) = &target
        && let Ok(Some(Table { error_logging: Some(false), .. })) = catalog::table(api, target).await
    {
        let text = "the table has no error logging, so rejected rows are told by request; ALTER TABLE … SET ERROR_LOGGING \
                    = TRUE begins it";
        return Some(Finding::new(REJECTED, Verdict::Failed, text));
    }
    let source = Source::new(destination, warehouse, &config.record_pointer);
    Some(match source.probe(api).await {
        Ok(()) => Finding::new(
            REJECTED,
            Verdict::Successful,
            format!(
                "the error table can be read in warehouse {warehouse}: rejected rows are told one by one"
            ),
        ),
        Err(fault) => Finding::new(
            REJECTED,
            Verdict::Failed,
            format!(
                "the error table cannot be read, so rejected rows are told by request: {}. The role needs USAGE on \
                 warehouse {warehouse} and SELECT ERROR TABLE on the table",
                fault.detail
            ),
        ),
    })
}
