//! Credentials that the caller hands over while a source runs, because only the caller can get them.

use crate::clock::Clock;
use crate::identity::{Base, Identity, Keys};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use aws_sdk_kinesis::config::Credentials;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How long a call waits for credentials that are on their way. Below the time-out of every caller.
const PATIENCE: Duration = Duration::from_secs(3);
/// Credentials nearer to their end than this are not used any more: the request has to arrive, too.
const MARGIN_MS: i64 = 2_000;
const NAME: &str = "AWS Credentials Provider Service";

#[derive(Default, Clone)]
struct State {
    keys: Option<Keys>,
    /// Why there are no newer ones.
    reason: Option<String>,
}

/// See the module. Clones share what was handed over.
#[derive(Clone)]
pub(crate) struct Handed {
    state: Arc<watch::Sender<State>>,
    clock: Clock,
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handed")
    }
}

impl Handed {
    /// Begins with what the configuration holds.
    pub(crate) fn new(identity: &Identity, clock: Clock) -> Self {
        let keys = match &identity.base {
            Base::Handed(keys) => keys.clone(),
            Base::Keys(_) | Base::Chain => None,
        };
        Self { state: Arc::new(watch::Sender::new(State { keys, reason: None })), clock }
    }

    /// From now on these are used.
    pub(crate) fn put(&self, keys: Keys) {
        self.state.send_replace(State { keys: Some(keys), reason: None });
    }

    /// There are no newer ones for the moment. The last ones serve as long as they are valid.
    pub(crate) fn unavailable(&self, reason: &str) {
        self.state.send_modify(|state| state.reason = Some(reason.to_owned()));
    }

    async fn current(&self) -> Result {
        let mut changes = self.state.subscribe();
        let fresh = async {
            loop {
                let state = changes.borrow_and_update().clone();
                match state.keys.filter(|keys| self.is_valid(keys)) {
                    Some(keys) => return Ok(credentials(&keys)),
                    None => {
                        if let Some(reason) = state.reason {
                            return Err(CredentialsError::provider_error(reason));
                        }
                    }
                }
                if changes.changed().await.is_err() {
                    return Err(CredentialsError::provider_error("the source is closed"));
                }
            }
        };
        tokio::time::timeout(PATIENCE, fresh).await.unwrap_or_else(|_| {
            let expired = self.state.borrow().keys.is_some();
            let text = if expired { "the last credentials have expired" } else { "there is no answer yet" };
            Err(CredentialsError::provider_error(text))
        })
    }

    fn is_valid(&self, keys: &Keys) -> bool {
        keys.expires_ms.is_none_or(|end| self.clock.wall_ms() + MARGIN_MS < end)
    }
}

impl ProvideCredentials for Handed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

/// In the SDK's form.
pub(crate) fn credentials(keys: &Keys) -> Credentials {
    let expiry = keys.expires_ms.and_then(|ms| u64::try_from(ms).ok());
    Credentials::new(
        keys.access_key_id.clone(),
        keys.secret_access_key.expose_secret().to_owned(),
        keys.session_token.as_ref().map(|t| t.expose_secret().to_owned()),
        expiry.map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms)),
        NAME,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;
    use tokio::time::{Instant, sleep};

    const START_MS: i64 = 1_800_000_000_000;

    fn keys(id: &str, expires_ms: Option<i64>) -> Keys {
        Keys {
            access_key_id: id.to_owned(),
            secret_access_key: SecretString::from("hidden".to_owned()),
            session_token: Some(SecretString::from("token".to_owned())),
            expires_ms,
        }
    }

    /// Wall time that passes as tokio's does.
    fn handed() -> (Handed, Clock) {
        let start = Instant::now();
        let clock =
            Clock::new(move || START_MS + i64::try_from(start.elapsed().as_millis()).unwrap_or_default());
        (Handed::new(&Identity { base: Base::Handed(None), role: None }, clock.clone()), clock)
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_of_a_minute_serve_for_hours_when_they_are_renewed() {
        let (handed, clock) = handed();
        let giver = handed.clone();
        let time = clock.clone();
        let renewing = tokio::spawn(async move {
            for turn in 0.. {
                giver.put(keys(&format!("ASIA{turn}"), Some(time.wall_ms() + 60_000)));
                sleep(Duration::from_secs(15)).await;
            }
        });
        let end = Instant::now() + Duration::from_secs(4 * 3_600);
        let mut used = std::collections::BTreeSet::new();
        while Instant::now() < end {
            let credentials = handed.provide_credentials().await.unwrap();
            let left = credentials.expiry().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert!(i64::try_from(left.as_millis()).unwrap() > clock.wall_ms());
            used.insert(credentials.access_key_id().to_owned());
            sleep(Duration::from_millis(997)).await;
        }
        renewing.abort();
        assert_eq!(used.len(), 4 * 240, "each token was used");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_service_is_told_only_when_the_last_token_ends_and_heals() {
        let (handed, clock) = handed();
        handed.put(keys("ASIA0", Some(clock.wall_ms() + 60_000)));
        handed.unavailable("the token file is gone");
        assert!(handed.provide_credentials().await.is_ok(), "the last ones are still valid");
        sleep(Duration::from_secs(59)).await;
        let began = Instant::now();
        let error = handed.provide_credentials().await.unwrap_err();
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(text.contains("the token file is gone"), "{text}");
        assert_eq!(began.elapsed(), Duration::ZERO, "a known trouble is not waited for");
        handed.put(keys("ASIA1", Some(clock.wall_ms() + 60_000)));
        assert_eq!(handed.provide_credentials().await.unwrap().access_key_id(), "ASIA1");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_credentials_are_waited_for_a_moment() {
        let (handed, _) = handed();
        let giver = handed.clone();
        let later = tokio::spawn(async move {
            sleep(Duration::from_secs(2)).await;
            giver.put(keys("ASIA", None));
        });
        assert!(handed.provide_credentials().await.is_ok());
        later.await.unwrap();
        let (never, _) = super::tests::handed();
        assert!(never.provide_credentials().await.is_err());
    }
}
