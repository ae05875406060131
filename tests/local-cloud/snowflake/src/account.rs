//! The state behind one server, and the ways it changes: commits and statements, one at a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::Utc;
use rusqlite::Connection;

use crate::auth::{PublicKey, Session, Sessions};
use crate::catalog::{Catalog, Grant, Kind, Path, Privilege, Table, User};
use crate::faults::Faults;
use crate::journal::Journal;
use crate::locks::lock;
use crate::options::Options;
use crate::sql::SqlError;
use crate::store::Store;
use crate::streaming::{Committer, Key, Registry};
use crate::values::Moment;

/// Rows of a table so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows: u64,
    pub(crate) error_rows: u64,
    pub(crate) last_commit_ms: Option<i64>,
}

/// One account.
pub(crate) struct Account {
    pub(crate) options: Options,
    pub(crate) sessions: Sessions,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) store: Store,
    pub(crate) channels: Registry,
    pub(crate) committer: Committer,
    catalog: Mutex<Arc<Catalog>>,
    counts: Mutex<HashMap<i64, Counts>>,
    next_commit: AtomicI64,
}

impl Account {
    pub(crate) fn new(options: Options, keys: Vec<PublicKey>) -> rusqlite::Result<Self> {
        let store = Store::open(options.state.as_deref(), crate::sql::register)?;
        let mut catalog = Catalog::new();
        bootstrap(&mut catalog, &options, keys);
        let owner = Session { user: options.user.clone(), role: options.role.clone() };
        Ok(Account {
            sessions: Sessions::new(options.access_tokens.clone(), owner),
            journal: Journal::new(options.journal.clone()),
            faults: Faults::default(),
            channels: Registry::default(),
            committer: Committer::default(),
            catalog: Mutex::new(Arc::new(catalog)),
            counts: Mutex::default(),
            next_commit: AtomicI64::new(1),
            store,
            options,
        })
    }

    /// The catalog as it is now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        lock(&self.catalog).clone()
    }

    /// Runs `work` in one transaction under a fresh commit number. What it stores becomes visible together with the
    /// change of the table definition it returns; the commit's time is taken last.
    pub(crate) fn in_commit<T>(
        &self,
        work: impl FnOnce(&Connection, &Catalog, i64) -> rusqlite::Result<(T, Option<(Path, Table)>)>,
    ) -> rusqlite::Result<T> {
        let connection = self.store.writer();
        let transaction = connection.unchecked_transaction()?;
        let catalog = self.catalog();
        let id = self.next_commit.fetch_add(1, Ordering::Relaxed);
        let (result, evolved) = work(&transaction, &catalog, id)?;
        let changed = evolved.and_then(|(path, table)| {
            let mut catalog = (*catalog).clone();
            *catalog.table_mut(&path)? = table;
            Some(catalog)
        });
        let at = Moment::stored(Utc::now().naive_utc());
        transaction.prepare_cached("INSERT INTO _commits VALUES (?, ?)")?.execute((id, at))?;
        transaction.commit()?;
        if let Some(changed) = changed {
            *lock(&self.catalog) = Arc::new(changed);
        }
        Ok(result)
    }

    /// Runs a statement that changes definitions, or rows together with them, in one transaction.
    pub(crate) fn change<T>(
        &self,
        work: impl FnOnce(&Connection, &mut Catalog) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let connection = self.store.writer();
        let transaction = connection.unchecked_transaction()?;
        let mut catalog = (*self.catalog()).clone();
        let result = work(&transaction, &mut catalog)?;
        transaction.commit()?;
        self.drop_orphans(&catalog);
        *lock(&self.catalog) = Arc::new(catalog);
        Ok(result)
    }

    /// Removes channels whose pipe is gone, or is another one of the same name.
    fn drop_orphans(&self, catalog: &Catalog) {
        for channel in self.channels.all() {
            let same = catalog.resolve_pipe(&channel.key.pipe).is_some_and(|(_, table, custom)| {
                channel.table_id == table.id && channel.generation == custom.map_or(table.id, |pipe| pipe.id)
            });
            if !same {
                self.channels.remove(&channel);
            }
        }
    }

    /// Marks a channel invalid; whether there is such a channel.
    pub(crate) fn invalidate_channel(&self, pipe: &Path, name: &str, code: &str) -> bool {
        let channel = self.channels.get(&Key::new(pipe.clone(), name));
        channel.map(|channel| channel.state().invalidate(code)).is_some()
    }

    /// Number of a commit made by a statement; must be called within [`Account::change`].
    pub(crate) fn statement_commit(&self, connection: &Connection) -> rusqlite::Result<i64> {
        let id = self.next_commit.fetch_add(1, Ordering::Relaxed);
        let at = Moment::stored(Utc::now().naive_utc());
        connection.prepare_cached("INSERT INTO _commits VALUES (?, ?)")?.execute((id, at))?;
        Ok(id)
    }

    /// Number of the next commit.
    pub(crate) fn upcoming_commit(&self) -> i64 {
        self.next_commit.load(Ordering::Relaxed)
    }

    /// A table, or its error table, was emptied.
    pub(crate) fn truncated(&self, table: i64, errors: bool) {
        let mut counts = lock(&self.counts);
        let counts = counts.entry(table).or_default();
        if errors {
            counts.error_rows = 0;
        } else {
            counts.rows = 0;
        }
    }

    /// Rows that a statement added (or removed, when negative).
    pub(crate) fn counted_by_statement(&self, table: i64, rows: i64) {
        let mut counts = lock(&self.counts);
        let counts = counts.entry(table).or_default();
        counts.rows = counts.rows.saturating_add_signed(rows);
    }

    pub(crate) fn count_rows(&self, table: i64, inserted: u64, errors: u64, now_ms: i64) {
        let mut counts = lock(&self.counts);
        let counts = counts.entry(table).or_default();
        counts.rows += inserted;
        counts.error_rows += errors;
        if inserted > 0 {
            counts.last_commit_ms = Some(now_ms);
        }
    }

    pub(crate) fn counts(&self, table: i64) -> Counts {
        lock(&self.counts).get(&table).copied().unwrap_or_default()
    }
}

/// The user and role of the options; the role may create databases.
fn bootstrap(catalog: &mut Catalog, options: &Options, keys: Vec<PublicKey>) {
    if !catalog.roles.contains(&options.role) {
        catalog.roles.push(options.role.clone());
    }
    let user = User { keys, default_role: options.role.clone(), user_type: "SERVICE".into() };
    catalog.users.insert(options.user.clone(), user);
    for privilege in [Privilege::CreateDatabase, Privilege::CreateRole, Privilege::CreateUser] {
        catalog.grants.push(Grant { role: options.role.clone(), privilege, on: Kind::Account });
    }
}
