//! Definitions: databases, schemas, tables, pipes, roles, users, grants.

mod alter;
mod columns;
mod create;
mod drop;
mod grant;
mod pipes;
mod users;

use sqlparser::parser::Parser;

use super::parse::{self, identifier, name, next_word};
use super::{Answer, SqlError, SqlSession};
use crate::account::Account;
use crate::catalog::{Catalog, Kind, Privilege};

/// Runs the statement that begins with `verb`.
pub(super) fn run(
    account: &Account,
    session: &mut SqlSession,
    parser: &mut Parser<'_>,
    verb: &str,
) -> Result<Answer, SqlError> {
    parser.next_token();
    match verb {
        "CREATE" => create::run(account, session, parser),
        "ALTER" => alter::run(account, session, parser),
        "DROP" => drop::run(account, session, parser),
        "TRUNCATE" => drop::truncate(account, session, parser),
        "GRANT" => grant::grant(account, session, parser),
        "REVOKE" => grant::revoke(account, session, parser),
        "USE" => use_object(account, session, parser),
        other => Err(SqlError::unsupported(other)),
    }
}

fn use_object(
    account: &Account,
    session: &mut SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    let catalog = account.catalog();
    if parse::word(parser, "ROLE") {
        let role = identifier(parser)?;
        if !catalog.roles.contains(&role) {
            return Err(SqlError::missing("Role", role));
        }
        session.role = role;
    } else if parse::word(parser, "WAREHOUSE") {
        let warehouse = identifier(parser)?;
        if !catalog.may(&session.role, Privilege::Usage, &Kind::Warehouse(warehouse.clone())) {
            return Err(SqlError::missing("Warehouse", warehouse));
        }
        session.warehouse = Some(warehouse);
    } else if parse::word(parser, "SCHEMA") {
        let (database, schema) = session.schema_path(&name(parser)?)?;
        use_schema(&catalog, session, database, schema)?;
    } else {
        parse::word(parser, "DATABASE");
        let parts = name(parser)?;
        match parts.as_slice() {
            [database] if catalog.databases.contains_key(database) => {
                may_use_database(&catalog, session, database)?;
                session.database = Some(database.clone());
                session.schema = Some("PUBLIC".into());
            }
            [database, schema] => use_schema(&catalog, session, database.clone(), schema.clone())?,
            _ => return Err(SqlError::missing("Database", parts.join("."))),
        }
    }
    Ok(Answer::message("Statement executed successfully."))
}

fn may_use_database(catalog: &Catalog, session: &SqlSession, database: &str) -> Result<(), SqlError> {
    match catalog.may(&session.role, Privilege::Usage, &Kind::Database(database.to_owned())) {
        true => Ok(()),
        false => Err(SqlError::missing("Database", database)),
    }
}

fn use_schema(
    catalog: &Catalog,
    session: &mut SqlSession,
    database: String,
    schema: String,
) -> Result<(), SqlError> {
    if catalog.schema(&database, &schema).is_none() || !catalog.may_use(&session.role, &database, &schema) {
        return Err(SqlError::missing("Schema", format!("{database}.{schema}")));
    }
    session.database = Some(database);
    session.schema = Some(schema);
    Ok(())
}

/// `IF NOT EXISTS`.
fn if_not_exists(parser: &mut Parser<'_>) -> bool {
    parse::words(parser, "IF NOT EXISTS")
}

/// `IF EXISTS`.
fn if_exists(parser: &mut Parser<'_>) -> bool {
    parse::words(parser, "IF EXISTS")
}

/// Steps over `NAME = value` properties that have no meaning here.
fn skip_properties(parser: &mut Parser<'_>) -> Result<(), SqlError> {
    while !parse::at_end(parser) {
        next_word(parser)?;
        parse::property(parser)?;
    }
    Ok(())
}

/// Fails unless `role` may do `privilege` on `on`.
fn require(
    catalog: &Catalog,
    session: &SqlSession,
    privilege: Privilege,
    on: &Kind,
    what: (&str, &str),
) -> Result<(), SqlError> {
    if catalog.may(&session.role, privilege, on) { Ok(()) } else { Err(SqlError::denied(what.0, what.1)) }
}

/// Fails unless `role` owns `on`.
fn require_owner(
    catalog: &Catalog,
    session: &SqlSession,
    on: &Kind,
    what: (&str, &str),
) -> Result<(), SqlError> {
    if catalog.owns(&session.role, on) { Ok(()) } else { Err(SqlError::denied(what.0, what.1)) }
}
