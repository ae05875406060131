//! A body in two halves.

use bytes::Bytes;
use record::row_token;

use super::{Assembler, Sealed};
use crate::machine::Body;

impl Assembler {
    /// Two bodies in place of one that the service found too large; none when it holds one row.
    pub(crate) fn split(&mut self, body: &Body, bytes: &[u8]) -> Result<Vec<Sealed>, String> {
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
                let token = |row| match row_token(row, &self.pointer) {
                    Ok(token) if body.first <= token && token <= body.last => Ok(token),
                    Ok(token) => Err(format!("{token} is not within the body")),
                    Err(error) => Err(error.to_string()),
                };
                (token(row)?, token(next)?)
            }
        };
        let mut parts = Vec::new();
        let start = body.first.clone().min(last.clone());
        for (content, first, last) in [(head, start, last), (tail, first, body.last.clone())] {
            let bytes = zstd::encode_all(content, self.compressors.level())
                .map_err(|error| format!("compression: {error}"))?;
            let id = self.next_body;
            self.next_body += 1;
            let (before, raw, size) = (body.before.clone(), content.len() as u64, bytes.len() as u64);
            let reach = if self.pointer.is_empty() { body.reach.clone() } else { last.clone() };
            let body = Body { id, first, last, before, reach, raw, size };
            parts.push(Sealed { body, bytes: Bytes::from(bytes) });
        }
        Ok(parts)
    }
}
