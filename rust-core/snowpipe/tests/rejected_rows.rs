//! Rejected rows told one by one with the help of the table's error table, and what happens when that cannot be.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use local_cloud::snowflake::{Fault, Route, Trouble};
use snowpipe::{Progress, Sink, SinkConfig, State};
use support::{World, drive, reach, write};

const POINTER: (&str, &str) = ("Offset Token Record Pointer", "/t");
const ROWS: (&str, &str) = ("Invalid Rows", "ROWS");
const EXACT: [(&str, &str); 3] = [ROWS, ("Warehouse", "COMPUTE_WH"), POINTER];

/// NDJSON of `first..=last`; the rows in `bad` do not fit the table.
fn content(first: u64, last: u64, bad: &[u64]) -> String {
    let row = |n| match bad.contains(&n) {
        true => format!("{{\"t\":\"{n}\",  \"n\":\"no number {n}\"}}\r\n"),
        false => format!("{{\"t\":\"{n}\",\"n\":{n}}}\n"),
    };
    (first..=last).map(row).collect()
}

/// What leaves for invalid, and what is left for success, as a processor cuts it.
fn routed(ended: &Progress, content: &str) -> (String, String) {
    let (mut invalid, mut rest, mut at) = (String::new(), String::new(), 0);
    match (ended.state, ended.pieces.is_empty()) {
        (State::Committed, _) => return (invalid, content.to_owned()),
        (_, true) => return (content.to_owned(), rest),
        _ => {}
    }
    for piece in &ended.pieces {
        assert_eq!(piece.kind, State::Invalid);
        let start = usize::try_from(piece.offset).unwrap();
        let end = (start + usize::try_from(piece.length).unwrap()).min(content.len());
        rest.push_str(&content[at..start]);
        invalid.push_str(&content[start..end]);
        at = end;
    }
    rest.push_str(&content[at..]);
    (invalid, rest)
}

/// Only the rows in `bad`, as they are in the content.
fn only(first: u64, last: u64, bad: &[u64]) -> String {
    let all = content(first, last, bad);
    all.split_inclusive('\n').filter(|line| line.contains("no number")).collect()
}

/// A sink whose patience with the error table is short.
fn impatient(world: &World, changes: &[(&str, &str)]) -> Arc<Sink> {
    let mut config = SinkConfig::from_properties(&world.properties(changes)).unwrap();
    config.error_table_patience = Duration::from_secs(2);
    Arc::new(Sink::start(config, &tokio::runtime::Handle::current()))
}

async fn sql(world: &World, statement: &'static str) -> Vec<Vec<Option<String>>> {
    let snowflake = world.snowflake().clone();
    tokio::task::spawn_blocking(move || snowflake.sql(statement).unwrap().rows).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_row_in_a_thousand_goes_to_invalid_alone_byte_for_byte() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let (mut rejected, mut stored) = (0, 0);
    let mut waiting = Vec::new();
    for batch in 0..40_u64 {
        let (first, last) = (batch * 1000 + 1, batch * 1000 + 1000);
        let bad = if batch % 4 == 3 { vec![] } else { vec![first + (batch * 37) % 1000] };
        let upload = world.begin(&world.sink, first, last, first - 1);
        let (sink, data) = (Arc::clone(&world.sink), content(first, last, &bad));
        let driven = tokio::spawn(async move { drive(&sink, upload, data.into_bytes()).await });
        waiting.push((first, last, bad, driven));
    }
    for (first, last, bad, driven) in waiting {
        let ended = driven.await.unwrap();
        let all = content(first, last, &bad);
        let (invalid, rest) = routed(&ended, &all);
        assert_eq!(invalid, only(first, last, &bad), "{ended:?}");
        assert_eq!(rest.len() + invalid.len(), all.len());
        assert_eq!(ended.row_errors, bad.len() as u64);
        if let Some(bad) = bad.first() {
            assert_eq!(ended.state, State::Invalid);
            let said = ended.message.clone().unwrap();
            assert!(said.contains("Snowflake rejected 1 row(s)") && said.contains("100038"), "{said}");
            assert_eq!(ended.pieces[0].reason, said);
            assert_eq!(ended.pieces[0].tokens, Some((bad.to_string(), bad.to_string())));
        }
        rejected += ended.row_errors;
        stored += rest.lines().count();
    }
    assert_eq!((rejected, stored), (30, 39_970));
    let mut rows = world.rows().await;
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), 39_970);
    assert_eq!(world.snowflake().snapshot().channels[0].rows_error_count, 30);
    let asked = world.snowflake().journal().requests();
    let asked = asked.iter().filter(|request| request.path == "/api/v2/statements").count();
    assert!(asked <= 20, "one question for many FlowFiles: {asked}");
    world.stop().await;
}

/// Publishes rows `1..=10`, of which 4 is bad, through `sink`, and tells what became of them.
async fn one_bad(world: &World, sink: &Arc<Sink>) -> Progress {
    let upload = world.begin(sink, 1, 10, 0);
    drive(sink, upload, content(1, 10, &[4]).into_bytes()).await
}

/// The whole FlowFile is invalid, as it is without an error table, and `reason` is told.
async fn falls_back(world: &World, sink: &Arc<Sink>, reasons: &[&str]) {
    let ended = one_bad(world, sink).await;
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 1, 0), "{ended:?}");
    let said = ended.message.unwrap();
    let told: Vec<String> = sink.messages().into_iter().map(|message| message.text).collect();
    for reason in reasons {
        assert!(said.contains(reason), "{reason} is not in {said}");
        let times =
            told.iter().filter(|text| text.contains("told from their neighbours") && text.contains(reason));
        assert_eq!(times.count(), 1, "{reason} is told once: {told:?}");
    }
    assert_eq!(world.rows().await.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_warehouse_the_requests_are_told_and_why() {
    let world = World::with(Duration::from_millis(30), &[ROWS, POINTER]).await;
    let ended = one_bad(&world, &world.sink).await;
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 1, 0), "{ended:?}");
    let upload = world.begin(&world.sink, 11, 20, 10);
    drive(&world.sink, upload, content(11, 20, &[12]).into_bytes()).await;
    let told: Vec<String> = world.sink.messages().into_iter().map(|message| message.text).collect();
    let times = told.iter().filter(|text| text.contains("Warehouse is not set")).count();
    assert_eq!(times, 1, "{told:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_cannot_be_used_is_named_with_its_remedy() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let sink = impatient(&world, &[("Warehouse", "NOT_THERE")]);
    falls_back(&world, &sink, &["000606", "in warehouse NOT_THERE, which the role needs USAGE on"]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_privilege_is_told_which_one() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    sql(
        &world,
        "CREATE ROLE INGEST; GRANT ROLE INGEST TO USER LOCAL_USER; GRANT USAGE ON DATABASE DB TO ROLE INGEST; \
         GRANT USAGE ON SCHEMA DB.SC TO ROLE INGEST; GRANT INSERT ON TABLE DB.SC.T TO ROLE INGEST; \
         CREATE WAREHOUSE WH; GRANT USAGE ON WAREHOUSE WH TO ROLE INGEST",
    )
    .await;
    let sink = impatient(&world, &[("Warehouse", "WH"), ("Role", "INGEST")]);
    falls_back(&world, &sink, &["003001", "needs SELECT ERROR TABLE on the table"]).await;
    sql(&world, "GRANT SELECT ERROR TABLE ON TABLE DB.SC.T TO ROLE INGEST").await;
    let again = impatient(&world, &[("Warehouse", "WH"), ("Role", "INGEST")]);
    let upload = world.begin(&again, 11, 20, 10);
    let ended = drive(&again, upload, content(11, 20, &[12]).into_bytes()).await;
    assert_eq!(routed(&ended, &content(11, 20, &[12])).0, only(11, 20, &[12]), "{ended:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_error_logging_is_not_waited_for() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    sql(&world, "CREATE OR REPLACE TABLE DB.SC.T (N NUMBER, TEXT VARCHAR)").await;
    let sink = Arc::clone(&world.sink);
    let begun = std::time::Instant::now();
    falls_back(&world, &sink, &["SET ERROR_LOGGING = TRUE begins it"]).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_table_that_stays_silent_or_incomplete_is_waited_for_a_bounded_time() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let silent = Fault::always(Route::Statements, Fault::refuse(503, "000629"));
    world.snowflake().faults().add(silent.clone());
    let sink = impatient(&world, &[]);
    falls_back(&world, &sink, &["could not be read within 2 s: HTTP 503"]).await;
    // The row is in the error table, and gone before anybody could look.
    let other = impatient(&world, &[]);
    let upload = world.begin(&other, 11, 20, 10);
    let driven = {
        let other = Arc::clone(&other);
        tokio::spawn(async move { drive(&other, upload, content(11, 20, &[12]).into_bytes()).await })
    };
    world
        .until("the row", |w| (w.snowflake().snapshot().channels[0].rows_error_count == 2).then_some(()))
        .await;
    sql(&world, "TRUNCATE TABLE ERROR_TABLE(DB.SC.T)").await;
    world.snowflake().faults().clear();
    let ended = driven.await.unwrap();
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 1, 0), "{ended:?}");
    assert!(ended.message.unwrap().contains("did not have as many rows as were counted within 2 s"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_table_that_comes_late_is_waited_for() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    for _ in 0..3 {
        world.snowflake().faults().add(Fault::once(Route::Statements, Fault::refuse(503, "000629")));
    }
    let ended = one_bad(&world, &world.sink).await;
    assert_eq!(routed(&ended, &content(1, 10, &[4])).0, only(1, 10, &[4]), "{ended:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_token_are_known_by_their_content_and_a_flow_file_of_bad_rows_goes_whole() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let all = content(1, 10, &[4]).replace("{\"t\":\"7\",\"n\":7}", "no JSON at all");
    let upload = world.begin(&world.sink, 1, 10, 0);
    let ended = drive(&world.sink, upload, all.clone().into_bytes()).await;
    let expected = format!("{}no JSON at all\n", only(1, 10, &[4]));
    assert_eq!((routed(&ended, &all).0, ended.row_errors), (expected, 2), "{ended:?}");
    let bad = [11, 12, 13];
    let upload = world.begin(&world.sink, 11, 13, 10);
    let ended = drive(&world.sink, upload, content(11, 13, &bad).into_bytes()).await;
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 3, 0), "{ended:?}");
    assert!(ended.message.unwrap().contains("offset token(s) 11, 12, 13"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_content_goes_whole_with_the_exact_number() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let upload = world.begin(&world.sink, 1, 10, 0);
    let data = zstd::encode_all(content(1, 10, &[4, 8]).as_bytes(), 1).unwrap();
    let ended = drive(&world.sink, upload, data).await;
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 2, 0), "{ended:?}");
    assert!(ended.message.unwrap().contains("compressed content cannot be taken out"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_file_that_comes_again_is_told_the_same_rows() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let all = content(1, 10, &[4]);
    let upload = world.begin(&world.sink, 1, 10, 0);
    reach(&world.sink, upload, &[State::WantData]).await;
    write(&world.sink, upload, all.clone().into_bytes()).await;
    let again = reach(&world.sink, upload, &[State::WantData]).await;
    assert_eq!(again.state, State::WantData, "its content is wanted once more: {again:?}");
    world.sink.abandon(upload);
    for _ in 0..2 {
        let upload = world.begin(&world.sink, 1, 10, 0);
        let ended = drive(&world.sink, upload, all.clone().into_bytes()).await;
        assert_eq!(routed(&ended, &all).0, only(1, 10, &[4]), "{ended:?}");
        assert_eq!(ended.rows_sent, 0);
    }
    assert_eq!(world.rows().await.len(), 9);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_the_error_table() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    world.snowflake().faults().add(Fault::always(Route::Statements, Trouble::Hang));
    let upload = world.begin(&world.sink, 1, 10, 0);
    reach(&world.sink, upload, &[State::WantData]).await;
    write(&world.sink, upload, content(1, 10, &[4]).into_bytes()).await;
    let counted =
        |w: &World| w.snowflake().snapshot().channels.first().is_some_and(|c| c.rows_error_count == 1);
    world.until("the count", |w| counted(w).then_some(())).await;
    world.until("the question", |w| (w.snowflake().faults().fired() > 1).then_some(())).await;
    world.sink.hurry();
    let ended = world.sink.advance(upload, Duration::from_millis(500)).await.unwrap();
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 1, 0), "{ended:?}");
    world.snowflake().faults().clear();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_reads_the_error_table_and_names_what_is_missing() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let place = [("Database", "DB"), ("Schema", "SC"), ("Table", "T")];
    let verify = async |changes: &[(&str, &str)]| {
        let changes: Vec<_> = place.iter().chain(changes).copied().collect();
        let config = SinkConfig::from_properties(&world.properties(&changes)).unwrap();
        let last = Sink::verify(&config).await.pop().unwrap();
        (last.step, last.outcome.as_str(), last.explanation)
    };
    let (step, outcome, text) = verify(&[]).await;
    assert_eq!((step.as_str(), outcome), ("Rejected Rows", "SUCCESSFUL"), "{text}");
    let (_, outcome, text) = verify(&[("Warehouse", "NOPE")]).await;
    assert!(outcome == "FAILED" && text.contains("USAGE on warehouse NOPE"), "{text}");
    assert_eq!(verify(&[("Warehouse", "")]).await.0, "Schema Evolution", "nothing to verify");
    sql(&world, "ALTER TABLE DB.SC.T SET ERROR_LOGGING = FALSE").await;
    let (_, outcome, text) = verify(&[]).await;
    assert!(outcome == "FAILED" && text.contains("no error logging"), "{text}");
    world.stop().await;
}
