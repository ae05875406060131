//! The SQL API.

use std::io::Read as _;

use http::{Method, StatusCode};
use local_snowflake::Options;
use serde_json::{Value, json};

use crate::client::{Reply, World};

async fn statement(world: &World, body: Value) -> Reply {
    let jwt = world.key.sign(&world.key.claims("LOCAL-ACCOUNT", "LOCAL_USER"));
    let bearer = format!("Bearer {jwt}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-snowflake-authorization-token-type", "KEYPAIR_JWT"),
        ("accept", "application/json"),
        ("user-agent", "test/1.0"),
        ("content-type", "application/json"),
    ];
    world.send(Method::POST, "/api/v2/statements", &headers, body.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn a_result_has_types_and_text() {
    let world = World::new().await;
    world.sql("CREATE SCHEMA s; CREATE TABLE s.t (n NUMBER(10,2), d DATE, ts TIMESTAMP_NTZ, tz TIMESTAMP_TZ, tm TIME, b BOOLEAN, o OBJECT, f FLOAT, v VARCHAR(5))");
    world.sql("INSERT INTO s.t SELECT 1.5, '2020-01-02', '2020-01-02 03:04:05.678', '2020-01-02T03:04:05+02:00', '01:02:03', true, parse_json('{\"b\":1,\"a\":2}'), 2.5, 'x'");
    let body = json!({"statement": "SELECT * FROM t", "database": "DEMO", "schema": "S", "role": "local_role", "timeout": 60});
    let reply = statement(&world, body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["code"], "090001");
    assert_eq!(answer["sqlState"], "00000");
    let types: Vec<&str> = answer["resultSetMetaData"]["rowType"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        ["fixed", "date", "timestamp_ntz", "timestamp_tz", "time", "boolean", "object", "real", "text"]
    );
    assert_eq!(answer["resultSetMetaData"]["rowType"][0]["scale"], 2);
    assert_eq!(
        answer["data"],
        json!([[
            "1.50",
            "18263",
            "1577934245.678000000",
            "1577927045.000000000 1560",
            "3723.000000000",
            "true",
            "{\"a\":2,\"b\":1}",
            "2.5",
            "x"
        ]])
    );
    let handle = answer["statementHandle"].as_str().unwrap();
    let again = world.call(Method::GET, &format!("/api/v2/statements/{handle}"), "").await;
    assert_eq!(again.json()["data"], answer["data"]);
    let unknown = world.call(Method::GET, "/api/v2/statements/none", "").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn long_results_come_in_partitions() {
    let world = World::with(Options { partition_rows: 2, ..Options::default() }).await;
    world.sql("CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (2), (3), (4), (5)");
    let body = json!({"statement": "SELECT n FROM demo.public.t ORDER BY n"});
    let answer = statement(&world, body).await.json();
    let info = answer["resultSetMetaData"]["partitionInfo"].as_array().unwrap();
    let counts: Vec<u64> = info.iter().map(|part| part["rowCount"].as_u64().unwrap()).collect();
    assert_eq!((counts, &answer["data"]), (vec![2, 2, 1], &json!([["1"], ["2"]])));
    let path = format!("/api/v2/statements/{}?partition=", answer["statementHandle"].as_str().unwrap());
    let first = world.call(Method::GET, &format!("{path}0"), "").await.json();
    assert_eq!(first, answer);
    for (number, rows) in [(1, json!([["3"], ["4"]])), (2, json!([["5"]]))] {
        let part = world.call(Method::GET, &format!("{path}{number}"), "").await;
        let mut text = String::new();
        flate2::read::GzDecoder::new(&part.body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "data": rows }));
    }
    for number in ["3", "x"] {
        let reply = world.call(Method::GET, &format!("{path}{number}"), "").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_422_with_code_and_state() {
    let world = World::new().await;
    for (text, code, state) in [
        ("SELECT * FROM demo.public.nope", "002003", "42S02"),
        ("SELECT nope", "000904", "42000"),
        ("SELECT FROM WHERE", "001003", "42000"),
        ("SELECT * FROM t", "090105", "22000"),
        ("SELECT 1/0", "100051", "22000"),
    ] {
        let reply = statement(&world, json!({"statement": text})).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{text}: {}", reply.text());
        assert_eq!(
            (reply.code().as_str(), reply.json()["sqlState"].as_str().unwrap()),
            (code, state),
            "{text}"
        );
    }
    let reply = statement(&world, json!({"statement": "SELECT 1", "role": "ACCOUNTADMIN"})).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let reply = world.send(Method::POST, "/api/v2/statements", &[("accept", "*/*")], "{}").await;
    assert_eq!(reply.code(), "391903", "User-Agent is required");
}
