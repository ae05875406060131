//! What goes into an [`super::Assembler`] and what comes out.

use bytes::Bytes;
use record::row_token;

use super::Layout;
use crate::machine::{Body, Id, Token};

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
    /// Bytes of content.
    pub(crate) size: u64,
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
pub(super) struct Current {
    pub(super) job: Job,
    pub(super) counts: Counts,
    pub(super) layout: Layout,
    /// Start of a row whose end has not come yet.
    pub(super) carry: Vec<u8>,
    /// Bytes so far of a row that is too long to be looked at; they are thrown away.
    pub(super) overlong: Option<u64>,
    pub(super) trimming: bool,
}

/// What [`Assembler::finish`] leaves.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) counts: Counts,
    /// The upload's last rows are in the open body.
    pub(crate) open: bool,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) layout: Layout,
}

impl Job {
    /// The token of a row, found by `pointer`.
    pub(super) fn token(&self, row: &[u8], pointer: &str) -> Result<Token, String> {
        self.check(row_token(row, pointer).map_err(|error| error.to_string())?, pointer)
    }

    /// Whether a row's token is one that was announced. What is skipped and how far the channel moves hang on it.
    pub(super) fn check(&self, token: Token, pointer: &str) -> Result<Token, String> {
        let Job { start, end, .. } = self;
        match *start <= token && token <= *end {
            true => Ok(token),
            false => Err(format!(
                "{pointer} is {token}, but the FlowFile's rows go from {start} to {end} by its attributes; check Offset Token \
                 Record Pointer, Offset Token Start Expression and Offset Token End Expression"
            )),
        }
    }
}

impl Current {
    pub(super) fn end_overlong(&mut self, bytes: u64) {
        self.counts.refused += 1;
        self.layout.refuse(self.layout.position(), bytes, None);
        self.layout.pass(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}
