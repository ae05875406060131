//! The public handle of an account.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use chrono::Utc;

use crate::account::Account;
use crate::auth::{PublicKey, Refused, Session, verify_key_pair};
use crate::catalog::Path;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::http::{Results, Stage};
use crate::inspect::{self, StoredRows};
use crate::journal::Journal;
use crate::locks::lock;
use crate::options::Options;
use crate::snapshot::{self, Snapshot};
use crate::sql::{self, ResultSet, SqlError, SqlSession};
use crate::streaming::Committer;

/// A server that could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configured public key is not an RSA SubjectPublicKeyInfo in PEM form.
    #[error("public key {0} of the user is not an RSA public key in PEM form")]
    PublicKey(usize),
    /// The state file cannot be used.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] rusqlite::Error),
}

/// One Snowflake account. Clones and routers share it; when the last of them is dropped, rows that are accepted and not
/// committed are lost, as in a crash.
#[derive(Clone)]
pub struct Snowflake {
    account: Arc<Account>,
    /// Database and schema in use by [`Snowflake::sql`].
    session: Arc<Mutex<SqlSession>>,
    results: Arc<Results>,
    stage: Arc<Stage>,
}

impl Snowflake {
    /// Starts an account with one user and role. Nothing runs in the background until rows arrive.
    ///
    /// # Errors
    /// When a public key or the state file cannot be read.
    pub fn new(mut options: Options) -> Result<Self, StartError> {
        options.account = options.account.to_uppercase();
        options.user = crate::names::resolve(&options.user);
        options.role = crate::names::resolve(&options.role);
        let keys = options.public_keys_pem.iter().enumerate();
        let keys = keys
            .map(|(index, pem)| PublicKey::parse(pem).ok_or(StartError::PublicKey(index)))
            .collect::<Result<_, _>>()?;
        let session = SqlSession::new(&options.user, &options.role);
        let account = Account::new(options, keys)?;
        Ok(Snowflake {
            account: Arc::new(account),
            session: Arc::new(Mutex::new(session)),
            results: Arc::default(),
            stage: Arc::default(),
        })
    }

    /// The HTTP face: Snowpipe Streaming, token exchange and SQL API. For the account host and the ingest host alike.
    pub fn router(&self) -> Router {
        crate::http::router(self.clone())
    }

    /// Runs SQL statements, separated by semicolons, as the options' role; the last one's result. Blocks the thread.
    /// `USE DATABASE` and `USE SCHEMA` stay in force for later calls.
    ///
    /// # Errors
    /// Whatever Snowflake would answer, with its code.
    pub fn sql(&self, text: &str) -> Result<ResultSet, SqlError> {
        self.sql_as(&self.options().role.clone(), text)
    }

    /// Runs SQL statements as another role; `ACCOUNTADMIN` may do everything.
    ///
    /// # Errors
    /// Whatever Snowflake would answer, with its code.
    pub fn sql_as(&self, role: &str, text: &str) -> Result<ResultSet, SqlError> {
        let mut session = lock(&self.session).clone();
        session.role = crate::names::resolve(role);
        let result = sql::run(&self.account, &mut session, text);
        session.role.clone_from(&self.options().role);
        *lock(&self.session) = session;
        result.map(ResultSet::from)
    }

    /// Tables and channels as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.account.expire_idle();
        snapshot::take(&self.account)
    }

    /// Requests and appends so far.
    pub fn journal(&self) -> &Journal {
        &self.account.journal
    }

    /// The fault plan.
    pub fn faults(&self) -> &Faults {
        &self.account.faults
    }

    /// The options in force, names resolved.
    pub fn options(&self) -> &Options {
        &self.account.options
    }

    /// Ends every token handed out so far; the next call with one is answered 401.
    pub fn expire_tokens(&self) {
        self.account.sessions.revoke_all();
    }

    /// Holds commits back until [`Snowflake::resume_commits`]: appends are accepted, nothing becomes visible.
    pub fn pause_commits(&self) {
        self.account.committer.pause(true);
    }

    /// Lets commits go on.
    pub fn resume_commits(&self) {
        self.account.committer.pause(false);
    }

    /// Changes the time between an append and its commit, for the appends to come.
    pub fn set_commit_delay(&self, delay: Duration) {
        self.account.set_commit_delay(delay);
    }

    /// The account's time.
    pub fn clock(&self) -> &Clock {
        self.account.clock()
    }

    /// Commits everything accepted so far, whatever the delay, on the caller's thread.
    pub fn commit_now(&self) {
        Committer::commit_due(&self.account, true);
    }

    /// Marks a channel invalid with `code`, as `SYSTEM$STREAMING_CHANNEL_INVALIDATE` does: its uncommitted rows are
    /// lost and it must be opened again. The pipe is written as in SQL. Tells whether there is such a channel.
    pub fn invalidate_channel(&self, pipe: &str, channel: &str, code: &str) -> bool {
        let [database, schema, name] = crate::names::split(pipe).try_into().unwrap_or_default();
        self.account.invalidate_channel(&Path { database, schema, name }, channel, code)
    }

    /// What is wrong with the order of committed appends, channel by channel: with decimal offset tokens each append
    /// must begin after the end of the one before it. Empty when all is well.
    pub fn violations(&self) -> Vec<String> {
        snapshot::violations(&self.account)
    }

    /// [`Snowflake::violations`], and what the stored rows show: an append whose rows are there more than once, tokens
    /// of a channel that do not ascend, a committed token that was never accepted. Blocks the thread and reads all
    /// tables.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn audit(&self) -> Result<Vec<String>, SqlError> {
        Ok(inspect::violations(&self.account)?)
    }

    /// Rows of a table (`db.schema.table`, written as in SQL) in the order of their commits, each with its channel and
    /// offset token: those after row number `after` (0 for the first), at most `limit`. `None` when there is no such
    /// table. Blocks the thread.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn stored_rows(&self, table: &str, after: i64, limit: usize) -> Result<Option<StoredRows>, SqlError> {
        let [database, schema, name] = crate::names::split(table).try_into().unwrap_or_default();
        Ok(inspect::rows(&self.account, &Path { database, schema, name }, after, limit)?)
    }

    pub(crate) fn results(&self) -> &Results {
        &self.results
    }

    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Checks a key-pair JWT.
    pub(crate) fn login(&self, jwt: &str) -> Result<Session, Refused> {
        let catalog = self.account.catalog();
        let keys_of = |user: &str| catalog.users.get(user).map(crate::catalog::User::all_keys);
        let login = verify_key_pair(jwt, &self.options().account, keys_of, Utc::now().timestamp())?;
        let default_role = catalog.users.get(&login.user).map(|user| user.default_role.clone());
        let role = login.role.or(default_role).unwrap_or_else(|| "PUBLIC".into());
        if !catalog.user_has_role(&login.user, &role) {
            let message = format!("Role '{role}' specified in the token is not granted to this user.");
            return Err(Refused::new("390189", message));
        }
        Ok(Session { user: login.user, role })
    }

    /// The session of a scoped or access token.
    pub(crate) fn session(&self, token: &str) -> Result<Session, Refused> {
        self.account.sessions.find(token, self.seconds())
    }

    /// The account's time in seconds since 1970.
    fn seconds(&self) -> i64 {
        self.clock().now_ms() / 1000
    }

    pub(crate) fn issue_token(&self, session: Session, scope: &str) -> Result<String, Refused> {
        let life = i64::try_from(self.options().token_lifetime.as_secs()).unwrap_or(i64::MAX / 2);
        self.account.sessions.issue(session, scope, self.seconds(), life)
    }
}
