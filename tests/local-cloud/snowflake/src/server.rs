//! The server's parts and how they hang together.

use std::sync::Arc;

use axum::Router;
use chrono::Utc;

use crate::auth::{PublicKey, Refused, Session, Sessions, verify_key_pair};
use crate::faults::Faults;
use crate::journal::Journal;
use crate::options::Options;
use crate::snapshot::Snapshot;
use crate::sql::{ResultSet, SqlError};

/// A server that could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configured public key is not an RSA SubjectPublicKeyInfo in PEM form.
    #[error("public key {0} of the user is not an RSA public key in PEM form")]
    PublicKey(usize),
}

struct Inner {
    options: Options,
    keys: Vec<PublicKey>,
    sessions: Sessions,
    journal: Journal,
    faults: Faults,
}

/// One Snowflake account. Clones share it.
#[derive(Clone)]
pub struct Snowflake {
    inner: Arc<Inner>,
}

impl Snowflake {
    /// Starts an account with one user and role. Nothing runs in the background until rows arrive.
    ///
    /// # Errors
    /// When a public key cannot be read.
    pub fn new(mut options: Options) -> Result<Self, StartError> {
        options.account = options.account.to_uppercase();
        options.user = crate::names::resolve(&options.user);
        options.role = crate::names::resolve(&options.role);
        let keys = options.public_keys_pem.iter().enumerate();
        let keys = keys
            .map(|(index, pem)| PublicKey::parse(pem).ok_or(StartError::PublicKey(index)))
            .collect::<Result<_, _>>()?;
        let owner = Session { user: options.user.clone(), role: options.role.clone() };
        let inner = Inner {
            sessions: Sessions::new(options.access_tokens.clone(), owner),
            journal: Journal::new(options.journal.clone()),
            faults: Faults::default(),
            keys,
            options,
        };
        Ok(Snowflake { inner: Arc::new(inner) })
    }

    /// The HTTP face: Snowpipe Streaming, token exchange and SQL API. For the account host and the ingest host alike.
    pub fn router(&self) -> Router {
        crate::http::router(self.clone())
    }

    /// Runs one SQL statement as the options' role.
    ///
    /// # Errors
    /// Whatever Snowflake would answer, with its code.
    pub fn sql(&self, text: &str) -> Result<ResultSet, SqlError> {
        Err(SqlError::unsupported(text))
    }

    /// Tables and channels as they are now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }

    /// Requests and appends so far.
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// The fault plan.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// The options in force, names resolved.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Ends every token handed out so far; the next call with one is answered 401.
    pub fn expire_tokens(&self) {
        self.inner.sessions.revoke_all();
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Checks a key-pair JWT.
    pub(crate) fn login(&self, jwt: &str) -> Result<Session, Refused> {
        let options = self.options();
        let keys_of = |user: &str| (user == options.user).then(|| self.inner.keys.clone());
        let login = verify_key_pair(jwt, &options.account, keys_of, Utc::now().timestamp())?;
        let role = login.role.unwrap_or_else(|| options.role.clone());
        if role != options.role {
            return Err(Refused::new("390189", format!("Role '{role}' is not granted to this user.")));
        }
        Ok(Session { user: login.user, role })
    }

    /// The session of a scoped or access token.
    pub(crate) fn session(&self, token: &str) -> Result<Session, Refused> {
        self.inner.sessions.find(token, Utc::now().timestamp())
    }

    pub(crate) fn issue_token(&self, session: Session, scope: &str) -> Result<String, Refused> {
        let life = i64::try_from(self.options().token_lifetime.as_secs()).unwrap_or(i64::MAX / 2);
        self.inner.sessions.issue(session, scope, Utc::now().timestamp(), life)
    }
}
