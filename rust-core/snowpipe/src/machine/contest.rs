//! A channel that another client has taken over. One of the two has the rows to come, and neither can tell which: what the
//! other one publishes settles what is the same here, and only rows that it leaves out are a reason to take the channel back.

use std::time::Duration;

use super::Machine;
use super::grant::Turn;
use super::open::Link;
use super::types::{Answer, Now};

/// First pause before a channel is taken back after an append was refused: time for the other's rows to be committed and seen.
const REFUSED: Duration = Duration::from_secs(2);
/// Second pause after it was seen, before anything was sent, that the channel is another's.
const SEEN: Duration = Duration::from_millis(250);
/// The longest pause, also for another that keeps publishing: its rows may never be those that wait here.
const LONGEST: Duration = Duration::from_secs(30);
/// An other that has just published is waited for this long.
const BUSY: Duration = Duration::from_secs(3);

impl Machine {
    /// Pause before the channel is taken back. While no row of ours is committed the other one is alive, and each open costs
    /// it what it has under way: ever longer pauses let it work.
    pub(super) fn contested(&mut self, refused: bool) -> Duration {
        self.contests = self.contests.saturating_add(1);
        match (refused, self.contests) {
            (true, times) => self.backoff(times - 1, REFUSED, LONGEST),
            // Right after a move: the other one has let go of it.
            (false, 1) => Duration::ZERO,
            (false, times) => self.backoff(times - 2, SEEN, LONGEST),
        }
    }

    /// The status of a channel that is to be taken back: nothing is opened when the other one has published all that waits.
    pub(super) fn other_published(&mut self, asked: Now, answer: Answer, now: Now) {
        let Link::Opening(opening) = &mut self.link else { return };
        let Answer::Known(status) = answer else { return };
        if opening.asked || asked < opening.since {
            return;
        }
        let Ok(committed) = self.parse(status.committed.as_deref()) else { return };
        if committed < self.committed {
            return;
        }
        if committed > self.committed {
            self.let_go_on(now);
            let contests = self.contests;
            self.set_committed(committed, now);
            self.contests = contests;
        }
        self.tail = self.committed.clone();
        if self.is_left_out() {
            return;
        }
        self.link = Link::Open { continuation: String::new(), opened: now, stale: true };
        self.settle_limbo(&status);
    }

    /// The other one makes progress: it is left alone for a while, and its rows under way are not to be discarded.
    fn let_go_on(&mut self, now: Now) {
        let Link::Opening(opening) = &mut self.link else { return };
        opening.uncommitted_since = None;
        opening.next_at = opening.next_at.max((now + BUSY).min(opening.since + LONGEST));
    }

    /// Whether a row waits here that the channel has not.
    fn is_left_out(&self) -> bool {
        let lost = self.uploads.values().any(|upload| upload.limbo && !self.is_done(upload));
        let head = self.head().and_then(|id| self.uploads.get(&id));
        lost || head.is_some_and(|head| matches!(self.turn(head), Turn::Publish { .. }))
    }
}
