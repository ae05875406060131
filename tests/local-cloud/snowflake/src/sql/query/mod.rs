//! Queries, translated to SQLite's SQL.

mod aggregates;
mod calls;
mod context_calls;
mod date_calls;
mod expr;
mod from;
mod json_calls;
mod mapping;
mod operators;
mod scope;
mod select;
mod typed;
mod windows;

use std::collections::HashMap;

use sqlparser::ast::{Expr, Query};
use sqlparser::parser::Parser;

use super::{Answer, SqlError, SqlSession};
use crate::account::Account;
use crate::catalog::{Catalog, DataType, Kind, Path, Privilege, Table};
use crate::values::Cell;

pub(super) use from::table_columns;
pub(crate) use mapping::mapping_statement;
pub(super) use scope::{Scope, Source};
pub(super) use typed::{Typed, literal};

/// A result column of a translated query; in the SQL it is called `o<position>`.
#[derive(Clone, Debug)]
pub(crate) struct OutColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
}

/// A translated query.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) sql: String,
    pub(crate) columns: Vec<OutColumn>,
}

/// State of one translation.
pub(super) struct Translator<'a> {
    catalog: &'a Catalog,
    session: &'a SqlSession,
    /// Common table expressions in force: name, columns, name in the SQL.
    tables: HashMap<String, (Vec<OutColumn>, String)>,
    next_alias: usize,
}

impl<'a> Translator<'a> {
    pub(super) fn new(catalog: &'a Catalog, session: &'a SqlSession) -> Self {
        Translator { catalog, session, tables: HashMap::new(), next_alias: 0 }
    }

    /// A name not used yet in this statement.
    fn fresh(&mut self) -> String {
        self.next_alias += 1;
        format!("s{}", self.next_alias)
    }
}

/// Runs the query at the parser's place.
pub(super) fn select(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    let query = parser.parse_query()?;
    if let Some(answer) = context_calls::side_effect(account, session, &query)? {
        return Ok(answer);
    }
    let selected = translate(&account.catalog(), session, &query)?;
    let connection = account.store.reader();
    let mut statement = connection.prepare(&selected.sql)?;
    let mut rows = statement.query([])?;
    let mut cells = Vec::new();
    while let Some(row) = rows.next()? {
        let row: Result<Vec<Cell<'static>>, _> = (0..selected.columns.len()).map(|at| row.get(at)).collect();
        cells.push(row?);
    }
    let columns = selected.columns.into_iter().map(|column| (column.name, column.data_type)).collect();
    Ok(Answer { columns, cells })
}

/// Translates a query.
pub(super) fn translate(
    catalog: &Catalog,
    session: &SqlSession,
    query: &Query,
) -> Result<Selected, SqlError> {
    Translator::new(catalog, session).query(query, None)
}

/// Translates an expression without columns to a value of `data_type`.
pub(super) fn constant(
    catalog: &Catalog,
    session: &SqlSession,
    expression: &Expr,
    data_type: &DataType,
) -> Result<String, SqlError> {
    let mut translator = Translator::new(catalog, session);
    Ok(translator.expr(&Scope::empty(), expression)?.stored_as(data_type).sql)
}

/// A table that the session's role may see.
pub(super) fn visible_table<'c>(
    catalog: &'c Catalog,
    session: &SqlSession,
    path: &Path,
) -> Result<&'c Table, SqlError> {
    let missing = || SqlError::missing("Object", path);
    let table = catalog.table(path).ok_or_else(missing)?;
    let on = Kind::Table(path.clone());
    let any = [Privilege::Select, Privilege::Insert, Privilege::Truncate, Privilege::Delete];
    let visible = any.iter().any(|privilege| catalog.may(&session.role, *privilege, &on));
    if !visible || !catalog.may_use(&session.role, &path.database, &path.schema) {
        return Err(missing());
    }
    Ok(table)
}
