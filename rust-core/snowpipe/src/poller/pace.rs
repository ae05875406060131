//! When to ask for commits: just after acknowledged rows should have become visible, and never often.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::machine::Now;

/// Expected time from the acknowledgement to the visible commit before anything is known.
const LAG: Duration = Duration::from_millis(75);
const SHORTEST_LAG: Duration = Duration::from_millis(5);
const LONGEST_LAG: Duration = Duration::from_secs(10);
/// First look when nothing was acknowledged that a commit could be expected of.
const UNPROMPTED: Duration = Duration::from_millis(250);
/// First look after one that came too early.
const AGAIN: Duration = Duration::from_millis(75);
/// Longest time between two looks.
pub(super) const SLOWEST: Duration = Duration::from_secs(1);
/// Calls on average.
const CALLS_A_SECOND: f64 = 1.4;
/// Calls saved up while there was nothing to look at.
const BURST: f64 = 2.0;
/// Acknowledgements remembered of a channel.
const REMEMBERED: usize = 64;

/// An acknowledged append.
#[derive(Debug)]
struct Append {
    token: String,
    at: Now,
}

/// Pace of the calls of one pipe.
#[derive(Debug)]
pub(super) struct Pace {
    /// Expected time from the acknowledgement to the visible commit.
    lag: Duration,
    /// After this time the commit was not visible yet; forgotten slowly.
    low: Duration,
    /// Wait after a look, when no commit is expected at a known time.
    interval: Duration,
    saved: f64,
    /// When `saved` was true.
    counted: Now,
    /// The last look, or the time at which there was something to look at again.
    since: Now,
    /// Appends whose commit was not seen, by channel, oldest first.
    waiting: HashMap<String, VecDeque<Append>>,
}

impl Pace {
    pub(super) fn new(now: Now) -> Self {
        let waiting = HashMap::new();
        let low = Duration::ZERO;
        Self { lag: LAG, low, interval: UNPROMPTED, saved: BURST, counted: now, since: now, waiting }
    }

    /// There is something to look at again.
    pub(super) fn woke(&mut self, now: Now) {
        self.since = now;
        self.interval = UNPROMPTED;
    }

    /// The service acknowledged an append that ends with `token`.
    pub(super) fn appended(&mut self, channel: &str, token: String, now: Now) {
        let waiting = match self.waiting.get_mut(channel) {
            Some(waiting) => waiting,
            None => self.waiting.entry(channel.to_owned()).or_default(),
        };
        if waiting.len() == REMEMBERED {
            waiting.pop_front();
        }
        waiting.push_back(Append { token, at: now });
    }

    /// Nothing is expected of the channel any more.
    pub(super) fn forget(&mut self, channel: &str) {
        self.waiting.remove(channel);
    }

    /// When to look next.
    pub(super) fn next(&self) -> Now {
        let expected = self.waiting.values().flatten().map(|append| append.at + self.lag);
        let wanted = match expected.filter(|at| *at > self.since).min() {
            Some(at) => at.min(self.since + SLOWEST),
            None => self.since + self.interval,
        };
        wanted.max(self.counted + Duration::from_secs_f64((1.0 - self.saved).max(0.0) / CALLS_A_SECOND))
    }

    /// A call leaves. Returns when the look before was.
    pub(super) fn called(&mut self, now: Now) -> Now {
        let earned = now.saturating_sub(self.counted).as_secs_f64() * CALLS_A_SECOND;
        self.saved = (self.saved + earned).min(BURST) - 1.0;
        self.counted = now;
        let late = self.waiting.values().flatten().any(|append| {
            let expected = append.at + self.lag;
            expected > self.since && expected <= now
        });
        self.interval = match late {
            true => AGAIN.max(self.lag / 4),
            false => self.interval.mul_f64(1.6),
        }
        .min(SLOWEST);
        std::mem::replace(&mut self.since, now)
    }

    /// What a look that left at `asked` found; the one before left at `before`.
    pub(super) fn found(&mut self, channel: &str, committed: &str, asked: Now, before: Now) {
        let Some(waiting) = self.waiting.get_mut(channel) else { return };
        let Some(last) = waiting.iter().rposition(|append| append.token == committed) else { return };
        let seen: Vec<Append> = waiting.drain(..=last).collect();
        let (Some(oldest), Some(newest)) = (seen.first(), seen.last()) else { return };
        // The lag was longer than `low` and is at most `high`.
        let low = before.saturating_sub(oldest.at);
        let high = asked.saturating_sub(newest.at);
        self.low = self.low.mul_f64(0.995).max(low).min(high);
        let lag = match self.lag <= low {
            true => low + high.saturating_sub(low) / 2,
            // Towards what is known to be too early, with a margin for jitter.
            false => {
                let aim = self.low.mul_f64(1.05).min(self.lag);
                self.lag.min(high) - (self.lag.min(high).saturating_sub(aim)) / 4
            }
        };
        self.lag = lag.clamp(SHORTEST_LAG, LONGEST_LAG);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Now {
        Duration::from_millis(milliseconds)
    }

    /// Appends at `times`, each visible `lag` after it; returns calls and the longest time from visible to seen.
    fn run(times: &[Now], lag: Duration) -> (usize, Duration) {
        let mut pace = Pace::new(at(0));
        let (mut calls, mut longest, mut told, mut seen) = (0, at(0), 0, 0);
        let mut now;
        while seen < times.len() {
            if told == seen {
                pace.woke(times[told]);
            }
            while told < times.len() && (told == seen || times[told] <= pace.next()) {
                pace.appended("c", told.to_string(), times[told]);
                told += 1;
            }
            now = pace.next().max(times[told - 1]);
            let before = pace.called(now);
            calls += 1;
            let visible = times.iter().take_while(|time| **time + lag <= now).count();
            if visible > seen {
                let late = times[seen..visible].iter().map(|time| now - (*time + lag)).max().unwrap();
                if seen > times.len() / 4 {
                    longest = longest.max(late);
                }
                pace.found("c", &(visible - 1).to_string(), now, before);
                seen = visible;
            }
        }
        (calls, longest)
    }

    #[test]
    fn single_rows_are_seen_soon_with_little_more_than_a_call_each() {
        for lag in [0, 30, 200, 500, 900] {
            let times: Vec<Now> = (1..=100).map(|n| at(n * 2_000)).collect();
            let (calls, longest) = run(&times, at(lag));
            assert!(calls <= 130, "lag {lag} ms: {calls} calls for 100 rows");
            assert!(longest <= at(250), "lag {lag} ms: seen {longest:?} after the commit");
        }
    }

    #[test]
    fn a_steady_flow_is_looked_at_evenly() {
        for lag in [0, 500, 3_000] {
            let times: Vec<Now> = (1..=600).map(|n| at(n * 100)).collect();
            let (calls, longest) = run(&times, at(lag));
            assert!(calls <= 100, "lag {lag} ms: {calls} calls in 60 s");
            assert!(longest <= at(1_100), "lag {lag} ms: seen {longest:?} after the commit");
        }
    }

    #[test]
    fn rows_that_are_never_committed_are_looked_for_once_a_second() {
        let mut pace = Pace::new(at(0));
        pace.appended("c", "1".to_owned(), at(0));
        let mut now = at(0);
        let mut calls = 0;
        while now < at(60_000) {
            now = pace.next();
            pace.called(now);
            calls += 1;
        }
        assert!((58..=66).contains(&calls), "{calls} calls in a minute");
    }

    #[test]
    fn what_waits_without_an_append_is_looked_at_and_what_is_forgotten_does_not_count() {
        let mut pace = Pace::new(at(0));
        assert_eq!(pace.next(), UNPROMPTED);
        pace.appended("c", "1".to_owned(), at(1));
        assert_eq!(pace.next(), at(1) + LAG);
        pace.forget("c");
        assert_eq!(pace.next(), UNPROMPTED);
    }
}
