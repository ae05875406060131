//! What Snowflake's catalog says about the destination, asked with `SHOW` through the SQL API, which needs no warehouse.
//!
//! API: <https://docs.snowflake.com/en/developer-guide/sql-api/submitting-requests>. Who may not use it loses nothing but the
//! answers to these questions.

use std::collections::HashMap;

use serde::Deserialize;

use crate::api::Api;
use crate::machine::{Fault, FaultClass};
use crate::names::{self, stored};
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

/// Something that privileges are granted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Securable {
    /// As in GRANT: `DATABASE`, `SCHEMA`, `TABLE` or `PIPE`.
    pub(crate) kind: &'static str,
    /// Names as they are stored, from the database on.
    path: Vec<String>,
}

impl Securable {
    pub(crate) fn new(kind: &'static str, path: &[&String]) -> Self {
        Self { kind, path: path.iter().map(|name| stored(name)).collect() }
    }

    /// The name as in a statement that people write.
    pub(crate) fn written(&self) -> String {
        self.path.iter().map(|name| names::segment(name)).collect::<Vec<_>>().join(".")
    }
}

impl std::fmt::Display for Securable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.to_ascii_lowercase(), self.written())
    }
}

/// A privilege that a role was granted itself.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) privilege: String,
    granted_on: String,
    name: String,
}

impl Grant {
    pub(crate) fn is_on(&self, object: &Securable) -> bool {
        // Tables of some kinds are named so: ICEBERG TABLE.
        self.granted_on.ends_with(object.kind)
            && (self.name == object.written() || self.name == object.path.join("."))
    }
}

/// The table of a destination; `None` when it is not shown, or the destination is a pipe.
pub(crate) async fn table(api: &Api, destination: &Destination) -> Result<Option<Table>, Fault> {
    let Destination { database, schema, object: Object::Table(name) } = destination else { return Ok(None) };
    let found = shown(api, &Securable::new("TABLE", &[database, schema, name])).await?;
    Ok(found.map(|row| Table {
        error_logging: flag(&row, "error_logging"),
        schema_evolution: flag(&row, "enable_schema_evolution"),
        owner: row.get("owner").cloned(),
    }))
}

/// The role that owns an object, when it is shown.
pub(crate) async fn owner(api: &Api, object: &Securable) -> Result<Option<String>, Fault> {
    Ok(shown(api, object).await?.and_then(|row| row.get("owner").cloned()))
}

/// What SHOW says about an object.
async fn shown(api: &Api, object: &Securable) -> Result<Option<Row>, Fault> {
    let Some((name, place)) = object.path.split_last() else { return Ok(None) };
    let pattern = name.replace('\\', "\\\\").replace('\'', "''").replace('_', "\\\\_").replace('%', "\\\\%");
    let place = match place {
        [] => String::new(),
        [database] => format!(" IN DATABASE {}", names::segment(database)),
        path => {
            format!(" IN SCHEMA {}", path.iter().map(|n| names::segment(n)).collect::<Vec<_>>().join("."))
        }
    };
    let rows = rows(api, &format!("SHOW {}S LIKE '{pattern}'{place}", object.kind)).await?;
    Ok(rows.into_iter().find(|row| row.get("name") == Some(name)))
}

/// What was granted to a role itself.
pub(crate) async fn grants(api: &Api, role: &str) -> Result<Vec<Grant>, Fault> {
    let rows = rows(api, &format!("SHOW GRANTS TO ROLE {}", names::role(role))).await?;
    let text = |row: &Row, column: &str| row.get(column).cloned().unwrap_or_default();
    let grant = |row: Row| Grant {
        privilege: text(&row, "privilege").to_ascii_uppercase(),
        granted_on: text(&row, "granted_on").to_ascii_uppercase(),
        name: text(&row, "name"),
    };
    Ok(rows.into_iter().map(grant).collect())
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
