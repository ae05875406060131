//! DROP and TRUNCATE.

use rusqlite::Connection;
use sqlparser::parser::Parser;

use super::{if_exists, require_owner};
use crate::account::Account;
use crate::catalog::{Catalog, Kind, Privilege};
use crate::sql::parse::{self, name, word};
use crate::sql::{Answer, SqlError, SqlSession, query};
use crate::store;

pub(super) fn run(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    word(parser, "ICEBERG");
    word(parser, "INTERACTIVE");
    let kind = parse::next_word(parser)?;
    let optional = if_exists(parser);
    let parts = name(parser)?;
    for ending in ["CASCADE", "RESTRICT"] {
        word(parser, ending);
    }
    let shown = parts.last().cloned().unwrap_or_default();
    let dropped = account.change(|connection, catalog| match kind.as_str() {
        "TABLE" => drop_table(connection, catalog, session, &parts),
        "PIPE" => drop_pipe(catalog, session, &parts),
        "SCHEMA" => {
            let (database, schema) = session.schema_path(&parts)?;
            if catalog.schema(&database, &schema).is_none() {
                return Ok(false);
            }
            require_owner(
                catalog,
                session,
                &Kind::Schema(database.clone(), schema.clone()),
                ("schema", &schema),
            )?;
            schema_contents(connection, catalog, &database, &schema)?;
            Ok(catalog
                .databases
                .get_mut(&database)
                .is_some_and(|inside| inside.schemas.remove(&schema).is_some()))
        }
        "DATABASE" => {
            if !catalog.databases.contains_key(&shown) {
                return Ok(false);
            }
            require_owner(catalog, session, &Kind::Database(shown.clone()), ("database", &shown))?;
            database_contents(connection, catalog, &shown)?;
            Ok(catalog.databases.remove(&shown).is_some())
        }
        "ROLE" => {
            let known = catalog.roles.iter().position(|role| *role == shown);
            catalog.grants.retain(|grant| grant.role != shown && grant.on != Kind::Role(shown.clone()));
            Ok(known.map(|at| catalog.roles.remove(at)).is_some())
        }
        "USER" => Ok(catalog.users.remove(&shown).is_some()),
        "WAREHOUSE" => drop_warehouse(catalog, session, &shown),
        other => Err(SqlError::unsupported(format!("DROP {other}"))),
    })?;
    if !dropped && !optional {
        return Err(SqlError::missing(&capitalized(&kind), shown));
    }
    Ok(Answer::message(if dropped {
        format!("{shown} successfully dropped.")
    } else {
        "Drop statement executed successfully.".to_owned()
    }))
}

fn drop_warehouse(catalog: &mut Catalog, session: &SqlSession, name: &str) -> Result<bool, SqlError> {
    let on = Kind::Warehouse(name.to_owned());
    if !catalog.warehouses.contains_key(name) {
        return Ok(false);
    }
    require_owner(catalog, session, &on, ("warehouse", name))?;
    catalog.grants.retain(|grant| grant.on != on);
    Ok(catalog.warehouses.remove(name).is_some())
}

fn drop_table(
    connection: &Connection,
    catalog: &mut Catalog,
    session: &SqlSession,
    parts: &[String],
) -> Result<bool, SqlError> {
    let path = session.path(parts)?;
    let Some(table) = catalog.table(&path) else { return Ok(false) };
    require_owner(catalog, session, &Kind::Table(path.clone()), ("table", &path.name))?;
    store::drop_table(connection, table)?;
    catalog.grants.retain(|grant| grant.on != Kind::Table(path.clone()));
    let inside = catalog.schema_mut(&path.database, &path.schema);
    Ok(inside.is_some_and(|inside| inside.tables.remove(&path.name).is_some()))
}

fn drop_pipe(catalog: &mut Catalog, session: &SqlSession, parts: &[String]) -> Result<bool, SqlError> {
    let path = session.path(parts)?;
    if catalog.pipe(&path).is_none() {
        return Ok(false);
    }
    require_owner(catalog, session, &Kind::Pipe(path.clone()), ("pipe", &path.name))?;
    let inside = catalog.schema_mut(&path.database, &path.schema);
    Ok(inside.is_some_and(|inside| inside.pipes.remove(&path.name).is_some()))
}

pub(super) fn schema_contents(
    connection: &Connection,
    catalog: &mut Catalog,
    database: &str,
    schema: &str,
) -> Result<(), SqlError> {
    if let Some(inside) = catalog.schema_mut(database, schema) {
        for table in inside.tables.values() {
            store::drop_table(connection, table)?;
        }
        inside.tables.clear();
        inside.pipes.clear();
    }
    Ok(())
}

pub(super) fn database_contents(
    connection: &Connection,
    catalog: &mut Catalog,
    database: &str,
) -> Result<(), SqlError> {
    let schemas: Vec<String> = catalog
        .databases
        .get(database)
        .map(|inside| inside.schemas.keys().cloned().collect())
        .unwrap_or_default();
    for schema in schemas {
        schema_contents(connection, catalog, database, &schema)?;
    }
    Ok(())
}

/// `TRUNCATE [TABLE] t` and `TRUNCATE [TABLE] ERROR_TABLE(t)`.
pub(super) fn truncate(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    word(parser, "TABLE");
    if_exists(parser);
    let errors = word(parser, "ERROR_TABLE");
    if errors {
        parser.expect_token(&sqlparser::tokenizer::Token::LParen)?;
    }
    let path = session.path(&name(parser)?)?;
    if errors {
        parser.expect_token(&sqlparser::tokenizer::Token::RParen)?;
    }
    account.change(|connection, catalog| {
        let table = query::visible_table(catalog, session, &path)?;
        super::require(
            catalog,
            session,
            Privilege::Truncate,
            &Kind::Table(path.clone()),
            ("table", &path.name),
        )?;
        let stored = if errors { table.stored_errors() } else { table.stored() };
        connection.execute(&format!("DELETE FROM {stored}"), [])?;
        account.truncated(table.id, errors);
        Ok(())
    })?;
    Ok(Answer::message("Statement executed successfully."))
}

fn capitalized(kind: &str) -> String {
    let mut chars = kind.chars();
    chars.next().map(|first| first.to_string() + &chars.as_str().to_lowercase()).unwrap_or_default()
}
