//! The committed appends of a channel, checked for order as they come.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::snapshot::CommittedRange;

/// Ranges kept; checks do not need the older ones.
const KEPT: usize = 10_000;
/// Violations kept; the first ones tell most.
const MOST_VIOLATIONS: usize = 100;

/// Tokens that are to ascend.
#[derive(Debug, Default)]
pub(crate) struct Ascent(Option<String>);

impl Ascent {
    /// Notes the next token; what is wrong with it, if it is a decimal number that is not above the one before.
    pub(crate) fn step(&mut self, token: &str) -> Option<String> {
        let last = self.0.replace(token.to_owned())?;
        let falls = matches!(compare(token, &last), Some(Ordering::Less | Ordering::Equal));
        falls.then(|| format!("{token} follows {last}"))
    }
}

/// What was committed.
#[derive(Debug, Default)]
pub(crate) struct History {
    ranges: VecDeque<CommittedRange>,
    last: Option<String>,
    violations: Vec<String>,
}

impl History {
    /// Notes a committed append. With decimal tokens it must begin after the end of the one before.
    pub(crate) fn push(&mut self, range: CommittedRange) {
        let start = range.start.as_deref().or(range.end.as_deref());
        if let (Some(last), Some(start)) = (&self.last, start)
            && compare(start, last) != Some(Ordering::Greater)
        {
            self.violation(format!("{start} follows {last}"));
        }
        if let (Some(start), Some(end)) = (&range.start, &range.end)
            && compare(start, end) == Some(Ordering::Greater)
        {
            self.violation(format!("{start} is above {end}"));
        }
        if range.end.is_some() {
            self.last.clone_from(&range.end);
        }
        self.ranges.push_back(range);
        if self.ranges.len() > KEPT {
            self.ranges.pop_front();
        }
    }

    fn violation(&mut self, text: String) {
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(text);
        }
    }

    /// The newest ranges, oldest first.
    pub(crate) fn ranges(&self) -> Vec<CommittedRange> {
        self.ranges.iter().cloned().collect()
    }

    pub(crate) fn violations(&self) -> &[String] {
        &self.violations
    }
}

/// Order of two decimal numbers of any length; `None` when one is something else.
fn compare(a: &str, b: &str) -> Option<Ordering> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    if !number(a) || !number(b) {
        return None;
    }
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    Some(a.len().cmp(&b.len()).then_with(|| a.cmp(b)))
}
