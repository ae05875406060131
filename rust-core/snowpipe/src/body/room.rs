//! When the open body is closed before more rows.

use super::{Assembler, HELD_BACK, bound};

impl Assembler {
    /// The content of the current upload is compressed: how large its rows are is not known.
    pub(crate) fn inflated(&mut self) {
        if let Some(current) = &mut self.current {
            current.job.size = u64::MAX;
        }
    }

    /// Whether `coming` bytes of rows need another body. Where rows have no tokens only the end of an upload is one: a
    /// part of it that was stored without the rest would be stored again with the whole. So an upload goes into one body
    /// when a request can hold it, and a body ends inside an upload only when it holds nothing else.
    pub(super) fn is_full(&self, coming: usize) -> bool {
        let (whole, size) = match &self.current {
            Some(current) => (self.pointer.is_empty(), current.job.size),
            None => (false, 0),
        };
        match whole {
            true if self.partial => self.overflows(coming, HELD_BACK),
            true => {
                let size = usize::try_from(size).unwrap_or(usize::MAX).max(coming);
                // A last row without a line feed gets one.
                size >= self.limit
                    || self.overflows(size + 1, 2 * HELD_BACK)
                    || self.raw + size as u64 > self.raw_limit
            }
            false => self.overflows(coming, HELD_BACK) || self.raw + coming as u64 > self.raw_limit,
        }
    }

    fn overflows(&self, coming: usize, held_back: usize) -> bool {
        self.out.len() + held_back + bound(coming) > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compressors, Job, Sealed};
    use super::*;
    use crate::machine::Token;

    fn token(n: u64) -> Token {
        n.to_string().parse().unwrap()
    }

    /// Writes rows of upload `n`, which is told to be `size` bytes; returns the bodies that were closed meanwhile.
    fn upload(assembler: &mut Assembler, n: u64, rows: u64, size: u64, compressed: bool) -> Vec<Sealed> {
        assembler.start(Job {
            upload: n,
            start: token(n),
            end: token(n),
            size,
            floor: None,
            before: token(n - 1),
        });
        if compressed {
            assembler.inflated();
        }
        let row = format!("{{\"t\":\"{}\"}}\n", "a".repeat(99_990));
        let mut sealed = Vec::new();
        for _ in 0..rows {
            sealed.extend(assembler.write(row.as_bytes()).unwrap());
        }
        let finished = assembler.finish().unwrap();
        assert!(finished.open);
        sealed.extend(finished.sealed);
        sealed
    }

    #[test]
    fn without_row_tokens_an_upload_that_fits_is_in_one_body() {
        let mut assembler = Assembler::new(Compressors::new(1), "");
        assert!(upload(&mut assembler, 1, 3, 300_000, false).is_empty());
        assert!(upload(&mut assembler, 2, 3, 300_000, false).is_empty(), "small ones share a body");
        // Beyond the uncompressed size of a body, and of an unknown one.
        for (n, rows, size, compressed) in [(3, 90, 9_000_000, false), (4, 90, 20_000, true)] {
            let sealed = upload(&mut assembler, n, rows, size, compressed);
            assert_eq!(sealed.len(), 1, "the one before is closed, and {n} is not cut");
            assert_eq!(sealed[0].body.last, token(n - 1));
        }
        let last = assembler.seal().unwrap().unwrap().body;
        assert_eq!((last.first, last.last, last.raw), (token(4), token(4), 90 * 100_000 - 90));
    }

    #[test]
    fn with_row_tokens_a_body_ends_anywhere() {
        let mut assembler = Assembler::new(Compressors::new(1), "/t");
        assembler.start(Job {
            upload: 1,
            start: token(1),
            end: token(90),
            size: 9_000_000,
            floor: None,
            before: token(0),
        });
        let mut sealed = 0;
        for n in 1..=90 {
            let row = format!("{{\"t\":{n},\"x\":\"{}\"}}\n", "a".repeat(99_980));
            sealed += assembler.write(row.as_bytes()).unwrap().len();
        }
        assert_eq!(sealed, 1);
    }
}
