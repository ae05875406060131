//! Who logs in: a user with a key pair, or the service account of a managed runtime.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::account::Account;
use super::jwt::{LIFE_SECONDS, RENEW_BEFORE_SECONDS, Subject};
use super::key::SigningKey;
use crate::config::{ConnectionStrategy, KeyPair};
use crate::error::ConfigError;

/// Token of the runtime's service account, for workload identity; read first.
const SERVICE_ACCOUNT_TOKEN: &str = "serviceaccount/token";
/// Token of the runtime's session.
const SESSION_TOKEN: &str = "session/token";

/// See the module documentation.
#[derive(Debug)]
pub(super) enum Identity {
    /// Signs its own tokens, which are exchanged.
    KeyPair { subject: Subject, key: SigningKey },
    /// Reads tokens that the runtime rotates in files; they are used as they are.
    Managed { folder: PathBuf },
}

/// A login token and until when it may be kept.
pub(super) struct LoginToken {
    pub(super) token: SecretString,
    /// Seconds since the epoch; `None` for a token that is read anew each time.
    pub(super) until: Option<u64>,
}

impl Identity {
    /// The identity of a key pair, and the account's host.
    pub(super) fn key_pair(
        identity: &KeyPair,
        connection: ConnectionStrategy,
    ) -> Result<(Self, String), ConfigError> {
        let key = SigningKey::load(&identity.private_key, identity.password.as_ref())
            .map_err(|reason| ConfigError::new("Private Key", reason))?;
        let account = Account::parse(&identity.account, connection).ok_or_else(|| {
            ConfigError::new(
                "Account",
                format!(
                    "\"{}\" is not an account identifier; use <organization>-<account>",
                    identity.account
                ),
            )
        })?;
        let subject =
            Subject { account: account.claim, user: identity.user.clone(), role: identity.role.clone() };
        Ok((Self::KeyPair { subject, key }, account.host))
    }

    /// The value of `X-Snowflake-Authorization-Token-Type` for the login token; without one the service inspects it.
    pub(super) fn token_type(&self) -> Option<&'static str> {
        match self {
            Self::KeyPair { .. } => Some("KEYPAIR_JWT"),
            Self::Managed { .. } => None,
        }
    }

    /// A token that is valid at `now` (seconds since the epoch).
    pub(super) fn token(&self, now: u64) -> Result<LoginToken, String> {
        match self {
            Self::KeyPair { subject, key } => {
                let token = SecretString::from(subject.sign(key, now)?);
                Ok(LoginToken { token, until: Some(now + LIFE_SECONDS - RENEW_BEFORE_SECONDS) })
            }
            Self::Managed { folder } => managed(folder).map(|token| LoginToken { token, until: None }),
        }
    }

    /// Who was refused, and what to check.
    pub(super) fn refused(&self, host: &str, answer: &str) -> String {
        match self {
            Self::KeyPair { subject, key } => {
                let (account, user) = (&subject.account, &subject.user);
                let role = subject.role.as_deref().map_or(String::new(), |role| format!(", role {role}"));
                format!(
                    "Snowflake refused the login of user {user}{role} on account {account} at {host} ({answer}). Check \
                     account, user and role, and that RSA_PUBLIC_KEY_FP or RSA_PUBLIC_KEY_2_FP in DESCRIBE \
                     USER {user} is {}.",
                    key.fingerprint
                )
            }
            Self::Managed { folder } => format!(
                "Snowflake refused the runtime's own token from {} at {host} ({answer}). Check the role of the runtime",
                folder.display()
            ),
        }
    }

    /// The role that was asked for.
    pub(super) fn role(&self) -> Option<&str> {
        match self {
            Self::KeyPair { subject, .. } => subject.role.as_deref(),
            Self::Managed { .. } => None,
        }
    }

    /// Identity in a few words, for verification.
    pub(super) fn label(&self) -> String {
        match self {
            Self::KeyPair { key, .. } => format!("key fingerprint {}", key.fingerprint),
            Self::Managed { folder } => format!("tokens of the runtime in {}", folder.display()),
        }
    }
}

/// The runtime's token; the files rotate, so they are read each time.
fn managed(folder: &Path) -> Result<SecretString, String> {
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    };
    if let Some(token) = read(SERVICE_ACCOUNT_TOKEN) {
        return Ok(SecretString::from(format!("WIF.OIDC.{token}")));
    }
    read(SESSION_TOKEN).map(SecretString::from).ok_or_else(|| {
        format!(
            "no token of a managed runtime in {0}/{SERVICE_ACCOUNT_TOKEN} or {0}/{SESSION_TOKEN}; outside Openflow use \
             Authentication Strategy KEY_PAIR",
            folder.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn files_of_the_runtime_are_read_each_time() {
        let folder = std::env::temp_dir().join(format!("shardflow-tokens-{}", uuid::Uuid::new_v4()));
        let identity = Identity::Managed { folder: folder.clone() };
        assert!(identity.token(0).err().unwrap().contains("KEY_PAIR"));
        for (name, content, expected) in [
            (SESSION_TOKEN, "one\n", "one"),
            (SESSION_TOKEN, "two", "two"),
            (SERVICE_ACCOUNT_TOKEN, " three ", "WIF.OIDC.three"),
        ] {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, content).unwrap();
            let token = identity.token(0).unwrap();
            assert_eq!((token.token.expose_secret(), token.until), (expected, None));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
