//! SQL: queries, functions, definitions.

use crate::client::World;

async fn world() -> World {
    let world = World::new().await;
    world.sql(
        "CREATE TABLE t (id INT, name VARCHAR, price NUMBER(10,2), at TIMESTAMP_NTZ, doc VARIANT);
         INSERT INTO t SELECT 1, 'apple', 1.20, '2024-01-31 10:00:00', PARSE_JSON('{\"a\":{\"b\":[10,20]},\"s\":\"x\",\"n\":null}');
         INSERT INTO t (id, name, price, at) VALUES (2, 'pear', 0.5, '2024-02-29 23:59:59.999'), (10, 'Apple', 100, NULL), (NULL, NULL, NULL, NULL)",
    );
    world
}

#[tokio::test(start_paused = true)]
async fn queries_and_their_results() {
    let world = world().await;
    for (query, expected) in [
        ("SELECT id FROM t ORDER BY id", &["1", "2", "10", "NULL"][..]),
        ("SELECT id FROM t ORDER BY id DESC LIMIT 2", &["NULL", "10"]),
        ("SELECT id FROM t ORDER BY id DESC NULLS LAST LIMIT 1 OFFSET 1", &["2"]),
        ("SELECT price FROM t WHERE price > 1 ORDER BY price", &["1.20", "100.00"]),
        ("SELECT price FROM t WHERE price = 1.2", &["1.20"]),
        ("SELECT price FROM t WHERE price BETWEEN 0.5 AND 1.2 ORDER BY 1", &["0.50", "1.20"]),
        ("SELECT id FROM t WHERE name LIKE 'a%'", &["1"]),
        ("SELECT id FROM t WHERE name ILIKE 'a%' ORDER BY id", &["1", "10"]),
        ("SELECT id FROM t WHERE id IN (1, 10) AND NOT name = 'x' ORDER BY id", &["1", "10"]),
        ("SELECT id FROM t WHERE at IS NULL AND id IS NOT NULL", &["10"]),
        (
            "SELECT COUNT(*), COUNT(id), COUNT(DISTINCT UPPER(name)), SUM(price), AVG(id), MIN(id), MAX(price) FROM t",
            &["4|3|2|101.70|4.333333|1|100.00"],
        ),
        ("SELECT UPPER(name) u, COUNT(*) c FROM t WHERE u IS NOT NULL GROUP BY u HAVING c > 1", &["APPLE|2"]),
        (
            "SELECT UPPER(name), COUNT(*) FROM t GROUP BY 1 ORDER BY 2 DESC, 1",
            &["APPLE|2", "PEAR|1", "NULL|1"],
        ),
        (
            "SELECT doc:a.b[1]::INT, doc:a:b[0], doc:s, doc:s::STRING, doc:missing, doc:n FROM t WHERE id = 1",
            &["20|10|\"x\"|x|NULL|null"],
        ),
        ("SELECT doc['a']['b'][0]::INT + 1 FROM t WHERE id = 1", &["11"]),
        ("SELECT id FROM t WHERE doc:a.b[0] = 10", &["1"]),
        (
            "SELECT f.value::INT, f.index FROM t, LATERAL FLATTEN(input => doc:a.b) f WHERE id = 1",
            &["10|0", "20|1"],
        ),
        ("SELECT x.name FROM t x JOIN t y ON x.id = y.id AND y.price > 50", &["Apple"]),
        (
            "SELECT a.id, b.n FROM t a LEFT JOIN (SELECT 1 AS id, 'one' AS n) b USING (id) ORDER BY a.id LIMIT 2",
            &["1|one", "2|NULL"],
        ),
        ("WITH big AS (SELECT id, price FROM t WHERE price > 1) SELECT COUNT(*) FROM big", &["2"]),
        ("SELECT id FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY price DESC NULLS LAST) = 1", &["10"]),
        ("SELECT (SELECT MAX(id) FROM t) - id FROM t WHERE id = 1", &["9"]),
        ("SELECT id FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE b.id = a.id + 1)", &["1"]),
        ("SELECT 1 UNION SELECT 1 UNION ALL SELECT 2", &["1", "2"]),
        ("SELECT DISTINCT name IS NULL FROM t ORDER BY 1", &["false", "true"]),
        ("SELECT t.* EXCLUDE (doc, at, name) FROM t WHERE id = 2", &["2|0.50"]),
        (
            "SELECT CASE WHEN id > 1 THEN 'big' ELSE 'small' END, IFF(id = 1, 1.5, 2) FROM t WHERE id IS NOT NULL ORDER BY id",
            &["small|1.5", "big|2.0", "big|2.0"],
        ),
        (
            "SELECT MEDIAN(id), PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY id DESC), APPROX_PERCENTILE(id, 1) FROM t",
            &["2|2|10"],
        ),
        ("SELECT LISTAGG(name, ',') WITHIN GROUP (ORDER BY id) FROM t", &["apple,pear,Apple"]),
        ("SELECT MAX(at), MIN(at)::DATE FROM t", &["2024-02-29 23:59:59.999|2024-01-31"]),
        ("SELECT $1 FROM (SELECT 5 AS \"$1\")", &["5"]),
        ("SELECT COLUMN2 FROM (VALUES (1, 'a'), (2, 'b')) WHERE COLUMN1 = 2", &["b"]),
    ] {
        assert_eq!(world.table(query), expected, "{query}");
    }
}

/// Expressions and their printed values.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("7/2", "3.500000"),
    ("1.10 + 2", "3.1"),
    ("0.1 * 0.1", "0.01"),
    ("10 % 3", "1"),
    ("99999999999999999999999999999999999998 + 1", "99999999999999999999999999999999999999"),
    ("2 > 10", "false"),
    ("'2' > '10'", "true"),
    ("'12345678901234567890123' > 9", "true"),
    ("1 = 1.0", "true"),
    ("NULL = NULL", "NULL"),
    ("EQUAL_NULL(NULL, NULL)", "true"),
    ("ROUND(2.345, 2)", "2.35"),
    ("ROUND(-2.5)", "-3"),
    ("FLOOR(-1.5)", "-2"),
    ("CEIL(1.2)", "2"),
    ("TRUNC(1.99, 1)", "1.9"),
    ("ABS(-5)", "5"),
    ("COALESCE(NULL, 'a')", "a"),
    ("NVL(NULL, 1)", "1"),
    ("NULLIF(1, 1)", "NULL"),
    ("GREATEST(1, 10, 2)", "10"),
    ("UPPER('é') || 1 || TRUE", "É1true"),
    ("SPLIT_PART('a-b-c', '-', -1)", "c"),
    ("LPAD('7', 3, '0')", "007"),
    ("LENGTH('aé')", "2"),
    ("CONTAINS('abc', 'b')", "true"),
    ("'abc'::VARCHAR(2)", "ab"),
    ("'1.25'::NUMBER(5,1)", "1.3"),
    ("TRY_CAST('x' AS INT)", "NULL"),
    ("TRY_TO_NUMBER('12')", "12"),
    ("TO_NUMBER('12.345', 10, 2)", "12.35"),
    ("'2024-02-29'::DATE + 1", "2024-03-01"),
    ("DATEDIFF('day', '2024-02-28', '2024-03-01'::DATE)", "2"),
    ("DATEDIFF(month, '2024-01-31'::DATE, '2024-02-01'::DATE)", "1"),
    ("DATEDIFF('millisecond', '2024-01-01'::TIMESTAMP_NTZ, '2024-01-01 00:00:01.5'::TIMESTAMP_LTZ)", "1500"),
    ("TIMESTAMPDIFF(second, '2024-01-01 00:00:00.9'::TIMESTAMP, '2024-01-01 00:00:01.1'::TIMESTAMP)", "1"),
    ("DATEADD(month, 1, '2024-01-31'::DATE)", "2024-02-29"),
    ("DATEADD('hour', -1, '2024-01-01'::TIMESTAMP_NTZ)", "2023-12-31 23:00:00.000"),
    ("DATE_TRUNC('week', '2024-02-29'::DATE)", "2024-02-26"),
    ("DATE_TRUNC(minute, '2024-02-29 10:11:12'::TIMESTAMP)", "2024-02-29 10:11:00.000"),
    ("EXTRACT(year FROM '2024-02-29'::DATE)", "2024"),
    ("DATE_PART(epoch_millisecond, '1970-01-01 00:00:01.234'::TIMESTAMP)", "1234"),
    ("TO_TIMESTAMP(1762333935300, 3)", "2025-11-05 09:12:15.300"),
    ("TO_TIMESTAMP('1762333935300')", "2025-11-05 09:12:15.300"),
    ("TO_TIMESTAMP_NTZ(PARSE_JSON('1762333935'))", "2025-11-05 09:12:15.000"),
    ("TO_TIMESTAMP('2025-11-05T09:12:15.300')", "2025-11-05 09:12:15.300"),
    ("TO_CHAR('2025-11-05 09:12:15.300'::TIMESTAMP, 'YYYY/MM/DD HH24:MI:SS.FF3')", "2025/11/05 09:12:15.300"),
    ("TRY_TO_TIMESTAMP('x')", "NULL"),
    ("TYPEOF(PARSE_JSON('[1]'))", "ARRAY"),
    ("ARRAY_SIZE(PARSE_JSON('[1,2]'))", "2"),
    ("OBJECT_CONSTRUCT('b', 1, 'a', 'x')", "{\"a\":\"x\",\"b\":1}"),
    ("PARSE_JSON('{\"a\":1}'):a::INT", "1"),
    ("TO_VARIANT('x')::VARCHAR", "x"),
    ("CURRENT_ROLE()", "LOCAL_ROLE"),
    ("CURRENT_DATABASE()", "DEMO"),
    ("DATEDIFF('second', CURRENT_TIMESTAMP(), SYSDATE()) < 5", "true"),
];

#[tokio::test(start_paused = true)]
async fn functions_and_casts() {
    let world = World::new().await;
    for (expression, expected) in EXPRESSIONS {
        assert_eq!(world.table(&format!("SELECT {expression}")), [*expected], "{expression}");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_statements() {
    let world = world().await;
    for (text, code) in [
        ("SELECT 'abc'::INT", "100038"),
        ("SELECT 1/0", "100051"),
        ("SELECT PARSE_JSON('{')", "100069"),
        ("SELECT nope FROM t", "000904"),
        ("SELECT id FROM t x, t y", "002028"),
        ("SELECT * FROM nope", "002003"),
        ("SELECT NOPE(1)", "002140"),
        ("SELEC 1", "000002"),
        ("CREATE TABLE t (a INT)", "002002"),
        ("CREATE TABLE u (a INT, A INT)", "002025"),
        ("CREATE TABLE u (a INT) NOPE = 1", "001420"),
        ("CREATE TABLE u (a GEOGRAPHY)", "001003"),
        ("DROP TABLE nope", "002003"),
        ("INSERT INTO t (id) VALUES (1, 2)", "002020"),
        ("INSERT INTO t (id) VALUES ('x')", "100038"),
        ("ALTER TABLE t SET NOPE = TRUE", "001420"),
        ("USE DATABASE nope", "002003"),
        ("SELECT 1 1", "001003"),
        ("", "000900"),
    ] {
        assert_eq!(world.sql_error(text), code, "{text}");
    }
    assert_eq!(world.table("SELECT COUNT(*) FROM t"), ["4"], "nothing of a failed statement stays");
}

#[tokio::test(start_paused = true)]
async fn definitions() {
    let world = world().await;
    world.sql("DELETE FROM t WHERE id = 10; UPDATE t SET name = 'x' WHERE id = 1");
    assert_eq!(world.table("SELECT id, name FROM t ORDER BY id"), ["1|x", "2|pear", "NULL|NULL"]);
    world.sql("CREATE TABLE c AS SELECT id, price FROM t WHERE id > 0; ALTER TABLE c RENAME TO d; DROP TABLE IF EXISTS c");
    assert_eq!(world.table("SELECT * FROM d ORDER BY 1"), ["1|1.20", "2|0.50"]);
    world.sql("TRUNCATE TABLE d");
    assert!(world.table("SELECT * FROM d").is_empty());
    world.sql("CREATE TABLE IF NOT EXISTS d (z INT)");
    let described = world.table("DESCRIBE TABLE d");
    assert!(described[0].starts_with("ID|NUMBER(38,0)|COLUMN|Y"), "{described:?}");
    world.sql("CREATE SCHEMA \"s\"; CREATE TABLE \"t\" (a INT); USE SCHEMA public");
    assert_eq!(world.table("SELECT COUNT(*) FROM demo.\"s\".\"t\""), ["0"]);
    assert_eq!(world.sql_error("SELECT COUNT(*) FROM demo.s.t"), "002003");
    let names: Vec<Option<String>> = world.sql("SHOW TABLES").into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(names, [Some("D".into()), Some("T".into())]);
    world.open("T-STREAMING", "c").await.next();
    assert_eq!(world.sql("SHOW CHANNELS IN TABLE t").len(), 1);
    assert_eq!(world.sql("SHOW CHANNELS IN TABLE d").len(), 0);
    let pipes = world.snowflake.sql("SHOW PIPES LIKE 't-%'").unwrap();
    assert_eq!((pipes.get(0, "name"), pipes.get(0, "owner")), (Some("T-STREAMING"), None));
}
