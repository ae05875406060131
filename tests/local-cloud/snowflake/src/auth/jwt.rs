//! Key-pair authentication: <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::{PublicKey, Refused};

const INVALID: &str = "390144";
const LONGEST_LIFE_SECONDS: i64 = 3600;
/// Clocks of client and server may differ by this much.
const LEEWAY_SECONDS: i64 = 60;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    iat: Option<i64>,
    #[serde(default)]
    scp: Option<String>,
}

/// A verified login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    /// Role asked for by the claim `scp` = `session:role:<ROLE>`.
    pub(crate) role: Option<String>,
}

/// Checks a key-pair JWT: signature by a registered key, issuer, subject, life.
pub(crate) fn verify(
    token: &str,
    account: &str,
    keys_of: impl Fn(&str) -> Option<Vec<PublicKey>>,
    now: i64,
) -> Result<Login, Refused> {
    let invalid = |why: &str| Refused::new(INVALID, format!("JWT token is invalid. [{why}]"));
    let unverified: Claims = jsonwebtoken::dangerous::insecure_decode_claims(token)
        .map_err(|_| invalid("not a JWT with iss, sub and exp"))?;
    let prefix = format!("{}.", claim_account(account));
    let user = unverified.sub.strip_prefix(&prefix).ok_or_else(|| invalid("subject is not ACCOUNT.USER"))?;
    let keys = keys_of(user).ok_or_else(|| invalid("unknown user"))?;
    let key = keys
        .iter()
        .find(|key| unverified.iss == format!("{}.{}", unverified.sub, key.fingerprint()))
        .ok_or_else(|| invalid("issuer does not name a registered public key"))?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoding =
        DecodingKey::from_rsa_pem(key.pem().as_bytes()).map_err(|_| invalid("registered key unusable"))?;
    let claims = jsonwebtoken::decode::<Claims>(token, &decoding, &validation)
        .map_err(|_| invalid("signature does not match"))?
        .claims;
    let issued = seconds(claims.iat.ok_or_else(|| invalid("no iat"))?);
    let expires = seconds(claims.exp);
    if expires <= now - LEEWAY_SECONDS {
        return Err(invalid("expired"));
    }
    if issued > now + LEEWAY_SECONDS {
        return Err(invalid("issued in the future"));
    }
    if expires - issued > LONGEST_LIFE_SECONDS {
        return Err(invalid("life above one hour"));
    }
    let role = claims.scp.as_deref().and_then(|scope| scope.strip_prefix("session:role:"));
    Ok(Login { user: user.to_owned(), role: role.map(crate::names::resolve) })
}

/// Snowflake's own SDK (1.9.1) puts milliseconds into `iat` and `exp`, which the service evidently accepts.
fn seconds(time: i64) -> i64 {
    if time > 100_000_000_000 { time / 1000 } else { time }
}

/// The account as it stands in claims: upper-case, without region parts.
fn claim_account(account: &str) -> String {
    let end = if account.contains(".global") { account.find('-') } else { account.find('.') };
    account[..end.unwrap_or(account.len())].to_uppercase()
}
