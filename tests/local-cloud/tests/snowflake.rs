//! Snowflake's port: its certificate, the SQL client, cut connections.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use local_cloud::snowflake::{self, Fault, Route, Trouble};
use local_cloud::{Endpoints, LocalCloud, Options, sql};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_runs_over_tls_with_the_key_of_the_folder() {
    let cloud = LocalCloud::start(Options::default()).await.expect("start");
    let endpoints = cloud.endpoints();
    let run = async |text: &str| sql::query(&endpoints, text).await;
    run("CREATE DATABASE d; CREATE SCHEMA d.s; CREATE TABLE d.s.t (a NUMBER, b VARCHAR)")
        .await
        .expect("created");
    run("INSERT INTO d.s.t VALUES (1, 'one'), (2, NULL)").await.expect("inserted");
    let table = run("SELECT a, b FROM d.s.t ORDER BY a").await.expect("selected");
    assert_eq!(table.columns, ["A", "B"]);
    let cell = |text: &str| Some(text.to_owned());
    assert_eq!(table.rows, [vec![cell("1"), cell("one")], vec![cell("2"), None]]);
    let refused = run("SELECT * FROM d.s.missing").await.expect_err("no such table");
    assert!(matches!(refused, sql::SqlError::Refused { .. }), "{refused}");

    let other = LocalCloud::start(Options::default()).await.expect("start");
    let foreign = Endpoints { snowflake_ca_file: other.endpoints().snowflake_ca_file, ..endpoints.clone() };
    let refused = sql::query(&foreign, "SELECT 1").await.expect_err("certificate of another authority");
    assert!(matches!(refused, sql::SqlError::Http(_)), "{refused}");
    let foreign = Endpoints {
        snowflake_private_key_file: other.endpoints().snowflake_private_key_file,
        ..endpoints.clone()
    };
    let refused = sql::query(&foreign, "SELECT 1").await.expect_err("key of another user");
    assert!(matches!(refused, sql::SqlError::Refused { .. }), "{refused}");
    other.stop().await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_in_several_partitions_is_read_to_its_end() {
    let snowflake = snowflake::Options { partition_rows: 2, ..snowflake::Options::default() };
    let cloud = LocalCloud::start(Options { snowflake, ..Options::default() }).await.expect("start");
    let text = "CREATE DATABASE d; CREATE SCHEMA d.s; CREATE TABLE d.s.t (a NUMBER);
        INSERT INTO d.s.t VALUES (1), (2), (3), (4), (5)";
    cloud.snowflake().sql(text).expect("table");
    let table = sql::query(&cloud.endpoints(), "SELECT a FROM d.s.t ORDER BY a").await.expect("selected");
    let rows: Vec<String> = table.rows.into_iter().flatten().flatten().collect();
    assert_eq!(rows, ["1", "2", "3", "4", "5"]);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_versions_of_http_are_those_of_the_certificate() {
    let cloud = LocalCloud::start(Options::default()).await.expect("start");
    let authority = std::fs::read(cloud.ca_file()).expect("certificate");
    let authority = reqwest::Certificate::from_pem(&authority).expect("PEM");
    let url = cloud.snowflake_url();
    for (builder, version) in [
        (reqwest::Client::builder(), reqwest::Version::HTTP_2),
        (reqwest::Client::builder().http1_only(), reqwest::Version::HTTP_11),
    ] {
        let client = builder.add_root_certificate(authority.clone()).build().expect("client");
        for url in [url.clone(), url.replace("127.0.0.1", "localhost")] {
            let answer = client.get(format!("{url}/v2/streaming/hostname")).send().await.expect("answer");
            assert_eq!((answer.version(), answer.status().as_u16()), (version, 401), "{url}");
        }
        assert!(cloud.snowflake_network().cut_all() > 0);
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_before_or_after_the_work() {
    let cloud = LocalCloud::start(Options::default()).await.expect("start");
    let endpoints = cloud.endpoints();
    let run = async |text: &str| sql::query(&endpoints, text).await;
    run("CREATE DATABASE d; CREATE TABLE d.public.t (a NUMBER)").await.expect("created");
    for (trouble, rows) in [(Trouble::Cut, "0"), (Trouble::CutAfter, "1")] {
        cloud.snowflake().faults().add(Fault::once(Route::Statements, trouble));
        let error = run("INSERT INTO d.public.t VALUES (1)").await.expect_err("no answer");
        assert!(matches!(error, sql::SqlError::Http(_)), "{error}");
        let counted = run("SELECT COUNT(*) FROM d.public.t").await.expect("counted");
        assert_eq!(counted.rows, [[Some(rows.to_owned())]]);
    }
    cloud.stop().await;
}
