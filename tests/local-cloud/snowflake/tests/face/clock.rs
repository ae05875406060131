//! The account's time: what a test or a user reaches by moving it rather than by waiting.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use local_snowflake::{Clock, Options};
use serde_json::json;

use crate::client::{PIPES, World};

const T: &str = "T-STREAMING";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn standing_still() -> Clock {
    Clock::fixed(chrono::Utc::now().timestamp_millis())
}

async fn world(options: Options) -> World {
    let world = World::with(options).await;
    world.sql("CREATE TABLE t (a INT); ALTER TABLE t SET ROW_TIMESTAMP = TRUE");
    world
}

#[tokio::test]
async fn a_channel_unused_for_thirty_days_is_gone_with_its_token() {
    let world = world(Options::default()).await;
    world.stream(T, "{\"a\":1}\n").await;
    let kept = world.open(T, "kept").await.next();
    let first_created = world.status(T, "c").await["created_on_ms"].as_i64().unwrap();
    world.snowflake.clock().advance(30 * DAY - Duration::from_secs(60));
    let token = world.login("LOCAL_USER", None).await;
    let mut world = world;
    world.use_token(token);
    assert_eq!(world.status(T, "c").await["last_committed_offset_token"], "1", "a status is no use");
    let kept = world.append(T, "kept", &kept, ("1", "1"), "{\"a\":2}\n").await.next();
    world.snowflake.clock().advance(Duration::from_secs(61));
    let statuses = world.statuses(T, &["c", "kept"]).await;
    assert_eq!(statuses.as_object().unwrap().keys().collect::<Vec<_>>(), ["kept"]);
    world.append(T, "kept", &kept, ("2", "2"), "{\"a\":3}\n").await.next();

    let reply = world.append(T, "c", "0_2", ("2", "2"), "{\"a\":4}\n").await;
    let code = "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED";
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, code));
    let dropped = world.call(Method::DELETE, &format!("{PIPES}/{T}/channels/c"), "").await;
    assert_eq!(dropped.status, StatusCode::NOT_FOUND);
    let opened = world.open(T, "c").await.json();
    assert_eq!(opened["channel_status"]["last_committed_offset_token"], json!(null));
    assert_eq!(opened["channel_status"]["rows_inserted"], json!(0));
    assert!(opened["channel_status"]["created_on_ms"].as_i64().unwrap() > first_created);
    assert_eq!(
        world.append(T, "c", "0_2", ("2", "2"), "{\"a\":4}\n").await.code(),
        "STALE_CONTINUATION_TOKEN_SEQUENCER",
        "tokens of the channel that is gone stay stale"
    );
    let next = opened["next_continuation_token"].as_str().unwrap();
    world.append(T, "c", next, ("2", "2"), "{\"a\":5}\n").await.next();
    world.committed(T, "c", "2").await;
    world.committed(T, "kept", "2").await;
    assert_eq!(world.table("SELECT a FROM t ORDER BY a"), ["1", "2", "3", "5"], "rows stay");
}

#[tokio::test]
async fn an_idle_channel_is_forgotten_over_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { state: Some(folder.path().join("snowflake.db")), ..Options::default() };
    let first = world(options.clone()).await;
    first.stream(T, "{\"a\":1}\n").await;
    drop(first);

    let world = World::reopen(Options { clock: Clock::system(), ..options.clone() }).await;
    assert_eq!(world.status(T, "c").await["last_committed_offset_token"], "1");
    world.snowflake.clock().advance(31 * DAY);
    assert!(world.snowflake.snapshot().channels.is_empty());
    drop(world);
    let world = World::reopen(Options { clock: Clock::system(), ..options }).await;
    assert!(world.status(T, "c").await.is_null(), "it does not come back");
    assert_eq!(world.table("SELECT a FROM t"), ["1"]);
}

#[tokio::test]
async fn rows_of_an_abandoned_channel_are_committed_before_it_expires() {
    let clock = standing_still();
    let world = world(Options { clock: clock.clone(), ..Options::default() }).await;
    world.snowflake.pause_commits();
    let token = world.open(T, "c").await.next();
    world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    clock.advance(31 * DAY);
    assert_eq!(world.snowflake.snapshot().channels.len(), 1, "it has rows to commit");
    world.snowflake.commit_now();
    assert!(world.snowflake.snapshot().channels.is_empty());
    assert_eq!(world.table("SELECT a FROM t"), ["1"]);
}

#[tokio::test]
async fn commits_and_their_times_go_by_the_clock() {
    let clock = standing_still();
    let delay = Duration::from_secs(3600);
    let options = Options { clock: clock.clone(), commit_delay: delay, ..Options::default() };
    let world = world(options).await;
    let token = world.open(T, "c").await.next();
    world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    clock.advance(delay - Duration::from_millis(1));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(world.table("SELECT a FROM t").is_empty(), "one millisecond is missing");
    clock.advance(Duration::from_millis(1));
    for _ in 0..200 {
        if !world.table("SELECT a FROM t").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ages = "SELECT DATEDIFF(second, METADATA$ROW_LAST_COMMIT_TIME, CURRENT_TIMESTAMP()) FROM t";
    assert_eq!(world.table(ages), ["0"], "committed, and stamped, when the clock said so");
    clock.advance(DAY);
    assert_eq!(world.table(ages), ["86400"]);
}

#[tokio::test]
async fn tokens_end_by_the_clock_and_a_new_login_is_served_by_the_client_s_own() {
    let clock = standing_still();
    let options =
        Options { clock: clock.clone(), token_lifetime: Duration::from_secs(600), ..Options::default() };
    let mut world = world(options).await;
    clock.advance(Duration::from_secs(599));
    assert_eq!(world.open(T, "c").await.status, StatusCode::OK);
    clock.advance(Duration::from_secs(1));
    let reply = world.open(T, "c").await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::UNAUTHORIZED, "390114"));
    clock.advance(400 * DAY);
    let token = world.login("LOCAL_USER", None).await;
    world.use_token(token);
    assert_eq!(world.open(T, "c").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_minute_of_the_clock_frees_the_rate_of_a_channel() {
    let clock = standing_still();
    let world = world(Options { clock: clock.clone(), ..Options::default() }).await;
    let mut token = world.open(T, "c").await.next();
    let begun = Instant::now();
    for n in 1..=30 {
        let offset = n.to_string();
        let reply = world.append(T, "c", &token, (&offset, &offset), "{\"a\":1}\n").await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            clock.advance(Duration::from_secs(60));
            token = world.append(T, "c", &token, (&offset, &offset), "{\"a\":1}\n").await.next();
        } else {
            token = reply.next();
        }
    }
    assert_eq!(clock.advanced(), Duration::from_secs(120), "ten at once, and again after each minute");
    assert!(begun.elapsed() < Duration::from_secs(10));
}
