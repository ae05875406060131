//! Rows the service rejected after accepting them: counted by the service per channel, cumulatively and across opens.
//!
//! The count says how many, the upper bound in which append the last one was. What cannot be told apart is charged to
//! every upload that may be meant: an upload with rejected rows is never reported as plain success.

use std::collections::VecDeque;

use super::types::{ChannelStatus, Id, Token};

/// Ranges with rejected rows that are remembered for uploads that come again.
const KEEP: usize = 256;

/// Token range of an upload or of a body.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) start: Token,
    pub(super) end: Token,
}

impl Range {
    fn meets(&self, other: &Range) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

#[derive(Debug, Clone)]
struct Remembered {
    range: Range,
    count: u64,
    message: String,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct RowErrors {
    /// Count up to which rejected rows are attributed or were there before this process.
    seen: Option<u64>,
    bound: Option<Token>,
    message: String,
    ranges: VecDeque<Remembered>,
}

/// What is known about new rejections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) upload: Id,
    pub(super) count: u64,
    pub(super) message: String,
}

/// Result of [`RowErrors::charge`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Charges {
    pub(super) uploads: Vec<Charge>,
    /// Rejections that belong to no upload of this process.
    pub(super) stray: u64,
}

impl RowErrors {
    /// The first count is the past; later ones are compared with it. A smaller one belongs to a new channel.
    pub(super) fn baseline(&mut self, status: &ChannelStatus) {
        if self.seen.is_none_or(|seen| status.row_errors < seen) {
            self.seen = Some(status.row_errors);
        }
    }

    /// Charges new rejections to the uploads of `window`, which are those that became committed since the last call.
    /// `bodies` are the appends that became committed with them; `more` says that others are still in flight.
    pub(super) fn charge(
        &mut self,
        status: &ChannelStatus,
        window: &[(Id, Range)],
        bodies: &[Range],
        committed: Option<&Token>,
        more: bool,
    ) -> Charges {
        self.baseline(status);
        let count = status.row_errors - self.seen.unwrap_or(status.row_errors);
        if count == 0 {
            return Charges::default();
        }
        self.bound = status.last_error_bound.as_deref().and_then(|text| text.parse().ok());
        self.message = status.last_error_message.clone().unwrap_or_default();
        let ahead = self.bound.as_ref().is_none_or(|bound| committed.is_none_or(|c| bound > c));
        if more && ahead && window.is_empty() {
            // Counted before its commit is visible: charged with the commit.
            return Charges::default();
        }
        self.seen = Some(status.row_errors);
        let suspects = self.suspects(count, window, bodies);
        let message = self.text(count, window, &suspects);
        if suspects.is_empty() {
            self.remember_bound(count, message);
            return Charges { uploads: Vec::new(), stray: count };
        }
        let uploads = suspects
            .iter()
            .map(|(upload, range)| {
                self.remember(range.clone(), count, message.clone());
                Charge { upload: *upload, count, message: message.clone() }
            })
            .collect();
        Charges { uploads, stray: 0 }
    }

    /// Rejections remembered for a range whose rows are in the channel already.
    pub(super) fn known(&self, start: &Token, end: &Token) -> Option<(u64, String)> {
        let range = Range { start: start.clone(), end: end.clone() };
        self.ranges.iter().rev().find(|r| r.range.meets(&range)).map(|r| (r.count, r.message.clone()))
    }

    /// What the last message of the service said, for stray rejections.
    pub(super) fn last_message(&self) -> &str {
        &self.message
    }

    fn suspects(&self, count: u64, window: &[(Id, Range)], bodies: &[Range]) -> Vec<(Id, Range)> {
        let Some(bound) = &self.bound else { return window.to_vec() };
        let hit = bodies.iter().find(|body| body.start <= *bound && *bound <= body.end);
        let last = hit.map_or(bound, |body| &body.end);
        let first = match (hit, count) {
            (Some(body), 1) => Some(&body.start),
            _ => None,
        };
        window
            .iter()
            .filter(|(_, range)| range.start <= *last && first.is_none_or(|first| range.end >= *first))
            .cloned()
            .collect()
    }

    fn text(&self, count: u64, window: &[(Id, Range)], suspects: &[(Id, Range)]) -> String {
        let ranges = if suspects.is_empty() { window } else { suspects };
        let start = ranges.iter().map(|(_, r)| &r.start).min().map_or("?", Token::as_str);
        let end = ranges.iter().map(|(_, r)| &r.end).max().map_or("?", Token::as_str);
        let bound = self.bound.as_ref().map_or("unknown", Token::as_str);
        let shared = match suspects.len() {
            0 | 1 => String::new(),
            n => format!(" (shared by {n} FlowFiles that were committed together)"),
        };
        let reason = if self.message.is_empty() { "no reason given" } else { &self.message };
        format!(
            "Snowflake rejected {count} row(s) with offset tokens between {start} and {end}{shared}, the last one at or \
             before {bound}: {reason}. The other rows are in the table; with ERROR_LOGGING = TRUE the rejected ones are \
             in ERROR_TABLE(<table>)"
        )
    }

    fn remember_bound(&mut self, count: u64, message: String) {
        if let Some(bound) = self.bound.clone() {
            self.remember(Range { start: bound.clone(), end: bound }, count, message);
        }
    }

    fn remember(&mut self, range: Range, count: u64, message: String) {
        if self.ranges.len() >= KEEP {
            self.ranges.pop_front();
        }
        self.ranges.push_back(Remembered { range, count, message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(n: u64) -> Token {
        n.to_string().parse().unwrap()
    }

    fn range(start: u64, end: u64) -> Range {
        Range { start: t(start), end: t(end) }
    }

    fn status(row_errors: u64, bound: Option<u64>) -> ChannelStatus {
        ChannelStatus {
            row_errors,
            last_error_bound: bound.map(|n| n.to_string()),
            last_error_message: Some("bad number".into()),
            ..ChannelStatus::default()
        }
    }

    fn charged(errors: &mut RowErrors, status: &ChannelStatus, window: &[(Id, Range)]) -> Vec<Id> {
        let bodies: Vec<Range> = window.iter().map(|(_, r)| r.clone()).collect();
        let charges = errors.charge(status, window, &bodies, Some(&t(1000)), false);
        charges.uploads.iter().map(|c| c.upload).collect()
    }

    #[test]
    fn one_rejection_is_charged_to_the_append_that_holds_it() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(7, None));
        let window = [(1, range(1, 10)), (2, range(11, 20)), (3, range(21, 30))];
        assert!(charged(&mut errors, &status(7, Some(15)), &window).is_empty());
        assert_eq!(charged(&mut errors, &status(8, Some(15)), &window), [2]);
        assert_eq!(charged(&mut errors, &status(10, Some(15)), &window), [1, 2]);
        assert_eq!(charged(&mut errors, &status(11, None), &window), [1, 2, 3]);
    }

    #[test]
    fn a_shared_body_makes_all_its_uploads_suspects() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let window = [(1, range(1, 10)), (2, range(11, 20)), (3, range(21, 30))];
        let bodies = [range(1, 20), range(21, 30)];
        let charges = errors.charge(&status(1, Some(20)), &window, &bodies, Some(&t(30)), false);
        assert_eq!(charges.uploads.iter().map(|c| c.upload).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_count_that_runs_ahead_of_the_commit_waits_for_it() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let early = errors.charge(&status(1, Some(20)), &[], &[], Some(&t(10)), true);
        assert_eq!(early, Charges::default());
        assert_eq!(charged(&mut errors, &status(1, Some(20)), &[(5, range(11, 20))]), [5]);
    }

    #[test]
    fn rejections_of_others_are_stray_and_remembered() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let charges = errors.charge(&status(2, Some(20)), &[], &[], Some(&t(20)), false);
        assert_eq!(charges.stray, 2);
        assert!(errors.known(&t(15), &t(25)).is_some());
        assert!(errors.known(&t(1), &t(5)).is_none());
    }

    #[test]
    fn a_new_channel_counts_from_its_own_beginning() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(9, None));
        assert!(charged(&mut errors, &status(0, None), &[(1, range(1, 2))]).is_empty());
        assert_eq!(charged(&mut errors, &status(1, None), &[(1, range(1, 2))]), [1]);
    }
}
