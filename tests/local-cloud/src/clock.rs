//! The time the local services live by.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// A wall clock that tests can move forward.
///
/// Iterator expiry, retention, subscription ends and state changes of streams read this clock, so a test
/// reaches "five minutes later" without waiting. Clones share the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// `Some`: time stands still at this instant until it is advanced.
    fixed_ms: Option<i64>,
    offset_ms: i64,
}

impl Clock {
    /// Runs with the system's clock, plus whatever it is advanced by.
    #[must_use]
    pub fn system() -> Self {
        Self { state: Arc::new(watch::Sender::new(State { fixed_ms: None, offset_ms: 0 })) }
    }

    /// Stands still at `start_ms` (milliseconds since 1970) and moves only by [`Clock::advance`].
    #[must_use]
    pub fn fixed(start_ms: i64) -> Self {
        Self { state: Arc::new(watch::Sender::new(State { fixed_ms: Some(start_ms), offset_ms: 0 })) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let state = *self.state.borrow();
        state.fixed_ms.unwrap_or_else(system_ms) + state.offset_ms
    }

    /// Moves the time forward and wakes everything that waits for an instant now reached.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.state.send_modify(|state| state.offset_ms = state.offset_ms.saturating_add(by));
    }

    /// Waits until the clock shows `due_ms` or later.
    pub async fn sleep_until(&self, due_ms: i64) {
        let mut changes = self.state.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            let now = state.fixed_ms.unwrap_or_else(system_ms) + state.offset_ms;
            if now >= due_ms {
                return;
            }
            let left = Duration::from_millis(u64::try_from(due_ms - now).unwrap_or(0));
            // The sender lives in `self`, so `changed` fails only when nobody can move the clock any more.
            if state.fixed_ms.is_some() {
                if changes.changed().await.is_err() {
                    return;
                }
            } else {
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    _ = changes.changed() => {}
                }
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
