//! ALTER TABLE, USER and PIPE.

use sqlparser::parser::Parser;

use super::{columns, if_exists, if_not_exists, require_owner, users};
use crate::account::Account;
use crate::catalog::{Kind, Path, Table, TableKind};
use crate::sql::parse::{self, identifier, name, word, words};
use crate::sql::{Answer, SqlError, SqlSession};
use crate::store;

pub(super) fn run(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    word(parser, "ICEBERG");
    word(parser, "INTERACTIVE");
    match parse::next_word(parser)?.as_str() {
        "TABLE" => table(account, session, parser),
        "USER" => users::alter_user(account, session, parser),
        other => Err(SqlError::unsupported(format!("ALTER {other}"))),
    }
}

/// One change of a table.
enum Change {
    Evolution(bool),
    ErrorLogging(bool),
    RowTimestamp(bool),
    DropColumns(Vec<String>),
    RenameColumn(String, String),
    RenameTable(Path),
    Nullable(String, bool),
    Nothing,
}

fn table(account: &Account, session: &SqlSession, parser: &mut Parser<'_>) -> Result<Answer, SqlError> {
    let keep_going = if_exists(parser);
    let path = session.path(&name(parser)?)?;
    if account.catalog().table(&path).is_none() {
        if keep_going {
            while !parse::at_end(parser) {
                parser.next_token();
            }
            return Ok(Answer::message("Statement executed successfully."));
        }
        return Err(SqlError::missing("Table", &path.name));
    }
    if words(parser, "ADD COLUMN") || words(parser, "ADD") {
        add_columns(account, session, parser, &path)?;
        return Ok(Answer::message("Statement executed successfully."));
    }
    let changes = changes(session, parser)?;
    account.change(|connection, catalog| {
        require_owner(catalog, session, &Kind::Table(path.clone()), ("table", &path.name))?;
        let next_commit = account.upcoming_commit();
        for change in changes {
            if let Change::RenameTable(to) = change {
                let missing = || SqlError::missing("Table", &path.name);
                let inside = catalog.schema_mut(&path.database, &path.schema).ok_or_else(missing)?;
                let moved = inside.tables.remove(&path.name).ok_or_else(missing)?;
                let inside = catalog
                    .schema_mut(&to.database, &to.schema)
                    .ok_or_else(|| SqlError::missing("Schema", &to.schema))?;
                if inside.tables.contains_key(&to.name) {
                    return Err(SqlError::exists(&to.name));
                }
                inside.tables.insert(to.name, moved);
                return Ok(());
            }
            let table = catalog.table_mut(&path).ok_or_else(|| SqlError::missing("Table", &path.name))?;
            apply(table, change, next_commit)?;
        }
        let _ = connection;
        Ok(())
    })?;
    Ok(Answer::message("Statement executed successfully."))
}

fn add_columns(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
    path: &Path,
) -> Result<(), SqlError> {
    account.change(|connection, catalog| {
        require_owner(catalog, session, &Kind::Table(path.clone()), ("table", &path.name))?;
        let snapshot = catalog.clone();
        let table = catalog.table_mut(path).ok_or_else(|| SqlError::missing("Table", &path.name))?;
        loop {
            let keep = if_not_exists(parser);
            let before = table.clone();
            match columns::definition(parser, session, &snapshot, table) {
                Ok(at)
                    if table.columns[at].default.as_ref().is_some_and(|added| added.sequence.is_some()) =>
                {
                    return Err(SqlError::unsupported("adding an AUTOINCREMENT column to a table"));
                }
                Ok(at) => store::add_column(connection, table, table.columns[at].id)?,
                Err(error) if keep && error.code == "002025" => *table = before,
                Err(error) => return Err(error),
            }
            if !parser.consume_token(&sqlparser::tokenizer::Token::Comma) {
                return Ok(());
            }
        }
    })
}

fn changes(session: &SqlSession, parser: &mut Parser<'_>) -> Result<Vec<Change>, SqlError> {
    let mut changes = Vec::new();
    if word(parser, "SET") {
        while !parse::at_end(parser) {
            changes.push(match parse::next_word(parser)?.as_str() {
                "ENABLE_SCHEMA_EVOLUTION" => Change::Evolution(parse::flag(parser)?),
                "ERROR_LOGGING" => Change::ErrorLogging(parse::flag(parser)?),
                "ROW_TIMESTAMP" => Change::RowTimestamp(parse::flag(parser)?),
                "DATA_RETENTION_TIME_IN_DAYS" | "CHANGE_TRACKING" | "COMMENT" => {
                    parse::property(parser)?;
                    Change::Nothing
                }
                other => {
                    return Err(SqlError::compilation(
                        "001420",
                        format!("invalid property '{other}' for 'TABLE'"),
                    ));
                }
            });
            let _ = parser.consume_token(&sqlparser::tokenizer::Token::Comma);
        }
    } else if words(parser, "UNSET ROW_TIMESTAMP") {
        changes.push(Change::RowTimestamp(false));
    } else if words(parser, "DROP COLUMN") || word(parser, "DROP") {
        if_exists(parser);
        changes.push(Change::DropColumns(
            parser.parse_comma_separated(|parser| Ok(parse::resolve(&parser.parse_identifier()?)))?,
        ));
    } else if words(parser, "RENAME COLUMN") {
        let from = identifier(parser)?;
        parse::expect(parser, "TO")?;
        changes.push(Change::RenameColumn(from, identifier(parser)?));
    } else if words(parser, "RENAME TO") {
        changes.push(Change::RenameTable(session.path(&name(parser)?)?));
    } else if words(parser, "ALTER COLUMN") || words(parser, "MODIFY COLUMN") || word(parser, "ALTER") {
        let column = identifier(parser)?;
        if words(parser, "DROP NOT NULL") {
            changes.push(Change::Nullable(column, true));
        } else if words(parser, "SET NOT NULL") {
            changes.push(Change::Nullable(column, false));
        } else {
            return Err(SqlError::unsupported("ALTER COLUMN"));
        }
    } else {
        return Err(SqlError::unsupported(format!("ALTER TABLE {}", parser.peek_token().token)));
    }
    Ok(changes)
}

fn apply(table: &mut Table, change: Change, next_commit: i64) -> Result<(), SqlError> {
    match change {
        Change::Evolution(true) if table.kind == TableKind::Iceberg => {
            return Err(SqlError::unsupported("ENABLE_SCHEMA_EVOLUTION on an Iceberg table"));
        }
        Change::Evolution(on) => table.schema_evolution = on,
        Change::ErrorLogging(on) => table.error_logging = on,
        Change::RowTimestamp(true) if matches!(table.kind, TableKind::Interactive(_)) => {
            return Err(SqlError::unsupported("ROW_TIMESTAMP on an interactive table"));
        }
        Change::RowTimestamp(true) => table.row_timestamp = table.row_timestamp.or(Some(next_commit)),
        Change::RowTimestamp(false) => table.row_timestamp = None,
        Change::DropColumns(names) => {
            for name in names {
                if table.column(&name).is_none() {
                    return Err(SqlError::invalid_identifier(name));
                }
                table.columns.retain(|column| column.name != name);
            }
        }
        Change::RenameColumn(from, to) => {
            if table.column(&to).is_some() {
                return Err(SqlError::exists(to));
            }
            let column = table.columns.iter_mut().find(|column| column.name == from);
            column.ok_or_else(|| SqlError::invalid_identifier(&from))?.name = to;
        }
        Change::Nullable(name, nullable) => {
            let column = table.columns.iter_mut().find(|column| column.name == name);
            column.ok_or_else(|| SqlError::invalid_identifier(&name))?.nullable = nullable;
        }
        Change::RenameTable(_) | Change::Nothing => {}
    }
    Ok(())
}
