//! Log lines on their way to NiFi's log: bounded, never blocking on Java.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

const MOST_BYTES: usize = 256 * 1024;
const LONGEST_LINE: usize = 8 * 1024;

/// Lines in the order they were written. When full, the oldest go and are counted.
#[derive(Clone, Default)]
pub(crate) struct LogRing {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl LogRing {
    /// Adds one line; line breaks inside become ` | `, and a very long one is cut.
    pub(crate) fn push(&self, text: &str) {
        let text = text.trim();
        let mut line = text.lines().map(str::trim_end).collect::<Vec<_>>().join(" | ");
        line.truncate(line.floor_char_boundary(LONGEST_LINE));
        line.push('\n');
        let mut inner = self.lock();
        inner.bytes += line.len();
        inner.lines.push_back(line);
        while inner.bytes > MOST_BYTES {
            let Some(oldest) = inner.lines.pop_front() else { break };
            inner.bytes -= oldest.len();
            inner.dropped += 1;
        }
    }

    /// Takes whole lines of together at most `room` bytes. A line that is longer than that comes cut, when it is the
    /// first.
    pub(crate) fn drain(&self, room: usize) -> Vec<u8> {
        let mut inner = self.lock();
        let mut out = Vec::new();
        if inner.dropped > 0 {
            let notice = format!("WARN {} lines of the log were dropped\n", inner.dropped);
            if notice.len() <= room {
                out.extend_from_slice(notice.as_bytes());
                inner.dropped = 0;
            }
        }
        while let Some(line) = inner.lines.front() {
            let fits = out.len() + line.len() <= room;
            if !fits && !out.is_empty() {
                break;
            }
            let Some(mut line) = inner.lines.pop_front() else { break };
            inner.bytes -= line.len();
            if !fits {
                line.truncate(line.floor_char_boundary(room.saturating_sub(1)));
                line.push('\n');
                line.truncate(room);
            }
            out.extend_from_slice(line.as_bytes());
        }
        out
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for LogRing {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { ring: self.clone(), text: Vec::new() }
    }
}

/// Collects one event; the line is added when the event is complete.
pub(crate) struct LineWriter {
    ring: LogRing,
    text: Vec<u8>,
}

impl io::Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.ring.push(&String::from_utf8_lossy(&self.text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(ring: &LogRing, room: usize) -> String {
        String::from_utf8(ring.drain(room)).unwrap()
    }

    #[test]
    fn only_whole_lines_leave_and_in_order() {
        let ring = LogRing::default();
        for text in ["INFO one", "INFO two", " WARN three\n  at a\n  at b\n"] {
            ring.push(text);
        }
        assert_eq!(drained(&ring, 20), "INFO one\nINFO two\n");
        assert_eq!(drained(&ring, 1000), "WARN three |   at a |   at b\n");
        assert_eq!(drained(&ring, 1000), "");
    }

    #[test]
    fn a_line_longer_than_the_buffer_comes_cut_between_characters() {
        let ring = LogRing::default();
        ring.push(&format!("INFO {}", "\u{1F600}".repeat(10)));
        ring.push("INFO next");
        let cut = drained(&ring, 20);
        assert_eq!(cut, format!("INFO {}\n", "\u{1F600}".repeat(3)));
        assert_eq!(drained(&ring, 20), "INFO next\n");
        ring.push("INFO x");
        assert_eq!(drained(&ring, 0), "");
    }

    #[test]
    fn a_full_ring_drops_the_oldest_and_says_how_many() {
        let ring = LogRing::default();
        let filler = "x".repeat(LONGEST_LINE * 2);
        for number in 0..100 {
            ring.push(&format!("INFO {number} {filler}"));
        }
        let text = drained(&ring, usize::MAX);
        assert!(text.len() <= MOST_BYTES + 100);
        let lines: Vec<_> = text.lines().collect();
        let dropped = 100 - (lines.len() - 1);
        assert_eq!(lines[0], format!("WARN {dropped} lines of the log were dropped"));
        assert!(lines[1].starts_with(&format!("INFO {dropped} ")));
        assert!(lines[lines.len() - 1].starts_with("INFO 99 "));
    }
}
