//! Large uploads that the channel has passed: they are looked at, because a row of theirs may have been too large to be sent.

use super::test_bench::{Bench, fault, span, status, token};
use super::*;

const COMMITTED: Settled = Settled::Committed { skipped_whole: false };

impl Bench {
    fn begin_bulky(&mut self, upload: Id, start: u64, end: u64) -> &[Action] {
        let span = Span { size: 2 << 20, ..span(start, end, Some(start - 1)) };
        self.event(Event::Begin { upload, span })
    }

    /// The upload is granted without a row of it to be sent.
    fn look(&mut self, upload: Id, floor: u64) {
        self.event(Event::Memory { upload });
        let expected = Some(token(floor));
        let granted = |a: &Action| matches!(a, Action::Grant { floor, .. } if *floor == expected);
        assert!(self.has(granted), "{:?}", self.actions);
    }

    fn looked(&mut self, upload: Id, rows: u64, refused_rows: u64) {
        self.event(Event::Finished { upload, rows, open: false, refused_rows });
    }
}

#[test]
fn what_is_in_the_channel_is_no_success_before_its_rows_were_seen() {
    for (rows, refused) in [(10, 0), (9, 1), (0, 1)] {
        let mut bench = Bench::open(Some(10));
        bench.begin_bulky(1, 1, 10);
        bench.look(1, 10);
        bench.status(status(Some(10), 0));
        assert_eq!(bench.outcome(1), None);
        bench.looked(1, rows, refused);
        match (rows, refused) {
            (_, 0) => assert_eq!(bench.outcome(1), Some(&COMMITTED)),
            (0, _) => assert!(matches!(bench.outcome(1), Some(Settled::Failed(_)))),
            _ => assert!(matches!(bench.outcome(1), Some(Settled::Invalid { row_errors: 1, .. }))),
        }
    }
}

#[test]
fn what_was_rejected_of_it_is_told_too() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.send(1, 11, 20, 1);
    bench.status(status(Some(20), 3));
    bench.begin_bulky(2, 11, 20);
    bench.look(2, 20);
    bench.looked(2, 10, 0);
    assert!(matches!(bench.outcome(2), Some(Settled::Invalid { row_errors: 3, .. })), "{:?}", bench.actions);
}

#[test]
fn what_is_under_way_already_ends_with_its_commit() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.send(1, 11, 20, 1);
    bench.begin_bulky(2, 11, 20);
    bench.look(2, 20);
    bench.looked(2, 10, 0);
    assert_eq!(bench.outcome(2), None);
    bench.status(status(Some(20), 0));
    assert_eq!((bench.outcome(1), bench.outcome(2)), (Some(&COMMITTED), Some(&COMMITTED)));
}

#[test]
fn rejections_of_others_are_not_charged_to_what_is_looked_at() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.send(1, 11, 20, 1);
    bench.begin_bulky(2, 1, 10);
    bench.look(2, 20);
    bench.status(status(Some(20), 2));
    assert!(matches!(bench.outcome(1), Some(Settled::Invalid { row_errors: 2, .. })), "{:?}", bench.actions);
    bench.looked(2, 10, 0);
    assert_eq!(bench.outcome(2), Some(&COMMITTED));
}

#[test]
fn to_look_takes_the_channel_from_nobody() {
    let mut bench = Bench::open(Some(10));
    bench.status(status(Some(30), 0));
    bench.begin_bulky(1, 1, 10);
    bench.look(1, 30);
    bench.status(status(Some(40), 0));
    assert!(!bench.has(|a| matches!(a, Action::Discard | Action::Open { .. })), "{:?}", bench.actions);
    bench.looked(1, 10, 0);
    assert_eq!(bench.outcome(1), Some(&COMMITTED));
}

#[test]
fn a_row_too_large_that_comes_again_fails_again_and_holds_nobody() {
    let mut bench = Bench::open(Some(10));
    bench.begin_bulky(1, 11, 11);
    bench.event(Event::Memory { upload: 1 });
    bench.looked(1, 0, 1);
    assert!(matches!(bench.outcome(1), Some(Settled::Failed(_))));
    bench.begin(2, 12, 20, Some(11));
    bench.write(2, 12, 20, 1);
    bench.begin_bulky(3, 11, 11);
    bench.look(3, 20);
    bench.looked(3, 0, 1);
    assert!(matches!(bench.outcome(3), Some(Settled::Failed(_))));
    // The body is lost: its rows come again, and what was known of those before them still is.
    let answer = Err(fault(FaultClass::ChannelInvalid));
    bench.event(Event::Appended { body: 1, attempt: 0, answer });
    bench.answer_open(Ok(status(Some(10), 0)));
    bench.begin(4, 12, 20, Some(11));
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 4, .. })), "{:?}", bench.actions);
}

#[test]
fn rows_that_another_client_stored_while_they_are_read_come_again() {
    let mut bench = Bench::open(Some(10));
    bench.begin_bulky(1, 11, 20);
    bench.event(Event::Memory { upload: 1 });
    bench.status(status(Some(20), 0));
    bench.answer_open(Ok(status(Some(20), 0)));
    assert!(matches!(bench.outcome(1), Some(Settled::Retry(_))), "{:?}", bench.actions);
}
