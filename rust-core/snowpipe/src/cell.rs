//! The state of one upload, as its caller sees it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use crate::actor::lock;
use crate::body::{Counts, Layout};
use crate::machine::{Id, Token};
use crate::pieces;
use crate::progress::{Progress, State};
use crate::rejected::{Exam, Told};
use crate::sink::ready::Ready;

/// What the content of an upload is handed over for.
#[derive(Debug, Default)]
enum Content {
    #[default]
    Nothing,
    /// Its rows go to the service.
    Rows,
    /// Rejected rows are looked for in it.
    Exam(Box<Exam>),
}

/// Shared by the caller's thread and the channel's task.
#[derive(Debug)]
pub(crate) struct Cell {
    progress: Mutex<Progress>,
    layout: Mutex<Option<Layout>>,
    content: Mutex<Content>,
    changed: Notify,
    records: u64,
    /// Where it is told, and as what, that the caller has something to do.
    told: (Arc<Ready>, Id),
}

impl Cell {
    pub(crate) fn new(transit_uri: String, records: u64, told: (Arc<Ready>, Id)) -> Self {
        let progress = Progress {
            state: State::Waiting,
            rows_sent: 0,
            rows_skipped: 0,
            row_errors: 0,
            message: None,
            transit_uri,
            pieces: Vec::new(),
        };
        Self {
            progress: Mutex::new(progress),
            layout: Mutex::default(),
            content: Mutex::default(),
            changed: Notify::new(),
            records,
            told,
        }
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
        *lock(&self.layout) = Some(layout);
    }

    /// Ends the upload as invalid; when it is known which rows are concerned, only these are.
    pub(crate) fn end_invalid(&self, row_errors: u64, message: String, ranges: Vec<(Token, Token)>) {
        let layout = lock(&self.layout).take();
        let rejected = layout.map_or_else(Vec::new, |layout| pieces::rejected(&layout, &ranges, &message));
        self.update(|progress| progress.pieces.extend(rejected));
        self.end(State::Invalid, row_errors, Some(message));
    }

    /// Its turn: asks for the content.
    pub(crate) fn grant(&self) {
        *self.content() = Content::Rows;
        self.set(State::WantData);
    }

    /// All rows are handed over for the service.
    pub(crate) fn handed_over(&self) {
        let mut content = self.content();
        *content = Content::Nothing;
        // Whoever asks for the content again does so after this.
        self.set(State::InFlight);
    }

    /// Asks for the content once more, to find the rejected rows in it.
    pub(crate) fn examine(&self, exam: Exam) {
        let mut content = self.content();
        if matches!(*content, Content::Rows) {
            drop(content);
            // Another writer has stored the rows while they are still handed over here: what comes next is no beginning.
            return self.end_told(exam.give_up());
        }
        *content = Content::Exam(Box::new(exam));
        self.set(State::WantData);
    }

    /// Takes content that rows are looked for in; false when none are.
    pub(crate) fn scan(&self, bytes: &[u8]) -> bool {
        match &mut *self.content() {
            Content::Exam(exam) => exam.write(bytes),
            _ => return false,
        }
        true
    }

    /// Ends the content; false when no rows were looked for in it.
    pub(crate) fn scanned(&self) -> bool {
        let exam = self.take_exam();
        exam.map(|exam| self.end_told(exam.finish())).is_some()
    }

    /// Ends the upload without looking for rows any more.
    pub(crate) fn hurry(&self) {
        if let Some(exam) = self.take_exam() {
            self.end_told(exam.give_up());
        }
    }

    fn take_exam(&self) -> Option<Exam> {
        let mut content = self.content();
        match std::mem::take(&mut *content) {
            Content::Exam(exam) => Some(*exam),
            other => {
                *content = other;
                None
            }
        }
    }

    /// Ends the upload with what is known of its rejected rows.
    pub(crate) fn end_told(&self, told: Told) {
        match told {
            Told::None => self.end(State::Committed, 0, None),
            Told::Rows { count, message, pieces } => {
                self.update(|progress| progress.pieces.extend(pieces));
                self.end(State::Invalid, count, Some(message));
            }
            Told::Requests { count, message, ranges } => self.end_invalid(count, message, ranges),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.content)
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
        let before = progress.state;
        if !before.is_final() {
            change(&mut progress);
        }
        let state = progress.state;
        drop(progress);
        self.changed.notify_waiters();
        if state != before && !matches!(state, State::Waiting | State::InFlight) {
            let (ready, id) = &self.told;
            ready.add(*id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }
}
