//! Errors that leave this crate, and the classes that decide what a task does next.

use thiserror::Error;

/// A setting that cannot work, named as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A required property is empty.
    #[error("{property} is required")]
    Missing {
        /// Display name of the property.
        property: &'static str,
    },
    /// A property has a value outside its domain. Sensitive values are never part of `reason`.
    #[error("{property}: {reason}")]
    Invalid {
        /// Display name of the property.
        property: &'static str,
        /// What was expected.
        reason: String,
    },
}

/// Failures of the calls a caller makes on a [`crate::Source`]. Troubles with AWS are no such failures: they are
/// states of the source's own tasks and are told through [`crate::Source::messages`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The source was closed; no more batches come.
    #[error("the source is closed")]
    Closed,
    /// The call is about a batch that was never handed out or was settled before.
    #[error("batch {0} is not outstanding")]
    UnknownBatch(u64),
}
