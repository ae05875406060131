//! What clients asked and what they were answered, for tests and for a page.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::locks::lock;
use crate::options::JournalOptions;

/// One HTTP request. Holds no credentials and no record data.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// When the request arrived, milliseconds since 1970.
    pub at_ms: i64,
    /// HTTP method.
    pub method: String,
    /// Path as sent, still percent-encoded.
    pub path: String,
    /// Query string as sent.
    pub query: String,
    /// Id that the client gave the request, in the query or the header `X-Request-ID`; empty when it gave none.
    pub request_id: String,
    /// `User-Agent` header.
    pub user_agent: String,
    /// `X-Snowflake-Authorization-Token-Type` header.
    pub token_type: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// Time from the request's head to the answer's head.
    pub took: Duration,
    /// Whether a fault was injected.
    pub fault: bool,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum AppendOutcome {
    /// Taken over; its rows follow after the commit delay.
    Accepted,
    /// The continuation token was the one just consumed: answered 200, nothing ingested.
    Replayed,
    /// Refused with this code.
    Rejected(String),
}

/// One append request.
#[derive(Clone, Debug, Serialize)]
pub struct Append {
    /// When it arrived, milliseconds since 1970.
    pub at_ms: i64,
    /// `DATABASE.SCHEMA.PIPE` as resolved.
    pub pipe: String,
    /// Channel name as sent.
    pub channel: String,
    /// Continuation token as sent.
    pub continuation_token: String,
    /// First offset token, when sent.
    pub start: Option<String>,
    /// Last (or only) offset token, when sent.
    pub end: Option<String>,
    /// `requestId` as sent.
    pub request_id: String,
    /// Bytes as sent.
    pub compressed: usize,
    /// Bytes after decoding.
    pub uncompressed: usize,
    /// What became of it.
    pub outcome: AppendOutcome,
    /// The decoded body, while within the journal's byte cap.
    #[serde(skip)]
    pub body: Option<Bytes>,
}

#[derive(Default)]
struct Entries {
    requests: VecDeque<Request>,
    appends: VecDeque<Append>,
    kept_bytes: usize,
}

/// The journal of one server.
pub struct Journal {
    options: JournalOptions,
    entries: Mutex<Entries>,
}

impl Journal {
    pub(crate) fn new(options: JournalOptions) -> Self {
        Journal { options, entries: Mutex::default() }
    }

    /// Requests in order of arrival of their answers, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.entries).requests.iter().cloned().collect()
    }

    /// Appends in order, oldest first.
    pub fn appends(&self) -> Vec<Append> {
        lock(&self.entries).appends.iter().cloned().collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *lock(&self.entries) = Entries::default();
    }

    pub(crate) fn request(&self, request: Request) {
        let mut entries = lock(&self.entries);
        entries.requests.push_back(request);
        while entries.requests.len() > self.options.requests {
            entries.requests.pop_front();
        }
    }

    pub(crate) fn append(&self, mut append: Append) {
        if append.body.as_ref().is_some_and(|body| body.len() > self.options.body_bytes) {
            append.body = None;
        }
        let mut entries = lock(&self.entries);
        entries.kept_bytes += append.body.as_ref().map_or(0, Bytes::len);
        entries.appends.push_back(append);
        while entries.appends.len() > self.options.requests {
            let body = entries.appends.pop_front().and_then(|old| old.body);
            entries.kept_bytes -= body.map_or(0, |body| body.len());
        }
        let excess = entries.kept_bytes.saturating_sub(self.options.body_bytes);
        let mut freed = 0;
        if excess > 0 {
            for old in &mut entries.appends {
                if freed >= excess {
                    break;
                }
                freed += old.body.take().map_or(0, |body| body.len());
            }
        }
        entries.kept_bytes -= freed;
    }
}
