//! Cuts rows into zstd-compressed request bodies, streaming, on the caller's thread.

use bytes::Bytes;
use record::row_token;
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

use crate::machine::{Body, BodyId, Id, Token};

/// Compressed bytes of a body; Snowflake's limit is 4 MB.
const COMPRESSED_LIMIT: usize = 3_800_000;
/// Uncompressed bytes of a body: three of them a second are what a channel may take (20 MB/s).
const RAW_LIMIT: u64 = 6 << 20;
/// Largest row looked at; also bounds the memory for a row that comes in pieces.
const ROW_LIMIT: usize = 16 << 20;
/// Rows go to the compressor in pieces of about this size.
const PIECE: usize = 64 << 10;
/// What the compressor may hold back: one block of zstd, were it incompressible.
const HELD_BACK: usize = (128 << 10) + 1024;

/// A closed body with its bytes.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) body: Body,
    pub(crate) bytes: Bytes,
}

/// What the assembler has to know of the upload it takes rows of.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) upload: Id,
    pub(crate) start: Token,
    pub(crate) end: Token,
    /// Rows up to here are left out.
    pub(crate) floor: Option<Token>,
    /// Stands for everything before the upload, where rows have no tokens.
    pub(crate) before: Token,
}

/// Counts of an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) skipped: u64,
    /// Rows that fit into no body.
    pub(crate) refused: u64,
}

#[derive(Debug)]
struct Current {
    job: Job,
    counts: Counts,
    /// Start of a row whose end has not come yet.
    carry: Vec<u8>,
    /// The rest of a row that is too long is thrown away.
    overlong: bool,
    trimming: bool,
}

/// One open body, and the upload whose rows go into it.
pub(crate) struct Assembler {
    encoder: Encoder<'static>,
    out: Vec<u8>,
    raw: u64,
    first: Option<Token>,
    before: Token,
    /// Token that the body ends with when it is closed now.
    last: Option<Token>,
    last_row: Vec<u8>,
    /// Rows of the current upload are in the open body.
    partial: bool,
    current: Option<Current>,
    next_body: BodyId,
    /// JSON Pointer to a row's token; empty when rows have none.
    pointer: String,
}

impl std::fmt::Debug for Assembler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembler").field("raw", &self.raw).field("compressed", &self.out.len()).finish()
    }
}

impl Assembler {
    /// `pointer` is empty when rows have no tokens.
    pub(crate) fn new(level: i32, pointer: &str) -> Result<Self, String> {
        Ok(Self {
            encoder: Encoder::new(level).map_err(|error| format!("compression: {error}"))?,
            out: Vec::new(),
            raw: 0,
            first: None,
            before: Token::zero(),
            last: None,
            last_row: Vec::new(),
            partial: false,
            current: None,
            next_body: 1,
            pointer: pointer.to_owned(),
        })
    }

    /// The upload that rows are expected of.
    pub(crate) fn upload(&self) -> Option<Id> {
        self.current.as_ref().map(|current| current.job.upload)
    }

    /// Number of the next body.
    pub(crate) fn next_body(&self) -> BodyId {
        self.next_body
    }

    /// Compressed bytes of the open body.
    pub(crate) fn open_bytes(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn start(&mut self, job: Job) {
        let trimming = job.floor.is_some();
        let counts = Counts::default();
        self.current = Some(Current { job, counts, carry: Vec::new(), overlong: false, trimming });
        self.partial = false;
    }

    /// Forgets the open body and the current upload.
    pub(crate) fn discard(&mut self) {
        self.current = None;
        self.clear();
    }

    fn clear(&mut self) {
        self.out = Vec::new();
        self.raw = 0;
        self.first = None;
        self.last = None;
        self.partial = false;
        // A fresh frame; the context keeps its parameters.
        let _ = self.encoder.reinit();
    }

    /// Takes a piece of content; returns bodies that became full.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<Vec<Sealed>, String> {
        let mut sealed = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(current) = &mut self.current else { return Ok(sealed) };
            if !current.carry.is_empty() || current.overlong {
                rest = self.complete_row(rest, &mut sealed)?;
                continue;
            }
            let window = rest.get(..PIECE).unwrap_or(rest);
            let end = match memchr::memrchr(b'\n', window) {
                Some(at) => at + 1,
                None => match memchr::memchr(b'\n', rest) {
                    Some(at) => at + 1,
                    None => {
                        current.carry.extend_from_slice(rest);
                        self.check_carry();
                        break;
                    }
                },
            };
            let (piece, tail) = rest.split_at(end);
            rest = tail;
            self.piece(piece, &mut sealed)?;
        }
        Ok(sealed)
    }

    /// Joins the begun row with its end.
    fn complete_row<'a>(&mut self, rest: &'a [u8], sealed: &mut Vec<Sealed>) -> Result<&'a [u8], String> {
        let Some(current) = &mut self.current else { return Ok(&[]) };
        let Some(at) = memchr::memchr(b'\n', rest) else {
            if !current.overlong {
                current.carry.extend_from_slice(rest);
                self.check_carry();
            }
            return Ok(&[]);
        };
        let (end, tail) = rest.split_at(at + 1);
        if std::mem::take(&mut current.overlong) {
            return Ok(tail);
        }
        let mut row = std::mem::take(&mut current.carry);
        row.extend_from_slice(end);
        self.piece(&row, sealed)?;
        if let Some(current) = &mut self.current {
            row.clear();
            current.carry = row;
        }
        Ok(tail)
    }

    fn check_carry(&mut self) {
        if let Some(current) = self.current.as_mut().filter(|c| c.carry.len() > ROW_LIMIT) {
            current.carry = Vec::new();
            current.overlong = true;
            current.counts.refused += 1;
        }
    }

    /// Takes whole rows.
    fn piece(&mut self, piece: &[u8], sealed: &mut Vec<Sealed>) -> Result<(), String> {
        let piece = self.trim(piece)?;
        let rows = record::lines(piece).count() as u64;
        if rows == 0 {
            return Ok(());
        }
        let full = self.raw > 0
            && (self.out.len() + HELD_BACK + bound(piece.len()) > COMPRESSED_LIMIT
                || self.raw + piece.len() as u64 > RAW_LIMIT);
        if full {
            sealed.extend(self.cut()?);
        }
        if self.raw == 0 {
            self.first = Some(self.first_token(piece)?);
            self.before =
                self.current.as_ref().map_or_else(Token::zero, |current| current.job.before.clone());
        }
        self.compress(piece)?;
        self.raw += piece.len() as u64;
        if rows == 1 && bound(piece.len()) > COMPRESSED_LIMIT && self.flushed()? > COMPRESSED_LIMIT {
            self.clear();
            if let Some(current) = &mut self.current {
                current.counts.refused += 1;
            }
            return Ok(());
        }
        self.partial = true;
        if let Some(current) = &mut self.current {
            current.counts.sent += rows;
        }
        if !self.pointer.is_empty()
            && let Some(row) = record::lines(piece).last()
        {
            self.last_row.clear();
            self.last_row.extend_from_slice(row);
        }
        Ok(())
    }

    /// Leaves out rows at or below the floor; they are at the front, rows are in order.
    fn trim<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], String> {
        let Some(current) = self.current.as_mut().filter(|current| current.trimming) else {
            return Ok(piece);
        };
        let Some(floor) = &current.job.floor else { return Ok(piece) };
        for row in record::lines(piece) {
            let token = row_token(row, &self.pointer).map_err(|error| {
                format!("row {}: {error}", current.counts.skipped + current.counts.sent + 1)
            })?;
            if token > *floor {
                current.trimming = false;
                let at = row.as_ptr() as usize - piece.as_ptr() as usize;
                return Ok(piece.get(at..).unwrap_or_default());
            }
            current.counts.skipped += 1;
        }
        Ok(&[])
    }

    fn first_token(&self, piece: &[u8]) -> Result<Token, String> {
        let Some(current) = &self.current else { return Ok(Token::zero()) };
        let untouched =
            current.counts.sent == 0 && current.counts.skipped == 0 && current.counts.refused == 0;
        if untouched || self.pointer.is_empty() {
            return Ok(current.job.start.clone());
        }
        self.token_of(record::lines(piece).next().unwrap_or_default())
    }

    fn token_of(&self, row: &[u8]) -> Result<Token, String> {
        let number = self.current.as_ref().map_or(0, |c| c.counts.sent + c.counts.skipped);
        row_token(row, &self.pointer).map_err(|error| format!("a row near row {number}: {error}"))
    }

    /// Closes the open body in the middle of an upload or after one.
    fn cut(&mut self) -> Result<Option<Sealed>, String> {
        if self.raw == 0 {
            return Ok(None);
        }
        let last = match &self.current {
            Some(_) if self.partial && !self.pointer.is_empty() => self.token_of(&self.last_row)?,
            Some(current) if self.partial => current.job.before.clone(),
            _ => self.last.clone().unwrap_or_else(Token::zero),
        };
        self.close(last).map(Some)
    }

    fn close(&mut self, last: Token) -> Result<Sealed, String> {
        self.finish_frame()?;
        let first = self.first.take().unwrap_or_else(|| last.clone()).min(last.clone());
        let body = Body { id: self.next_body, first, last, before: self.before.clone(), raw: self.raw };
        self.next_body += 1;
        let bytes = Bytes::from(std::mem::take(&mut self.out));
        self.clear();
        Ok(Sealed { body, bytes })
    }

    /// Closes the open body when it holds whole uploads only.
    pub(crate) fn seal(&mut self) -> Result<Option<Sealed>, String> {
        if self.partial || self.raw == 0 {
            return Ok(None);
        }
        self.cut()
    }

    /// Ends the current upload; says whether its last rows are in the open body.
    pub(crate) fn finish(&mut self) -> Result<(Counts, bool, Vec<Sealed>), String> {
        let mut sealed = Vec::new();
        let begun = self.current.as_mut().map(|current| std::mem::take(&mut current.carry));
        if let Some(mut row) = begun.filter(|row| !row.is_empty()) {
            row.push(b'\n');
            self.piece(&row, &mut sealed)?;
        }
        let Some(current) = self.current.take() else { return Ok((Counts::default(), false, sealed)) };
        if self.partial {
            self.last = Some(current.job.end);
        } else if current.counts.sent > 0 && self.pointer.is_empty() {
            return Err("its last row is larger than a request to Snowflake may be".to_owned());
        }
        let open = std::mem::take(&mut self.partial);
        Ok((current.counts, open, sealed))
    }

    fn compress(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            self.out.reserve(PIECE);
            let pos = self.out.len();
            let mut output = OutBuffer::around_pos(&mut self.out, pos);
            self.encoder.run(&mut input, &mut output).map_err(|error| format!("compression: {error}"))?;
        }
        Ok(())
    }

    /// Pushes out what the compressor holds back; returns the size of the body so far.
    fn flushed(&mut self) -> Result<usize, String> {
        loop {
            self.out.reserve(PIECE);
            let pos = self.out.len();
            let mut output = OutBuffer::around_pos(&mut self.out, pos);
            if self.encoder.flush(&mut output).map_err(|error| format!("compression: {error}"))? == 0 {
                return Ok(self.out.len() + 16);
            }
        }
    }

    fn finish_frame(&mut self) -> Result<(), String> {
        loop {
            self.out.reserve(PIECE);
            let pos = self.out.len();
            let mut output = OutBuffer::around_pos(&mut self.out, pos);
            if self.encoder.finish(&mut output, true).map_err(|error| format!("compression: {error}"))? == 0 {
                return Ok(());
            }
        }
    }

    /// Two bodies in place of one that the service found too large; none when it holds one row.
    pub(crate) fn split(&mut self, body: &Body, bytes: &[u8], level: i32) -> Result<Vec<Sealed>, String> {
        let content = zstd::decode_all(bytes).map_err(|error| format!("compression: {error}"))?;
        let middle = content.len() / 2;
        let cut = memchr::memrchr(b'\n', content.get(..middle).unwrap_or_default()).or_else(|| {
            memchr::memchr(b'\n', content.get(middle..).unwrap_or_default()).map(|at| middle + at)
        });
        let Some(cut) = cut.map(|at| at + 1).filter(|at| *at < content.len()) else { return Ok(Vec::new()) };
        let (head, tail) = content.split_at(cut);
        let (last, first) = match self.pointer.is_empty() {
            true => (body.before.clone(), body.first.clone()),
            false => {
                let row = record::lines(head).last().unwrap_or_default();
                let next = record::lines(tail).next().unwrap_or_default();
                let token = |row| row_token(row, &self.pointer).map_err(|error| error.to_string());
                (token(row)?, token(next)?)
            }
        };
        let mut parts = Vec::new();
        let start = body.first.clone().min(last.clone());
        for (content, first, last) in [(head, start, last), (tail, first, body.last.clone())] {
            let bytes = zstd::encode_all(content, level).map_err(|error| format!("compression: {error}"))?;
            let id = self.next_body;
            self.next_body += 1;
            let body = Body { id, first, last, before: body.before.clone(), raw: content.len() as u64 };
            parts.push(Sealed { body, bytes: Bytes::from(bytes) });
        }
        Ok(parts)
    }
}

/// Size of incompressible input after compression.
fn bound(len: usize) -> usize {
    len + (len >> 8) + 512
}

#[cfg(test)]
mod tests;
