//! How much a channel sends, and how soon again after a long refusal: the machine on a clock of its own, with a writer and
//! a service reduced to their rates.

use std::collections::{BTreeMap, VecDeque};

use super::test_bench::{fault, rules, status, token};
use super::*;
use crate::config::GapStrategy;

const STEP: Duration = Duration::from_millis(5);
const SECOND: Duration = Duration::from_secs(1);
/// Until the service answers.
const ANSWER: Duration = Duration::from_millis(30);
/// Rows of a body, as the writer closes it.
const BODY: u64 = 6 << 20;
/// Bytes of an upload, and what compression leaves of them.
const UPLOAD: u64 = 500_000;
const COMPRESSED: u64 = 5;

/// An answer that the service gives instead of taking anything.
#[derive(Clone, Copy, PartialEq)]
enum Refusal {
    Nothing,
    Appends(FaultClass),
    Everything(FaultClass),
}

/// A channel whose queue is never empty, or filled at a rate.
struct Flow {
    machine: Machine,
    now: Now,
    refusal: Refusal,
    /// Bytes a second that come; for ever more when absent.
    offered: Option<u64>,
    begun: Now,
    /// Uploads that are to be published, by their number.
    queue: VecDeque<u64>,
    next: u64,
    under_way: BTreeMap<Id, u64>,
    ids: Id,
    open: VecDeque<u64>,
    bodies: BTreeMap<BodyId, Body>,
    body_ids: BodyId,
    continuation: u64,
    committed: u64,
    answers: VecDeque<(Now, Event)>,
    /// Appends that were taken: when they left, and their uncompressed bytes.
    taken: Vec<(Now, u64)>,
}

impl Flow {
    fn new(offered: Option<u64>) -> Self {
        Self {
            machine: Machine::new(rules(true, GapStrategy::Wait), 7),
            now: SECOND,
            refusal: Refusal::Nothing,
            offered,
            begun: SECOND,
            queue: VecDeque::new(),
            next: 1,
            under_way: BTreeMap::new(),
            ids: 1,
            open: VecDeque::new(),
            bodies: BTreeMap::new(),
            body_ids: 1,
            continuation: 1,
            committed: 0,
            answers: VecDeque::new(),
            taken: Vec::new(),
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += STEP;
            self.offer();
            while self.answers.front().is_some_and(|(at, _)| *at <= self.now) {
                let (_, event) = self.answers.pop_front().unwrap();
                self.event(event);
            }
            if self.machine.next_wake(self.now).is_some_and(|wake| wake <= self.now) {
                self.event(Event::Tick);
            }
            if self.now.as_millis().is_multiple_of(500) && self.machine.watching {
                let (asked, answer) = (self.now, Answer::Known(status(Some(self.committed), 0)));
                self.event(Event::Status { asked, answer });
            }
            let held: u64 = self.bodies.values().map(|body| body.size).sum();
            assert!(
                held < crate::channel::ROOM as u64,
                "a writer would wait: {held} bytes at {:?}",
                self.now
            );
        }
    }

    /// Bytes that leave in ten seconds when nothing is refused.
    fn full_rate(&mut self) -> u64 {
        self.run(SECOND * 20);
        bytes(&self.since(self.now - SECOND * 10))
    }

    fn offer(&mut self) {
        let come = self.offered.map_or(u64::MAX, |rate| {
            let millis = u64::try_from((self.now - self.begun).as_millis()).unwrap();
            rate * millis / 1000 / UPLOAD
        });
        while self.next <= come && self.queue.len() + self.under_way.len() < 60 {
            self.queue.push_back(self.next);
            self.next += 1;
        }
        while let Some(number) = self.queue.pop_front() {
            let (upload, previous) = (self.ids, token(number - 1));
            self.ids += 1;
            self.under_way.insert(upload, number);
            let (start, end) = (token(number), token(number));
            let span = Span { start, end, previous: Some(previous), size: UPLOAD };
            self.event(Event::Begin { upload, span });
        }
    }

    fn event(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.machine.on_event(event, self.now) {
                self.act(action, &mut events);
            }
        }
    }

    fn act(&mut self, action: Action, events: &mut VecDeque<Event>) {
        match action {
            Action::Open { attempt, .. } => {
                let status = status(Some(self.committed), 0);
                let opened = || Opened { continuation: "0".into(), status, former: None };
                let answer = match self.refusal {
                    Refusal::Everything(class) => Err(fault(class)),
                    _ => Ok(opened()),
                };
                self.answers.push_back((self.now + ANSWER, Event::Opened { attempt, answer }));
            }
            Action::AskMemory { upload, .. } => events.push_back(Event::Memory { upload }),
            Action::Grant { upload, .. } => {
                if self.open.len() as u64 * UPLOAD + UPLOAD > BODY {
                    events.extend(self.cut());
                }
                self.open.push_back(self.under_way[&upload]);
                events.push_back(Event::Finished { upload, rows: 1, open: true, refused_rows: 0 });
            }
            Action::Seal => events.extend(self.cut()),
            Action::Append { body, attempt, .. } => {
                let answer = match self.refusal {
                    Refusal::Nothing => {
                        let Body { last, raw, .. } = &self.bodies[&body];
                        self.taken.push((self.now, *raw));
                        self.committed = last.as_str().parse().unwrap();
                        self.continuation += 1;
                        Ok(format!("1_{}", self.continuation))
                    }
                    Refusal::Appends(class) | Refusal::Everything(class) => Err(fault(class)),
                };
                self.answers.push_back((self.now + ANSWER, Event::Appended { body, attempt, answer }));
            }
            Action::DropBody { body } => drop(self.bodies.remove(&body)),
            Action::Discard => {
                self.open.clear();
                self.bodies.clear();
            }
            Action::Settle { upload, outcome } => {
                let number = self.under_way.remove(&upload).unwrap();
                match outcome {
                    Settled::Committed { .. } => {}
                    Settled::Retry(_) => self.queue.push_back(number),
                    other => panic!("{number}: {other:?}"),
                }
            }
            _ => {}
        }
    }

    fn cut(&mut self) -> Option<Event> {
        let (first, last) = (token(*self.open.front()?), token(*self.open.back()?));
        let raw = UPLOAD * self.open.len() as u64;
        self.open.clear();
        let (id, before, reach) = (self.body_ids, token(0), last.clone());
        self.body_ids += 1;
        let body = Body { id, first, last, before, reach, raw, size: raw / COMPRESSED };
        self.bodies.insert(id, body.clone());
        Some(Event::Cut { body })
    }

    /// Appends that left from `from` on.
    fn since(&self, from: Now) -> Vec<(Now, u64)> {
        self.taken.iter().filter(|(at, _)| *at >= from).copied().collect()
    }
}

/// The most requests and the most bytes that left within a second.
fn most_within_a_second(taken: &[(Now, u64)]) -> (usize, u64) {
    let within = taken.iter().map(|(from, _)| {
        let within = taken.iter().filter(|(at, _)| (*from..*from + SECOND).contains(at));
        within.fold((0, 0), |(count, bytes), (_, raw)| (count + 1, bytes + raw))
    });
    within.fold((0, 0), |most, one| (most.0.max(one.0), most.1.max(one.1)))
}

fn bytes(taken: &[(Now, u64)]) -> u64 {
    taken.iter().map(|(_, raw)| raw).sum()
}

#[test]
fn a_channel_is_at_its_full_rate_within_thirty_seconds_of_ten_minutes_of_refusals() {
    for refusal in [
        Refusal::Appends(FaultClass::Throttled),
        Refusal::Everything(FaultClass::Throttled),
        Refusal::Appends(FaultClass::Transient),
        Refusal::Everything(FaultClass::Transient),
    ] {
        let mut flow = Flow::new(None);
        let full = flow.full_rate();
        flow.refusal = refusal;
        flow.run(SECOND * 600);
        flow.refusal = Refusal::Nothing;
        let over = flow.now;
        flow.run(SECOND * 40);
        let after = flow.since(over + SECOND * 30);
        assert!(bytes(&after) > full * 9 / 10, "{} of {full} bytes in ten seconds", bytes(&after));
        assert!(bytes(&after) / after.len() as u64 > BODY * 9 / 10, "bodies are filled: {after:?}");
        let least = flow.machine.rules.request_interval;
        assert_eq!(flow.machine.pace.interval(least), least, "ten requests a second are possible");
    }
}

#[test]
fn a_channel_is_at_its_full_rate_within_thirty_seconds_of_ten_minutes_of_a_low_limit() {
    let mut flow = Flow::new(None);
    let full = flow.full_rate();
    for _ in 0..300 {
        flow.refusal = Refusal::Appends(FaultClass::Throttled);
        flow.run(SECOND * 2 - STEP * 20);
        flow.refusal = Refusal::Nothing;
        flow.run(STEP * 20);
    }
    let over = flow.now;
    flow.run(SECOND * 40);
    let after = flow.since(over + SECOND * 30);
    assert!(bytes(&after) > full * 9 / 10, "{} of {full} bytes in ten seconds", bytes(&after));
    let least = flow.machine.rules.request_interval;
    assert_eq!(flow.machine.pace.interval(least), least);
}

#[test]
fn twelve_megabytes_a_second_leave_in_at_most_ten_requests() {
    let mut flow = Flow::new(Some(12_000_000));
    flow.run(SECOND * 60);
    let sent = bytes(&flow.taken);
    assert!(sent > 59 * 12_000_000, "it keeps up: {sent}");
    let (requests, most) = most_within_a_second(&flow.taken);
    assert!(requests <= 10, "{requests} requests in a second");
    assert!(most <= 20_000_000, "{most} bytes in a second");
    assert!(sent / flow.taken.len() as u64 > 11_000_000 / 10, "bodies hold what has come");
}

#[test]
fn a_backlog_leaves_in_full_bodies_within_the_limit_of_bytes() {
    let mut flow = Flow::new(None);
    flow.run(SECOND * 60);
    let (requests, most) = most_within_a_second(&flow.taken);
    assert!(requests <= 10 && most <= 20_000_000, "{requests} requests, {most} bytes in a second");
    let sent = bytes(&flow.taken);
    assert!(sent > 58 * 17_000_000, "{sent} in a minute");
    assert!(sent / flow.taken.len() as u64 > BODY * 9 / 10, "bodies are filled");
}
