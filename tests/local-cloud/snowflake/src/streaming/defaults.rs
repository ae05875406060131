//! Values of columns that a streamed row does not mention.

use rusqlite::Connection;

use crate::catalog::Table;
use crate::values::Cell;

/// Positions and values of the columns with a default, computed once as the service does when a pipe is compiled.
pub(super) fn cells(connection: &Connection, table: &Table) -> rusqlite::Result<Vec<(usize, Cell<'static>)>> {
    let with_default = table.columns.iter().enumerate().filter_map(|(index, column)| {
        let default = column.default.as_ref()?;
        Some((index, default))
    });
    with_default.map(|(index, default)| Ok((index, default.evaluate(connection)?))).collect()
}
