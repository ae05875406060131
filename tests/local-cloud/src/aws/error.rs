//! Errors as the AWS services word them.

use std::borrow::Cow;
use std::fmt;

/// An error answer of an AWS service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// HTTP status.
    pub status: u16,
    /// Exception name without the service's prefix, e.g. `ResourceNotFoundException`.
    pub code: Cow<'static, str>,
    /// Text for the caller.
    pub message: String,
}

impl AwsError {
    /// An error of the caller: status 400.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into() }
    }

    /// The same error under another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new("InvalidArgumentException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", message)
    }

    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::new("ResourceInUseException", message)
    }

    /// A member of the request that breaks one constraint of the service's model.
    pub(crate) fn constraint(value: &str, member: &str, rule: &str) -> Self {
        let shown = if value.is_empty() { String::new() } else { format!(" '{value}'") };
        Self::new(
            "ValidationException",
            format!(
                "1 validation error detected: Value{shown} at '{member}' failed to satisfy constraint: Member must {rule}"
            ),
        )
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for AwsError {}
