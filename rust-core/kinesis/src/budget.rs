//! Bytes of fetched records that may be in memory at once, shared by all shards of a source.
//!
//! A reader takes permits for the largest answer it expects before it fetches, and corrects them to the true size
//! after. What was underestimated becomes a debt that is paid before anybody else gets permits, so the account is
//! right at all times and returns to zero.
//!
//! Some buffers of rows that were handed out are kept for the next rows: fresh memory from the system costs more than
//! filling it. They stay on the account.

use crate::shard::lock;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Permits are counted in units of this many bytes, so that budgets beyond 4 GB fit the semaphore.
const UNIT: usize = 1_024;
/// A debt of this fraction of the budget is paid without anybody waiting for it in the middle of an answer.
const SLACK: usize = 10;
/// Smaller buffers are as cheap from the allocator.
const WORTH_KEEPING: usize = 128 * 1_024;
/// The part of the budget that may be kept.
const KEPT: usize = 8;
/// A kept buffer is used for what fills at least this fraction of it.
const FIT: usize = 8;

/// The account.
pub(crate) struct Budget {
    units: usize,
    semaphore: Semaphore,
    debt: Mutex<usize>,
    kept: Mutex<Kept>,
    /// A kept buffer was used since the last look.
    used_kept: AtomicBool,
}

/// Empty buffers, each with the units of its memory.
#[derive(Default)]
struct Kept {
    buffers: Vec<(Vec<u8>, usize)>,
    /// Those of all buffers.
    units: usize,
    /// So many wait for nearly the whole budget.
    refused: usize,
}

/// A share of the budget; returned when dropped.
pub(crate) struct Permit {
    budget: Arc<Budget>,
    units: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let units = bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            units,
            semaphore: Semaphore::new(units),
            debt: Mutex::new(0),
            kept: Mutex::default(),
            used_kept: AtomicBool::new(false),
        })
    }

    /// Waits, in order of asking, until `bytes` fit. More than the whole budget counts as the whole budget.
    pub(crate) async fn acquire(self: &Arc<Self>, bytes: usize) -> Permit {
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        let wanted = u32::try_from(units).unwrap_or(u32::MAX);
        let _refuses = (units > self.units - self.units / KEPT).then(|| Refuses::new(self));
        if let Ok(taken) = self.semaphore.acquire_many(wanted).await {
            taken.forget();
        }
        Permit { budget: self.clone(), units }
    }

    /// A share of nothing, to be merged with others.
    #[cfg(test)]
    pub(crate) fn nothing(self: &Arc<Self>) -> Permit {
        Permit { budget: self.clone(), units: 0 }
    }

    /// Keeps a buffer that nobody needs, with its units, if there is room.
    fn keep(&self, mut buffer: Vec<u8>, units: usize) {
        buffer.clear();
        {
            let mut kept = lock(&self.kept);
            let fits = units <= self.units / KEPT && units * UNIT >= buffer.capacity();
            if fits && kept.refused == 0 && buffer.capacity() >= WORTH_KEEPING {
                kept.units += units;
                kept.buffers.push((buffer, units));
                while kept.units > self.units / KEPT {
                    let (oldest, units) = kept.buffers.remove(0);
                    kept.units -= units;
                    drop(oldest);
                    self.release(units);
                }
                return;
            }
        }
        drop(buffer);
        self.release(units);
    }

    /// Lets go of what is kept if none of it was used since the last call.
    pub(crate) fn tidy(&self) {
        if !self.used_kept.swap(false, Ordering::Relaxed) {
            self.give_up(&mut lock(&self.kept));
        }
    }

    fn give_up(&self, kept: &mut Kept) {
        kept.buffers.clear();
        self.release(std::mem::take(&mut kept.units));
    }

    /// Bytes taken now, without the buffers that are kept.
    pub(crate) fn used(&self) -> usize {
        let kept = lock(&self.kept).units;
        let taken = self.units - self.semaphore.available_permits().min(self.units) + *self.debt();
        taken.saturating_sub(kept) * UNIT
    }

    /// More is taken than there is, by so much that somebody has to wait. Estimates of answers are a little off all the
    /// time.
    pub(crate) fn is_overdrawn(&self) -> bool {
        *self.debt() > self.units / SLACK
    }

    /// Bytes in all.
    pub(crate) fn capacity(&self) -> usize {
        self.units * UNIT
    }

    fn debt(&self) -> std::sync::MutexGuard<'_, usize> {
        lock(&self.debt)
    }

    fn release(&self, units: usize) {
        let mut debt = self.debt();
        let pays = units.min(*debt);
        *debt -= pays;
        if units > pays {
            self.semaphore.add_permits(units - pays);
        }
    }

    /// Takes units that are in use already, whether there are any or not.
    fn force(&self, units: usize) {
        let mut debt = self.debt();
        let taken = self.semaphore.forget_permits(units);
        *debt += units - taken;
    }
}

/// Nothing is kept as long as this exists.
struct Refuses<'a>(&'a Budget);

impl<'a> Refuses<'a> {
    fn new(budget: &'a Budget) -> Self {
        let mut kept = lock(&budget.kept);
        kept.refused += 1;
        budget.give_up(&mut kept);
        Self(budget)
    }
}

impl Drop for Refuses<'_> {
    fn drop(&mut self) {
        lock(&self.0.kept).refused -= 1;
    }
}

/// Rows that are handed out. Their buffer and its share go back when the last slice of them is gone.
struct Rows {
    buffer: Vec<u8>,
    permit: Permit,
}

impl AsRef<[u8]> for Rows {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.permit.keep(std::mem::take(&mut self.buffer));
    }
}

impl Permit {
    /// An empty buffer with room for `bytes`, and a share that covers it if it was kept from earlier rows.
    pub(crate) fn buffer(&self, bytes: usize) -> (Vec<u8>, Permit) {
        let mut kept = lock(&self.budget.kept);
        // The latest first: its memory is likeliest in the processor's cache.
        let fits = |capacity: usize| capacity >= bytes && capacity / FIT <= bytes;
        let Some(index) = kept.buffers.iter().rposition(|(buffer, _)| fits(buffer.capacity())) else {
            return (Vec::with_capacity(bytes), self.split_nothing());
        };
        let (buffer, units) = kept.buffers.remove(index);
        kept.units -= units;
        drop(kept);
        self.budget.used_kept.store(true, Ordering::Relaxed);
        (buffer, Permit { budget: self.budget.clone(), units })
    }

    /// Nothing of the buffer that this share covers is needed any more.
    pub(crate) fn keep(&mut self, buffer: Vec<u8>) {
        self.budget.keep(buffer, std::mem::take(&mut self.units));
    }

    /// The rows in `buffer`, to be handed out with the share that covers them.
    pub(crate) fn rows(&mut self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Rows { buffer, permit: self.split(usize::MAX) })
    }

    /// Corrects the share to the true size.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let units = bytes.div_ceil(UNIT);
        if units < self.units {
            self.budget.release(self.units - units);
        } else {
            self.budget.force(units - self.units);
        }
        self.units = units;
    }

    /// Bytes of the whole account.
    pub(crate) fn capacity(&self) -> usize {
        self.budget.capacity()
    }

    /// Makes the share at least that large, whether there is enough or not; tells whether there was not.
    pub(crate) fn raise(&mut self, bytes: usize) -> bool {
        if bytes.div_ceil(UNIT) > self.units {
            self.resize(bytes);
        }
        self.budget.is_overdrawn()
    }

    /// Moves `bytes` of this share, or all of it when it has less, into a share of its own.
    pub(crate) fn split(&mut self, bytes: usize) -> Permit {
        let units = bytes.div_ceil(UNIT).min(self.units);
        self.units -= units;
        Permit { budget: self.budget.clone(), units }
    }

    /// A share of nothing on the same account.
    pub(crate) fn split_nothing(&self) -> Permit {
        Permit { budget: self.budget.clone(), units: 0 }
    }

    /// Adds `other` to this share.
    pub(crate) fn merge(&mut self, mut other: Permit) {
        self.units += std::mem::take(&mut other.units);
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.units * UNIT
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.units > 0 {
            self.budget.release(self.units);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test]
    async fn a_fetch_waits_for_memory() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.acquire(8 * UNIT).await;
        let second = tokio::spawn({
            let budget = budget.clone();
            async move { budget.acquire(5 * UNIT).await.bytes() }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.unwrap(), 5 * UNIT);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn an_underestimate_is_paid_back_first() {
        let budget = Budget::new(4 * UNIT);
        let mut page = budget.acquire(UNIT).await;
        page.resize(10 * UNIT);
        assert_eq!(budget.used(), 10 * UNIT);
        page.resize(5 * UNIT);
        assert_eq!(budget.used(), 5 * UNIT);
        assert_eq!(budget.semaphore.available_permits(), 0);
        drop(page);
        assert_eq!((budget.used(), budget.semaphore.available_permits()), (0, 4));
    }

    /// Rows of that much memory, handed out and let go.
    async fn hand_out(budget: &Arc<Budget>, bytes: usize) -> *const u8 {
        let buffer = Vec::with_capacity(bytes);
        let address = buffer.as_ptr();
        drop(budget.acquire(bytes).await.rows(buffer));
        address
    }

    #[tokio::test]
    async fn rows_are_made_in_kept_buffers() {
        let budget = Budget::new(16 * WORTH_KEEPING);
        let nothing = budget.nothing();
        let address = hand_out(&budget, 2 * WORTH_KEEPING).await;
        assert_eq!(budget.used(), 0);
        assert_eq!(budget.semaphore.available_permits() * UNIT, 14 * WORTH_KEEPING, "it is on the account");
        assert_ne!(nothing.buffer(1_000).0.as_ptr(), address, "too large for so little");
        let (buffer, mut share) = nothing.buffer(WORTH_KEEPING);
        assert_eq!((buffer.as_ptr(), share.bytes()), (address, 2 * WORTH_KEEPING));
        drop(share.rows(buffer));
        for _ in 0..5 {
            hand_out(&budget, 2 * WORTH_KEEPING).await;
        }
        hand_out(&budget, 3 * WORTH_KEEPING).await;
        assert_eq!(budget.semaphore.available_permits() * UNIT, 14 * WORTH_KEEPING, "an eighth is kept");
        let all = budget.acquire(16 * WORTH_KEEPING).await;
        assert_eq!(all.bytes(), 16 * WORTH_KEEPING, "given up for somebody who needs all");
        assert!(lock(&budget.kept).buffers.is_empty());
    }

    #[tokio::test]
    async fn what_is_kept_and_not_used_is_let_go() {
        let budget = Budget::new(16 * WORTH_KEEPING);
        hand_out(&budget, WORTH_KEEPING).await;
        let (buffer, mut share) = budget.nothing().buffer(WORTH_KEEPING);
        drop(share.rows(buffer));
        budget.tidy();
        assert_eq!(lock(&budget.kept).buffers.len(), 1, "it was used");
        budget.tidy();
        assert_eq!((lock(&budget.kept).units, budget.semaphore.available_permits()), (0, budget.units));
    }

    #[tokio::test]
    async fn more_than_everything_is_everything() {
        let budget = Budget::new(4 * UNIT);
        assert_eq!(budget.acquire(100 * UNIT).await.bytes(), 4 * UNIT);
    }

    proptest! {
        #[test]
        fn the_account_returns_to_zero(steps in proptest::collection::vec((0usize..20_000, 0usize..3), 1..60)) {
            let budget = Budget::new(8 * UNIT);
            let mut pool = vec![budget.nothing()];
            for (bytes, what) in steps {
                match what {
                    0 => { let mut p = budget.nothing(); p.resize(bytes); pool.push(p); }
                    1 => { if let Some(mut p) = pool.pop() { let q = p.split(bytes); pool.push(p); pool.push(q); } }
                    _ => { if let (Some(mut p), Some(q)) = (pool.pop(), pool.pop()) { p.merge(q); pool.push(p); } }
                }
                let held: usize = pool.iter().map(Permit::bytes).sum();
                prop_assert_eq!(budget.used(), held);
            }
            pool.clear();
            prop_assert_eq!(budget.used(), 0);
            prop_assert_eq!(budget.semaphore.available_permits(), 8);
        }
    }
}
