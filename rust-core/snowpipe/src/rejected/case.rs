//! An upload with rejected rows, from the count to the rows.

use std::sync::Arc;

use super::explain::Row;
use super::scan::Scan;
use crate::cell::Cell;
use crate::core::Core;
use crate::machine::{Charged, Report, Token};
use crate::progress::Piece;
use bulletin::Level;

/// Offset tokens that a message names.
const NAMED: usize = 5;

/// What is known without the error table.
#[derive(Debug)]
pub(crate) struct Fallback {
    /// Rows were rejected; otherwise they may have been.
    pub(crate) certain: bool,
    pub(crate) row_errors: u64,
    pub(crate) message: String,
    pub(crate) ranges: Vec<(Token, Token)>,
}

impl Fallback {
    /// Ends an upload with it.
    pub(crate) fn end(self, core: &Core, channel: &str, cell: &Cell) {
        if self.certain {
            say(core, channel, &self.message);
            cell.end_told(Told::Requests {
                count: self.row_errors,
                message: self.message,
                ranges: self.ranges,
            });
        } else {
            // The FlowFile is a success: nothing else tells that rows of it may be missing.
            core.messages.say_each(Level::Warn, "earlier", self.message);
            cell.end_told(Told::None);
        }
    }
}

/// How the rejected rows of an upload are known.
#[derive(Debug)]
pub(crate) enum Told {
    /// It has none.
    None,
    /// One by one; no pieces when they are all rows of the upload.
    Rows { count: u64, message: String, pieces: Vec<Piece> },
    /// By the appends that hold them.
    Requests { count: u64, message: String, ranges: Vec<(Token, Token)> },
}

/// Looks for rejected rows in the content of their upload.
#[derive(Debug)]
pub(crate) struct Exam {
    scan: Scan,
    count: u64,
    message: String,
    /// Tokens of the appends that hold them, where the rows cannot be taken out.
    ranges: Vec<(Token, Token)>,
    core: Arc<Core>,
    label: String,
}

impl Exam {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.scan.write(bytes);
    }

    /// What was found.
    pub(crate) fn finish(self) -> Told {
        match self.scan.finish() {
            Ok(mut pieces) => {
                if let Some(first) = pieces.first_mut() {
                    first.reason.clone_from(&self.message);
                }
                say(&self.core, &self.label, &self.message);
                Told::Rows { count: self.count, message: self.message, pieces }
            }
            Err(reason) => {
                let message = format!("{}. They are not taken out one by one: {reason}", self.message);
                say(&self.core, &self.label, &message);
                Told::Requests { count: self.count, message, ranges: self.ranges }
            }
        }
    }

    /// What is known without looking.
    pub(crate) fn give_up(self) -> Told {
        say(&self.core, &self.label, &self.message);
        Told::Requests { count: self.count, message: self.message, ranges: self.ranges }
    }
}

fn say(core: &Core, label: &str, text: &str) {
    core.messages.say(Level::Warn, &format!("invalid/{label}"), text);
}

/// An upload that waits to be told which of its rows were rejected. One that is dropped ends with what is known anyway.
pub(crate) struct Case {
    pub(crate) core: Arc<Core>,
    pub(crate) channel: String,
    /// Tokens of its first and last row.
    pub(crate) span: (Token, Token),
    pub(crate) reports: Vec<Charged>,
    pub(crate) cell: Arc<Cell>,
    pub(crate) fallback: Option<Fallback>,
}

impl Case {
    /// Goes on with the rejected rows of its reports.
    pub(super) fn told(mut self, rows: &[Arc<Row>]) {
        let mine = self.mine(rows);
        if self.left_out() > 0 {
            let count = mine.len() as u64 + self.left_out();
            return self.unknown("rows of compressed content cannot be taken out", count);
        }
        let Some(fallback) = self.fallback.take() else { return };
        if mine.is_empty() {
            return self.cell.end_told(Told::None);
        }
        let exam = Exam {
            scan: Scan::new(&self.core.config.record_pointer, &mine),
            count: mine.len() as u64,
            message: text(&self.channel, &mine),
            ranges: fallback.ranges,
            core: Arc::clone(&self.core),
            label: self.channel.clone(),
        };
        self.cell.examine(exam);
    }

    /// Those of the rows that the upload holds, or may hold.
    fn mine(&self, rows: &[Arc<Row>]) -> Vec<Arc<Row>> {
        let (start, end) = &self.span;
        let reported = |row: &Row| self.reports.iter().any(|(report, _)| row.is_of(&self.channel, report));
        let within = |row: &Row| match &row.token {
            Some(token) => token >= start && token <= end,
            // The append is all that is known, and it may hold rows of several uploads.
            None => {
                row.upper.as_ref().is_some_and(|upper| upper >= start)
                    && row.lower.as_ref().is_none_or(|lower| lower <= end)
            }
        };
        let mut mine: Vec<Arc<Row>> =
            rows.iter().filter(|row| reported(row) && within(row)).cloned().collect();
        mine.sort_by(|a, b| a.token.cmp(&b.token));
        mine.dedup_by(|a, b| a.token.is_some() && a.token == b.token);
        mine
    }

    /// Rows that were never sent.
    fn left_out(&self) -> u64 {
        let charged: u64 = self.reports.iter().map(|(_, charged)| charged).sum();
        self.fallback.as_ref().map_or(0, |fallback| fallback.row_errors.saturating_sub(charged))
    }

    /// Rejections as far as reports are known by rows, and those charged by the others.
    pub(super) fn count(&self, rows: impl Fn(&Report) -> Option<Vec<Arc<Row>>>) -> u64 {
        let of = |(report, charged): &Charged| {
            rows(report).map_or(*charged, |rows| {
                let only = rows.into_iter().filter(|row| row.is_of(&self.channel, report));
                self.mine(&only.collect::<Vec<_>>()).len() as u64
            })
        };
        self.reports.iter().map(of).sum::<u64>() + self.left_out()
    }

    /// Ends with what is known, and why it is no more.
    pub(super) fn unknown(mut self, reason: &str, count: u64) {
        if let Some(fallback) = &mut self.fallback {
            fallback.row_errors = count;
            fallback.message.push_str(&format!(". Which rows they are is not known: {reason}"));
        }
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if let Some(fallback) = self.fallback.take() {
            fallback.end(&self.core, &self.channel, &self.cell);
        }
    }
}

fn text(channel: &str, rows: &[Arc<Row>]) -> String {
    let tokens: Vec<&str> =
        rows.iter().filter_map(|row| row.token.as_ref()).map(Token::as_str).take(NAMED).collect();
    let more = if rows.len() > tokens.len() { " and others" } else { "" };
    let said = rows.first().map_or("", |row| row.said.as_str());
    format!(
        "channel {channel}: Snowflake rejected {} row(s), with offset token(s) {}{more}; the first one: {said}. They are \
         in ERROR_TABLE(<table>), and every other row of the FlowFile is in the table",
        rows.len(),
        tokens.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::runtime::Handle;

    use super::*;
    use crate::config::SinkConfig;
    use crate::progress::State;

    fn exam() -> Exam {
        let properties = [("Account", "o-a"), ("User", "u"), ("Private Key", "k")];
        let properties: BTreeMap<String, String> =
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let core = Core::new(SinkConfig::from_properties(&properties).unwrap(), &Handle::current());
        Exam {
            scan: Scan::new("/n", &[]),
            count: 1,
            message: "a row was rejected".to_owned(),
            ranges: Vec::new(),
            core: Arc::new(core),
            label: "c".to_owned(),
        }
    }

    fn granted() -> Cell {
        let cell = Cell::new(String::new(), 3, (Arc::default(), 1));
        cell.grant();
        cell
    }

    #[tokio::test]
    async fn content_is_asked_for_again_only_when_all_of_it_was_handed_over() {
        let cell = granted();
        // Another writer has stored the rows, and the caller is at the end of its content.
        assert!(!cell.scanned());
        cell.examine(exam());
        cell.handed_over();
        assert_eq!(cell.state(), State::Invalid);
        let cell = granted();
        assert!(!cell.scanned());
        cell.handed_over();
        assert_eq!(cell.state(), State::InFlight);
        cell.examine(exam());
        assert_eq!(cell.state(), State::WantData);
        assert!(cell.scanned());
        assert!(cell.state().is_final());
    }
}
