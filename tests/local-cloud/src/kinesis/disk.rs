//! Streams on disk.
//!
//! What a stream is stands in one file, which is replaced whenever that changes. The records of each shard stand in a file
//! of their own, which grows: a record is written before it becomes visible, so it outlives the process. Creation times are
//! unique and give the files their names. Registered consumers and passing states are not kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::log::{Closed, Entry, Log};
use super::number::Number;
use super::shard::Shard;
use super::stream::{Creations, State, Status, Stream};
use crate::sync::lock;

const STREAM: &str = "json";
const RECORDS: &str = "records";
/// Bytes in front of key and payload: arrival, length of the key, length of the payload.
const HEAD: usize = 16;

/// The folder. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    folder: Arc<Path>,
}

#[derive(Serialize, Deserialize)]
struct SavedStream {
    name: String,
    arn: String,
    account: String,
    created_ms: i64,
    on_demand: bool,
    retention_hours: u32,
    max_record_kib: usize,
    next_index: u32,
    shards: Vec<SavedShard>,
}

#[derive(Serialize, Deserialize)]
struct SavedShard {
    index: u32,
    start_hash: String,
    end_hash: String,
    parent: Option<u32>,
    adjacent_parent: Option<u32>,
    created_ms: i64,
    closed: Option<SavedClosed>,
}

#[derive(Serialize, Deserialize)]
struct SavedClosed {
    ending: String,
    at_ms: i64,
    children: Vec<u32>,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} of a stream cannot be read"))
}

impl Disk {
    /// Uses the folder, and makes it when it is not there.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.into() })
    }

    fn path(&self, created_ms: i64, kind: &str) -> PathBuf {
        self.folder.join(format!("{created_ms}.{kind}"))
    }

    /// Writes what the stream is now.
    pub(crate) fn save(&self, stream: &Stream, state: &State) -> io::Result<()> {
        let saved = SavedStream {
            name: stream.name.clone(),
            arn: stream.arn.clone(),
            account: stream.account.clone(),
            created_ms: stream.created_ms,
            on_demand: stream.on_demand,
            retention_hours: state.retention_hours,
            max_record_kib: state.max_record_kib,
            next_index: state.next_index,
            shards: state.shards.values().map(|shard| saved_shard(shard)).collect(),
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec_pretty(&saved)?)?;
        file.persist(self.path(stream.created_ms, STREAM)).map(drop).map_err(|error| error.error)
    }

    /// Removes the stream's files.
    pub(crate) fn forget(&self, stream: &Stream, state: &State) {
        let shards = state.shards.values().map(|shard| self.path(shard.created_ms, RECORDS));
        for path in [self.path(stream.created_ms, STREAM)].into_iter().chain(shards) {
            let _ = fs::remove_file(path);
        }
    }

    /// Where the records of a shard go.
    pub(crate) fn records(&self, created_ms: i64) -> Records {
        Records { path: self.path(created_ms, RECORDS), file: None, lost: false }
    }

    /// All streams, ACTIVE, without the records that left their retention time before `now_ms`.
    pub(crate) fn load(&self, created: &Creations, now_ms: i64, max_bytes: u64) -> io::Result<Vec<Stream>> {
        let mut streams = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|kind| kind != STREAM) {
                continue;
            }
            let saved = serde_json::from_slice(&fs::read(path)?)?;
            streams.push(self.restore(saved, created, now_ms, max_bytes)?);
        }
        Ok(streams)
    }

    fn restore(
        &self,
        saved: SavedStream,
        created: &Creations,
        now_ms: i64,
        max_bytes: u64,
    ) -> io::Result<Stream> {
        let mut state = State::new(Status::Active, now_ms, created.clone(), Some(self.clone()));
        state.retention_hours = saved.retention_hours;
        state.max_record_kib = saved.max_record_kib;
        state.next_index = saved.next_index;
        let horizon = state.horizon_ms(now_ms);
        for saved in saved.shards {
            let hash = |text: &str| text.parse().map_err(|_| damaged("a hash key"));
            let (start, end) = (hash(&saved.start_hash)?, hash(&saved.end_hash)?);
            let mut shard = Shard::new(saved.index, start, end, saved.created_ms);
            shard.parent = saved.parent;
            shard.adjacent_parent = saved.adjacent_parent;
            created.next(saved.created_ms);
            let mut log = self.records(saved.created_ms).load(saved.index, saved.created_ms)?;
            log.trim(horizon, max_bytes);
            log.closed = saved.closed.map(closed).transpose()?;
            *lock(&shard.log) = log;
            state.shards.insert(saved.index, Arc::new(shard));
        }
        state.route();
        Ok(Stream {
            name: saved.name,
            arn: saved.arn,
            account: saved.account,
            created_ms: saved.created_ms,
            on_demand: saved.on_demand,
            state: RwLock::new(state),
        })
    }
}

fn saved_shard(shard: &Shard) -> SavedShard {
    let closed = shard.closed().map(|closed| SavedClosed {
        ending: closed.ending.to_string(),
        at_ms: closed.at_ms,
        children: closed.children,
    });
    SavedShard {
        index: shard.index,
        start_hash: shard.start_hash.to_string(),
        end_hash: shard.end_hash.to_string(),
        parent: shard.parent,
        adjacent_parent: shard.adjacent_parent,
        created_ms: shard.created_ms,
        closed,
    }
}

fn closed(saved: SavedClosed) -> io::Result<Closed> {
    let ending = Number::parse(&saved.ending).ok_or_else(|| damaged("the last number"))?;
    Ok(Closed { ending, at_ms: saved.at_ms, children: saved.children })
}

/// The file of a shard's records, made with the first one.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    file: Option<File>,
    /// Writing failed: what follows is in memory alone.
    lost: bool,
}

impl Records {
    /// Writes a record. When that fails, it is said once.
    pub(crate) fn write(&mut self, entry: &Entry) {
        if self.lost {
            return;
        }
        if let Err(error) = self.try_write(entry) {
            tracing::error!("records are no longer kept over a restart: {}: {error}", self.path.display());
            self.lost = true;
        }
    }

    fn try_write(&mut self, entry: &Entry) -> io::Result<()> {
        let length = |bytes: usize| u32::try_from(bytes).map_err(io::Error::other);
        let mut frame = Vec::with_capacity(HEAD + entry.size());
        frame.extend_from_slice(&entry.arrival_ms.to_le_bytes());
        frame.extend_from_slice(&length(entry.key.len())?.to_le_bytes());
        frame.extend_from_slice(&length(entry.data.len())?.to_le_bytes());
        frame.extend_from_slice(entry.key.as_bytes());
        frame.extend_from_slice(&entry.data);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().create(true).append(true).open(&self.path)?),
        };
        file.write_all(&frame)
    }

    /// The log of all records. What a crash left of an unfinished one is cut off: nobody was told that it was stored.
    fn load(self, index: u32, created_ms: i64) -> io::Result<Log> {
        let mut log = Log::default();
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(error),
        };
        let mut at = 0;
        while let Some((arrival_ms, key, data, end)) = frame(&bytes, at) {
            let key = std::str::from_utf8(&key).map_err(|_| damaged("a partition key"))?;
            let number = Number::new(created_ms, log.end() + 1, arrival_ms, index);
            log.push(Arc::new(Entry::new(number, arrival_ms, key.into(), data)));
            at = end;
        }
        if at < bytes.len() {
            OpenOptions::new().write(true).open(&self.path)?.set_len(at as u64)?;
        }
        log.records = Some(self);
        Ok(log)
    }
}

/// The record at `at`: arrival, key, payload and where the next one begins.
fn frame(bytes: &Bytes, at: usize) -> Option<(i64, Bytes, Bytes, usize)> {
    let head = bytes.get(at..at + HEAD)?;
    let (arrival, lengths) = head.split_at(8);
    let (key, data) = lengths.split_at(4);
    let length = |part: &[u8]| Some(u32::from_le_bytes(part.try_into().ok()?) as usize);
    let key_end = at + HEAD + length(key)?;
    let end = key_end + length(data)?;
    (end <= bytes.len()).then(|| {
        let arrival = i64::from_le_bytes(arrival.try_into().unwrap_or_default());
        (arrival, bytes.slice(at + HEAD..key_end), bytes.slice(key_end..end), end)
    })
}
