//! The one tokio runtime of a loaded copy of the library: started for the first user, stopped with the last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::allocator;
use crate::error::Error;

/// Tasks that do not end in this time after the last user has gone are left behind.
const STOP_LIMIT: Duration = Duration::from_secs(1);
const MOST_WORKERS: usize = 4;
/// Name resolution and file reads at a time.
const MOST_BLOCKING: usize = 16;

/// Counts the users of the runtime.
#[derive(Default)]
pub(crate) struct RuntimeSlot {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runtime: Option<Runtime>,
    users: usize,
    workers: Option<usize>,
}

/// The right to use the runtime; it runs until the last lease is dropped. To be dropped by a caller's thread only.
pub(crate) struct Lease {
    slot: Arc<RuntimeSlot>,
    handle: Handle,
}

impl RuntimeSlot {
    /// Worker threads of the next runtime that starts.
    pub(crate) fn set_workers(&self, workers: usize) {
        self.lock().workers = Some(workers.clamp(1, 64));
    }

    /// Starts the runtime unless it runs.
    pub(crate) fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        let mut state = self.lock();
        let runtime = match state.runtime.take() {
            Some(runtime) => runtime,
            None => start(state.workers).map_err(Error::Threads)?,
        };
        let handle = runtime.handle().clone();
        state.runtime = Some(runtime);
        state.users += 1;
        Ok(Lease { slot: Arc::clone(self), handle })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(workers: Option<usize>) -> std::io::Result<Runtime> {
    allocator::give_back();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Builder::new_multi_thread()
        .worker_threads(workers.unwrap_or_else(|| cores.clamp(2, MOST_WORKERS)))
        .max_blocking_threads(MOST_BLOCKING)
        .thread_name("shardflow-rt")
        .enable_all()
        .build()
}

impl Lease {
    /// For starting tasks and for waiting on a caller's thread.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let last = {
            let mut state = self.slot.lock();
            state.users -= 1;
            if state.users == 0 { state.runtime.take() } else { None }
        };
        if let Some(runtime) = last {
            runtime.shutdown_timeout(STOP_LIMIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    /// A task that would never end, and a witness of its life.
    fn endless(lease: &Lease) -> Weak<()> {
        let life = Arc::new(());
        let witness = Arc::downgrade(&life);
        lease.handle().spawn(async move {
            std::future::pending::<()>().await;
            drop(life);
        });
        witness
    }

    #[test]
    fn the_last_lease_stops_the_runtime_and_the_next_starts_another() {
        let slot = Arc::new(RuntimeSlot::default());
        let first = slot.lease().unwrap();
        let second = slot.lease().unwrap();
        assert_eq!(first.handle().id(), second.handle().id());
        let (witness, id) = (endless(&first), first.handle().id());
        drop(first);
        assert!(witness.upgrade().is_some());
        drop(second);
        assert!(witness.upgrade().is_none(), "tasks end with the runtime");
        let third = slot.lease().unwrap();
        assert_ne!(third.handle().id(), id);
        assert_eq!(third.handle().block_on(async { 7 }), 7);
    }

    #[test]
    fn a_stuck_thread_does_not_hold_up_the_stop() {
        let slot = Arc::new(RuntimeSlot::default());
        let lease = slot.lease().unwrap();
        let (started, wait_started) = mpsc::channel();
        let (release, stuck) = mpsc::channel::<()>();
        lease.handle().spawn_blocking(move || {
            started.send(()).unwrap();
            let _ = stuck.recv();
        });
        wait_started.recv().unwrap();
        let before = Instant::now();
        drop(lease);
        assert!(before.elapsed() < STOP_LIMIT * 3);
        drop(release);
    }

    #[test]
    fn workers_can_be_chosen() {
        let slot = Arc::new(RuntimeSlot::default());
        slot.set_workers(3);
        assert_eq!(slot.lease().unwrap().handle().metrics().num_workers(), 3);
    }
}
