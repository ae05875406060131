//! Role, database and schema in which a statement runs.

use crate::catalog::Path;
use crate::sql::SqlError;

/// The context of statements.
#[derive(Clone, Debug)]
pub(crate) struct SqlSession {
    pub(crate) user: String,
    pub(crate) role: String,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
}

impl SqlSession {
    pub(crate) fn new(user: &str, role: &str) -> Self {
        SqlSession { user: user.into(), role: role.into(), database: None, schema: None }
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
