//! A channel: the writer's side (rows into bodies, on the caller's thread) and the handle to its task.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::actor::lock;
use crate::api::Append;
use crate::body::{Assembler, Compressors, Finished, Job, Sealed, Size};
use crate::budget::Held;
use crate::cell::Cell;
use crate::error::SinkError;
use crate::inflate::Inflate;
use crate::machine::{Body, BodyId, Event, Id};
use crate::names::PipePath;

/// Compressed bytes of closed bodies a channel may hold before its writer has to wait.
pub(crate) const ROOM: usize = 12 << 20;

/// Handle to a channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) pipe: PipePath,
    pub(crate) name: String,
    /// Path of the elastic channel that rows go to; `None` for a named channel.
    pub(crate) elastic: Option<String>,
    pub(crate) events: UnboundedSender<Event>,
    writer: Mutex<Writer>,
    room: Condvar,
}

struct Writer {
    assembler: Assembler,
    inflate: Inflate,
    bodies: HashMap<BodyId, Stored>,
    /// Memory of a compressor, in bytes.
    compressor: usize,
    /// Memory of the upload being written.
    held: Option<Held>,
    /// Memory of finished uploads in the open body.
    open: Option<Held>,
    size: Size,
    /// What the last answer asked to be sent along with the next append.
    sticky: Option<String>,
    /// No writer waits any more.
    hurried: bool,
    closed: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("assembler", &self.assembler).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Stored {
    body: Body,
    bytes: Bytes,
    request_id: Uuid,
    held: Option<Held>,
}

impl Channel {
    pub(crate) fn new(
        pipe: PipePath,
        name: String,
        elastic: Option<String>,
        events: UnboundedSender<Event>,
        compressors: &Arc<Compressors>,
        pointer: &str,
    ) -> Self {
        let writer = Writer {
            assembler: Assembler::new(Arc::clone(compressors), pointer),
            inflate: Inflate::default(),
            bodies: HashMap::new(),
            compressor: compressors.size(),
            held: None,
            open: None,
            size: Size::default(),
            sticky: None,
            hurried: false,
            closed: false,
        };
        Self { pipe, name, elastic, events, writer: Mutex::new(writer), room: Condvar::new() }
    }

    /// Tells the channel's task; nobody listens after the sink was closed.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// The next rows are those of `job`.
    pub(crate) fn start(&self, job: Job, held: Option<Held>) {
        let mut writer = self.lock();
        writer.assembler.start(job);
        writer.inflate = Inflate::default();
        writer.held = held;
    }

    /// Takes content of `upload`. What comes after the channel was discarded is thrown away: the upload's outcome is
    /// decided elsewhere.
    pub(crate) fn write(&self, upload: Id, bytes: &[u8], patience: Duration) -> Result<(), SinkError> {
        let mut writer = self.wait_for_room(upload, patience)?;
        if writer.assembler.upload() != Some(upload) {
            return Ok(());
        }
        match writer.take(bytes) {
            Ok(sealed) => self.store(&mut writer, sealed),
            Err(reason) => self.spoil(&mut writer, upload, reason),
        }
        Ok(())
    }

    fn wait_for_room(&self, upload: Id, patience: Duration) -> Result<MutexGuard<'_, Writer>, SinkError> {
        let begun = Instant::now();
        let mut writer = self.lock();
        loop {
            if writer.closed {
                return Err(SinkError::Closed);
            }
            let full = writer.bodies.values().map(|stored| stored.bytes.len()).sum::<usize>() > ROOM;
            if !full || writer.assembler.upload() != Some(upload) {
                return Ok(writer);
            }
            let waited = begun.elapsed();
            let left = patience.saturating_sub(waited);
            if left.is_zero() || writer.hurried {
                return Err(SinkError::Congested(upload, waited.as_millis()));
            }
            writer = self.room.wait_timeout(writer, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the content of `upload`.
    pub(crate) fn finish(&self, upload: Id, cell: &Cell) {
        let mut writer = self.lock();
        if writer.assembler.upload() != Some(upload) {
            cell.handed_over();
            return;
        }
        let plain = writer.inflate.is_plain();
        match writer.end() {
            Ok(Finished { counts, open, sealed, layout }) => {
                self.store(&mut writer, sealed);
                writer.keep_open(open);
                cell.count(counts);
                // Bytes of compressed content cannot be told apart: then all of it takes the way of its worst row.
                let rows = counts.sent + counts.skipped;
                let apart = plain && rows > 0;
                if apart {
                    cell.lay_out(layout);
                }
                cell.handed_over();
                let refused_rows = if apart { 0 } else { counts.refused };
                self.tell(Event::Finished { upload, rows, open, refused_rows });
            }
            Err(reason) => self.spoil(&mut writer, upload, reason),
        }
    }

    fn spoil(&self, writer: &mut Writer, upload: Id, reason: String) {
        writer.assembler.discard();
        writer.held = None;
        self.tell(Event::Spoiled { upload, reason });
    }

    fn store(&self, writer: &mut Writer, sealed: Vec<Sealed>) {
        for sealed in sealed {
            let body = writer.close(sealed);
            self.tell(Event::Cut { body });
        }
    }

    /// Closes the open body when no upload is in the middle of it. It is told like one that became full, after all that
    /// the writer told before: bodies leave in the order in which they are told.
    pub(crate) fn seal(&self) {
        let mut writer = self.lock();
        if let Ok(sealed) = writer.assembler.seal() {
            self.store(&mut writer, sealed.into_iter().collect());
        }
    }

    /// A body as it goes out.
    pub(crate) fn request(&self, body: BodyId, attempt: u32, continuation: String) -> Option<Append> {
        let writer = self.lock();
        let stored = writer.bodies.get(&body)?;
        Some(Append {
            sticky: writer.sticky.clone(),
            continuation,
            first: stored.body.first.to_string(),
            last: stored.body.last.to_string(),
            raw: stored.body.raw,
            bytes: stored.bytes.clone(),
            request_id: stored.request_id,
            attempt,
        })
    }

    /// An append was answered after `took`; the channel may take `rate` bytes a second.
    pub(crate) fn answered(&self, took: Duration, rate: u64) {
        let mut writer = self.lock();
        writer.size.answered(took);
        writer.resize(rate);
    }

    /// An append of this many bytes was not through in its time: on a way that slow only smaller ones get through.
    pub(crate) fn too_slow(&self, bytes: usize, rate: u64) {
        let mut writer = self.lock();
        writer.size.refused(bytes);
        writer.resize(rate);
    }

    /// What to send along with the next append.
    pub(crate) fn stick(&self, sticky: Option<String>) {
        self.lock().sticky = sticky;
    }

    pub(crate) fn drop_body(&self, body: BodyId) {
        self.lock().bodies.remove(&body);
        self.room.notify_all();
    }

    /// Replaces a body that was refused as too large by two; later ones are made smaller.
    pub(crate) fn split(&self, body: BodyId, rate: u64) -> Event {
        let mut writer = self.lock();
        let Some(Stored { body: whole, bytes, mut held, .. }) = writer.bodies.remove(&body) else {
            return Event::Split { body, parts: Vec::new() };
        };
        writer.size.refused(bytes.len());
        writer.resize(rate);
        let parts = writer.assembler.split(&whole, &bytes).unwrap_or_default();
        let mut keep = |part: Sealed| {
            let share = held.as_mut().and_then(|held| held.split(part.bytes.len() as u64));
            writer.keep(part, share)
        };
        Event::Split { body, parts: parts.into_iter().map(&mut keep).collect() }
    }

    /// Forgets all rows. Bodies numbered below the answer are gone.
    pub(crate) fn discard(&self) -> BodyId {
        let mut writer = self.lock();
        writer.assembler.discard();
        writer.bodies.clear();
        writer.inflate = Inflate::default();
        writer.open = None;
        writer.held = None;
        self.room.notify_all();
        writer.assembler.next_body()
    }

    /// Who waits for room is sent back, now and from now on.
    pub(crate) fn hurry(&self) {
        self.lock().hurried = true;
        self.room.notify_all();
    }

    /// Nobody waits here any more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.discard();
    }

    /// Compressed bytes held, for the status report.
    pub(crate) fn bytes(&self) -> usize {
        let writer = self.lock();
        writer.bodies.values().map(|stored| stored.bytes.len()).sum::<usize>() + writer.assembler.open_bytes()
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }
}

impl Writer {
    /// Bodies are as large as was learnt for a channel that may take `rate` bytes a second.
    fn resize(&mut self, rate: u64) {
        self.assembler.limit(self.size.limit(rate), self.size.compressed());
    }

    /// Decodes content and takes its rows; returns bodies that became full.
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<Sealed>, String> {
        let Writer { assembler, inflate, .. } = self;
        if inflate.unpacks(bytes) {
            assembler.inflated();
        }
        let mut sealed = Vec::new();
        inflate.write(bytes, &mut |rows| {
            sealed.extend(assembler.write(rows)?);
            Ok(())
        })?;
        Ok(sealed)
    }

    /// Ends the content of the current upload.
    fn end(&mut self) -> Result<Finished, String> {
        let Writer { assembler, inflate, .. } = self;
        let mut sealed = Vec::new();
        inflate.finish(&mut |rows| {
            sealed.extend(assembler.write(rows)?);
            Ok(())
        })?;
        let mut finished = assembler.finish()?;
        sealed.append(&mut finished.sealed);
        Ok(Finished { sealed, ..finished })
    }

    /// The current upload has ended: of its memory stays what its rows take in the open body, if they are there.
    fn keep_open(&mut self, open: bool) {
        self.inflate = Inflate::default();
        let held = self.held.take().filter(|_| open);
        let had = self.open.as_ref().map_or(0, Held::bytes);
        let grown = ((self.assembler.open_bytes() + self.compressor) as u64).saturating_sub(had);
        self.open = Held::joined(self.open.take(), held.and_then(|mut held| held.split(grown)));
    }

    /// Stores what was the open body; of its memory stays what its bytes take.
    fn close(&mut self, sealed: Sealed) -> Body {
        let size = sealed.bytes.len() as u64;
        let part = self.open.take().and_then(|mut open| open.split(size));
        let missing = size.saturating_sub(part.as_ref().map_or(0, Held::bytes));
        let rest = self.held.as_mut().and_then(|held| held.split(missing));
        self.keep(sealed, Held::joined(part, rest))
    }

    fn keep(&mut self, Sealed { body, bytes }: Sealed, held: Option<Held>) -> Body {
        let stored = Stored { body: body.clone(), bytes, request_id: Uuid::new_v4(), held };
        self.bodies.insert(body.id, stored);
        body
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
