//! Two clients of one channel: nobody opens it for rows that the other has published, and nobody waits for ever.

use super::test_bench::{Bench, fault, status};
use super::*;

const COMMITTED: Settled = Settled::Committed { skipped_whole: false };

impl Bench {
    /// An upload from 1501 to 2000 whose append is refused: another client has opened the channel.
    fn refused() -> Self {
        let mut bench = Bench::open(Some(1000));
        bench.begin(1, 1501, 2000, Some(1000));
        bench.write(1, 1501, 2000, 1);
        let (body, attempt) = bench.append_asked().unwrap();
        bench.event(Event::Appended { body, attempt, answer: Err(fault(FaultClass::Stale)) });
        assert!(bench.has(|a| *a == Action::Discard) && !bench.opens(), "{:?}", bench.actions);
        bench
    }

    fn opens(&self) -> bool {
        self.has(|a| matches!(a, Action::Open { .. }))
    }

    /// The answer to the open that was just asked for.
    fn refuse_open(&mut self, class: FaultClass) -> bool {
        let asked = self.actions.iter().find_map(|action| match action {
            Action::Open { attempt, force, .. } => Some((*attempt, *force)),
            _ => None,
        });
        let Some((attempt, force)) = asked else { return false };
        self.event(Event::Opened { attempt, answer: Err(fault(class)) });
        force
    }
}

#[test]
fn what_another_client_has_published_is_settled_without_an_open() {
    let mut bench = Bench::refused();
    bench.begin(2, 2001, 2030, Some(2000));
    bench.status(status(Some(2035), 0));
    assert_eq!(bench.outcome(1), Some(&COMMITTED));
    assert_eq!(bench.outcome(2), Some(&Settled::Committed { skipped_whole: true }));
    for _ in 0..60 {
        assert!(!bench.opens(), "{:?}", bench.actions);
        bench.status(status(Some(2040), 0));
    }
    // Rows of its own are a reason: the other one has let go.
    bench.begin(3, 2041, 2050, Some(2040));
    bench.answer_open(Ok(status(Some(2040), 0)));
    bench.send(3, 2041, 2050, 3);
    bench.status(status(Some(2050), 0));
    assert_eq!(bench.outcome(3), Some(&COMMITTED));
}

#[test]
fn rows_that_the_other_client_leaves_out_are_waited_for_a_bounded_time() {
    let mut bench = Bench::refused();
    let (refused, mut waited) = (bench.now, Duration::ZERO);
    for committed in 1001.. {
        bench.now += Duration::from_millis(400);
        let asked = bench.now;
        bench.event(Event::Status { asked, answer: Answer::Known(status(Some(committed), 0)) });
        waited = bench.now - refused;
        if bench.opens() {
            break;
        }
        assert!(waited < Duration::from_secs(60), "the rows wait for ever");
    }
    assert!(waited > Duration::from_secs(3), "the other one is at work: {waited:?}");
    assert!(waited <= Duration::from_secs(41), "{waited:?}");
    let mut idle = Bench::refused();
    let refused = idle.now;
    idle.answer_open(Ok(status(Some(1000), 0)));
    assert!(idle.now - refused <= Duration::from_secs(3), "the other one does nothing");
    assert!(matches!(idle.outcome(1), Some(Settled::Retry(_))), "{:?}", idle.actions);
}

#[test]
fn rows_under_way_of_a_client_at_work_are_never_discarded() {
    let mut bench = Bench::refused();
    for committed in 1001..1071 {
        // The other one publishes rows before those that wait here.
        bench.status(status(Some(committed), 0));
        assert!(!bench.refuse_open(FaultClass::Uncommitted), "forced at {committed}");
        bench.later(1);
        assert!(!bench.refuse_open(FaultClass::Uncommitted), "forced at {committed}");
    }
    let stuck = bench.now;
    while !bench.refuse_open(FaultClass::Uncommitted) {
        if matches!(bench.outcome(1), Some(Settled::Retry(_))) {
            bench.begin(2, 1501, 2000, Some(1000));
            continue;
        }
        bench.later(1);
        assert!(bench.now - stuck < Duration::from_secs(180), "what is never committed is not waited for");
    }
    assert!(bench.now - stuck >= Duration::from_secs(100));
}
