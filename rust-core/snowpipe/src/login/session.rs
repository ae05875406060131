//! Host and token of the streaming calls: found once, shared by all channels, renewed before they expire.

mod host;
mod pacing;
mod sql;

use std::sync::Mutex as Guarded;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::identity::{Identity, LoginToken};
use super::{answer, client, jwt};
use crate::actor::lock;
use crate::config::{Authentication, SinkConfig};
use crate::error::ConfigError;
use crate::fault::pause_asked;
use crate::machine::{Fault, FaultClass};
use crate::trip::Trips;
use host::Trust;
use pacing::Pacing;

const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Assumed for a scoped token that does not tell: the shortest life reported.
const UNKNOWN_LIFE_SECONDS: u64 = 600;
/// A scoped token is renewed this long before it expires.
const EARLY_SECONDS: u64 = 60;
/// A difference to the service's clock below this is ignored.
const CLOCK_TOLERANCE_SECONDS: i64 = 20;
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Where and as whom streaming calls go.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// `https://host[:port]` of the ingest service, without a path.
    pub(crate) base: Url,
    /// Bearer token.
    pub(crate) token: SecretString,
    /// Its kind, for the header of that name.
    pub(crate) token_type: Option<&'static str>,
    generation: u64,
    /// Look-up that found the host.
    look_up: u64,
}

/// Obtains and keeps a [`Session`].
#[derive(Debug)]
pub(crate) struct Login {
    client: Client,
    control: Url,
    /// Whether the control host is an override, whose port the ingest host shares.
    overridden: bool,
    identity: Identity,
    state: Mutex<State>,
    trust: Guarded<Trust>,
    /// Panics that tests ask for.
    pub(crate) trips: Trips,
}

#[derive(Debug, Default)]
struct State {
    /// Seconds that the service's clock is ahead of ours.
    clock_offset: i64,
    login_token: Option<(SecretString, u64)>,
    ingest_host: Option<String>,
    scoped: Option<(SecretString, u64)>,
    /// Counts tokens that were forgotten on complaint, so that many complaints about one session count once.
    generation: u64,
    pacing: Pacing,
}

impl Login {
    /// Prepares a login; no call is made.
    ///
    /// # Errors
    /// Names the property (account or key) that cannot be used.
    pub(crate) fn new(config: &SinkConfig, client: Client) -> Result<Self, ConfigError> {
        let (identity, host) = match &config.authentication {
            Authentication::KeyPair(identity) => Identity::key_pair(identity, config.connection)?,
            Authentication::Managed(runtime) => {
                (Identity::Managed { folder: runtime.folder.clone() }, runtime.host.clone())
            }
        };
        let control = match &config.endpoint_override {
            Some(url) => url.clone(),
            None => Url::parse(&format!("https://{host}"))
                .map_err(|error| ConfigError::new("Account", format!("host \"{host}\": {error}")))?,
        };
        let overridden = config.endpoint_override.is_some();
        let (state, trust, trips) = (Mutex::default(), Guarded::default(), Trips::default());
        Ok(Self { client, control, overridden, identity, state, trust, trips })
    }

    /// Host that the account answers on, for messages.
    pub(crate) fn control_host(&self) -> &str {
        self.control.host_str().unwrap_or_default()
    }

    /// Identity in a few words, for verification.
    pub(crate) fn identity(&self) -> String {
        self.identity.label()
    }

    /// The role that was asked for.
    pub(crate) fn role(&self) -> Option<&str> {
        self.identity.role()
    }

    /// The session to use for a call now; asks the service only for what is missing or about to expire.
    ///
    /// # Errors
    /// A fault whose detail names host, account, user and remedy.
    pub(crate) async fn session(&self) -> Result<Session, Fault> {
        let mut state = self.state.lock().await;
        // Those that waited for a login that failed do not try it once more, each for itself.
        if let Some(fault) = state.pacing.failing(Instant::now()) {
            return Err(fault);
        }
        let session = self.obtain(&mut state).await;
        match &session {
            Ok(_) => state.pacing.worked(),
            Err(fault) => state.pacing.failed(fault, Instant::now()),
        }
        session
    }

    async fn obtain(&self, state: &mut State) -> Result<Session, Fault> {
        self.trips.pass("login");
        let host = self.host(state).await?;
        let look_up = lock(&self.trust).generation();
        let base = self.ingest_base(&host)?;
        let (token, token_type) = match &self.identity {
            // A token of the runtime is valid everywhere.
            Identity::Managed { .. } => (self.login_token(state)?, None),
            Identity::KeyPair { .. } => {
                let kept = state.scoped.as_ref().filter(|(_, until)| self.now(state) < *until);
                let token = match kept {
                    Some((token, _)) => token.clone(),
                    None => self.exchange(state, &host).await.inspect_err(|fault| {
                        // A host that is not one of the account's is refused as a scope.
                        lock(&self.trust).heard(look_up, Some(fault.class), Instant::now());
                    })?,
                };
                (token, Some("OAUTH"))
            }
        };
        Ok(Session { base, token, token_type, generation: state.generation, look_up })
    }

    /// Forgets the token of a call that was refused for it, unless it was renewed meanwhile.
    pub(crate) async fn refused(&self, session: &Session) {
        let mut state = self.state.lock().await;
        if state.generation == session.generation && state.pacing.may_renew(Instant::now()) {
            state.generation += 1;
            state.scoped = None;
            state.login_token = None;
        }
    }

    /// A call was refused once more, with the token that was renewed for it.
    pub(crate) async fn refused_again(&self) {
        self.state.lock().await.pacing.renewal_was_of_no_use(Instant::now());
    }

    /// What a call to the ingest host came to. A host that moved, or gives nothing but troubles, is looked up anew by one of
    /// the next calls: once, however many channels are hit.
    pub(crate) fn heard(&self, session: &Session, trouble: Option<FaultClass>) {
        lock(&self.trust).heard(session.look_up, trouble, Instant::now());
    }

    /// The ingest host; that of before when a new look-up brings nothing.
    async fn host(&self, state: &mut State) -> Result<String, Fault> {
        let known = state.ingest_host.clone();
        let now = Instant::now();
        if let Some(host) = known.as_ref().filter(|_| !lock(&self.trust).is_due(now)) {
            return Ok(host.clone());
        }
        let moved = lock(&self.trust).look(now);
        let found = self.find_host(state).await;
        let Some(known) = known else { return found };
        let Ok(found) = found else { return Ok(known) };
        if moved || found != known {
            state.generation += 1;
            state.scoped = None;
        }
        Ok(found)
    }

    async fn find_host(&self, state: &mut State) -> Result<String, Fault> {
        let body = self.ask(state, |token| {
            let url = join(&self.control, "v2/streaming/hostname");
            self.client.get(url).bearer_auth(token)
        });
        let host = answer::text(&body.await?, &["hostname", "host"])
            .ok_or_else(|| self.odd_answer("the ingest host"))?
            .replace('_', "-")
            .to_ascii_lowercase();
        state.ingest_host = Some(host.clone());
        Ok(host)
    }

    async fn exchange(&self, state: &mut State, host: &str) -> Result<SecretString, Fault> {
        let form = [("grant_type", GRANT), ("scope", host)];
        let body = self.ask(state, |token| {
            self.client.post(join(&self.control, "oauth/token")).bearer_auth(token).form(&form)
        });
        let token = answer::text(&body.await?, &["token", "access_token"])
            .ok_or_else(|| self.odd_answer("an access token"))?;
        let now = self.now(state);
        let until = jwt::expiry(&token).unwrap_or(now + UNKNOWN_LIFE_SECONDS);
        let token = SecretString::from(token);
        state.scoped = Some((token.clone(), until.saturating_sub(EARLY_SECONDS).max(now + 1)));
        Ok(token)
    }

    /// One call with the login token. When it is refused and the clocks differ, the service's clock is used and the call
    /// made once more.
    async fn ask(
        &self,
        state: &mut State,
        request: impl Fn(&str) -> reqwest::RequestBuilder,
    ) -> Result<String, Fault> {
        let mut corrected = false;
        loop {
            let token = self.login_token(state)?;
            let mut request = request(token.expose_secret()).header("Accept", "application/json");
            if let Some(token_type) = self.identity.token_type() {
                request = request.header("X-Snowflake-Authorization-Token-Type", token_type);
            }
            let response =
                request.timeout(CALL_TIMEOUT).send().await.map_err(|error| self.transport(&error))?;
            if response.status().is_success() {
                return response.text().await.map_err(|error| self.transport(&error));
            }
            let offset = clock_offset(&response);
            if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                state.login_token = None;
                if !corrected && (offset - state.clock_offset).abs() > CLOCK_TOLERANCE_SECONDS {
                    (state.clock_offset, corrected) = (offset, true);
                    continue;
                }
            }
            return Err(self.refusal(response, offset).await);
        }
    }

    fn login_token(&self, state: &mut State) -> Result<SecretString, Fault> {
        let now = self.now(state);
        if let Some((token, until)) = &state.login_token
            && now < *until
        {
            return Ok(token.clone());
        }
        let LoginToken { token, until } = self.identity.token(now).map_err(|detail| Fault {
            class: FaultClass::Auth,
            detail,
            retry_after: None,
        })?;
        state.login_token = until.map(|until| (token.clone(), until));
        Ok(token)
    }

    async fn refusal(&self, response: Response, offset: i64) -> Fault {
        let status = response.status();
        let asked =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.text().await.unwrap_or_default();
        let retry_after = pause_asked(asked.as_deref());
        let host = self.control_host();
        let answer = format!("HTTP {}{}", status.as_u16(), reason(&body));
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let mut detail = self.identity.refused(host, &answer);
            if offset.abs() > CLOCK_TOLERANCE_SECONDS {
                detail.push_str(&format!(" This machine's clock is {} s off.", offset.abs()));
            }
            return Fault { class: FaultClass::Auth, detail, retry_after };
        }
        let class = match status {
            StatusCode::TOO_MANY_REQUESTS => FaultClass::Throttled,
            StatusCode::NOT_FOUND | StatusCode::GONE => FaultClass::Auth,
            _ => FaultClass::Transient,
        };
        let detail = format!(
            "Snowflake did not accept the login at {host} ({answer}); check that the account identifier leads to this host"
        );
        Fault { class, detail, retry_after }
    }

    fn transport(&self, error: &reqwest::Error) -> Fault {
        let detail = client::describe(self.control_host(), error);
        Fault { class: FaultClass::Transient, detail, retry_after: None }
    }

    fn odd_answer(&self, what: &str) -> Fault {
        let detail = format!(
            "{} answered something else than {what}; check that the account identifier or the endpoint override leads to \
             Snowflake",
            self.control_host()
        );
        Fault { class: FaultClass::Transient, detail, retry_after: None }
    }

    fn ingest_base(&self, host: &str) -> Result<Url, Fault> {
        let port = if self.overridden { self.control.port() } else { None };
        let text = port.map_or_else(|| format!("https://{host}"), |port| format!("https://{host}:{port}"));
        Url::parse(&text).map_err(|_| self.odd_answer("the ingest host"))
    }

    /// The service's time in seconds since the epoch, as far as it is known.
    fn now(&self, state: &State) -> u64 {
        let local = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        local.saturating_add_signed(state.clock_offset)
    }
}

/// `base` with its path replaced.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url.set_query(None);
    url
}

/// Seconds that the clock of who answered is ahead of ours; 0 when it does not tell.
fn clock_offset(response: &Response) -> i64 {
    let date = response.headers().get("date").and_then(|value| value.to_str().ok());
    let Some(theirs) = date.and_then(|text| httpdate::parse_http_date(text).ok()) else { return 0 };
    match theirs.duration_since(SystemTime::now()) {
        Ok(ahead) => i64::try_from(ahead.as_secs()).unwrap_or(0),
        Err(behind) => -i64::try_from(behind.duration().as_secs()).unwrap_or(0),
    }
}

/// Code and message of an error body, in the forms the service is known to send; empty for anything else.
fn reason(body: &str) -> String {
    let Ok(serde_json::Value::Object(map)) = serde_json::from_str(body) else { return String::new() };
    let text = |name: &str| map.get(name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let code = text("code").or_else(|| text("error_code")).unwrap_or_default();
    let message = text("message").or_else(|| text("error")).unwrap_or_default();
    let joined = [code, message].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if joined.is_empty() { joined } else { format!(": {joined}") }
}

#[cfg(test)]
mod tests;
