//! Uploads that their caller has to look at, so that it need not ask about each of thousands.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use super::Sink;
use crate::actor::lock;
use crate::machine::Id;

/// More are not remembered; a caller that never asks looks at its uploads one by one.
const MOST: usize = 100_000;

/// Numbers of uploads that want data or have ended.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    ids: Mutex<VecDeque<Id>>,
    added: Notify,
}

impl Ready {
    pub(crate) fn add(&self, id: Id) {
        let mut ids = lock(&self.ids);
        if ids.len() == MOST {
            ids.pop_front();
        }
        ids.push_back(id);
        drop(ids);
        self.added.notify_one();
    }

    /// At most `most` of them, oldest first; the rest is for other threads.
    fn take(&self, most: usize) -> Vec<Id> {
        let mut ids = lock(&self.ids);
        let count = most.min(ids.len());
        let taken = ids.drain(..count).collect();
        if !ids.is_empty() {
            self.added.notify_one();
        }
        taken
    }
}

impl Sink {
    /// At most `most` uploads that began to want data or ended since they were named here; waits up to `wait` while there
    /// is none. Each change is told once, to one caller; an upload may have been forgotten meanwhile.
    pub async fn ready(&self, most: usize, wait: Duration) -> Vec<u64> {
        let first = async {
            loop {
                let ids = self.ready.take(most);
                if !ids.is_empty() {
                    return ids;
                }
                self.ready.added.notified().await;
            }
        };
        let known = self.ready.take(most);
        if !known.is_empty() || wait.is_zero() {
            return known;
        }
        tokio::time::timeout(wait, first).await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once_and_shared_out() {
        let ready = Ready::default();
        (1..=5).for_each(|id| ready.add(id));
        assert_eq!(ready.take(2), [1, 2]);
        assert_eq!(ready.take(8), [3, 4, 5]);
        assert!(ready.take(8).is_empty());
    }
}
