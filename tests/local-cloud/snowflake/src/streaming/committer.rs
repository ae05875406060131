//! Makes accepted rows visible, in the background, after the commit delay.
//!
//! A task runs while rows wait and ends when none do; there is nothing to stop.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::channel::{Channel, Pending, Progress};
use super::ingest::{Broken, Ingest};
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
    wake: Arc<Notify>,
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
            let running = Running(Arc::downgrade(account));
            let wake = committer.wake.clone();
            tokio::spawn(async move { run(&running.0, &wake).await });
        }
    }

    /// Commits what is due, on the caller's thread; with `everything` also what is not due yet.
    pub(crate) fn commit_due(account: &Account, everything: bool) {
        let works = account.committer.take(account.clock().instant(), everything);
        let mut by_pipe: HashMap<Path, Vec<Work>> = HashMap::new();
        for work in works {
            by_pipe.entry(work.channel.key.pipe.clone()).or_default().push(work);
        }
        for (pipe, works) in by_pipe {
            commit(account, &pipe, works);
        }
    }

    fn take(&self, now: Instant, everything: bool) -> Vec<Work> {
        let mut queue = lock(&self.queue);
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
struct Running(Weak<Account>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(account) = self.0.upgrade() {
            lock(&account.committer.queue).running = false;
        }
    }
}

/// Commits until nothing waits. An account that nobody holds any more ends as in a crash: what is not committed is
/// lost, and its clients send it again.
async fn run(account: &Weak<Account>, wake: &Notify) {
    while let Some(next) = account.upgrade().and_then(|account| account.committer.next()) {
        let Some(due) = next else {
            wake.notified().await;
            continue;
        };
        let Some(clock) = account.upgrade().map(|account| account.clock().clone()) else { return };
        if due > clock.instant() {
            tokio::select! {
                () = clock.sleep_until_instant(due) => {}
                () = wake.notified() => {}
            }
            continue;
        }
        let Some(account) = account.upgrade() else { return };
        let committed = tokio::task::spawn_blocking(move || Committer::commit_due(&account, false)).await;
        if committed.is_err() {
            tracing::error!("a commit ended abnormally");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What became of one channel's appends.
#[derive(Default)]
struct Settled {
    /// How many of them were stored, from the first on.
    stored: usize,
    /// The channel's progress with those.
    progress: Progress,
    /// The status code that the channel has from now on, when the rest could not be stored.
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
        let mut results = Vec::with_capacity(works.len());
        for work in &works {
            let settled = ingest_work(&mut ingest, work, account.clock().now_ms())?;
            account.save_progress(connection, &work.channel, &settled.progress)?;
            results.push(settled);
        }
        Ok((results, ingest.into_evolved()))
    });
    let results = results.unwrap_or_else(|error| {
        tracing::error!(pipe = %pipe, %error, "commit failed");
        works.iter().map(|_| broken("ERR_CHANNEL_MUST_BE_REOPENED")).collect()
    });
    for (work, result) in works.into_iter().zip(results) {
        settle(account, work, result);
    }
}

fn ingest_work(ingest: &mut Ingest<'_>, work: &Work, now_ms: i64) -> rusqlite::Result<Settled> {
    let progress = work.channel.state().progress.clone();
    let mut settled = Settled { progress, ..Settled::default() };
    if work.channel.table_id != ingest.table_id() {
        // The table was replaced after these rows were accepted.
        settled.broken = Some("STALE_PIPE_CACHE".into());
        return Ok(settled);
    }
    for append in &work.appends {
        match ingest.append(&work.channel, append) {
            Ok(outcome) => {
                settled.progress.advance(append, &outcome, now_ms);
                settled.stored += 1;
            }
            Err(Broken::Storage(error)) => return Err(error),
            Err(Broken::Schema(code)) => {
                settled.broken = Some(code);
                break;
            }
        }
    }
    Ok(settled)
}

fn settle(account: &Account, work: Work, settled: Settled) {
    let now_ms = account.clock().now_ms();
    let (inserted, errors) = {
        let mut state = work.channel.state();
        state.committing = false;
        let before = (state.progress.rows_inserted, state.progress.rows_errors);
        if settled.stored > 0 {
            state.progress = settled.progress;
        }
        for append in work.appends.into_iter().take(settled.stored) {
            state.history.push(CommittedRange { start: append.start, end: append.end });
        }
        if let Some(code) = settled.broken {
            state.invalidate(&code);
        }
        (state.progress.rows_inserted - before.0, state.progress.rows_errors - before.1)
    };
    work.channel.settled.notify_waiters();
    account.count_rows(work.channel.table_id, inserted, errors, now_ms);
}
