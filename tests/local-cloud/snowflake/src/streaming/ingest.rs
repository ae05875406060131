//! One commit into one table: every due append of its channels, in one transaction.

use rusqlite::{Connection, ToSql};

use super::channel::{Channel, Pending};
use super::errors::{self, RowError};
use super::layout::{Layout, Row, evolved_type};
use super::mapping::Mapping;
use crate::catalog::{Catalog, Path, Table};
use crate::store;
use crate::values::{Cell, Origin, convert};

/// Longest name of a column.
const LONGEST_NAME: usize = 255;

/// What one append did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) inserted: u64,
    pub(crate) parsed: u64,
    pub(crate) errors: u64,
    pub(crate) last_error: Option<String>,
}

/// The table refuses a change of its shape: the channel has to be opened again.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Schema evolution is not possible; with the channel's new status code.
    Schema(String),
    Storage(rusqlite::Error),
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        Broken::Storage(error)
    }
}

/// How rows reach columns.
enum Way {
    ByName(Layout),
    Mapped(Mapping),
}

/// An open transaction on one table.
pub(crate) struct Ingest<'a> {
    connection: &'a Connection,
    path: Path,
    table: Table,
    way: Way,
    commit: i64,
    most_new_columns: usize,
    evolved: bool,
}

impl<'a> Ingest<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        catalog: &Catalog,
        pipe: &Path,
        commit: i64,
        most_new_columns: usize,
    ) -> rusqlite::Result<Option<Self>> {
        let Some((path, table, custom)) = catalog.resolve_pipe(pipe) else { return Ok(None) };
        let way = match Mapping::of(catalog, table, custom) {
            Ok(Some(mapping)) => Way::Mapped(mapping),
            Ok(None) => Way::ByName(layout(connection, table)?),
            Err(why) => {
                tracing::warn!(%pipe, why, "the pipe's definition does not fit its table");
                return Ok(None);
            }
        };
        let table = table.clone();
        Ok(Some(Ingest { connection, path, table, way, commit, most_new_columns, evolved: false }))
    }

    /// Number of the table that rows go to.
    pub(crate) fn table_id(&self) -> i64 {
        self.table.id
    }

    /// The table as it is after the appends so far, when that differs from the catalog.
    pub(crate) fn into_evolved(self) -> Option<(Path, Table)> {
        self.evolved.then_some((self.path, self.table))
    }

    /// Stores the rows of one append. On [`Broken::Schema`] nothing of it is stored.
    pub(crate) fn append(&mut self, channel: &Channel, append: &Pending) -> Result<Outcome, Broken> {
        let savepoint = self.table.schema_evolution;
        if savepoint {
            self.connection.execute_batch("SAVEPOINT append")?;
        }
        let before = self.table.clone();
        let outcome = self.rows(channel, append);
        if savepoint {
            if outcome.is_err() {
                self.connection.execute_batch("ROLLBACK TO append")?;
                self.table = before;
                self.way = Way::ByName(layout(self.connection, &self.table)?);
            }
            self.connection.execute_batch("RELEASE append")?;
        }
        outcome
    }

    fn rows(&mut self, channel: &Channel, append: &Pending) -> Result<Outcome, Broken> {
        let mut outcome = Outcome::default();
        let mut new_columns = 0;
        for line in append.body.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            outcome.parsed += 1;
            match self.row(channel, append, line, &mut new_columns)? {
                Ok(0) => outcome.parsed -= 1,
                Ok(stored) => outcome.inserted += stored,
                Err(error) => {
                    outcome.errors += 1;
                    if self.table.error_logging {
                        errors::log(
                            self.connection,
                            &self.table,
                            channel,
                            append,
                            line,
                            &error,
                            self.commit,
                        )?;
                    }
                    outcome.last_error = Some(error.message);
                }
            }
        }
        Ok(outcome)
    }

    /// Stores one row: how many rows it became (none when a pipe filters it), or why it cannot be stored.
    fn row(
        &mut self,
        channel: &Channel,
        append: &Pending,
        line: &[u8],
        new_columns: &mut usize,
    ) -> Result<Result<u64, RowError>, Broken> {
        let text = match std::str::from_utf8(line) {
            Ok(text) => text.trim(),
            Err(_) => return Ok(Err(RowError::not_json("invalid UTF-8"))),
        };
        let layout = match &mut self.way {
            Way::ByName(layout) => layout,
            Way::Mapped(mapping) => {
                return Ok(mapping.store(self.connection, text, (self.commit, channel.id, &append.end))?);
            }
        };
        let mut row = match layout.read(&self.table, text) {
            Ok(row) => row,
            Err(error) => return Ok(Err(error)),
        };
        let may_evolve = self.table.schema_evolution && append.may_evolve;
        if may_evolve && !(row.unknown.is_empty() && row.missing.is_empty()) {
            row = match self.evolve(text, &row, new_columns)? {
                Ok(row) => row,
                Err(error) => return Ok(Err(error)),
            };
        } else if let Some(index) = row.missing.first() {
            return Ok(Err(RowError::missing(&self.table.columns[*index].name)));
        }
        self.store(channel, append, &row.cells)?;
        Ok(Ok(1))
    }

    fn store(&self, channel: &Channel, append: &Pending, cells: &[Cell<'_>]) -> rusqlite::Result<()> {
        let Way::ByName(layout) = &self.way else { return Ok(()) };
        let mut insert = self.connection.prepare_cached(&layout.insert)?;
        let first: [&dyn ToSql; 3] = [&self.commit, &channel.id, &append.end];
        let cells = cells.iter().map(|cell| cell as &dyn ToSql);
        for (index, value) in first.into_iter().chain(cells).enumerate() {
            insert.raw_bind_parameter(index + 1, value)?;
        }
        insert.raw_execute()?;
        Ok(())
    }

    /// Adds columns for unknown keys and drops NOT NULL where the row has no value, then reads the row again.
    fn evolve<'t>(
        &mut self,
        text: &'t str,
        row: &Row<'t>,
        new_columns: &mut usize,
    ) -> Result<Result<Row<'t>, RowError>, Broken> {
        for (key, value) in &row.unknown {
            let name = key.to_uppercase();
            if self.table.column(&name).is_some() {
                continue;
            }
            *new_columns += 1;
            if name.is_empty() || name.chars().count() > LONGEST_NAME || *new_columns > self.most_new_columns
            {
                return Err(Broken::Schema("ERR_CHANNEL_MUST_BE_REOPENED".into()));
            }
            let data_type = evolved_type(value);
            // Checked before the column exists: a row that fails must not leave a column behind.
            if let Err(failure) = convert(value, &data_type, Origin::Stream) {
                return Ok(Err(RowError::of_column(failure, &name)));
            }
            let at = self.table.add_column(name, data_type, true);
            self.table.columns[at].evolved.push("ADD_COLUMN".into());
            store::add_column(self.connection, &self.table, self.table.columns[at].id)?;
        }
        for index in &row.missing {
            let column = &mut self.table.columns[*index];
            column.nullable = true;
            column.evolved.push("DROP_NOT_NULL".into());
        }
        self.evolved = true;
        let mut layout = layout(self.connection, &self.table)?;
        let row = layout.read(&self.table, text);
        self.way = Way::ByName(layout);
        Ok(row)
    }
}

fn layout(connection: &Connection, table: &Table) -> rusqlite::Result<Layout> {
    Ok(Layout::new(table, super::defaults::cells(connection, table)?))
}
