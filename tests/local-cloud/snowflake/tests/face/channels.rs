//! Open, append, status and drop.

use http::{Method, StatusCode};
use local_snowflake::{AppendOutcome, JournalOptions, Limits, Options};
use serde_json::json;

use crate::client::{DATA_PIPES, PIPES, World};

const T: &str = "T-STREAMING";

async fn world_with_table() -> World {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    world
}

#[tokio::test(start_paused = true)]
async fn a_channel_from_open_to_commit() {
    let world = world_with_table().await;
    let opened = world.open(T, "c-0").await;
    let status = &opened.json()["channel_status"];
    assert_eq!(status["last_committed_offset_token"], json!(null));
    assert_eq!(status["channel_status_code"], "SUCCESS");
    assert_eq!((&status["database_name"], &status["schema_name"]), (&json!("DEMO"), &json!("PUBLIC")));
    assert_eq!((&status["pipe_name"], &status["channel_name"]), (&json!(T), &json!("c-0")));
    let first = opened.next();
    assert_eq!(first, "0_1");
    let second = world.append(T, "c-0", &first, ("0", "1"), "{\"a\":1}\n{\"a\":2}\n").await.next();
    assert_eq!(
        world.status(T, "c-0").await["last_committed_offset_token"],
        json!(null),
        "an answer is no commit"
    );
    assert!(world.table("SELECT a FROM t").is_empty());
    world.append(T, "c-0", &second, ("2", "2"), "{\"a\":3}\r\n\n{\"a\":4}").await.next();
    let status = world.committed(T, "c-0", "2").await;
    assert_eq!((&status["rows_inserted"], &status["rows_parsed"]), (&json!(4), &json!(4)));
    assert_eq!((&status["rows_error_count"], &status["rows_errors"]), (&json!(0), &json!(0)));
    assert_eq!(world.table("SELECT a FROM t"), ["1", "2", "3", "4"], "in the order of the channel");
    assert!(world.snowflake.violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_consumed_token_is_answered_again_and_ingests_nothing() {
    let options =
        Options { journal: JournalOptions { requests: 100, body_bytes: 1000 }, ..Options::default() };
    let world = World::with(options).await;
    world.sql("CREATE TABLE t (a INT)");
    let first = world.open(T, "c").await.next();
    let second = world.append(T, "c", &first, ("1", "1"), "{\"a\":1}\n").await.next();
    let again = world.append(T, "c", &first, ("1", "1"), "{\"a\":1}\n").await.next();
    assert_eq!(again, second);
    let other_rows = world.append(T, "c", &first, ("2", "2"), "{\"a\":2}\n").await.next();
    assert_eq!(other_rows, second, "other rows under a consumed token vanish with a 200");
    let third = world.append(T, "c", &second, ("3", "3"), "{\"a\":3}\n").await.next();
    let old = world.append(T, "c", &first, ("1", "1"), "{\"a\":1}\n").await;
    assert_eq!(
        (old.status, old.code().as_str()),
        (StatusCode::BAD_REQUEST, "STALE_CONTINUATION_TOKEN_SEQUENCER")
    );
    world.committed(T, "c", "3").await;
    assert_eq!(world.table("SELECT a FROM t"), ["1", "3"]);
    let outcomes: Vec<AppendOutcome> =
        world.snowflake.journal().appends().into_iter().map(|append| append.outcome).collect();
    let stale = AppendOutcome::Rejected("STALE_CONTINUATION_TOKEN_SEQUENCER".into());
    use AppendOutcome::{Accepted, Replayed};
    assert_eq!(outcomes, [Accepted, Replayed, Replayed, Accepted, stale]);
    assert_eq!(world.snowflake.journal().appends()[0].body.as_deref(), Some(&b"{\"a\":1}\n"[..]));
    assert_eq!(third, "0_3");
}

#[tokio::test(start_paused = true)]
async fn opening_makes_the_former_holder_stale() {
    let world = world_with_table().await;
    let mine = world.open(T, "c").await.next();
    let theirs = world.open(T, "c").await.next();
    let reply = world.append(T, "c", &mine, ("1", "1"), "{\"a\":1}\n").await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::BAD_REQUEST, "STALE_CONTINUATION_TOKEN_SEQUENCER")
    );
    for garbage in ["", "x", "9_9"] {
        assert_eq!(
            world.append(T, "c", garbage, ("1", "1"), "{\"a\":1}\n").await.status,
            StatusCode::BAD_REQUEST
        );
    }
    world.append(T, "c", &theirs, ("1", "1"), "{\"a\":1}\n").await.next();
    world.committed(T, "c", "1").await;
}

#[tokio::test(start_paused = true)]
async fn opening_with_uncommitted_rows_fails_or_discards_them() {
    let world = world_with_table().await;
    let uri = format!("{PIPES}/{T}/channels/c");
    let careful = json!({"fail_on_uncommitted_rows": true}).to_string();
    let token = world.open(T, "c").await.next();
    let token = world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    let reply = world.call(Method::PUT, &uri, careful.clone()).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::CONFLICT, "ERR_CHANNEL_HAS_UNCOMMITTED_DATA")
    );
    let reply = world.call(Method::DELETE, &uri, careful.clone()).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::CONFLICT, "ERR_CHANNEL_HAS_UNCOMMITTED_DATA")
    );
    world.committed(T, "c", "1").await;
    world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await.next();
    let forced = world.open(T, "c").await;
    assert_eq!(
        forced.json()["channel_status"]["last_committed_offset_token"],
        "1",
        "what is committed stays"
    );
    let token = world.append(T, "c", &forced.next(), ("3", "3"), "{\"a\":3}\n").await.next();
    world.committed(T, "c", "3").await;
    assert_eq!(world.table("SELECT a FROM t"), ["1", "3"]);
    let reply = world.call(Method::PUT, &uri, careful).await;
    assert_eq!(reply.json()["channel_status"]["last_committed_offset_token"], "3");
    assert_ne!(reply.next(), token);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_channel_begins_anew() {
    let world = world_with_table().await;
    let uri = format!("{PIPES}/{T}/channels/c");
    let token = world.open(T, "c").await.next();
    let token = world.append(T, "c", &token, ("1", "1"), "{\"a\":1}\n").await.next();
    world.committed(T, "c", "1").await;
    let reply = world.call(Method::DELETE, &uri, "").await;
    assert_eq!(reply.json()["last_committed_offset_token"], "1");
    assert_eq!(world.call(Method::DELETE, &uri, "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.statuses(T, &["c"]).await, json!({}), "a missing channel is left out");
    assert_eq!(world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await.status, StatusCode::CONFLICT);
    let opened = world.open(T, "c").await;
    assert_eq!(opened.json()["channel_status"]["last_committed_offset_token"], json!(null));
    assert_eq!(
        world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await.code(),
        "STALE_CONTINUATION_TOKEN_SEQUENCER"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named() {
    let world = world_with_table().await;
    for (pipe, code) in [
        ("NOPE-STREAMING", "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED"),
        ("%22t-STREAMING%22", "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED"),
        ("NOPE", "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"),
    ] {
        let reply = world.open(pipe, "c").await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, code), "{pipe}");
    }
    let reply = world.append(T, "never-opened", "0_1", ("1", "1"), "{}\n").await;
    assert_eq!(reply.code(), "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn names_fold_unless_quoted_and_channels_ignore_case() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT); CREATE TABLE \"My Table\" (a INT); CREATE TABLE \"a/b\" (a INT)");
    for pipe in [T, "t-streaming", "%22T-STREAMING%22", "%22My%20Table-STREAMING%22", "%22a%2Fb-STREAMING%22"]
    {
        assert_eq!(world.open(pipe, "c").await.status, StatusCode::OK, "{pipe}");
    }
    let opened = world.open(T, "Orders.0").await.next();
    assert_ne!(world.open(T, "ORDERS.0").await.next(), opened, "the same channel, opened again");
    assert_eq!(world.statuses(T, &["ORDERS.0"]).await, json!({}), "status is asked by the exact name");
    assert_eq!(world.statuses(T, &["Orders.0"]).await.as_object().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bodies_in_every_encoding_and_their_limits() {
    let limits = Limits { body_bytes: 100, ..Limits::default() };
    let world = World::with(Options { limits, ..Options::default() }).await;
    world.sql("CREATE TABLE t (a INT)");
    let mut token = world.open(T, "c").await.next();
    let rows = "{\"a\":1}\n".repeat(100);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, rows.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(rows.as_bytes(), 3).unwrap();
    for (encoding, body, status) in [
        ("", rows.clone().into_bytes(), StatusCode::PAYLOAD_TOO_LARGE),
        ("gzip", gzip, StatusCode::OK),
        ("zstd", zstd.clone(), StatusCode::OK),
        ("zstd", b"{\"a\":1}\n".to_vec(), StatusCode::BAD_REQUEST),
        ("br", zstd, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("", b" \n".to_vec(), StatusCode::BAD_REQUEST),
    ] {
        let uri = format!("{DATA_PIPES}/{T}/channels/c/rows?continuationToken={token}&offsetToken=7");
        let reply = world.call_encoded(Method::POST, &uri, encoding, body).await;
        assert_eq!(reply.status, status, "{encoding}: {}", reply.text());
        if status == StatusCode::OK {
            token = reply.next();
        }
    }
    let status = world.committed(T, "c", "7").await;
    assert_eq!(status["rows_inserted"], 200);
}

#[tokio::test(start_paused = true)]
async fn ten_requests_a_second_and_channel() {
    let limits = Limits { bytes_per_second: 1000, channels_per_pipe: 2, ..Limits::default() };
    let world = World::with(Options { limits, ..Options::default() }).await;
    world.sql("CREATE TABLE t (a INT)");
    let mut token = world.open(T, "c").await.next();
    for offset in 0..10 {
        token = world
            .append(T, "c", &token, (&offset.to_string(), &offset.to_string()), "{\"a\":1}\n")
            .await
            .next();
    }
    let reply = world.append(T, "c", &token, ("10", "10"), "{\"a\":1}\n").await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "390701"));
    let other = world.open(T, "d").await.next();
    let other = world.append(T, "d", &other, ("1", "1"), &"{\"a\":1}\n".repeat(200)).await.next();
    assert_eq!(
        world.append(T, "d", &other, ("2", "2"), "{\"a\":1}\n").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    world.append(T, "d", &other, ("2", "2"), "{\"a\":1}\n").await.next();
    world.append(T, "c", &token, ("10", "10"), "{\"a\":1}\n").await.next();
    assert_eq!(world.open(T, "e").await.status, StatusCode::TOO_MANY_REQUESTS, "channels per pipe");
}
