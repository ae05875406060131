//! What the page shows, and what a program can ask beside it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use local_cloud::{LocalCloud, Options, snowflake};
use reqwest::Method;
use serde_json::{Value, json};

/// A bearer token that needs no login.
const TOKEN: &str = "a-programmatic-access-token";
const SCHEMA: &str = "databases/D/schemas/S/pipes/T-STREAMING";

async fn start() -> LocalCloud {
    let snowflake =
        snowflake::Options { access_tokens: vec![TOKEN.to_owned()], ..snowflake::Options::default() };
    LocalCloud::start(Options { snowflake, ..Options::default() }).await.expect("start")
}

/// A client of Snowflake's port, written from its documentation.
struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    fn new(cloud: &LocalCloud) -> Self {
        let authority = std::fs::read(cloud.ca_file()).expect("certificate");
        let authority = reqwest::Certificate::from_pem(&authority).expect("PEM");
        let http = reqwest::Client::builder().add_root_certificate(authority).build().expect("client");
        Self { http, url: format!("{}/v2/streaming", cloud.snowflake_url()) }
    }

    async fn send(&self, method: Method, path: &str, body: String) -> reqwest::Result<reqwest::Response> {
        self.http.request(method, format!("{}/{path}", self.url)).bearer_auth(TOKEN).body(body).send().await
    }

    async fn open(&self, channel: &str) -> reqwest::Result<reqwest::Response> {
        self.send(Method::PUT, &format!("{SCHEMA}/channels/{channel}"), "{}".to_owned()).await
    }

    async fn append(
        &self,
        channel: &str,
        (token, offset): (&str, &str),
        rows: &str,
    ) -> reqwest::Result<reqwest::Response> {
        let query = format!("continuationToken={token}&startOffsetToken={offset}&endOffsetToken={offset}");
        let path = format!("data/{SCHEMA}/channels/{channel}/rows?{query}");
        self.send(Method::POST, &path, rows.to_owned()).await
    }
}

async fn read(answer: reqwest::Response) -> Value {
    serde_json::from_str(&answer.text().await.expect("text")).expect("JSON")
}

async fn next(answer: reqwest::Result<reqwest::Response>) -> String {
    let answer = read(answer.expect("an answer")).await;
    answer["next_continuation_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn state(cloud: &LocalCloud) -> Value {
    read(reqwest::get(format!("{}api/state", cloud.page_url())).await.expect("state")).await
}

/// The first state that is as wanted.
async fn state_when(cloud: &LocalCloud, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let state = state(cloud).await;
        if wanted(&state) {
            return state;
        }
        assert!(tokio::time::Instant::now() < deadline, "{state:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_streams_and_tables() {
    let cloud = start().await;
    cloud.kinesis().create_stream("orders", 2).expect("create");
    cloud.kinesis().put("orders", "k", "{}").expect("put");
    let text = "CREATE DATABASE d; CREATE SCHEMA d.s; CREATE TABLE d.s.t (KINESISMETADATA OBJECT, a NUMBER);
        INSERT INTO d.s.t (a) SELECT 7";
    cloud.snowflake().sql(text).expect("table");
    let page = reqwest::get(cloud.page_url()).await.expect("page");
    assert!(page.headers()["content-security-policy"].to_str().expect("text").contains("default-src 'none'"));
    assert!(page.text().await.expect("text").contains("<h1>Local cloud</h1>"));
    let state = state(&cloud).await;
    let shards = state["streams"][0]["shards"].as_array().expect("shards");
    assert_eq!(shards.iter().map(|shard| shard["written"].as_u64().expect("number")).sum::<u64>(), 1);
    assert_eq!(state["tables"][0]["columns"], json!(["A", "KINESISMETADATA"]));
    assert_eq!(state["tables"][0]["last"][0], json!(["7", null]));
    assert!(!state.to_string().contains(cloud.secret_access_key()), "the page keeps the secret");
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_channels_with_their_tokens_lag_and_rejected_rows() {
    let cloud = start().await;
    cloud.kinesis().create_stream("orders", 1).expect("create");
    let text = "CREATE DATABASE d; CREATE SCHEMA d.s; CREATE TABLE d.s.t (a NUMBER) ERROR_LOGGING = TRUE";
    cloud.snowflake().sql(text).expect("table");
    let mut offsets = Vec::new();
    for _ in 0..3 {
        let receipt = cloud.kinesis().put("orders", "k", "{}").expect("put");
        offsets.push(format!("{}{:020}", receipt.sequence_number, 0));
    }
    let client = Client::new(&cloud);
    let channel = "orders.1.shardId-000000000000";
    let token = next(client.open(channel).await).await;
    let rows = "{\"a\":1}\n{\"a\":\"none\"}\n";
    let token = next(client.append(channel, (&token, &offsets[1]), rows).await).await;
    let shown = state_when(&cloud, |state| state["channels"][0]["rows"] == 1).await;
    let first = &shown["channels"][0];
    assert_eq!((&first["pipe"], &first["name"]), (&json!("D.S.\"T-STREAMING\""), &json!(channel)));
    assert_eq!((&first["status"], &first["committed"]), (&json!("SUCCESS"), &json!(offsets[1])));
    assert_eq!((&first["pending"], &first["lag_ms"]), (&json!(0), &json!(0)));
    assert_eq!(first["errors"], 1);
    let why = first["last_error"].as_str().expect("a reason");
    assert!(why.contains("'none' is not recognized"), "{why}");
    let shard = &shown["streams"][0]["shards"][0];
    assert_eq!((&shard["written"], &shard["committed"]), (&json!(3), &json!(2)), "two records have rows");
    assert_eq!((&shown["tables"][0]["rows"], &shown["tables"][0]["error_rows"]), (&json!(1), &json!(1)));

    cloud.snowflake().pause_commits();
    next(client.append(channel, (&token, &offsets[2]), "{\"a\":2}\n").await).await;
    cloud.snowflake().clock().advance(Duration::from_secs(7));
    let shown = state(&cloud).await;
    let waiting = &shown["channels"][0];
    assert_eq!((&waiting["pending"], &waiting["committed"]), (&json!(1), &json!(offsets[1])));
    assert!(waiting["lag_ms"].as_u64().is_some_and(|lag| (7_000..60_000).contains(&lag)), "{waiting}");
    cloud.snowflake().resume_commits();
    let shown = state_when(&cloud, |state| state["channels"][0]["committed"] == offsets[2]).await;
    assert_eq!((&shown["channels"][0]["pending"], &shown["channels"][0]["lag_ms"]), (&json!(0), &json!(0)));
    let told =
        cloud.snowflake().invalidate_channel("D.S.\"T-STREAMING\"", channel, "ERR_CHANNEL_INVALIDATED");
    assert!(told, "there is such a channel");
    assert_eq!(state(&cloud).await["channels"][0]["status"], "ERR_CHANNEL_INVALIDATED");
    cloud.stop().await;
}

/// Where test suites of any language ask for troubles.
struct Control {
    http: reqwest::Client,
    url: String,
}

impl Control {
    fn new(cloud: &LocalCloud) -> Self {
        Self { http: reqwest::Client::new(), url: format!("{}api", cloud.page_url()) }
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let request = self.http.request(method, format!("{}/{path}", self.url));
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let answer = request.send().await.expect("an answer");
        let (status, text) = (answer.status().as_u16(), answer.text().await.expect("text"));
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn fault(&self, fault: &Value) {
        let (status, said) = self.call(Method::POST, "faults", &fault.to_string()).await;
        assert_eq!(status, 200, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_s_error_handling_is_tested_over_http_alone() {
    let cloud = start().await;
    cloud.snowflake().sql("CREATE DATABASE d; CREATE SCHEMA d.s; CREATE TABLE d.s.t (a INT)").expect("table");
    let (client, control) = (Client::new(&cloud), Control::new(&cloud));
    let token = next(client.open("c").await).await;

    control.fault(&json!({"route": "append", "trouble": "refuse", "status": 429, "code": "SLOW", "times": 2, "skip": 1})).await;
    let token = next(client.append("c", (&token, "1"), "{\"a\":1}\n").await).await;
    for _ in 0..2 {
        let refused = client.append("c", (&token, "2"), "{\"a\":2}\n").await.expect("an answer");
        assert_eq!(refused.status().as_u16(), 429);
        assert_eq!(read(refused).await["code"], "SLOW");
    }
    let token = next(client.append("c", (&token, "2"), "{\"a\":2}\n").await).await;
    let (_, plan) = control.call(Method::GET, "faults", "").await;
    assert_eq!((&plan["faults"][0]["troubled"], &plan["faults"][0]["status"]), (&json!(2), &json!(429)));

    control.fault(&json!({"route": "append", "trouble": "cut_after"})).await;
    client.append("c", (&token, "3"), "{\"a\":3}\n").await.expect_err("no answer");
    let token = next(client.append("c", (&token, "3"), "{\"a\":3}\n").await).await;
    state_when(&cloud, |state| state["tables"][0]["rows"] == 3).await;
    control.fault(&json!({"route": "open", "trouble": "refuse", "status": 410, "body": "gone", "times": null, "path_contains": "channels/d"})).await;
    for (channel, status) in [("c", 200), ("d", 410), ("d", 410)] {
        assert_eq!(client.open(channel).await.expect("an answer").status().as_u16(), status, "{channel}");
    }
    let (_, plan) = control.call(Method::DELETE, "faults", "").await;
    assert_eq!(plan, json!({ "faults": [] }));
    assert_eq!(client.open("d").await.expect("an answer").status().as_u16(), 200, "healed");

    let stale = client.append("c", (&token, "4"), "{\"a\":4}\n").await.expect("an answer");
    assert_eq!(stale.status().as_u16(), 400, "the channel was opened again");
    let token = next(client.open("c").await).await;
    assert_eq!(control.call(Method::POST, "commits?paused=true", "").await.0, 200);
    next(client.append("c", (&token, "4"), "{\"a\":4}\n").await).await;
    let at = "channels/invalidate?pipe=D.S.%22T-STREAMING%22&channel=c";
    assert_eq!(control.call(Method::POST, at, "").await, (200, json!({ "ok": true })));
    assert_eq!(control.call(Method::POST, &at.replace("=c", "=none"), "").await.0, 404);
    assert_eq!(control.call(Method::POST, "commits?paused=false&delay_ms=0", "").await.0, 200);
    let token = next(client.open("c").await).await;
    next(client.append("c", (&token, "5"), "{\"a\":5}\n").await).await;
    let shown = state_when(&cloud, |state| state["tables"][0]["rows"] == 4).await;
    assert_eq!(shown["tables"][0]["last"][0], json!(["5"]), "what was not committed is lost");
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_could_not_strike_is_refused() {
    let cloud = start().await;
    let control = Control::new(&cloud);
    for (wrong, why) in [
        (json!({"route": "appends", "trouble": "cut"}), "unknown variant"),
        (json!({"route": "append", "trouble": "cut", "time": 3}), "unknown field"),
        (json!({"route": "append", "trouble": "refuse", "code": "X"}), "needs a status"),
        (json!({"route": "append", "trouble": "refuse", "status": 99, "code": "X"}), "none of HTTP's"),
        (json!({"route": "append", "trouble": "refuse", "status": 500}), "needs a code"),
        (json!({"route": "append", "trouble": "delay"}), "milliseconds"),
        (json!({"route": "append", "trouble": "hang", "ms": 5}), "only a delay"),
        (json!({"route": "append", "trouble": "hang", "status": 500}), "only a refusal"),
    ] {
        let (status, said) = control.call(Method::POST, "faults", &wrong.to_string()).await;
        assert!((400..500).contains(&status) && said.to_string().contains(why), "{wrong}: {status} {said}");
    }
    assert_eq!(control.call(Method::GET, "faults", "").await.1, json!({ "faults": [] }));
    assert_eq!(control.call(Method::POST, "commits?pause=true", "").await.0, 400);
    for (trouble, more) in [
        ("refuse_after", json!({"status": 503, "body": "\"later\""})),
        ("delay", json!({"ms": 20})),
        ("delay_after", json!({"ms": 20})),
        ("cut", json!({})),
        ("hang", json!({})),
        ("hang_after", json!({})),
    ] {
        let mut fault =
            json!({"route": "any", "trouble": trouble, "path_contains": "", "skip": 0, "times": 1});
        fault.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        control.fault(&fault).await;
        fault["troubled"] = json!(0);
        assert_eq!(control.call(Method::GET, "faults", "").await.1["faults"], json!([fault]));
        control.call(Method::DELETE, "faults", "").await;
    }
    cloud.stop().await;
}
