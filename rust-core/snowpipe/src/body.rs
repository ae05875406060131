//! Cuts rows into zstd-compressed request bodies, streaming, on the caller's thread.

mod compressors;
mod frame;
mod layout;
mod room;
mod size;
mod split;
mod types;

use std::sync::Arc;

use bytes::Bytes;
use record::row_token;

use crate::machine::{Body, BodyId, Id, Token};
use compressors::Compressor;
pub(crate) use compressors::Compressors;
pub(crate) use layout::{Layout, Refused, Run};
pub(crate) use size::Size;
use types::Current;
pub(crate) use types::{Counts, Finished, Job, Sealed};

/// Compressed bytes of a body; Snowflake's limit is 4 MB.
const COMPRESSED_LIMIT: usize = 3_800_000;
/// Largest row looked at; also bounds the memory for a row that comes in pieces.
const ROW_LIMIT: usize = 16 << 20;
/// Rows go to the compressor in pieces of about this size.
const PIECE: usize = 64 << 10;
/// A row alone may come this close to the limit: in a stream it is a little larger.
const NEAR: usize = 4 << 10;
/// The level that makes the largest bodies: a row may come again when another one is set than the one it was refused with.
const FASTEST: i32 = 1;
/// What the compressor may hold back: one block of zstd, were it incompressible.
const HELD_BACK: usize = (128 << 10) + 1024;

/// One open body, and the upload whose rows go into it.
pub(crate) struct Assembler {
    compressors: Arc<Compressors>,
    /// That of the open body.
    compressor: Option<Compressor>,
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
    raw_limit: u64,
    /// Compressed bytes of a body that the service takes, at most [`COMPRESSED_LIMIT`].
    limit: usize,
}

impl std::fmt::Debug for Assembler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembler").field("raw", &self.raw).field("compressed", &self.out.len()).finish()
    }
}

impl Assembler {
    /// `pointer` is empty when rows have no tokens.
    pub(crate) fn new(compressors: Arc<Compressors>, pointer: &str) -> Self {
        Self {
            compressors,
            compressor: None,
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
            raw_limit: Size::default().limit(0),
            limit: COMPRESSED_LIMIT,
        }
    }

    /// Bodies are closed at this many uncompressed or compressed bytes, the open one included.
    pub(crate) fn limit(&mut self, raw: u64, compressed: usize) {
        self.raw_limit = raw;
        self.limit = compressed;
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
        let layout = Layout::default();
        self.current = Some(Current { job, counts, layout, carry: Vec::new(), overlong: None, trimming });
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
        self.last_row = Vec::new();
        if let Some(compressor) = self.compressor.take() {
            self.compressors.give(compressor);
        }
    }

    /// Takes a piece of content; returns bodies that became full.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<Vec<Sealed>, String> {
        let mut sealed = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(current) = &mut self.current else { return Ok(sealed) };
            if !current.carry.is_empty() || current.overlong.is_some() {
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
            match &mut current.overlong {
                Some(bytes) => *bytes += rest.len() as u64,
                None => {
                    current.carry.extend_from_slice(rest);
                    self.check_carry();
                }
            }
            return Ok(&[]);
        };
        let (end, tail) = rest.split_at(at + 1);
        if let Some(begun) = current.overlong.take() {
            current.end_overlong(begun + end.len() as u64);
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
            current.overlong = Some(current.carry.len() as u64);
            current.carry = Vec::new();
        }
    }

    /// Takes whole rows.
    fn piece(&mut self, piece: &[u8], sealed: &mut Vec<Sealed>) -> Result<(), String> {
        let start = self.current.as_ref().map_or(0, |current| current.layout.position());
        let rows = self.trim(piece)?;
        let offset = start + (piece.len() - rows.len()) as u64;
        self.rows(rows, offset, sealed)?;
        if let Some(current) = &mut self.current {
            current.layout.pass(piece.len());
        }
        Ok(())
    }

    /// Takes whole rows that are at `offset` in the content.
    fn rows(&mut self, piece: &[u8], offset: u64, sealed: &mut Vec<Sealed>) -> Result<(), String> {
        let rows = record::lines(piece).count() as u64;
        if rows == 0 {
            return Ok(());
        }
        if too_large(piece, self.compressors.level()) {
            self.refuse(piece, offset);
            return Ok(());
        }
        if self.raw > 0 && self.is_full(piece.len()) {
            sealed.extend(self.cut()?);
        }
        if self.raw == 0 {
            self.first = Some(self.first_token(piece)?);
            self.before =
                self.current.as_ref().map_or_else(Token::zero, |current| current.job.before.clone());
        }
        self.compress(piece)?;
        self.raw += piece.len() as u64;
        self.partial = true;
        if let Some(current) = &mut self.current {
            current.counts.sent += rows;
            current.layout.accept(offset, piece.len(), rows);
        }
        if !self.pointer.is_empty()
            && let Some(row) = record::lines(piece).last()
        {
            self.last_row.clear();
            self.last_row.extend_from_slice(row);
        }
        Ok(())
    }

    fn refuse(&mut self, row: &[u8], offset: u64) {
        let token = self.token_of(row).ok().filter(|_| !self.pointer.is_empty());
        if let Some(current) = &mut self.current {
            current.counts.refused += 1;
            current.layout.refuse(offset, row.len() as u64, token);
        }
    }

    /// Leaves out rows at or below the floor; they are at the front, rows are in order.
    fn trim<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], String> {
        let Some(current) = self.current.as_mut().filter(|current| current.trimming) else {
            return Ok(piece);
        };
        let Some(floor) = &current.job.floor else { return Ok(piece) };
        let whole = *floor >= current.job.end;
        let offset = current.layout.position();
        for row in record::lines(piece) {
            if !whole {
                let token = current.job.token(row, &self.pointer).map_err(|error| {
                    format!("row {}: {error}", current.counts.skipped + current.counts.sent + 1)
                })?;
                if token > *floor {
                    current.trimming = false;
                    let at = row.as_ptr() as usize - piece.as_ptr() as usize;
                    return Ok(piece.get(at..).unwrap_or_default());
                }
            }
            if too_large(row, FASTEST) {
                // The channel has passed it, but it was never stored. It is all of the piece.
                self.refuse(piece, offset);
                return Ok(&[]);
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
        let Some(Current { job, counts, .. }) = &self.current else {
            return row_token(row, &self.pointer).map_err(|error| error.to_string());
        };
        let near = |error| format!("a row near row {}: {error}", counts.sent + counts.skipped);
        job.token(row, &self.pointer).map_err(near)
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
        let mut reach = last.clone();
        if let Some(current) = self.current.as_mut().filter(|_| self.partial) {
            current.layout.close(&last);
            if self.pointer.is_empty() {
                reach = current.job.end.clone();
            }
        }
        self.close(last, reach).map(Some)
    }

    fn close(&mut self, last: Token, reach: Token) -> Result<Sealed, String> {
        self.finish_frame()?;
        let first = self.first.take().unwrap_or_else(|| last.clone()).min(last.clone());
        let (before, raw, size) = (self.before.clone(), self.raw, self.out.len() as u64);
        let body = Body { id: self.next_body, first, last, before, reach, raw, size };
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
    pub(crate) fn finish(&mut self) -> Result<Finished, String> {
        let mut sealed = Vec::new();
        if let Some(current) = &mut self.current
            && let Some(bytes) = current.overlong.take()
        {
            current.end_overlong(bytes);
        }
        let begun = self.current.as_mut().map(|current| std::mem::take(&mut current.carry));
        if let Some(mut row) = begun.filter(|row| !row.is_empty()) {
            row.push(b'\n');
            self.piece(&row, &mut sealed)?;
        }
        // A last row without a token needs none: the body ends with the upload.
        if self.partial && !self.pointer.is_empty() && row_token(&self.last_row, &self.pointer).is_ok() {
            self.token_of(&self.last_row)?;
        }
        let Some(mut current) = self.current.take() else {
            return Ok(Finished { sealed, ..Finished::default() });
        };
        if self.partial {
            current.layout.close(&current.job.end);
            self.last = Some(current.job.end);
        }
        let open = std::mem::take(&mut self.partial);
        Ok(Finished { counts: current.counts, open, sealed, layout: current.layout })
    }
}

/// Whether a row alone makes a body that is too large. Several rows are no larger than [`PIECE`]. The answer does not depend
/// on what is around the row: it is the same when the row comes again.
fn too_large(row: &[u8], level: i32) -> bool {
    let alone = || {
        let mut bytes = Vec::new();
        let mut compressor = Compressor::new(level)?;
        compressor.write(row, &mut bytes)?;
        compressor.finish(&mut bytes)?;
        Ok::<_, String>(bytes.len())
    };
    bound(row.len()) > COMPRESSED_LIMIT && alone().is_ok_and(|size| size + NEAR > COMPRESSED_LIMIT)
}

/// Size of incompressible input after compression.
fn bound(len: usize) -> usize {
    len + (len >> 8) + 512
}

#[cfg(test)]
mod tests;
