//! Answers of the error table that are refused, too long, or come in several parts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::Options;
use local_cloud::snowflake::{Fault, Route};
use snowpipe::{Progress, Sink, State, UploadRequest};
use support::{World, drive};

const EXACT: [(&str, &str); 3] =
    [("Invalid Rows", "ROWS"), ("Warehouse", "COMPUTE_WH"), ("Offset Token Record Pointer", "/t")];

/// NDJSON of `first..=last`; those that `is_bad` do not fit the table.
fn content(first: u64, last: u64, is_bad: impl Fn(u64) -> bool) -> String {
    let row = |n| match is_bad(n) {
        true => format!("{{\"t\":{n}, \"n\":\"no number\"}}\n"),
        false => format!("{{\"t\":{n},\"n\":{n}}}\n"),
    };
    (first..=last).map(row).collect()
}

fn rows_taken_out(ended: &Progress) -> u64 {
    ended.pieces.iter().map(|piece| piece.rows).sum()
}

async fn publish(
    world: &World,
    sink: &Arc<Sink>,
    group: &str,
    last: u64,
    is_bad: fn(u64) -> bool,
) -> Progress {
    let upload = world.begin_in(group, sink, 1, last, 0);
    drive(sink, upload, content(1, last, is_bad).into_bytes()).await
}

/// Rows in the error table under the name of a channel that never counted them: through another pipe of the table.
async fn rejected_through_another_pipe(world: &World, group: &str, last: u64) {
    let pipe = "CREATE PIPE DB.SC.P AS COPY INTO DB.SC.T FROM (SELECT $1:n::NUMBER, $1:text::VARCHAR \
                FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))";
    let snowflake = world.snowflake().clone();
    tokio::task::spawn_blocking(move || snowflake.sql(pipe).unwrap()).await.unwrap();
    let sink = world.node();
    let data = content(1, last, |_| true);
    let request = [
        ("Database", "DB".to_owned()),
        ("Schema", "SC".to_owned()),
        ("Pipe", "P".to_owned()),
        ("Channel Group", group.to_owned()),
        ("Offset Token Start", "1".to_owned()),
        ("Offset Token End", last.to_string()),
        ("Offset Token Previous", "0".to_owned()),
        ("Size", data.len().to_string()),
    ];
    let map = request.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let upload = sink.begin(UploadRequest::from_properties(&map).unwrap()).unwrap();
    let ended = drive(&sink, upload, data.into_bytes()).await;
    assert_eq!((ended.state, ended.row_errors), (State::Invalid, last), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_long_leaves_the_other_channels_alone() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    rejected_through_another_pipe(&world, "long", 400).await;
    let sink = world.node();
    let begun = Instant::now();
    let (long, other) = tokio::join!(
        publish(&world, &sink, "long", 400, |n| n == 7),
        publish(&world, &sink, "other", 10, |n| n == 4)
    );
    assert_eq!((long.state, long.row_errors, long.pieces.len()), (State::Invalid, 1, 0), "{long:?}");
    assert!(long.message.clone().unwrap().contains("more than 102 rows where 1 were counted"), "{long:?}");
    assert_eq!((other.state, other.row_errors, rows_taken_out(&other)), (State::Invalid, 1, 1), "{other:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "nobody waits: {:?}", begun.elapsed());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_refused_is_asked_in_parts() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let sink = world.node();
    let first = publish(&world, &sink, "first", 10, |n| n == 4).await;
    assert_eq!(rows_taken_out(&first), 1, "the table has been looked at");
    // Both channels wait when the question is refused.
    for status in [503, 503, 422] {
        world.snowflake().faults().add(Fault::once(Route::Statements, Fault::refuse(status, "000904")));
    }
    let fired = world.snowflake().faults().fired();
    let (one, other) = tokio::join!(
        publish(&world, &sink, "one", 10, |n| n == 4),
        publish(&world, &sink, "other", 10, |n| n == 5)
    );
    assert_eq!(world.snowflake().faults().fired(), fired + 3);
    for ended in [one, other] {
        assert_eq!(
            (ended.state, ended.row_errors, rows_taken_out(&ended)),
            (State::Invalid, 1, 1),
            "{ended:?}"
        );
    }
    world.stop().await;
}

async fn in_parts(partition_rows: usize) -> World {
    let mut options = Options::default();
    options.snowflake.commit_delay = Duration::from_millis(30);
    options.snowflake.partition_rows = partition_rows;
    World::of(options, &EXACT).await
}

fn parts_asked(world: &World) -> usize {
    let requests = world.snowflake().journal().requests();
    requests.iter().filter(|request| request.query.contains("partition=")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_several_parts_is_read_to_its_end() {
    let world = in_parts(7).await;
    let ended = publish(&world, &world.sink, "parts", 200, |n| n % 5 == 0).await;
    assert_eq!(
        (ended.state, ended.row_errors, rows_taken_out(&ended)),
        (State::Invalid, 40, 40),
        "{ended:?}"
    );
    assert_eq!(parts_asked(&world) % 5, 0, "40 rows by 7 are 6 parts");
    assert!(parts_asked(&world) >= 5);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_absurdly_many_parts_is_not_read() {
    let world = in_parts(1).await;
    let ended = publish(&world, &world.sink, "parts", 200, |n| n % 2 == 0).await;
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 100, 0), "{ended:?}");
    assert!(ended.message.clone().unwrap().contains("is too large, it comes in 100 parts"), "{ended:?}");
    assert_eq!(parts_asked(&world), 0);
    world.stop().await;
}
