//! What can go wrong in a task.

/// Result of a task.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A task's failure, in words for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    /// A program failed.
    #[error("{0}")]
    Command(String),
    /// NiFi, the local cloud or the table.
    #[error(transparent)]
    Harness(#[from] nifi_harness::Error),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Wraps an I/O error with what was attempted.
pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |error| Error::Io(what, error)
}
