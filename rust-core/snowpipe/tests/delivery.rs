//! The sink against the local Snowflake: every row once, whatever happens on the way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use local_cloud::snowflake::{AppendOutcome, Fault, Route, Trouble};
use snowpipe::State;
use support::{World, content, drive, reach, write};

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_committed_in_order_and_replays_are_skipped() {
    let world = World::start().await;
    let first = world.publish(1, 100, 0).await;
    assert_eq!((first.state, first.rows_sent), (State::Committed, 100));
    assert!(
        first.transit_uri.contains("/pipes/T-STREAMING/channels/orders.shard-0"),
        "{}",
        first.transit_uri
    );
    let again = world.publish(1, 100, 0).await;
    assert_eq!((again.state, again.rows_sent, again.rows_skipped), (State::Committed, 0, 100));
    let straddling = world.publish(51, 150, 50).await;
    assert_eq!((straddling.rows_sent, straddling.rows_skipped), (50, 50));
    assert_eq!(world.rows().await, (1..=150).collect::<Vec<_>>());
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_begun_out_of_order_are_published_in_order() {
    let world = World::start().await;
    let spans = [(61, 90), (31, 60), (91, 120), (1, 30)];
    let uploads: Vec<_> = spans
        .iter()
        .map(|(start, end)| (world.begin(&world.sink, *start, *end, start - 1), *start, *end))
        .collect();
    let driven = uploads.into_iter().map(|(upload, start, end)| {
        let sink = world.sink.clone();
        tokio::spawn(async move { drive(&sink, upload, content(start, end)).await })
    });
    for upload in driven.collect::<Vec<_>>() {
        assert_eq!(upload.await.unwrap().state, State::Committed);
    }
    assert_eq!(world.rows().await, (1..=120).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_held_until_another_node_closes_it() {
    let world = World::start().await;
    let other = world.node();
    let held = world.begin(&world.sink, 11, 20, 10);
    let waiting = reach(&world.sink, held, &[State::Waiting]).await;
    assert_eq!(waiting.state, State::Waiting);
    let before = world.begin(&other, 1, 10, 0);
    assert_eq!(drive(&other, before, content(1, 10)).await.state, State::Committed);
    assert_eq!(drive(&world.sink, held, content(11, 20)).await.state, State::Committed);
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    other.close(Duration::from_secs(5)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_append_is_repeated_as_it_was() {
    let world = World::start().await;
    let body = r#""ERR_GENERAL_EXCEPTION_RETRY_REQUEST""#.to_owned();
    let trouble = Trouble::RefuseAfter { status: 503, body };
    world.snowflake().faults().add(Fault::once(Route::Append, trouble));
    assert_eq!(world.publish(1, 50, 0).await.state, State::Committed);
    let appends = world.snowflake().journal().appends();
    assert_eq!(appends.len(), 2);
    assert_eq!(appends[0].request_id, appends[1].request_id);
    assert_eq!(appends[0].continuation_token, appends[1].continuation_token);
    assert_eq!(appends[1].outcome, AppendOutcome::Replayed);
    assert_eq!(world.rows().await, (1..=50).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalidated_channel_answers_retry_and_nothing_is_lost_or_doubled() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    world.snowflake().pause_commits();
    let upload = world.begin(&world.sink, 11, 20, 10);
    reach(&world.sink, upload, &[State::WantData]).await;
    write(&world.sink, upload, content(11, 20)).await;
    world.until("the append", |w| (w.snowflake().journal().appends().len() == 2).then_some(())).await;
    let code = "ERR_CHANNEL_MUST_BE_REOPENED";
    assert!(world.snowflake().invalidate_channel("DB.SC.\"T-STREAMING\"", "orders.shard-0", code));
    world.snowflake().resume_commits();
    let ended = reach(&world.sink, upload, &[]).await;
    assert_eq!(ended.state, State::Retry, "{ended:?}");
    assert_eq!(world.publish(11, 20, 10).await.state, State::Committed);
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_continuation_token_is_overcome() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    let other = world.node();
    let next = world.begin(&other, 11, 20, 10);
    assert_eq!(drive(&other, next, content(11, 20)).await.state, State::Committed);
    let mut state = world.publish(21, 30, 20).await.state;
    while state == State::Retry {
        state = world.publish(21, 30, 20).await.state;
    }
    assert_eq!(state, State::Committed);
    assert_eq!(world.rows().await, (1..=30).collect::<Vec<_>>());
    other.close(Duration::from_secs(5)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_are_never_plain_success() {
    let world = World::start().await;
    let upload = world.begin(&world.sink, 1, 3, 0);
    let data = b"{\"n\":1}\n{\"n\":2,\"text\":\"x\"}\n{\"n\":{\"not\":\"a number\"}}\n".to_vec();
    // The last row's token is not needed: nothing is trimmed and the body ends with the upload.
    let ended = drive(&world.sink, upload, data).await;
    assert_eq!((ended.state, ended.row_errors), (State::Invalid, 1), "{ended:?}");
    assert!(ended.message.unwrap().contains("rejected 1 row"));
    assert_eq!(world.publish(4, 9, 3).await.state, State::Committed);
    let again = world.publish(1, 3, 0).await;
    assert_eq!(again.state, State::Invalid, "a replay of an upload with rejected rows: {again:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_flow_files_are_cut_into_bodies_below_the_limit() {
    let world = World::with(Duration::from_millis(50), &[("Memory Budget", "4194304")]).await;
    let mut data = Vec::new();
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for n in 1..=12_000_u64 {
        let mut text = String::new();
        while text.len() < 1000 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(&format!("{noise:016x}"));
        }
        data.extend_from_slice(format!("{{\"n\":{n},\"text\":\"{text}\"}}\n").as_bytes());
    }
    let upload = world.begin(&world.sink, 1, 12_000, 0);
    let ended = drive(&world.sink, upload, data).await;
    assert_eq!((ended.state, ended.rows_sent), (State::Committed, 12_000), "{ended:?}");
    let appends = world.snowflake().journal().appends();
    assert!(appends.len() > 1 && appends.iter().all(|a| a.compressed < 4_000_000), "{}", appends.len());
    assert_eq!(world.rows().await.len(), 12_000);
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_slows_down_and_loses_nothing() {
    let world = World::start().await;
    let trouble = Fault::refuse(429, "390701");
    let fault = Fault { times: Some(3), ..Fault::once(Route::Append, trouble) };
    world.snowflake().faults().add(fault);
    assert_eq!(world.publish(1, 50, 0).await.state, State::Committed);
    assert!(world.message("throttles").await.contains("orders.shard-0"));
    assert_eq!(world.rows().await, (1..=50).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_the_service_finds_too_large_is_split() {
    let world = World::start().await;
    world.snowflake().faults().add(Fault::once(Route::Append, Fault::refuse(413, "TOO_LARGE")));
    assert_eq!(world.publish(1, 50, 0).await.state, State::Committed);
    assert_eq!(world.rows().await, (1..=50).collect::<Vec<_>>());
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_pipe_and_an_expired_token_are_overcome() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    world.snowflake().expire_tokens();
    assert_eq!(world.publish(11, 20, 10).await.state, State::Committed);
    world.snowflake().faults().add(Fault::once(Route::Append, Fault::refuse(410, "")));
    let mut state = world.publish(21, 30, 20).await.state;
    while state == State::Retry {
        state = world.publish(21, 30, 20).await.state;
    }
    assert_eq!(state, State::Committed);
    assert_eq!(world.rows().await, (1..=30).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_fail_their_upload_and_the_next_waits_for_them() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    world.snowflake().faults().add(Fault::once(Route::Append, Fault::refuse(400, "INVALID_ROWS")));
    let failed = world.publish(11, 20, 10).await;
    assert_eq!(failed.state, State::Failed, "{failed:?}");
    let next = world.begin(&world.sink, 21, 30, 20);
    let waiting = world.sink.advance(next, Duration::from_millis(500)).await.unwrap();
    assert_eq!(waiting.state, State::Waiting, "{waiting:?}");
    assert_eq!(world.publish(11, 20, 10).await.state, State::Committed);
    world.sink.abandon(next);
    assert_eq!(world.publish(21, 30, 20).await.state, State::Committed);
    assert_eq!(world.rows().await, (1..=30).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_gaps_published_the_next_goes_on_and_refused_rows_are_not_skipped() {
    let world = World::with(Duration::from_millis(100), &[("Gap Strategy", "PUBLISH")]).await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    world.snowflake().faults().add(Fault::once(Route::Append, Fault::refuse(400, "INVALID_ROWS")));
    let failed = world.publish(11, 20, 10).await;
    assert_eq!(failed.state, State::Failed, "{failed:?}");
    assert_eq!(world.publish(21, 30, 20).await.state, State::Committed);
    let late = world.publish(11, 20, 10).await;
    assert_eq!(late.state, State::Failed, "what was never published is not skipped: {late:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_not_found_for_long_opens_the_channel_anew() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    let open = |w: &World| {
        w.snowflake().journal().requests().iter().filter(|r| r.method == "PUT" && r.status == 200).count()
    };
    assert_eq!(open(&world), 1);
    world.snowflake().faults().add(Fault::always(Route::Status, Fault::refuse(404, "")));
    let upload = world.begin(&world.sink, 11, 20, 10);
    reach(&world.sink, upload, &[State::WantData]).await;
    write(&world.sink, upload, content(11, 20)).await;
    assert_eq!(reach(&world.sink, upload, &[]).await.state, State::Committed);
    assert_eq!(open(&world), 2);
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test]
async fn a_caller_is_told_which_uploads_to_look_at() {
    let world = World::start().await;
    let first = world.begin(&world.sink, 1, 10, 0);
    let held = world.begin(&world.sink, 31, 40, 30);
    let told = |wait| world.sink.ready(8, Duration::from_secs(wait));
    assert_eq!(told(30).await, [first], "it wants data");
    assert!(world.sink.ready(8, Duration::ZERO).await.is_empty(), "a change is told once");
    write(&world.sink, first, content(1, 10)).await;
    assert_eq!(told(30).await, [first], "it is committed");
    assert_eq!(reach(&world.sink, first, &[State::Committed]).await.state, State::Committed);
    let gap = world.begin(&world.sink, 11, 30, 10);
    assert_eq!(told(30).await, [gap]);
    write(&world.sink, gap, content(11, 30)).await;
    let mut next = Vec::new();
    while next.len() < 2 {
        next.extend(told(30).await);
    }
    next.sort_unstable();
    assert_eq!(next, [held, gap], "one is committed, the other wants data");
    world.stop().await;
}
