//! What happens only because time passes.

use std::time::Duration;

use super::Machine;
use super::open::Reason;
use super::types::Now;
use bulletin::Level;

/// Accepted rows without a commit are a bulletin from here on.
const STALL: Duration = Duration::from_secs(60);
/// Statuses come every second or two.
const UNHEARD: Duration = Duration::from_secs(20);
const REPEAT: Duration = Duration::from_secs(30);
/// A held upload is looked at again at least this often, so that its explanation stays fresh.
const HELD_LOOK: Duration = Duration::from_secs(5);

impl Machine {
    /// Time-outs that are due.
    pub(super) fn timers(&mut self, now: Now) {
        self.end_limbo(now);
        self.slow_open(now);
        let Some(since) = self.uncommitted_since().filter(|_| self.link.is_open()) else { return };
        let waited = now.saturating_sub(since);
        let key = waited.as_secs();
        let unheard = now.saturating_sub(self.heard.max(since));
        if waited >= STALL && now >= self.say_at {
            self.say_at = now + REPEAT;
            let text = match unheard < UNHEARD {
                true => format!(
                    "{}: accepted rows are not committed for {key} s. The service is slow or the pipe is broken; check the \
                     pipe's state in Snowflake",
                    self.rules.label
                ),
                false => format!(
                    "{}: whether accepted rows are committed is not known: Snowflake has not told the channel's status for {} \
                     s. The rows are waited for",
                    self.rules.label,
                    unheard.as_secs()
                ),
            };
            self.say(Level::Warn, "stall", text);
        }
        // What was not answered is no sign that the channel is broken, and to open it anew helps no service that is down.
        if self.heard.saturating_sub(since) >= self.rules.tracking_timeout {
            let text = format!("accepted rows were not committed within {key} s (Offset Tracking Timeout)");
            self.recover(Reason::Broken(text), now);
        }
    }

    /// Since when the oldest acknowledged body waits without any progress.
    fn uncommitted_since(&self) -> Option<Now> {
        self.acked.front().map(|body| body.at.max(self.last_progress))
    }

    /// When [`super::Event::Tick`] is wanted at the latest.
    pub(crate) fn next_wake(&self, now: Now) -> Option<Now> {
        let stall = self.uncommitted_since().map(|since| (since + STALL).max(self.say_at));
        let held = self.link.is_open()
            && self.writing.is_none()
            && self.queue.len() > usize::from(self.asked.is_some());
        let held = held.then(|| now + HELD_LOOK.min(self.rules.gap_timeout.max(Duration::from_millis(100))));
        [self.opening_wake(), self.sending_wake(), stall, held].into_iter().flatten().min()
    }
}
