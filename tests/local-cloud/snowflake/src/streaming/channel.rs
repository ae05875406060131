//! One named channel: its sequencers, what it accepted and what was committed.
//!
//! A continuation token is `<client sequencer>_<row sequencer>`. Opening raises the client sequencer, so every token
//! handed out before is stale; an accepted append raises the row sequencer. The token just consumed is answered like
//! the first time, without taking the rows again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::committer::Held;
use super::history::History;
use super::ingest::Outcome;
use super::rate::Bucket;
use super::registry::Key;
use crate::locks::lock;

/// An accepted append that waits for its commit.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) body: Bytes,
    /// Whether the sender's role may evolve the table.
    pub(crate) may_evolve: bool,
    pub(crate) accepted_ms: i64,
    pub(crate) due: Instant,
    /// Counts the body as pending; absent in tests of the channel alone.
    #[allow(dead_code, reason = "acts when it is dropped")]
    pub(crate) held: Option<Held>,
}

/// `channel_status_code`: `SUCCESS`, or why the channel must be opened again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Success,
    Invalid(String),
}

impl Status {
    pub(crate) fn code(&self) -> &str {
        match self {
            Status::Success => "SUCCESS",
            Status::Invalid(code) => code,
        }
    }
}

/// The newest refused row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LastError {
    pub(crate) offset_upper_bound: Option<String>,
    pub(crate) message: String,
    pub(crate) timestamp_ms: i64,
}

/// Rows are accepted and not committed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Uncommitted;

/// Answer to an append.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken over, with the next token.
    Accepted(String),
    /// A repetition of the append before, with the token it was answered with.
    Replayed(String),
    /// Not a token of the current opening.
    Stale,
    /// The channel must be opened again.
    Invalid(String),
}

/// What commits move forward; it outlives openings and, with a state file, restarts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) committed: Option<String>,
    pub(crate) rows_inserted: u64,
    pub(crate) rows_parsed: u64,
    pub(crate) rows_errors: u64,
    pub(crate) last_error: Option<LastError>,
    pub(crate) latency_ms: i64,
}

impl Progress {
    /// Takes one committed append into account.
    pub(crate) fn advance(&mut self, append: &Pending, outcome: &Outcome, now_ms: i64) {
        self.rows_inserted += outcome.inserted;
        self.rows_parsed += outcome.parsed;
        self.rows_errors += outcome.errors;
        if let Some(message) = outcome.last_error.clone() {
            let offset_upper_bound = append.end.clone();
            self.last_error = Some(LastError { offset_upper_bound, message, timestamp_ms: now_ms });
        }
        let latency = (now_ms - append.accepted_ms).max(0);
        self.latency_ms = if self.latency_ms == 0 { latency } else { (self.latency_ms * 7 + latency) / 8 };
        if append.end.is_some() {
            self.committed.clone_from(&append.end);
        }
    }
}

/// What changes about a channel.
#[derive(Debug)]
pub(crate) struct ChannelState {
    client: u64,
    row: u64,
    pub(crate) progress: Progress,
    pub(crate) status: Status,
    pub(crate) pending: VecDeque<Pending>,
    /// A commit of this channel's rows is running.
    pub(crate) committing: bool,
    /// Removed by a drop, or with its table.
    pub(crate) gone: bool,
    pub(crate) accepted: Option<String>,
    pub(crate) history: History,
    /// When the channel was opened or appended to, milliseconds since 1970.
    pub(crate) last_used_ms: i64,
    pub(crate) requests: Bucket,
    pub(crate) bytes: Bucket,
}

/// What a channel was created on, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) generation: i64,
    pub(crate) table_id: i64,
    pub(crate) created_ms: i64,
}

/// A channel of a pipe.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: i64,
    pub(crate) key: Key,
    /// Name as given when the channel was first opened.
    pub(crate) name: String,
    /// The table or pipe it was opened on; a replaced one has another number.
    pub(crate) generation: i64,
    pub(crate) table_id: i64,
    pub(crate) created_ms: i64,
    state: Mutex<ChannelState>,
    /// Told whenever `committing` ends.
    pub(crate) settled: Notify,
}

impl Channel {
    pub(crate) fn new(id: i64, key: Key, name: String, origin: Origin, first_client: u64) -> Self {
        let Origin { generation, table_id, created_ms } = origin;
        let state = ChannelState { last_used_ms: created_ms, ..ChannelState::new(first_client) };
        let state = Mutex::new(state);
        Channel { id, key, name, generation, table_id, created_ms, state, settled: Notify::new() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ChannelState> {
        lock(&self.state)
    }

    /// Waits until no commit of this channel runs, and returns its state locked.
    pub(crate) async fn when_settled<T>(self: &Arc<Self>, act: impl FnOnce(&mut ChannelState) -> T) -> T {
        loop {
            let settled = self.settled.notified();
            {
                let mut state = self.state();
                if !state.committing {
                    return act(&mut state);
                }
            }
            settled.await;
        }
    }
}

impl ChannelState {
    pub(crate) fn new(first_client: u64) -> Self {
        ChannelState {
            client: first_client,
            row: 0,
            status: Status::Success,
            pending: VecDeque::new(),
            committing: false,
            gone: false,
            accepted: None,
            progress: Progress::default(),
            history: History::default(),
            last_used_ms: 0,
            requests: Bucket::default(),
            bytes: Bucket::default(),
        }
    }

    /// Opens the channel: every earlier token is stale from now on. Rows not committed are lost, unless the caller
    /// asked to fail then. Must not be called while a commit runs.
    pub(crate) fn open(&mut self, fail_on_uncommitted: bool) -> Result<String, Uncommitted> {
        if fail_on_uncommitted && self.has_uncommitted() {
            return Err(Uncommitted);
        }
        self.pending.clear();
        self.accepted = self.progress.committed.clone();
        self.status = Status::Success;
        // The very first opening hands out `0_1`.
        if self.row > 0 {
            self.client += 1;
        }
        self.row = 1;
        Ok(self.token())
    }

    /// Whether accepted rows are not visible yet.
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.committing || !self.pending.is_empty()
    }

    /// Judges `token` without taking rows.
    pub(crate) fn judge(&self, token: &str) -> Verdict {
        if let Status::Invalid(code) = &self.status {
            return Verdict::Invalid(code.clone());
        }
        let parsed: Option<(u64, u64)> =
            token.split_once('_').and_then(|(client, row)| Some((client.parse().ok()?, row.parse().ok()?)));
        let consumed = self.row.checked_sub(1).filter(|row| *row > 0);
        match parsed {
            Some((client, row)) if client == self.client && row == self.row => {
                Verdict::Accepted(self.token())
            }
            Some((client, row)) if client == self.client && Some(row) == consumed => {
                Verdict::Replayed(self.token())
            }
            _ => Verdict::Stale,
        }
    }

    /// Takes over an append, or says why not.
    pub(crate) fn append(&mut self, token: &str, pending: Pending) -> Verdict {
        let verdict = self.judge(token);
        if !matches!(verdict, Verdict::Accepted(_)) {
            return verdict;
        }
        self.row += 1;
        self.last_used_ms = pending.accepted_ms;
        if pending.end.is_some() {
            self.accepted.clone_from(&pending.end);
        }
        self.pending.push_back(pending);
        Verdict::Accepted(self.token())
    }

    /// Takes over rows without a token, as elastic channels do.
    pub(crate) fn append_unordered(&mut self, pending: Pending) {
        self.last_used_ms = pending.accepted_ms;
        self.pending.push_back(pending);
    }

    /// Marks the channel invalid: what is pending is lost, and it must be opened again.
    pub(crate) fn invalidate(&mut self, code: &str) {
        self.status = Status::Invalid(code.to_owned());
        self.pending.clear();
        self.accepted = self.progress.committed.clone();
    }

    /// The client sequencer, for a successor of the same name.
    pub(crate) fn client(&self) -> u64 {
        self.client
    }

    /// The row sequencer.
    pub(crate) fn row(&self) -> u64 {
        self.row
    }

    fn token(&self) -> String {
        format!("{}_{}", self.client, self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(end: &str) -> Pending {
        let (body, due) = (Bytes::from_static(b"{}\n"), Instant::now());
        Pending {
            start: None,
            end: Some(end.into()),
            body,
            may_evolve: true,
            accepted_ms: 0,
            due,
            held: None,
        }
    }

    #[test]
    fn tokens_advance_repeat_once_and_go_stale() {
        let mut channel = ChannelState::new(0);
        assert_eq!(channel.open(false), Ok("0_1".into()));
        assert_eq!(channel.append("0_1", rows("9")), Verdict::Accepted("0_2".into()));
        assert_eq!(channel.append("0_1", rows("19")), Verdict::Replayed("0_2".into()));
        assert_eq!(channel.accepted.as_deref(), Some("9"), "a repetition moves nothing");
        assert_eq!(channel.pending.len(), 1);
        assert_eq!(channel.append("0_2", rows("19")), Verdict::Accepted("0_3".into()));
        for stale in ["0_1", "0_4", "1_3", "", "x", "0_", "_3", "0_0", "0_3_1"] {
            assert_eq!(channel.append(stale, rows("29")), Verdict::Stale, "{stale}");
        }
        assert_eq!(channel.open(true), Err(Uncommitted));
        assert_eq!(channel.open(false), Ok("1_1".into()));
        assert!(channel.pending.is_empty(), "opening by force discards what is not committed");
        for stale in ["0_3", "0_2", "1_0"] {
            assert_eq!(channel.append(stale, rows("29")), Verdict::Stale, "{stale}");
        }
        channel.invalidate("ERR_CHANNEL_MUST_BE_REOPENED");
        assert!(matches!(channel.append("1_1", rows("29")), Verdict::Invalid(_)));
        assert_eq!(channel.open(true), Ok("2_1".into()));
    }
}
