//! Registered consumers of enhanced fan-out.

/// A registered consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created_ms: i64,
}
