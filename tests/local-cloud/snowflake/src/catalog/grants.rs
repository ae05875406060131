//! Roles and what they may do.

use serde::{Deserialize, Serialize};

use super::{Catalog, Path, Table};

/// Role that may do everything.
const ADMIN: &str = "ACCOUNTADMIN";

/// A privilege on one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Privilege {
    All,
    Usage,
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
    Operate,
    Monitor,
    EvolveSchema,
    SelectErrorTable,
    CreateDatabase,
    CreateSchema,
    CreateTable,
    CreatePipe,
    CreateRole,
    CreateUser,
    CreateWarehouse,
}

/// Privileges as they are written.
const WRITTEN: &[(Privilege, &str)] = &[
    (Privilege::All, "ALL"),
    (Privilege::All, "ALL PRIVILEGES"),
    (Privilege::Usage, "USAGE"),
    (Privilege::Select, "SELECT"),
    (Privilege::Insert, "INSERT"),
    (Privilege::Update, "UPDATE"),
    (Privilege::Delete, "DELETE"),
    (Privilege::Truncate, "TRUNCATE"),
    (Privilege::Operate, "OPERATE"),
    (Privilege::Monitor, "MONITOR"),
    (Privilege::EvolveSchema, "EVOLVE SCHEMA"),
    (Privilege::SelectErrorTable, "SELECT ERROR TABLE"),
    (Privilege::CreateDatabase, "CREATE DATABASE"),
    (Privilege::CreateSchema, "CREATE SCHEMA"),
    (Privilege::CreateTable, "CREATE TABLE"),
    (Privilege::CreateTable, "CREATE ICEBERG TABLE"),
    (Privilege::CreateTable, "CREATE INTERACTIVE TABLE"),
    (Privilege::CreatePipe, "CREATE PIPE"),
    (Privilege::CreateRole, "CREATE ROLE"),
    (Privilege::CreateUser, "CREATE USER"),
    (Privilege::CreateWarehouse, "CREATE WAREHOUSE"),
];

impl Privilege {
    /// Reads a privilege as written in GRANT, words separated by one space.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        WRITTEN.iter().find(|(_, written)| *written == text).map(|(privilege, _)| *privilege)
    }

    /// The privilege as written in GRANT.
    pub(crate) fn written(self) -> &'static str {
        WRITTEN.iter().find(|(privilege, _)| *privilege == self).map_or("", |(_, written)| written)
    }
}

/// What a grant is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Account,
    Database(String),
    Schema(String, String),
    Table(Path),
    Pipe(Path),
    Warehouse(String),
    /// By its name. Volumes are not made here: every name is one, and who may create databases made it.
    ExternalVolume(String),
    /// Integrations and the like: remembered, never checked.
    Other(String),
    /// The grantee inherits this role.
    Role(String),
}

impl Kind {
    /// What kind of object it is, and its name.
    pub(crate) fn described(&self) -> (&'static str, String) {
        match self {
            Kind::Account => ("ACCOUNT", String::new()),
            Kind::Database(name) => ("DATABASE", name.clone()),
            Kind::Schema(database, schema) => ("SCHEMA", format!("{database}.{schema}")),
            Kind::Table(path) => ("TABLE", path.to_string()),
            Kind::Pipe(path) => ("PIPE", path.to_string()),
            Kind::Warehouse(name) => ("WAREHOUSE", name.clone()),
            Kind::ExternalVolume(name) => ("EXTERNAL VOLUME", name.clone()),
            Kind::Other(name) => ("OTHER", name.clone()),
            Kind::Role(name) => ("ROLE", name.clone()),
        }
    }
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) role: String,
    pub(crate) privilege: Privilege,
    pub(crate) on: Kind,
}

impl Catalog {
    /// Roles whose privileges `role` has: itself, what was granted to it, and PUBLIC.
    fn active_roles(&self, role: &str) -> Vec<String> {
        let mut active = vec![role.to_owned(), "PUBLIC".to_owned()];
        let mut next = 0;
        while next < active.len() {
            let granted = self.grants.iter().filter(|grant| grant.role == active[next]);
            let inherited: Vec<String> = granted
                .filter_map(|grant| match &grant.on {
                    Kind::Role(inherited) if !active.contains(inherited) => Some(inherited.clone()),
                    _ => None,
                })
                .collect();
            active.extend(inherited);
            next += 1;
        }
        active
    }

    /// Whether `role` owns `on`, or was granted `privilege` on it.
    pub(crate) fn may(&self, role: &str, privilege: Privilege, on: &Kind) -> bool {
        if self.owns(role, on) {
            return true;
        }
        let active = self.active_roles(role);
        self.grants.iter().any(|grant| {
            grant.on == *on
                && (grant.privilege == privilege || grant.privilege == Privilege::All)
                && active.contains(&grant.role)
        })
    }

    /// Whether `role` owns `on`.
    pub(crate) fn owns(&self, role: &str, on: &Kind) -> bool {
        let active = self.active_roles(role);
        active.iter().any(|role| role == ADMIN)
            || self.owner(on).is_some_and(|owner| active.contains(owner))
            || matches!(on, Kind::ExternalVolume(_))
                && self.may(role, Privilege::CreateDatabase, &Kind::Account)
    }

    /// Whether `role` may write to where a table's rows are kept: USAGE on its external volume, if it has one.
    pub(crate) fn may_store(&self, role: &str, table: &Table) -> bool {
        let volume = table.external_volume.clone().map(Kind::ExternalVolume);
        volume.is_none_or(|volume| self.may(role, Privilege::Usage, &volume))
    }

    /// Whether `role` can reach into a schema: USAGE on it and on its database, or any ownership of either.
    pub(crate) fn may_use(&self, role: &str, database: &str, schema: &str) -> bool {
        self.may(role, Privilege::Usage, &Kind::Database(database.into()))
            && self.may(role, Privilege::Usage, &Kind::Schema(database.into(), schema.into()))
    }

    /// Whether `user` may act as `role`.
    pub(crate) fn user_has_role(&self, user: &str, role: &str) -> bool {
        let grants = self.grants.iter();
        role == "PUBLIC"
            || self.users.get(user).is_some_and(|user| user.default_role == role)
            || grants
                .filter(|grant| grant.on == Kind::Role(role.into()))
                .any(|grant| grant.role == user_grantee(user))
    }

    fn owner(&self, on: &Kind) -> Option<&String> {
        match on {
            Kind::Database(name) => self.databases.get(name).map(|database| &database.owner),
            Kind::Schema(database, schema) => self.schema(database, schema).map(|schema| &schema.owner),
            Kind::Table(path) => self.table(path).map(|table| &table.owner),
            Kind::Pipe(path) => self.pipe(path).map(|pipe| &pipe.owner),
            Kind::Warehouse(name) => self.warehouses.get(name),
            Kind::Account | Kind::ExternalVolume(_) | Kind::Other(_) | Kind::Role(_) => None,
        }
    }
}

/// How a user stands in the grantee column, apart from roles.
pub(crate) fn user_grantee(user: &str) -> String {
    format!("user {user}")
}
