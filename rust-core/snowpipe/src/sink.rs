//! The sink: hands uploads to channels and reports on them.

#[cfg(test)]
mod panics;
pub(crate) mod place;
pub(crate) mod ready;
mod rejections;
mod retire;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use record::ShardedNumber;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::actor::{Actor, Entries, Entry, lock};
use crate::api::transit_path;
use crate::cell::Cell;
use crate::channel::Channel;
use crate::config::{Resolution, SinkConfig};
use crate::core::Core;
use crate::error::{ConfigError, SinkError};
use crate::machine::{Event, Id, Machine, Span};
use crate::names::PipePath;
use crate::notice;
use crate::poller::Poller;
use crate::progress::{Progress, State};
use crate::rejected::Examiner;
use crate::request::UploadRequest;
use crate::trip::Trips;
use bulletin::Finding;

use crate::verify::verify;
use bulletin::Message;
use place::Place;
use ready::Ready;

/// Ended uploads that are remembered.
const ENDED: usize = 2_000;
/// Longest time `write` blocks.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// Publishes FlowFiles through Snowpipe Streaming channels. Cheap to call from many threads.
#[derive(Debug)]
pub struct Sink {
    core: Arc<Core>,
    channels: Mutex<HashMap<Key, Arc<Known>>>,
    /// Tokens of channels that were let go.
    proven: Mutex<HashMap<Key, ShardedNumber>>,
    /// When idle channels were looked for, in milliseconds of the core's time.
    swept: AtomicU64,
    pollers: Mutex<HashMap<PipePath, Arc<Poller>>>,
    examiners: Mutex<HashMap<PipePath, Option<Arc<Examiner>>>>,
    uploads: Mutex<HashMap<Id, Upload>>,
    ready: Arc<Ready>,
    /// Uploads whose end was told, oldest first.
    ended: Mutex<VecDeque<Id>>,
    next: AtomicU64,
    /// Offset token of the next upload where the source has none. Held until the channel is told, which relies on hearing
    /// of them in order.
    number: Mutex<u64>,
}

/// Pipe and name of a channel.
type Key = (PipePath, String);

struct Known {
    channel: Arc<Channel>,
    machine: Arc<Mutex<Machine>>,
    entries: Entries,
    /// Ends the channel's task.
    end: CancellationToken,
    /// When an upload was begun last, in milliseconds of the core's time.
    used: AtomicU64,
    /// No upload may be begun any more.
    retired: Arc<AtomicBool>,
    trips: Trips,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("channel", &self.channel.name).finish_non_exhaustive()
    }
}

fn millis(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug, Clone)]
struct Upload {
    known: Arc<Known>,
    cell: Arc<Cell>,
}

impl Sink {
    /// Starts the sink and returns at once: login, opening and all else are states of its tasks on `runtime`.
    #[must_use]
    pub fn start(config: SinkConfig, runtime: &Handle) -> Self {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let number = u64::try_from(micros).unwrap_or(0).saturating_mul(1000) + rand::random_range(0..1000);
        Self {
            core: Arc::new(Core::new(config, runtime)),
            channels: Mutex::default(),
            proven: Mutex::default(),
            swept: AtomicU64::new(0),
            pollers: Mutex::default(),
            examiners: Mutex::default(),
            uploads: Mutex::default(),
            ready: Arc::default(),
            ended: Mutex::default(),
            next: AtomicU64::new(1),
            number: Mutex::new(number),
        }
    }

    /// Announces a FlowFile; its content is asked for when its turn has come.
    ///
    /// # Errors
    /// When the request lacks what the resolution needs, or the sink is closed.
    pub fn begin(&self, upload: UploadRequest) -> Result<u64, SinkError> {
        if self.core.stop.is_cancelled() {
            return Err(SinkError::Closed);
        }
        let mut number = lock(&self.number);
        let span = self.span(&upload, &mut number)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.sweep();
        let place = self.place(&upload, id);
        let (known, cell) = loop {
            let known = self.channel(place.clone())?;
            let uri = self.transit_uri(&known.channel);
            let cell = Arc::new(Cell::new(uri, upload.records.unwrap_or(0), (Arc::clone(&self.ready), id)));
            let (start, end) = (span.start.clone(), span.end.clone());
            let entry = Entry { cell: Arc::clone(&cell), start, end, size: span.size };
            lock(&known.entries).insert(id, entry);
            if !known.retired.load(Ordering::SeqCst) {
                break (known, cell);
            }
            lock(&known.entries).remove(&id);
            if self.core.stop.is_cancelled() {
                return Err(SinkError::Closed);
            }
        };
        known.used.store(millis(self.core.now()), Ordering::Relaxed);
        known.channel.tell(Event::Begin { upload: id, span });
        lock(&self.uploads).insert(id, Upload { known, cell });
        Ok(id)
    }

    fn span(&self, upload: &UploadRequest, next: &mut u64) -> Result<Span, SinkError> {
        let missing = |name: &str| {
            SinkError::from(ConfigError::new(
                name,
                "a value is required with this Offset Tracking Resolution",
            ))
        };
        let (start, end, previous) = match self.core.config.resolution {
            Resolution::Disabled => {
                let token: ShardedNumber =
                    next.to_string().parse().map_err(|_| ConfigError::new("Offset Token", "out of range"))?;
                *next += 1000;
                (token.clone(), token, None)
            }
            Resolution::FlowFile => {
                let end = upload.end.clone().ok_or_else(|| missing("Offset Token End"))?;
                (end.clone(), end, upload.previous.clone())
            }
            Resolution::Record => {
                let start = upload.start.clone().ok_or_else(|| missing("Offset Token Start"))?;
                let end = upload.end.clone().ok_or_else(|| missing("Offset Token End"))?;
                (start, end, upload.previous.clone())
            }
        };
        if start > end {
            return Err(
                ConfigError::new("Offset Token End", format!("{end} is before the start {start}")).into()
            );
        }
        Ok(Span { start, end, previous, size: upload.size })
    }

    fn channel(&self, place: Place) -> Result<Arc<Known>, SinkError> {
        let mut channels = lock(&self.channels);
        let key = (place.pipe.clone(), place.name.clone());
        let before = channels.get(&key).cloned();
        if let Some(known) = before.as_ref().filter(|known| !known.retired.load(Ordering::SeqCst)) {
            return Ok(Arc::clone(known));
        }
        let rules = self.rules(&place);
        if !lock(&self.pollers).contains_key(&place.pipe) {
            let destination = place.destination.clone();
            self.core.supervise("error logging".to_owned(), move |core| {
                notice::error_logging(core, destination.clone())
            });
        }
        let examiner = self.examiner(&place);
        let Place { pipe, name, elastic, .. } = place;
        let config = &self.core.config;
        let (sender, receiver) = mpsc::unbounded_channel();
        let pointer = match config.resolution {
            Resolution::Record => config.record_pointer.as_str(),
            _ => "",
        };
        let poller = self.poller(&pipe);
        let channel = Channel::new(pipe, name, elastic, sender, &self.core.compressors, pointer);
        let mut machine = Machine::new(rules, rand::random()).resume(self.proven(&key));
        if let Some(before) = before {
            before.end.cancel();
            machine = machine.inherit(&mut lock(&before.machine));
        }
        let known = Arc::new(Known {
            channel: Arc::new(channel),
            machine: Arc::new(Mutex::new(machine)),
            entries: Entries::default(),
            end: self.core.stop.child_token(),
            used: AtomicU64::new(millis(self.core.now())),
            retired: Arc::default(),
            trips: self.core.trips.clone(),
        });
        let actor = Actor {
            core: Arc::clone(&self.core),
            channel: Arc::clone(&known.channel),
            poller,
            examiner,
            machine: Arc::clone(&known.machine),
            entries: Arc::clone(&known.entries),
            retired: Arc::clone(&known.retired),
            end: known.end.clone(),
            waits: HashMap::new(),
            memory: Arc::default(),
            live_from: 0,
        };
        self.core.tasks.spawn_on(actor.run(receiver), &self.core.runtime);
        channels.insert(key, Arc::clone(&known));
        Ok(known)
    }

    fn poller(&self, pipe: &PipePath) -> Arc<Poller> {
        let mut pollers = lock(&self.pollers);
        let fresh = || {
            let poller = Arc::new(Poller::new(pipe.clone()));
            let watcher = Arc::clone(&poller);
            let name = format!("status {}", pipe.pipe);
            self.core.supervise(name, move |core| Arc::clone(&watcher).run(core));
            poller
        };
        Arc::clone(pollers.entry(pipe.clone()).or_insert_with(fresh))
    }

    fn transit_uri(&self, channel: &Channel) -> String {
        let host = self.core.api.login().map_or("snowflake", |login| login.control_host()).to_owned();
        match &channel.elastic {
            Some(path) => format!("https://{host}/v2/streaming/{path}"),
            None => format!("https://{host}{}", transit_path(&channel.pipe, &channel.name)),
        }
    }

    /// State of an upload; waits up to `wait` while it is `Waiting` or `InFlight`. A final state may be asked for again
    /// for a while, until some thousand others have ended.
    ///
    /// # Errors
    /// When the upload is not known.
    pub async fn advance(&self, upload: u64, wait: Duration) -> Result<Progress, SinkError> {
        let known = self.upload(upload)?;
        let progress = known.cell.advance(wait).await;
        if progress.state.is_final() {
            self.remember_end(upload);
        }
        Ok(progress)
    }

    fn remember_end(&self, upload: Id) {
        let mut ended = lock(&self.ended);
        if ended.iter().rev().any(|known| *known == upload) {
            return;
        }
        ended.push_back(upload);
        if ended.len() > ENDED
            && let Some(oldest) = ended.pop_front()
        {
            lock(&self.uploads).remove(&oldest);
        }
    }

    /// Takes a piece of the FlowFile's content, cut anywhere. Runs on the caller's thread; blocks while the channel
    /// holds as much as it may, so it must not be called from a task of the runtime.
    ///
    /// # Errors
    /// When the upload is not in state `WantData`, or the service takes nothing for a long time.
    pub fn write(&self, upload: u64, bytes: &[u8]) -> Result<(), SinkError> {
        let known = self.writing(upload)?;
        if known.cell.scan(bytes) {
            return Ok(());
        }
        known.known.channel.write(upload, bytes, WRITE_PATIENCE)
    }

    /// Ends the content of an upload; also called for an upload of zero bytes.
    ///
    /// # Errors
    /// When the upload is not in state `WantData`.
    pub fn finish_data(&self, upload: u64) -> Result<(), SinkError> {
        let known = self.writing(upload)?;
        if !known.cell.scanned() {
            known.known.channel.finish(upload, &known.cell);
        }
        Ok(())
    }

    /// Forgets an upload: its FlowFile goes back to the queue.
    pub fn abandon(&self, upload: u64) {
        if let Some(known) = lock(&self.uploads).remove(&upload) {
            lock(&known.known.entries).remove(&upload);
            known.known.channel.tell(Event::Abandon { upload });
        }
    }

    fn upload(&self, upload: u64) -> Result<Upload, SinkError> {
        lock(&self.uploads).get(&upload).cloned().ok_or(SinkError::UnknownUpload(upload))
    }

    /// An upload that was granted; one that ended meanwhile takes its data to nowhere.
    fn writing(&self, upload: u64) -> Result<Upload, SinkError> {
        let known = self.upload(upload)?;
        match known.cell.state() {
            State::Waiting | State::InFlight => Err(SinkError::NotWriting(upload)),
            _ => Ok(known),
        }
    }

    /// Bulletins since the last call.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.core.messages.drain()
    }

    /// Counts since the last call, by the names of the counters that Snowflake's processor has.
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.core.stats.news()
    }

    /// Channels, uploads, budget and counts as JSON.
    #[must_use]
    pub fn status(&self) -> serde_json::Value {
        let channels: Vec<serde_json::Value> = lock(&self.channels)
            .values()
            .map(|known| {
                let machine = lock(&known.machine);
                let (uploads, bodies) = machine.load();
                json!({
                    "channel": known.channel.name,
                    "pipe": known.channel.pipe.pipe,
                    "link": machine.link_name(),
                    "committedOffsetToken": machine.committed().map(ToString::to_string),
                    "uploads": uploads,
                    "bodies": bodies,
                    "bytes": known.channel.bytes(),
                })
            })
            .collect();
        let stats = &self.core.stats;
        json!({
            "channels": channels,
            "memoryFree": self.core.budget.free(),
            "memoryTotal": self.core.budget.total(),
            "appends": stats.appends.load(Ordering::Relaxed),
            "bytesSent": stats.raw.load(Ordering::Relaxed),
            "compressedBytesSent": stats.compressed.load(Ordering::Relaxed),
            "statusCalls": stats.polls.load(Ordering::Relaxed),
        })
    }

    /// Checks account, login and destination without writing or creating anything.
    pub async fn verify(config: &SinkConfig) -> Vec<Finding> {
        verify(config).await
    }

    /// Ends all tasks; uploads that are not committed stay so. Takes at most `grace`.
    pub async fn close(&self, grace: Duration) {
        self.core.stop.cancel();
        self.core.tasks.close();
        let _ = tokio::time::timeout(grace, self.core.tasks.wait()).await;
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.core.stop.cancel();
    }
}
