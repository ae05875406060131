//! Order of uploads: skip, trim, hold or ask for data.

use std::time::Duration;

use super::errors::Rejected;
use super::types::{Action, Id, Now, Settled, Span, Token};
use super::{Machine, Phase, Upload};
use crate::config::GapStrategy;
use crate::machine::open::Link;
use bulletin::Level;

/// A wait is explained in the upload's progress from here on.
const EXPLAIN_AFTER: Duration = Duration::from_secs(5);
/// A wait is a bulletin from here on; repeated by [`REPEAT`].
const SAY_AFTER: Duration = Duration::from_secs(30);
const REPEAT: Duration = Duration::from_secs(30);
/// Content of this size may hold a row that fits into no request, also when it is compressed, and better than a request is.
const BULKY: u64 = 1 << 20;

/// Bytes of closed bodies beyond which no upload is granted: a writer that began within them has to wait for room only
/// when its own upload is larger than most of what a channel may hold.
const WAITING: u64 = crate::channel::ROOM as u64 / 3;

/// What is to be done with the head of the queue.
pub(super) enum Turn {
    Skip,
    Cover,
    /// As the two above, but its content is looked at: of its rows some may have been too large to be sent.
    Look(Token),
    Late,
    Gap(Token),
    Publish {
        floor: Option<Token>,
    },
}

impl Machine {
    pub(super) fn begin(&mut self, upload: Id, span: Span, now: Now) {
        debug_assert!(self.rules.tracked || self.latest < Some(span.start.clone()), "out of order");
        self.latest = Some(span.start.clone());
        let target = Some(span.end.clone());
        let known = Upload {
            span,
            phase: Phase::Queued,
            began: now,
            target,
            limbo: false,
            looked_at: false,
            refused_rows: 0,
        };
        self.uploads.insert(upload, known);
        self.set_phase(upload, Phase::Queued);
        if let Link::Refused { until, reason } = &self.link {
            match now < *until {
                true => {
                    let outcome = Settled::Failed(reason.clone());
                    self.settle(upload, outcome);
                }
                false => self.link = Link::Closed,
            }
        }
    }

    /// The queued upload with the lowest start.
    pub(super) fn head(&self) -> Option<Id> {
        self.queue.first().map(|(_, _, id)| *id)
    }

    /// Moves an upload to another phase and keeps the indexes in step.
    pub(super) fn set_phase(&mut self, id: Id, phase: Phase) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        let before = std::mem::replace(&mut upload.phase, phase);
        let key = (upload.span.start.clone(), upload.span.end.clone(), id);
        self.leave(before, &key);
        match phase {
            Phase::Queued => {
                self.queue.insert(key);
            }
            Phase::Memory => {
                self.queue.insert(key);
                self.asked = Some(id);
            }
            Phase::Covered => {
                self.covered.insert(id);
            }
            Phase::Writing | Phase::Written => {}
        }
    }

    /// Takes an upload out; the memory it waits for or has is given back.
    pub(super) fn take(&mut self, id: Id) -> Option<Upload> {
        let upload = self.uploads.remove(&id)?;
        self.leave(upload.phase, &(upload.span.start.clone(), upload.span.end.clone(), id));
        if self.writing == Some(id) {
            self.writing = None;
        }
        Some(upload)
    }

    fn leave(&mut self, phase: Phase, key: &(Token, Token, Id)) {
        match phase {
            Phase::Queued => {
                self.queue.remove(key);
            }
            Phase::Memory => {
                self.queue.remove(key);
                self.asked = None;
            }
            Phase::Covered => {
                self.covered.remove(&key.2);
            }
            Phase::Writing | Phase::Written => {}
        }
    }

    /// Works through the queue until its head has to wait.
    pub(super) fn pump_grant(&mut self, now: Now) {
        while self.link.is_open() && self.writing.is_none() {
            let Some(id) = self.head() else { return };
            self.drop_other_memory(id);
            let Some(turn) = self.uploads.get(&id).map(|u| self.turn(u)) else { return };
            match turn {
                Turn::Skip => self.skip(id),
                Turn::Cover => self.cover(id),
                Turn::Late => self.late(id),
                Turn::Gap(previous) => {
                    if !self.gap(id, previous, now) {
                        return;
                    }
                }
                Turn::Look(_) => return self.ask(id),
                Turn::Publish { .. } => {
                    if self.link.is_stale() {
                        // Somebody else opened the channel meanwhile: take it over only when there is something to say.
                        self.reopen(now);
                        return;
                    }
                    let shared = self.alone > 0 && self.open_finished > 0;
                    if !shared && self.waiting_bytes() <= WAITING {
                        self.ask(id);
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn turn(&self, upload: &Upload) -> Turn {
        let span = &upload.span;
        if !self.rules.tracked {
            return Turn::Publish { floor: None };
        }
        let Some(tail) = self.tail.as_ref().filter(|tail| **tail >= span.start) else {
            return self.turn_ahead(span);
        };
        if self.holes.left_behind(&span.start, &span.end, tail) {
            return Turn::Late;
        }
        match span.end <= *tail {
            true if is_bulky(span) => Turn::Look(tail.clone()),
            true if self.covers(&span.end) => Turn::Skip,
            true => Turn::Cover,
            false => Turn::Publish { floor: Some(tail.clone()) },
        }
    }

    /// The upload begins after everything the channel has.
    fn turn_ahead(&self, span: &Span) -> Turn {
        match &span.previous {
            Some(previous) if *previous > self.reached() => Turn::Gap(previous.clone()),
            _ => Turn::Publish { floor: None },
        }
    }

    /// Everything up to here is published, on its way, or given up.
    fn reached(&self) -> Token {
        let zero = Token::zero();
        let tail = self.tail.as_ref().unwrap_or(&zero);
        self.holes.reach(self.proven.as_ref().map_or(tail, |proven| proven.max(tail)))
    }

    fn skip(&mut self, id: Id) {
        self.found_stored(id, true);
    }

    /// The upload's rows are in the table already.
    pub(super) fn found_stored(&mut self, id: Id, skipped_whole: bool) {
        let known = self.uploads.get(&id).and_then(|u| self.errors.known(&u.span.start, &u.span.end));
        // The requests that held the rows are not known any more.
        let known = known.map(|known| Rejected { ranges: Vec::new(), ..known });
        let outcome = self.stored(id, known, skipped_whole);
        self.settle(id, outcome);
    }

    fn cover(&mut self, id: Id) {
        self.cancel_memory(id);
        self.set_phase(id, Phase::Covered);
        self.out.push(Action::Covered { upload: id });
    }

    fn late(&mut self, id: Id) {
        let Some(span) = self.uploads.get(&id).map(|u| u.span.clone()) else { return };
        let tail = self.tail.clone().unwrap_or_else(Token::zero);
        let reason = format!(
            "{}: rows {} to {} come after the channel has passed them (it stands at {tail}) and were not published \
             before. They are neither skipped nor published out of order; publish them through another Channel Group",
            self.rules.label, span.start, span.end
        );
        self.say(Level::Error, "late", reason.clone());
        self.settle(id, Settled::Failed(reason));
    }

    /// Whether the queue can go on.
    fn gap(&mut self, id: Id, previous: Token, now: Now) -> bool {
        let Some(upload) = self.uploads.get(&id) else { return true };
        let since = upload.began.max(self.link.opened_at());
        let waited = now.saturating_sub(since);
        let over = waited >= self.rules.gap_timeout;
        let tail = self.tail.clone().unwrap_or_else(Token::zero);
        let start = upload.span.start.clone();
        match self.rules.gap_strategy {
            GapStrategy::Publish if over => {
                self.say(
                    Level::Warn,
                    "gap-published",
                    format!(
                        "{}: rows between {tail} and {previous} did not come within {} s; Gap Strategy PUBLISH goes on \
                         with {start} without them",
                        self.rules.label,
                        self.rules.gap_timeout.as_secs()
                    ),
                );
                let reached = self.reached();
                self.holes.lost(reached, previous);
                true
            }
            GapStrategy::Fail if over => {
                let reason = format!(
                    "{}: rows between {tail} and {previous} did not come within {} s; Gap Strategy FAIL refuses {start}",
                    self.rules.label,
                    self.rules.gap_timeout.as_secs()
                );
                self.say(Level::Error, "gap-failed", reason.clone());
                self.fail(id, reason);
                true
            }
            _ => {
                self.hold(id, &previous, &tail, waited, now);
                false
            }
        }
    }

    fn hold(&mut self, id: Id, previous: &Token, tail: &Token, waited: Duration, now: Now) {
        if waited < EXPLAIN_AFTER || (now < self.say_at && waited >= SAY_AFTER) {
            return;
        }
        let fresh = match tail.is_zero() {
            true => {
                " The channel has no committed token: it is new, or was dropped, or expired after 30 days without rows, \
                 or its pipe or table was created anew. If the earlier rows are known to be in the table, set Gap \
                 Strategy to PUBLISH for a while."
            }
            false => "",
        };
        let message = format!(
            "{}: held back for {} s because the rows before it, up to {previous}, are not published; the channel stands at \
             {tail}. Their FlowFile is in a queue here (penalised, or failed and to be routed back) or on another node.{fresh}",
            self.rules.label,
            waited.as_secs()
        );
        self.out.push(Action::Hold { upload: id, message: message.clone() });
        if waited >= SAY_AFTER {
            self.say_at = now + REPEAT;
            self.say(Level::Warn, "gap", message);
        }
    }

    /// Memory that went to another upload than the head is given back, so that the head cannot starve.
    fn drop_other_memory(&mut self, head: Id) {
        if let Some(other) = self.asked.filter(|asked| *asked != head) {
            self.cancel_memory(other);
        }
    }

    /// The upload, when it waits for memory, queues without.
    fn cancel_memory(&mut self, id: Id) {
        if self.asked == Some(id) {
            self.set_phase(id, Phase::Queued);
            self.out.push(Action::CancelMemory { upload: id });
        }
    }

    fn ask(&mut self, id: Id) {
        let Some(upload) = self.uploads.get(&id).filter(|u| u.phase == Phase::Queued) else { return };
        self.out.push(Action::AskMemory { upload: id, bytes: upload.span.size });
        self.set_phase(id, Phase::Memory);
    }

    /// Memory is there: the upload is granted when it is still its turn.
    pub(super) fn memory(&mut self, id: Id) {
        let turn = match self.uploads.get(&id) {
            Some(u) if u.phase == Phase::Memory => {
                let next = self.link.is_open() && self.head() == Some(id);
                (next && self.writing.is_none()).then(|| self.turn(u))
            }
            _ => return,
        };
        match turn {
            Some(Turn::Publish { floor }) if !self.link.is_stale() => self.grant(id, floor),
            Some(Turn::Look(floor)) => self.grant(id, Some(floor)),
            _ => self.cancel_memory(id),
        }
    }

    /// The token that stands for all before the upload. Without tracking the channel may stand at one of another writer:
    /// taken for ours it would cover uploads of ours that were not sent.
    fn before(&self, id: Id) -> Token {
        let start = self.uploads.get(&id).map(|upload| &upload.span.start);
        let ours = |tail: &&Token| self.rules.tracked || start.is_some_and(|start| *tail < start);
        self.tail.as_ref().filter(ours).cloned().unwrap_or_else(Token::zero)
    }

    fn grant(&mut self, id: Id, floor: Option<Token>) {
        let before = self.before(id);
        self.set_phase(id, Phase::Writing);
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        let span = upload.span.clone();
        upload.looked_at = floor.as_ref().is_some_and(|floor| *floor >= span.end);
        self.writing = Some(id);
        if self.rules.tracked && !upload.looked_at {
            self.holes.fill(&span.start, &span.end);
            if span.previous.is_none() && floor.is_none() {
                self.holes.unknown(before.clone(), span.start.clone());
            }
        }
        self.tail = Some(before.clone().max(span.end));
        self.out.push(Action::Grant { upload: id, floor, before });
    }

    pub(super) fn abandon(&mut self, id: Id, now: Now) {
        self.cancel_memory(id);
        let Some(upload) = self.take(id) else { return };
        match upload.phase {
            Phase::Writing if !upload.limbo => {
                // Its rows cannot be taken out of the open body: start over from what is committed.
                self.recover(super::open::Reason::Abandoned, now);
            }
            _ => {}
        }
    }

    /// A row of the upload cannot be used: it fails, and what is not sent yet is given back.
    pub(super) fn spoiled(&mut self, id: Id, reason: String, now: Now) {
        if self.writing != Some(id) {
            return;
        }
        let reason = format!("{}: {reason}", self.rules.label);
        self.say(Level::Error, "spoiled", reason.clone());
        self.fail(id, reason);
        self.recover(super::open::Reason::Abandoned, now);
    }

    /// Gives an upload up. While gaps are waited for, its successors are held until it comes back: what knows that its rows
    /// are missing does not outlive this process, and a token that passed them would later say that they are stored.
    /// Otherwise they go on, and should it come back after them, it is not skipped.
    pub(super) fn fail(&mut self, id: Id, reason: String) {
        let passable = self.rules.tracked && self.rules.gap_strategy != GapStrategy::Wait;
        if let Some(upload) = self.uploads.get(&id).filter(|_| passable) {
            let zero = Token::zero();
            let before = upload.span.previous.as_ref().unwrap_or(&upload.span.start);
            let after = self.committed.as_ref().unwrap_or(&zero).max(before).clone();
            self.holes.lost(after, upload.span.end.clone());
        }
        self.settle(id, Settled::Failed(reason));
    }
}

/// Whether the upload may hold a row that fits into no request.
pub(super) fn is_bulky(span: &Span) -> bool {
    span.size >= BULKY
}
