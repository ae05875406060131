//! Rows that Snowflake rejects and rows that fit into no request: each is accounted for, none is plain success.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use snowpipe::{Piece, Progress, Sink, State};
use support::{World, drive, reach, write};

const ROWS: [(&str, &str); 2] = [("Invalid Rows", "ROWS"), ("Offset Token Record Pointer", "/t")];

/// Text that compresses badly.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push(char::from(b'0' + u8::try_from(state >> 58).unwrap_or(0)).to_ascii_lowercase());
    }
    text.replace(['\\', '"'], "x")
}

fn row(n: u64, text: &str) -> String {
    format!("{{\"n\":{n},\"text\":\"{text}\"}}\n")
}

/// Not a number in the column of numbers; its token stays readable.
fn bad_row(n: u64) -> String {
    format!("{{\"t\":{n},\"n\":\"no number {n}\"}}\n")
}

/// The fifth row is too large.
fn large_fifth(n: u64) -> String {
    row(n, &noise(n, if n == 5 { 6_000_000 } else { 100 }))
}

/// Publishes rows with these tokens, and waits for the end.
async fn publish(world: &World, sink: &Arc<Sink>, (start, end): (u64, u64), content: Vec<u8>) -> Progress {
    let upload = world.begin_sized(sink, (start, end, start - 1), content.len());
    drive(sink, upload, content).await
}

fn text_of(content: &str, piece: &Piece) -> String {
    let start = usize::try_from(piece.offset).unwrap();
    content[start..start + usize::try_from(piece.length).unwrap()].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_too_large_goes_alone_and_its_neighbours_land() {
    let world = World::start().await;
    let content: String = (1..=9).map(large_fifth).collect();
    let upload = world.begin(&world.sink, 1, 9, 0);
    reach(&world.sink, upload, &[State::WantData]).await;
    write(&world.sink, upload, content.clone().into_bytes()).await;
    let told = world.sink.advance(upload, Duration::ZERO).await.unwrap();
    assert_eq!(told.pieces.len(), 1, "known as soon as the content was handed over");
    let ended = reach(&world.sink, upload, &[]).await;
    assert_eq!((ended.state, ended.rows_sent), (State::Committed, 8), "{ended:?}");
    let piece = &ended.pieces[0];
    assert_eq!((piece.kind, piece.rows), (State::Failed, 1));
    assert_eq!(piece.tokens, Some(("5".to_owned(), "5".to_owned())));
    assert!(text_of(&content, piece) == large_fifth(5));
    assert_eq!(world.rows().await, [1, 2, 3, 4, 6, 7, 8, 9]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_file_of_nothing_but_a_row_too_large_fails_each_time_and_does_not_hold_the_next() {
    let world = World::start().await;
    let content = row(1, &noise(1, 6_000_000)).into_bytes();
    let fails = async || {
        let ended = publish(&world, &world.sink, (1, 1), content.clone()).await;
        assert_eq!((ended.state, ended.pieces.len()), (State::Failed, 0), "{:?}", ended.message);
    };
    fails().await;
    assert_eq!(world.publish(2, 9, 1).await.state, State::Committed);
    // NiFi tries it again, or somebody sends it back from the funnel.
    fails().await;
    assert_eq!(world.publish(10, 19, 9).await.state, State::Committed);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_taken_out_stays_a_failure_with_the_tokens_of_its_flow_file() {
    let world = World::start().await;
    let content: String = (1..=9).map(large_fifth).collect();
    assert_eq!(publish(&world, &world.sink, (1, 9), content.into_bytes()).await.state, State::Committed);
    let ended = publish(&world, &world.sink, (1, 9), large_fifth(5).into_bytes()).await;
    assert_eq!((ended.state, ended.pieces.len()), (State::Failed, 0), "{ended:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_too_large_is_taken_out_also_when_its_flow_file_comes_back() {
    for last in [9, 5] {
        let world = World::start().await;
        let content: String = (1..=last).map(large_fifth).collect();
        for (sent, skipped) in [(last - 1, 0), (0, last - 1)] {
            let node = world.node();
            let ended = publish(&world, &node, (1, last), content.clone().into_bytes()).await;
            let counts = (ended.state, ended.rows_sent, ended.rows_skipped, ended.pieces.len());
            assert_eq!(counts, (State::Committed, sent, skipped, 1), "{ended:?}");
            assert!(text_of(&content, &ended.pieces[0]) == large_fifth(5));
        }
        assert_eq!(world.rows().await.len() as u64, last - 1);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_file_that_comes_back_is_told_its_rejected_rows_and_those_too_large() {
    let changes =
        [("Invalid Rows", "ROWS"), ("Warehouse", "COMPUTE_WH"), ("Offset Token Record Pointer", "/t")];
    let world = World::with(Duration::from_millis(30), &changes).await;
    let rows = |n| match n {
        3 => bad_row(n),
        5 => format!("{{\"t\":5,\"n\":5,\"text\":\"{}\"}}\n", noise(5, 6_000_000)),
        _ => format!("{{\"t\":{n},\"n\":{n}}}\n"),
    };
    let content: String = (1..=9).map(rows).collect();
    for _ in 0..2 {
        let ended = publish(&world, &world.node(), (1, 9), content.clone().into_bytes()).await;
        assert_eq!((ended.state, ended.row_errors), (State::Invalid, 1), "{ended:?}");
        let told: Vec<(State, String)> =
            ended.pieces.iter().map(|piece| (piece.kind, text_of(&content, piece))).collect();
        assert!(told == [(State::Failed, rows(5)), (State::Invalid, rows(3))]);
    }
    assert_eq!(world.rows().await.len(), 7);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_row_too_large_leaves_alone_however_rows_are_tracked() {
    for resolution in ["FLOW_FILE", "DISABLED"] {
        let world =
            World::with(Duration::from_millis(30), &[("Offset Tracking Resolution", resolution)]).await;
        let content: String = (1..=5).map(large_fifth).collect();
        let ended = publish(&world, &world.sink, (1, 5), content.clone().into_bytes()).await;
        let counts = (ended.state, ended.rows_sent, ended.pieces.len());
        assert_eq!(counts, (State::Committed, 4, 1), "{resolution}: {ended:?}");
        assert!(text_of(&content, &ended.pieces[0]) == large_fifth(5));
        let alone = publish(&world, &world.sink, (1, 5), large_fifth(5).into_bytes()).await;
        assert_eq!(alone.state, State::Failed, "{resolution}: {alone:?}");
        if resolution == "FLOW_FILE" {
            let again = publish(&world, &world.node(), (1, 5), content.into_bytes()).await;
            let counts = (again.state, again.rows_skipped, again.pieces.len());
            assert_eq!(counts, (State::Committed, 4, 1), "{again:?}");
        }
        assert_eq!(world.rows().await, [1, 2, 3, 4], "{resolution}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_rows_asked_for_only_the_requests_concerned_are_invalid() {
    let world = World::with(Duration::from_millis(100), &ROWS).await;
    // Large enough for several requests; a row in the middle is bad.
    let content: String = (1..=24)
        .map(|n| match n {
            12 => bad_row(n),
            _ => format!("{{\"t\":{n},\"n\":{n},\"text\":\"{}\"}}\n", noise(n, 500_000)),
        })
        .collect();
    let upload = world.begin(&world.sink, 1, 24, 0);
    let ended = drive(&world.sink, upload, content.clone().into_bytes()).await;
    assert_eq!((ended.state, ended.row_errors), (State::Invalid, 1), "{ended:?}");
    let lines: BTreeSet<String> = ended
        .pieces
        .iter()
        .flat_map(|p| text_of(&content, p).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(!lines.is_empty() && lines.len() < 24, "{} rows", lines.len());
    assert!(lines.iter().any(|line| line.contains("no number 12")), "the bad row is among them");
    assert!(ended.pieces.iter().all(|p| p.kind == State::Invalid && p.tokens.is_some()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rejected_row_is_counted_over_fifty_flow_files() {
    let world = World::with(Duration::from_millis(30), &[("Offset Token Record Pointer", "/t")]).await;
    let (mut rejected, mut stored) = (0, 0);
    for batch in 0..50_u64 {
        let (first, last) = (batch * 1000 + 1, batch * 1000 + 1000);
        // Each thousandth row is bad, somewhere.
        let bad = first + (batch * 37) % 1000;
        let content: String = (first..=last)
            .map(|n| if n == bad { bad_row(n) } else { format!("{{\"t\":{n},\"n\":{n}}}\n") })
            .collect();
        let upload = world.begin(&world.sink, first, last, first - 1);
        let ended = drive(&world.sink, upload, content.into_bytes()).await;
        assert_eq!(ended.state, State::Invalid, "batch {batch} is no plain success: {ended:?}");
        let message = ended.message.unwrap();
        let named = (first, last);
        assert!(
            message.contains(&named.0.to_string()) && message.contains(&named.1.to_string()),
            "{message}"
        );
        rejected += ended.row_errors;
        stored += ended.rows_sent - ended.row_errors;
    }
    assert_eq!((rejected, stored), (50, 49_950));
    assert_eq!(world.rows().await.len(), 49_950);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_content_with_a_row_too_large_is_invalid_as_a_whole_each_time() {
    let world = World::start().await;
    let content: String = (1..=6).map(large_fifth).collect();
    let compressed = zstd::encode_all(content.as_bytes(), 1).unwrap();
    for _ in 0..2 {
        let ended = publish(&world, &world.node(), (1, 6), compressed.clone()).await;
        let counts = (ended.state, ended.row_errors, ended.pieces.len());
        assert_eq!(counts, (State::Invalid, 1, 0), "{ended:?}");
        assert!(ended.message.unwrap().contains("larger than a request"));
    }
    assert_eq!(world.rows().await, [1, 2, 3, 4, 6]);
    world.stop().await;
}
