//! Answers of SQL statements.

use std::fmt;

use crate::catalog::DataType;
use crate::values::{Cell, api_text, display};

/// What a statement answers, before it is printed or encoded.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<(String, DataType)>,
    pub(crate) cells: Vec<Vec<Cell<'static>>>,
}

impl Answer {
    /// The answer of a statement without rows: one row with a message.
    pub(crate) fn message(text: impl Into<String>) -> Self {
        let cell = Cell::Text(text.into().into());
        Answer { columns: vec![("status".into(), DataType::TEXT)], cells: vec![vec![cell]] }
    }

    /// Rows of text under the given names.
    pub(crate) fn texts(names: &[&str], rows: Vec<Vec<Option<String>>>) -> Self {
        let columns = names.iter().map(|name| ((*name).to_owned(), DataType::TEXT)).collect();
        let cell = |text: Option<String>| text.map_or(Cell::Null, |text| Cell::Text(text.into()));
        let cells = rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
        Answer { columns, cells }
    }

    /// One row with the number of rows changed.
    pub(crate) fn count(what: &str, rows: usize) -> Self {
        let count = i64::try_from(rows).unwrap_or(i64::MAX);
        Answer { columns: vec![(what.into(), DataType::INTEGER)], cells: vec![vec![Cell::Int(count)]] }
    }

    /// The rows as the SQL API encodes them.
    pub(crate) fn api_rows(&self) -> Vec<Vec<Option<String>>> {
        let encode = |row: &Vec<Cell<'static>>| {
            row.iter().zip(&self.columns).map(|(cell, (_, data_type))| api_text(cell, data_type)).collect()
        };
        self.cells.iter().map(encode).collect()
    }
}

impl From<Answer> for ResultSet {
    fn from(answer: Answer) -> Self {
        let print = |row: &Vec<Cell<'static>>| {
            row.iter().zip(&answer.columns).map(|(cell, (_, data_type))| display(cell, data_type)).collect()
        };
        let rows = answer.cells.iter().map(print).collect();
        let column = |(name, data_type): &(String, DataType)| Column {
            name: name.clone(),
            data_type: data_type.to_string(),
        };
        ResultSet { columns: answer.columns.iter().map(column).collect(), rows }
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
