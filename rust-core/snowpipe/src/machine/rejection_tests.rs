//! Rejected rows whose FlowFile is hard to tell: it is never plain success.

use super::test_bench::{Bench, fault, status};
use super::*;
use crate::config::GapStrategy;

fn rejected(committed: u64, row_errors: u64, bound: u64) -> ChannelStatus {
    ChannelStatus { last_error_bound: Some(bound.to_string()), ..status(Some(committed), row_errors) }
}

fn is_invalid(bench: &Bench, upload: Id) -> bool {
    matches!(bench.outcome(upload), Some(Settled::Invalid { certain: true, .. }))
}

#[test]
fn a_row_of_an_append_whose_channel_was_lost_may_be_of_each_of_its_uploads() {
    let mut bench = Bench::open(Some(10));
    for (upload, start) in [(1, 11), (2, 21)] {
        bench.begin(upload, start, start + 9, Some(start - 1));
        bench.event(Event::Memory { upload });
        bench.event(Event::Finished { upload, rows: 10, open: true, refused_rows: 0 });
    }
    let token = |n: u64| n.to_string().parse().unwrap();
    let body = Body {
        id: 1,
        first: token(11),
        last: token(30),
        before: token(10),
        reach: token(30),
        raw: 10,
        size: 10,
    };
    bench.event(Event::Cut { body });
    let (body, attempt) = bench.append_asked().unwrap();
    bench.event(Event::Appended { body, attempt, answer: Err(fault(FaultClass::ChannelInvalid)) });
    bench.answer_open(Ok(rejected(30, 1, 30)));
    assert!(is_invalid(&bench, 1) && is_invalid(&bench, 2), "{:?}", bench.actions);
}

#[test]
fn rows_of_an_upload_that_was_abandoned_on_its_way_are_told_when_it_comes_again() {
    let mut bench = Bench::open(Some(10));
    bench.begin(1, 11, 20, Some(10));
    bench.send(1, 11, 20, 1);
    bench.event(Event::Abandon { upload: 1 });
    bench.begin(2, 21, 30, Some(20));
    bench.send(2, 21, 30, 2);
    bench.status(rejected(30, 2, 30));
    bench.begin(3, 11, 20, Some(10));
    assert!(is_invalid(&bench, 3), "{:?}", bench.actions);
}

#[test]
fn rows_that_are_counted_before_their_commit_are_not_charged_to_what_was_committed_alone() {
    let mut bench = Bench::open(Some(10));
    for (upload, start) in [(1, 11), (2, 21)] {
        bench.begin(upload, start, start + 9, Some(start - 1));
        bench.send(upload, start, start + 9, upload);
    }
    bench.status(rejected(20, 2, 30));
    bench.status(rejected(30, 2, 30));
    assert!(is_invalid(&bench, 2), "{:?}", bench.actions);
}

#[test]
fn without_tracking_the_token_of_another_writer_says_nothing_about_the_order() {
    let mut bench = Bench::new(false, GapStrategy::Wait);
    bench.begin(1, 5000, 5000, None);
    bench.answer_open(Ok(status(None, 0)));
    bench.send(1, 5000, 5000, 1);
    bench.status(rejected(5000, 2, 40));
    assert!(is_invalid(&bench, 1), "{:?}", bench.actions);
}
