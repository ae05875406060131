//! Which operations are asked in CBOR, and the one-way switch to JSON for servers that do not speak it.

use super::answer::Encoding;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How records travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WireFormat {
    /// GetRecords in CBOR, everything else in JSON. SubscribeToShard is asked in JSON because AWS's own Java SDK
    /// does so, with the remark that Kinesis does not support CBOR for event streams; events are understood in both.
    #[default]
    Cbor,
    /// GetRecords and SubscribeToShard in CBOR, for servers known to stream events in CBOR.
    CborEverywhere,
    /// The SDK's own protocol for everything.
    Json,
}

/// The operations that carry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    GetRecords,
    SubscribeToShard,
}

impl Operation {
    /// `None` for the operations that are always JSON.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "GetRecords" => Some(Self::GetRecords),
            "SubscribeToShard" => Some(Self::SubscribeToShard),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::GetRecords => "GetRecords",
            Self::SubscribeToShard => "SubscribeToShard",
        }
    }
}

/// What the server of one client was found to speak. Shared by all calls of the client.
#[derive(Debug)]
pub(super) struct Wire {
    get_records: AtomicBool,
    subscribe: AtomicBool,
    /// Counts switches to JSON, so that a call notices one that happened while it ran.
    switches: AtomicU64,
}

impl Wire {
    pub(super) fn new(format: WireFormat) -> Self {
        Self {
            get_records: AtomicBool::new(format != WireFormat::Json),
            subscribe: AtomicBool::new(format == WireFormat::CborEverywhere),
            switches: AtomicU64::new(0),
        }
    }

    fn flag(&self, operation: Operation) -> &AtomicBool {
        match operation {
            Operation::GetRecords => &self.get_records,
            Operation::SubscribeToShard => &self.subscribe,
        }
    }

    /// Requests of this operation are written in CBOR.
    pub(super) fn is_cbor(&self, operation: Operation) -> bool {
        self.flag(operation).load(Ordering::Acquire)
    }

    pub(super) fn switches(&self) -> u64 {
        self.switches.load(Ordering::Acquire)
    }

    /// Asks this operation in JSON from now on. Says so once, however many calls find it out at the same time.
    pub(super) fn refuse(&self, operation: Operation, reason: &str) {
        if self.flag(operation).swap(false, Ordering::AcqRel) {
            self.switches.fetch_add(1, Ordering::AcqRel);
            tracing::warn!(
                operation = operation.name(),
                reason,
                "the Kinesis endpoint does not speak CBOR; reading in JSON from now on, at more CPU time"
            );
        }
    }

    /// Judges an answer by its encoding. A failing proxy or load balancer (5xx without JSON) says nothing about the
    /// server behind it; an empty answer that names an AWS error does not either.
    pub(super) fn observe(&self, operation: Operation, encoding: Encoding, status: u16, named_error: bool) {
        let refused = match encoding {
            Encoding::Cbor => None,
            Encoding::Json => Some("answered in JSON"),
            Encoding::Empty if named_error => None,
            Encoding::Empty | Encoding::Other if status >= 500 => None,
            Encoding::Empty => Some("answered without a body"),
            Encoding::Other => Some("answered neither in CBOR nor in JSON"),
        };
        if let Some(reason) = refused {
            self.refuse(operation, reason);
        }
    }
}
