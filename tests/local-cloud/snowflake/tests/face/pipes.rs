//! Custom pipes, interactive and Iceberg tables.

use http::StatusCode;
use serde_json::json;

use crate::client::World;

#[tokio::test(start_paused = true)]
async fn a_custom_pipe_renames_and_casts() {
    let world = World::new().await;
    world.sql(
        "CREATE TABLE orders (order_id VARCHAR, customer_name VARCHAR, order_total VARCHAR, ispaid VARCHAR)",
    );
    world.sql(
        "CREATE PIPE orders AS COPY INTO orders FROM (\n  SELECT $1:order_id::STRING, $1:customer_name, $1:order_total::STRING, $1:isPaid::STRING\n  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')));",
    );
    world
        .stream(
            "ORDERS",
            "{\"order_id\": 12345, \"customer_name\": \"John\", \"order_total\": 100.00, \"isPaid\": true}\n",
        )
        .await;
    assert_eq!(world.table("SELECT * FROM orders"), ["12345|John|100.00|true"]);
    assert_eq!(
        world.open("ORDERS-STREAMING", "c").await.status,
        StatusCode::OK,
        "the default pipe is there as well"
    );
    assert_eq!(world.table("SHOW PIPES").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pipe_filters_and_its_failing_rows_are_errors() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (b VARCHAR, a INT NOT NULL) ERROR_LOGGING = TRUE");
    world.sql("CREATE PIPE p AS COPY INTO t (a, b) FROM (SELECT $1:n::NUMBER, UPPER($1:deep.name) FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')) WHERE $1:keep)");
    let rows = "{\"n\":1,\"deep\":{\"name\":\"x\"},\"keep\":true}\n{\"n\":2,\"keep\":false}\n{\"n\":\"bad\",\"keep\":true}\n{\"keep\":true}\nnope\n";
    let status = world.stream("P", rows).await;
    assert_eq!(
        (&status["rows_parsed"], &status["rows_inserted"], &status["rows_error_count"]),
        (&json!(4), &json!(1), &json!(3))
    );
    assert_eq!(world.table("SELECT a, b FROM t"), ["1|X"]);
    assert_eq!(world.table("SELECT error_code FROM ERROR_TABLE(t)"), ["100038", "100072", "100069"]);
    assert_eq!(world.sql_error("CREATE PIPE \"X-STREAMING\" AS COPY INTO t FROM (SELECT $1:n, $1:b FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))"), "001003");
    assert_eq!(
        world.sql_error(
            "CREATE PIPE q AS COPY INTO t FROM (SELECT 1, 2, 3 FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))"
        ),
        "002020"
    );
    world.sql("DROP PIPE p");
    assert_eq!(world.open("P", "c").await.code(), "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED");
}

#[tokio::test(start_paused = true)]
async fn an_interactive_table_maps_in_its_definition() {
    let world = World::new().await;
    world.sql(
        "CREATE INTERACTIVE TABLE REALTIME_METRICS (metric_name VARCHAR, metric_value NUMBER, source_topic VARCHAR, timestamp TIMESTAMP_NTZ)
         CLUSTER BY (metric_name)
         AS (SELECT $1:M_NAME::VARCHAR, $1:M_VALUE::NUMBER, $1:RECORD_METADATA.topic::VARCHAR, $1:RECORD_METADATA.timestamp::TIMESTAMP_NTZ
             FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))",
    );
    let row = r#"{"M_NAME":"cpu","M_VALUE":97,"RECORD_METADATA":{"topic":"hosts","timestamp":"2025-11-05T09:12:15.300"}}"#;
    world.stream("REALTIME_METRICS-STREAMING", &format!("{row}\n")).await;
    assert_eq!(world.table("SELECT * FROM realtime_metrics"), ["cpu|97|hosts|2025-11-05 09:12:15.300"]);
    assert_eq!(world.sql_error("ALTER TABLE realtime_metrics SET ROW_TIMESTAMP = TRUE"), "000002");
}

#[tokio::test(start_paused = true)]
async fn an_iceberg_table_with_structured_columns() {
    let world = World::new().await;
    world.sql(
        "CREATE OR REPLACE ICEBERG TABLE my_iceberg_table (
           kinesisMetadata OBJECT(stream STRING, shardId STRING, approximateArrival STRING, partitionKey STRING,
             sequenceNumber STRING, subSequenceNumber INTEGER, shardedSequenceNumber STRING),
           id INT, name string, body_temperature float, approved_coffee_types array(string),
           animals_possessed variant, date_added date, options object(can_walk boolean, can_talk boolean))
         EXTERNAL_VOLUME = 'my_volume' CATALOG = 'SNOWFLAKE' BASE_LOCATION = 'my_location/my_iceberg_table' ICEBERG_VERSION = 3;",
    );
    let row = r#"{"id":1,"name":"Steve","body_temperature":36.6,"approved_coffee_types":["Espresso","Doppio"],"animals_possessed":{"dogs":true},"options":{"can_walk":true,"can_talk":false},"date_added":"2024-10-15","kinesisMetadata":{"shardId":"s","subSequenceNumber":0}}"#;
    let bad = r#"{"id":2,"options":{"can_walk":"perhaps"}}"#;
    let status = world.stream("MY_ICEBERG_TABLE-STREAMING", &format!("{row}\n{bad}\n")).await;
    assert_eq!((&status["rows_inserted"], &status["rows_error_count"]), (&json!(1), &json!(1)));
    let found = world.table("SELECT id, approved_coffee_types[1]::string, options:can_walk, date_added, kinesismetadata:shardId::string FROM my_iceberg_table");
    assert_eq!(found, ["1|Doppio|true|2024-10-15|s"]);
    assert_eq!(world.sql_error("CREATE ICEBERG TABLE i (a VARCHAR(10))"), "093642");
    let evolving =
        "CREATE ICEBERG TABLE i (a INT) EXTERNAL_VOLUME = 'my_volume' ENABLE_SCHEMA_EVOLUTION = TRUE";
    assert_eq!(world.sql_error(evolving), "000002", "its columns are made by hand");
    let later = "ALTER TABLE my_iceberg_table SET ENABLE_SCHEMA_EVOLUTION = TRUE";
    assert_eq!(world.sql_error(later), "000002");
    world.sql("ALTER TABLE my_iceberg_table SET ENABLE_SCHEMA_EVOLUTION = FALSE");
}
