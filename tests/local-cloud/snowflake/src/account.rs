//! The state behind one server, and the ways it changes: commits and statements, one at a time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use crate::auth::{PublicKey, Session, Sessions};
use crate::catalog::{Catalog, Grant, Kind, Path, Privilege, Table, User};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::locks::lock;
use crate::options::Options;
use crate::sql::SqlError;
use crate::store::{self, Saved, Store};
use crate::streaming::{Channel, Committer, Key, Progress, Registry, Removed};
use crate::values::Moment;

/// The warehouse that every account has.
const WAREHOUSE: &str = "COMPUTE_WH";

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
    commit_delay: Mutex<Duration>,
    /// No channel expires before this time.
    next_expiry_ms: AtomicI64,
}

impl Account {
    pub(crate) fn new(options: Options, keys: Vec<PublicKey>) -> rusqlite::Result<Self> {
        let store = Store::open(options.state.as_deref(), |connection| {
            crate::sql::register(connection, &options.clock)
        })?;
        let first_client =
            if options.state.is_some() { chrono::Utc::now().timestamp_millis().unsigned_abs() } else { 0 };
        let saved = Saved::load(&store.writer(), first_client)?;
        let mut catalog = saved.catalog.unwrap_or_else(Catalog::new);
        bootstrap(&mut catalog, &options, keys);
        let channels = Registry::default();
        for (channel, progress, last_used_ms) in saved.channels {
            let mut state = channel.state();
            state.progress = progress;
            state.last_used_ms = last_used_ms.unwrap_or_else(|| options.clock.now_ms());
            drop(state);
            channels.restore(channel, first_client);
        }
        let counts = count_all(&store.writer(), &catalog)?;
        let owner = Session { user: options.user.clone(), role: options.role.clone() };
        Ok(Account {
            sessions: Sessions::new(options.access_tokens.clone(), owner),
            journal: Journal::new(options.journal.clone()),
            faults: Faults::default(),
            channels,
            committer: Committer::default(),
            catalog: Mutex::new(Arc::new(catalog)),
            counts: Mutex::new(counts),
            next_commit: AtomicI64::new(saved.last_commit + 1),
            commit_delay: Mutex::new(options.commit_delay),
            next_expiry_ms: AtomicI64::new(0),
            store,
            options,
        })
    }

    /// Time from an append to its commit.
    pub(crate) fn commit_delay(&self) -> Duration {
        *lock(&self.commit_delay)
    }

    /// The account's time.
    pub(crate) fn clock(&self) -> &Clock {
        &self.options.clock
    }

    /// Deletes the named channels that nobody used for as long as the limits say, unless they have rows to commit.
    /// Blocks the thread.
    pub(crate) fn expire_idle(&self) {
        let now = self.clock().now_ms();
        let idle = i64::try_from(self.options.limits.idle_channel.as_millis()).unwrap_or(i64::MAX);
        // Channels that are opened from now on do not expire before.
        let mut next = now.saturating_add(idle);
        for channel in self.channels.all().into_iter().filter(|channel| !channel.key.is_elastic()) {
            let (expires, waits) = {
                let state = channel.state();
                (state.last_used_ms.saturating_add(idle), state.has_uncommitted())
            };
            if expires > now || waits {
                next = next.min(expires);
            } else {
                self.channels.remove(&channel, Removed::Expired);
                self.forget(channel.id);
            }
        }
        self.next_expiry_ms.store(next, Ordering::Relaxed);
    }

    /// Whether a channel may have expired since the last look.
    pub(crate) fn expiry_due(&self) -> bool {
        self.clock().now_ms() >= self.next_expiry_ms.load(Ordering::Relaxed)
    }

    /// Changes the time for the appends to come.
    pub(crate) fn set_commit_delay(&self, delay: Duration) {
        *lock(&self.commit_delay) = delay;
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
        if let Some(changed) = &changed {
            self.save_catalog(&transaction, changed)?;
        }
        let at = Moment::stored(self.clock().now_utc());
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
        self.save_catalog(&transaction, &catalog)?;
        for orphan in self.orphans(&catalog) {
            store::forget_channel(&transaction, orphan.id)?;
        }
        transaction.commit()?;
        for orphan in self.orphans(&catalog) {
            self.channels.remove(&orphan, Removed::Replaced);
        }
        *lock(&self.catalog) = Arc::new(catalog);
        Ok(result)
    }

    /// Channels whose pipe is gone, or is another one of the same name.
    fn orphans(&self, catalog: &Catalog) -> Vec<Arc<Channel>> {
        let mut channels = self.channels.all();
        channels.retain(|channel| {
            let found = catalog.resolve_pipe(&channel.key.pipe);
            !found.is_some_and(|(_, table, custom)| {
                channel.table_id == table.id && channel.generation == custom.map_or(table.id, |pipe| pipe.id)
            })
        });
        channels
    }

    fn save_catalog(&self, connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
        if self.options.state.is_some() { store::save_catalog(connection, catalog) } else { Ok(()) }
    }

    /// Keeps a channel's progress over a restart, when there is a state file.
    pub(crate) fn save_progress(
        &self,
        connection: &Connection,
        channel: &Channel,
        progress: &Progress,
    ) -> rusqlite::Result<()> {
        if self.options.state.is_some() { store::save_channel(connection, channel, progress) } else { Ok(()) }
    }

    /// Forgets a dropped channel, when there is a state file.
    pub(crate) async fn forget_channel(self: &Arc<Self>, channel: &Channel) {
        let (account, id) = (self.clone(), channel.id);
        if tokio::task::spawn_blocking(move || account.forget(id)).await.is_err() {
            tracing::error!("a dropped channel could not be removed from the state file");
        }
    }

    /// The same on the caller's thread.
    fn forget(&self, channel: i64) {
        if self.options.state.is_some()
            && let Err(error) = store::forget_channel(&self.store.writer(), channel)
        {
            tracing::error!(%error, "a channel that is gone could not be removed from the state file");
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
        let at = Moment::stored(self.clock().now_utc());
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

/// Rows of every table, when a state file brought some.
fn count_all(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<HashMap<i64, Counts>> {
    let mut counts = HashMap::new();
    for (_, table) in catalog.tables() {
        let count = |stored: String| -> rusqlite::Result<u64> {
            let count: i64 =
                connection.query_row(&format!("SELECT count(*) FROM {stored}"), [], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        let rows = count(table.stored())?;
        let error_rows = count(table.stored_errors())?;
        counts.insert(table.id, Counts { rows, error_rows, last_commit_ms: None });
    }
    Ok(counts)
}

/// The user and role of the options; the role may create databases.
fn bootstrap(catalog: &mut Catalog, options: &Options, keys: Vec<PublicKey>) {
    if !catalog.roles.contains(&options.role) {
        catalog.roles.push(options.role.clone());
    }
    let second_key = catalog.users.get(&options.user).and_then(|user| user.second_key.clone());
    let user = User {
        second_key,
        keys,
        default_role: options.role.clone(),
        user_type: "SERVICE".into(),
        default_warehouse: Some(WAREHOUSE.to_owned()),
    };
    catalog.users.insert(options.user.clone(), user);
    catalog.warehouses.entry(WAREHOUSE.to_owned()).or_insert_with(|| "ACCOUNTADMIN".to_owned());
    let creates =
        [Privilege::CreateDatabase, Privilege::CreateRole, Privilege::CreateUser, Privilege::CreateWarehouse];
    let creates = creates.map(|privilege| (privilege, Kind::Account));
    let uses = (Privilege::Usage, Kind::Warehouse(WAREHOUSE.to_owned()));
    for (privilege, on) in creates.into_iter().chain([uses]) {
        let grant = Grant { role: options.role.clone(), privilege, on };
        if !catalog.grants.contains(&grant) {
            catalog.grants.push(grant);
        }
    }
}
