//! Rows the service rejected after accepting them: counted by the service per channel, cumulatively and across opens.
//!
//! The count says how many, the upper bound in which append the last one was. What cannot be told apart is charged to
//! every upload that may be meant: an upload with rejected rows is never reported as plain success.

use std::collections::VecDeque;

use super::earlier::Earlier;
use super::types::{Body, ChannelStatus, Charged, Extent, Id, Report, Token};

/// Reports of rejected rows that are remembered for uploads that come again.
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

/// An append, by its tokens.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) start: Token,
    /// What the channel's committed token is after it.
    pub(super) token: Token,
    /// Token of its last row's upload, see [`Body::reach`].
    pub(super) reach: Token,
}

impl Append {
    pub(super) fn of(body: &Body) -> Self {
        Self { start: body.first.clone(), token: body.last.clone(), reach: body.reach.clone() }
    }

    fn range(&self) -> Range {
        Range { start: self.start.clone(), end: self.reach.clone() }
    }
}

#[derive(Debug, Clone)]
struct Remembered {
    /// Uploads that may be meant, and the appends that may hold the rows, for uploads that are not known now. The first is
    /// charged with the count.
    ranges: Vec<Range>,
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
    /// The appends that became committed, and those that are under way.
    pub(super) bodies: Vec<Append>,
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
    remembered: VecDeque<Remembered>,
    /// Rejections of rows that others have published.
    earlier: Earlier,
}

/// Result of [`RowErrors::charge`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Charges {
    pub(super) uploads: Vec<(Id, Rejected)>,
    /// Rejections that belong to no upload of this process.
    pub(super) stray: u64,
    /// Others may have published the rejected rows.
    pub(super) doubtful: bool,
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
        self.remembered.is_empty()
    }

    /// Charges rejections to the committed uploads: new ones, and those counted while an upload was half committed.
    pub(super) fn charge(
        &mut self,
        status: &ChannelStatus,
        candidates: &Candidates,
        committed: Option<&Token>,
    ) -> Charges {
        let (stray, doubtful) = self.count(status, candidates, committed);
        let known = |(id, range): &(Id, Range)| Some((*id, self.known(&range.start, &range.end)?));
        Charges { uploads: candidates.done.iter().filter_map(known).collect(), stray, doubtful }
    }

    /// Whether rows were rejected since the last look.
    pub(super) fn has_grown(&self, status: &ChannelStatus) -> bool {
        self.seen.is_some_and(|seen| status.row_errors > seen)
    }

    /// Uploads that come from now on may hold rows that others have published, and that were rejected.
    pub(super) fn doubt(&mut self, status: &ChannelStatus, committed: Option<&Token>) {
        self.earlier.note(status, committed);
    }

    /// Remembers new rejections with the uploads that may be meant; returns those that are nobody's, and whether others may
    /// have published the rows.
    fn count(
        &mut self,
        status: &ChannelStatus,
        candidates: &Candidates,
        committed: Option<&Token>,
    ) -> (u64, bool) {
        if self.seen.is_none_or(|seen| status.row_errors < seen) {
            self.earlier.note(status, committed);
        }
        self.baseline(status);
        let count = status.row_errors - self.seen.unwrap_or(status.row_errors);
        if count == 0 {
            self.told_to = self.told_to.take().max(committed.cloned());
            return (0, false);
        }
        self.bound = status.last_error_bound.as_deref().and_then(|text| text.parse().ok());
        self.message = status.last_error_message.clone().unwrap_or_default();
        let ahead = self.bound.as_ref().is_some_and(|bound| committed.is_none_or(|c| bound > c));
        if candidates.more && ahead && count == 1 {
            // Counted before its commit is visible: charged with the commit.
            return (0, false);
        }
        self.seen = Some(status.row_errors);
        // Of several some may be ahead of the commit.
        let upto = committed.max(self.bound.as_ref()).cloned();
        let after = std::mem::replace(&mut self.told_to, upto.clone());
        let report = Report { count, after, upto, extent: Extent::Exact };
        let Candidates { bodies, .. } = candidates;
        let within = |range: &Range, token: &Token| range.start <= reach(token, bodies);
        let counted = |range: &&Range| {
            self.bound.as_ref().is_none_or(|bound| within(range, bound))
                || committed.is_some_and(|token| within(range, token))
        };
        let begun = candidates.begun.iter().filter(counted);
        let window: Vec<Range> =
            candidates.done.iter().map(|(_, range)| range).chain(begun).cloned().collect();
        let suspects = self.suspects(count, &window, bodies);
        let ranges: Vec<Range> = bodies.iter().map(Append::range).collect();
        let appends = self.suspects(count, &ranges, bodies);
        let narrow = self.narrow(count, bodies);
        let message = self.text(count, &window, &suspects, narrow.as_ref());
        let ours = bodies.iter().map(|body| &body.token).filter(|token| Some(*token) <= committed).max();
        let theirs = self.bound.as_ref().is_some_and(|bound| bodies.iter().all(|body| body.token != *bound));
        let doubtful = suspects.is_empty() || theirs || committed > ours;
        let stray = if suspects.is_empty() { count } else { 0 };
        let bound = self.bound.iter().filter(|_| stray > 0);
        let bound = bound.map(|bound| Range { start: bound.clone(), end: bound.clone() });
        let ranges: Vec<Range> = suspects.into_iter().chain(bound).chain(appends).collect();
        self.remember(Remembered { ranges, report, message, narrow: narrow.filter(|_| stray == 0) });
        (stray, doubtful)
    }

    /// Rejections remembered for a range whose rows are in the channel; the same ones each time the range comes.
    pub(super) fn known(&self, start: &Token, end: &Token) -> Option<Rejected> {
        let range = Range { start: start.clone(), end: end.clone() };
        let meets = |known: &&Remembered| known.ranges.iter().any(|known| known.meets(&range));
        let hits: Vec<&Remembered> = self.remembered.iter().filter(meets).collect();
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
        let charged = |hit: &Remembered| match hit.ranges.first().is_some_and(|first| first.meets(&range)) {
            true => hit.report.count,
            false => 0,
        };
        let reports: Vec<Charged> = hits.iter().map(|hit| (hit.report.clone(), charged(hit))).collect();
        let count = reports.iter().map(|(_, charged)| charged).sum();
        Some(Rejected { count, message, ranges: ranges.unwrap_or_default(), reports })
    }

    /// What the last message of the service said, for stray rejections.
    pub(super) fn last_message(&self) -> &str {
        &self.message
    }

    fn suspects(&self, count: u64, window: &[Range], bodies: &[Append]) -> Vec<Range> {
        let Some(bound) = &self.bound else { return window.to_vec() };
        let hits = || bodies.iter().filter(|body| body.start <= *bound && *bound <= body.token);
        let last = hits().map(|body| &body.reach).max().unwrap_or(bound);
        // Where no append of ours ends, it may be that of another writer, and its rows begin anywhere.
        let exact = count == 1 && hits().all(|body| body.token == *bound);
        let first = hits().map(|body| &body.start).min().filter(|_| exact);
        window
            .iter()
            .filter(|range| range.start <= *last && first.is_none_or(|first| range.end >= *first))
            .cloned()
            .collect()
    }

    /// Where the rejected rows are, as far as bodies tell: one is in the append of the bound, several are in it or before.
    fn narrow(&self, count: u64, bodies: &[Append]) -> Option<(Token, Token)> {
        let bound = self.bound.as_ref()?;
        let hits = || bodies.iter().filter(|body| body.token == *bound);
        let last = hits().map(|body| &body.reach).max()?;
        let first = if count == 1 { hits().next()? } else { bodies.first()? };
        Some((first.start.clone(), last.clone()))
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

    fn remember(&mut self, remembered: Remembered) {
        if self.remembered.len() >= KEEP {
            self.remembered.pop_front();
        }
        self.remembered.push_back(remembered);
    }
}

/// Token of the last upload with rows in appends up to `token`.
fn reach(token: &Token, bodies: &[Append]) -> Token {
    let appends = bodies.iter().filter(|body| body.token <= *token);
    appends.map(|body| &body.reach).chain([token]).max().unwrap_or(token).clone()
}

#[cfg(test)]
mod tests;
