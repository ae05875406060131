//! A shard this node holds the lease of.

use crate::api::ShardId;
use crate::flow::Flow;
use crate::plan::LEASE;
use crate::position::Anchor;
use crate::shape::Shaper;
use crate::store::Holder;
use crate::trouble::Trouble;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Beyond this age of the last renewal nothing more is fetched: two thirds of the lease.
const READ_UNTIL: Duration = Duration::from_secs(20);
/// Beyond this age nothing more is handed out. NiFi writes what was handed out until the next bound.
const HAND_OUT_UNTIL: Duration = Duration::from_secs(25);
/// Beyond this age no commit is begun. The rest of the lease is for the commit itself.
const COMMIT_UNTIL: Duration = Duration::from_secs(28);
const _: () = assert!(HAND_OUT_UNTIL.as_secs() < COMMIT_UNTIL.as_secs());
const _: () = assert!(COMMIT_UNTIL.as_secs() < LEASE.as_secs());

/// Our side of a lease. Its age is counted by monotonic time from the *sending* of the write that was confirmed last, so
/// it is never younger here than another node can see it.
pub(crate) struct Lease {
    pub(crate) holder: Holder,
    renewed: Mutex<Instant>,
}

impl Lease {
    pub(crate) fn new(holder: Holder, sent: Instant) -> Self {
        Self { holder, renewed: Mutex::new(sent) }
    }

    /// A write that was sent at `sent` renewed the lease.
    pub(crate) fn renewed(&self, sent: Instant) {
        let mut renewed = lock(&self.renewed);
        *renewed = sent.max(*renewed);
    }

    pub(crate) fn age(&self) -> Duration {
        lock(&self.renewed).elapsed()
    }

    pub(crate) fn may_read(&self) -> bool {
        self.age() <= READ_UNTIL
    }

    pub(crate) fn may_hand_out(&self) -> bool {
        self.age() <= HAND_OUT_UNTIL
    }

    pub(crate) fn may_commit(&self) -> bool {
        self.age() <= COMMIT_UNTIL
    }
}

/// See the module.
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    /// Tells apart two holdings of the same shard.
    pub(crate) serial: u64,
    pub(crate) lease: Lease,
    pub(crate) lineage: String,
    pub(crate) anchor: Anchor,
    pub(crate) shaper: Shaper,
    /// Wakes the reader: a rewind, or room in the buffer.
    pub(crate) wake: Notify,
    /// Ends the reader.
    pub(crate) reading: CancellationToken,
    flow: Mutex<Flow>,
    draining: AtomicBool,
    gone: AtomicBool,
    behind_ms: AtomicI64,
    asking: Mutex<Asking>,
}

/// What the reader hears of the service.
struct Asking {
    /// Since when it is without an answer; `None` while it does not ask.
    since: Option<Instant>,
    /// What went wrong last since the last answer.
    trouble: Option<Trouble>,
    /// There was an answer under this lease.
    answered: bool,
}

impl Shard {
    pub(crate) fn new(
        serial: u64,
        lease: Lease,
        lineage: String,
        anchor: Anchor,
        shaper: Shaper,
        flow: Flow,
        reading: CancellationToken,
    ) -> Self {
        Self {
            id: lease.holder.shard.clone(),
            serial,
            lease,
            lineage,
            anchor,
            shaper,
            wake: Notify::new(),
            reading,
            flow: Mutex::new(flow),
            draining: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            behind_ms: AtomicI64::new(-1),
            asking: Mutex::new(Asking { since: Some(Instant::now()), trouble: None, answered: false }),
        }
    }

    pub(crate) fn flow(&self) -> MutexGuard<'_, Flow> {
        lock(&self.flow)
    }

    /// Stops reading and drops what was not handed out; what was handed out can still be committed. Gives whether this
    /// is the first call.
    pub(crate) fn drain(&self) -> bool {
        self.reading.cancel();
        self.flow().stop();
        !self.draining.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The lease is no longer ours: nothing of this holding counts any more.
    pub(crate) fn lose(&self) {
        self.gone.store(true, Ordering::Release);
        self.reading.cancel();
        self.flow().void();
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Nobody else can have the records of this batch, and they are not read again here.
    pub(crate) fn may_commit(&self, batch: u64) -> bool {
        !self.is_gone() && self.lease.may_commit() && self.flow().is_out(batch)
    }

    /// The service gave records, or said that there are none.
    pub(crate) fn answered(&self) {
        *lock(&self.asking) = Asking { since: Some(Instant::now()), trouble: None, answered: true };
    }

    /// There was an answer under this lease.
    pub(crate) fn was_answered(&self) -> bool {
        lock(&self.asking).answered
    }

    /// The reader wants an answer from now on.
    pub(crate) fn asks(&self) {
        lock(&self.asking).since.get_or_insert_with(Instant::now);
    }

    /// The reader waits for something of our own: room, memory, the lease.
    pub(crate) fn rests(&self) {
        lock(&self.asking).since = None;
    }

    /// How long the reader has been without an answer.
    pub(crate) fn unanswered(&self) -> Duration {
        lock(&self.asking).since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The reader's call failed.
    pub(crate) fn failed(&self, trouble: &Trouble) {
        lock(&self.asking).trouble = Some(trouble.clone());
    }

    /// What went wrong last since the last answer.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        lock(&self.asking).trouble.clone()
    }

    pub(crate) fn set_behind(&self, behind_ms: i64) {
        self.behind_ms.store(behind_ms, Ordering::Relaxed);
    }

    /// Milliseconds behind the newest record, when the service said so.
    pub(crate) fn behind(&self) -> Option<i64> {
        Some(self.behind_ms.load(Ordering::Relaxed)).filter(|b| *b >= 0)
    }
}

/// A poisoned lock means that a task panicked and was restarted; the data under our locks is valid between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
