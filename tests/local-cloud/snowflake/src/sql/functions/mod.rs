//! Functions that SQLite calls: everything in which Snowflake's SQL differs from SQLite's.

mod aggregates;
mod casts;
mod dates;
mod numbers;
mod text;
mod variants;

pub(super) use text::like;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, Result};

use super::SqlFailure;
use crate::clock::Clock;
use crate::values::{Cell, Failure};

/// Adds all functions to a connection.
pub(crate) fn register(connection: &Connection, clock: &Clock) -> Result<()> {
    casts::register(connection)?;
    numbers::register(connection)?;
    dates::register(connection, clock)?;
    variants::register(connection)?;
    text::register(connection)?;
    aggregates::register(connection)
}

/// Adds one scalar function; `arity` -1 takes any number of arguments.
fn scalar(
    connection: &Connection,
    name: &str,
    arity: i32,
    function: impl Fn(&Context<'_>) -> std::result::Result<Cell<'static>, Failure> + Send + 'static,
) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(name, arity, flags, move |context| -> Result<Value> {
        function(context).map(Cell::into_value).map_err(failed)
    })
}

fn failed(failure: Failure) -> Error {
    Error::UserFunctionError(Box::new(SqlFailure(failure)))
}

/// Argument `index`.
fn arg<'a>(context: &'a Context<'_>, index: usize) -> Cell<'a> {
    Cell::borrow(context.get_raw(index))
}

/// Argument `index` as text; `None` for NULL.
fn text_arg(context: &Context<'_>, index: usize) -> Option<String> {
    match arg(context, index) {
        Cell::Null => None,
        Cell::Text(text) => Some(text.into_owned()),
        other => Some(crate::values::number_text(&other)),
    }
}

/// Argument `index` as an integer; `None` for NULL and anything else.
fn int_arg(context: &Context<'_>, index: usize) -> Option<i64> {
    match arg(context, index) {
        Cell::Int(value) => Some(value),
        _ => None,
    }
}
