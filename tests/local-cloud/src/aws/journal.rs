//! What was called, by whom, and how it went.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Calls kept; older ones are forgotten.
const KEPT: usize = 200_000;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `kinesis` or `dynamodb`.
    pub service: &'static str,
    /// Operation, e.g. `GetRecords`.
    pub operation: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Access key that the request named; empty when it named none.
    pub access_key: String,
    /// Resource the call was about, as an ARN.
    pub resource: String,
    /// Whether it came over HTTP/2.
    pub http2: bool,
    /// HTTP status sent; 0 when none was.
    pub status: u16,
    /// Exception name, or the name of an injected fault; empty for success.
    pub outcome: String,
}

/// The calls of one local cloud, in the order of their ends. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    calls: Arc<Mutex<Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    kept: VecDeque<Call>,
    total: u64,
}

impl Journal {
    pub(crate) fn record(&self, call: Call) {
        let mut calls = lock(&self.calls);
        calls.total += 1;
        if calls.kept.len() == KEPT {
            calls.kept.pop_front();
        }
        calls.kept.push_back(call);
    }

    /// The calls kept.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.calls).kept.iter().cloned().collect()
    }

    /// How many calls of an operation are kept.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        lock(&self.calls).kept.iter().filter(|call| call.operation == operation).count()
    }

    /// Calls since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        lock(&self.calls).total
    }

    /// Forgets all calls.
    pub fn clear(&self) {
        lock(&self.calls).kept.clear();
    }
}
