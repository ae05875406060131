//! CREATE of databases, schemas and tables.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::columns::{self, Options};
use super::{if_not_exists, pipes, require, require_owner, skip_properties, users};
use crate::account::Account;
use crate::catalog::{Catalog, Database, Kind, Path, Privilege, Schema, Table, TableKind};
use crate::sql::parse::{self, identifier, name, word, words};
use crate::sql::{Answer, SqlError, SqlSession, dml, query};
use crate::store;

pub(super) fn run(
    account: &Account,
    session: &mut SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    let replace = words(parser, "OR REPLACE");
    for kind in ["TRANSIENT", "TEMPORARY", "TEMP", "LOCAL", "GLOBAL", "VOLATILE"] {
        word(parser, kind);
    }
    match parse::next_word(parser)?.as_str() {
        "DATABASE" => database(account, session, parser, replace),
        "SCHEMA" => schema(account, session, parser, replace),
        "TABLE" => table(account, session, parser, replace, &TableKind::Standard),
        "ICEBERG" => {
            parse::expect(parser, "TABLE")?;
            table(account, session, parser, replace, &TableKind::Iceberg)
        }
        "INTERACTIVE" => {
            parse::expect(parser, "TABLE")?;
            table(account, session, parser, replace, &TableKind::Interactive(String::new()))
        }
        "PIPE" => pipes::create(account, session, parser, replace),
        "ROLE" => users::create_role(account, session, parser, replace),
        "USER" => users::create_user(account, session, parser, replace),
        "WAREHOUSE" => {
            let keep = if_not_exists(parser);
            let name = identifier(parser)?;
            word(parser, "WITH");
            skip_properties(parser)?;
            warehouse(account, session, name, keep || replace)
        }
        other => Err(SqlError::unsupported(format!("CREATE {other}"))),
    }
}

fn warehouse(account: &Account, session: &SqlSession, name: String, keep: bool) -> Result<Answer, SqlError> {
    let text = format!("Warehouse {name} successfully created.");
    account.change(|_, catalog| {
        require(catalog, session, Privilege::CreateWarehouse, &Kind::Account, ("account", "account"))?;
        if catalog.warehouses.contains_key(&name) {
            return if keep { Ok(()) } else { Err(SqlError::exists(&name)) };
        }
        catalog.warehouses.insert(name, session.role.clone());
        Ok(())
    })?;
    Ok(Answer::message(text))
}

fn database(
    account: &Account,
    session: &mut SqlSession,
    parser: &mut Parser<'_>,
    replace: bool,
) -> Result<Answer, SqlError> {
    let keep = if_not_exists(parser);
    let database = identifier(parser)?;
    skip_properties(parser)?;
    let role = session.role.clone();
    let existed = account.change(|connection, catalog| {
        let at = Kind::Database(database.clone());
        if catalog.databases.contains_key(&database) {
            if keep {
                return Ok(true);
            }
            if !replace {
                return Err(SqlError::exists(&database));
            }
            require_owner(catalog, session, &at, ("database", &database))?;
            super::drop::database_contents(connection, catalog, &database)?;
        }
        require(catalog, session, Privilege::CreateDatabase, &Kind::Account, ("account", "account"))?;
        let public = Schema { owner: role.clone(), tables: Default::default(), pipes: Default::default() };
        let schemas = [("PUBLIC".to_owned(), public)].into();
        catalog.databases.insert(database.clone(), Database { owner: role, schemas });
        Ok(false)
    })?;
    if existed {
        return Ok(Answer::message(format!("{database} already exists, statement succeeded.")));
    }
    session.database = Some(database.clone());
    session.schema = Some("PUBLIC".into());
    Ok(Answer::message(format!("Database {database} successfully created.")))
}

fn schema(
    account: &Account,
    session: &mut SqlSession,
    parser: &mut Parser<'_>,
    replace: bool,
) -> Result<Answer, SqlError> {
    let keep = if_not_exists(parser);
    let (database, schema) = session.schema_path(&name(parser)?)?;
    words(parser, "WITH MANAGED ACCESS");
    skip_properties(parser)?;
    let role = session.role.clone();
    let existed = account.change(|connection, catalog| {
        if catalog.schema(&database, &schema).is_some() {
            if keep {
                return Ok(true);
            }
            if !replace {
                return Err(SqlError::exists(&schema));
            }
            super::drop::schema_contents(connection, catalog, &database, &schema)?;
        }
        let on = Kind::Database(database.clone());
        require(catalog, session, Privilege::CreateSchema, &on, ("database", &database))?;
        let inside =
            catalog.databases.get_mut(&database).ok_or_else(|| SqlError::missing("Database", &database))?;
        let made = Schema { owner: role, tables: Default::default(), pipes: Default::default() };
        inside.schemas.insert(schema.clone(), made);
        Ok(false)
    })?;
    if existed {
        return Ok(Answer::message(format!("{schema} already exists, statement succeeded.")));
    }
    session.database = Some(database);
    session.schema = Some(schema.clone());
    Ok(Answer::message(format!("Schema {schema} successfully created.")))
}

fn table(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
    replace: bool,
    kind: &TableKind,
) -> Result<Answer, SqlError> {
    let keep = if_not_exists(parser);
    let path = session.path(&name(parser)?)?;
    let catalog = account.catalog();
    if keep && catalog.table(&path).is_some() {
        while !parse::at_end(parser) {
            parser.next_token();
        }
        return Ok(Answer::message(format!("{} already exists, statement succeeded.", path.name)));
    }
    let mut made = new_table(session, kind.clone(), account.clock().now_ms());
    if parser.peek_token_ref().token == Token::LParen {
        columns::list(parser, session, &catalog, &mut made)?;
    }
    let options = Options::read(parser, &mut made)?;
    let mut rows = None;
    if parse::word(parser, "AS") {
        if matches!(kind, TableKind::Interactive(_)) {
            let query = query_text(parser)?;
            made.kind = TableKind::Interactive(query);
        } else {
            let query = parser.parse_query()?;
            let selected = query::translate(&catalog, session, &query)?;
            if made.columns.is_empty() {
                columns::from_query(&mut made, &selected);
            }
            rows = Some(selected);
        }
    } else if matches!(kind, TableKind::Interactive(_)) && made.columns.is_empty() {
        return Err(SqlError::syntax("an interactive table needs columns"));
    }
    options.check(&made)?;
    if let TableKind::Interactive(query) = &made.kind
        && !query.is_empty()
    {
        query::mapping_statement(&catalog, &made, &[], query, false)?;
    }
    account.change(|connection, catalog| {
        let id = put(connection, catalog, session, &path, made, replace)?;
        if let (Some(rows), Some(table)) = (rows, catalog.table(&path)) {
            debug_assert_eq!(table.id, id);
            dml::insert_selected(connection, account, table, &[], rows)?;
        }
        Ok(())
    })?;
    Ok(Answer::message(format!("Table {} successfully created.", path.name)))
}

/// The SELECT after AS, with or without parentheses, as text.
fn query_text(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    if parser.peek_token_ref().token == Token::LParen {
        return parse::parenthesized(parser);
    }
    Ok(parser.parse_query()?.to_string())
}

fn new_table(session: &SqlSession, kind: TableKind, created_ms: i64) -> Table {
    Table {
        id: 0,
        owner: session.role.clone(),
        kind,
        columns: Vec::new(),
        next_column: 0,
        schema_evolution: false,
        error_logging: false,
        row_timestamp: None,
        cluster_by: None,
        external_volume: None,
        created_ms,
    }
}

fn put(
    connection: &rusqlite::Connection,
    catalog: &mut Catalog,
    session: &SqlSession,
    path: &Path,
    mut made: Table,
    replace: bool,
) -> Result<i64, SqlError> {
    if made.columns.is_empty() {
        return Err(SqlError::syntax("a table needs columns"));
    }
    let on = Kind::Schema(path.database.clone(), path.schema.clone());
    if catalog.schema(&path.database, &path.schema).is_none() {
        return Err(SqlError::missing("Schema", format!("{}.{}", path.database, path.schema)));
    }
    if let Some(old) = catalog.table(path) {
        if !replace {
            return Err(SqlError::exists(&path.name));
        }
        require_owner(catalog, session, &Kind::Table(path.clone()), ("table", &path.name))?;
        store::drop_table(connection, old)?;
    }
    require(catalog, session, Privilege::CreateTable, &on, ("schema", &path.schema))?;
    if let Some(volume) = &made.external_volume {
        let on = Kind::ExternalVolume(volume.clone());
        require(catalog, session, Privilege::Usage, &on, ("external volume", volume))?;
    }
    made.id = catalog.fresh_id();
    store::create_table(connection, &made)?;
    let id = made.id;
    let inside = catalog.schema_mut(&path.database, &path.schema);
    inside.ok_or_else(|| SqlError::missing("Schema", &path.schema))?.tables.insert(path.name.clone(), made);
    Ok(id)
}
