//! Memory for FlowFile content, shared by all channels of a sink.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Unit of the count.
const UNIT: u64 = 1024;

/// Bytes that may be held at once.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    units: u32,
}

/// Bytes held; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held(OwnedSemaphorePermit);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes as u64 / UNIT).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        Self { permits: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Waits for `bytes`; more than the budget gets all of it, and so goes alone.
    pub(crate) async fn hold(&self, bytes: u64) -> Option<Held> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        Arc::clone(&self.permits).acquire_many_owned(units).await.ok().map(Held)
    }

    /// Bytes not held.
    pub(crate) fn free(&self) -> u64 {
        self.permits.available_permits() as u64 * UNIT
    }

    /// Bytes in all.
    pub(crate) fn total(&self) -> u64 {
        u64::from(self.units) * UNIT
    }
}

impl Held {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.num_permits() as u64 * UNIT
    }

    /// Takes up to `bytes` out, so that they can be given back separately.
    pub(crate) fn split(&mut self, bytes: u64) -> Option<Held> {
        let units = bytes.div_ceil(UNIT).min(self.0.num_permits() as u64);
        self.0.split(usize::try_from(units).ok()?).map(Held)
    }

    /// Both in one.
    pub(crate) fn joined(one: Option<Held>, other: Option<Held>) -> Option<Held> {
        match (one, other) {
            (Some(Held(mut one)), Some(Held(other))) => {
                one.merge(other);
                Some(Held(one))
            }
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_held_and_split_comes_back() {
        let budget = Budget::new(10 * 1024);
        let mut held = budget.hold(8 * 1024).await.unwrap();
        let part = held.split(3000);
        assert_eq!(budget.free(), 2 * 1024);
        drop(held);
        assert_eq!(budget.free(), 7 * 1024);
        let more = budget.hold(1024).await;
        let both = Held::joined(Held::joined(None, part), Held::joined(more, None));
        assert_eq!(both.as_ref().map(Held::bytes), Some(4 * 1024));
        assert_eq!(budget.free(), 6 * 1024);
        drop(both);
        assert_eq!(budget.free(), budget.total());
        let all = budget.hold(1 << 40).await.unwrap();
        assert_eq!(budget.free(), 0);
        drop(all);
        assert_eq!(budget.free(), budget.total());
    }
}
