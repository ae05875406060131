//! What names mean at one place of a query.

use super::{OutColumn, Typed};
use crate::catalog::DataType;
use crate::sql::SqlError;

/// A column that can be named.
#[derive(Clone, Debug)]
pub(in crate::sql) struct SourceColumn {
    pub(in crate::sql) name: String,
    pub(in crate::sql) sql: String,
    pub(in crate::sql) data_type: DataType,
    /// Left out of `*`.
    pub(in crate::sql) hidden: bool,
}

/// A table in FROM.
#[derive(Clone, Debug, Default)]
pub(in crate::sql) struct Source {
    /// Names that qualify its columns, outermost first: `db`, `schema`, `table`, or an alias alone.
    pub(in crate::sql) qualifiers: Vec<String>,
    pub(in crate::sql) columns: Vec<SourceColumn>,
}

impl Source {
    /// The columns of a subquery called `alias` in the SQL.
    pub(super) fn of_query(alias: &str, columns: &[OutColumn]) -> Self {
        let columns = columns.iter().enumerate().map(|(at, column)| SourceColumn {
            name: column.name.clone(),
            sql: format!("{alias}.o{at}"),
            data_type: column.data_type.clone(),
            hidden: false,
        });
        Source { qualifiers: Vec::new(), columns: columns.collect() }
    }

    fn is_called(&self, qualifiers: &[String]) -> bool {
        self.qualifiers.ends_with(qualifiers)
    }
}

/// The names in force.
#[derive(Clone, Debug, Default)]
pub(in crate::sql) struct Scope<'p> {
    pub(in crate::sql) sources: Vec<Source>,
    /// Aliases of the select list.
    pub(in crate::sql) aliases: Vec<(String, Typed)>,
    /// The query around this one.
    pub(in crate::sql) outer: Option<&'p Scope<'p>>,
}

impl Scope<'_> {
    pub(in crate::sql) fn empty() -> Self {
        Scope::default()
    }

    /// Resolves a name, the last part being the column's.
    pub(super) fn find(&self, parts: &[String]) -> Result<Typed, SqlError> {
        let shown = || parts.join(".");
        let Some((name, qualifiers)) = parts.split_last() else {
            return Err(SqlError::invalid_identifier(""));
        };
        let mut found = self
            .sources
            .iter()
            .filter(|source| source.is_called(qualifiers))
            .flat_map(|source| source.columns.iter().filter(|column| column.name == *name));
        if let Some(column) = found.next() {
            if found.any(|other| other.sql != column.sql) {
                return Err(SqlError::compilation("002028", format!("ambiguous column name '{name}'")));
            }
            return Ok(Typed::new(column.sql.clone(), column.data_type.clone()));
        }
        if qualifiers.is_empty()
            && let Some((_, typed)) = self.aliases.iter().find(|(alias, _)| alias == name)
        {
            return Ok(typed.clone());
        }
        match self.outer {
            Some(outer) => outer.find(parts),
            None => Err(SqlError::invalid_identifier(shown())),
        }
    }

    /// The columns that `*`, or `qualifiers.*`, stands for.
    pub(super) fn star(&self, qualifiers: &[String]) -> Vec<&SourceColumn> {
        let sources = self.sources.iter().filter(|source| source.is_called(qualifiers));
        sources.flat_map(|source| source.columns.iter().filter(|column| !column.hidden)).collect()
    }
}
