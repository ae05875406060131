//! What Snowflake's catalog says about the destination, asked with `SHOW` through the SQL API, which needs no warehouse.
//!
//! API: <https://docs.snowflake.com/en/developer-guide/sql-api/submitting-requests>. Who may not use it loses nothing but the
//! answers to these questions.

use std::collections::HashMap;

use serde::Deserialize;

use crate::api::Api;
use crate::machine::{Fault, FaultClass};
use crate::names::sql_name;
use crate::request::{Destination, Object};

/// A row of an answer: values by the lower-case names of their columns.
type Row = HashMap<String, String>;

/// Properties of a table. `None` where the service does not tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) error_logging: Option<bool>,
    pub(crate) schema_evolution: Option<bool>,
    pub(crate) owner: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "resultSetMetaData")]
    meta: Meta,
    #[serde(default)]
    data: Vec<Vec<Option<String>>>,
    #[serde(rename = "statementHandle", default)]
    handle: String,
}

/// A partition of an answer after the first.
#[derive(Deserialize)]
struct Part {
    data: Vec<Vec<Option<String>>>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "rowType", default)]
    columns: Vec<Column>,
    #[serde(rename = "partitionInfo", default)]
    partitions: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

/// Partitions that are fetched of one answer, and the bytes in all of them.
const PARTITIONS: usize = 64;
const LONGEST: usize = 64 << 20;

/// The table of a destination; `None` when it is not shown, or the destination is a pipe.
pub(crate) async fn table(api: &Api, destination: &Destination) -> Result<Option<Table>, Fault> {
    let Object::Table(name) = &destination.object else { return Ok(None) };
    let stored = crate::names::stored(name);
    let pattern =
        stored.replace('\\', "\\\\").replace('\'', "''").replace('_', "\\\\_").replace('%', "\\\\%");
    let schema = format!("{}.{}", sql_name(&destination.database), sql_name(&destination.schema));
    let rows = rows(api, &format!("SHOW TABLES LIKE '{pattern}' IN SCHEMA {schema}")).await?;
    let found = rows.into_iter().find(|row| row.get("name") == Some(&stored));
    Ok(found.map(|row| Table {
        error_logging: flag(&row, "error_logging"),
        schema_evolution: flag(&row, "enable_schema_evolution"),
        owner: row.get("owner").cloned(),
    }))
}

/// Privileges that `role` has on the table itself.
pub(crate) async fn privileges(
    api: &Api,
    destination: &Destination,
    role: &str,
) -> Result<Vec<String>, Fault> {
    let Object::Table(name) = &destination.object else { return Ok(Vec::new()) };
    let stored = crate::names::stored(name);
    let path =
        format!("{}.{}.{}", sql_name(&destination.database), sql_name(&destination.schema), sql_name(name));
    let rows = rows(api, &format!("SHOW GRANTS ON TABLE {path}")).await?;
    let text = |row: &Row, column: &str| row.get(column).cloned().unwrap_or_default();
    let granted = rows.into_iter().filter(|row| {
        text(row, "grantee_name").eq_ignore_ascii_case(role)
            && text(row, "granted_on").contains("TABLE")
            && text(row, "name").trim_end_matches('"').ends_with(&stored)
    });
    Ok(granted.map(|row| text(&row, "privilege").to_ascii_uppercase()).collect())
}

/// The role that statements run as.
pub(crate) async fn current_role(api: &Api) -> Result<Option<String>, Fault> {
    let rows = rows(api, "SELECT CURRENT_ROLE()").await?;
    Ok(rows.into_iter().next().and_then(|row| row.into_values().next()))
}

async fn rows(api: &Api, statement: &str) -> Result<Vec<Row>, Fault> {
    let answer = answer(api, statement, None).await?;
    let names: Vec<String> = answer.meta.columns.into_iter().map(|c| c.name.to_ascii_lowercase()).collect();
    let row = |values: Vec<Option<String>>| {
        names.iter().cloned().zip(values).filter_map(|(name, value)| Some((name, value?))).collect()
    };
    Ok(answer.data.into_iter().map(row).collect())
}

/// The rows of a query that runs in `warehouse`, values in the order of its columns.
pub(crate) async fn cells(
    api: &Api,
    statement: &str,
    warehouse: Option<&str>,
) -> Result<Vec<Vec<Option<String>>>, Fault> {
    Ok(answer(api, statement, warehouse).await?.data)
}

/// The answer with the rows of all its partitions. One that is too large is refused: less has to be asked for.
async fn answer(api: &Api, statement: &str, warehouse: Option<&str>) -> Result<Answer, Fault> {
    let text = api.statement(statement, warehouse).await?;
    let mut answer: Answer = parsed(&text)?;
    let (partitions, mut length) = (answer.meta.partitions.len(), text.len());
    let too_large = || {
        let detail = format!("the answer of the SQL API is too large, it comes in {partitions} parts");
        Fault { class: FaultClass::Rejected, detail, retry_after: None }
    };
    if partitions > PARTITIONS {
        return Err(too_large());
    }
    for number in 1..partitions {
        let text = api.partition(&answer.handle, number).await?;
        length += text.len();
        if length > LONGEST {
            return Err(too_large());
        }
        answer.data.extend(parsed::<Part>(&text)?.data);
    }
    Ok(answer)
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|_| unusable("the answer of the SQL API cannot be read"))
}

fn unusable(detail: &str) -> Fault {
    Fault { class: FaultClass::Transient, detail: detail.to_owned(), retry_after: None }
}

fn flag(row: &Row, column: &str) -> Option<bool> {
    match row.get(column)?.to_ascii_uppercase().as_str() {
        "Y" | "YES" | "ON" | "TRUE" => Some(true),
        "N" | "NO" | "OFF" | "FALSE" => Some(false),
        _ => None,
    }
}
