//! Volume.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use local_snowflake::{Limits, Options};

use crate::client::{DATA_PIPES, World};

/// 200,000 rows of 1 KB in zstd bodies must be in the table in seconds.
#[tokio::test]
async fn two_hundred_thousand_rows() {
    let limits = Limits { rates: false, ..Limits::default() };
    let options = Options { limits, commit_delay: Duration::from_millis(50), ..Options::default() };
    let world = World::with(options).await;
    world.sql("CREATE TABLE t (kinesisMetadata OBJECT) ENABLE_SCHEMA_EVOLUTION = TRUE ERROR_LOGGING = TRUE; ALTER TABLE t SET ROW_TIMESTAMP = TRUE");
    let filler = "x".repeat(640);
    let begin = Instant::now();
    let mut token = world.open("T-STREAMING", "c").await.next();
    for batch in 0..50_u32 {
        let mut rows = String::new();
        for n in batch * 4000..(batch + 1) * 4000 {
            rows.push_str(&format!(
                "{{\"id\":{n},\"name\":\"customer {n}\",\"total\":{n}.25,\"paid\":true,\"filler\":\"{filler}\",\"kinesisMetadata\":{{\"stream\":\"orders\",\
                 \"shardId\":\"shardId-000000000001\",\"approximateArrival\":\"2025-11-05T09:12:15.300\",\"partitionKey\":\"key-{n}\",\
                 \"sequenceNumber\":\"{n:056}\",\"subSequenceNumber\":0,\"shardedSequenceNumber\":\"{n:056}00000000000000000000\"}}}}\n"
            ));
        }
        let body = zstd::encode_all(rows.as_bytes(), 1).unwrap();
        let end = (batch + 1) * 4000;
        let uri = format!(
            "{DATA_PIPES}/T-STREAMING/channels/c/rows?continuationToken={token}&startOffsetToken={}&endOffsetToken={end}",
            batch * 4000 + 1
        );
        let reply = world.call_encoded(Method::POST, &uri, "zstd", body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        token = reply.next();
    }
    world.committed("T-STREAMING", "c", "200000").await;
    let loaded = begin.elapsed();
    let count = world.table("SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id) FROM t");
    assert_eq!(count, ["200000|200000|0|199999"]);
    let begin = Instant::now();
    let latency = world.table(
        "SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY DATEDIFF('millisecond', \
         KINESISMETADATA:approximateArrival::TIMESTAMP_NTZ, METADATA$ROW_LAST_COMMIT_TIME)) FROM t",
    );
    assert_eq!(latency.len(), 1);
    println!("loaded in {loaded:?}, latency query in {:?}", begin.elapsed());
    assert!(loaded < Duration::from_secs(60), "{loaded:?}");
}
