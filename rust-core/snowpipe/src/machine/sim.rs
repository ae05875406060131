//! Seeded simulation: nodes with queues of FlowFiles, a lossy network and a model of the service. Whatever is
//! invalidated, lost, delayed, re-opened or delivered twice, every row must be in the table exactly once, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::sim_service::{FlowFile, Service, fault, flow_files};
use super::*;
use crate::config::GapStrategy;

enum Call {
    Open { attempt: u64, force: bool },
    Append { body: BodyId, attempt: u32, continuation: String, rows: Vec<u64> },
    Status { asked: Now },
}

/// A node: the machine, and the shell around it reduced to its duties.
struct Node {
    life: u64,
    machine: Machine,
    queue: Vec<FlowFile>,
    begun: BTreeMap<Id, FlowFile>,
    granted: Option<(Id, Option<u64>)>,
    open_body: Vec<u64>,
    open_partial: bool,
    bodies: BTreeMap<BodyId, Vec<u64>>,
    watching: bool,
    next_id: Id,
    settled: BTreeSet<u64>,
    failed: u64,
}

impl Node {
    fn new(life: u64, seed: u64, queue: Vec<FlowFile>) -> Self {
        Self {
            life,
            machine: Machine::new(rules(), seed),
            queue,
            begun: BTreeMap::new(),
            granted: None,
            open_body: Vec::new(),
            open_partial: false,
            bodies: BTreeMap::new(),
            watching: false,
            next_id: life * 1_000_000 + 1,
            settled: BTreeSet::new(),
            failed: 0,
        }
    }
}

fn rules() -> Rules {
    Rules {
        label: "channel c".into(),
        tracked: true,
        insert_timeout: Duration::from_secs(30),
        tracking_timeout: Duration::from_secs(90),
        gap_strategy: GapStrategy::Wait,
        gap_timeout: Duration::from_secs(300),
        request_interval: Duration::from_millis(100),
        byte_rate: 20_000_000,
        error_query: String::new(),
    }
}

struct World {
    rng: StdRng,
    now: Now,
    service: Service,
    nodes: Vec<Node>,
    /// Calls on their way: when they reach the service, when the answer is back, who asked.
    calls: BTreeMap<(Now, u64), (usize, u64, Call, bool)>,
    answers: BTreeMap<(Now, u64), (usize, u64, Event)>,
    serial: u64,
    chaos: bool,
    /// Set SIM_TRACE to see what happens.
    trace: bool,
}

impl World {
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
        let broken = || Err(fault(FaultClass::Transient));
        let event = match call {
            Call::Open { attempt, force } => {
                let answer = if processed { self.service.open(force) } else { broken() };
                Event::Opened {
                    attempt,
                    answer: if lost { Err(fault(FaultClass::Transient)) } else { answer },
                }
            }
            Call::Append { body, attempt, continuation, rows } => {
                let answer = if processed {
                    self.service.append(&continuation, rows)
                } else {
                    Err(fault(FaultClass::Transient))
                };
                Event::Appended {
                    body,
                    attempt,
                    answer: if lost { Err(fault(FaultClass::Transient)) } else { answer },
                }
            }
            Call::Status { .. } if lost => return,
            Call::Status { asked } => Event::Status { asked, answer: Answer::Known(self.service.status()) },
        };
        self.serial += 1;
        self.answers.insert((self.now + late, self.serial), (node, life, event));
    }

    fn event(&mut self, node: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
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
            Action::Open { attempt, force } => self.call(at, Call::Open { attempt, force }),
            Action::AskMemory { upload, .. } => events.push_back(Event::Memory { upload }),
            Action::Grant { upload, floor, .. } => {
                assert!(node.granted.is_none(), "two uploads are granted at once");
                node.granted = Some((upload, floor.map(|f| f.as_str().parse().unwrap())));
            }
            Action::Seal => {
                let event = seal(node).map_or(Event::SealBusy, |body| Event::Cut { body });
                events.push_back(event);
            }
            Action::Append { body, attempt, continuation, .. } => {
                let rows = node.bodies[&body].clone();
                self.call(at, Call::Append { body, attempt, continuation, rows });
            }
            Action::DropBody { body } => assert!(node.bodies.remove(&body).is_some()),
            Action::Discard => {
                node.bodies.clear();
                node.open_body.clear();
                node.granted = None;
            }
            Action::Settle { upload, outcome } => {
                let flow_file = node.begun.remove(&upload).unwrap();
                match outcome {
                    Settled::Committed { .. } => node.settled.extend(flow_file.rows),
                    Settled::Retry(_) => node.queue.push(flow_file),
                    Settled::Failed(_) | Settled::Invalid { .. } => {
                        node.failed += 1;
                        node.queue.push(flow_file);
                    }
                }
            }
            Action::Watch(on) => node.watching = on,
            Action::CancelMemory { .. }
            | Action::Covered { .. }
            | Action::Hold { .. }
            | Action::Say { .. }
            | Action::Split { .. } => {}
        }
    }

    /// The user's side of a node: begins FlowFiles in any order, hands rows over, sometimes abandons.
    fn user(&mut self, at: usize) {
        if !self.nodes[at].queue.is_empty() && self.nodes[at].begun.len() < 8 {
            let pick = self.rng.random_range(0..self.nodes[at].queue.len());
            let node = &mut self.nodes[at];
            let flow_file = node.queue.swap_remove(pick);
            let id = node.next_id;
            node.next_id += 1;
            let span = Span {
                start: token(flow_file.rows[0]),
                end: token(*flow_file.rows.last().unwrap()),
                previous: Some(token(flow_file.previous)),
                size: 10,
            };
            node.begun.insert(id, flow_file);
            self.event(at, Event::Begin { upload: id, span });
        }
        // A held FlowFile goes back to its queue now and then, otherwise its predecessor may never be begun.
        let full = self.nodes[at].begun.len() >= 8 && self.rng.random_ratio(1, 20);
        if full || self.chance(200) {
            let ids: Vec<Id> = self.nodes[at].begun.keys().copied().collect();
            if let Some(id) = ids.get(self.rng.random_range(0..ids.len().max(1))).copied() {
                let node = &mut self.nodes[at];
                let flow_file = node.begun.remove(&id).unwrap();
                node.queue.push(flow_file);
                if node.granted.is_some_and(|(granted, _)| granted == id) {
                    node.granted = None;
                }
                self.event(at, Event::Abandon { upload: id });
            }
        }
        self.write(at);
    }

    fn write(&mut self, at: usize) {
        let Some((id, floor)) = self.nodes[at].granted else { return };
        let Some(flow_file) = self.nodes[at].begun.get(&id).cloned() else { return };
        if self.rng.random_bool(0.3) {
            return;
        }
        self.nodes[at].granted = None;
        let mut rows = 0;
        self.nodes[at].open_partial = true;
        for row in flow_file.rows.iter().filter(|row| floor.is_none_or(|floor| **row > floor)) {
            if self.nodes[at].open_body.len() >= 6 {
                let body = seal_now(&mut self.nodes[at]);
                self.event(at, Event::Cut { body });
            }
            self.nodes[at].open_body.push(*row);
            rows += 1;
        }
        self.nodes[at].open_partial = false;
        self.event(at, Event::Finished { upload: id, rows, open: rows > 0, refused_rows: 0 });
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
                self.event(node, event);
            }
        }
        if self.rng.random_ratio(1, 4) {
            self.service.commit_one();
        }
        self.trouble();
        for at in 0..self.nodes.len() {
            self.user(at);
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
            self.service.invalid = true;
            let keep = self.rng.random_range(0..=self.service.accepted.len());
            self.service.accepted.truncate(keep);
        }
        if self.chance(400) {
            let at = self.rng.random_range(0..self.nodes.len());
            self.crash(at);
        }
    }

    /// The process dies; NiFi's queue survives and holds everything that was not settled.
    fn crash(&mut self, at: usize) {
        let seed = self.rng.random();
        let node = &mut self.nodes[at];
        let mut queue = std::mem::take(&mut node.queue);
        queue.extend(std::mem::take(&mut node.begun).into_values());
        let settled = std::mem::take(&mut node.settled);
        let mut fresh = Node::new(node.life + 1, seed, queue);
        fresh.settled = settled;
        self.nodes[at] = fresh;
    }

    fn is_done(&self) -> bool {
        self.nodes.iter().all(|node| node.queue.is_empty() && node.begun.is_empty())
    }
}

fn token(n: u64) -> Token {
    n.to_string().parse().unwrap()
}

fn seal(node: &mut Node) -> Option<Body> {
    (!node.open_partial && !node.open_body.is_empty()).then(|| seal_now(node))
}

fn seal_now(node: &mut Node) -> Body {
    let rows = std::mem::take(&mut node.open_body);
    let id = node.next_id;
    node.next_id += 1;
    let (first, last) = (token(rows[0]), token(*rows.last().unwrap()));
    let body = Body { id, first, last, before: token(0), raw: 1000, size: 1000 };
    node.bodies.insert(id, rows);
    body
}

fn run(seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut all: Vec<u64> = Vec::new();
    for _ in 0..rng.random_range(20..150) {
        let step = rng.random_range(1..50);
        all.push(all.last().copied().unwrap_or(0) + step);
    }
    // The shard moves: the second node begins at a checkpoint the first one has long passed, with other cuts.
    let handover = rng.random_range(0..=all.len());
    let replay = rng.random_range(0..=handover);
    let mut first = flow_files(&all[..handover], 0, &mut rng);
    let before = if replay == 0 { 0 } else { all[replay - 1] };
    let mut second = flow_files(&all[replay..], before, &mut rng);
    let duplicates = first.iter().filter(|_| rng.random_ratio(1, 6)).cloned().collect::<Vec<_>>();
    first.extend(duplicates);
    first.shuffle(&mut rng);
    second.shuffle(&mut rng);
    let nodes = vec![Node::new(1, rng.random(), first), Node::new(1, rng.random(), second)];
    let mut world = World {
        rng,
        now: Duration::from_secs(1),
        service: Service::default(),
        nodes,
        calls: BTreeMap::new(),
        answers: BTreeMap::new(),
        serial: 0,
        chaos: true,
        trace: std::env::var_os("SIM_TRACE").is_some(),
    };
    for step in 0..60_000 {
        world.chaos = step < 1_500;
        world.step();
        if world.is_done() {
            break;
        }
    }
    judge(&world, &all)
}

fn judge(world: &World, all: &[u64]) -> Result<(), String> {
    let failed: u64 = world.nodes.iter().map(|node| node.failed).sum();
    if failed > 0 {
        return Err(format!("{failed} uploads failed"));
    }
    let table = &world.service.table;
    let stuck = world.nodes.iter().map(|n| {
        let held = n.begun.values().map(|f| (f.previous, f.rows.clone())).collect::<Vec<_>>();
        format!(
            "{} {:?} {} queued, begun {held:?}",
            n.machine.link_name(),
            n.machine.committed(),
            n.queue.len()
        )
    });
    let stuck = stuck.collect::<Vec<_>>().join("; ");
    if let Some(pair) = table.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("rows {} and {} follow each other in the table", pair[0], pair[1]));
    }
    if table != all {
        let missing = all.iter().find(|row| !table.contains(row));
        return Err(format!("{} of {} rows, first missing {missing:?}; {stuck}", table.len(), all.len()));
    }
    if !world.is_done() {
        return Err(format!("stuck: {stuck}"));
    }
    Ok(())
}

#[test]
fn every_row_is_in_the_table_exactly_once() {
    let runs: u64 = std::env::var("SIM_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let base: u64 = std::env::var("SIM_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or_else(rand::random);
    println!("seeds {base} and up");
    for seed in (0..runs).map(|n| base.wrapping_add(n)) {
        if let Err(error) = run(seed) {
            panic!("seed {seed}: {error}");
        }
    }
}
