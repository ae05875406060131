//! Checks a configuration without side effects.

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
