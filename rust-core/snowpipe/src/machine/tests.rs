//! Single steps of the channel, each with the case it protects against.

use super::test_bench::{Bench, fault, status, token};
use super::*;
use crate::config::GapStrategy;

const SKIPPED: Settled = Settled::Committed { skipped_whole: true };
const COMMITTED: Settled = Settled::Committed { skipped_whole: false };

#[test]
fn success_only_when_the_committed_token_covers_the_end() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.send(1, 11, 20, 1);
    assert_eq!(bench.outcome(1), None);
    bench.status(status(Some(19), 0));
    assert_eq!(bench.outcome(1), None);
    bench.status(status(Some(20), 0));
    assert_eq!(bench.outcome(1), Some(&COMMITTED));
}

#[test]
fn skipped_trimmed_or_covered_by_the_token() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 1, 10, Some(0));
    assert_eq!(bench.outcome(1), Some(&SKIPPED));
    bench.begin(2, 5, 20, Some(4));
    bench.event(Event::Memory { upload: 2 });
    let floor = Some(token(10));
    assert!(bench.has(|a| matches!(a, Action::Grant { floor: f, .. } if *f == floor)));
    bench.event(Event::Finished { upload: 2, rows: 1, open: true, refused_rows: 0 });
    bench.begin(3, 11, 20, Some(10));
    assert!(bench.has(|a| matches!(a, Action::Covered { upload: 3 })));
}

#[test]
fn an_empty_token_skips_nothing() {
    let mut bench = Bench::open(None);
    bench.begin(1, 0, 0, None);
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 1, .. })));
    bench.send(1, 0, 0, 1);
    bench.status(status(None, 0));
    assert_eq!(bench.outcome(1), None);
    bench.status(status(Some(0), 0));
    assert_eq!(bench.outcome(1), Some(&COMMITTED));
}

#[test]
fn the_same_continuation_token_means_not_ingested() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.write(1, 11, 20, 1);
    let (body, attempt) = bench.append_asked().unwrap();
    bench.event(Event::Appended { body, attempt, answer: Ok("0_1".into()) });
    assert!(bench.has(|a| *a == Action::Discard));
    bench.answer_open(Ok(status(Some(10), 0)));
    assert!(matches!(bench.outcome(1), Some(Settled::Retry(_))));
}

#[test]
fn retries_keep_body_and_token_and_end_after_the_insert_timeout() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.write(1, 11, 20, 1);
    let started = bench.now;
    let mut tries = 0;
    while let Some((body, attempt)) = bench.append_asked() {
        assert_eq!((body, attempt), (1, tries));
        assert!(bench.has(|a| matches!(a, Action::Append { continuation, .. } if continuation == "0_1")));
        tries += 1;
        let answer = Err(fault(FaultClass::Transient));
        bench.event(Event::Appended { body, attempt, answer });
        if bench.has(|a| *a == Action::Discard) {
            break;
        }
        bench.later(9);
    }
    assert!(tries > 3 && bench.now - started >= Duration::from_secs(30));
}

#[test]
fn throttling_is_waited_out() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.write(1, 11, 20, 1);
    for _ in 0..60 {
        let (body, attempt) = bench.append_asked().unwrap();
        bench.event(Event::Appended { body, attempt, answer: Err(fault(FaultClass::Throttled)) });
        assert!(!bench.has(|a| *a == Action::Discard));
        bench.later(11);
    }
}

#[test]
fn uncommitted_rows_are_waited_for_then_the_open_is_forced() {
    let mut bench = Bench::new(true, GapStrategy::Wait);
    bench.begin(1, 1, 10, Some(0));
    let started = bench.now;
    loop {
        let forced = bench.has(|a| matches!(a, Action::Open { force: true, .. }));
        let waited = bench.now - started;
        if forced {
            assert!(waited >= Duration::from_secs(120), "{waited:?}");
            break;
        }
        assert!(waited < Duration::from_secs(125), "{waited:?}");
        bench.answer_open(Err(fault(FaultClass::Uncommitted)));
        bench.later(2);
    }
}

#[test]
fn rows_that_do_not_commit_are_sent_again_after_the_tracking_timeout() {
    let mut bench = Bench::new(true, GapStrategy::Wait);
    bench.begin(1, 11, 20, Some(10));
    bench.answer_open(Ok(status(Some(10), 0)));
    bench.send(1, 11, 20, 1);
    bench.later(58);
    bench.status(status(Some(10), 0));
    bench.later(2);
    assert!(
        bench.has(|a| matches!(a, Action::Say { text, .. } if text.contains("not committed for 61 s"))),
        "{:?}",
        bench.actions
    );
    bench.later(30);
    assert!(!bench.has(|a| *a == Action::Discard), "the service has not said so");
    bench.status(status(Some(10), 0));
    assert!(bench.has(|a| *a == Action::Discard));
}

#[test]
fn gap_strategies() {
    for (strategy, expected) in
        [(GapStrategy::Wait, "held"), (GapStrategy::Publish, "asked"), (GapStrategy::Fail, "failed")]
    {
        let mut bench = Bench::new(true, strategy);
        bench.begin(1, 11, 20, Some(10));
        bench.answer_open(Ok(status(Some(5), 0)));
        bench.later(31);
        assert!(bench.has(|a| matches!(a, Action::Hold { upload: 1, .. })), "{strategy:?}");
        assert!(bench.has(|a| matches!(a, Action::Say { text, .. } if text.contains("up to 10"))));
        bench.later(270);
        let seen = match () {
            () if bench.has(|a| matches!(a, Action::AskMemory { .. })) => "asked",
            () if matches!(bench.outcome(1), Some(Settled::Failed(_))) => "failed",
            () => "held",
        };
        assert_eq!(seen, expected);
        if seen == "asked" {
            bench.send(1, 11, 20, 1);
            bench.status(status(Some(20), 0));
            bench.begin(2, 6, 10, Some(5));
            assert!(
                matches!(bench.outcome(2), Some(Settled::Failed(_))),
                "a late predecessor is not skipped"
            );
        }
    }
}

#[test]
fn a_channel_that_came_back_empty_does_not_hold_what_follows_proven_rows() {
    let mut bench = Bench::open(Some(10));
    let asked = bench.now;
    bench.event(Event::Status { asked, answer: Answer::Missing });
    bench.begin(1, 11, 20, Some(10));
    bench.answer_open(Ok(status(None, 0)));
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 1, .. })));
}

#[test]
fn tokens_that_cannot_be_explained_are_refused() {
    let long = "4".repeat(76);
    for committed in ["0_17", "stream-5", &"9".repeat(90)] {
        let mut bench = Bench::new(true, GapStrategy::Wait);
        let end: Token = long.parse().unwrap();
        let span = Span { start: end.clone(), end, previous: None, size: 1 };
        bench.event(Event::Begin { upload: 1, span });
        let status = ChannelStatus { committed: Some(committed.to_owned()), ..ChannelStatus::default() };
        bench.answer_open(Ok(status));
        assert!(matches!(bench.outcome(1), Some(Settled::Failed(_))), "{committed}");
    }
}

#[test]
fn a_channel_that_never_works_fails_its_first_upload_only_and_holds_the_next() {
    let mut bench = Bench::open(Some(10));
    for round in 0..6 {
        let (first, second) = (round * 2 + 1, round * 2 + 2);
        bench.begin(first, 11, 20, Some(10));
        bench.begin(second, 21, 30, Some(20));
        bench.write(first, 11, 20, round + 1);
        let (body, attempt) = bench.append_asked().unwrap();
        bench.event(Event::Appended { body, attempt, answer: Err(fault(FaultClass::ChannelInvalid)) });
        bench.answer_open(Ok(status(Some(10), 0)));
        match bench.outcome(first) {
            Some(Settled::Retry(_)) if round < 5 => {}
            Some(Settled::Failed(_)) if round == 5 => {
                bench.event(Event::Memory { upload: second });
                let passed = bench.has(|a| matches!(a, Action::Grant { .. }));
                assert!(!passed, "its successor would move the token over rows that are not stored");
            }
            other => panic!("round {round}: {other:?}"),
        }
        bench.event(Event::Abandon { upload: second });
    }
    bench.begin(100, 11, 20, Some(10));
    bench.event(Event::Memory { upload: 100 });
    assert!(bench.has(|a| matches!(a, Action::Grant { upload: 100, .. })), "it may come again");
}

#[test]
fn without_tracking_only_own_tokens_prove_a_commit() {
    let mut bench = Bench::new(false, GapStrategy::Wait);
    bench.begin(1, 500, 500, None);
    bench.answer_open(Ok(status(Some(900), 0)));
    bench.send(1, 500, 500, 1);
    bench.status(status(Some(950), 0));
    assert_eq!(bench.outcome(1), None, "another process's token says nothing about our rows");
    let mut bench = Bench::new(false, GapStrategy::Wait);
    bench.begin(1, 500, 500, None);
    bench.answer_open(Ok(status(Some(400), 0)));
    bench.send(1, 500, 500, 1);
    bench.status(status(Some(500), 0));
    assert_eq!(bench.outcome(1), Some(&COMMITTED));
}

#[test]
fn uploads_without_rows_leave_no_gap() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.event(Event::Memory { upload: 1 });
    bench.event(Event::Finished { upload: 1, rows: 0, open: false, refused_rows: 0 });
    assert_eq!(bench.outcome(1), Some(&COMMITTED));
    bench.begin(2, 21, 30, Some(20));
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 2, .. })));
}

#[test]
fn rejected_rows_are_charged_and_remembered() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.send(1, 11, 20, 1);
    bench.status(status(Some(20), 3));
    assert!(matches!(bench.outcome(1), Some(Settled::Invalid { row_errors: 3, .. })));
    bench.begin(2, 11, 20, Some(10));
    assert!(matches!(bench.outcome(2), Some(Settled::Invalid { row_errors: 3, .. })));
}

#[test]
fn memory_goes_to_the_head_of_the_queue() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 21, 30, None);
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 1, .. })));
    bench.begin(2, 11, 20, Some(10));
    assert!(bench.has(|a| matches!(a, Action::CancelMemory { upload: 1 })));
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 2, .. })));
}

#[test]
fn a_status_asked_before_the_open_proves_nothing() {
    let mut bench = Bench::open(Some(10));
    let before = bench.now;
    bench.now += Duration::from_secs(1);
    let asked = bench.now;
    bench.event(Event::Status { asked, answer: Answer::Missing });
    bench.begin(1, 11, 20, Some(10));
    bench.now += Duration::from_secs(1);
    bench.answer_open(Ok(status(None, 0)));
    bench.send(1, 11, 20, 1);
    bench.event(Event::Status { asked: before, answer: Answer::Known(status(Some(20), 0)) });
    assert_eq!(bench.outcome(1), None);
}

#[test]
fn an_upload_abandoned_after_its_last_row_is_not_sent_twice() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.send(1, 11, 20, 1);
    bench.begin(2, 21, 30, Some(20));
    bench.event(Event::Memory { upload: 2 });
    bench.event(Event::Finished { upload: 2, rows: 1, open: true, refused_rows: 0 });
    bench.event(Event::Abandon { upload: 2 });
    bench.begin(3, 31, 40, Some(30));
    bench.event(Event::Memory { upload: 3 });
    bench.event(Event::Finished { upload: 3, rows: 0, open: false, refused_rows: 0 });
    bench.begin(4, 21, 30, Some(20));
    assert!(bench.has(|a| matches!(a, Action::Covered { upload: 4 })), "{:?}", bench.actions);
}

#[test]
fn a_body_that_may_have_been_taken_is_not_split() {
    for (first, split) in [(FaultClass::Throttled, true), (FaultClass::Transient, false)] {
        let mut bench = Bench::open(Some(10));
        bench.begin(1, 11, 20, Some(10));
        bench.write(1, 11, 20, 1);
        bench.event(Event::Appended { body: 1, attempt: 0, answer: Err(fault(first)) });
        bench.later(11);
        bench.event(Event::Appended { body: 1, attempt: 1, answer: Err(fault(FaultClass::TooLarge)) });
        assert_eq!(bench.has(|a| *a == Action::Split { body: 1 }), split, "{first:?}");
        assert_eq!(bench.has(|a| *a == Action::Discard), !split, "{first:?}");
    }
}

#[test]
fn an_outage_of_ten_minutes_costs_no_flow_file() {
    let mut bench = Bench::open(Some(10));
    let started = bench.now;
    let mut upload = 1;
    bench.begin(upload, 11, 20, Some(10));
    bench.write(upload, 11, 20, 1);
    while bench.now - started < Duration::from_secs(600) {
        let Some((body, attempt)) = bench.append_asked() else {
            bench.later(1);
            continue;
        };
        bench.event(Event::Appended { body, attempt, answer: Err(fault(FaultClass::Transient)) });
        if bench.has(|a| *a == Action::Discard) {
            bench.answer_open(Ok(status(Some(10), 0)));
            assert!(matches!(bench.outcome(upload), Some(Settled::Retry(_))), "{:?}", bench.actions);
            upload += 1;
            bench.begin(upload, 11, 20, Some(10));
            bench.write(upload, 11, 20, upload);
        }
    }
    let healed = bench.now;
    while bench.append_asked().is_none() {
        bench.later(1);
    }
    assert!(bench.now - healed <= Duration::from_secs(30));
    let (body, attempt) = bench.append_asked().unwrap();
    bench.event(Event::Appended { body, attempt, answer: Ok("0_9".into()) });
    bench.status(status(Some(20), 0));
    assert_eq!(bench.outcome(upload), Some(&COMMITTED));
}

#[test]
fn a_pipe_that_moves_for_three_minutes_is_waited_for() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.write(1, 11, 20, 1);
    let moved = || fault(FaultClass::ClientInvalid);
    bench.event(Event::Appended { body: 1, attempt: 0, answer: Err(moved()) });
    let started = bench.now;
    while bench.now - started < Duration::from_secs(180) {
        bench.answer_open(Err(moved()));
        assert!(!matches!(bench.outcome(1), Some(Settled::Failed(_))));
    }
    bench.begin(2, 11, 20, Some(10));
    let healed = bench.now;
    bench.answer_open(Ok(status(Some(10), 0)));
    assert!(bench.now - healed <= Duration::from_secs(16), "{:?}", bench.now - healed);
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 2, .. })));
}

#[test]
fn a_destination_that_stays_missing_fails_what_waits_for_it() {
    let mut bench = Bench::new(true, GapStrategy::Wait);
    bench.begin(1, 11, 20, Some(10));
    let started = bench.now;
    while bench.outcome(1).is_none() {
        bench.answer_open(Err(fault(FaultClass::Missing)));
        assert!(bench.now - started < Duration::from_secs(150));
    }
    assert!(matches!(bench.outcome(1), Some(Settled::Failed(_))));
    assert!(bench.now - started >= Duration::from_secs(120));
    bench.later(31);
    bench.begin(2, 11, 20, Some(10));
    bench.answer_open(Ok(status(Some(10), 0)));
    assert!(bench.has(|a| matches!(a, Action::AskMemory { upload: 2, .. })), "it is tried again");
}

#[test]
fn without_tracking_the_token_of_another_writer_stands_for_nothing_of_ours() {
    let mut bench = Bench::new(false, GapStrategy::Wait);
    bench.begin(1, 5000, 5000, None);
    bench.answer_open(Ok(status(Some(9_000_000), 0)));
    bench.event(Event::Memory { upload: 1 });
    let before = token(0);
    assert!(
        bench.has(|a| matches!(a, Action::Grant { before: b, .. } if *b == before)),
        "{:?}",
        bench.actions
    );
}
