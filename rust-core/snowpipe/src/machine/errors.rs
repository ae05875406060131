//! Rows the service rejected after accepting them: counted by the service per channel, cumulatively and across opens.
//!
//! The count says how many, the upper bound in which append the last one was. What cannot be told apart is charged to
//! every upload that may be meant: an upload with rejected rows is never reported as plain success.

use std::collections::VecDeque;

use super::earlier::Earlier;
use super::types::{ChannelStatus, Charged, Extent, Id, Report, Token};

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
    /// What the report told, with the first of the ranges that it concerns; 0 with the others.
    count: u64,
    report: Report,
    message: String,
    narrow: Option<(Token, Token)>,
}

/// Rejections that concern an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    /// Rows that no other upload has been charged with, so that the sum over all uploads is the service's.
    pub(super) count: u64,
    pub(super) message: String,
    /// Tokens of the appends that may hold the rows; empty when that is not known.
    pub(super) ranges: Vec<(Token, Token)>,
    /// What was counted, each report once.
    pub(super) reports: Vec<Charged>,
}

/// Uploads that new rejections may belong to.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Those that became committed since the last call.
    pub(super) done: Vec<(Id, Range)>,
    /// Those of which a part is committed.
    pub(super) begun: Vec<Range>,
    /// The appends that became committed.
    pub(super) bodies: Vec<Range>,
    /// Others are still in flight.
    pub(super) more: bool,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct RowErrors {
    /// Count up to which rejected rows are attributed or were there before this process.
    seen: Option<u64>,
    /// Rejections of rows up to this token are told, or were there before this process.
    told_to: Option<Token>,
    bound: Option<Token>,
    message: String,
    ranges: VecDeque<Remembered>,
    /// Rejections of rows that others have published.
    earlier: Earlier,
}

/// Result of [`RowErrors::charge`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Charges {
    pub(super) uploads: Vec<(Id, Rejected)>,
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

    /// What was rejected before this process looked at the channel.
    pub(super) fn earlier(&self) -> &Earlier {
        &self.earlier
    }

    /// Whether no rejection is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Charges rejections to the committed uploads: new ones, and those counted while an upload was half committed.
    pub(super) fn charge(
        &mut self,
        status: &ChannelStatus,
        candidates: &Candidates,
        committed: Option<&Token>,
    ) -> Charges {
        let stray = self.count(status, candidates, committed);
        let known = |(id, range): &(Id, Range)| Some((*id, self.known(&range.start, &range.end)?));
        Charges { uploads: candidates.done.iter().filter_map(known).collect(), stray }
    }

    /// Remembers new rejections with the uploads that may be meant; returns those that are nobody's.
    fn count(&mut self, status: &ChannelStatus, candidates: &Candidates, committed: Option<&Token>) -> u64 {
        if self.seen.is_none_or(|seen| status.row_errors < seen) {
            self.earlier.note(status, committed);
        }
        self.baseline(status);
        let count = status.row_errors - self.seen.unwrap_or(status.row_errors);
        if count == 0 {
            self.told_to = committed.cloned();
            return 0;
        }
        self.bound = status.last_error_bound.as_deref().and_then(|text| text.parse().ok());
        self.message = status.last_error_message.clone().unwrap_or_default();
        let ahead = self.bound.as_ref().is_none_or(|bound| committed.is_none_or(|c| bound > c));
        if candidates.more && ahead && candidates.done.is_empty() {
            // Counted before its commit is visible: charged with the commit.
            return 0;
        }
        self.seen = Some(status.row_errors);
        let after = std::mem::replace(&mut self.told_to, committed.cloned());
        let report = Report { count, after, upto: committed.cloned(), extent: Extent::Exact };
        let begun = candidates.begun.iter().filter(|range| committed.is_some_and(|c| range.start <= *c));
        let window: Vec<Range> =
            candidates.done.iter().map(|(_, range)| range).chain(begun).cloned().collect();
        let suspects = self.suspects(count, &window, &candidates.bodies);
        let narrow = self.narrow(count, &candidates.bodies);
        let message = self.text(count, &window, &suspects, narrow.as_ref());
        let ours = window.iter().chain(&candidates.bodies).map(|range| &range.end).max();
        if suspects.is_empty() || committed > ours {
            self.earlier.note(status, committed);
        }
        if suspects.is_empty() {
            self.remember_bound(report, message);
            return count;
        }
        for (nth, range) in suspects.into_iter().enumerate() {
            let charged = if nth == 0 { count } else { 0 };
            let (message, narrow, report) = (message.clone(), narrow.clone(), report.clone());
            self.remember(Remembered { range, count: charged, report, message, narrow });
        }
        0
    }

    /// Rejections remembered for a range whose rows are in the channel; the same ones each time the range comes.
    pub(super) fn known(&self, start: &Token, end: &Token) -> Option<Rejected> {
        let range = Range { start: start.clone(), end: end.clone() };
        let hits: Vec<&Remembered> = self.ranges.iter().filter(|r| r.range.meets(&range)).collect();
        let last = hits.last()?;
        let told: u64 = hits.iter().map(|hit| hit.report.count).sum();
        let message = match hits.len() {
            1 => last.message.clone(),
            n => {
                format!(
                    "{told} row(s) in all were rejected, told by {n} reports; the last one: {}",
                    last.message
                )
            }
        };
        let ranges: Option<Vec<_>> = hits.iter().map(|hit| hit.narrow.clone()).collect();
        let count = hits.iter().map(|hit| hit.count).sum();
        let mut reports: Vec<Charged> = Vec::new();
        for hit in hits {
            match reports.iter_mut().find(|(report, _)| *report == hit.report) {
                Some((_, charged)) => *charged += hit.count,
                None => reports.push((hit.report.clone(), hit.count)),
            }
        }
        Some(Rejected { count, message, ranges: ranges.unwrap_or_default(), reports })
    }

    /// What the last message of the service said, for stray rejections.
    pub(super) fn last_message(&self) -> &str {
        &self.message
    }

    fn suspects(&self, count: u64, window: &[Range], bodies: &[Range]) -> Vec<Range> {
        let Some(bound) = &self.bound else { return window.to_vec() };
        let hit = bodies.iter().find(|body| body.start <= *bound && *bound <= body.end);
        let last = hit.map_or(bound, |body| &body.end);
        let first = match (hit, count) {
            (Some(body), 1) => Some(&body.start),
            _ => None,
        };
        window
            .iter()
            .filter(|range| range.start <= *last && first.is_none_or(|first| range.end >= *first))
            .cloned()
            .collect()
    }

    /// Where the rejected rows are, as far as bodies tell: one is in the append of the bound, several are in it or before.
    fn narrow(&self, count: u64, bodies: &[Range]) -> Option<(Token, Token)> {
        let bound = self.bound.as_ref()?;
        let hit = bodies.iter().find(|body| body.start <= *bound && *bound <= body.end)?;
        let first = if count == 1 { hit } else { bodies.first()? };
        Some((first.start.clone(), hit.end.clone()))
    }

    fn text(
        &self,
        count: u64,
        window: &[Range],
        suspects: &[Range],
        narrow: Option<&(Token, Token)>,
    ) -> String {
        let ranges = if suspects.is_empty() { window } else { suspects };
        let start = ranges.iter().map(|r| &r.start).min();
        let end = ranges.iter().map(|r| &r.end).max();
        // A body ends with the token of its last upload, and begins with that of its first row.
        let start = start.max(narrow.map(|(first, _)| first)).map_or("?", Token::as_str);
        let end = end.into_iter().chain(narrow.map(|(_, last)| last)).min().map_or("?", Token::as_str);
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

    fn remember_bound(&mut self, report: Report, message: String) {
        if let Some(bound) = self.bound.clone() {
            let range = Range { start: bound.clone(), end: bound };
            self.remember(Remembered { range, count: report.count, report, message, narrow: None });
        }
    }

    fn remember(&mut self, remembered: Remembered) {
        if self.ranges.len() >= KEEP {
            self.ranges.pop_front();
        }
        self.ranges.push_back(remembered);
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

    fn done(window: &[(Id, Range)], bodies: &[Range]) -> Candidates {
        Candidates { done: window.to_vec(), bodies: bodies.to_vec(), ..Candidates::default() }
    }

    fn charged(errors: &mut RowErrors, status: &ChannelStatus, window: &[(Id, Range)]) -> Vec<Id> {
        let bodies: Vec<Range> = window.iter().map(|(_, r)| r.clone()).collect();
        let charges = errors.charge(status, &done(window, &bodies), Some(&t(1000)));
        charges.uploads.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn one_rejection_is_charged_to_the_append_that_holds_it() {
        let window = [(1, range(1, 10)), (2, range(11, 20)), (3, range(21, 30))];
        for (count, bound, expected) in [
            (7, Some(15), vec![]),
            (8, Some(15), vec![2]),
            (9, Some(15), vec![1, 2]),
            (8, None, vec![1, 2, 3]),
        ] {
            let mut errors = RowErrors::default();
            errors.baseline(&status(7, None));
            assert_eq!(charged(&mut errors, &status(count, bound), &window), expected, "{count} {bound:?}");
        }
    }

    #[test]
    fn a_rejection_counted_while_its_upload_was_half_committed_is_charged_at_its_end() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let begun = Candidates {
            begun: vec![range(1, 30)],
            bodies: vec![range(1, 10)],
            more: true,
            ..Candidates::default()
        };
        let charges = errors.charge(&status(1, Some(10)), &begun, Some(&t(10)));
        assert_eq!(charges, Charges::default());
        let charges =
            errors.charge(&status(2, Some(30)), &done(&[(1, range(1, 30))], &[range(11, 30)]), Some(&t(30)));
        let (upload, rejected) = &charges.uploads[0];
        assert_eq!((*upload, rejected.count), (1, 2));
        assert_eq!(rejected.ranges, [(t(1), t(10)), (t(11), t(30))]);
    }

    #[test]
    fn a_shared_body_makes_all_its_uploads_suspects() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let window = [(1, range(1, 10)), (2, range(11, 20)), (3, range(21, 30))];
        let bodies = [range(1, 20), range(21, 30)];
        let charges = errors.charge(&status(1, Some(20)), &done(&window, &bodies), Some(&t(30)));
        assert_eq!(charges.uploads.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_is_shared_is_counted_once() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let window = [(1, range(1, 10)), (2, range(11, 20)), (3, range(21, 30))];
        let charges = errors.charge(&status(4, None), &done(&window, &[range(1, 30)]), Some(&t(30)));
        let counts: Vec<u64> = charges.uploads.iter().map(|(_, rejected)| rejected.count).collect();
        assert_eq!(counts, [4, 0, 0]);
        assert!(charges.uploads[2].1.message.contains("rejected 4 row(s)"), "{charges:?}");
        // Come again, because NiFi did not keep what was told: the same.
        let again = |start, end| errors.known(&t(start), &t(end)).unwrap().count;
        assert_eq!((again(1, 10), again(11, 20)), (4, 0));
    }

    #[test]
    fn a_count_that_runs_ahead_of_the_commit_waits_for_it() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let more = Candidates { more: true, ..Candidates::default() };
        let early = errors.charge(&status(1, Some(20)), &more, Some(&t(10)));
        assert_eq!(early, Charges::default());
        assert_eq!(charged(&mut errors, &status(1, Some(20)), &[(5, range(11, 20))]), [5]);
    }

    #[test]
    fn rejections_of_others_are_stray_and_remembered() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let charges = errors.charge(&status(2, Some(20)), &Candidates::default(), Some(&t(20)));
        assert_eq!(charges.stray, 2);
        assert!(errors.known(&t(15), &t(25)).is_some());
        assert!(errors.known(&t(1), &t(5)).is_none());
    }

    #[test]
    fn reports_lie_next_to_each_other_and_hold_what_was_counted() {
        let mut errors = RowErrors::default();
        errors.charge(&status(7, None), &Candidates::default(), Some(&t(10)));
        let mut report = |count, window: &[(Id, Range)], committed| {
            let charges = errors.charge(&status(count, None), &done(window, &[]), Some(&t(committed)));
            charges.uploads.first().map(|(_, rejected)| rejected.reports.clone())
        };
        let told = |count, after, upto, charged| {
            let (after, upto) = (Some(t(after)), Some(t(upto)));
            Some(vec![(Report { count, after, upto, extent: Extent::Exact }, charged)])
        };
        assert_eq!(report(9, &[(1, range(11, 20)), (2, range(21, 30))], 30), told(2, 10, 30, 2));
        assert_eq!(report(9, &[(3, range(31, 40))], 40), None);
        assert_eq!(report(10, &[(4, range(41, 50))], 50), told(1, 40, 50, 1));
        assert_eq!(
            report(10, &[(2, range(21, 30))], 50),
            told(2, 10, 30, 0),
            "come again, charged to another"
        );
    }

    #[test]
    fn a_new_channel_counts_from_its_own_beginning() {
        let mut errors = RowErrors::default();
        errors.baseline(&status(9, None));
        assert!(charged(&mut errors, &status(0, None), &[(1, range(1, 2))]).is_empty());
        assert_eq!(charged(&mut errors, &status(1, None), &[(1, range(1, 2))]), [1]);
    }
}
