//! A machine with a clock, driven step by step.

use super::*;
use crate::config::GapStrategy;

/// A machine with a clock and the last actions.
pub(super) struct Bench {
    pub(super) machine: Machine,
    pub(super) now: Now,
    pub(super) actions: Vec<Action>,
}

pub(super) fn rules(tracked: bool, gap_strategy: GapStrategy) -> Rules {
    Rules {
        label: "channel c".into(),
        tracked,
        row_tokens: tracked,
        insert_timeout: Duration::from_secs(30),
        tracking_timeout: Duration::from_secs(90),
        gap_strategy,
        gap_timeout: Duration::from_secs(300),
        request_interval: Duration::from_millis(100),
        byte_rate: 20_000_000,
        error_query: "SELECT …".into(),
    }
}

pub(super) fn token(n: u64) -> Token {
    n.to_string().parse().unwrap()
}

pub(super) fn span(start: u64, end: u64, previous: Option<u64>) -> Span {
    Span { start: token(start), end: token(end), previous: previous.map(token), size: 10 }
}

pub(super) fn status(committed: Option<u64>, row_errors: u64) -> ChannelStatus {
    let committed = committed.map(|n| n.to_string());
    ChannelStatus { code: Some("SUCCESS".into()), committed, row_errors, ..ChannelStatus::default() }
}

pub(super) fn fault(class: FaultClass) -> Fault {
    Fault { class, detail: format!("{class:?}"), retry_after: None }
}

impl Bench {
    pub(super) fn new(tracked: bool, gap_strategy: GapStrategy) -> Self {
        let machine = Machine::new(rules(tracked, gap_strategy), 7);
        Self { machine, now: Duration::from_secs(1), actions: Vec::new() }
    }

    /// An open channel whose committed token is `committed`, kept open by an upload far ahead.
    pub(super) fn open(committed: Option<u64>) -> Self {
        let mut bench = Bench::new(true, GapStrategy::Wait);
        bench.begin(999, 1_000_000, 1_000_001, Some(999_999));
        bench.answer_open(Ok(status(committed, 0)));
        bench
    }

    pub(super) fn event(&mut self, event: Event) -> &[Action] {
        self.actions = self.machine.on_event(event, self.now);
        &self.actions
    }

    pub(super) fn later(&mut self, seconds: u64) -> &[Action] {
        self.now += Duration::from_secs(seconds);
        self.event(Event::Tick)
    }

    pub(super) fn begin(&mut self, upload: Id, start: u64, end: u64, previous: Option<u64>) -> &[Action] {
        self.event(Event::Begin { upload, span: span(start, end, previous) })
    }

    pub(super) fn answer_open(&mut self, answer: Result<ChannelStatus, Fault>) -> &[Action] {
        let asked = |actions: &[Action]| {
            actions.iter().find_map(|action| match action {
                Action::Open { attempt, .. } => Some(*attempt),
                _ => None,
            })
        };
        let mut attempt = asked(&self.actions);
        for _ in 0..200 {
            if attempt.is_some() {
                break;
            }
            attempt = asked(self.later(1));
        }
        let answer = answer.map(|status| Opened { continuation: "0_1".into(), status, former: None });
        self.event(Event::Opened { attempt: attempt.unwrap(), answer })
    }

    /// Takes the upload from its memory to its rows in one body, which is sent and acknowledged.
    pub(super) fn send(&mut self, upload: Id, start: u64, end: u64, body: BodyId) {
        self.write(upload, start, end, body);
        let (asked, attempt) = self.append_asked().unwrap();
        self.event(Event::Appended { body: asked, attempt, answer: Ok(format!("0_{}", body + 100)) });
    }

    pub(super) fn write(&mut self, upload: Id, start: u64, end: u64, body: BodyId) {
        self.event(Event::Memory { upload });
        assert!(self.has(|a| matches!(a, Action::Grant { .. })), "{:?}", self.actions);
        self.event(Event::Finished { upload, rows: 1, open: true, refused_rows: 0 });
        if !self.has(|a| *a == Action::Seal) {
            self.later(1);
        }
        assert!(self.has(|a| *a == Action::Seal), "{:?}", self.actions);
        let body = Body {
            id: body,
            first: token(start),
            last: token(end),
            before: token(0),
            reach: token(end),
            raw: 10,
            size: 10,
        };
        self.event(Event::Cut { body });
    }

    pub(super) fn append_asked(&self) -> Option<(BodyId, u32)> {
        self.actions.iter().find_map(|action| match action {
            Action::Append { body, attempt, .. } => Some((*body, *attempt)),
            _ => None,
        })
    }

    pub(super) fn status(&mut self, status: ChannelStatus) -> &[Action] {
        self.now += Duration::from_secs(1);
        let asked = self.now;
        self.event(Event::Status { asked, answer: Answer::Known(status) })
    }

    pub(super) fn has(&self, test: impl Fn(&Action) -> bool) -> bool {
        self.actions.iter().any(test)
    }

    pub(super) fn outcome(&self, id: Id) -> Option<&Settled> {
        self.actions.iter().find_map(|action| match action {
            Action::Settle { upload, outcome } if *upload == id => Some(outcome),
            _ => None,
        })
    }
}
