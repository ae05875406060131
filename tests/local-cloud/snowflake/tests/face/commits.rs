//! Commits: order, atomicity, invalidation and replaced tables.

use std::time::Duration;

use http::StatusCode;
use local_snowflake::Options;
use serde_json::json;

use crate::client::World;

const T: &str = "T-STREAMING";

#[tokio::test(start_paused = true)]
async fn rows_follow_after_the_delay() {
    let world = World::with(Options { commit_delay: Duration::from_secs(5), ..Options::default() }).await;
    world.sql("CREATE TABLE t (a INT)");
    let token = world.open(T, "c").await.next();
    world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    tokio::time::sleep(Duration::from_millis(4900)).await;
    assert_eq!(world.status(T, "c").await["last_committed_offset_token"], json!(null));
    world.committed(T, "c", "1").await;
    assert_eq!(world.table("SELECT a FROM t"), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn paused_commits_go_on_and_can_be_forced() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    world.snowflake.pause_commits();
    let token = world.open(T, "c").await.next();
    let token = world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let channel = &world.snowflake.snapshot().channels[0];
    assert_eq!((channel.pending_appends, channel.accepted_offset_token.as_deref()), (1, Some("1")));
    world.snowflake.commit_now();
    assert_eq!(world.status(T, "c").await["last_committed_offset_token"], "1");
    world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await.next();
    world.snowflake.resume_commits();
    world.committed(T, "c", "2").await;
    assert_eq!(world.table("SELECT a FROM t"), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn many_channels_keep_their_own_order() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (c VARCHAR, n INT)");
    let mut tokens = Vec::new();
    for channel in 0..5 {
        tokens.push(world.open(T, &format!("c{channel}")).await.next());
    }
    for n in 0..10 {
        for (channel, token) in tokens.iter_mut().enumerate() {
            let name = format!("c{channel}");
            let row = format!("{{\"c\":\"{name}\",\"n\":{n}}}\n");
            let offset = (n + 1).to_string();
            *token = world.append(T, &name, token, (&offset, &offset), &row).await.next();
        }
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    for channel in 0..5 {
        let name = format!("c{channel}");
        world.committed(T, &name, "10").await;
        let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(world.table(&format!("SELECT n FROM t WHERE c = '{name}'")), expected);
    }
    assert!(world.snowflake.violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn violations_of_order_are_found() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    let token = world.open(T, "c").await.next();
    let token = world.append(T, "c", &token, ("1", "10"), "{\"a\":1}\n").await.next();
    world.append(T, "c", &token, ("10", "11"), "{\"a\":1}\n").await.next();
    world.committed(T, "c", "11").await;
    assert_eq!(world.snowflake.violations().len(), 1);
    assert_eq!(world.snowflake.snapshot().channels[0].committed.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_channel_must_be_opened_again() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    let token = world.open(T, "c").await.next();
    let token = world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    world.committed(T, "c", "1").await;
    world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await.next();
    world.sql("SELECT SYSTEM$STREAMING_CHANNEL_INVALIDATE('demo.public.\"T-STREAMING\"', 'c')");
    let status = world.status(T, "c").await;
    assert_eq!(status["channel_status_code"], "ERR_CHANNEL_MUST_BE_REOPENED");
    assert_eq!(world.append(T, "c", "0_3", ("3", "3"), "{\"a\":3}\n").await.status, StatusCode::CONFLICT);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let opened = world.open(T, "c").await;
    assert_eq!(
        opened.json()["channel_status"]["last_committed_offset_token"],
        "1",
        "the rest is to be sent again"
    );
    assert_eq!(opened.json()["channel_status"]["channel_status_code"], "SUCCESS");
    assert_eq!(world.table("SELECT a FROM t"), ["1"]);
    assert!(world.snowflake.invalidate_channel(
        "demo.public.\"T-STREAMING\"",
        "C",
        "ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER"
    ));
    assert!(!world.snowflake.invalidate_channel("demo.public.\"T-STREAMING\"", "other", "X"));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_table_forgets_its_channels() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    let token = world.open(T, "c").await.next();
    let token = world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    world.committed(T, "c", "1").await;
    let token = world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await.next();
    world.sql("CREATE OR REPLACE TABLE t (a INT)");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(
        world.table("SELECT a FROM t").is_empty(),
        "nothing of the old table's channel arrives in the new one"
    );
    let reply = world.append(T, "c", &token, ("3", "3"), "{\"a\":3}\n").await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::CONFLICT, "STALE_PIPE_CACHE"));
    assert_eq!(world.statuses(T, &["c"]).await, json!({}));
    let opened = world.open(T, "c").await;
    assert_eq!(opened.json()["channel_status"]["last_committed_offset_token"], json!(null));
    world.append(T, "c", &opened.next(), ("1", "1"), "{\"a\":1}\n").await.next();
    world.committed(T, "c", "1").await;
    world.sql("DROP TABLE t");
    let reply = world.append(T, "c", "2_2", ("3", "3"), "{\"a\":3}\n").await;
    assert_eq!(reply.code(), "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn the_commit_time_is_shown_with_row_timestamp_only() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    assert_eq!(world.sql_error("SELECT METADATA$ROW_LAST_COMMIT_TIME FROM t"), "000904");
    world.stream(T, "{\"a\":1}\n").await;
    world.sql("ALTER TABLE t SET ROW_TIMESTAMP = TRUE");
    let before = chrono::Utc::now().timestamp_millis();
    world.stream(T, "{\"a\":2}\n").await;
    let after = chrono::Utc::now().timestamp_millis();
    let times =
        world.table("SELECT DATE_PART(epoch_millisecond, METADATA$ROW_LAST_COMMIT_TIME) FROM t ORDER BY a");
    assert_eq!(times[0], "NULL", "rows from before have none");
    assert!((before..=after).contains(&times[1].parse().unwrap()), "{times:?} in {before}..={after}");
    assert!(!world.table("SELECT * FROM t")[0].contains('|'), "hidden from *");
}
