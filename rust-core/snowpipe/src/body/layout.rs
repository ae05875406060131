//! Where the rows of an upload are in its content, so that some of them can take another way than the rest.

use crate::machine::Token;

/// Rows that went into one body, next to each other in the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Their tokens are above this one,
    pub(crate) after: Option<Token>,
    /// and not above this one.
    pub(crate) last: Token,
    /// Bytes in the content.
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) rows: u64,
}

/// A row that fits into no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Unknown for a row that was too long to be looked at, and where rows have no tokens.
    pub(crate) token: Option<Token>,
}

/// See the module documentation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    pub(crate) runs: Vec<Run>,
    pub(crate) refused: Vec<Refused>,
    /// Runs in the open body: offset, length, rows.
    pending: Vec<(u64, u64, u64)>,
    reached: Option<Token>,
    position: u64,
}

impl Layout {
    /// Bytes of content up to the row that comes next.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Goes past bytes that were looked at.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.position += bytes as u64;
    }

    /// Rows went into the open body.
    pub(super) fn accept(&mut self, offset: u64, length: usize, rows: u64) {
        match self.pending.last_mut() {
            Some((start, before, count)) if *start + *before == offset => {
                *before += length as u64;
                *count += rows;
            }
            _ => self.pending.push((offset, length as u64, rows)),
        }
    }

    pub(super) fn refuse(&mut self, offset: u64, length: u64, token: Option<Token>) {
        self.refused.push(Refused { offset, length, token });
    }

    /// The open body ends with `last`.
    pub(super) fn close(&mut self, last: &Token) {
        for (offset, length, rows) in std::mem::take(&mut self.pending) {
            self.runs.push(Run { after: self.reached.clone(), last: last.clone(), offset, length, rows });
        }
        self.reached = Some(last.clone());
    }
}
