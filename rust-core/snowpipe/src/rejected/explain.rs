//! Whether the rows of an error table are the ones that were counted.

use std::collections::HashSet;
use std::sync::Arc;

use crate::machine::{Extent, Report, Token};

/// A rejected row as the error table tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) channel: String,
    /// Its offset token; unknown when it cannot be read from what was kept of the row.
    pub(crate) token: Option<Token>,
    /// Beginning and end of the append that held it.
    pub(crate) lower: Option<Token>,
    pub(crate) upper: Option<Token>,
    /// The row itself, when it has no token.
    pub(crate) payload: Option<String>,
    /// Code and text of the error.
    pub(crate) said: String,
}

impl Row {
    /// A token that is in the same append as the row, at least.
    fn place(&self) -> Option<&Token> {
        self.token.as_ref().or(self.upper.as_ref())
    }

    pub(crate) fn is_of(&self, channel: &str, report: &Report) -> bool {
        let after = |place: &Token| report.after.as_ref().is_none_or(|after| place > after);
        let upto = |place: &Token| report.upto.as_ref().is_some_and(|upto| place <= upto);
        let within = match &report.extent {
            Extent::Exact => self.place().is_some_and(|place| after(place) && upto(place)),
            Extent::Earlier { .. } => {
                let from = |place: &Token| report.after.as_ref().is_none_or(|first| place >= first);
                let first = self.token.as_ref().or(self.lower.as_ref()).or(self.upper.as_ref());
                self.place().is_some_and(from) && first.is_some_and(upto)
            }
        };
        self.channel == channel && within
    }
}

/// Rejected rows that a report is about, as far as `rows` has them; one that is there twice counts once.
fn found(channel: &str, report: &Report, rows: &[Arc<Row>]) -> u64 {
    let mut tokens = HashSet::new();
    let new = rows.iter().filter(|row| row.is_of(channel, report)).filter(|row| match &row.token {
        Some(token) => tokens.insert(token.clone()),
        None => true,
    });
    new.count() as u64
}

/// Which of the reports of a channel, oldest first, `rows` explains: as many rows as were counted. Where the count ran ahead
/// of the commits, or behind, reports next to each other are explained together.
pub(crate) fn explained(channel: &str, reports: &[Report], rows: &[Arc<Row>]) -> Vec<bool> {
    let (exact, earlier): (Vec<usize>, Vec<usize>) =
        (0..reports.len()).partition(|at| reports.get(*at).is_some_and(|r| r.extent == Extent::Exact));
    let mut known = vec![false; reports.len()];
    let of = |at: &usize| reports.get(*at).cloned();
    let counted: Vec<Report> = exact.iter().filter_map(of).collect();
    let told = explained_exactly(channel, &counted, rows);
    let found = earlier.iter().map(|at| of(at).is_some_and(|report| has_all(channel, &report, rows)));
    for (at, told) in exact.iter().zip(told).chain(earlier.iter().zip(found)) {
        if let Some(known) = known.get_mut(*at) {
            *known = told;
        }
    }
    known
}

/// Whether `rows` can be all that others left behind: no more than the channel has counted, and those of the append that the
/// channel names, when it is one of the range. The rows were rejected before this process began, so what is there is all.
fn has_all(channel: &str, report: &Report, rows: &[Arc<Row>]) -> bool {
    let Extent::Earlier { bound } = &report.extent else { return false };
    let last = |row: &Arc<Row>| row.channel == channel && row.upper == *bound;
    found(channel, report, rows) <= report.count && (bound.is_none() || rows.iter().any(last))
}

fn explained_exactly(channel: &str, reports: &[Report], rows: &[Arc<Row>]) -> Vec<bool> {
    let founds: Vec<u64> = reports.iter().map(|report| found(channel, report, rows)).collect();
    let mut explained: Vec<bool> =
        reports.iter().zip(&founds).map(|(report, found)| report.count == *found).collect();
    let joined = |at: usize| {
        at > 0 && reports.get(at - 1).zip(reports.get(at)).is_some_and(|(a, b)| a.upto == b.after)
    };
    let mut start = 0;
    while start < reports.len() {
        if explained.get(start) == Some(&true) {
            start += 1;
            continue;
        }
        let (mut counted, mut had, mut end) = (0, 0, start);
        while let (Some(report), Some(found)) = (reports.get(end), founds.get(end)) {
            if end > start && (!joined(end) || explained.get(end) == Some(&true)) {
                break;
            }
            (counted, had, end) = (counted + report.count, had + found, end + 1);
            if counted == had {
                explained.iter_mut().take(end).skip(start).for_each(|known| *known = true);
                break;
            }
        }
        start = end;
    }
    explained
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(n: u64) -> Token {
        n.to_string().parse().unwrap()
    }

    fn report(count: u64, after: u64, upto: u64) -> Report {
        Report { count, after: (after > 0).then(|| t(after)), upto: Some(t(upto)), extent: Extent::Exact }
    }

    fn rows(tokens: &[u64]) -> Vec<Arc<Row>> {
        let row = |n: &u64| Row {
            channel: "c".into(),
            token: Some(t(*n)),
            lower: None,
            upper: None,
            payload: None,
            said: String::new(),
        };
        tokens.iter().map(|n| Arc::new(row(n))).collect()
    }

    #[test]
    fn as_many_rows_as_were_counted_no_less_and_no_more() {
        for (count, tokens, expected) in [
            (2, &[11, 20][..], true),
            (2, &[11, 20, 10, 21], true),
            (2, &[11, 11, 20], true),
            (2, &[11], false),
            (2, &[11, 12, 13], false),
            (2, &[], false),
        ] {
            let known = explained("c", &[report(count, 10, 20)], &rows(tokens));
            assert_eq!(known, [expected], "{count} {tokens:?}");
            assert_eq!(explained("d", &[report(count, 10, 20)], &rows(tokens)), [false]);
        }
    }

    #[test]
    fn reports_next_to_each_other_explain_one_another() {
        let ahead = [report(2, 0, 10), report(1, 10, 20), report(1, 20, 30)];
        assert_eq!(explained("c", &ahead, &rows(&[5, 15, 16, 25])), [true, true, true]);
        assert_eq!(explained("c", &ahead, &rows(&[5, 15, 25])), [false, true, true]);
        let apart = [report(2, 0, 10), report(1, 12, 20)];
        assert_eq!(explained("c", &apart, &rows(&[5, 15, 16])), [false, false]);
    }

    #[test]
    fn what_others_left_behind_is_known_when_it_can_be_all() {
        let earlier = |count, bound: Option<u64>| {
            let extent = Extent::Earlier { bound: bound.map(t) };
            Report { count, after: Some(t(11)), upto: Some(t(20)), extent }
        };
        let within = |tokens: &[u64], upper| -> Vec<Arc<Row>> {
            rows(tokens)
                .into_iter()
                .map(|row| Arc::new(Row { upper: Some(t(upper)), ..(*row).clone() }))
                .collect()
        };
        for (report, rows, expected) in [
            (earlier(9, None), within(&[], 20), true),
            (earlier(9, None), within(&[11, 20], 30), true),
            (earlier(9, Some(20)), within(&[11, 20], 20), true),
            (earlier(9, Some(20)), within(&[], 20), false),
            (earlier(9, Some(20)), within(&[11], 15), false),
            (earlier(9, Some(20)), within(&[5], 20), true),
            (earlier(1, Some(20)), within(&[11, 20], 20), false),
            (earlier(1, Some(20)), within(&[10, 20, 21], 20), true),
        ] {
            assert_eq!(
                explained("c", std::slice::from_ref(&report), &rows),
                [expected],
                "{report:?} {rows:?}"
            );
        }
    }

    #[test]
    fn a_row_without_a_token_counts_by_its_append() {
        let mut found = rows(&[5]);
        let lost = |upper| Row { token: None, upper: Some(t(upper)), ..(*found[0]).clone() };
        let (inside, outside) = (Arc::new(lost(10)), Arc::new(lost(20)));
        found.extend([Arc::clone(&inside), inside, outside]);
        assert_eq!(explained("c", &[report(3, 0, 10)], &found), [true]);
    }
}
