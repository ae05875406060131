//! Role, database and schema in which a statement runs.

use crate::catalog::{Catalog, Kind, Path, Privilege};
use crate::sql::SqlError;

/// The context of statements.
#[derive(Clone, Debug)]
pub(crate) struct SqlSession {
    pub(crate) user: String,
    pub(crate) role: String,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    /// Warehouse of the statements.
    pub(crate) warehouse: Option<String>,
    /// Whether statements that read rows need one; those of the server's owner do not.
    pub(crate) needs_warehouse: bool,
}

impl SqlSession {
    pub(crate) fn new(user: &str, role: &str) -> Self {
        SqlSession {
            user: user.into(),
            role: role.into(),
            database: None,
            schema: None,
            warehouse: None,
            needs_warehouse: false,
        }
    }

    /// Fails unless the session has a warehouse that its role may use.
    pub(crate) fn require_warehouse(&self, catalog: &Catalog) -> Result<(), SqlError> {
        let usable = |name: &String| {
            catalog.warehouses.contains_key(name)
                && catalog.may(&self.role, Privilege::Usage, &Kind::Warehouse(name.clone()))
        };
        if !self.needs_warehouse || self.warehouse.as_ref().is_some_and(usable) {
            return Ok(());
        }
        Err(SqlError::new(
            "000606",
            "57P03",
            "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.",
        ))
    }

    /// Completes a name of one to three resolved parts.
    pub(crate) fn path(&self, parts: &[String]) -> Result<Path, SqlError> {
        let no_database = || {
            SqlError::new(
                "090105",
                "22000",
                "Cannot perform operation. This session does not have a current database.",
            )
        };
        let (database, schema, name) = match parts {
            [database, schema, name] => (database.clone(), schema.clone(), name),
            [schema, name] => (self.database.clone().ok_or_else(no_database)?, schema.clone(), name),
            [name] => {
                let database = self.database.clone().ok_or_else(no_database)?;
                (database, self.schema.clone().unwrap_or_else(|| "PUBLIC".into()), name)
            }
            _ => return Err(SqlError::syntax("a name has one to three parts")),
        };
        Ok(Path { database, schema, name: name.clone() })
    }

    /// Completes a schema's name of one or two resolved parts.
    pub(crate) fn schema_path(&self, parts: &[String]) -> Result<(String, String), SqlError> {
        match parts {
            [database, schema] => Ok((database.clone(), schema.clone())),
            [schema] => {
                let path = self.path(&[schema.clone(), String::new()])?;
                Ok((path.database, path.schema))
            }
            _ => Err(SqlError::syntax("a schema's name has one or two parts")),
        }
    }
}
