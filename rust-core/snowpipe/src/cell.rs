//! The state of one upload, as its caller sees it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::body::{Counts, Layout};
use crate::machine::Token;
use crate::pieces;
use crate::progress::{Progress, State};

/// Shared by the caller's thread and the channel's task.
#[derive(Debug)]
pub(crate) struct Cell {
    progress: Mutex<Progress>,
    layout: Mutex<Option<Layout>>,
    changed: Notify,
    records: u64,
}

impl Cell {
    pub(crate) fn new(transit_uri: String, records: u64) -> Self {
        let progress = Progress {
            state: State::Waiting,
            rows_sent: 0,
            rows_skipped: 0,
            row_errors: 0,
            message: None,
            transit_uri,
            pieces: Vec::new(),
        };
        Self { progress: Mutex::new(progress), layout: Mutex::default(), changed: Notify::new(), records }
    }

    /// The progress; waits up to `wait` while nothing is to be done for the caller.
    pub(crate) async fn advance(&self, wait: Duration) -> Progress {
        let changed = async {
            loop {
                let notified = self.changed.notified();
                if !matches!(self.lock().state, State::Waiting | State::InFlight) {
                    return;
                }
                notified.await;
            }
        };
        let _ = tokio::time::timeout(wait, changed).await;
        self.lock().clone()
    }

    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    /// Sets a state that is not final, unless the upload has ended.
    pub(crate) fn set(&self, state: State) {
        self.update(|progress| progress.state = state);
    }

    pub(crate) fn explain(&self, message: String) {
        self.update(|progress| progress.message = Some(message));
    }

    pub(crate) fn count(&self, counts: Counts) {
        self.update(|progress| {
            progress.rows_sent = counts.sent;
            progress.rows_skipped = counts.skipped;
        });
    }

    /// The upload needs no data: all its rows are in the channel.
    pub(crate) fn skip_all(&self) {
        self.update(|progress| progress.rows_skipped = self.records);
    }

    /// Where the rows are in the content; those that fit into no request take their own way.
    pub(crate) fn lay_out(&self, layout: Layout) {
        self.update(|progress| progress.pieces = pieces::refused(&layout));
        *self.layout.lock().unwrap_or_else(PoisonError::into_inner) = Some(layout);
    }

    /// Ends the upload as invalid; when it is known which rows are concerned, only these are.
    pub(crate) fn end_invalid(&self, row_errors: u64, message: String, ranges: Vec<(Token, Token)>) {
        let layout = self.layout.lock().unwrap_or_else(PoisonError::into_inner).take();
        let rejected = layout.map_or_else(Vec::new, |layout| pieces::rejected(&layout, &ranges, &message));
        self.update(|progress| progress.pieces.extend(rejected));
        self.end(State::Invalid, row_errors, Some(message));
    }

    /// Ends the upload.
    pub(crate) fn end(&self, state: State, row_errors: u64, message: Option<String>) {
        self.update(|progress| {
            progress.state = state;
            progress.row_errors = row_errors;
            progress.message = message;
        });
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.lock();
        if !progress.state.is_final() {
            change(&mut progress);
        }
        drop(progress);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
