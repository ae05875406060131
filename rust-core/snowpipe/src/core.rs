//! What all channels of a sink share.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actor::lock;
use crate::api::Api;
use crate::body::Compressors;
use crate::budget::Budget;
use crate::config::SinkConfig;
use crate::machine::Now;
use crate::trip::Trips;
use bulletin::Messages;

/// Opens at a time.
const OPENS: usize = 16;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: SinkConfig,
    pub(crate) api: Api,
    pub(crate) budget: Budget,
    pub(crate) compressors: Arc<Compressors>,
    pub(crate) messages: Messages,
    pub(crate) stats: Stats,
    pub(crate) opens: Semaphore,
    pub(crate) runtime: Handle,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Panics that tests ask for.
    pub(crate) trips: Trips,
    started: Instant,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Appends acknowledged.
    pub(crate) appends: AtomicU64,
    /// Their uncompressed bytes.
    pub(crate) raw: AtomicU64,
    /// Their bytes on the wire.
    pub(crate) compressed: AtomicU64,
    /// Status calls.
    pub(crate) polls: AtomicU64,
    told: Mutex<[u64; 2]>,
}

impl Stats {
    pub(crate) fn appended(&self, raw: u64, compressed: u64) {
        self.appends.fetch_add(1, Ordering::Relaxed);
        self.raw.fetch_add(raw, Ordering::Relaxed);
        self.compressed.fetch_add(compressed, Ordering::Relaxed);
    }

    /// What was added since the last call, by the names of Snowflake's processor.
    pub(crate) fn news(&self) -> Vec<(&'static str, u64)> {
        // Counts are read under the lock: of two that ask at once the later one never has the smaller numbers.
        let mut told = lock(&self.told);
        let now = [&self.appends, &self.compressed].map(|count| count.load(Ordering::Relaxed));
        let before = std::mem::replace(&mut *told, now);
        let added = ["Batches Sent", "Compressed Bytes Sent"].into_iter().zip(now).zip(before);
        added.map(|((name, now), before)| (name, now - before)).filter(|(_, added)| *added > 0).collect()
    }
}

impl Core {
    pub(crate) fn new(config: SinkConfig, runtime: &Handle) -> Self {
        let trips = Trips::default();
        Self {
            api: Api::new(&config, &trips),
            budget: Budget::new(config.memory_budget),
            compressors: Compressors::new(config.compression_level),
            messages: Messages::default(),
            stats: Stats::default(),
            opens: Semaphore::new(OPENS),
            runtime: runtime.clone(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            trips,
            started: Instant::now(),
            config,
        }
    }

    /// Time since the start.
    pub(crate) fn now(&self) -> Now {
        self.started.elapsed()
    }

    /// Waits for a moment of [`Core::now`]; for ever without one.
    pub(crate) async fn sleep_until(&self, at: Option<Now>) {
        match at {
            Some(at) => tokio::time::sleep_until(self.started + at.max(Duration::from_millis(1))).await,
            None => std::future::pending().await,
        }
    }

    /// Runs a task that ends with the sink.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let stop = self.stop.clone();
        let guarded = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        };
        self.tasks.spawn_on(guarded, &self.runtime).abort_handle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_names_of_snowflakes_processor_and_tell_what_is_new() {
        let stats = Stats::default();
        assert_eq!(stats.news(), []);
        stats.appended(1000, 100);
        stats.appended(2000, 150);
        assert_eq!(stats.news(), [("Batches Sent", 2), ("Compressed Bytes Sent", 250)]);
        assert_eq!(stats.news(), [], "each is told once");
        stats.appended(1000, 0);
        assert_eq!(stats.news(), [("Batches Sent", 1)]);
        assert_eq!(stats.raw.load(Ordering::Relaxed), 4000);
    }
}
