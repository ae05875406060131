//! Rows that Snowflake rejects and rows that fit into no request: each is accounted for, none is plain success.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use snowpipe::{Piece, State};
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

fn text_of(content: &str, piece: &Piece) -> String {
    let start = usize::try_from(piece.offset).unwrap();
    content[start..start + usize::try_from(piece.length).unwrap()].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_too_large_goes_alone_and_its_neighbours_land() {
    let world = World::start().await;
    let content: String = (1..=9).map(|n| row(n, &noise(n, if n == 5 { 6_000_000 } else { 100 }))).collect();
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
    assert!(text_of(&content, piece) == row(5, &noise(5, 6_000_000)));
    assert_eq!(world.rows().await, [1, 2, 3, 4, 6, 7, 8, 9]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_file_of_nothing_but_a_row_too_large_fails_and_does_not_hold_the_next() {
    let world = World::start().await;
    let upload = world.begin(&world.sink, 1, 1, 0);
    let ended = drive(&world.sink, upload, row(1, &noise(1, 6_000_000)).into_bytes()).await;
    assert_eq!((ended.state, ended.pieces.len()), (State::Failed, 0), "{:?}", ended.message);
    assert_eq!(world.publish(2, 9, 1).await.state, State::Committed);
    world.stop().await;
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
async fn compressed_content_with_a_row_too_large_is_invalid_as_a_whole() {
    let world = World::start().await;
    let content: String = (1..=3).map(|n| row(n, &noise(n, if n == 2 { 6_000_000 } else { 10 }))).collect();
    let upload = world.begin(&world.sink, 1, 3, 0);
    let ended = drive(&world.sink, upload, zstd::encode_all(content.as_bytes(), 1).unwrap()).await;
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 1, 0), "{ended:?}");
    assert_eq!(world.rows().await, [1, 3]);
    world.stop().await;
}
