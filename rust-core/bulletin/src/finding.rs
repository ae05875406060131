//! The answer to NiFi's *Verify* button.

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The step works.
    Successful,
    /// The step does not work; the explanation says why and what to do.
    Failed,
    /// Not tried, because an earlier step failed, a value is missing, or trying would change something.
    Skipped,
}

impl Verdict {
    /// NiFi's name of the outcome (`ConfigVerificationResult.Outcome`).
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
    /// What was tried.
    pub step: String,
    /// How it ended.
    pub outcome: Verdict,
    /// Reason or detail, for a person.
    pub explanation: String,
}

impl Finding {
    /// The result of the step of this name.
    pub fn new(step: &str, outcome: Verdict, explanation: impl Into<String>) -> Self {
        Self { step: step.to_owned(), outcome, explanation: explanation.into() }
    }
}
