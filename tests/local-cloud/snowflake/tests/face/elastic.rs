//! Elastic channels.

use http::{Method, StatusCode};

use crate::client::{DATA_PIPES, World};

#[tokio::test(start_paused = true)]
async fn rows_without_tokens_arrive() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT); CREATE TABLE \"q t\" (a INT)");
    let base = DATA_PIPES.trim_end_matches("/pipes");
    for uri in [
        format!("{base}/tables/t/rows?requestId=1&retryCount=0"),
        format!("{DATA_PIPES}/T-STREAMING/channels/ELASTIC/rows?requestId=2&retryCount=0"),
        format!("{base}/tables/%22q%20t%22/rows"),
    ] {
        let reply = world.call(Method::POST, &uri, "{\"a\":1}\n").await;
        assert_eq!((reply.status, reply.json()["message"].as_str()), (StatusCode::OK, Some("OK")), "{uri}");
    }
    assert_eq!(world.status("T-STREAMING", "ELASTIC").await["channel_status_code"], "SUCCESS");
    for query in ["continuationToken=0_1", "offsetToken=1"] {
        let reply = world.call(Method::POST, &format!("{base}/tables/t/rows?{query}"), "{\"a\":1}\n").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let missing = world.call(Method::POST, &format!("{base}/tables/nope/rows"), "{}\n").await;
    assert_eq!(missing.code(), "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(world.table("SELECT a FROM t"), ["1", "1"]);
    assert_eq!(world.table("SELECT a FROM \"q t\""), ["1"]);
}
