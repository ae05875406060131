//! How the keys of a streamed row map to a table's columns.

use std::borrow::Cow;
use std::collections::HashMap;

use super::errors::RowError;
use crate::catalog::{DataType, Table};
use crate::values::{Cell, Kind, Origin, convert, kind, members};

/// A row on its way into the table.
pub(crate) struct Row<'a> {
    /// One value per column of the table.
    pub(crate) cells: Vec<Cell<'a>>,
    /// Keys without a column, with their values; only those that are not null.
    pub(crate) unknown: Vec<(Cow<'a, str>, &'a str)>,
    /// Positions of NOT NULL columns that the row leaves NULL.
    pub(crate) missing: Vec<usize>,
}

/// The mapping for one version of a table.
pub(crate) struct Layout {
    slots: HashMap<String, Option<usize>>,
    required: Vec<usize>,
    defaults: Vec<(usize, Cell<'static>)>,
    columns: usize,
    pub(crate) insert: String,
}

impl Layout {
    /// `defaults` gives the values of columns that a row does not mention.
    pub(crate) fn new(table: &Table, defaults: Vec<(usize, Cell<'static>)>) -> Self {
        let names: String = table.columns.iter().map(|column| format!(", {}", column.stored())).collect();
        let marks = ", ?".repeat(table.columns.len());
        let required = table.columns.iter().enumerate().filter(|(_, column)| !column.nullable);
        Layout {
            slots: HashMap::new(),
            required: required.map(|(index, _)| index).collect(),
            defaults,
            columns: table.columns.len(),
            insert: format!("INSERT INTO {} (_c, _ch, _t{names}) VALUES (?, ?, ?{marks})", table.stored()),
        }
    }

    /// Reads one row.
    pub(crate) fn read<'a>(&mut self, table: &Table, line: &'a str) -> Result<Row<'a>, RowError> {
        let mut row = Row { cells: vec![Cell::Null; self.columns], unknown: Vec::new(), missing: Vec::new() };
        let mut given = vec![false; if self.defaults.is_empty() { 0 } else { self.columns }];
        let mut failed = None;
        let slots = &mut self.slots;
        members(line, |key, value| {
            let slot = match slots.get(key.as_ref()) {
                Some(slot) => *slot,
                None => *slots.entry(key.to_string()).or_insert(table.column_for_key(&key)),
            };
            let Some(index) = slot else {
                if kind(value) != Kind::Null {
                    row.unknown.push((key, value));
                }
                return;
            };
            if let Some(given) = given.get_mut(index) {
                *given = true;
            }
            let column = &table.columns[index];
            match convert(value, &column.data_type, Origin::Stream) {
                Ok(cell) => row.cells[index] = cell,
                Err(failure) => {
                    failed.get_or_insert_with(|| RowError::of_column(failure, &column.name));
                }
            }
        })
        .map_err(|error| RowError::not_json(&error.to_string()))?;
        if let Some(error) = failed {
            return Err(error);
        }
        for (index, default) in &self.defaults {
            if !given[*index] {
                row.cells[*index] = default.clone();
            }
        }
        row.missing = self.required.iter().copied().filter(|index| row.cells[*index] == Cell::Null).collect();
        Ok(row)
    }
}

/// Type of a column that schema evolution adds for a value.
pub(crate) fn evolved_type(value: &str) -> DataType {
    match kind(value) {
        Kind::Bool => DataType::Boolean,
        Kind::Number if is_integer(value) => DataType::INTEGER,
        Kind::Number => DataType::Float,
        Kind::String => DataType::TEXT,
        Kind::Array | Kind::Object | Kind::Null => DataType::Variant,
    }
}

fn is_integer(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() <= 38 && digits.bytes().all(|byte| byte.is_ascii_digit())
}
