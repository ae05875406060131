//! Tables and pipes.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{DataType, Path};
use crate::values::Cell;

/// What a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TableKind {
    Standard,
    Iceberg,
    /// With the defining query, which maps streamed rows to columns.
    Interactive(String),
}

/// Value of a column that a row does not give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Default {
    /// The expression as written.
    pub(crate) text: String,
    /// The same for the storage, its value of the column's type.
    pub(crate) stored: String,
    /// For AUTOINCREMENT and IDENTITY: the storage then puts a number of its own in the place of [`NEXT_NUMBER`].
    #[serde(default)]
    pub(crate) sequence: Option<Sequence>,
}

/// The numbers of an AUTOINCREMENT or IDENTITY column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sequence {
    pub(crate) start: i64,
    pub(crate) step: i64,
}

/// Stands in a row for the number that its column counts up to; no value of a numeric column is a blob.
pub(crate) const NEXT_NUMBER: &str = "x'00'";

impl Default {
    /// The value now.
    pub(crate) fn evaluate(&self, connection: &Connection) -> rusqlite::Result<Cell<'static>> {
        connection.query_row(&format!("SELECT {}", self.stored), [], |row| row.get(0))
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// Number of the storage column; never reused within a table.
    pub(crate) id: usize,
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Default>,
    /// Schema evolution steps that touched the column, newest last.
    pub(crate) evolved: Vec<String>,
}

impl Column {
    /// Name of the storage column.
    pub(crate) fn stored(&self) -> String {
        format!("c{}", self.id)
    }
}

/// A table's definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Number of the storage table; a replaced table has another.
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) kind: TableKind,
    pub(crate) columns: Vec<Column>,
    pub(crate) next_column: usize,
    pub(crate) schema_evolution: bool,
    pub(crate) error_logging: bool,
    /// First commit whose rows have a commit time, when the table shows them.
    pub(crate) row_timestamp: Option<i64>,
    pub(crate) cluster_by: Option<String>,
    /// The volume that an Iceberg table is kept on, unless it is Snowflake's own.
    #[serde(default)]
    pub(crate) external_volume: Option<String>,
    pub(crate) created_ms: i64,
}

impl Table {
    /// Name of the storage table.
    pub(crate) fn stored(&self) -> String {
        format!("t{}", self.id)
    }

    /// Name of the storage table of its error table.
    pub(crate) fn stored_errors(&self) -> String {
        format!("e{}", self.id)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column that a key of a streamed row goes to: the same name, else the same but for case.
    pub(crate) fn column_for_key(&self, key: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| column.name == key);
        exact.or_else(|| {
            let upper = key.to_uppercase();
            self.columns.iter().position(|column| column.name.to_uppercase() == upper)
        })
    }

    /// Adds a column at the end and returns its position.
    pub(crate) fn add_column(&mut self, name: String, data_type: DataType, nullable: bool) -> usize {
        let id = self.next_column;
        self.next_column += 1;
        self.columns.push(Column { id, name, data_type, nullable, default: None, evolved: Vec::new() });
        self.columns.len() - 1
    }
}

/// A pipe made by a user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pipe {
    /// Distinguishes a replaced pipe.
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) table: Path,
    /// Target columns of the COPY, empty for all in order.
    pub(crate) columns: Vec<String>,
    /// The SELECT inside the COPY.
    pub(crate) query: String,
    /// Whether columns are matched by the query's column names.
    pub(crate) by_name: bool,
    /// The statement's text after `AS`.
    pub(crate) definition: String,
    pub(crate) created_ms: i64,
}
