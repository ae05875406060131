//! When the ingest host is looked up anew: at once when the service says that it moved, and after some seconds in which
//! nothing useful came from it. What was found last may have been wrong, or be gone.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use crate::machine::FaultClass;

/// A host that gives nothing but troubles for this long is looked up anew.
const PATIENCE: Duration = Duration::from_secs(5);
/// Shortest time from one look-up to the next; it doubles while look-ups do not help,
const PAUSE: Duration = Duration::from_secs(1);
/// up to this.
const LONGEST: Duration = Duration::from_secs(30);

/// What calls say about the ingest host.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// Counts look-ups: what is said about the host before the last one does not count.
    generation: u64,
    /// Since when it gave nothing but troubles.
    troubled: Option<Instant>,
    /// The service says that it is another one now.
    moved: bool,
    looked: Option<Instant>,
    /// Time from the last look-up to the next.
    pause: Duration,
    /// Look-ups of late.
    tries: u32,
}

impl Trust {
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// A call to the host that was found by look-up `generation` was answered, or ended with a trouble.
    pub(super) fn heard(&mut self, generation: u64, trouble: Option<FaultClass>, now: Instant) {
        if generation != self.generation {
            return;
        }
        match trouble {
            // Nobody there, nothing there, or nobody who takes our token: it may be the wrong host.
            Some(FaultClass::Transient | FaultClass::Missing | FaultClass::Auth) => {
                self.troubled.get_or_insert(now);
            }
            Some(FaultClass::ClientInvalid) => self.moved = true,
            // Any web server may refuse a request.
            Some(FaultClass::Rejected | FaultClass::TooLarge) => {}
            _ => {
                self.troubled = None;
                if self.looked.is_none_or(|looked| now >= looked + 2 * LONGEST) {
                    self.tries = 0;
                }
            }
        }
    }

    /// Whether the host is to be looked up anew.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let lost = self.moved || self.troubled.is_some_and(|since| now >= since + PATIENCE);
        lost && self.looked.is_none_or(|looked| now >= looked + self.pause)
    }

    /// The host is looked up now. Says whether the service said that it moved.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let full = PAUSE.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        self.pause = full.mul_f64(rand::rng().random_range(0.5..1.0));
        self.looked = Some(now);
        self.tries += 1;
        self.generation += 1;
        self.troubled = None;
        std::mem::take(&mut self.moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NOT_FOUND: Option<FaultClass> = Some(FaultClass::Missing);
    const MOVED: Option<FaultClass> = Some(FaultClass::ClientInvalid);

    /// Look-ups in `seconds` of nothing but `trouble`, met ten times a second.
    fn look_ups(
        trust: &mut Trust,
        trouble: Option<FaultClass>,
        from: Instant,
        seconds: u32,
    ) -> Vec<Duration> {
        let mut at = Vec::new();
        for tenth in 0..seconds * 10 {
            let now = from + SECOND * tenth / 10;
            if trust.is_due(now) {
                trust.look(now);
                at.push(now - from);
            }
            trust.heard(trust.generation(), trouble, now);
        }
        at
    }

    fn found(now: Instant) -> Trust {
        let mut trust = Trust::default();
        trust.look(now);
        trust
    }

    #[test]
    fn a_host_that_only_fails_is_looked_up_after_seconds_and_ever_more_rarely() {
        let start = Instant::now();
        for trouble in [FaultClass::Transient, FaultClass::Missing, FaultClass::Auth] {
            let at = look_ups(&mut found(start), Some(trouble), start, 600);
            assert!((SECOND * 5..SECOND * 6).contains(&at[0]), "{at:?}");
            let pauses: Vec<Duration> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(pauses[..2].iter().all(|pause| *pause < SECOND * 7), "{pauses:?}");
            assert!(pauses.iter().all(|pause| *pause < SECOND * 32), "it goes on: {pauses:?}");
            assert!((600 / 30..60).contains(&at.len()), "{at:?}");
        }
    }

    #[test]
    fn a_host_that_moved_is_looked_up_at_once_and_not_all_the_time() {
        let start = Instant::now();
        let mut trust = found(start);
        let at = look_ups(&mut trust, MOVED, start + SECOND * 3600, 180);
        assert!(at[0] < SECOND, "{at:?}");
        assert!((9..20).contains(&at.len()), "{at:?}");
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] < SECOND * 31), "{at:?}");
    }

    #[test]
    fn one_answer_is_enough_to_trust_the_host() {
        let start = Instant::now();
        let mut trust = found(start);
        for second in 0..100 {
            let now = start + SECOND * second;
            trust.heard(1, if second % 4 == 0 { None } else { NOT_FOUND }, now);
            assert!(!trust.is_due(now), "{second}");
        }
        trust.heard(1, Some(FaultClass::Throttled), start + SECOND * 100);
        assert!(!trust.is_due(start + SECOND * 200));
        trust.heard(1, Some(FaultClass::Rejected), start + SECOND * 200);
        assert!(!trust.is_due(start + SECOND * 300));
    }

    #[test]
    fn complaints_about_an_earlier_host_do_not_count() {
        let start = Instant::now();
        let mut trust = found(start);
        let later = start + SECOND * 60;
        trust.heard(1, MOVED, later);
        assert!(trust.is_due(later));
        assert!(trust.look(later), "it is known that it moved");
        trust.heard(1, MOVED, later + SECOND * 40);
        assert!(!trust.is_due(later + SECOND * 40));
        trust.heard(2, MOVED, later + SECOND * 40);
        assert!(trust.is_due(later + SECOND * 40));
    }

    #[test]
    fn a_pipe_that_is_gone_beside_one_that_works_makes_no_storm() {
        let start = Instant::now();
        let (mut trust, mut looks) = (found(start), 0);
        for second in 0..600 {
            let now = start + SECOND * second;
            if trust.is_due(now) {
                trust.look(now);
                looks += 1;
            }
            trust.heard(trust.generation(), MOVED, now);
            trust.heard(trust.generation(), None, now);
        }
        assert!((10..60).contains(&looks), "{looks}");
    }
}
