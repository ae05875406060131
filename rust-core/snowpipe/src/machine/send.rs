//! Sending bodies one after the other, each with the continuation token of the one before.

use std::time::Duration;

use super::errors::Append;
use super::open::{Blame, Link, Reason};
use super::types::{Action, Body, BodyId, Fault, FaultClass, Id, Now, Settled};
use super::{Acked, Machine, Phase};
use bulletin::Level;

/// Bytes are counted over this time: a second, and something for the jitter of the network.
const RATE_WINDOW: Duration = Duration::from_millis(1050);
/// Bodies that can be within that time at the pace of requests.
const RECENT: usize = 16;
/// A gateway may say "not found" for a moment.
const NOT_FOUND_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Sending {
    pub(super) body: Body,
    attempt: u32,
    asked: bool,
    next_at: Now,
    /// Time for retries is counted from here; throttling moves it.
    since: Now,
    splitting: bool,
    /// A try was answered in a way that leaves open whether the rows were taken.
    ambiguous: bool,
}

impl Machine {
    pub(super) fn cut(&mut self, body: Body) {
        self.forget_open_body();
        self.alone = self.alone.saturating_sub(1);
        self.bodies.push_back(body);
    }

    pub(super) fn forget_open_body(&mut self) {
        self.seal_asked = false;
        self.open_finished = 0;
        self.open_last = None;
    }

    pub(super) fn finished(&mut self, id: Id, rows: u64, open: bool, refused_rows: u64) {
        if self.writing == Some(id) {
            self.writing = None;
        }
        let Some(upload) = self.uploads.get_mut(&id).filter(|u| u.phase == Phase::Writing) else { return };
        upload.phase = Phase::Written;
        upload.refused_rows = refused_rows;
        if upload.limbo {
            return;
        }
        self.seal_asked = false;
        if open {
            self.open_finished += 1;
            self.open_last = Some(upload.span.end.clone());
            return;
        }
        self.finished_empty(id, rows, refused_rows);
    }

    /// Nothing of the upload was left to send: it is done when what was under way before it is committed.
    fn finished_empty(&mut self, id: Id, rows: u64, refused_rows: u64) {
        let newest = self.newest();
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        let span = upload.span.clone();
        let before = span.previous.as_ref().unwrap_or(&span.start).clone();
        let after = newest.clone().map_or(before.clone(), |newest| newest.max(before));
        upload.target = newest.clone().map(|newest| newest.min(span.end.clone()));
        self.tail = newest;
        if self.rules.tracked {
            self.holes.nothing(after, span.end);
        }
        if refused_rows > 0 && rows == 0 {
            let reason = format!("{}: no row fits into a request to Snowflake", self.rules.label);
            self.settle(id, Settled::Failed(reason));
            return;
        }
        let done = self.uploads.get(&id).is_some_and(|u| self.is_done(u));
        if done {
            self.found_stored(id, false);
        }
    }

    /// Bytes of the closed bodies that the service has not taken.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.bodies.iter().chain(self.sending.iter().map(|sending| &sending.body)).map(|body| body.size).sum()
    }

    /// The highest token of what is committed, sent, waiting to be sent or finished.
    fn newest(&self) -> Option<super::Token> {
        let bodies = self.bodies.iter().map(|body| &body.last);
        let sending = self.sending.iter().map(|sending| &sending.body.last);
        let acked = self.acked.iter().map(|body| &body.append.token);
        bodies.chain(sending).chain(acked).chain(&self.open_last).chain(&self.committed).max().cloned()
    }

    pub(super) fn pump_send(&mut self, now: Now) {
        if !self.link.is_open() || self.link.is_stale() {
            return;
        }
        if self.sending.is_none() && now >= self.may_send() {
            if let Some(body) = self.bodies.pop_front() {
                self.recent.push_back((now, body.raw));
                if self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
                self.sending = Some(Sending {
                    body,
                    attempt: 0,
                    asked: false,
                    next_at: now,
                    since: now,
                    splitting: false,
                    ambiguous: false,
                });
            } else if self.open_finished > 0 && !self.seal_asked {
                self.seal_asked = true;
                self.out.push(Action::Seal);
            }
        }
        let Link::Open { continuation, .. } = &self.link else { return };
        let Some(sending) = &mut self.sending else { return };
        if sending.asked || sending.splitting || now < sending.next_at {
            return;
        }
        sending.asked = true;
        self.next_send = now + self.pace.interval(self.rules.request_interval);
        self.out.push(Action::Append {
            body: sending.body.id,
            attempt: sending.attempt,
            continuation: continuation.clone(),
            first: sending.body.first.clone(),
            last: sending.body.last.clone(),
        });
    }

    pub(super) fn appended(&mut self, body: BodyId, attempt: u32, answer: Result<String, Fault>, now: Now) {
        let ours = |s: &Sending| s.body.id == body && s.attempt == attempt && s.asked;
        if !self.sending.as_ref().is_some_and(ours) {
            return;
        }
        match answer {
            Ok(next) => self.accepted(next, now),
            Err(fault) => self.append_failed(&fault, now),
        }
    }

    fn accepted(&mut self, next: String, now: Now) {
        let Link::Open { continuation, .. } = &mut self.link else { return };
        if next == *continuation || next.is_empty() {
            // The service says that the token we hold is still the next one: the rows were not taken.
            let text = "the service answered an append with the same continuation token".to_owned();
            return self.recover(Reason::Broken(text), now);
        }
        *continuation = next;
        self.pace.taken(now);
        let Some(Sending { body, .. }) = self.sending.take() else { return };
        self.out.push(Action::DropBody { body: body.id });
        if self.acked.is_empty() {
            self.last_progress = now;
        }
        self.acked.push_back(Acked { append: Append::of(&body), at: now });
    }

    fn append_failed(&mut self, fault: &Fault, now: Now) {
        let Some(sending) = &mut self.sending else { return };
        sending.asked = false;
        let tries = sending.attempt;
        sending.attempt += 1;
        sending.ambiguous |= !matches!(fault.class, FaultClass::Throttled | FaultClass::TooLarge);
        let waited = now.saturating_sub(sending.since);
        let detail = fault.detail.clone();
        match fault.class {
            FaultClass::Throttled => {
                sending.since = now;
                self.pace.throttled(self.rules.request_interval);
                let pause = self.backoff(tries, Duration::from_millis(500), Duration::from_secs(10));
                self.retry_append(pause.max(fault.retry_after.unwrap_or_default()), now);
                let text =
                    format!("{}: Snowflake throttles appends, they slow down: {detail}", self.rules.label);
                self.say(Level::Warn, "throttled", text);
            }
            // Other bytes under a token that may be consumed would vanish.
            FaultClass::TooLarge if sending.ambiguous => self.recover(Reason::Broken(detail), now),
            FaultClass::TooLarge => {
                sending.splitting = true;
                let body = sending.body.id;
                self.out.push(Action::Split { body });
            }
            FaultClass::Stale => self.recover(Reason::Stale(detail), now),
            FaultClass::ChannelInvalid | FaultClass::Uncommitted | FaultClass::ClientInvalid => {
                self.recover(Reason::Broken(detail), now);
            }
            FaultClass::Rejected => self.rejected(detail, now),
            FaultClass::Missing if waited >= NOT_FOUND_PATIENCE => {
                self.recover(Reason::Broken(detail), now);
            }
            FaultClass::Auth | FaultClass::Missing | FaultClass::Transient => {
                if waited >= self.rules.insert_timeout {
                    let reason = match fault.class {
                        FaultClass::Transient => Reason::Down(detail),
                        _ => Reason::Broken(detail),
                    };
                    return self.recover(reason, now);
                }
                let pause = self.backoff(tries, Duration::from_millis(250), Duration::from_secs(8));
                self.retry_append(pause.max(fault.retry_after.unwrap_or_default()), now);
                if waited >= Duration::from_secs(3) || fault.class == FaultClass::Auth {
                    let text = format!("{}: rows cannot be sent, retrying: {detail}", self.rules.label);
                    self.say(Level::Warn, "append", text);
                }
            }
        }
    }

    fn retry_append(&mut self, pause: Duration, now: Now) {
        if let Some(sending) = &mut self.sending {
            sending.next_at = now + pause;
        }
    }

    /// The service will never take this body: its upload fails once the channel is open again.
    fn rejected(&mut self, detail: String, now: Now) {
        if let Some(sending) = &self.sending {
            self.blame = Some(Blame {
                first: sending.body.first.clone(),
                last: sending.body.reach.clone(),
                reason: format!("Snowflake refused the rows: {detail}"),
            });
        }
        self.recover(Reason::Broken(detail), now);
    }

    pub(super) fn split(&mut self, body: BodyId, parts: Vec<Body>, now: Now) {
        let Some(sending) = self.sending.take_if(|s| s.body.id == body && s.splitting) else { return };
        if parts.is_empty() {
            self.sending = Some(sending);
            return self.rejected("one row alone is larger than a request may be".to_owned(), now);
        }
        for part in parts.into_iter().rev() {
            self.bodies.push_front(part);
        }
    }

    /// When the next body may leave: requests keep their distance, and what left within a second keeps to the rate.
    fn may_send(&self) -> Now {
        let mut room = self.rules.byte_rate.saturating_sub(self.bodies.front().map_or(0, |body| body.raw));
        for (at, raw) in self.recent.iter().rev() {
            if *raw > room {
                return self.next_send.max(*at + RATE_WINDOW);
            }
            room -= raw;
        }
        self.next_send
    }

    /// When sending wants to be looked at again.
    pub(super) fn sending_wake(&self) -> Option<Now> {
        if !self.link.is_open() {
            return None;
        }
        match &self.sending {
            Some(sending) if sending.asked || sending.splitting => None,
            Some(sending) => Some(sending.next_at),
            None if self.bodies.is_empty() && (self.open_finished == 0 || self.seal_asked) => None,
            None => Some(self.may_send()),
        }
    }
}
