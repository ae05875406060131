//! Casts between types.

use std::sync::Arc;

use rusqlite::functions::Context;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use super::{arg, scalar};
use crate::catalog::DataType;
use crate::values::{Cell, Failure, cast};

pub(super) fn register(connection: &Connection) -> Result<()> {
    // sf_cast(value, from, to), the types as text: constant within a statement, so parsed once.
    scalar(connection, "sf_cast", 3, |context| run(context, true))?;
    scalar(connection, "sf_store", 3, |context| run(context, false))?;
    scalar(connection, "sf_required", 2, |context| match arg(context, 0) {
        Cell::Null => {
            let column = super::text_arg(context, 1).unwrap_or_default();
            Err(Failure::new(100_072, format!("NULL result in a non-nullable column '{column}'")))
        }
        value => Ok(value.into_owned()),
    })?;
    scalar(connection, "sf_try_cast", 3, |context| Ok(run(context, true).unwrap_or(Cell::Null)))
}

fn run(context: &Context<'_>, explicit: bool) -> std::result::Result<Cell<'static>, Failure> {
    let value = arg(context, 0);
    if value == Cell::Null {
        return Ok(Cell::Null);
    }
    let (from, to) = (data_type(context, 1)?, data_type(context, 2)?);
    Ok(cast(value, &from, &to, explicit)?.into_owned())
}

/// The type named by argument `index`.
pub(super) fn data_type(context: &Context<'_>, index: i32) -> std::result::Result<Arc<DataType>, Failure> {
    let parse =
        |value: ValueRef<'_>| -> std::result::Result<DataType, Box<dyn std::error::Error + Send + Sync>> {
            Ok(DataType::parse_text(value.as_str()?)?)
        };
    context.get_or_create_aux(index, parse).map_err(|error| Failure::new(2023, error.to_string()))
}
