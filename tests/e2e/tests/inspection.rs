//! What the local cloud tells about itself, and a connector that outlives its channels.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::{Connector, Rig};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const ROWS: u64 = 40;
const TABLE: &str = "DB.PUBLIC.EVENTS";

async fn get(rig: &Rig, what: &str) -> Value {
    let answer = reqwest::get(format!("{}api/{what}", rig.cloud.page_url())).await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

async fn sql(rig: &Rig, text: &'static str) {
    let snowflake = rig.cloud.snowflake().clone();
    tokio::task::spawn_blocking(move || snowflake.sql(text).unwrap()).await.unwrap();
}

/// Rows with numbers from `from`, between them what is no row and what the table refuses.
fn put(rig: &Rig, from: u64) {
    for row in from..from + ROWS {
        rig.cloud.kinesis().put(&rig.stream, &format!("key-{row}"), format!("{{\"row\":{row}}}")).unwrap();
    }
    rig.cloud.kinesis().put(&rig.stream, "key", "not JSON").unwrap();
    rig.cloud.kinesis().put(&rig.stream, "key", &b"{\"row\":\"\xff\"}"[..]).unwrap();
    rig.cloud.kinesis().put(&rig.stream, "key", "{\"row\":\"no number\"}").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_goes_on_exactly_once_when_its_channels_have_expired_and_the_account_shows_it() {
    let rig = Rig::start(2, "(ROW NUMBER, KINESISMETADATA OBJECT) ERROR_LOGGING = TRUE").await.unwrap();
    let mut connector = Connector::start(&rig, "app").unwrap();
    put(&rig, 0);
    connector.run_until(LIMIT, |connector| connector.rows() > ROWS).await.unwrap();

    let channels = get(&rig, "channels").await;
    let channels = channels["channels"].as_array().unwrap().clone();
    assert_eq!(channels.len(), 2);
    let clock = format!("{}api/clock?service=snowflake&seconds={}", rig.cloud.page_url(), 31 * 24 * 3600);
    let moved = reqwest::Client::new().post(clock).send().await.unwrap();
    assert!(moved.status().is_success(), "{}", moved.text().await.unwrap());
    assert_eq!(get(&rig, "channels").await["channels"], serde_json::json!([]), "both expired");

    put(&rig, ROWS);
    connector.run_until(LIMIT, |connector| connector.rows() >= 2 * (ROWS + 1)).await.unwrap();
    connector.stop().await;

    let check = get(&rig, "check").await;
    assert_eq!(check["ok"], true, "{check:#}");
    let sum =
        |name: &str| check["shards"].as_array().unwrap().iter().map(|s| s[name].as_u64().unwrap()).sum();
    let sums: [u64; 3] = ["rows", "refused_rows", "no_json_object"].map(sum);
    assert!(sums[0] == 2 * ROWS && sums[1] == 2 && sums[2] <= 4, "{check:#}");
    rows_errors_and_calls(&rig).await;
    findings(&rig).await;
    rig.cloud.stop().await;
}

async fn rows_errors_and_calls(rig: &Rig) {
    let mut rows = Vec::new();
    let mut next = Some(0);
    while let Some(after) = next {
        let page = get(rig, &format!("rows?table={TABLE}&limit=30&after={after}")).await;
        rows.extend(page["rows"].as_array().unwrap().clone());
        next = page["next"].as_i64();
    }
    assert_eq!(rows.len() as u64, 2 * ROWS);
    assert!(rows.is_sorted_by_key(|row| row["commit"].as_i64().unwrap()));
    for row in &rows {
        let metadata: Value =
            serde_json::from_str(row["values"]["KINESISMETADATA"].as_str().unwrap()).unwrap();
        let shard = metadata["shardId"].as_str().unwrap();
        assert!(row["channel"].as_str().unwrap().contains(shard), "{row:#}");
        assert!(row["offset_token"].as_str() >= metadata["shardedSequenceNumber"].as_str(), "{row:#}");
    }
    let errors = get(rig, &format!("errors?table={TABLE}")).await;
    assert_eq!(errors["errors"].as_array().unwrap().len(), 2, "{errors:#}");

    let calls = get(rig, "requests?path=/rows&limit=1000").await;
    let calls = calls["requests"].as_array().unwrap();
    assert!(
        !calls.is_empty() && calls.iter().all(|call| call["request_id"] != "" && call["method"] == "POST")
    );
    let refused = get(rig, "requests?status=404").await;
    assert!(!refused["requests"].as_array().unwrap().is_empty(), "appends to channels that had expired");
    let everything = get(rig, "requests?limit=100000").await.to_string();
    assert!(!everything.contains("Bearer") && !everything.contains("eyJ"), "a secret in the log of requests");
    let nothing = get(rig, "rows?table=DB.PUBLIC.NONE").await;
    assert!(nothing["error"].as_str().unwrap().contains("no such table"));
}

/// A row taken out and another put in twice are found.
async fn findings(rig: &Rig) {
    sql(rig, "DELETE FROM DB.PUBLIC.EVENTS WHERE ROW = 7").await;
    sql(rig, "INSERT INTO DB.PUBLIC.EVENTS SELECT * FROM DB.PUBLIC.EVENTS WHERE ROW = 8").await;
    let check = get(rig, "check").await;
    let found = check["found"].as_array().unwrap();
    assert_eq!((check["ok"].as_bool(), found.len()), (Some(false), 2), "{check:#}");
    assert!(check.to_string().contains("1 records have no row") && check.to_string().contains("1 rows more"));
}
