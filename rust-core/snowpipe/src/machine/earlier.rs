//! Rows that were in the channel before this process looked at it. Nobody here was charged with those of them that the
//! service rejected, and whoever published them may have ended before telling: FlowFiles with such rows come back.

use super::errors::Rejected;
use super::types::{ChannelStatus, Extent, Id, Report, Settled, Token};
use super::{Machine, Upload};

/// Rejections that were counted before, by somebody else.
#[derive(Debug, Default)]
pub(super) struct Earlier(Option<Known>);

#[derive(Debug)]
struct Known {
    count: u64,
    /// End of the append that holds the last one.
    bound: Option<Token>,
    /// Rows up to here were in the channel, or about to be.
    upto: Token,
    message: String,
}

/// Rejections among rows that are found in the channel.
#[derive(Debug)]
struct Suspicion<'a> {
    report: Report,
    /// The last rejection of the channel was in an append that ends among the rows.
    bound: Option<&'a Token>,
    known: &'a Known,
}

impl Earlier {
    /// Takes over what the service has counted for rows up to `committed`, or ahead of it.
    pub(super) fn note(&mut self, status: &ChannelStatus, committed: Option<&Token>) {
        let bound: Option<Token> = status.last_error_bound.as_deref().and_then(|text| text.parse().ok());
        let upto = committed.max(bound.as_ref()).filter(|_| status.row_errors > 0).cloned();
        let message = status.last_error_message.clone().unwrap_or_default();
        self.0 = upto.map(|upto| Known { count: status.row_errors, bound, upto, message });
    }

    /// What may have become of the rows from `start` to `end`, as far as they were in the channel.
    /// Without row tokens an append that ends before them may hold the first ones.
    fn suspicion(&self, start: &Token, end: &Token, row_tokens: bool) -> Option<Suspicion<'_>> {
        let known = self.0.as_ref().filter(|known| *start <= known.upto)?;
        let end = end.min(&known.upto);
        let before = known.bound.as_ref().is_some_and(|bound| bound < start);
        if before && row_tokens {
            return None;
        }
        let bound = known.bound.as_ref().filter(|bound| !before && *bound <= end);
        let report = Report {
            count: known.count,
            after: Some(start.clone()),
            upto: Some(end.clone()),
            extent: Extent::Earlier { bound: bound.cloned() },
        };
        Some(Suspicion { report, bound, known })
    }
}

impl Suspicion<'_> {
    /// Rejections that are known to be among the rows; the service tells only whether the last one is.
    fn count(&self) -> u64 {
        u64::from(self.bound.is_some() && self.known.count == 1)
    }

    fn text(&self, query: &str) -> String {
        let Known { count, bound, message, .. } = self.known;
        let last = bound.as_ref().map_or("unknown", Token::as_str);
        let reason = if message.is_empty() { "no reason given" } else { message };
        let place = match self.bound {
            Some(_) => {
                "Rows of the FlowFile were stored before, and nobody was told which of them Snowflake rejected: the last \
                 rejected row of the channel was in a request that ends among them"
            }
            None => {
                "FlowFiles came back whose rows were stored before, and whether some of them were rejected is not known: \
                 they are success"
            }
        };
        format!(
            "{place}. Snowflake has rejected {count} row(s) of the channel until then, the last one at or before {last}: \
             {reason}. With ERROR_LOGGING = TRUE they are told by: {query}"
        )
    }
}

impl Machine {
    /// How an upload ends whose rows are in the table, but for those that the service rejected or that were left out.
    pub(super) fn stored(&self, id: Id, charge: Option<Rejected>, skipped_whole: bool) -> Settled {
        let Some(upload) = self.uploads.get(&id) else { return Settled::Committed { skipped_whole } };
        let (label, refused) = (&self.rules.label, upload.refused_rows);
        let earlier = self.suspicion(upload);
        if charge.is_none() && refused == 0 && earlier.is_none() {
            return Settled::Committed { skipped_whole };
        }
        let mut texts = Vec::new();
        let certain = charge.is_some() || refused > 0 || earlier.as_ref().is_some_and(|e| e.bound.is_some());
        if charge.is_none() && refused > 0 {
            texts.push(format!(
                "{refused} row(s) are larger than a request to Snowflake may be and were left out; the others are in the \
                 table"
            ));
        }
        let mut charge = charge.unwrap_or_default();
        if !charge.message.is_empty() {
            texts.push(std::mem::take(&mut charge.message));
        }
        let mut row_errors = charge.count + refused;
        if let Some(earlier) = earlier {
            texts.push(earlier.text(&self.rules.error_query));
            let count = earlier.count();
            row_errors += count;
            if earlier.bound.is_some() {
                // The appends that held those rows are not known.
                charge.ranges.clear();
            }
            charge.reports.push((earlier.report, count));
        }
        let message = format!("{label}: {}", texts.join(". "));
        let Rejected { ranges, reports, .. } = charge;
        Settled::Invalid { certain, skipped_whole, row_errors, message, ranges, reports }
    }

    fn suspicion(&self, upload: &Upload) -> Option<Suspicion<'_>> {
        // Without tracking no row was in the channel before.
        let earlier = self.rules.tracked.then(|| self.errors.earlier())?;
        earlier.suspicion(&upload.span.start, &upload.span.end, self.rules.row_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(n: u64) -> Token {
        n.to_string().parse().unwrap()
    }

    fn noted(row_errors: u64, bound: Option<u64>, committed: u64) -> Earlier {
        let mut earlier = Earlier::default();
        let last_error_bound = bound.map(|n| n.to_string());
        let status = ChannelStatus { row_errors, last_error_bound, ..ChannelStatus::default() };
        earlier.note(&status, Some(&t(committed)));
        earlier
    }

    #[test]
    fn rows_are_suspected_as_far_as_the_last_rejection_may_be_among_them() {
        for (row_errors, bound, start, end, expected) in [
            (0, None, 11, 20, None),
            (2, Some(10), 11, 20, None),
            (2, Some(15), 11, 20, Some((20, true))),
            (2, Some(25), 11, 20, Some((20, false))),
            (2, None, 11, 20, Some((20, false))),
            (2, Some(25), 21, 50, Some((30, true))),
            (2, Some(25), 31, 50, None),
            (2, Some(40), 31, 38, Some((38, false))),
        ] {
            let earlier = noted(row_errors, bound, 30);
            let found = earlier.suspicion(&t(start), &t(end), true);
            let told = found.map(|found| (found.report.upto, found.bound.is_some()));
            let expected = expected.map(|(upto, certain)| (Some(t(upto)), certain));
            assert_eq!(told, expected, "{row_errors} up to {bound:?}, rows {start} to {end}");
        }
    }
}
