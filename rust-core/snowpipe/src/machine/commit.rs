//! What the committed token says about uploads.

use super::errors::{Append, Candidates, Range};
use super::grant::is_bulky;
use super::open::{Link, Reason, bad_code};
use super::types::{Answer, ChannelStatus, Id, Now, Token};
use super::{Machine, Phase, Upload};
use bulletin::Level;

/// A status that is behind the one before may come from a slow replica; this many in a row are believed.
const REGRESSIONS: u32 = 3;

impl Machine {
    pub(super) fn status(&mut self, asked: Now, answer: Answer, now: Now) {
        if self.link.is_contested() {
            return self.other_published(asked, answer, now);
        }
        if !self.link.is_open() || asked < self.link.opened_at() {
            return;
        }
        self.heard = asked;
        let status = match answer {
            Answer::Known(status) => status,
            Answer::Missing => {
                let text = "the service no longer knows the channel".to_owned();
                return self.lost(Reason::Broken(text), now);
            }
        };
        if let Some(code) = bad_code(status.code.as_deref()) {
            let detail = status.last_error_message.clone().unwrap_or_default();
            let text = format!("the service reports channel status {code} {detail}");
            if self.is_busy() {
                return self.recover(Reason::Broken(text), now);
            }
            // The committed token is still true, and tells when a gap closes.
            self.mark_stale();
        }
        match self.parse(status.committed.as_deref()) {
            Ok(committed) => self.committed_moved(committed, &status, now),
            Err(reason) => self.refuse(reason, now),
        }
    }

    fn committed_moved(&mut self, committed: Option<Token>, status: &ChannelStatus, now: Now) {
        if committed < self.committed {
            self.regressions += 1;
            if self.regressions >= REGRESSIONS {
                let text = "its committed offset token went backwards".to_owned();
                self.lost(Reason::Broken(text), now);
            }
            return;
        }
        self.regressions = 0;
        let foreign = committed.as_ref() > self.sent_up_to().as_ref();
        if foreign && self.rules.tracked {
            return self.foreign_progress(committed, status, now);
        }
        self.set_committed(committed, now);
        let done = self.uploads.iter().filter(|(_, u)| self.is_done(u));
        let window: Vec<(Id, Range)> = done.filter_map(|(id, _)| self.range_of(*id)).collect();
        let mut bodies = std::mem::take(&mut self.halves);
        while let Some(body) = self.acked.front().filter(|body| self.covers(&body.append.token)) {
            bodies.push(body.append.clone());
            self.acked.pop_front();
        }
        self.finish(status, &window, &bodies);
        bodies.retain(|body| body.reach > body.token && self.committed.as_ref() == Some(&body.token));
        self.halves = bodies;
    }

    /// The channel is gone. With nothing under way it is opened when there is something to publish, not before:
    /// another node may be its owner now.
    fn lost(&mut self, reason: Reason, now: Now) {
        match self.is_busy() {
            true => self.recover(reason, now),
            false => self.mark_stale(),
        }
    }

    fn mark_stale(&mut self) {
        if let Link::Open { stale, .. } = &mut self.link {
            *stale = true;
        }
    }

    fn is_busy(&self) -> bool {
        let publishes = |id| self.uploads.get(&id).is_none_or(|upload| !upload.looked_at);
        self.writing.is_some_and(publishes)
            || self.sending.is_some()
            || !self.bodies.is_empty()
            || !self.acked.is_empty()
            || self.open_finished > 0
    }

    /// The highest token the service can have from this process, or was seen to have.
    fn sent_up_to(&self) -> Option<Token> {
        let acked = self.acked.iter().map(|body| &body.append.token);
        let sending = self.sending.iter().map(|sending| &sending.body.last);
        acked.chain(sending).chain(&self.committed).max().cloned()
    }

    /// Another writer has moved the channel beyond what we sent.
    fn foreign_progress(&mut self, committed: Option<Token>, status: &ChannelStatus, now: Now) {
        if self.is_busy() {
            let text = "another client has published through it".to_owned();
            return self.recover(Reason::Stale(text), now);
        }
        self.set_committed(committed, now);
        self.tail = self.committed.clone();
        self.mark_stale();
        self.finish(status, &[], &[]);
    }

    pub(super) fn set_committed(&mut self, committed: Option<Token>, now: Now) {
        if committed > self.committed {
            self.last_progress = now;
            self.strikes = 0;
            if committed.as_ref().is_some_and(|token| self.is_of_ours(token)) {
                self.contests = 0;
            }
        }
        let proves = self.rules.tracked || committed.as_ref().is_some_and(|c| self.is_own(c));
        if proves && committed > self.proven {
            self.proven.clone_from(&committed);
        }
        self.committed = committed;
    }

    /// Whether rows of this process may have brought the channel to `token`.
    fn is_of_ours(&self, token: &Token) -> bool {
        let within = |upload: &Upload| {
            matches!(upload.phase, Phase::Writing | Phase::Written)
                && upload.span.start <= *token
                && *token <= upload.span.end
        };
        self.is_own(token) || self.uploads.values().any(within)
    }

    pub(super) fn is_done(&self, upload: &Upload) -> bool {
        match (&upload.phase, &upload.target) {
            (Phase::Memory | Phase::Queued, _) => false,
            // A row that was too large to be sent is known only when all of the content was seen.
            (Phase::Writing, _) if is_bulky(&upload.span) => false,
            (_, Some(target)) => self.covers(target),
            (_, None) => true,
        }
    }

    pub(super) fn range_of(&self, id: Id) -> Option<(Id, Range)> {
        let Upload { span, .. } = self.uploads.get(&id)?;
        Some((id, Range { start: span.start.clone(), end: span.end.clone() }))
    }

    /// Without tracking only tokens of our own appends mean something: those of other writers are neither before nor after.
    fn understood(&self, status: &ChannelStatus, bodies: &[Append]) -> ChannelStatus {
        let own = |text: &String| bodies.iter().any(|body| body.token.as_str() == text);
        let mut status = status.clone();
        status.last_error_bound = status.last_error_bound.filter(|text| self.rules.tracked || own(text));
        status
    }

    /// Settles committed uploads, with the rejections that belong to them.
    pub(super) fn finish(&mut self, status: &ChannelStatus, window: &[(Id, Range)], bodies: &[Append]) {
        let begun = self.uploads.iter().filter(|(id, upload)| {
            matches!(upload.phase, Phase::Writing | Phase::Written)
                && !upload.looked_at
                && window.iter().all(|(done, _)| done != *id)
        });
        let sending = self.sending.iter().map(|sending| Append::of(&sending.body));
        let under_way = self.acked.iter().map(|body| body.append.clone()).chain(sending);
        let candidates = Candidates {
            done: window.to_vec(),
            begun: begun.filter_map(|(id, _)| self.range_of(*id)).map(|(_, range)| range).collect(),
            bodies: bodies.iter().cloned().chain(under_way).collect(),
            more: !self.acked.is_empty() || self.sending.is_some(),
        };
        let status = &self.understood(status, &candidates.bodies);
        let charges = self.errors.charge(status, &candidates, self.committed.as_ref());
        if charges.stray > 0 {
            let text = format!(
                "{}: Snowflake rejected {} row(s) that no FlowFile in flight here holds: {}",
                self.rules.label,
                charges.stray,
                self.errors.last_message()
            );
            self.say(Level::Warn, "stray", text);
        }
        for (id, _) in window {
            let charge =
                charges.uploads.iter().find(|(upload, _)| upload == id).map(|(_, charge)| charge.clone());
            let outcome = self.stored(*id, charge, false);
            self.settle(*id, outcome);
        }
        if charges.doubtful {
            self.errors.doubt(status, self.committed.as_ref());
        }
    }
}
