//! Tokens handed out by the exchange, and access tokens that need none.

use std::collections::HashMap;
use std::sync::Mutex;

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

use super::Refused;
use crate::locks::lock;

/// The identity behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) role: String,
}

struct Issued {
    session: Session,
    expires: i64,
}

/// Tokens in use.
pub(crate) struct Sessions {
    secret: [u8; 32],
    issued: Mutex<HashMap<String, Issued>>,
    access_tokens: Vec<String>,
    owner_of_access_tokens: Session,
}

#[derive(Serialize)]
struct ScopedClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    scope: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
}

impl Sessions {
    pub(crate) fn new(access_tokens: Vec<String>, owner_of_access_tokens: Session) -> Self {
        Sessions { secret: rand::random(), issued: Mutex::default(), access_tokens, owner_of_access_tokens }
    }

    /// Makes a token for the ingest host; itself a JWT whose `exp` a client may read.
    pub(crate) fn issue(
        &self,
        session: Session,
        scope: &str,
        now: i64,
        life: i64,
    ) -> Result<String, Refused> {
        // A client compares the claims with its own clock; whether the token is good is judged by the account's.
        let client_now = chrono::Utc::now().timestamp();
        let claims = ScopedClaims {
            iss: "local-snowflake",
            sub: &session.user,
            scope,
            iat: client_now,
            exp: client_now + life,
            jti: uuid::Uuid::new_v4().to_string(),
        };
        let token =
            jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(&self.secret))
                .map_err(|_| Refused::new("390100", "token could not be signed"))?;
        let mut issued = lock(&self.issued);
        issued.retain(|_, other| other.expires > now);
        issued.insert(token.clone(), Issued { session, expires: now + life });
        Ok(token)
    }

    /// The session of a token that was issued here, or of an access token.
    pub(crate) fn find(&self, token: &str, now: i64) -> Result<Session, Refused> {
        if self.is_access_token(token) {
            return Ok(self.owner_of_access_tokens.clone());
        }
        match lock(&self.issued).get(token) {
            Some(issued) if issued.expires > now => Ok(issued.session.clone()),
            Some(_) => Err(Refused::new("390114", "Authentication token has expired.")),
            None => Err(Refused::new("390303", "Invalid OAuth access token.")),
        }
    }

    pub(crate) fn is_access_token(&self, token: &str) -> bool {
        let bare = token.strip_prefix("WIF.OIDC.").unwrap_or(token);
        self.access_tokens.iter().any(|known| known == bare)
    }

    /// Ends every token handed out so far.
    pub(crate) fn revoke_all(&self) {
        lock(&self.issued).clear();
    }
}
