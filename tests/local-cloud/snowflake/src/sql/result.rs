//! Answers of SQL statements.

use std::fmt;

/// A statement that failed, with Snowflake's code and SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({state}): {message}")]
pub struct SqlError {
    /// Six digits, as in the SQL API's `code`.
    pub code: String,
    /// SQLSTATE.
    pub state: String,
    /// What is wrong.
    pub message: String,
}

impl SqlError {
    pub(crate) fn new(code: &str, state: &str, message: impl Into<String>) -> Self {
        SqlError { code: code.into(), state: state.into(), message: message.into() }
    }

    pub(crate) fn unsupported(what: impl fmt::Display) -> Self {
        SqlError::new("000002", "0A000", format!("Unsupported feature '{what}'."))
    }
}

/// A result column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name as shown.
    pub name: String,
    /// Snowflake type, such as `NUMBER(38,0)`.
    pub data_type: String,
}

/// Rows of a query, or the message of another statement as one row.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ResultSet {
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Values as Snowflake's clients print them; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl ResultSet {
    /// Value of the column called `name` (exactly, as shown) in row `row`.
    pub fn get(&self, row: usize, name: &str) -> Option<&str> {
        let index = self.columns.iter().position(|column| column.name == name)?;
        self.rows.get(row)?.get(index)?.as_deref()
    }

    /// Value of the first column of the first row.
    pub fn scalar(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

impl fmt::Display for ResultSet {
    /// A table in plain text.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.as_deref().unwrap_or("NULL").to_owned();
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.name.chars().count()).collect();
        for row in &self.rows {
            for (width, value) in widths.iter_mut().zip(row) {
                *width = (*width).max(shown(value).chars().count());
            }
        }
        let line = |out: &mut fmt::Formatter<'_>, values: &mut dyn Iterator<Item = String>| {
            let cells: Vec<String> = values.zip(&widths).map(|(v, w)| format!("{v:<w$}", w = *w)).collect();
            writeln!(out, "{}", cells.join(" | ").trim_end())
        };
        line(out, &mut self.columns.iter().map(|column| column.name.clone()))?;
        line(out, &mut widths.iter().map(|width| "-".repeat(*width)))?;
        for row in &self.rows {
            line(out, &mut row.iter().map(shown))?;
        }
        Ok(())
    }
}
