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
