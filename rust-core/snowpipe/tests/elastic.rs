//! Elastic channels: at least once, without order and without tokens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use local_cloud::snowflake::{Fault, Route, Trouble};
use snowpipe::State;
use support::{World, content, drive};

const ELASTIC: [(&str, &str); 1] = [("Channel Type", "ELASTIC")];

async fn sorted_rows(world: &World, count: usize) -> Vec<u64> {
    let deadline = std::time::Instant::now() + support::PATIENCE;
    loop {
        let mut rows = world.rows().await;
        if rows.len() >= count || std::time::Instant::now() > deadline {
            rows.sort_unstable();
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_stored_without_tokens_opens_or_status_calls() {
    let world = World::with(Duration::from_millis(50), &ELASTIC).await;
    let uploads: Vec<u64> =
        (0..20).map(|n| world.begin(&world.sink, n * 10 + 1, n * 10 + 10, n * 10)).collect();
    let mut driven = Vec::new();
    for (n, upload) in (0..20).zip(uploads) {
        let sink = std::sync::Arc::clone(&world.sink);
        driven
            .push(tokio::spawn(async move { drive(&sink, upload, content(n * 10 + 1, n * 10 + 10)).await }));
    }
    for driven in driven {
        let ended = driven.await.unwrap();
        assert_eq!((ended.state, ended.rows_sent), (State::Committed, 10), "{ended:?}");
        assert!(ended.transit_uri.ends_with("/v2/streaming/databases/DB/schemas/SC/tables/T"), "{ended:?}");
    }
    assert_eq!(sorted_rows(&world, 200).await, (1..=200).collect::<Vec<_>>());
    let requests = world.snowflake().journal().requests();
    let others = |part: &str| requests.iter().any(|r| r.path.contains(part) || r.query.contains(part));
    assert!(!others("bulk-channel-status") && !others("ontinuationToken") && !others("ffsetToken"));
    assert!(!requests.iter().any(|r| r.method == "PUT"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_the_services_is_no_success() {
    let world = World::with(Duration::from_millis(50), &ELASTIC).await;
    let answers = ["<html>Welcome</html>", "", "\"OK\"", "{\"status_code\":5,\"message\":\"try again\"}"];
    for body in answers {
        let trouble = Trouble::Refuse { status: 200, body: body.to_owned() };
        world.snowflake().faults().add(Fault::once(Route::ElasticAppend, trouble));
        assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    }
    assert_eq!(sorted_rows(&world, 40).await.len(), 40, "each FlowFile once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_keeps_its_request_id_and_counts() {
    let world = World::with(Duration::from_millis(50), &ELASTIC).await;
    let body = String::new();
    let trouble = Trouble::Refuse { status: 503, body };
    let fault = Fault { times: Some(2), ..Fault::once(Route::ElasticAppend, trouble) };
    world.snowflake().faults().add(fault);
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    let queries: Vec<String> = world
        .snowflake()
        .journal()
        .requests()
        .into_iter()
        .filter(|r| r.path.ends_with("/rows"))
        .map(|r| r.query)
        .collect();
    let ids: std::collections::BTreeSet<&str> =
        queries.iter().filter_map(|q| q.split("requestId=").nth(1)?.split('&').next()).collect();
    assert_eq!((queries.len(), ids.len()), (3, 1), "{queries:?}");
    assert!(queries.iter().enumerate().all(|(n, q)| q.contains(&format!("retryCount={n}"))), "{queries:?}");
    assert_eq!(sorted_rows(&world, 10).await, (1..=10).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_fails_after_bounded_tries() {
    let world = World::with(Duration::from_millis(50), &ELASTIC).await;
    world.snowflake().faults().add(Fault::always(Route::ElasticAppend, Fault::refuse(400, "INVALID_ROWS")));
    let failed = world.publish(1, 10, 0).await;
    assert_eq!(failed.state, State::Failed, "{failed:?}");
    assert!(failed.message.unwrap().contains("INVALID_ROWS"));
    world.snowflake().faults().clear();
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_has_its_elastic_channel_too() {
    let world = World::with(Duration::from_millis(50), &ELASTIC).await;
    let statement = "CREATE PIPE DB.SC.P AS COPY INTO DB.SC.T FROM (SELECT $1:n::NUMBER, $1:text::VARCHAR \
         FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))";
    let snowflake = world.snowflake().clone();
    tokio::task::spawn_blocking(move || snowflake.sql(statement).unwrap()).await.unwrap();
    let map = [("Database", "DB"), ("Schema", "SC"), ("Pipe", "P"), ("Destination Type", "PIPE")];
    let map = map.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let upload = world.sink.begin(snowpipe::UploadRequest::from_properties(&map).unwrap()).unwrap();
    let ended = drive(&world.sink, upload, content(1, 10)).await;
    assert_eq!(ended.state, State::Committed, "{ended:?}");
    assert!(ended.transit_uri.ends_with("/pipes/P/channels/ELASTIC"), "{ended:?}");
    assert_eq!(sorted_rows(&world, 10).await, (1..=10).collect::<Vec<_>>());
    world.stop().await;
}
