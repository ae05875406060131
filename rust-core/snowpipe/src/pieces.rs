//! Which rows of an upload take another way than the rest.

use crate::body::{Layout, Refused, Run};
use crate::machine::Token;
use crate::progress::{Piece, State};

/// Rows that fit into no request.
pub(crate) fn refused(layout: &Layout) -> Vec<Piece> {
    let piece = |row: &Refused| {
        let place = match &row.token {
            Some(token) => format!("with offset token {token}"),
            None => format!("at byte {} of the FlowFile", row.offset),
        };
        Piece {
            kind: State::Failed,
            offset: row.offset,
            length: row.length,
            rows: 1,
            tokens: row.token.as_ref().map(|token| (token.to_string(), token.to_string())),
            reason: format!(
                "the row {place} has {} bytes and is larger than a request to Snowflake may be; the other rows of its \
                 FlowFile are published",
                row.length
            ),
        }
    };
    layout.refused.iter().map(piece).collect()
}

/// Rows of the appends that hold the rejected ones: those with tokens in `ranges`. None when these are all rows of the upload,
/// or not known: then it goes that way as a whole.
pub(crate) fn rejected(layout: &Layout, ranges: &[(Token, Token)], reason: &str) -> Vec<Piece> {
    let hit = |run: &Run| {
        ranges
            .iter()
            .find(|(first, last)| run.last >= *first && run.after.as_ref().is_none_or(|after| after < last))
    };
    if ranges.is_empty() || layout.runs.iter().all(|run| hit(run).is_some()) {
        return Vec::new();
    }
    let piece = |run: &Run| {
        let (first, last) = hit(run)?;
        let first = run.after.as_ref().map_or(first, |after| after.max(first));
        Some(Piece {
            kind: State::Invalid,
            offset: run.offset,
            length: run.length,
            rows: run.rows,
            tokens: Some((first.to_string(), (&run.last).min(last).to_string())),
            reason: reason.to_owned(),
        })
    };
    layout.runs.iter().filter_map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(n: u64) -> Token {
        n.to_string().parse().unwrap()
    }

    fn layout() -> Layout {
        let run = |after: Option<u64>, last, offset| Run {
            after: after.map(t),
            last: t(last),
            offset,
            length: 100,
            rows: 10,
        };
        let mut layout = Layout::default();
        layout.runs = vec![run(None, 10, 0), run(Some(10), 20, 100), run(Some(20), 30, 200)];
        layout
    }

    #[test]
    fn only_the_appends_in_the_range_are_taken_out() {
        for (first, last, offsets) in [
            (11, 20, vec![100]),
            (5, 15, vec![0, 100]),
            (20, 20, vec![100]),
            (21, 40, vec![200]),
            (1, 30, vec![]),
        ] {
            let found: Vec<u64> =
                rejected(&layout(), &[(t(first), t(last))], "r").iter().map(|piece| piece.offset).collect();
            assert_eq!(found, offsets, "{first} to {last}");
        }
    }
}
