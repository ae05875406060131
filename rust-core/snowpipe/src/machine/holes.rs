//! Token ranges the channel has passed, or may pass, without their rows being in the table.

use std::collections::VecDeque;

use super::types::Token;

/// Ranges kept of those that were given up and those that nobody told of, each; the oldest go first.
const KEEP: usize = 512;

#[derive(Debug, Clone)]
struct Hole {
    /// Everything up to here is accounted for.
    after: Token,
    upto: Token,
    /// Whether `upto` itself belongs to the range.
    inclusive: bool,
    /// Rows exist and are missing; otherwise the range is known to hold no rows.
    lost: bool,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Holes(VecDeque<Hole>);

impl Holes {
    /// Rows in `(after, upto]` were given up.
    pub(super) fn lost(&mut self, after: Token, upto: Token) {
        self.push(Hole { after, upto, inclusive: true, lost: true });
    }

    /// `(after, upto]` holds no rows.
    pub(super) fn nothing(&mut self, after: Token, upto: Token) {
        self.push(Hole { after, upto, inclusive: true, lost: false });
    }

    /// Nobody said what is between `after` and the row `next`.
    pub(super) fn unknown(&mut self, after: Token, next: Token) {
        self.push(Hole { after, upto: next, inclusive: false, lost: true });
    }

    fn push(&mut self, hole: Hole) {
        if hole.after >= hole.upto {
            return;
        }
        // Where nobody tells of predecessors every upload makes one of these; what was given up stays.
        let alike = |known: &Hole| known.inclusive == hole.inclusive;
        if self.0.iter().filter(|known| alike(known)).count() >= KEEP
            && let Some(oldest) = self.0.iter().position(alike)
        {
            self.0.remove(oldest);
        }
        self.0.push_back(hole);
    }

    /// Whether no range is known to lack rows. What nobody told of is no reason to keep a channel.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|hole| !hole.inclusive)
    }

    /// How far a predecessor may reach when everything up to `tail` is accounted for.
    pub(super) fn reach(&self, tail: &Token) -> Token {
        let mut reached = tail.clone();
        while let Some(hole) =
            self.0.iter().find(|hole| hole.inclusive && hole.after <= reached && hole.upto > reached)
        {
            reached = hole.upto.clone();
        }
        reached
    }

    /// Whether rows between `start` and `end` were left behind by a tail at `tail`.
    pub(super) fn left_behind(&self, start: &Token, end: &Token, tail: &Token) -> bool {
        self.0.iter().any(|hole| {
            hole.lost
                && *end > hole.after
                && (*start < hole.upto || (hole.inclusive && *start == hole.upto))
                && *tail > hole.after
        })
    }

    /// Rows from `start` to `end` are about to be published: what they fill is no hole, what they leave of one still is.
    pub(super) fn fill(&mut self, start: &Token, end: &Token) {
        let (filled, rest): (VecDeque<Hole>, _) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|hole| *start <= hole.upto && *end > hole.after);
        self.0 = rest;
        for hole in filled.into_iter().filter(|hole| hole.lost) {
            if *end < hole.upto {
                self.push(Hole { after: end.clone(), ..hole.clone() });
            }
            if *start > hole.after {
                self.push(Hole { upto: start.clone(), inclusive: false, ..hole });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(n: u64) -> Token {
        n.to_string().parse().unwrap()
    }

    #[test]
    fn chains_of_holes_are_crossed() {
        let mut holes = Holes::default();
        holes.lost(t(10), t(20));
        holes.nothing(t(20), t(25));
        holes.unknown(t(25), t(30));
        assert_eq!(holes.reach(&t(9)), t(9));
        assert_eq!(holes.reach(&t(10)), t(25));
        assert_eq!(holes.reach(&t(15)), t(25));
        assert_eq!(holes.reach(&t(40)), t(40));
    }

    #[test]
    fn what_nobody_told_of_displaces_nothing_that_was_given_up() {
        let mut holes = Holes::default();
        holes.unknown(t(1), t(5));
        assert!(holes.is_empty(), "a channel is let go with it");
        holes.lost(t(10), t(20));
        for n in 10..2_000 {
            holes.unknown(t(n * 10 + 1), t(n * 10 + 10));
        }
        assert!(!holes.is_empty());
        assert!(holes.left_behind(&t(11), &t(20), &t(50_000)));
        assert!(holes.left_behind(&t(19_992), &t(19_993), &t(50_000)), "the newest are kept");
        assert!(!holes.left_behind(&t(102), &t(103), &t(50_000)), "the oldest are not");
    }

    #[test]
    fn only_lost_rows_behind_the_tail_count() {
        let mut holes = Holes::default();
        holes.lost(t(10), t(20));
        holes.nothing(t(20), t(25));
        holes.unknown(t(30), t(40));
        for (start, end, tail, expected) in [
            (11, 20, 50, true),
            (20, 20, 50, true),
            (11, 20, 10, false),
            (1, 10, 50, false),
            (21, 25, 50, false),
            (31, 39, 50, true),
            (40, 45, 50, false),
        ] {
            assert_eq!(holes.left_behind(&t(start), &t(end), &t(tail)), expected, "{start}-{end} at {tail}");
        }
        holes.fill(&t(11), &t(20));
        assert!(!holes.left_behind(&t(11), &t(20), &t(50)));
    }

    #[test]
    fn what_is_published_of_a_hole_leaves_the_rest_of_it() {
        let left = |start, end| {
            let mut holes = Holes::default();
            holes.lost(t(10), t(30));
            holes.fill(&t(start), &t(end));
            (11..=30).filter(|n| holes.left_behind(&t(*n), &t(*n), &t(50))).collect::<Vec<_>>()
        };
        assert_eq!(left(30, 40), (11..30).collect::<Vec<_>>());
        assert_eq!(left(21, 25), (11..21).chain(26..=30).collect::<Vec<_>>());
        assert_eq!(left(5, 15), (16..=30).collect::<Vec<_>>());
        assert!(left(1, 50).is_empty());
    }
}
