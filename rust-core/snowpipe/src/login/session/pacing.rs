//! How often a login is tried, and a token given up: one of each for all channels, however many ask.

use std::time::Duration;

use tokio::time::Instant;

use crate::machine::Fault;

/// A login that failed is not tried again before this time, which doubles with each failure in a row
const PAUSE: Duration = Duration::from_secs(1);
/// up to this, unless the service asks for more.
const LONGEST: Duration = Duration::from_secs(8);
/// After a new token was refused, too, no token is renewed for this time: a right is missing, and the other channels go on
/// with the token that there is.
const NO_USE: Duration = Duration::from_secs(10);

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    failure: Option<(Instant, Fault)>,
    in_a_row: u32,
    no_use: Option<Instant>,
}

impl Pacing {
    /// The failure that nobody tries to get over yet.
    pub(super) fn failing(&self, now: Instant) -> Option<Fault> {
        self.failure.as_ref().filter(|(until, _)| now < *until).map(|(_, fault)| fault.clone())
    }

    pub(super) fn failed(&mut self, fault: &Fault, now: Instant) {
        let pause = PAUSE.saturating_mul(1 << self.in_a_row.min(8)).min(LONGEST);
        self.in_a_row += 1;
        self.failure = Some((now + pause.max(fault.retry_after.unwrap_or_default()), fault.clone()));
    }

    pub(super) fn worked(&mut self) {
        (self.failure, self.in_a_row) = (None, 0);
    }

    /// A call was refused with a token that was renewed for it.
    pub(super) fn renewal_was_of_no_use(&mut self, now: Instant) {
        self.no_use = Some(now);
    }

    /// Whether a call that was refused is worth a new token.
    pub(super) fn may_renew(&self, now: Instant) -> bool {
        self.no_use.is_none_or(|at| now >= at + NO_USE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::FaultClass;

    fn fault(retry_after: Option<u64>) -> Fault {
        let retry_after = retry_after.map(Duration::from_secs);
        Fault { class: FaultClass::Throttled, detail: "no".to_owned(), retry_after }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_make_the_pause_longer_and_a_success_ends_it() {
        let (start, mut pacing) = (Instant::now(), Pacing::default());
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            pacing.failed(&fault(None), now);
            let begun = now;
            while pacing.failing(now).is_some() {
                now += Duration::from_millis(500);
            }
            pauses.push((now - begun).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
        pacing.failed(&fault(Some(60)), now);
        assert!(pacing.failing(now + Duration::from_secs(59)).is_some(), "the service asked for a minute");
        pacing.worked();
        assert!(pacing.failing(now).is_none());
        pacing.failed(&fault(None), now);
        assert!(pacing.failing(now + Duration::from_secs(2)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_that_is_missing_does_not_cost_a_token_with_every_call() {
        let (now, mut pacing) = (Instant::now(), Pacing::default());
        assert!(pacing.may_renew(now) && pacing.may_renew(now), "a token may expire at any time");
        pacing.renewal_was_of_no_use(now);
        assert!(!pacing.may_renew(now + NO_USE / 2));
        assert!(pacing.may_renew(now + NO_USE));
    }
}
