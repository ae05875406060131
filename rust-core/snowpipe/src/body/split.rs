//! A body in two halves.

use std::io::{BufRead, BufReader};

use bytes::Bytes;
use record::row_token;

use super::compressors::Compressor;
use super::{Assembler, Compressors, Sealed};
use crate::machine::{Body, Token};

/// One half while it is made.
struct Half {
    compressor: Compressor,
    out: Vec<u8>,
    raw: u64,
    /// Its first row, or its last one: the one at the cut.
    row: Vec<u8>,
}

impl Half {
    fn new(compressors: &Compressors) -> Result<Self, String> {
        Ok(Self { compressor: compressors.take()?, out: Vec::new(), raw: 0, row: Vec::new() })
    }

    fn write(&mut self, line: &[u8]) -> Result<(), String> {
        self.raw += line.len() as u64;
        self.compressor.write(line, &mut self.out)
    }

    /// Remembers the row in `line`, if it is one.
    fn mark(&mut self, line: &[u8]) {
        if let Some(row) = record::lines(line).next() {
            self.row.clear();
            self.row.extend_from_slice(row);
        }
    }

    fn token(&self, body: &Body, pointer: &str) -> Result<Token, String> {
        match row_token(&self.row, pointer) {
            Ok(token) if body.first <= token && token <= body.last => Ok(token),
            Ok(token) => Err(format!("{token} is not within the body")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Assembler {
    /// Two bodies in place of one that the service found too large; none when it holds one row. Rows pass one by one:
    /// how large all of them are is not bounded where they have no tokens.
    pub(crate) fn split(&mut self, body: &Body, bytes: &[u8]) -> Result<Vec<Sealed>, String> {
        let [head, tail] = halves(body, bytes, &self.compressors)?;
        if tail.row.is_empty() {
            return Ok(Vec::new());
        }
        let (last, first) = match self.pointer.is_empty() {
            true => (body.before.clone(), body.first.clone()),
            false => (head.token(body, &self.pointer)?, tail.token(body, &self.pointer)?),
        };
        let mut parts = Vec::new();
        let start = body.first.clone().min(last.clone());
        for (mut half, first, last) in [(head, start, last), (tail, first, body.last.clone())] {
            half.compressor.finish(&mut half.out)?;
            self.compressors.give(half.compressor);
            let id = self.next_body;
            self.next_body += 1;
            let (before, raw, size) = (body.before.clone(), half.raw, half.out.len() as u64);
            let reach = if self.pointer.is_empty() { body.reach.clone() } else { last.clone() };
            let body = Body { id, first, last, before, reach, raw, size };
            parts.push(Sealed { body, bytes: Bytes::from(half.out) });
        }
        Ok(parts)
    }
}

/// Rows up to the middle, at least one, and those behind it.
fn halves(body: &Body, bytes: &[u8], compressors: &Compressors) -> Result<[Half; 2], String> {
    let unread = |error: std::io::Error| format!("compression: {error}");
    let mut rows = BufReader::new(zstd::Decoder::new(bytes).map_err(unread)?);
    let (mut head, mut tail) = (Half::new(compressors)?, Half::new(compressors)?);
    let mut line = Vec::new();
    while rows.read_until(b'\n', &mut line).map_err(unread)? > 0 {
        let fits = head.raw + line.len() as u64 <= body.raw / 2;
        if tail.raw == 0 && (fits || head.row.is_empty()) {
            head.write(&line)?;
            head.mark(&line);
        } else {
            tail.write(&line)?;
            if tail.row.is_empty() {
                tail.mark(&line);
            }
        }
        line.clear();
    }
    Ok([head, tail])
}
