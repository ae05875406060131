//! Finds rejected rows in the content they came in, as it is read once more.

use std::collections::HashMap;
use std::sync::Arc;

use record::row_token;

use super::explain::Row;
use crate::inflate::Inflate;
use crate::machine::Token;
use crate::progress::{Piece, State};

/// A longer row fits into no request, so it is none of the rejected ones.
const LONGEST: usize = 16 << 20;

/// Looks for rows in NDJSON that comes in pieces.
pub(crate) struct Scan {
    inflate: Inflate,
    finder: Finder,
}

struct Finder {
    pointer: String,
    /// Rows to be found: by token, and by content.
    wanted: HashMap<Token, Arc<Row>>,
    bare: Vec<Arc<Row>>,
    pieces: Vec<Piece>,
    /// Rows that are not rejected.
    others: u64,
    /// Bytes of content before [`Finder::begun`].
    position: u64,
    /// A row whose end has not come yet.
    begun: Vec<u8>,
    overlong: bool,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("wanted", &self.finder.wanted.len()).finish_non_exhaustive()
    }
}

impl Scan {
    pub(crate) fn new(pointer: &str, rows: &[Arc<Row>]) -> Self {
        let wanted = rows.iter().filter_map(|row| Some((row.token.clone()?, Arc::clone(row)))).collect();
        let bare = rows.iter().filter(|row| row.token.is_none()).cloned().collect();
        let finder = Finder {
            pointer: pointer.to_owned(),
            wanted,
            bare,
            pieces: Vec::new(),
            others: 0,
            position: 0,
            begun: Vec::new(),
            overlong: false,
        };
        Self { inflate: Inflate::default(), finder }
    }

    /// Takes a piece of content.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let Self { inflate, finder } = self;
        if inflate.is_plain() {
            // What is compressed is not looked at: its rows have no place of their own.
            let _ = inflate.write(bytes, &mut |rows| {
                finder.take(rows);
                Ok(())
            });
        }
    }

    /// The rejected rows; none when all rows are. Fails when some were not found.
    pub(crate) fn finish(mut self) -> Result<Vec<Piece>, String> {
        if !self.inflate.is_plain() {
            return Err("rows of compressed content cannot be taken out".to_owned());
        }
        let finder = &mut self.finder;
        let _ = self.inflate.finish(&mut |rows| {
            finder.take(rows);
            Ok(())
        });
        let mut finder = self.finder;
        finder.end_row();
        let missing = finder.wanted.len() + finder.bare.len();
        if missing > 0 {
            return Err(format!("{missing} of the rows in the error table are not in the FlowFile"));
        }
        Ok(if finder.others == 0 { Vec::new() } else { finder.pieces })
    }
}

impl Finder {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(at) = memchr::memchr(b'\n', bytes) {
            let (row, rest) = bytes.split_at(at + 1);
            self.add(row);
            self.end_row();
            bytes = rest;
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.overlong || self.begun.len() + bytes.len() > LONGEST {
            self.position += (self.begun.len() + bytes.len()) as u64;
            self.begun.clear();
            self.overlong = true;
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.overlong) {
            self.others += 1;
        } else if !row.trim_ascii().is_empty() {
            match self.rejected(&row) {
                Some(known) => self.found(&row, &known),
                None => self.others += 1,
            }
        }
        self.position += row.len() as u64;
        self.begun = row;
        self.begun.clear();
    }

    fn rejected(&mut self, row: &[u8]) -> Option<Arc<Row>> {
        if let Ok(token) = row_token(row, &self.pointer)
            && let Some(known) = self.wanted.remove(&token)
        {
            return Some(known);
        }
        let text = row.trim_ascii();
        let same = |known: &Arc<Row>| known.payload.as_ref().is_some_and(|kept| kept.as_bytes() == text);
        let at = self.bare.iter().position(same)?;
        Some(self.bare.swap_remove(at))
    }

    fn found(&mut self, row: &[u8], known: &Row) {
        let length = row.len() as u64;
        let token = known.token.as_ref().map(Token::to_string);
        if let Some(last) = self.pieces.last_mut()
            && last.offset + last.length == self.position
        {
            last.length += length;
            last.rows += 1;
            last.tokens = last.tokens.take().zip(token).map(|((first, _), last)| (first, last));
            return;
        }
        self.pieces.push(Piece {
            kind: State::Invalid,
            offset: self.position,
            length,
            rows: 1,
            tokens: token.map(|token| (token.clone(), token)),
            reason: known.said.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(token: Option<u64>, payload: Option<&str>) -> Arc<Row> {
        Arc::new(Row {
            channel: "c".into(),
            token: token.map(|n| n.to_string().parse().unwrap()),
            lower: None,
            upper: None,
            payload: payload.map(str::to_owned),
            said: "100038 not a number".into(),
        })
    }

    fn scan(content: &[u8], cut: usize, rows: &[Arc<Row>]) -> Result<Vec<String>, String> {
        let mut scan = Scan::new("/n", rows);
        content.chunks(cut).for_each(|piece| scan.write(piece));
        let text = |piece: Piece| {
            let (from, length) =
                (usize::try_from(piece.offset).unwrap(), usize::try_from(piece.length).unwrap());
            String::from_utf8_lossy(&content[from..from + length]).into_owned()
        };
        Ok(scan.finish()?.into_iter().map(text).collect())
    }

    #[test]
    fn rows_are_found_byte_for_byte_however_the_content_is_cut() {
        let content = b"{\"n\":1}\r\n\n{ \"n\":2 }\n{\"n\":3}\r\nno json\n{\"n\":5}\n{\"n\":\"06\"}";
        let wanted = [row(Some(2), None), row(Some(3), None), row(None, Some("no json")), row(Some(6), None)];
        for cut in 1..content.len() {
            let found = scan(content, cut, &wanted).unwrap();
            assert_eq!(found, ["{ \"n\":2 }\n{\"n\":3}\r\nno json\n", "{\"n\":\"06\"}"], "{cut}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_not_claimed() {
        let content = b"{\"n\":1}\n{\"n\":2}\n";
        assert_eq!(
            scan(content, 3, &[row(Some(1), None), row(Some(2), None)]),
            Ok(Vec::new()),
            "all of them"
        );
        for unknown in [row(Some(3), None), row(None, None), row(None, Some("x"))] {
            assert!(scan(content, 3, &[row(Some(1), None), unknown]).is_err());
        }
        let compressed = zstd::encode_all(content.as_slice(), 1).unwrap();
        assert!(scan(&compressed, 5, &[row(Some(1), None)]).is_err());
    }
}
