//! What the service tells about rows and channels, and what is made of it.

use super::test_bench::{Bench, fault, status, token};
use super::*;
use crate::config::GapStrategy;

const COMMITTED: Settled = Settled::Committed { skipped_whole: false };

/// A body as the writer closes it where rows have no tokens: `whole` ends with an upload, otherwise in the middle of one.
fn body(id: BodyId, last: u64, before: u64, whole: bool) -> Body {
    let (last, reach) = (token(if whole { last } else { before }), token(last));
    Body { id, first: last.clone(), last, before: token(before), reach, raw: 10, size: 10 }
}

fn rejected(committed: u64, bound: u64) -> ChannelStatus {
    ChannelStatus { last_error_bound: Some(bound.to_string()), ..status(Some(committed), 1) }
}

impl Bench {
    fn acknowledge(&mut self) {
        for _ in 0..3 {
            if let Some((body, attempt)) = self.append_asked() {
                self.event(Event::Appended { body, attempt, answer: Ok(format!("0_{}", body + 100)) });
                return;
            }
            self.later(1);
        }
        panic!("no append: {:?}", self.actions);
    }

    fn finish(&mut self, upload: Id) {
        self.event(Event::Finished { upload, rows: 5, open: true, refused_rows: 0 });
        if !self.has(|a| *a == Action::Seal) {
            self.later(1);
        }
        assert!(self.has(|a| *a == Action::Seal), "{:?}", self.actions);
    }

    /// An upload from 10 to 20 in two bodies, both acknowledged.
    fn in_two_bodies() -> Self {
        let mut bench = Bench::open(Some(10));
        bench.begin(1, 20, 20, Some(10));
        bench.event(Event::Memory { upload: 1 });
        bench.event(Event::Cut { body: body(1, 20, 10, false) });
        bench.acknowledge();
        bench.finish(1);
        bench.event(Event::Cut { body: body(2, 20, 10, true) });
        bench.acknowledge();
        bench
    }

    /// An upload to 20 and the beginning of one to 30 in a body, its append asked for.
    fn in_a_shared_body() -> Self {
        let mut bench = Bench::open(Some(10));
        bench.begin(1, 20, 20, Some(10));
        bench.event(Event::Memory { upload: 1 });
        bench.event(Event::Finished { upload: 1, rows: 5, open: true, refused_rows: 0 });
        bench.begin(2, 30, 30, Some(20));
        bench.event(Event::Memory { upload: 2 });
        bench.event(Event::Cut { body: Body { before: token(10), ..body(1, 30, 20, false) } });
        bench
    }
}

#[test]
fn rejected_rows_of_an_upload_in_several_bodies_are_charged_to_it() {
    for told_early in [false, true] {
        let mut bench = Bench::in_two_bodies();
        if told_early {
            bench.status(rejected(10, 10));
            assert!(!bench.has(|a| matches!(a, Action::Say { .. })), "{:?}", bench.actions);
        }
        bench.status(rejected(20, 10));
        assert!(
            matches!(bench.outcome(1), Some(Settled::Invalid { row_errors: 1, certain: true, .. })),
            "{:?}",
            bench.actions
        );
    }
}

#[test]
fn rejected_rows_of_a_body_that_begins_with_another_upload_are_charged_to_both() {
    for told_early in [false, true] {
        let mut bench = Bench::in_a_shared_body();
        bench.acknowledge();
        bench.finish(2);
        bench.event(Event::Cut { body: body(2, 30, 20, true) });
        bench.acknowledge();
        if told_early {
            bench.status(rejected(20, 20));
            assert!(matches!(bench.outcome(1), Some(Settled::Invalid { .. })), "{:?}", bench.actions);
        }
        bench.status(rejected(30, 20));
        assert!(matches!(bench.outcome(2), Some(Settled::Invalid { .. })), "{:?}", bench.actions);
    }
}

#[test]
fn a_refused_body_is_blamed_on_each_upload_with_rows_in_it() {
    let mut bench = Bench::in_a_shared_body();
    let (asked, attempt) = bench.append_asked().unwrap();
    let refused = Err(fault(FaultClass::Rejected));
    bench.event(Event::Appended { body: asked, attempt, answer: refused });
    bench.answer_open(Ok(status(Some(10), 0)));
    for upload in [1, 2] {
        assert!(matches!(bench.outcome(upload), Some(Settled::Retry(_))), "{upload}: {:?}", bench.actions);
    }
}

#[test]
fn rejected_rows_of_a_body_that_was_split_are_charged_to_its_upload() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 20, 20, Some(10));
    bench.event(Event::Memory { upload: 1 });
    bench.finish(1);
    bench.event(Event::Cut { body: body(1, 20, 10, true) });
    let (asked, attempt) = bench.append_asked().unwrap();
    let too_large = Err(fault(FaultClass::TooLarge));
    bench.event(Event::Appended { body: asked, attempt, answer: too_large });
    assert!(bench.has(|a| *a == Action::Split { body: 1 }));
    bench.event(Event::Split { body: 1, parts: vec![body(2, 20, 10, false), body(3, 20, 10, true)] });
    bench.acknowledge();
    bench.acknowledge();
    bench.status(rejected(20, 10));
    assert!(matches!(bench.outcome(1), Some(Settled::Invalid { row_errors: 1, .. })), "{:?}", bench.actions);
}

#[test]
fn an_upload_whose_rows_are_in_bodies_of_its_own_is_not_charged_with_those_of_the_one_before() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 20, 20, Some(10));
    bench.begin(2, 30, 30, Some(20));
    bench.event(Event::Memory { upload: 1 });
    bench.finish(1);
    bench.event(Event::Memory { upload: 2 });
    bench.event(Event::Cut { body: body(1, 20, 10, true) });
    bench.acknowledge();
    bench.finish(2);
    bench.event(Event::Cut { body: body(2, 30, 20, true) });
    bench.acknowledge();
    bench.status(rejected(20, 20));
    assert!(matches!(bench.outcome(1), Some(Settled::Invalid { .. })), "{:?}", bench.actions);
    bench.status(rejected(30, 20));
    assert_eq!(bench.outcome(2), Some(&COMMITTED));
}

#[test]
fn a_destination_that_an_open_reports_missing_by_its_status_fails_what_waits_for_it() {
    let code = Some("ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED".to_owned());
    let mut bench = Bench::new(true, GapStrategy::Wait);
    bench.begin(1, 11, 20, Some(10));
    let started = bench.now;
    while bench.outcome(1).is_none() {
        bench.answer_open(Ok(ChannelStatus { code: code.clone(), ..ChannelStatus::default() }));
        assert!(bench.now - started < Duration::from_secs(150));
    }
    assert!(bench.now - started >= Duration::from_secs(120));
    assert!(matches!(bench.outcome(1), Some(Settled::Failed(text)) if text.contains("USAGE")));
}

#[test]
fn a_channel_that_others_keep_taking_over_is_left_to_them_for_ever_longer() {
    let mut bench = Bench::open(Some(100));
    let mut waits = Vec::new();
    for round in 1..=9 {
        let start = round * 100 + 1;
        bench.begin(round, start, start + 50, Some(start - 1));
        bench.write(round, start, start + 50, round);
        let (body, attempt) = bench.append_asked().unwrap();
        bench.event(Event::Appended { body, attempt, answer: Err(fault(FaultClass::Stale)) });
        let lost = bench.now;
        // Meanwhile the other one goes on.
        bench.answer_open(Ok(status(Some(round * 100 + 100), 0)));
        waits.push(bench.now - lost);
        bench.event(Event::Abandon { upload: round });
    }
    assert!(waits[0] <= Duration::from_secs(3), "{waits:?}");
    assert!((15..=31).contains(&waits[8].as_secs()), "{waits:?}");
    bench.begin(20, 1001, 1010, Some(1000));
    bench.send(20, 1001, 1010, 20);
    bench.status(status(Some(1010), 0));
    bench.begin(21, 1011, 1020, Some(1010));
    bench.write(21, 1011, 1020, 21);
    let (body, attempt) = bench.append_asked().unwrap();
    bench.event(Event::Appended { body, attempt, answer: Err(fault(FaultClass::Stale)) });
    let lost = bench.now;
    bench.answer_open(Ok(status(Some(1010), 0)));
    assert!(bench.now - lost <= Duration::from_secs(3), "rows of ours were committed in between");
}

#[test]
fn nothing_is_asked_for_while_much_waits_to_be_sent() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.event(Event::Memory { upload: 1 });
    let large = Body { first: token(11), size: 5 << 20, ..body(1, 20, 10, true) };
    bench.event(Event::Finished { upload: 1, rows: 5, open: true, refused_rows: 0 });
    bench.event(Event::Cut { body: large });
    let (asked, attempt) = bench.append_asked().unwrap();
    bench.begin(2, 21, 30, Some(20));
    bench.later(10);
    assert!(!bench.has(|a| matches!(a, Action::AskMemory { .. })), "a writer would wait for room");
    bench.event(Event::Appended { body: asked, attempt, answer: Ok("0_101".into()) });
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 2, .. })), "{:?}", bench.actions);
}

#[test]
fn appends_keep_a_larger_distance_after_throttling() {
    let mut bench = Bench::open(Some(10));
    for n in 1..=5 {
        bench.later(2);
        bench.begin(n, n * 10 + 1, n * 10 + 10, Some(n * 10));
        bench.write(n, n * 10 + 1, n * 10 + 10, n);
        let (body, attempt) = bench.append_asked().unwrap();
        bench.event(Event::Appended { body, attempt, answer: Err(fault(FaultClass::Throttled)) });
        bench.later(11);
        bench.acknowledge();
    }
    bench.begin(6, 61, 70, Some(60));
    bench.event(Event::Memory { upload: 6 });
    bench.event(Event::Cut { body: Body { first: token(61), ..body(6, 70, 60, true) } });
    assert_eq!(bench.append_asked(), None);
    bench.later(1);
    assert_eq!(bench.append_asked(), None);
    bench.later(1);
    assert_eq!(bench.append_asked(), Some((6, 0)));
}

#[test]
fn an_open_that_waits_for_its_turn_blames_no_firewall() {
    let mut bench = Bench::new(true, GapStrategy::Wait);
    bench.begin(1, 11, 20, Some(10));
    let attempt = bench.actions.iter().find_map(|action| match action {
        Action::Open { attempt, .. } => Some(*attempt),
        _ => None,
    });
    let attempt = attempt.unwrap();
    let slow = |a: &Action| matches!(a, Action::Say { text, .. } if text.contains("has not answered the login or the open"));
    for _ in 0..6 {
        bench.later(10);
        assert!(!bench.has(slow), "{:?}", bench.actions);
    }
    bench.event(Event::OpenLeft { attempt: attempt + 1 });
    bench.event(Event::OpenLeft { attempt });
    bench.later(9);
    assert!(!bench.has(slow), "{:?}", bench.actions);
    bench.later(1);
    assert!(bench.has(slow), "{:?}", bench.actions);
}

#[test]
fn a_status_that_is_not_answered_invalidates_no_channel() {
    let mut bench = Bench::new(true, GapStrategy::Wait);
    bench.begin(1, 11, 20, Some(10));
    bench.answer_open(Ok(status(Some(10), 0)));
    bench.send(1, 11, 20, 1);
    for _ in 0..60 {
        bench.later(10);
        assert!(!bench.has(|a| *a == Action::Discard || matches!(a, Action::Open { .. })));
    }
    assert!(bench.has(|a| matches!(a, Action::Say { text, .. } if text.contains("status for 600 s"))));
    bench.status(status(Some(20), 0));
    assert_eq!(bench.outcome(1), Some(&Settled::Committed { skipped_whole: false }));
}
