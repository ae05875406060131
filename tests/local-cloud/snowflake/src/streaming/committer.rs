//! Makes accepted rows visible, in the background, after the commit delay.
//!
//! A task runs while rows wait and ends when none do; there is nothing to stop.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::channel::{Channel, ChannelState, LastError, Pending};
use super::ingest::{Broken, Ingest, Outcome};
use crate::account::Account;
use crate::catalog::Path;
use crate::locks::lock;
use crate::snapshot::CommittedRange;

/// Due appends of one channel, in order.
struct Work {
    channel: Arc<Channel>,
    appends: Vec<Pending>,
}

#[derive(Default)]
struct Queue {
    due: VecDeque<(Instant, Arc<Channel>)>,
    running: bool,
    paused: bool,
}

/// The appends that wait for their commit.
#[derive(Default)]
pub(crate) struct Committer {
    queue: Mutex<Queue>,
    wake: Notify,
    pending_bytes: Arc<AtomicU64>,
}

/// Bytes that count as pending as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: u64,
    total: Arc<AtomicU64>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Committer {
    /// Counts `bytes` as pending.
    pub(crate) fn hold(&self, bytes: u64) -> Held {
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        Held { bytes, total: self.pending_bytes.clone() }
    }

    /// Uncompressed bytes that wait.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// Holds commits back, or lets them go on.
    pub(crate) fn pause(&self, paused: bool) {
        lock(&self.queue).paused = paused;
        self.wake.notify_one();
    }

    /// Notes that `channel` has one more append, due at `due`; starts the background task when none runs.
    pub(crate) fn schedule(account: &Arc<Account>, channel: Arc<Channel>, due: Instant) {
        let committer = &account.committer;
        let mut queue = lock(&committer.queue);
        queue.due.push_back((due, channel));
        if !std::mem::replace(&mut queue.running, true) {
            let running = Running(account.clone());
            tokio::spawn(async move { run(&running.0).await });
        }
    }

    /// Commits what is due, on the caller's thread; with `everything` also what is not due yet.
    pub(crate) fn commit_due(account: &Account, everything: bool) {
        let works = account.committer.take(everything);
        let mut by_pipe: HashMap<Path, Vec<Work>> = HashMap::new();
        for work in works {
            by_pipe.entry(work.channel.key.pipe.clone()).or_default().push(work);
        }
        for (pipe, works) in by_pipe {
            commit(account, &pipe, works);
        }
    }

    fn take(&self, everything: bool) -> Vec<Work> {
        let mut queue = lock(&self.queue);
        let now = Instant::now();
        let mut works = Vec::new();
        let mut busy = Vec::new();
        while queue.due.front().is_some_and(|(due, _)| everything || *due <= now) {
            let Some((due, channel)) = queue.due.pop_front() else { break };
            let mut state = channel.state();
            if state.committing && !works.iter().any(|work: &Work| Arc::ptr_eq(&work.channel, &channel)) {
                busy.push((due, channel.clone()));
                continue;
            }
            let mut appends = Vec::new();
            while state.pending.front().is_some_and(|append| everything || append.due <= now) {
                appends.extend(state.pending.pop_front());
            }
            if !appends.is_empty() {
                state.committing = true;
                drop(state);
                works.push(Work { channel, appends });
            }
        }
        for entry in busy.into_iter().rev() {
            queue.due.push_front(entry);
        }
        works
    }

    /// When the next commit is due; `None` (and the task's end) when nothing waits.
    fn next(&self) -> Option<Option<Instant>> {
        let mut queue = lock(&self.queue);
        match queue.due.front() {
            Some(_) if queue.paused => Some(None),
            Some((due, _)) => Some(Some(*due)),
            None => {
                queue.running = false;
                None
            }
        }
    }
}

/// The background task's mark, taken away also when its runtime is dropped.
struct Running(Arc<Account>);

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.0.committer.queue).running = false;
    }
}

async fn run(account: &Arc<Account>) {
    while let Some(next) = account.committer.next() {
        let Some(due) = next else {
            account.committer.wake.notified().await;
            continue;
        };
        if due > Instant::now() {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = account.committer.wake.notified() => {}
            }
            continue;
        }
        let account = account.clone();
        let committed = tokio::task::spawn_blocking(move || Committer::commit_due(&account, false)).await;
        if committed.is_err() {
            tracing::error!("a commit ended abnormally");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What became of one channel's appends: outcomes of those that were stored, and the status code that the channel has
/// from now on when the rest could not be.
#[derive(Default)]
struct Settled {
    outcomes: Vec<Outcome>,
    broken: Option<String>,
}

/// Commits the due appends of one pipe's channels and tells the channels.
fn commit(account: &Account, pipe: &Path, works: Vec<Work>) {
    let broken = |code: &str| Settled { broken: Some(code.to_owned()), ..Settled::default() };
    let most = account.options.limits.evolved_columns;
    let results = account.in_commit(|connection, catalog, id| {
        let Some(mut ingest) = Ingest::new(connection, catalog, pipe, id, most)? else {
            let gone = works.iter().map(|_| broken("ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED"));
            return Ok((gone.collect(), None));
        };
        let results =
            works.iter().map(|work| ingest_work(&mut ingest, work)).collect::<Result<Vec<_>, _>>()?;
        Ok((results, ingest.into_evolved()))
    });
    let results = results.unwrap_or_else(|error| {
        tracing::error!(pipe = %pipe, %error, "commit failed");
        works.iter().map(|_| broken("ERR_CHANNEL_MUST_BE_REOPENED")).collect()
    });
    let now_ms = chrono::Utc::now().timestamp_millis();
    for (work, result) in works.into_iter().zip(results) {
        settle(account, work, result, now_ms);
    }
}

fn ingest_work(ingest: &mut Ingest<'_>, work: &Work) -> rusqlite::Result<Settled> {
    let mut settled = Settled::default();
    if work.channel.table_id != ingest.table_id() {
        // The table was replaced after these rows were accepted.
        settled.broken = Some("STALE_PIPE_CACHE".into());
        return Ok(settled);
    }
    for append in &work.appends {
        match ingest.append(&work.channel, append) {
            Ok(outcome) => settled.outcomes.push(outcome),
            Err(Broken::Storage(error)) => return Err(error),
            Err(Broken::Schema(code)) => {
                settled.broken = Some(code);
                break;
            }
        }
    }
    Ok(settled)
}

fn settle(account: &Account, work: Work, settled: Settled, now_ms: i64) {
    let (mut inserted, mut errors) = (0, 0);
    {
        let mut state = work.channel.state();
        state.committing = false;
        for (append, outcome) in work.appends.into_iter().zip(settled.outcomes) {
            inserted += outcome.inserted;
            errors += outcome.errors;
            state.settle(append, outcome, now_ms);
        }
        if let Some(code) = settled.broken {
            state.invalidate(&code);
        }
    }
    work.channel.settled.notify_waiters();
    account.count_rows(work.channel.table_id, inserted, errors, now_ms);
}

impl ChannelState {
    fn settle(&mut self, append: Pending, outcome: Outcome, now_ms: i64) {
        self.rows_inserted += outcome.inserted;
        self.rows_parsed += outcome.parsed;
        self.rows_errors += outcome.errors;
        if let Some(message) = outcome.last_error {
            self.last_error =
                Some(LastError { offset_upper_bound: append.end.clone(), message, timestamp_ms: now_ms });
        }
        let latency = (now_ms - append.accepted_ms).max(0);
        self.latency_ms = if self.latency_ms == 0 { latency } else { (self.latency_ms * 7 + latency) / 8 };
        if append.end.is_some() {
            self.committed.clone_from(&append.end);
        }
        self.history.push(CommittedRange { start: append.start, end: append.end });
    }
}
