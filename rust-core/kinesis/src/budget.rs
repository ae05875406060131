//! Bytes of fetched records that may be in memory at once, shared by all shards of a source.
//!
//! A reader takes permits for the largest answer it expects before it fetches, and corrects them to the true size
//! after. What was underestimated becomes a debt that is paid before anybody else gets permits, so the account is
//! right at all times and returns to zero.

use std::sync::Arc;
use std::sync::Mutex;
use tokio::sync::Semaphore;

/// Permits are counted in units of this many bytes, so that budgets beyond 4 GB fit the semaphore.
const UNIT: usize = 1_024;
/// A debt of this fraction of the budget is paid without anybody waiting for it in the middle of an answer.
const SLACK: usize = 10;

/// The account.
pub(crate) struct Budget {
    units: usize,
    semaphore: Semaphore,
    debt: Mutex<usize>,
}

/// A share of the budget; returned when dropped.
pub(crate) struct Permit {
    budget: Arc<Budget>,
    units: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        let units = bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self { units, semaphore: Semaphore::new(units), debt: Mutex::new(0) })
    }

    /// Waits, in order of asking, until `bytes` fit. More than the whole budget counts as the whole budget.
    pub(crate) async fn acquire(self: &Arc<Self>, bytes: usize) -> Permit {
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        let wanted = u32::try_from(units).unwrap_or(u32::MAX);
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

    /// Bytes taken now.
    pub(crate) fn used(&self) -> usize {
        (self.units - self.semaphore.available_permits().min(self.units) + *self.lock()) * UNIT
    }

    /// More is taken than there is, by so much that somebody has to wait. Estimates of answers are a little off all the
    /// time.
    pub(crate) fn is_overdrawn(&self) -> bool {
        *self.lock() > self.units / SLACK
    }

    /// Bytes in all.
    pub(crate) fn capacity(&self) -> usize {
        self.units * UNIT
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, usize> {
        self.debt.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn release(&self, units: usize) {
        let mut debt = self.lock();
        let pays = units.min(*debt);
        *debt -= pays;
        if units > pays {
            self.semaphore.add_permits(units - pays);
        }
    }

    /// Takes units that are in use already, whether there are any or not.
    fn force(&self, units: usize) {
        let mut debt = self.lock();
        let taken = self.semaphore.forget_permits(units);
        *debt += units - taken;
    }
}

impl Permit {
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
