//! One channel as a pure state machine: events in, actions out, no I/O and no clock of its own.
//!
//! Guarantees, given truthful events: rows reach the service in token order; an upload is settled as committed only when
//! the committed token covers its end; nothing is skipped that is not covered by a token; rows of an invalidated
//! channel are sent again by their FlowFile (`Retry`), never from memory, so that the committed token alone decides.

#[cfg(test)]
mod bulky_tests;
mod commit;
mod contest;
#[cfg(test)]
mod contest_tests;
mod earlier;
mod errors;
mod explain;
mod grant;
mod holes;
mod limbo;
mod open;
mod pace;
#[cfg(test)]
mod rate_tests;
#[cfg(test)]
mod rejection_tests;
mod send;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod test_bench;
#[cfg(test)]
mod tests;
mod types;
mod wake;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use bulletin::Level;
use errors::{Append, RowErrors};
use holes::Holes;
use open::Link;
use pace::Pace;
use send::Sending;
pub(crate) use types::{
    Action, Answer, Body, BodyId, ChannelStatus, Charged, Event, Extent, Fault, FaultClass, Id, Now, Opened,
    Report, Rules, Settled, Span, Token,
};

/// Where an upload stands inside the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for its turn, for its predecessor or for the channel.
    Queued,
    /// Head of the queue, waits for memory.
    Memory,
    /// Its rows are being handed over.
    Writing,
    /// All rows are in bodies.
    Written,
    /// Needs no data: all of it is in flight in other uploads.
    Covered,
}

#[derive(Debug)]
struct Upload {
    span: Span,
    phase: Phase,
    began: Now,
    /// What must be covered for the upload to be done; the end, or less when no row was left to send.
    target: Option<Token>,
    /// Rows handed over were lost with an invalidated channel; the next open decides.
    limbo: bool,
    /// Nothing of it is sent: its content is searched for rows that never were.
    looked_at: bool,
    /// Rows the shell could not send (too large).
    refused_rows: u64,
}

/// A body the service acknowledged and has not committed yet.
#[derive(Debug)]
struct Acked {
    append: Append,
    at: Now,
}

/// The channel logic. See the module documentation.
#[derive(Debug)]
pub(crate) struct Machine {
    rules: Rules,
    rng: StdRng,
    link: Link,
    uploads: BTreeMap<Id, Upload>,
    /// Start of the upload that was begun last. Without tracking each is beyond those before it.
    latest: Option<Token>,
    /// Uploads that wait for their turn, in order; at most one of them has asked for memory.
    queue: BTreeSet<(Token, Token, Id)>,
    asked: Option<Id>,
    covered: BTreeSet<Id>,
    /// Committed token as the service said last.
    committed: Option<Token>,
    /// What the channel of an earlier connector had committed; it counts until this one has a token of its own.
    former: Option<Token>,
    /// Highest token this process has seen committed, whatever became of the channel since.
    proven: Option<Token>,
    /// End of what was granted in this incarnation of the channel, at least `committed`.
    tail: Option<Token>,
    holes: Holes,
    writing: Option<Id>,
    /// Finished uploads whose last rows are in the body that is still open, and the end of the last one.
    open_finished: usize,
    open_last: Option<Token>,
    /// Bodies that are to hold one upload each, so that a rejection can be told apart.
    alone: u32,
    seal_asked: bool,
    bodies: VecDeque<Body>,
    sending: Option<Sending>,
    acked: VecDeque<Acked>,
    /// Appends whose token is that of the append before: the committed token does not tell yet whether they are committed.
    halves: Vec<Append>,
    /// Appends that were under way when the channel was lost; the next open tells what became of them.
    unsettled: Vec<Append>,
    errors: RowErrors,
    /// Recoveries in a row that brought no progress.
    strikes: u32,
    /// Start of the upload they hit.
    struck: Option<Token>,
    blame: Option<open::Blame>,
    /// How often others took the channel over since rows of ours were committed.
    contests: u32,
    next_send: Now,
    pace: Pace,
    /// When bodies left lately, and their uncompressed bytes.
    recent: VecDeque<(Now, u64)>,
    last_progress: Now,
    /// When the last question for the status left that was answered.
    heard: Now,
    regressions: u32,
    /// When a lasting trouble (a gap, a stall) is said next.
    say_at: Now,
    watching: bool,
    out: Vec<Action>,
}

impl Machine {
    pub(crate) fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            rng: StdRng::seed_from_u64(seed),
            link: Link::Closed,
            uploads: BTreeMap::new(),
            latest: None,
            queue: BTreeSet::new(),
            asked: None,
            covered: BTreeSet::new(),
            committed: None,
            former: None,
            proven: None,
            tail: None,
            holes: Holes::default(),
            writing: None,
            open_finished: 0,
            open_last: None,
            alone: 0,
            seal_asked: false,
            bodies: VecDeque::new(),
            sending: None,
            acked: VecDeque::new(),
            halves: Vec::new(),
            unsettled: Vec::new(),
            errors: RowErrors::default(),
            strikes: 0,
            struck: None,
            blame: None,
            contests: 0,
            next_send: Duration::ZERO,
            pace: Pace::default(),
            recent: VecDeque::new(),
            last_progress: Duration::ZERO,
            heard: Duration::ZERO,
            regressions: 0,
            say_at: Duration::ZERO,
            watching: false,
            out: Vec::new(),
        }
    }

    /// Goes on from what was seen committed before the channel was let go.
    pub(crate) fn resume(mut self, proven: Option<Token>) -> Self {
        self.proven = proven;
        self
    }

    /// Goes on after a machine whose task was stopped by a defect, with what the committed token does not tell.
    pub(crate) fn inherit(mut self, other: &mut Machine) -> Self {
        let proven = other.proven.take();
        self.proven = self.proven.max(proven);
        self.holes = std::mem::take(&mut other.holes);
        self.errors = std::mem::take(&mut other.errors);
        self
    }

    /// The highest token that was seen committed.
    pub(crate) fn proven(&self) -> Option<&Token> {
        self.proven.as_ref()
    }

    /// Whether nothing is under way, and nothing is known that the committed token does not tell.
    pub(crate) fn is_idle(&self) -> bool {
        self.uploads.is_empty()
            && self.bodies.is_empty()
            && self.acked.is_empty()
            && self.sending.is_none()
            && self.holes.is_empty()
            && self.errors.is_empty()
            && self.blame.is_none()
    }

    /// Takes one event and says what is to be done, in order.
    pub(crate) fn on_event(&mut self, event: Event, now: Now) -> Vec<Action> {
        match event {
            Event::Begin { upload, span } => self.begin(upload, span, now),
            Event::Memory { upload } => self.memory(upload),
            Event::Cut { body } => self.cut(body),
            Event::Finished { upload, rows, open, refused_rows } => {
                self.finished(upload, rows, open, refused_rows);
            }
            Event::Spoiled { upload, reason } => self.spoiled(upload, reason, now),
            Event::Abandon { upload } => self.abandon(upload, now),
            Event::OpenLeft { attempt } => self.open_left(attempt, now),
            Event::Opened { attempt, answer } => self.opened(attempt, answer, now),
            Event::Appended { body, attempt, answer } => self.appended(body, attempt, answer, now),
            Event::Split { body, parts } => self.split(body, parts, now),
            Event::Status { asked, answer } => self.status(asked, answer, now),
            Event::Tick => {}
        }
        self.pump(now);
        std::mem::take(&mut self.out)
    }

    /// The committed token, for the status report.
    pub(crate) fn committed(&self) -> Option<&Token> {
        self.committed.as_ref()
    }

    /// Bodies and uploads in the machine, for the status report.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.uploads.len(), self.bodies.len() + self.acked.len() + usize::from(self.sending.is_some()))
    }

    /// Short name of the link's state, for the status report.
    pub(crate) fn link_name(&self) -> &'static str {
        self.link.name()
    }

    /// Everything that may have become possible through the last event.
    fn pump(&mut self, now: Now) {
        self.timers(now);
        self.pump_open(now);
        self.pump_send(now);
        self.pump_grant(now);
        self.pump_open(now);
        let watch = self.wants_status();
        if watch != self.watching {
            self.watching = watch;
            self.out.push(Action::Watch(watch));
        }
    }

    fn wants_status(&self) -> bool {
        let waits = !self.acked.is_empty()
            || !self.covered.is_empty()
            || (self.writing.is_none() && self.head().is_some());
        (self.link.is_open() && waits) || self.link.is_contested()
    }

    fn settle(&mut self, upload: Id, outcome: Settled) {
        if let Some(known) = self.take(upload) {
            if known.phase == Phase::Memory {
                self.out.push(Action::CancelMemory { upload });
            }
            self.out.push(Action::Settle { upload, outcome });
        }
    }

    fn say(&mut self, level: Level, key: &str, text: String) {
        self.out.push(Action::Say { level, key: format!("{key}/{}", self.rules.label), text });
    }

    /// Whether the committed token says that everything up to `end` is in the table.
    fn covers(&self, end: &Token) -> bool {
        let Some(committed) = &self.committed else { return false };
        match self.rules.tracked {
            true => committed >= end,
            // Without tracking the tokens of other writers mean nothing: only one of our own proves anything.
            false => committed >= end && self.is_own(committed),
        }
    }

    fn is_own(&self, token: &Token) -> bool {
        self.proven.as_ref() == Some(token)
            || self.acked.iter().any(|body| body.append.token == *token)
            || self.sending.as_ref().is_some_and(|sending| sending.body.last == *token)
            || self.uploads.values().any(|u| u.span.end == *token)
    }
}
