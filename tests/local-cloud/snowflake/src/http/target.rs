//! What a request path names, and whether the caller may stream into it.

use http::StatusCode;

use super::ApiError;
use crate::account::Account;
use crate::auth::Session;
use crate::catalog::{Kind, Path, Privilege};
use crate::names::{self, DEFAULT_PIPE_SUFFIX};
use crate::streaming::Origin;

/// The pipe named by three decoded path segments.
pub(crate) fn pipe_path(database: &str, schema: &str, pipe: &str) -> Path {
    Path { database: names::resolve(database), schema: names::resolve(schema), name: names::resolve(pipe) }
}

/// What stands behind a pipe.
pub(crate) struct Target {
    pub(crate) origin: Origin,
    /// Whether the role may add columns.
    pub(crate) may_evolve: bool,
}

/// Finds the pipe and checks the role: USAGE on database and schema, INSERT on the table, OPERATE on a custom pipe,
/// USAGE on the external volume of an Iceberg table.
pub(crate) fn find(account: &Account, session: &Session, pipe: &Path) -> Result<Target, ApiError> {
    let catalog = account.catalog();
    let role = session.role.as_str();
    let Some((path, table, custom)) = catalog.resolve_pipe(pipe) else { return Err(missing(pipe)) };
    let table_kind = Kind::Table(path);
    let may_operate = custom.is_none() || catalog.may(role, Privilege::Operate, &Kind::Pipe(pipe.clone()));
    if !catalog.may_use(role, &pipe.database, &pipe.schema)
        || !catalog.may(role, Privilege::Insert, &table_kind)
        || !catalog.may_store(role, table)
        || !may_operate
    {
        return Err(missing(pipe));
    }
    let may_evolve = catalog.may(role, Privilege::EvolveSchema, &table_kind);
    let origin = Origin {
        generation: custom.map_or(table.id, |pipe| pipe.id),
        table_id: table.id,
        created_ms: account.clock().now_ms(),
    };
    Ok(Target { origin, may_evolve })
}

fn missing(pipe: &Path) -> ApiError {
    match pipe.name.strip_suffix(DEFAULT_PIPE_SUFFIX) {
        Some(table) => ApiError::new(
            StatusCode::NOT_FOUND,
            "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED",
            format!("The supplied table '{table}' does not exist or is not authorized."),
        ),
        None => ApiError::new(
            StatusCode::NOT_FOUND,
            "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED",
            format!("The supplied pipe '{}' does not exist or is not authorized.", pipe.name),
        ),
    }
}
