//! Seeded simulation: nodes with queues of FlowFiles, a lossy network and a model of the service. Whatever is
//! invalidated, lost, delayed, rejected, split, re-opened or delivered twice, every row must be in the table exactly once
//! and in order, or told as what it is.

mod judge;
mod node;
mod plan;
mod service;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use judge::{Ledger, Sum, judge};
use node::Node;
use plan::{FlowFile, Plan};
use service::{Service, fault};

/// FlowFiles that a node works on at once.
const BEGUN: usize = 8;
/// Steps with troubles, and at most.
const TROUBLES: u32 = 1_500;
const STEPS: u32 = 60_000;

enum Call {
    Open { attempt: u64, force: bool },
    Append { body: BodyId, attempt: u32, continuation: String, rows: Vec<u64>, end: Token },
    Status { asked: Now },
}

struct World {
    plan: Plan,
    rng: StdRng,
    now: Now,
    service: Service,
    nodes: Vec<Node>,
    ledger: Ledger,
    /// FlowFiles of nothing but rows that fit into no request; they are sent to a publisher again.
    funnel: Vec<FlowFile>,
    /// Calls on their way: when they reach the service, when the answer is back, who asked.
    calls: BTreeMap<(Now, u64), (usize, u64, Call, bool)>,
    answers: BTreeMap<(Now, u64), (usize, u64, Event)>,
    serial: u64,
    chaos: bool,
    /// Set SIM_TRACE to see what happens.
    trace: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let plan = Plan::draw(seed, &mut rng);
        let mut nodes = Vec::new();
        for queue in &plan.queues {
            let number = 1_000_000_000 * (1 + nodes.len() as u64);
            nodes.push(Node::new(1, rng.random(), &plan, queue.clone(), number));
        }
        Self {
            service: Service::new(plan.bad.clone()),
            plan,
            rng,
            now: Duration::from_secs(1),
            nodes,
            ledger: Ledger::default(),
            funnel: Vec::new(),
            calls: BTreeMap::new(),
            answers: BTreeMap::new(),
            serial: 0,
            chaos: true,
            trace: std::env::var_os("SIM_TRACE").is_some(),
        }
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.chaos && self.rng.random_ratio(1, one_in)
    }

    fn call(&mut self, node: usize, call: Call) {
        self.serial += 1;
        let delay = Duration::from_millis(self.rng.random_range(1..60));
        let lost = self.chance(25);
        let life = self.nodes[node].life;
        self.calls.insert((self.now + delay, self.serial), (node, life, call, lost));
    }

    fn serve(&mut self, node: usize, life: u64, call: Call, lost: bool) {
        // A lost call is lost on its way there or on its way back; the caller cannot tell.
        let processed = !lost || self.rng.random_bool(0.5);
        let late = Duration::from_millis(if lost { 5_000 } else { self.rng.random_range(1..60) });
        let event = match call {
            Call::Open { attempt, force } => {
                let refused = self.refusal(1);
                let answer = match refused {
                    _ if !processed => Err(fault(FaultClass::Transient)),
                    Some(refused) => Err(refused),
                    None => self.service.open(force),
                };
                let answer = if lost { Err(fault(FaultClass::Transient)) } else { answer };
                Event::Opened { attempt, answer }
            }
            Call::Append { body, attempt, continuation, rows, end } => {
                let refused = self.refusal(rows.len());
                let answer = match refused {
                    _ if !processed => Err(fault(FaultClass::Transient)),
                    Some(refused) => Err(refused),
                    None => self.service.append((node, life), &continuation, rows, end),
                };
                let answer = if lost { Err(fault(FaultClass::Transient)) } else { answer };
                Event::Appended { body, attempt, answer }
            }
            Call::Status { .. } if lost => return,
            Call::Status { asked } if self.chance(400) => Event::Status { asked, answer: Answer::Missing },
            Call::Status { asked } => Event::Status { asked, answer: Answer::Known(self.service.status()) },
        };
        self.serial += 1;
        self.answers.insert((self.now + late, self.serial), (node, life, event));
    }

    /// The service, or something before it, does not take a call with so many rows.
    fn refusal(&mut self, rows: usize) -> Option<Fault> {
        if !self.chance(30) {
            return None;
        }
        let class = match self.rng.random_range(0..5) {
            0 => FaultClass::Throttled,
            1 => FaultClass::Auth,
            2 => FaultClass::Missing,
            3 if rows > 1 && self.plan.splits => FaultClass::TooLarge,
            _ => FaultClass::Transient,
        };
        Some(fault(class))
    }

    fn event(&mut self, node: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if self.nodes[node].is_late(&event) {
                continue;
            }
            let now = self.now;
            if self.trace {
                println!("{now:?} node {node} {event:?}");
            }
            for action in self.nodes[node].machine.on_event(event, now) {
                if self.trace {
                    println!("    {action:?}");
                }
                self.act(node, action, &mut events);
            }
            let wake = self.nodes[node].machine.next_wake(now);
            assert!(!events.is_empty() || wake.is_none_or(|wake| wake > now), "the machine spins");
        }
    }

    fn act(&mut self, at: usize, action: Action, events: &mut VecDeque<Event>) {
        let node = &mut self.nodes[at];
        match action {
            Action::Open { attempt, force, .. } => self.call(at, Call::Open { attempt, force }),
            Action::AskMemory { upload, .. } => node.mail.push_back(Event::Memory { upload }),
            Action::Grant { upload, floor, before } => node.grant(upload, floor, before),
            Action::Seal => {
                let cut = node.seal(&self.plan);
                node.mail.extend(cut);
            }
            Action::Split { body } => events.push_back(node.split(body, &self.plan)),
            Action::Append { body, attempt, continuation, last, .. } => {
                let rows = node.rows(body);
                self.call(at, Call::Append { body, attempt, continuation, rows, end: last });
            }
            Action::DropBody { body } => node.drop_body(body),
            Action::Discard => node.discard(),
            Action::Settle { upload, outcome } => self.settle(at, upload, &outcome),
            Action::Watch(on) => node.watching = on,
            Action::CancelMemory { .. }
            | Action::Covered { .. }
            | Action::Hold { .. }
            | Action::Say { .. } => {}
        }
    }

    fn settle(&mut self, at: usize, upload: Id, outcome: &Settled) {
        let node = &mut self.nodes[at];
        // Given back meanwhile: nobody listens.
        let Some(begun) = node.begun.remove(&upload) else { return };
        if self.ledger.settle(&self.plan, &self.service, (at, node.life), &begun, outcome) {
            node.queue.push(begun.flow_file);
            return;
        }
        if matches!(outcome, Settled::Failed(_)) && !self.plan.losing {
            self.funnel.push(begun.flow_file.clone());
        }
        node.gone.push_back(begun.flow_file);
        if node.gone.len() > 3 {
            node.gone.pop_front();
        }
    }

    /// The user's side of a node: begins FlowFiles in any order, hands rows over, sometimes abandons.
    fn user(&mut self, at: usize) {
        if !self.nodes[at].queue.is_empty() && self.nodes[at].begun.len() < BEGUN {
            let pick = self.rng.random_range(0..self.nodes[at].queue.len());
            let event = self.nodes[at].begin(pick, &self.plan);
            self.nodes[at].mail.push_back(event);
        }
        // A held FlowFile goes back to its queue now and then, otherwise its predecessor may never be begun.
        let full = self.nodes[at].begun.len() >= BEGUN && self.rng.random_ratio(1, 20);
        if full || self.chance(200) {
            let ids: Vec<Id> = self.nodes[at].begun.keys().copied().collect();
            if let Some(id) = ids.get(self.rng.random_range(0..ids.len().max(1))).copied() {
                let event = self.nodes[at].abandon(id);
                self.nodes[at].mail.push_back(event);
            }
        }
        if self.nodes[at].is_granted() && !self.rng.random_bool(0.3) {
            let events = self.nodes[at].write(&self.plan);
            self.nodes[at].mail.extend(events);
        }
    }

    /// The machine is told some of what has happened, or all of it.
    fn deliver(&mut self, at: usize) {
        let waiting = self.nodes[at].mail.len();
        let all = self.rng.random_bool(0.5);
        let count = if all { waiting } else { self.rng.random_range(0..=waiting) };
        for _ in 0..count {
            let Some(event) = self.nodes[at].mail.pop_front() else { return };
            self.event(at, event);
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.rng.random_range(1..80));
        while let Some(entry) = self.calls.first_entry().filter(|e| e.key().0 <= self.now) {
            let (node, life, call, lost) = entry.remove();
            self.serve(node, life, call, lost);
        }
        while let Some(entry) = self.answers.first_entry().filter(|e| e.key().0 <= self.now) {
            let (node, life, event) = entry.remove();
            if self.nodes[node].life == life {
                self.nodes[node].mail.push_back(event);
            }
        }
        if self.rng.random_ratio(1, 4) {
            let count_only = self.rng.random_ratio(1, 5);
            self.service.commit_one(count_only);
        }
        self.trouble();
        if !self.funnel.is_empty() {
            self.empty_funnel();
        }
        for at in 0..self.nodes.len() {
            self.user(at);
            self.deliver(at);
            if self.nodes[at].watching && self.rng.random_ratio(1, 3) {
                let asked = self.now;
                self.call(at, Call::Status { asked });
            }
            if self.nodes[at].machine.next_wake(self.now).is_some_and(|wake| wake <= self.now) {
                self.event(at, Event::Tick);
            }
        }
    }

    fn trouble(&mut self) {
        if self.chance(120) {
            let moved = self.rng.random_ratio(1, 4);
            let class = if moved { FaultClass::ClientInvalid } else { FaultClass::ChannelInvalid };
            let keep = self.rng.random_range(0..=self.service.uncommitted());
            self.service.break_channel(class, keep);
        }
        if !self.plan.alone && self.chance(400) {
            let at = self.rng.random_range(0..self.nodes.len());
            self.crash(at);
        }
    }

    /// What waits for a row of the funnel waits until that is sent once more.
    fn empty_funnel(&mut self) {
        if self.rng.random_ratio(1, 300) {
            let at = self.rng.random_range(0..self.nodes.len());
            self.nodes[at].queue.append(&mut self.funnel);
        }
    }

    /// The process dies; NiFi's queue survives and holds everything that was not settled. What was settled last may come
    /// back, too: its session was not committed.
    fn crash(&mut self, at: usize) {
        let seed = self.rng.random();
        let node = &mut self.nodes[at];
        let mut queue = node.left();
        let forgotten = self.rng.random_range(0..=node.gone.len());
        queue.extend(node.gone.drain(..).rev().take(forgotten));
        let number = u64::try_from(self.now.as_micros()).unwrap() * 1000 + 1_000_000_000;
        *node = Node::new(node.life + 1, seed, &self.plan, queue, number);
    }

    fn is_done(&self) -> bool {
        self.nodes.iter().all(|node| node.queue.is_empty() && node.begun.is_empty())
    }
}

fn run(seed: u64, sum: &mut Sum) -> Result<(), String> {
    let mut world = World::new(seed);
    for step in 0..STEPS {
        world.chaos = step < TROUBLES;
        world.step();
        if world.is_done() || world.ledger.is_broken() {
            break;
        }
    }
    judge(&world, sum).map_err(|wrong| {
        let Plan { resolution, gap_strategy, .. } = world.plan;
        format!("{resolution:?} {gap_strategy:?}: {wrong}")
    })
}

/// Seeds that are tried.
const SEEDS: u64 = 10_000;

#[test]
fn every_row_is_in_the_table_once_or_told() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = number("SIM_RUNS").unwrap_or(SEEDS);
    let base = number("SIM_SEED").unwrap_or_else(rand::random);
    println!("seeds {base} and up");
    let begun = Instant::now();
    let mut sum = Sum::default();
    let mut wrong = Vec::new();
    for seed in (0..seeds).map(|n| base.wrapping_add(n)) {
        if let Err(error) = run(seed, &mut sum) {
            println!("seed {seed}: {error}");
            wrong.push(seed);
        }
    }
    println!("{seeds} seeds in {} s: {sum:?}", begun.elapsed().as_secs());
    assert_eq!((sum.missing, sum.duplicated, sum.unaccounted), (0, 0, 0), "seeds {wrong:?}");
    assert!(wrong.is_empty(), "seeds {wrong:?}");
}
