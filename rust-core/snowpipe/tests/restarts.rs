//! What a channel says after its publisher was started anew, or its stream was: nothing is hidden, nothing is repeated.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use snowpipe::{Progress, Sink, State};
use support::{World, content, drive, reach, write};

const FAST: Duration = Duration::from_millis(30);
const POINTER: (&str, &str) = ("Offset Token Record Pointer", "/t");

/// Rows that do not fit the table but for those that are `good`.
fn rows(start: u64, end: u64, good: impl Fn(u64) -> bool) -> Vec<u8> {
    let row = |n| match good(n) {
        true => format!("{{\"t\":{n},\"n\":{n}}}\n"),
        false => format!("{{\"t\":{n},\"n\":\"no number {n}\"}}\n"),
    };
    (start..=end).map(row).collect::<String>().into_bytes()
}

fn appends(world: &World) -> usize {
    world.snowflake().journal().appends().len()
}

async fn publish_in(world: &World, group: &str, start: u64, end: u64) -> Progress {
    let upload = world.begin_in(group, &world.sink, start, end, start - 1);
    drive(&world.sink, upload, content(start, end)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_created_anew_has_another_channel_and_no_old_token_hides_its_rows() {
    let world = World::with(FAST, &[]).await;
    let (old, new) = ("orders.lineage-1.shard-0", "orders.lineage-2.shard-0");
    assert_eq!(publish_in(&world, old, 1, 500).await.state, State::Committed);
    // The new stream begins with low positions again.
    for (start, end) in [(1, 40), (41, 60)] {
        let ended = publish_in(&world, new, start, end).await;
        assert_eq!((ended.state, ended.rows_skipped), (State::Committed, 0), "{ended:?}");
    }
    assert_eq!(world.rows().await, (1..=500).chain(1..=60).collect::<Vec<_>>());
    let mut tokens: Vec<_> = world
        .snowflake()
        .snapshot()
        .channels
        .iter()
        .map(|channel| channel.committed_offset_token.clone().unwrap_or_default())
        .collect();
    tokens.sort();
    assert_eq!(tokens, ["500", "60"], "one channel a lineage");
    let hidden = publish_in(&world, old, 61, 80).await;
    assert_eq!((hidden.rows_sent, hidden.rows_skipped), (0, 20), "what the old name would do");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_of_rejected_rows_is_not_sent_again_after_a_restart() {
    let world = World::with(FAST, &[POINTER]).await;
    let publish = async |sink: &Arc<Sink>, start: u64| {
        let upload = world.begin(sink, start, start + 99, start - 1);
        drive(sink, upload, rows(start, start + 99, |n| n <= 100)).await
    };
    assert_eq!(publish(&world.sink, 1).await.state, State::Committed);
    let run: Vec<u64> = (1..=10).map(|nth| nth * 100 + 1).collect();
    for start in &run {
        let ended = publish(&world.sink, *start).await;
        assert_eq!((ended.state, ended.row_errors), (State::Invalid, 100), "{ended:?}");
    }
    let sent = appends(&world);
    let sink = world.node();
    for start in &run {
        let ended = publish(&sink, *start).await;
        assert_eq!((ended.rows_sent, ended.rows_skipped), (0, 100), "{ended:?}");
        assert_ne!(ended.state, State::Retry, "{ended:?}");
    }
    let last = world.begin(&sink, 1101, 1110, 1100);
    let ended = drive(&sink, last, rows(1101, 1110, |_| true)).await;
    assert_eq!(ended.state, State::Committed, "{ended:?}");
    assert_eq!(appends(&world), sent + 1, "only what is new is sent");
    assert_eq!(world.rows().await, (1..=100).chain(1101..=1110).collect::<Vec<_>>());
    sink.close(Duration::from_secs(5)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_attempt_that_ended_early_stay_and_are_not_repeated() {
    let world = World::with(FAST, &[]).await;
    let first = world.node();
    world.snowflake().pause_commits();
    let upload = world.begin(&first, 1, 10, 0);
    reach(&first, upload, &[State::WantData]).await;
    write(&first, upload, content(1, 10)).await;
    world.until("the append", |world| (appends(world) == 1).then_some(())).await;
    drop(first);
    world.snowflake().resume_commits();
    let committed = |world: &World| {
        let snapshot = world.snowflake().snapshot();
        let token = snapshot.channels.first()?.committed_offset_token.clone()?;
        (token == "10").then_some(())
    };
    world.until("the commit", committed).await;
    assert_eq!(world.rows().await, (1..=10).collect::<Vec<_>>(), "seen before anybody was told");
    let ended = world.publish(1, 20, 0).await;
    assert_eq!((ended.state, ended.rows_sent, ended.rows_skipped), (State::Committed, 10, 10), "{ended:?}");
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_are_told_also_where_rows_have_no_tokens() {
    for resolution in ["FLOW_FILE", "DISABLED"] {
        let changes = [("Offset Tracking Resolution", resolution), ("Offset Token Record Pointer", "")];
        let world = World::with(FAST, &changes).await;
        let mut rejected = 0;
        for (nth, bad) in [(0, 0), (1, 15), (2, 0), (3, 31), (4, 0)] {
            let (start, end) = (nth * 10 + 1, nth * 10 + 10);
            let upload = world.begin(&world.sink, start, end, start - 1);
            let ended = drive(&world.sink, upload, rows(start, end, |n| n != bad)).await;
            let expected = if bad == 0 { State::Committed } else { State::Invalid };
            assert_eq!((ended.state, ended.rows_sent), (expected, 10), "{resolution}: {ended:?}");
            rejected += ended.row_errors;
        }
        assert_eq!(rejected, 2, "{resolution}");
        let good = (1..=50).filter(|n| ![15, 31].contains(n));
        assert_eq!(world.rows().await, good.collect::<Vec<_>>(), "{resolution}");
        world.stop().await;
    }
}
