//! Checks a configuration without side effects.

use crate::api::Api;
use crate::config::SinkConfig;
use crate::machine::{Fault, FaultClass};
use crate::names::{self, PipePath};

/// Names of the steps, as the official processor calls the first two.
const ACCOUNT: &str = "Account Configuration";
const CONNECTION: &str = "Snowpipe Streaming Connection";
const DESTINATION: &str = "Destination";
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
    let api = Api::new(config);
    let mut findings = Vec::new();
    let login = match api.login() {
        Ok(login) => login,
        Err(fault) => {
            findings.push(finding(ACCOUNT, Verdict::Failed, fault.detail));
            for step in [CONNECTION, DESTINATION] {
                findings.push(finding(step, Verdict::Skipped, "the configuration cannot be used"));
            }
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
        }
        Err(fault) => {
            findings.push(finding(CONNECTION, Verdict::Failed, fault.detail));
            findings.push(finding(DESTINATION, Verdict::Skipped, "there is no connection"));
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
