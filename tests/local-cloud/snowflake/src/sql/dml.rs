//! INSERT, DELETE and UPDATE.

use rusqlite::Connection;
use sqlparser::ast::{
    AssignmentTarget, FromTable, Insert, ObjectName, SetExpr, Statement, TableFactor, TableObject,
    TableWithJoins,
};
use sqlparser::parser::Parser;

use super::parse::parts;
use super::query::{self, Scope, Selected, Translator, Typed, table_columns};
use super::{Answer, SqlError, SqlSession};
use crate::account::Account;
use crate::catalog::{Kind, Path, Privilege, Table};

pub(super) fn run(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    match parser.parse_statement()? {
        Statement::Insert(insert) => insert_into(account, session, &insert),
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let name = single(from)?;
            change_rows(
                account,
                session,
                name,
                Privilege::Delete,
                "deleted",
                |translator, scope, table, own| {
                    let condition = condition(translator, scope, delete.selection.as_ref())?;
                    Ok(format!("DELETE FROM {} AS {own}{condition}", table.stored()))
                },
            )
        }
        Statement::Update(update) => {
            let name = single(std::slice::from_ref(&update.table))?;
            change_rows(
                account,
                session,
                name,
                Privilege::Update,
                "updated",
                |translator, scope, table, own| {
                    let mut sets = Vec::new();
                    for assignment in &update.assignments {
                        let AssignmentTarget::ColumnName(column) = &assignment.target else {
                            return Err(SqlError::unsupported(assignment));
                        };
                        let name = parts(column)?.pop().unwrap_or_default();
                        let column =
                            table.column(&name).ok_or_else(|| SqlError::invalid_identifier(&name))?;
                        let value = translator.expr(scope, &assignment.value)?.stored_as(&column.data_type);
                        sets.push(format!("{} = {}", column.stored(), value.sql));
                    }
                    let condition = condition(translator, scope, update.selection.as_ref())?;
                    Ok(format!("UPDATE {} AS {own} SET {}{condition}", table.stored(), sets.join(", ")))
                },
            )
        }
        other => Err(SqlError::unsupported(other)),
    }
}

fn single(from: &[TableWithJoins]) -> Result<&ObjectName, SqlError> {
    match from {
        [TableWithJoins { relation: TableFactor::Table { name, .. }, joins }] if joins.is_empty() => Ok(name),
        _ => Err(SqlError::unsupported("a statement that changes more than one table")),
    }
}

fn condition(
    translator: &mut Translator<'_>,
    scope: &Scope<'_>,
    selection: Option<&sqlparser::ast::Expr>,
) -> Result<String, SqlError> {
    match selection {
        Some(selection) => Ok(format!(" WHERE {}", translator.expr(scope, selection)?.condition())),
        None => Ok(String::new()),
    }
}

fn change_rows(
    account: &Account,
    session: &SqlSession,
    name: &ObjectName,
    privilege: Privilege,
    done: &str,
    statement: impl FnOnce(&mut Translator<'_>, &Scope<'_>, &Table, &str) -> Result<String, SqlError>,
) -> Result<Answer, SqlError> {
    let path = session.path(&parts(name)?)?;
    let changed = account.change(|connection, catalog| {
        let table = writable(catalog, session, &path, privilege)?;
        let own = "s0";
        let mut scope = Scope::empty();
        scope.sources.push(query::Source {
            qualifiers: vec![path.database.clone(), path.schema.clone(), path.name.clone()],
            columns: table_columns(table, own),
        });
        let sql = statement(&mut Translator::new(catalog, session), &scope, table, own)?;
        let changed = connection.execute(&sql, [])?;
        if privilege == Privilege::Delete {
            account.counted_by_statement(table.id, -i64::try_from(changed).unwrap_or(0));
        }
        Ok(changed)
    })?;
    Ok(Answer::count(&format!("number of rows {done}"), changed))
}

fn writable<'c>(
    catalog: &'c crate::catalog::Catalog,
    session: &SqlSession,
    path: &Path,
    privilege: Privilege,
) -> Result<&'c Table, SqlError> {
    let table = query::visible_table(catalog, session, path)?;
    match catalog.may(&session.role, privilege, &Kind::Table(path.clone())) {
        true => Ok(table),
        false => Err(SqlError::denied("table", &path.name)),
    }
}

fn insert_into(account: &Account, session: &SqlSession, insert: &Insert) -> Result<Answer, SqlError> {
    let TableObject::TableName(name) = &insert.table else { return Err(SqlError::unsupported(insert)) };
    let path = session.path(&parts(name)?)?;
    let source = insert.source.as_ref().ok_or_else(|| SqlError::syntax("INSERT without rows"))?;
    if insert.overwrite || matches!(&*source.body, SetExpr::Insert(_)) {
        return Err(SqlError::unsupported(insert));
    }
    let mut columns: Vec<String> = Vec::new();
    for column in &insert.columns {
        columns.extend(parts(column)?.pop());
    }
    let rows = query::translate(&account.catalog(), session, source)?;
    let inserted = account.change(|connection, catalog| {
        let table = writable(catalog, session, &path, Privilege::Insert)?;
        insert_selected(connection, account, table, &columns, rows)
    })?;
    Ok(Answer::count("number of rows inserted", inserted))
}

/// Stores a query's rows in `table`, in the given columns or in all of them.
pub(super) fn insert_selected(
    connection: &Connection,
    account: &Account,
    table: &Table,
    columns: &[String],
    rows: Selected,
) -> Result<usize, SqlError> {
    let mut targets = Vec::new();
    if columns.is_empty() {
        targets.extend(&table.columns);
    } else {
        for name in columns {
            targets.push(table.column(name).ok_or_else(|| SqlError::invalid_identifier(name))?);
        }
    }
    if targets.len() != rows.columns.len() {
        return Err(SqlError::compilation("002020", "Insert value list does not match column list"));
    }
    let mut names = String::new();
    let mut values = String::new();
    let mut put = |column: &crate::catalog::Column, value: String| {
        names.push_str(&format!(", {}", column.stored()));
        values.push_str(&match column.nullable {
            true => format!(", {value}"),
            false => format!(", sf_required({value}, {})", query::literal(&column.name)),
        });
    };
    for (at, (column, from)) in targets.iter().zip(&rows.columns).enumerate() {
        let value = Typed { sql: format!("o{at}"), data_type: Some(from.data_type.clone()) };
        put(column, value.stored_as(&column.data_type).sql);
    }
    for column in table.columns.iter().filter(|column| !targets.iter().any(|target| target.id == column.id)) {
        put(column, column.default.as_ref().map_or("NULL".to_owned(), |default| default.stored.clone()));
    }
    let commit = account.statement_commit(connection)?;
    let sql =
        format!("INSERT INTO {} (_c{names}) SELECT {commit}{values} FROM ({})", table.stored(), rows.sql);
    let inserted = connection.execute(&sql, [])?;
    account.counted_by_statement(table.id, i64::try_from(inserted).unwrap_or(0));
    Ok(inserted)
}
