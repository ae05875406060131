//! Rows of NDJSON content.

/// The rows of `content`: what stands between line feeds, without them. Empty lines are no rows; the last row may
/// lack its line feed.
#[must_use]
pub fn lines(content: &[u8]) -> Lines<'_> {
    Lines { rest: content }
}

/// Iterator of [`lines`].
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let (line, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_what_stands_between_line_feeds() {
        let cases: [(&[u8], &[&[u8]]); 6] = [
            (b"", &[]),
            (b"\n\n", &[]),
            (b"{}", &[b"{}"]),
            (b"{}\n", &[b"{}"]),
            (b"{}\n{ }", &[b"{}", b"{ }"]),
            (b"\n{}\n\n{ }\n", &[b"{}", b"{ }"]),
        ];
        for (content, rows) in cases {
            assert_eq!(lines(content).collect::<Vec<_>>(), rows);
        }
    }
}
