//! Matching by name, schema evolution and defaults.

use local_snowflake::{Limits, Options};
use serde_json::json;

use crate::client::World;

const T: &str = "T-STREAMING";

#[tokio::test(start_paused = true)]
async fn keys_match_columns_in_any_case_and_others_are_ignored() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (kinesisMetadata OBJECT, order_id NUMBER, order_total FLOAT, ispaid BOOLEAN, \"Mixed\" INT)");
    let row = r#"{"order_id": 12345, "ORDER_TOTAL": 100.00, "isPaid": true, "mixed": 7, "unknown": 1, "kinesisMetadata": {"shardId":"s"}}"#;
    world.stream(T, &format!("{row}\n")).await;
    assert_eq!(world.table("SELECT * FROM t"), ["{\"shardId\":\"s\"}|12345|100|true|7"]);
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_become_columns() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (kinesisMetadata OBJECT, must INT NOT NULL) ENABLE_SCHEMA_EVOLUTION = TRUE ERROR_LOGGING = TRUE");
    let rows = r#"{"must":1,"orderId":12,"price":1.5,"paid":true,"name":"x","tags":["a"],"more":{"k":1},"none":null,"big":123456789012345678901234567890123456789}
{"orderId":13,"name":"y"}
{"ORDERID":"14"}
{"orderId":"fourteen"}
"#;
    let status = world.stream(T, rows).await;
    assert_eq!((&status["rows_inserted"], &status["rows_error_count"]), (&json!(3), &json!(1)), "{status}");
    let columns = world.table("SHOW COLUMNS IN TABLE t");
    let shown: Vec<String> =
        columns.iter().map(|row| row.split('|').skip(2).take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        shown,
        [
            "KINESISMETADATA OBJECT true",
            "MUST NUMBER(38,0) true",
            "ORDERID NUMBER(38,0) true",
            "PRICE FLOAT true",
            "PAID BOOLEAN true",
            "NAME VARCHAR(16777216) true",
            "TAGS VARIANT true",
            "MORE VARIANT true",
            "BIG FLOAT true",
        ]
    );
    assert!(columns[1].ends_with("DROP_NOT_NULL") && columns[2].ends_with("ADD_COLUMN"), "{columns:?}");
    let expected = [
        "1|12|1.5|true|x|[\"a\"]|{\"k\":1}",
        "NULL|13|NULL|NULL|y|NULL|NULL",
        "NULL|14|NULL|NULL|NULL|NULL|NULL",
    ];
    assert_eq!(world.table("SELECT must, orderid, price, paid, name, tags, more FROM t"), expected);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_fails_leaves_no_column_behind() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT) ENABLE_SCHEMA_EVOLUTION = TRUE");
    world.stream(T, "{\"a\":\"x\",\"fresh\":1}\n").await;
    assert_eq!(world.table("SHOW COLUMNS IN TABLE t").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn too_many_new_columns_invalidate_the_channel() {
    let limits = Limits { evolved_columns: 3, ..Limits::default() };
    let world = World::with(Options { limits, ..Options::default() }).await;
    world.sql("CREATE TABLE t (a INT) ENABLE_SCHEMA_EVOLUTION = TRUE");
    let token = world.open(T, "c").await.next();
    let token = world.append(T, "c", &token, ("1", "1"), "{\"a\":1,\"b\":1}\n").await.next();
    world
        .append(T, "c", &token, ("2", "2"), "{\"a\":2,\"k1\":1,\"k2\":1}\n{\"k3\":1,\"k4\":1}\n")
        .await
        .next();
    world.committed(T, "c", "1").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let status = world.status(T, "c").await;
    assert_eq!(status["channel_status_code"], "ERR_CHANNEL_MUST_BE_REOPENED");
    assert_eq!(status["last_committed_offset_token"], "1");
    assert_eq!(world.table("SELECT a FROM t"), ["1"], "nothing of the refused append is stored");
    assert_eq!(world.table("SHOW COLUMNS IN TABLE t").len(), 2);
    world.stream(T, "{\"a\":3}\n").await;
    assert_eq!(world.table("SELECT a, b FROM t"), ["1|1", "3|NULL"]);
}

#[tokio::test(start_paused = true)]
async fn empty_and_long_names_invalidate_the_channel() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT) ENABLE_SCHEMA_EVOLUTION = TRUE");
    for name in [String::new(), "x".repeat(256)] {
        let token = world.open(T, "c").await.next();
        world.append(T, "c", &token, ("1", "1"), &format!("{{\"{name}\":1}}\n")).await.next();
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(world.status(T, "c").await["channel_status_code"], "ERR_CHANNEL_MUST_BE_REOPENED");
    }
}

#[tokio::test(start_paused = true)]
async fn defaults_fill_what_a_row_does_not_mention() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT, b VARCHAR DEFAULT 'none', c NUMBER(5,2) NOT NULL DEFAULT 1.5)");
    world.stream(T, "{\"a\":1}\n{\"a\":2,\"b\":null,\"c\":3}\n{\"a\":3,\"c\":null}\n").await;
    assert_eq!(world.table("SELECT * FROM t"), ["1|none|1.50", "2|NULL|3.00"], "null is a value, not a gap");
}

#[tokio::test(start_paused = true)]
async fn an_identity_column_counts_the_rows_that_do_not_give_it() {
    let world = World::new().await;
    world.sql(
        "CREATE TABLE t (id INT NOT NULL AUTOINCREMENT, a INT, n NUMBER(10) IDENTITY START 100 INCREMENT BY -5)",
    );
    world.stream(T, "{\"a\":1}\n{\"a\":2,\"n\":7}\n{\"a\":3,\"n\":null}\n{\"a\":\"bad\"}\n").await;
    world.sql("INSERT INTO t (a) VALUES (4), (5)");
    world.sql("DELETE FROM t WHERE a = 5");
    world.stream(T, "{\"a\":6,\"id\":null}\n{\"a\":7}\n").await;
    let expected = ["1|1|100", "2|2|7", "3|3|NULL", "4|4|95", "6|7|85"];
    assert_eq!(world.table("SELECT id, a, n FROM t"), expected, "no number comes twice, null is a value");
    world.sql("CREATE OR REPLACE TABLE t (id INT IDENTITY(10, 10), a INT)");
    world.stream(T, "{\"a\":1}\n{\"a\":2}\n").await;
    assert_eq!(world.table("SELECT id, a FROM t"), ["10|1", "20|2"]);
    assert_eq!(
        world.table("SHOW COLUMNS IN TABLE t")[0].matches("IDENTITY START 10 INCREMENT 10").count(),
        1
    );
    for refused in [
        "CREATE TABLE u (a VARCHAR AUTOINCREMENT)",
        "CREATE TABLE u (a NUMBER(5,2) IDENTITY)",
        "CREATE TABLE u (a INT IDENTITY(1, 0))",
        "ALTER TABLE t ADD COLUMN b INT AUTOINCREMENT",
    ] {
        world.sql_error(refused);
    }
    assert_eq!(world.table("SHOW COLUMNS IN TABLE t").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pipe_that_leaves_columns_out_fills_them_unless_it_matches_by_name() {
    let world = World::new().await;
    let source = "FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))";
    world.sql("CREATE TABLE t (id INT IDENTITY, a INT, b VARCHAR DEFAULT 'none')");
    world.sql(&format!("CREATE PIPE listed AS COPY INTO t (a) FROM (SELECT $1:a::INT {source})"));
    world.sql(&format!(
        "CREATE PIPE matched AS COPY INTO t FROM (SELECT $1:a::INT AS a {source}) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
    ));
    world.stream("LISTED", "{\"a\":1}\n{\"a\":2}\n").await;
    world.stream("MATCHED", "{\"a\":3}\n").await;
    assert_eq!(world.table("SELECT id, a, b FROM t"), ["1|1|none", "2|2|none", "NULL|3|NULL"]);
}

#[tokio::test(start_paused = true)]
async fn columns_added_by_hand_are_seen_at_once() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    world.stream(T, "{\"a\":1,\"b\":1}\n").await;
    world.sql("ALTER TABLE t ADD COLUMN b INT");
    world.stream(T, "{\"a\":2,\"b\":2}\n").await;
    world.sql("ALTER TABLE t DROP COLUMN a");
    world.sql("ALTER TABLE t RENAME COLUMN b TO a");
    world.stream(T, "{\"a\":3}\n").await;
    assert_eq!(world.table("SELECT * FROM t"), ["NULL", "2", "3"]);
}
