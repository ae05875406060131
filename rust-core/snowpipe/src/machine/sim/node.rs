//! A node: the machine, and the shell around it reduced to its duties.

use std::collections::{BTreeMap, VecDeque};

use super::super::*;
use super::plan::{FlowFile, Plan, token};
use crate::config::Resolution;

/// Bytes of content with a row that fits into no request.
const LARGE: u64 = 5 << 20;

/// The body that is still open.
#[derive(Default)]
struct Open {
    rows: Vec<u64>,
    first: Option<Token>,
    before: Option<Token>,
    /// Token that the body ends with when it is closed now.
    last: Option<Token>,
    /// Rows of an upload are in it that is not finished.
    partial: bool,
}

/// The upload whose rows are asked for.
#[derive(Clone)]
struct Granted {
    upload: Id,
    floor: Option<Token>,
    before: Token,
}

/// An upload and what it stands for.
pub(super) struct Begun {
    pub(super) flow_file: FlowFile,
    span: Span,
    /// Rows that were told to fit into no request, when its content was handed over.
    pub(super) told: Vec<u64>,
}

/// See the module documentation.
pub(super) struct Node {
    pub(super) life: u64,
    pub(super) machine: Machine,
    pub(super) queue: Vec<FlowFile>,
    pub(super) begun: BTreeMap<Id, Begun>,
    /// FlowFiles that have left the queue lately.
    pub(super) gone: VecDeque<FlowFile>,
    pub(super) watching: bool,
    /// Events on their way to the machine, in order; only the clock and its own actions pass them.
    pub(super) mail: VecDeque<Event>,
    granted: Option<Granted>,
    open: Open,
    bodies: BTreeMap<BodyId, (Body, Vec<u64>)>,
    next_body: BodyId,
    /// Bodies below were discarded.
    live_from: BodyId,
    next_id: Id,
    /// Offset token of the next upload where the source has none.
    number: u64,
}

impl Node {
    pub(super) fn new(life: u64, seed: u64, plan: &Plan, queue: Vec<FlowFile>, number: u64) -> Self {
        Self {
            life,
            machine: Machine::new(plan.rules(), seed),
            queue,
            begun: BTreeMap::new(),
            gone: VecDeque::new(),
            watching: false,
            mail: VecDeque::new(),
            granted: None,
            open: Open::default(),
            bodies: BTreeMap::new(),
            next_body: 1,
            live_from: 0,
            next_id: life * 1_000_000 + 1,
            number,
        }
    }

    /// Takes a FlowFile from the queue.
    pub(super) fn begin(&mut self, at: usize, plan: &Plan) -> Event {
        let flow_file = self.queue.swap_remove(at);
        let upload = self.next_id;
        self.next_id += 1;
        let end = token(*flow_file.rows.last().unwrap());
        let previous = Some(token(flow_file.previous));
        let large = flow_file.rows.iter().any(|row| plan.large.contains(row));
        let size = if large { LARGE } else { 10 };
        let span = match plan.resolution {
            Resolution::Record => Span { start: token(flow_file.rows[0]), end, previous, size },
            Resolution::FlowFile => Span { start: end.clone(), end, previous, size },
            Resolution::Disabled => {
                self.number += 1000;
                Span { start: token(self.number), end: token(self.number), previous: None, size }
            }
        };
        self.begun.insert(upload, Begun { flow_file, span: span.clone(), told: Vec::new() });
        Event::Begin { upload, span }
    }

    pub(super) fn abandon(&mut self, upload: Id) -> Event {
        if let Some(begun) = self.begun.remove(&upload) {
            self.queue.push(begun.flow_file);
        }
        if self.granted.as_ref().is_some_and(|granted| granted.upload == upload) {
            self.granted = None;
        }
        Event::Abandon { upload }
    }

    pub(super) fn grant(&mut self, upload: Id, floor: Option<Token>, before: Token) {
        if !self.begun.contains_key(&upload) {
            // Given back meanwhile; the machine will hear of it.
            return;
        }
        assert!(self.granted.is_none(), "two uploads are granted at once");
        self.granted = Some(Granted { upload, floor, before });
    }

    pub(super) fn is_granted(&self) -> bool {
        self.granted.is_some()
    }

    /// Hands the rows of the granted upload over.
    pub(super) fn write(&mut self, plan: &Plan) -> Vec<Event> {
        let Some(granted) = self.granted.take() else { return Vec::new() };
        let Some(begun) = self.begun.get(&granted.upload) else { return Vec::new() };
        let (flow_file, span) = (begun.flow_file.clone(), begun.span.clone());
        let mut events = Vec::new();
        let (mut sent, mut passed, mut refused) = (0, 0, Vec::new());
        for row in &flow_file.rows {
            if plan.large.contains(row) {
                refused.push(*row);
                continue;
            }
            if plan.has_tokens() && granted.floor.as_ref().is_some_and(|floor| token(*row) <= *floor) {
                passed += 1;
                continue;
            }
            let whole =
                plan.one_body && sent == 0 && self.open.rows.len() + flow_file.rows.len() > plan.body_rows();
            if whole || self.open.rows.len() >= plan.body_rows() {
                events.extend(self.cut(plan, &granted.before, &span.end));
            }
            if self.open.rows.is_empty() {
                let own = plan.has_tokens() && *row != flow_file.rows[0];
                self.open.first = Some(if own { token(*row) } else { span.start.clone() });
                self.open.before = Some(granted.before.clone());
            }
            self.open.rows.push(*row);
            self.open.partial = true;
            sent += 1;
        }
        let upload = granted.upload;
        if self.open.partial {
            self.open.last = Some(span.end);
        }
        let open = std::mem::take(&mut self.open.partial);
        let rows = sent + passed;
        let apart = flow_file.plain && rows > 0;
        let refused_rows = if apart { 0 } else { refused.len() as u64 };
        if let Some(begun) = self.begun.get_mut(&upload) {
            begun.told = if apart || refused_rows > 0 { refused } else { Vec::new() };
        }
        events.push(Event::Finished { upload, rows, open, refused_rows });
        events
    }

    /// Closes the open body when it holds whole uploads only.
    pub(super) fn seal(&mut self, plan: &Plan) -> Option<Event> {
        match self.open.partial {
            true => None,
            false => self.cut(plan, &Token::zero(), &Token::zero()),
        }
    }

    fn cut(&mut self, plan: &Plan, before: &Token, end: &Token) -> Option<Event> {
        let open = std::mem::take(&mut self.open);
        let last = *open.rows.last()?;
        let last = match open.partial {
            true if plan.has_tokens() => token(last),
            true => before.clone(),
            false => open.last.unwrap(),
        };
        let (first, before) = (open.first.unwrap().min(last.clone()), open.before.unwrap());
        let reach = if open.partial && !plan.has_tokens() { end.clone() } else { last.clone() };
        Some(Event::Cut { body: self.keep(open.rows, [first, last, before, reach]) })
    }

    fn keep(&mut self, rows: Vec<u64>, tokens: [Token; 4]) -> Body {
        let [first, last, before, reach] = tokens;
        let body = Body { id: self.next_body, first, last, before, reach, raw: 1000, size: 1000 };
        self.next_body += 1;
        self.bodies.insert(body.id, (body.clone(), rows));
        body
    }

    /// Two bodies in place of one.
    pub(super) fn split(&mut self, body: BodyId, plan: &Plan) -> Event {
        let (whole, rows) = self.bodies.remove(&body).unwrap();
        if rows.len() < 2 {
            return Event::Split { body, parts: Vec::new() };
        }
        let (head, tail) = rows.split_at(rows.len() / 2);
        let (last, first) = match plan.has_tokens() {
            true => (token(*head.last().unwrap()), token(tail[0])),
            false => (whole.before.clone(), whole.first.clone()),
        };
        let start = whole.first.clone().min(last.clone());
        let reach = if plan.has_tokens() { last.clone() } else { whole.reach.clone() };
        let parts = vec![
            self.keep(head.to_vec(), [start, last, whole.before.clone(), reach]),
            self.keep(tail.to_vec(), [first, whole.last, whole.before, whole.reach]),
        ];
        Event::Split { body, parts }
    }

    pub(super) fn rows(&self, body: BodyId) -> Vec<u64> {
        self.bodies[&body].1.clone()
    }

    pub(super) fn drop_body(&mut self, body: BodyId) {
        assert!(self.bodies.remove(&body).is_some(), "a body is dropped twice");
    }

    pub(super) fn discard(&mut self) {
        self.bodies.clear();
        self.open = Open::default();
        self.granted = None;
        self.live_from = self.next_body;
    }

    /// An event about a body that was discarded comes too late.
    pub(super) fn is_late(&self, event: &Event) -> bool {
        matches!(event, Event::Cut { body } if body.id < self.live_from)
    }

    /// What the process leaves behind: NiFi's queue holds everything that was not settled.
    pub(super) fn left(&mut self) -> Vec<FlowFile> {
        let mut queue = std::mem::take(&mut self.queue);
        queue.extend(std::mem::take(&mut self.begun).into_values().map(|begun| begun.flow_file));
        queue
    }
}
