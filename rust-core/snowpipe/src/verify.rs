//! Checks a configuration without side effects.

use crate::api::Api;
use crate::catalog::{self, Table};
use crate::config::SinkConfig;
use crate::machine::{Fault, FaultClass};
use crate::names::{self, PipePath};
use crate::request::{Destination, Object};
use crate::trip::Trips;

/// Names of the steps, as the official processor calls the first two.
const ACCOUNT: &str = "Account Configuration";
const CONNECTION: &str = "Snowpipe Streaming Connection";
const DESTINATION: &str = "Destination";
const PRIVILEGES: &str = "Privileges";
const ERROR_LOGGING: &str = "Error Logging";
const EVOLUTION: &str = "Schema Evolution";
/// A channel that is asked for and never opened.
const NO_CHANNEL: &str = "SHARDFLOW-VERIFY";

/// Result of one verification step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The step works.
    Successful,
    /// The step does not work; the explanation says why and what to do.
    Failed,
    /// Not tried, because of an earlier failure or a missing value.
    Skipped,
}

impl Verdict {
    /// NiFi's name of the outcome.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "SUCCESSFUL",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIPPED",
        }
    }
}

/// One verification step with its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the step.
    pub step: String,
    /// Its result.
    pub outcome: Verdict,
    /// Reason or detail for the user.
    pub explanation: String,
}

fn finding(step: &str, outcome: Verdict, explanation: impl Into<String>) -> Finding {
    Finding { step: step.to_owned(), outcome, explanation: explanation.into() }
}

/// Account and key, then login, then the destination by a status call for a channel that was never opened.
pub(crate) async fn verify(config: &SinkConfig) -> Vec<Finding> {
    let api = Api::new(config, &Trips::default());
    let mut findings = Vec::new();
    let login = match api.login() {
        Ok(login) => login,
        Err(fault) => {
            findings.push(finding(ACCOUNT, Verdict::Failed, fault.detail));
            findings.extend(skipped(
                &[CONNECTION, DESTINATION, PRIVILEGES, ERROR_LOGGING, EVOLUTION],
                "the configuration cannot be used",
            ));
            return findings;
        }
    };
    let text = format!("host {}, {}", login.control_host(), login.identity());
    findings.push(finding(ACCOUNT, Verdict::Successful, text));
    match login.session().await {
        Ok(session) => {
            let host = session.base.host_str().unwrap_or_default().to_owned();
            findings.push(finding(CONNECTION, Verdict::Successful, format!("logged in, ingest host {host}")));
            findings.push(destination(&api, config).await);
            findings.extend(table(&api, config).await);
        }
        Err(fault) => {
            findings.push(finding(CONNECTION, Verdict::Failed, fault.detail));
            let rest = [DESTINATION, PRIVILEGES, ERROR_LOGGING, EVOLUTION];
            findings.extend(skipped(&rest, "there is no connection"));
        }
    }
    findings
}

async fn destination(api: &Api, config: &SinkConfig) -> Finding {
    let Some(destination) = &config.destination else {
        return finding(
            DESTINATION,
            Verdict::Skipped,
            "database, schema and table are known only with a FlowFile",
        );
    };
    let label = names::label(destination);
    let pipe = PipePath::of(destination);
    match api.bulk_status(&pipe, &[NO_CHANNEL.to_owned()]).await {
        Ok(_) => {
            finding(DESTINATION, Verdict::Successful, format!("{label} answers through pipe {}", pipe.pipe))
        }
        // A table's default pipe exists from its first use on.
        Err(Fault { class: FaultClass::Missing, detail, .. }) => match api.pipe_info(&pipe).await {
            Ok(()) => finding(
                DESTINATION,
                Verdict::Successful,
                format!("{label} answers through pipe {}", pipe.pipe),
            ),
            Err(_) => finding(DESTINATION, Verdict::Failed, format!("{label}: {detail}")),
        },
        Err(fault) => finding(DESTINATION, Verdict::Failed, format!("{label}: {}", fault.detail)),
    }
}

fn skipped(steps: &[&str], reason: &str) -> Vec<Finding> {
    steps.iter().map(|step| finding(step, Verdict::Skipped, reason)).collect()
}

/// What the catalog says about the table.
async fn table(api: &Api, config: &SinkConfig) -> Vec<Finding> {
    const STEPS: [&str; 3] = [PRIVILEGES, ERROR_LOGGING, EVOLUTION];
    let destination = match &config.destination {
        Some(destination) if matches!(destination.object, Object::Table(_)) => destination,
        Some(_) => return skipped(&STEPS, "a pipe's table is known to the pipe only"),
        None => return skipped(&STEPS, "database, schema and table are known only with a FlowFile"),
    };
    let table = match catalog::table(api, destination).await {
        Ok(Some(table)) => table,
        Ok(None) => return skipped(&STEPS, "the table is not shown to the role"),
        Err(fault) => {
            return skipped(&STEPS, &format!("the SQL API, which tells this, answered {}", fault.detail));
        }
    };
    vec![privileges(api, config, destination, &table).await, error_logging(&table), evolution(&table)]
}

async fn privileges(api: &Api, config: &SinkConfig, destination: &Destination, table: &Table) -> Finding {
    let named = match &config.authentication {
        crate::Authentication::KeyPair(pair) => pair.role.clone(),
        crate::Authentication::Managed(_) => None,
    };
    let role = match named {
        Some(role) => Ok(Some(role)),
        None => catalog::current_role(api).await,
    };
    let role = match role {
        Ok(Some(role)) => role,
        Ok(None) => return finding(PRIVILEGES, Verdict::Skipped, "the session has no role"),
        Err(fault) => return finding(PRIVILEGES, Verdict::Skipped, fault.detail),
    };
    if table.owner.as_ref().is_some_and(|owner| owner.eq_ignore_ascii_case(&role)) {
        return finding(PRIVILEGES, Verdict::Successful, format!("role {role} has OWNERSHIP of the table"));
    }
    match catalog::privileges(api, destination, &role).await {
        Ok(held) if held.iter().any(|held| matches!(held.as_str(), "OWNERSHIP" | "INSERT" | "ALL")) => {
            finding(
                PRIVILEGES,
                Verdict::Successful,
                format!("role {role} has {} on the table", held.join(", ")),
            )
        }
        Ok(held) => {
            let held = if held.is_empty() { "none".to_owned() } else { held.join(", ") };
            let text = format!(
                "role {role} has neither OWNERSHIP of the table nor INSERT on it (its direct grants: {held}); grants \
                 must be direct, not by way of another role"
            );
            finding(PRIVILEGES, Verdict::Failed, text)
        }
        Err(fault) => finding(PRIVILEGES, Verdict::Skipped, fault.detail),
    }
}

fn error_logging(table: &Table) -> Finding {
    match table.error_logging {
        Some(true) => {
            finding(ERROR_LOGGING, Verdict::Successful, "rejected rows are kept in the error table")
        }
        Some(false) => finding(
            ERROR_LOGGING,
            Verdict::Successful,
            "off: rows that Snowflake rejects are counted and not kept; ALTER TABLE … SET ERROR_LOGGING = TRUE keeps them",
        ),
        None => finding(ERROR_LOGGING, Verdict::Skipped, "SHOW TABLES does not tell"),
    }
}

fn evolution(table: &Table) -> Finding {
    match table.schema_evolution {
        Some(true) => finding(EVOLUTION, Verdict::Successful, "unknown first-level keys become columns"),
        Some(false) => {
            finding(EVOLUTION, Verdict::Successful, "off: first-level keys without a column are ignored")
        }
        None => finding(EVOLUTION, Verdict::Skipped, "SHOW TABLES does not tell"),
    }
}
