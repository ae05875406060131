//! Where readers and NiFi's threads meet: which shard is ready to hand out, and which batch belongs to which shard.
//!
//! Natural batching: a record waits for others a little longer the more shards are active, and an idle connector emits at
//! once. Whatever the number of shards, batches that are not full leave at most 200 times a second; full ones leave at
//! once.

use crate::batch::Batch;
use crate::emit::part;
use crate::error::SourceError;
use crate::flow::Settled;
use crate::shard::{Shard, lock};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Waiting time per active shard, and least time between two batches that are not full.
const LINGER_PER_SHARD: Duration = Duration::from_millis(5);
/// Shortest waiting time.
const LINGER_LEAST: Duration = Duration::from_millis(10);
/// A shard is active for this long after its last record.
const ACTIVE: Duration = Duration::from_secs(5);
/// When a shard is looked at again whose lease is too old to hand out from.
const RETRY: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Inner {
    /// Shards with something to hand out, in their order.
    ready: BTreeSet<Place>,
    due: HashMap<u64, (Place, Arc<Shard>)>,
    /// When the next batch that is not full has its turn.
    turn: Option<Instant>,
    active: HashMap<u64, Instant>,
    pruned: Option<Instant>,
    batches: HashMap<u64, Arc<Shard>>,
    stopped: bool,
    closed: bool,
}

/// A shard's place in the order of handing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Shards with a full batch come first.
    partial: bool,
    /// Not before.
    at: Instant,
    serial: u64,
}

/// See the module.
pub(crate) struct Exchange {
    stream: String,
    /// Bytes that make a batch full.
    full: usize,
    /// Longest waiting time.
    longest: Duration,
    inner: Mutex<Inner>,
    wake: Notify,
    next_batch: AtomicU64,
    handed_out: AtomicU64,
}

enum Next {
    Batch(Arc<Batch>),
    NotBefore(Instant),
    Nothing,
}

impl Exchange {
    pub(crate) fn new(stream: String, full: usize, longest: Duration) -> Self {
        Self {
            stream,
            full,
            longest,
            inner: Mutex::default(),
            wake: Notify::new(),
            next_batch: AtomicU64::new(1),
            handed_out: AtomicU64::new(0),
        }
    }

    /// The shard has new content.
    pub(crate) fn offer(&self, shard: &Arc<Shard>) {
        let (full, oldest) = {
            let flow = shard.flow();
            (flow.is_full(self.full), flow.oldest())
        };
        let now = Instant::now();
        let mut inner = lock(&self.inner);
        inner.active.insert(shard.serial, now);
        if inner.pruned.is_none_or(|t| now.duration_since(t) > ACTIVE / 5) {
            inner.pruned = Some(now);
            inner.active.retain(|_, t| now.duration_since(*t) < ACTIVE);
        }
        let Some(oldest) = oldest else { return };
        let at = if full { oldest } else { oldest + self.linger(inner.active.len()) };
        self.schedule(&mut inner, shard, at, !full);
    }

    fn linger(&self, active: usize) -> Duration {
        let wanted = LINGER_PER_SHARD.saturating_mul(u32::try_from(active).unwrap_or(u32::MAX));
        wanted.max(LINGER_LEAST).min(self.longest)
    }

    fn schedule(&self, inner: &mut Inner, shard: &Arc<Shard>, at: Instant, partial: bool) {
        let place = Place { partial, at, serial: shard.serial };
        if let Some((old, _)) = inner.due.insert(shard.serial, (place, shard.clone())) {
            inner.ready.remove(&old);
        }
        inner.ready.insert(place);
        if inner.ready.first() == Some(&place) {
            self.wake.notify_waiters();
        }
    }

    /// The next batch, waiting for it at most `wait`.
    pub(crate) async fn next(&self, wait: Duration) -> Result<Option<Arc<Batch>>, SourceError> {
        let deadline = Instant::now() + wait;
        loop {
            let notified = self.wake.notified();
            tokio::pin!(notified);
            // From here on no wake-up is missed.
            notified.as_mut().enable();
            let until = match self.try_next()? {
                Next::Batch(batch) => return Ok(Some(batch)),
                Next::NotBefore(at) => at.min(deadline),
                Next::Nothing if lock(&self.inner).stopped => return Ok(None),
                Next::Nothing => deadline,
            };
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let _ = tokio::time::timeout_at(until, notified).await;
        }
    }

    fn try_next(&self) -> Result<Next, SourceError> {
        loop {
            let shard = {
                let mut inner = lock(&self.inner);
                if inner.closed {
                    return Err(SourceError::Closed);
                }
                let first = inner.ready.first().copied().filter(|_| !inner.stopped);
                let Some(place) = first else { return Ok(Next::Nothing) };
                let now = Instant::now();
                let turn = inner.turn.filter(|_| place.partial);
                let at = turn.map_or(place.at, |turn| turn.max(place.at));
                if at > now {
                    return Ok(Next::NotBefore(at));
                }
                inner.ready.remove(&place);
                let Some((_, shard)) = inner.due.remove(&place.serial) else { continue };
                if place.partial && shard.lease.may_hand_out() {
                    inner.turn = Some(now + LINGER_PER_SHARD);
                }
                shard
            };
            if !shard.lease.may_hand_out() && !shard.is_gone() {
                let mut inner = lock(&self.inner);
                self.schedule(&mut inner, &shard, Instant::now() + RETRY, true);
                continue;
            }
            if let Some(batch) = self.take(&shard) {
                return Ok(Next::Batch(batch));
            }
        }
    }

    fn take(&self, shard: &Arc<Shard>) -> Option<Arc<Batch>> {
        let id = self.next_batch.fetch_add(1, Ordering::Relaxed);
        // Registered first: the shard must not be left with a batch that nobody can settle.
        lock(&self.inner).batches.insert(id, shard.clone());
        let drafts = shard.flow().take(id, self.full);
        let Some(drafts) = drafts else {
            lock(&self.inner).batches.remove(&id);
            return None;
        };
        shard.wake.notify_one();
        if shard.flow().oldest().is_some() {
            self.offer(shard);
        }
        self.handed_out.fetch_add(1, Ordering::Relaxed);
        let mut permits = Vec::with_capacity(drafts.len());
        let mut parts = Vec::with_capacity(drafts.len());
        for (draft, previous) in drafts {
            let (made, permit) = part(&self.stream, shard, draft, &previous);
            parts.push(made);
            permits.push(permit);
        }
        Some(Arc::new(Batch::new(id, parts, permits)))
    }

    /// Whether a commit of the batch may begin now.
    pub(crate) fn may_commit(&self, batch: u64) -> Result<bool, SourceError> {
        let (shard, closed) = {
            let inner = lock(&self.inner);
            (inner.batches.get(&batch).cloned(), inner.closed)
        };
        let Some(shard) = shard else {
            return if closed { Ok(false) } else { Err(SourceError::UnknownBatch(batch)) };
        };
        let may = shard.may_commit(batch);
        if !may {
            tracing::info!(shard = %shard.id, batch, age = ?shard.lease.age(), "a batch came too late to be committed");
        }
        Ok(may)
    }

    /// What became of a batch. Gives the shard and what its flow made of it; `None` after the end.
    pub(crate) fn settle(
        &self,
        batch: u64,
        committed: bool,
    ) -> Result<Option<(Arc<Shard>, Settled)>, SourceError> {
        let (shard, closed) = {
            let mut inner = lock(&self.inner);
            (inner.batches.remove(&batch), inner.closed)
        };
        let Some(shard) = shard else {
            return if closed { Ok(None) } else { Err(SourceError::UnknownBatch(batch)) };
        };
        let settled = shard.flow().settle(batch, committed);
        if settled == Settled::Rewound {
            self.unschedule(&shard);
            shard.wake.notify_one();
        }
        Ok(Some((shard, settled)))
    }

    /// Nothing of this shard is handed out any more.
    pub(crate) fn unschedule(&self, shard: &Shard) {
        let mut inner = lock(&self.inner);
        if let Some((place, _)) = inner.due.remove(&shard.serial) {
            inner.ready.remove(&place);
        }
    }

    /// No more batches; what is out can be settled.
    pub(crate) fn stop(&self) {
        let mut inner = lock(&self.inner);
        inner.stopped = true;
        inner.ready.clear();
        inner.due.clear();
        drop(inner);
        self.wake.notify_waiters();
    }

    /// No more batches and no more settlements.
    pub(crate) fn close(&self) {
        self.stop();
        let mut inner = lock(&self.inner);
        inner.closed = true;
        inner.batches.clear();
        drop(inner);
        self.wake.notify_waiters();
    }

    /// Batches that were handed out and are not settled.
    pub(crate) fn outstanding(&self) -> usize {
        lock(&self.inner).batches.len()
    }

    /// Shards with records in the last seconds.
    pub(crate) fn active(&self) -> usize {
        let now = Instant::now();
        lock(&self.inner).active.values().filter(|t| now.duration_since(**t) < ACTIVE).count()
    }

    /// Batches handed out since the start.
    pub(crate) fn handed_out(&self) -> u64 {
        self.handed_out.load(Ordering::Relaxed)
    }
}
