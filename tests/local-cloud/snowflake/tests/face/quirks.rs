//! Answers that the service gives at times.

use http::{Method, StatusCode};
use local_snowflake::{Options, Quirks};
use serde_json::json;

use crate::client::World;

const T: &str = "T-STREAMING";

#[tokio::test(start_paused = true)]
async fn login_may_answer_json() {
    let quirks = Quirks { json_login: true, ..Quirks::default() };
    let world = World::with(Options { quirks, ..Options::default() }).await;
    let jwt = world.key.sign(&world.key.claims("LOCAL-ACCOUNT", "LOCAL_USER"));
    let bearer = format!("Bearer {jwt}");
    let reply = world.send(Method::GET, "/v2/streaming/hostname", &[("authorization", &bearer)], "").await;
    assert_eq!(reply.json(), json!({"hostname": "localhost"}));
    let form = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer";
    let reply = world.send(Method::POST, "/oauth/token", &[("authorization", &bearer)], form).await;
    assert_eq!(reply.json()["token"].as_str().unwrap().split('.').count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_missing_pipe_may_be_a_status() {
    let quirks = Quirks { missing_pipe_as_status: true, ..Quirks::default() };
    let world = World::with(Options { quirks, ..Options::default() }).await;
    let reply = world.open(T, "c").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        reply.json()["channel_status"]["channel_status_code"],
        "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED"
    );
}
