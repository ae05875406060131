//! The task of a channel: feeds the machine with events and does what it says.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::api::APPEND_TIMEOUT;
use crate::body::Job;
use crate::budget::Held;
use crate::cell::Cell;
use crate::channel::Channel;
use crate::config::InvalidRows;
use crate::core::Core;
use crate::former;
use crate::machine::{Action, Answer, BodyId, ChannelStatus, Event, Id, Machine, Opened, Settled, Token};
use crate::poller::Poller;
use crate::progress::State;
use crate::rejected::{Case, Examiner, Fallback};
use crate::sink::place::rate;

/// What an upload of the channel needs outside the machine.
pub(crate) struct Entry {
    pub(crate) cell: Arc<Cell>,
    pub(crate) start: Token,
    pub(crate) end: Token,
    /// Bytes of content.
    pub(crate) size: u64,
}

/// Uploads of a channel by number.
pub(crate) type Entries = Arc<Mutex<HashMap<Id, Entry>>>;

/// See the module documentation.
pub(crate) struct Actor {
    pub(crate) core: Arc<Core>,
    pub(crate) channel: Arc<Channel>,
    pub(crate) poller: Arc<Poller>,
    /// Tells rejected rows one by one, when it can.
    pub(crate) examiner: Option<Arc<Examiner>>,
    pub(crate) machine: Arc<Mutex<Machine>>,
    pub(crate) entries: Entries,
    /// Set when no upload may be begun any more.
    pub(crate) retired: Arc<AtomicBool>,
    /// The sink is closed, or the channel is let go.
    pub(crate) end: CancellationToken,
    pub(crate) waits: HashMap<Id, AbortHandle>,
    pub(crate) memory: Arc<Mutex<HashMap<Id, Held>>>,
    /// Bodies below were discarded; the writer may have announced one just before.
    pub(crate) live_from: BodyId,
}

impl Actor {
    /// Runs until the sink is closed. After a panic nothing of the channel's state is relied on: its uploads go back to
    /// their queue, and the next one opens the channel anew, whose committed token says what is in the table.
    pub(crate) async fn run(mut self, mut events: UnboundedReceiver<Event>) {
        let (core, name) = (Arc::clone(&self.core), format!("channel {}", self.channel.name));
        let ended = core.caught(&name, self.work(&mut events)).await;
        self.poller.watch(&self.channel, false);
        for (_, wait) in self.waits.drain() {
            wait.abort();
        }
        let reason = match ended {
            Some(()) if self.core.stop.is_cancelled() => {
                self.channel.close();
                "the sink was closed"
            }
            Some(()) => {
                // A writer may be at it; its upload ends below.
                self.channel.discard();
                "the channel was let go before these rows were committed"
            }
            None => {
                self.channel.discard();
                "a defect of the connector stopped the channel before these rows were committed"
            }
        };
        // Whoever begins an upload looks at this after its entry is there.
        self.retired.store(true, Ordering::SeqCst);
        for (_, entry) in lock(&self.entries).drain() {
            entry.cell.end(State::Retry, 0, Some(reason.to_owned()));
        }
    }

    async fn work(&mut self, events: &mut UnboundedReceiver<Event>) {
        let stop = self.end.clone();
        loop {
            let now = self.core.now();
            let wake = lock(&self.machine).next_wake(now);
            let event = tokio::select! {
                () = stop.cancelled() => break,
                event = events.recv() => match event {
                    Some(event) => event,
                    None => break,
                },
                () = self.core.sleep_until(wake) => Event::Tick,
            };
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if matches!(&event, Event::Cut { body } if body.id < self.live_from) {
                continue;
            }
            if matches!(&event, Event::Memory { upload } if !self.asks_memory(*upload)) {
                continue;
            }
            self.core.trips.pass("event");
            let actions = lock(&self.machine).on_event(event, self.core.now());
            for action in actions {
                events.extend(self.act(action));
            }
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        self.core.trips.pass("action");
        match action {
            Action::Open { attempt, force, former } => self.open(attempt, force, former),
            Action::Append { body, attempt, continuation, .. } => self.append(body, attempt, continuation),
            Action::AskMemory { upload, bytes } => self.ask_memory(upload, bytes),
            Action::CancelMemory { upload } => self.cancel_memory(upload),
            Action::Grant { upload, floor, before } => self.grant(upload, floor, before),
            Action::Seal => self.channel.seal(),
            Action::Split { body } => return Some(self.split(body)),
            Action::DropBody { body } => self.channel.drop_body(body),
            Action::Discard => self.live_from = self.channel.discard(),
            Action::Covered { upload } => self.with_cell(upload, |cell| {
                cell.skip_all();
                cell.set(State::InFlight);
            }),
            Action::Hold { upload, message } => self.with_cell(upload, |cell| cell.explain(message)),
            Action::Settle { upload, outcome } => self.settle(upload, outcome),
            Action::Watch(on) if self.channel.elastic.is_none() => self.poller.watch(&self.channel, on),
            Action::Watch(_) => {}
            Action::Say { level, key, text } => self.core.messages.say(level, &key, text),
        }
        None
    }

    fn split(&self, body: BodyId) -> Event {
        self.channel.split(body, rate(self.channel.elastic.is_some()))
    }

    fn open(&self, attempt: u64, force: bool, former: bool) {
        let (core, channel) = (Arc::clone(&self.core), Arc::clone(&self.channel));
        if channel.elastic.is_some() {
            let committed = lock(&self.machine).committed().map(ToString::to_string);
            self.core.spawn(async move {
                channel.tell(Event::OpenLeft { attempt });
                // Nothing is opened; a login that does not work is waited for as with a named channel.
                let answer = core.answered("login", core.api.ready()).await;
                channel.tell(Event::Opened { attempt, answer: answer.map(|()| elastic_opened(committed)) });
            });
            return;
        }
        self.core.spawn(async move {
            let call = async {
                // Opens run in parallel, but a pipe takes only so many at once.
                let _turn = core.opens.acquire().await;
                channel.tell(Event::OpenLeft { attempt });
                core.trips.pass("open");
                let answer = core.api.open(&channel.pipe, &channel.name, force).await;
                core.trips.pass("opened");
                match answer {
                    Ok(opened) if former => former::adopt(&core, &channel, force, opened).await,
                    answer => answer,
                }
            };
            let answer = core.answered(&format!("open {}", channel.name), call).await;
            channel.tell(Event::Opened { attempt, answer });
        });
    }

    fn append(&self, body: BodyId, attempt: u32, continuation: String) {
        let Some(request) = self.channel.request(body, attempt, continuation) else { return };
        let (core, channel) = (Arc::clone(&self.core), Arc::clone(&self.channel));
        let poller = Arc::clone(&self.poller);
        self.core.spawn(async move {
            let sent = core.now();
            let call = async {
                core.trips.pass("append");
                let answer = match &channel.elastic {
                    Some(path) => core.api.append_elastic(path, &request).await,
                    None => core.api.append(&channel.pipe, &channel.name, &request).await,
                };
                core.trips.pass("appended");
                answer
            };
            let answer = core.answered(&format!("append {}", channel.name), call).await;
            if answer.is_err() && core.now().saturating_sub(sent) >= APPEND_TIMEOUT {
                channel.too_slow(request.bytes.len(), rate(channel.elastic.is_some()));
            }
            channel.stick(answer.as_ref().ok().and_then(|taken| taken.sticky.clone()));
            if answer.is_ok() {
                core.stats.appended(request.raw, request.bytes.len() as u64);
                channel.answered(core.now().saturating_sub(sent), rate(channel.elastic.is_some()));
                poller.hurry();
            }
            if channel.elastic.is_some() && answer.is_ok() {
                // The acknowledgement is the commit.
                channel.tell(Event::Appended { body, attempt, answer: Ok(request.request_id.to_string()) });
                let status = ChannelStatus { committed: Some(request.last), ..ChannelStatus::default() };
                channel.tell(Event::Status { asked: core.now(), answer: Answer::Known(status) });
                return;
            }
            channel.tell(Event::Appended { body, attempt, answer: answer.map(|taken| taken.continuation) });
        });
    }

    /// Asks for what the content can come to, and for the compressor that takes it.
    fn ask_memory(&mut self, upload: Id, content: u64) {
        let bytes = content + self.core.compressors.size() as u64;
        let (core, channel, memory) =
            (Arc::clone(&self.core), Arc::clone(&self.channel), Arc::clone(&self.memory));
        let wait = self.core.spawn(async move {
            let hold = async {
                core.trips.pass("memory");
                core.budget.hold(bytes).await
            };
            let held = match core.caught(&format!("memory {}", channel.name), hold).await {
                Some(held) => held,
                None => core.budget.hold(bytes).await,
            };
            if let Some(held) = held {
                lock(&memory).insert(upload, held);
                channel.tell(Event::Memory { upload });
            }
        });
        if let Some(before) = self.waits.insert(upload, wait) {
            before.abort();
        }
    }

    /// Memory may come in the very moment in which it is no longer asked for; then nobody else would give it back.
    fn asks_memory(&self, upload: Id) -> bool {
        let asks = self.waits.contains_key(&upload);
        if !asks {
            lock(&self.memory).remove(&upload);
        }
        asks
    }

    fn cancel_memory(&mut self, upload: Id) {
        if let Some(wait) = self.waits.remove(&upload) {
            wait.abort();
        }
        lock(&self.memory).remove(&upload);
    }

    fn grant(&mut self, upload: Id, floor: Option<Token>, before: Token) {
        self.waits.remove(&upload);
        let held = lock(&self.memory).remove(&upload);
        let entries = lock(&self.entries);
        let Some(entry) = entries.get(&upload) else { return };
        let (start, end, size) = (entry.start.clone(), entry.end.clone(), entry.size);
        let job = Job { upload, start, end, size, floor, before };
        self.channel.start(job, held);
        entry.cell.grant();
    }

    fn settle(&mut self, upload: Id, outcome: Settled) {
        self.cancel_memory(upload);
        let Some(entry) = lock(&self.entries).remove(&upload) else { return };
        let cell = entry.cell;
        match outcome {
            Settled::Committed { skipped_whole } => {
                if skipped_whole {
                    cell.skip_all();
                }
                cell.end(State::Committed, 0, None);
            }
            Settled::Invalid { certain, skipped_whole, row_errors, message, ranges, reports } => {
                if skipped_whole {
                    cell.skip_all();
                }
                let (core, channel) = (Arc::clone(&self.core), self.channel.name.clone());
                let mut fallback = Fallback { certain, row_errors, message, ranges };
                if let Some(examiner) = self.examiner.as_ref().filter(|_| !reports.is_empty()) {
                    let (span, fallback) = ((entry.start, entry.end), Some(fallback));
                    return examiner.take(Case { core, channel, span, reports, cell, fallback });
                }
                if core.config.invalid_rows != InvalidRows::Rows {
                    fallback.ranges.clear();
                }
                fallback.end(&core, &channel, &cell);
            }
            Settled::Retry(message) => cell.end(State::Retry, 0, Some(message)),
            Settled::Failed(message) => cell.end(State::Failed, 0, Some(message)),
        }
    }

    fn with_cell(&self, upload: Id, change: impl FnOnce(&Cell)) {
        if let Some(entry) = lock(&self.entries).get(&upload) {
            change(&entry.cell);
        }
    }
}

/// An elastic channel as a named one would answer its open.
fn elastic_opened(committed: Option<String>) -> Opened {
    let status = ChannelStatus { committed, ..ChannelStatus::default() };
    Opened { continuation: "elastic".to_owned(), status, former: None }
}

/// A lock that survives the panic of another holder.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
