//! Rows that were under way when their channel was lost: the next open tells what became of them.

use std::time::Duration;

use super::Machine;
use super::errors::Range;
use super::types::{ChannelStatus, Id, Now, Settled};
use bulletin::Level;

/// Rows of an invalidated channel wait this long for the channel to open again, then go back to their queue.
const LIMBO: Duration = Duration::from_secs(150);
/// Bodies not shared by uploads after one that was refused and shared.
const ALONE: u32 = 32;

impl Machine {
    /// Decides what became of the rows that were under way when the channel was invalidated.
    pub(super) fn settle_limbo(&mut self, status: &ChannelStatus) {
        let limbo: Vec<Id> = self.uploads.iter().filter(|(_, u)| u.limbo).map(|(id, _)| *id).collect();
        let (done, open): (Vec<Id>, Vec<Id>) =
            limbo.into_iter().partition(|id| self.uploads.get(id).is_some_and(|u| self.is_done(u)));
        let window: Vec<(Id, Range)> = done.iter().filter_map(|id| self.range_of(*id)).collect();
        let mut bodies = std::mem::take(&mut self.unsettled);
        bodies.retain(|body| !self.rules.tracked || self.covers(&body.token));
        let rejected = self.errors.has_grown(status);
        self.finish(status, &window, &bodies);
        if rejected {
            // The channel may have had another owner meanwhile.
            self.errors.doubt(status, self.committed.as_ref());
        }
        let blame = self.blame.take();
        let blamed: Vec<Id> = open
            .iter()
            .filter(|id| {
                self.uploads
                    .get(id)
                    .zip(blame.as_ref())
                    .is_some_and(|(u, b)| u.span.start <= b.last && u.span.end >= b.first)
            })
            .copied()
            .collect();
        if blamed.len() > 1 {
            self.alone = ALONE;
        }
        for id in open {
            match &blame {
                Some(blame) if blamed == [id] => {
                    let reason = format!("{}: {}", self.rules.label, blame.reason);
                    self.say(Level::Error, "blame", reason.clone());
                    self.fail(id, reason);
                }
                Some(blame) => self.settle(id, Settled::Retry(blame.reason.clone())),
                None => {
                    let text = "the channel was opened anew before these rows were committed";
                    self.settle(id, Settled::Retry(text.to_owned()));
                }
            }
        }
    }

    /// Rows in limbo go back to their queue when the channel does not open for long.
    pub(super) fn end_limbo(&mut self, now: Now) {
        if self.limbo_end().is_none_or(|end| now < end) {
            return;
        }
        let limbo: Vec<Id> = self.uploads.iter().filter(|(_, u)| u.limbo).map(|(id, _)| *id).collect();
        for id in limbo {
            let text = format!("the channel did not open again within {} s", LIMBO.as_secs());
            self.settle(id, Settled::Retry(text));
        }
    }

    fn limbo_end(&self) -> Option<Now> {
        self.link.opening_since().map(|since| since + LIMBO)
    }

    /// When rows in limbo want to be looked at again.
    pub(super) fn limbo_wake(&self) -> Option<Now> {
        self.limbo_end().filter(|_| self.uploads.values().any(|upload| upload.limbo))
    }
}
