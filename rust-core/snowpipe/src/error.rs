//! What can go wrong at the public face of the crate.
//!
//! Texts name the thing, its value and the remedy. They never hold keys, tokens or row data.

/// A property that cannot be used as given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{property}: {reason}")]
pub struct ConfigError {
    /// Name of the property as the user sees it.
    pub property: String,
    /// What is wrong with the value and what to do.
    pub reason: String,
}

impl ConfigError {
    /// Builds an error for one property.
    pub fn new(property: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { property: property.into(), reason: reason.into() }
    }
}

/// An operation on a [`crate::Sink`] that could not be carried out.
///
/// Troubles of the service are not errors of this type: they are states of an upload
/// ([`crate::State`]) and texts of [`crate::Sink::messages`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The upload's destination or offset tokens are unusable; route the FlowFile to failure.
    #[error(transparent)]
    Request(#[from] ConfigError),
    /// No upload with this number is known: never begun, abandoned, or finished and forgotten.
    #[error("upload {0} is not known to this sink")]
    UnknownUpload(u64),
    /// `write` or `finish_data` was called in another state than `WantData`.
    #[error("upload {0} does not expect data now")]
    NotWriting(u64),
    /// The service did not take data fast enough for one `write` call to return in time.
    #[error("upload {0}: no room for more data within {1} ms, the FlowFile must be rolled back")]
    Congested(u64, u128),
    /// The sink was closed.
    #[error("the sink is closed")]
    Closed,
}
