//! The client that looks at tables from outside.

use std::time::Duration;

use local_cloud::{LocalCloud, Options, snowflake};
use nifi_harness::{Endpoints, SqlClient};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_several_partitions_is_read_to_its_end() {
    let snowflake = snowflake::Options { partition_rows: 2, ..snowflake::Options::default() };
    let cloud = LocalCloud::start(Options { snowflake, ..Options::default() }).await.unwrap();
    let text = "CREATE DATABASE d; CREATE SCHEMA d.s; CREATE TABLE d.s.t (a NUMBER);
        INSERT INTO d.s.t VALUES (1), (2), (3), (4), (5)";
    cloud.snowflake().sql(text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoints.json");
    cloud.endpoints().write(&file).unwrap();
    let endpoints = Endpoints::read(&file, Duration::from_secs(5)).await.unwrap();
    let answer = SqlClient::new(&endpoints).unwrap().query("SELECT a FROM d.s.t ORDER BY a").await.unwrap();
    let rows: Vec<String> = answer.rows.into_iter().flatten().flatten().collect();
    assert_eq!(
        (answer.columns, rows),
        (vec!["A".to_owned()], ["1", "2", "3", "4", "5"].map(String::from).to_vec())
    );
    cloud.stop().await;
}
