//! The time that local services live by.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, NaiveDateTime};
use tokio::sync::watch;
use tokio::time::Instant;

/// A wall clock that tests can move forward.
///
/// Whatever ends, expires or becomes visible after a while reads such a clock, so that a test or a user reaches
/// "five minutes later" or "30 days later" without waiting. Clones share the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// `Some`: time stands still at this instant until it is advanced.
    fixed: Option<(i64, Instant)>,
    advanced: Duration,
}

impl State {
    /// Time since 1970.
    fn since_epoch(&self) -> Duration {
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let fixed = |(ms, _): (i64, Instant)| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        self.fixed.map_or_else(system, fixed) + self.advanced
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.since_epoch().as_millis()).unwrap_or(i64::MAX)
    }

    fn instant(&self) -> Instant {
        self.fixed.map_or_else(Instant::now, |(_, instant)| instant) + self.advanced
    }
}

impl Clock {
    /// Runs with the system's clock, plus whatever it is advanced by.
    #[must_use]
    pub fn system() -> Self {
        Self::with(None)
    }

    /// Stands still at `start_ms` (milliseconds since 1970) and moves only by [`Clock::advance`].
    #[must_use]
    pub fn fixed(start_ms: i64) -> Self {
        Self::with(Some((start_ms, Instant::now())))
    }

    fn with(fixed: Option<(i64, Instant)>) -> Self {
        Self { state: Arc::new(watch::Sender::new(State { fixed, advanced: Duration::ZERO })) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.state.borrow().now_ms()
    }

    /// How far it was advanced in all.
    #[must_use]
    pub fn advanced(&self) -> Duration {
        self.state.borrow().advanced
    }

    /// Moves the time forward and wakes everything that waits for an instant now reached. A clock is never moved by
    /// more than a thousand years in all.
    pub fn advance(&self, by: Duration) {
        const MOST: Duration = Duration::from_secs(1_000 * 366 * 24 * 3600);
        self.state.send_modify(|state| state.advanced = state.advanced.saturating_add(by).min(MOST));
    }

    /// Waits until the clock shows `due_ms` or later.
    pub async fn sleep_until(&self, due_ms: i64) {
        self.wait(|state| Duration::from_millis(u64::try_from(due_ms - state.now_ms()).unwrap_or(0))).await;
    }

    /// The time in UTC, with nanoseconds.
    pub(crate) fn now_utc(&self) -> NaiveDateTime {
        let since = self.state.borrow().since_epoch();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        DateTime::from_timestamp(seconds, since.subsec_nanos()).unwrap_or_default().naive_utc()
    }

    /// The time as something to measure delays with: it goes on evenly, and follows [`Clock::advance`].
    pub(crate) fn instant(&self) -> Instant {
        self.state.borrow().instant()
    }

    /// Waits until [`Clock::instant`] is `due` or later.
    pub(crate) async fn sleep_until_instant(&self, due: Instant) {
        self.wait(|state| due.saturating_duration_since(state.instant())).await;
    }

    /// Waits until nothing is `left`, which is asked again whenever the clock was moved.
    async fn wait(&self, left: impl Fn(&State) -> Duration) {
        let mut changes = self.state.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            let left = left(&state);
            if left.is_zero() {
                return;
            }
            // The sender lives in `self`, so `changed` fails only when nobody can move the clock any more.
            if state.fixed.is_some() {
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
