//! Checks a configuration against the services without consuming or changing anything.

use crate::config::SourceConfig;

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

pub(crate) async fn verify(_config: &SourceConfig) -> Vec<Finding> {
    Vec::new()
}
