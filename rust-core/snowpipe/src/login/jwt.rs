//! The token that proves possession of the key.

use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};

use super::key::SigningKey;

/// Snowflake refuses tokens that live longer than an hour.
pub(super) const LIFE_SECONDS: u64 = 59 * 60;
/// A token is renewed when this much of its life is left.
pub(super) const RENEW_BEFORE_SECONDS: u64 = 5 * 60;

#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scp: Option<String>,
}

/// Who the token is about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// Account as in the claims.
    pub(super) account: String,
    /// Login name.
    pub(super) user: String,
    /// Role of the session.
    pub(super) role: Option<String>,
}

impl Subject {
    /// `<ACCOUNT>.<USER>`, upper case.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.account, self.user.trim().to_uppercase())
    }

    /// Signs a token that begins at `now` (seconds since the epoch).
    pub(super) fn sign(&self, key: &SigningKey, now: u64) -> Result<String, String> {
        let subject = self.name();
        let issuer = format!("{subject}.{}", key.fingerprint);
        let scp = self.role.as_ref().map(|role| format!("session:role:{role}"));
        let claims = Claims { iss: &issuer, sub: &subject, iat: now, exp: now + LIFE_SECONDS, scp };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key.encoding)
            .map_err(|error| format!("the login token cannot be signed: {error}"))
    }
}

/// Expiry of a token that is itself a JWT; `None` for any other.
pub(super) fn expiry(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Expiry {
        exp: u64,
    }
    use base64::Engine;
    let payload = token.split('.').nth(1)?;
    let bytes =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Expiry>(&bytes).ok().map(|claims| claims.exp)
}
