//! What Snowflake's catalog says about the destination, asked with `SHOW` through the SQL API, which needs no warehouse.
//!
//! API: <https://docs.snowflake.com/en/developer-guide/sql-api/submitting-requests>. Who may not use it loses nothing but the
//! answers to these questions.

mod definition;

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

/// The table that rows of a destination go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// It as a destination of its own.
    pub(crate) table: Destination,
    /// Its database, schema and name, as they are stored.
    pub(crate) path: [String; 3],
    /// First-level keys go to the columns of their names: with a table, and with a pipe that says so.
    pub(crate) by_name: bool,
}

/// The table of a destination: itself, or what the definition of the pipe names; `None` when the pipe is not shown, or its
/// definition cannot be read.
pub(crate) async fn target(api: &Api, destination: &Destination) -> Result<Option<Target>, Fault> {
    let Destination { database, schema, object } = destination;
    let pipe = match object {
        Object::Table(name) => {
            let path = [database, schema, name].map(|name| stored(name));
            return Ok(Some(Target { table: destination.clone(), path, by_name: true }));
        }
        Object::Pipe(pipe) => pipe,
    };
    let row = shown(api, &Securable::new("PIPE", &[database, schema, pipe])).await?;
    let Some(definition) = row.and_then(|mut row| row.remove("definition")) else { return Ok(None) };
    let mut parts = definition::copy_target(&definition).unwrap_or_default().into_iter().rev();
    let Some(name) = parts.next() else { return Ok(None) };
    // What is not said is that of the pipe.
    let schema = parts.next().unwrap_or_else(|| stored(schema));
    let database = parts.next().unwrap_or_else(|| stored(database));
    let path = [database, schema, name];
    let [database, schema, name] = path.each_ref().map(|name| names::segment(name));
    let table = Destination { database, schema, object: Object::Table(name) };
    let by_name = definition.to_ascii_uppercase().contains("MATCH_BY_COLUMN_NAME");
    Ok(Some(Target { table, path, by_name }))
}

/// What is shown of a table; `None` when it is not shown.
pub(crate) async fn table(api: &Api, target: &Target) -> Result<Option<Table>, Fault> {
    let [database, schema, name] = &target.path;
    let securable = Securable { kind: "TABLE", path: vec![database.clone(), schema.clone(), name.clone()] };
    let found = shown(api, &securable).await?;
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
