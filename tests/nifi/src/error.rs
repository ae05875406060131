//! What can go wrong around a NiFi, in words that say what was attempted.

use std::path::PathBuf;
use std::time::Duration;

/// Result of the harness.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the harness or of the NiFi it drives.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or process operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, with the path or program.
        what: String,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
    /// Maven could not bring the artifacts.
    #[error("Maven failed while {what}:\n{tail}")]
    Maven {
        /// What was attempted.
        what: String,
        /// The last lines that Maven printed.
        tail: String,
    },
    /// NiFi ended by itself.
    #[error("NiFi ended during its start ({status}); its logs are in {logs}:\n{tail}", logs = logs.display())]
    Died {
        /// Exit status.
        status: String,
        /// Folder with the logs.
        logs: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// Something did not come about in time.
    #[error("{what} did not come about within {seconds} s{detail}", seconds = limit.as_secs())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long it was waited for.
        limit: Duration,
        /// What was seen instead; starts with a separator, or is empty.
        detail: String,
    },
    /// NiFi's REST API or Snowflake's SQL API could not be reached.
    #[error("{what}: {source}")]
    Http {
        /// Method and path, or the statement.
        what: String,
        /// The transport's error.
        #[source]
        source: reqwest::Error,
    },
    /// NiFi's REST API or Snowflake's SQL API refused.
    #[error("{what}: answered {status}: {body}")]
    Refused {
        /// Method and path, or the statement.
        what: String,
        /// HTTP status.
        status: u16,
        /// The text of the answer.
        body: String,
    },
    /// The REST API answered something else than expected, or an object is not there.
    #[error("{0}")]
    Unexpected(String),
}

impl Error {
    /// Wraps an I/O error with what was attempted.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
