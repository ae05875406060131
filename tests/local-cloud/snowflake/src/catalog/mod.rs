//! The account's objects: databases, schemas, tables, pipes, users, roles and grants.

mod grants;
mod table;
mod types;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::auth::PublicKey;
use crate::names::{self, DEFAULT_PIPE_SUFFIX};

pub(crate) use grants::{Grant, Kind, Privilege, user_grantee};
pub(crate) use table::{Column, Default, NEXT_NUMBER, Pipe, Sequence, Table, TableKind};
pub(crate) use types::{DataType, Field, LONGEST_VARCHAR, Zone};

/// A fully qualified name of something in a schema, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Path {
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) name: String,
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.database, &self.schema, &self.name].map(|part| names::quote(part));
        out.write_str(&parts.join("."))
    }
}

/// A database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Database {
    pub(crate) owner: String,
    pub(crate) schemas: BTreeMap<String, Schema>,
}

/// A schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Schema {
    pub(crate) owner: String,
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) pipes: BTreeMap<String, Pipe>,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    /// `RSA_PUBLIC_KEY`; the user of the options may have several.
    pub(crate) keys: Vec<PublicKey>,
    /// `RSA_PUBLIC_KEY_2`, which is there to replace the other one without a pause.
    #[serde(default)]
    pub(crate) second_key: Option<PublicKey>,
    pub(crate) default_role: String,
    pub(crate) user_type: String,
    /// Warehouse of a session that names none.
    #[serde(default)]
    pub(crate) default_warehouse: Option<String>,
}

impl User {
    /// The keys that may have signed a login.
    pub(crate) fn all_keys(&self) -> Vec<PublicKey> {
        self.keys.iter().chain(&self.second_key).cloned().collect()
    }
}

/// Everything there is, as one value: readers keep a version while a statement makes the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Catalog {
    pub(crate) databases: BTreeMap<String, Database>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) roles: Vec<String>,
    pub(crate) grants: Vec<Grant>,
    /// Owners of the warehouses, by name. A warehouse does no work here; queries need one all the same.
    #[serde(default)]
    pub(crate) warehouses: BTreeMap<String, String>,
    next_id: i64,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        Catalog {
            databases: BTreeMap::new(),
            users: BTreeMap::new(),
            roles: ["ACCOUNTADMIN", "SYSADMIN", "PUBLIC"].map(String::from).to_vec(),
            grants: Vec::new(),
            warehouses: BTreeMap::new(),
            next_id: 1,
        }
    }

    /// An id never used before in this account.
    pub(crate) fn fresh_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id - 1
    }

    pub(crate) fn schema(&self, database: &str, schema: &str) -> Option<&Schema> {
        self.databases.get(database)?.schemas.get(schema)
    }

    pub(crate) fn schema_mut(&mut self, database: &str, schema: &str) -> Option<&mut Schema> {
        self.databases.get_mut(database)?.schemas.get_mut(schema)
    }

    pub(crate) fn table(&self, path: &Path) -> Option<&Table> {
        self.schema(&path.database, &path.schema)?.tables.get(&path.name)
    }

    pub(crate) fn table_mut(&mut self, path: &Path) -> Option<&mut Table> {
        self.schema_mut(&path.database, &path.schema)?.tables.get_mut(&path.name)
    }

    pub(crate) fn pipe(&self, path: &Path) -> Option<&Pipe> {
        self.schema(&path.database, &path.schema)?.pipes.get(&path.name)
    }

    /// Tables with their names, in order.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (Path, &Table)> {
        self.databases.iter().flat_map(|(database, inside)| {
            inside.schemas.iter().flat_map(move |(schema, inside)| {
                inside.tables.iter().map(move |(name, table)| {
                    let path =
                        Path { database: database.clone(), schema: schema.clone(), name: name.clone() };
                    (path, table)
                })
            })
        })
    }

    /// The table behind a pipe, and the pipe's own definition when it was made by a user.
    pub(crate) fn resolve_pipe(&self, pipe: &Path) -> Option<(Path, &Table, Option<&Pipe>)> {
        if let Some(custom) = self.pipe(pipe) {
            return Some((custom.table.clone(), self.table(&custom.table)?, Some(custom)));
        }
        let table = Path { name: pipe.name.strip_suffix(DEFAULT_PIPE_SUFFIX)?.to_owned(), ..pipe.clone() };
        let found = self.table(&table)?;
        Some((table, found, None))
    }
}
