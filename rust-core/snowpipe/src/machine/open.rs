//! Opening a channel, and opening it anew after it was invalidated.

use std::time::Duration;

use rand::Rng;

use super::errors::Append;
use super::types::{Action, Fault, FaultClass, Id, Now, Opened, Settled, Token};
use super::{Machine, Phase};
use crate::fault::bad_status;
use bulletin::Level;

/// Uncommitted rows are waited for this long, then the open discards them (the rule of Snowflake's own SDK).
const FORCE_AFTER: Duration = Duration::from_secs(120);
/// Recoveries in a row without progress, then the first upload concerned fails.
const STRIKES: u32 = 5;
/// The same when another client keeps taking the channel over.
const STALE_STRIKES: u32 = 12;
/// Opens the service refuses for good before the waiting uploads fail.
const REJECTIONS: u32 = 3;
/// A destination that is missing or not permitted is waited for this long before the waiting uploads fail.
const MISSING: Duration = Duration::from_secs(120);
/// An open without an answer is a bulletin from here on.
const SLOW_OPEN: Duration = Duration::from_secs(10);
/// A refused channel is looked at again after this time.
const REFUSED: Duration = Duration::from_secs(30);

/// Connection to the channel.
#[derive(Debug)]
pub(super) enum Link {
    /// Not open; opened when there is an upload.
    Closed,
    Opening(Opening),
    Open {
        continuation: String,
        opened: Now,
        /// Somebody else moved the channel; our continuation token is void.
        stale: bool,
    },
    /// Its committed token cannot be explained.
    Refused {
        until: Now,
        reason: String,
    },
}

#[derive(Debug)]
pub(super) struct Opening {
    attempt: u64,
    pub(super) asked: bool,
    /// When the call left; before, it waits for its turn.
    left: Option<Now>,
    pub(super) next_at: Now,
    tries: u32,
    rejections: u32,
    pub(super) since: Now,
    pub(super) uncommitted_since: Option<Now>,
    /// Another client has the channel, whose status tells what it publishes.
    contested: bool,
}

/// Why a channel is opened anew.
#[derive(Debug, Clone)]
pub(super) enum Reason {
    /// An upload was abandoned half-written, or a new owner is to take over: nobody's fault.
    Abandoned,
    /// The service or the way to it is down: nothing of ours to give up for.
    Down(String),
    /// The continuation token is void.
    Stale(String),
    /// Anything else.
    Broken(String),
}

/// Who is to blame for a rejected body.
#[derive(Debug, Clone)]
pub(super) struct Blame {
    pub(super) first: Token,
    pub(super) last: Token,
    pub(super) reason: String,
}

impl Link {
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Link::Open { .. })
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Link::Open { stale: true, .. })
    }

    /// Whether the channel is to be taken back from another client.
    pub(super) fn is_contested(&self) -> bool {
        matches!(self, Link::Opening(Opening { contested: true, .. }))
    }

    pub(super) fn opened_at(&self) -> Now {
        match self {
            Link::Open { opened, .. } => *opened,
            _ => Duration::ZERO,
        }
    }

    /// Since when the channel is being opened.
    pub(super) fn opening_since(&self) -> Option<Now> {
        match self {
            Link::Opening(opening) => Some(opening.since),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Link::Closed => "closed",
            Link::Opening(_) => "opening",
            Link::Open { stale: true, .. } => "stale",
            Link::Open { .. } => "open",
            Link::Refused { .. } => "refused",
        }
    }
}

impl Machine {
    /// Forgets everything that is not committed and opens anew. What was handed over waits for the answer.
    pub(super) fn recover(&mut self, reason: Reason, now: Now) {
        let stale = matches!(reason, Reason::Stale(_));
        let pause = match &reason {
            Reason::Abandoned => Duration::ZERO,
            Reason::Down(text) => {
                let note = format!("{}: opened anew, {text}", self.rules.label);
                self.say(Level::Warn, "reopen", note);
                self.backoff(3, Duration::from_millis(500), Duration::from_secs(8))
            }
            Reason::Stale(text) | Reason::Broken(text) => {
                let what = if stale { "another client has it and is left to work" } else { "opened anew" };
                let note = format!("{}: {what}, {text}", self.rules.label);
                self.say(Level::Warn, "reopen", note);
                self.strike(text, if stale { STALE_STRIKES } else { STRIKES });
                let pause =
                    self.backoff(self.strikes.max(1) - 1, Duration::from_millis(250), Duration::from_secs(8));
                if stale { pause.max(self.contested(true)) } else { pause }
            }
        };
        for upload in self.uploads.values_mut() {
            upload.limbo |= matches!(upload.phase, Phase::Writing | Phase::Written);
        }
        for id in std::mem::take(&mut self.covered) {
            self.set_phase(id, Phase::Queued);
        }
        self.forget_bodies();
        self.tail = None;
        self.out.push(Action::Discard);
        self.start_opening(now, now + pause, stale);
    }

    fn forget_bodies(&mut self) {
        self.writing = None;
        self.forget_open_body();
        self.bodies.clear();
        let sent = self.sending.take().map(|sending| Append::of(&sending.body));
        let acked = self.acked.drain(..).map(|body| body.append);
        self.unsettled.extend(self.halves.drain(..).chain(acked).chain(sent));
    }

    /// Opens anew although nothing is wrong: another owner had the channel meanwhile.
    pub(super) fn reopen(&mut self, now: Now) {
        self.tail = None;
        let pause = self.contested(false);
        self.start_opening(now, now + pause, true);
    }

    fn start_opening(&mut self, now: Now, next_at: Now, contested: bool) {
        self.link = Link::Opening(Opening {
            attempt: self.rng.random(),
            asked: false,
            left: None,
            next_at,
            tries: 0,
            rejections: 0,
            since: now,
            uncommitted_since: None,
            // Without tracking its tokens say nothing.
            contested: contested && self.rules.tracked,
        });
    }

    /// Counts recoveries that hit the same first upload; it is given up at the limit, once the channel is open again.
    fn strike(&mut self, text: &str, limit: u32) {
        let lost = self.uploads.values().filter(|u| matches!(u.phase, Phase::Writing | Phase::Written));
        let Some(first) = lost.map(|u| &u.span.start).min().cloned() else { return };
        // Without tracking an upload has another number each time it comes.
        if self.rules.tracked && self.struck.as_ref() != Some(&first) {
            self.strikes = 0;
            self.struck = Some(first.clone());
        }
        self.strikes += 1;
        if self.strikes > limit && self.blame.is_none() {
            let reason =
                format!("{} recoveries in a row brought no progress; the last one: {text}", self.strikes);
            self.blame = Some(Blame { first: first.clone(), last: first, reason });
            self.strikes = 0;
        }
    }

    pub(super) fn pump_open(&mut self, now: Now) {
        if matches!(self.link, Link::Closed) && !self.uploads.is_empty() {
            self.start_opening(now, now, false);
        }
        let nobody = self.uploads.is_empty();
        let Link::Opening(opening) = &mut self.link else { return };
        if opening.asked || now < opening.next_at {
            return;
        }
        if nobody {
            self.link = Link::Closed;
            return;
        }
        opening.asked = true;
        opening.left = None;
        let force = opening.uncommitted_since.is_some_and(|since| now >= since + FORCE_AFTER);
        let former = self.rules.tracked && self.uploads.values().any(|upload| upload.span.previous.is_none());
        self.out.push(Action::Open { attempt: opening.attempt, force, former });
        if force {
            let text = format!(
                "{}: accepted rows were not committed within {} s; the channel is opened without them, they are sent \
                 again",
                self.rules.label,
                FORCE_AFTER.as_secs()
            );
            self.say(Level::Warn, "force", text);
        }
    }

    /// The call that opens has left.
    pub(super) fn open_left(&mut self, attempt: u64, now: Now) {
        if let Link::Opening(opening) = &mut self.link
            && opening.attempt == attempt
            && opening.asked
        {
            opening.left = Some(now);
        }
    }

    pub(super) fn opened(&mut self, attempt: u64, answer: Result<Opened, Fault>, now: Now) {
        match &self.link {
            Link::Opening(opening) if opening.attempt == attempt && opening.asked => {}
            _ => return,
        }
        match answer {
            Ok(opened) => self.open_succeeded(opened, now),
            Err(fault) => self.open_failed(&fault, now),
        }
    }

    fn open_failed(&mut self, fault: &Fault, now: Now) {
        let (base, cap) = match fault.class {
            FaultClass::Uncommitted => (Duration::from_millis(300), Duration::from_secs(2)),
            FaultClass::Throttled | FaultClass::Transient => {
                (Duration::from_millis(500), Duration::from_secs(15))
            }
            _ => (Duration::from_secs(1), Duration::from_secs(15)),
        };
        let tries = match &self.link {
            Link::Opening(opening) => opening.tries,
            _ => return,
        };
        let pause = self.backoff(tries, base, cap).max(fault.retry_after.unwrap_or_default());
        let Link::Opening(opening) = &mut self.link else { return };
        opening.asked = false;
        opening.tries += 1;
        opening.next_at = now + pause;
        if fault.class == FaultClass::Uncommitted {
            opening.uncommitted_since.get_or_insert(now);
        }
        let waited = now.saturating_sub(opening.since);
        opening.rejections += u32::from(fault.class == FaultClass::Rejected);
        let refused =
            opening.rejections >= REJECTIONS || (fault.class == FaultClass::Missing && waited >= MISSING);
        let quiet = match fault.class {
            FaultClass::Uncommitted => waited < Duration::from_secs(30),
            FaultClass::Transient | FaultClass::Throttled => waited < Duration::from_secs(3),
            _ => false,
        };
        if !quiet {
            let text = format!("{}: cannot be opened: {}", self.rules.label, fault.detail);
            self.hold_all(&text);
            self.say(Level::Error, "open", text);
        }
        if refused {
            let reason = format!("{}: cannot be opened: {}", self.rules.label, fault.detail);
            self.refuse(reason, now);
        }
    }

    fn hold_all(&mut self, message: &str) {
        let held =
            self.queue.iter().map(|(_, _, id)| Action::Hold { upload: *id, message: message.to_owned() });
        self.out.extend(held);
    }

    fn open_succeeded(&mut self, opened: Opened, now: Now) {
        if let Some(code) = bad_code(opened.status.code.as_deref()) {
            let fault = bad_status(code);
            return self.open_failed(&fault, now);
        }
        let former = opened.former.as_deref().filter(|text| !text.is_empty());
        let parsed = former.map_or(Ok(None), |text| self.parse(Some(text))).and_then(|former| {
            self.former = former.or(self.former.take());
            self.parse(opened.status.committed.as_deref())
        });
        let committed = match parsed {
            Ok(committed) => committed,
            Err(reason) => return self.refuse(reason, now),
        };
        self.set_committed(committed, now);
        self.tail = self.committed.clone();
        self.regressions = 0;
        self.link = Link::Open { continuation: opened.continuation, opened: now, stale: false };
        self.say_at = now;
        self.settle_limbo(&opened.status);
    }

    /// An open that is not answered is worth a word before its time-out.
    pub(super) fn slow_open(&mut self, now: Now) {
        let waited = match &self.link {
            Link::Opening(Opening { asked: true, left: Some(left), .. }) => now.saturating_sub(*left),
            _ => return,
        };
        if waited < SLOW_OPEN || now < self.say_at {
            return;
        }
        self.say_at = now + Duration::from_secs(30);
        let text = format!(
            "{}: Snowflake has not answered the login or the open for {} s; check network rules, proxy and firewall",
            self.rules.label,
            waited.as_secs()
        );
        self.hold_all(&text);
        self.say(Level::Warn, "slow-open", text);
    }

    /// When an opening channel wants to be looked at again.
    pub(super) fn opening_wake(&self) -> Option<Now> {
        let Link::Opening(opening) = &self.link else { return None };
        let limbo = self.limbo_wake();
        let next = match opening.asked {
            false => Some(opening.next_at),
            true => opening.left.map(|left| (left + SLOW_OPEN).max(self.say_at)),
        };
        limbo.into_iter().chain(next).min()
    }

    /// No upload can go through this channel.
    pub(super) fn refuse(&mut self, reason: String, now: Now) {
        self.say(Level::Error, "refused", reason.clone());
        if self.writing.is_some() || !self.bodies.is_empty() || self.sending.is_some() {
            self.out.push(Action::Discard);
        }
        self.forget_bodies();
        let ids: Vec<Id> = self.uploads.keys().copied().collect();
        for id in ids {
            self.settle(id, Settled::Failed(reason.clone()));
        }
        self.link = Link::Refused { until: now + REFUSED, reason };
    }
}

/// A status code that is not a healthy one. The documentation says `ACTIVE`, the service says `SUCCESS`.
pub(super) fn bad_code(code: Option<&str>) -> Option<&str> {
    code.filter(|code| !code.is_empty() && !matches!(*code, "SUCCESS" | "ACTIVE" | "0"))
}
