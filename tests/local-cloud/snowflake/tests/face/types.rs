//! Which JSON values fit which columns, and what is stored.

use serde_json::json;

use crate::client::World;

/// Column type, JSON value, and the stored value as printed; `Err` with the error's code.
type Case = (&'static str, &'static str, Result<&'static str, u32>);

const CASES: &[Case] = &[
    ("NUMBER", "12", Ok("12")),
    ("NUMBER", "\" 12 \"", Ok("12")),
    ("NUMBER", "1.5", Ok("2")),
    ("NUMBER", "-1.4999", Ok("-1")),
    ("NUMBER", "12345678901234567890123456789012345678", Ok("12345678901234567890123456789012345678")),
    ("NUMBER", "-12345678901234567890123456789012345678", Ok("-12345678901234567890123456789012345678")),
    ("NUMBER", "123456789012345678901234567890123456789", Err(100_071)),
    ("NUMBER", "1e10", Ok("10000000000")),
    ("NUMBER", "\"abc\"", Err(100_038)),
    ("NUMBER", "{}", Err(100_071)),
    ("NUMBER", "[1]", Err(100_071)),
    ("NUMBER", "true", Err(100_071)),
    ("NUMBER(10,2)", "100.00", Ok("100.00")),
    ("NUMBER(10,2)", "0.005", Ok("0.01")),
    ("NUMBER(4,2)", "99.99", Ok("99.99")),
    ("NUMBER(4,2)", "100", Err(100_071)),
    (
        "NUMBER(38,20)",
        "123456789012345678.12345678901234567890",
        Ok("123456789012345678.12345678901234567890"),
    ),
    ("FLOAT", "100.00", Ok("100")),
    ("FLOAT", "1.5e300", Ok("1.5e300")),
    ("FLOAT", "\"NaN\"", Ok("NaN")),
    ("FLOAT", "\"-Infinity\"", Ok("-inf")),
    ("FLOAT", "\"Infinity\"", Ok("inf")),
    ("FLOAT", "\"abc\"", Err(100_038)),
    ("VARCHAR", "\"a\\u00e9\\n\"", Ok("aé\n")),
    ("VARCHAR", "12.50", Ok("12.50")),
    ("VARCHAR", "true", Ok("true")),
    ("VARCHAR", "{ \"b\" : 1, \"a\": [ 2 ] }", Ok("{\"a\":[2],\"b\":1}")),
    ("VARCHAR", "[1, \"a\"]", Ok("[1,\"a\"]")),
    ("VARCHAR(3)", "\"aéb\"", Ok("aéb")),
    ("VARCHAR(3)", "\"abcd\"", Err(100_078)),
    ("BOOLEAN", "true", Ok("true")),
    ("BOOLEAN", "\"off\"", Ok("false")),
    ("BOOLEAN", "\"true\"", Ok("true")),
    ("BOOLEAN", "\"false\"", Ok("false")),
    ("BOOLEAN", "\"yes\"", Ok("true")),
    ("BOOLEAN", "\"no\"", Ok("false")),
    ("BOOLEAN", "\"on\"", Ok("true")),
    ("BOOLEAN", "1", Err(100_071)),
    ("BOOLEAN", "0", Err(100_071)),
    ("BOOLEAN", "\"maybe\"", Err(100_037)),
    ("BINARY", "\"AQID\"", Ok("010203")),
    ("BINARY", "\"0A0B0C0D\"", Ok("D00D01D02D03")),
    ("BINARY", "\"xyz\"", Err(100_115)),
    ("DATE", "\"2024-02-29\"", Ok("2024-02-29")),
    ("DATE", "\"2024-02-29T12:30:00Z\"", Ok("2024-02-29")),
    ("DATE", "\"2024-02-29T12:30\"", Ok("2024-02-29")),
    ("DATE", "\"2024-02-29T12:30:00.5+02:00\"", Ok("2024-02-29")),
    ("DATE", "\"2023-02-29\"", Err(100_040)),
    ("DATE", "\"1709200000\"", Ok("2024-02-29")),
    ("DATE", "true", Err(100_071)),
    ("TIME", "\"23:59:59.123456789\"", Ok("23:59:59")),
    ("TIME", "\"23:59\"", Ok("23:59:00")),
    ("TIME", "\"23:59:59Z\"", Err(100_108)),
    ("TIME", "\"23:59:59+05:00\"", Err(100_108)),
    ("TIMESTAMP_NTZ", "\"2025-11-05T09:12:15.300\"", Ok("2025-11-05 09:12:15.300")),
    ("TIMESTAMP_NTZ", "\"2025-11-05T09:12:15+02:00\"", Ok("2025-11-05 09:12:15.000")),
    ("TIMESTAMP_NTZ", "1762333935300", Ok("2025-11-05 01:12:15.300")),
    ("TIMESTAMP_NTZ", "\"soon\"", Err(100_035)),
    ("TIMESTAMP_LTZ", "\"2025-11-05T09:12:15+02:00\"", Ok("2025-11-05 07:12:15.000 +0000")),
    ("TIMESTAMP_LTZ", "1762333935300", Ok("2025-11-05 09:12:15.300 +0000")),
    ("TIMESTAMP_TZ", "\"2025-11-05T09:12:15+02:00\"", Ok("2025-11-05 09:12:15.000 +0200")),
    ("TIMESTAMP_NTZ(0)", "\"9999-12-31T23:59:59.999\"", Ok("9999-12-31 23:59:59.000")),
    ("VARIANT", "12345678901234567890.10", Ok("12345678901234567890.10")),
    ("VARIANT", "\"{\\\"a\\\":1}\"", Ok("\"{\\\"a\\\":1}\"")),
    ("VARIANT", "[1,{\"a\":null}]", Ok("[1,{\"a\":null}]")),
    ("VARIANT", "true", Ok("true")),
    ("VARIANT", "null", Ok("null")),
    ("OBJECT", "{\"a\":1}", Ok("{\"a\":1}")),
    ("OBJECT", "\"{\\\"a\\\":1}\"", Ok("{\"a\":1}")),
    ("OBJECT", "\"text\"", Err(100_071)),
    ("OBJECT", "[1]", Err(100_071)),
    ("ARRAY", "[1, 2]", Ok("[1,2]")),
    ("ARRAY", "\"a\"", Ok("[\"a\"]")),
    ("ARRAY", "{}", Err(100_071)),
    ("NUMBER", "null", Ok("NULL")),
    ("OBJECT", "null", Ok("NULL")),
];

#[tokio::test(start_paused = true)]
async fn values_and_columns() {
    let world = World::new().await;
    for (at, (column, value, expected)) in CASES.iter().enumerate() {
        world.sql(&format!("CREATE TABLE t{at} (a {column}) ERROR_LOGGING = TRUE"));
        let pipe = format!("T{at}-STREAMING");
        let status = world.stream(&pipe, &format!("{{\"a\":{value}}}\n")).await;
        match expected {
            Ok(printed) => {
                assert_eq!(world.table(&format!("SELECT a FROM t{at}")), [*printed], "{column} {value}");
                assert_eq!(status["rows_inserted"], 1);
            }
            Err(code) => {
                assert_eq!(status["rows_error_count"], 1, "{column} {value}");
                let found = world.table(&format!("SELECT error_code FROM ERROR_TABLE(t{at})"));
                assert_eq!(found, [code.to_string()], "{column} {value}");
                assert!(world.table(&format!("SELECT a FROM t{at}")).is_empty());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_table_tells_what_and_where() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT NOT NULL, b VARCHAR) ERROR_LOGGING = TRUE");
    let rows = "{\"a\":1}\n{\"a\":\"x\",\"b\":\"y\"}\n{\"b\":\"z\"}\nnot json\n{\"a\":2}\n[1]\n";
    let status = world.stream("T-STREAMING", rows).await;
    assert_eq!((&status["rows_parsed"], &status["rows_inserted"]), (&json!(6), &json!(2)));
    assert_eq!(status["rows_error_count"], 4);
    assert_eq!(status["last_error_offset_upper_bound"], "1");
    assert!(status["last_error_message"].as_str().unwrap().contains("JSON"), "{status}");
    assert!(status["last_error_timestamp_ms"].as_i64().unwrap() > 0);
    let errors = world.table(
        "SELECT error_code, error_metadata:details.error_data_content_type::varchar, error_metadata:error_source::varchar, error_data \
         FROM ERROR_TABLE(t)",
    );
    assert_eq!(
        errors,
        [
            "100038|json|A|{\"a\":\"x\",\"b\":\"y\"}",
            "100072|json|A|{\"b\":\"z\"}",
            "100069|json-invalid|NULL|\"not json\"",
            "100069|json-invalid|NULL|\"[1]\"",
        ]
    );
    let details = world.table(
        "SELECT DISTINCT error_metadata:service::varchar, error_metadata:details.pipe_name::varchar, \
         error_metadata:details.channel_name::varchar, error_metadata:details.offset_token_lower_bound::varchar, \
         error_metadata:details.offset_token_upper_bound::varchar FROM TABLE(ERROR_TABLE(demo.public.t))",
    );
    assert_eq!(details, ["snowpipe_streaming|DEMO.PUBLIC.\"T-STREAMING\"|c|1|1"]);
    world.sql("TRUNCATE TABLE ERROR_TABLE(t)");
    assert!(world.table("SELECT * FROM ERROR_TABLE(t)").is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_error_logging_bad_rows_are_only_counted_also_over_a_reopen() {
    let world = World::new().await;
    world.sql("CREATE TABLE t (a INT)");
    world.stream("T-STREAMING", "{\"a\":\"x\"}\n").await;
    let opened = world.open("T-STREAMING", "c").await.json();
    assert_eq!(opened["channel_status"]["rows_error_count"], 1, "cumulative, not reset by opening");
    assert!(world.table("SELECT * FROM ERROR_TABLE(t)").is_empty());
}
