//! State on disk.

use http::StatusCode;
use local_snowflake::Options;

use crate::client::World;

const T: &str = "T-STREAMING";

#[tokio::test(start_paused = true)]
async fn tables_and_channels_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { state: Some(folder.path().join("snowflake.db")), ..Options::default() };
    let world = World::with(options.clone()).await;
    world.sql("CREATE TABLE t (a INT) ENABLE_SCHEMA_EVOLUTION = TRUE ERROR_LOGGING = TRUE; ALTER TABLE t SET ROW_TIMESTAMP = TRUE");
    world.stream(T, "{\"a\":1,\"b\":2}\n{\"a\":\"x\"}\n").await;
    let token = world.open(T, "c").await.next();
    let token = world.append(T, "c", &token, ("2", "2"), "{\"a\":2}\n").await.next();
    let dropped = world.open(T, "gone").await.next();
    world.append(T, "gone", &dropped, ("1", "1"), "{\"a\":3}\n").await.next();
    world.committed(T, "gone", "1").await;
    world.call(http::Method::DELETE, &format!("{}/{T}/channels/gone", crate::client::PIPES), "").await;
    world.committed(T, "c", "2").await;
    world.append(T, "c", &token, ("3", "3"), "{\"a\":4}\n").await.next();
    drop(world);

    let mut world = World::reopen(options).await;
    assert_eq!(
        world.table("SELECT a, b FROM t ORDER BY a"),
        ["1|2", "2|NULL", "3|NULL"],
        "what was not committed is lost"
    );
    assert_eq!(world.table("SELECT COUNT(METADATA$ROW_LAST_COMMIT_TIME) FROM t"), ["3"]);
    assert_eq!(world.snowflake.snapshot().tables[0].rows, 3);
    let reply = world.append(T, "c", &token, ("3", "3"), "{\"a\":4}\n").await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::BAD_REQUEST, "STALE_CONTINUATION_TOKEN_SEQUENCER")
    );
    let status = world.status(T, "c").await;
    assert_eq!(
        (status["last_committed_offset_token"].as_str(), status["rows_error_count"].as_i64()),
        (Some("2"), Some(1))
    );
    assert!(world.status(T, "gone").await.is_null());
    let token = world.open(T, "c").await.next();
    world.append(T, "c", &token, ("3", "3"), "{\"a\":4}\n").await.next();
    world.committed(T, "c", "3").await;
    let token = world.login("LOCAL_USER", None).await;
    world.use_token(token);
    assert_eq!(world.table("SELECT COUNT(*) FROM t"), ["4"]);
}
