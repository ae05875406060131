//! Rare calls that are not worth a method of their own, and the end of a source or sink.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use kinesis::{Keys, Source, SourceConfig};
use secrecy::SecretString;
use snowpipe::{Sink, SinkConfig};

use crate::error::Error;
use crate::pairs;
use crate::registry::{Entry, Registry};
use crate::testing;

/// Commands to no source or sink in particular.
const NO_HANDLE: i64 = 0;
const VERIFY_LIMIT: Duration = Duration::from_secs(60);
/// Three steps of three seconds.
const DEREGISTER_LIMIT: Duration = Duration::from_secs(10);
/// No thread of NiFi waits longer for something to do.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// No one is kept waiting longer, whatever grace was asked for.
const LONGEST_GRACE: Duration = Duration::from_secs(30);

/// Carries out `words`; what is answered is described beside the Java declaration of `control`.
pub(crate) fn run(registry: &Registry, id: i64, words: Vec<Option<String>>) -> Result<Vec<String>, Error> {
    let mut words = words.into_iter();
    let name = words.next().flatten().unwrap_or_default();
    if id == NO_HANDLE {
        return run_without_handle(registry, &name, words.collect());
    }
    match (name.as_str(), registry.either(id)?) {
        ("messages", Entry::Source(open)) => {
            Ok(flat(open.value.source.messages().into_iter().map(|m| [level(m.level.as_str()), m.text])))
        }
        ("messages", Entry::Sink(open)) => {
            Ok(flat(open.value.sink.messages().into_iter().map(|m| [level(m.level.as_str()), m.text])))
        }
        ("stop-fetching", Entry::Source(open)) => {
            let _context = open.runtime.handle().enter();
            open.value.source.stop_fetching();
            Ok(Vec::new())
        }
        ("may-commit", Entry::Source(open)) => {
            Ok(vec![open.may_commit(&words.next().flatten().unwrap_or_default())?.to_string()])
        }
        ("credentials", Entry::Source(open)) => {
            let (id, secret) = (words.next().flatten(), words.next().flatten());
            let (Some(access_key_id), Some(secret)) = (id, secret) else {
                return Err(Error::Argument("credentials lack a key id or a secret".to_owned()));
            };
            open.value.source.set_credentials(Keys {
                access_key_id,
                secret_access_key: SecretString::from(secret),
                session_token: words.next().flatten().map(SecretString::from),
                expires_ms: words.next().flatten().and_then(|ms| ms.parse().ok()),
            });
            Ok(Vec::new())
        }
        ("no-credentials", Entry::Source(open)) => {
            open.value.source.credentials_unavailable(&words.next().flatten().unwrap_or_default());
            Ok(Vec::new())
        }
        ("counters", Entry::Source(open)) => Ok(counted(open.value.source.counters())),
        ("counters", Entry::Sink(open)) => Ok(counted(open.value.sink.counters())),
        ("ready", Entry::Sink(open)) => {
            let mut number = || words.next().flatten().and_then(|text| text.parse::<u32>().ok());
            let (Some(most), Some(millis)) = (number(), number()) else {
                return Err(Error::Argument("ready needs a count and milliseconds".to_owned()));
            };
            Ok(open.ready(most, Duration::from_millis(millis.into()).min(LONGEST_WAIT)))
        }
        ("pieces", Entry::Sink(open)) => open.pieces(&words.next().flatten().unwrap_or_default()),
        ("hurry", Entry::Sink(open)) => {
            open.value.sink.hurry();
            Ok(Vec::new())
        }
        ("abandon", Entry::Sink(open)) => {
            let _context = open.runtime.handle().enter();
            open.value.abandon(&words.next().flatten().unwrap_or_default())?;
            Ok(Vec::new())
        }
        _ => Err(Error::UnknownCommand(name)),
    }
}

fn counted(counters: Vec<(&'static str, u64)>) -> Vec<String> {
    flat(counters.into_iter().map(|(name, added)| [name.to_owned(), added.to_string()]))
}

fn run_without_handle(
    registry: &Registry,
    name: &str,
    words: Vec<Option<String>>,
) -> Result<Vec<String>, Error> {
    match name {
        "verify-source" => {
            let config = SourceConfig::from_properties(&pairs::to_map(words)?)?;
            let findings = within(registry, "verification", VERIFY_LIMIT, Source::verify(&config))?;
            Ok(flat(findings.into_iter().map(|f| [f.step, f.outcome.as_str().to_owned(), f.explanation])))
        }
        "verify-sink" => {
            let properties: BTreeMap<_, _> = pairs::to_map(words)?;
            let config = SinkConfig::from_properties(&properties)?;
            let findings = within(registry, "verification", VERIFY_LIMIT, Sink::verify(&config))?;
            Ok(flat(findings.into_iter().map(|f| [f.step, f.outcome.as_str().to_owned(), f.explanation])))
        }
        "deregister" => {
            let config = SourceConfig::from_properties(&pairs::to_map(words)?)?;
            let said = within(registry, "deregistration", DEREGISTER_LIMIT, Source::deregister(&config))?;
            Ok(flat(said.into_iter().map(|m| [level(m.level.as_str()), m.text])))
        }
        _ => testing::run(registry, name, &words),
    }
}

/// State of a source or sink as JSON text.
pub(crate) fn status(registry: &Registry, id: i64) -> Result<Vec<u8>, Error> {
    let status = match registry.either(id)? {
        Entry::Source(open) => open.value.source.status(),
        Entry::Sink(open) => open.value.sink.status(),
    };
    Ok(status.to_string().into_bytes())
}

/// Closes a source or sink. No later call finds it; one that is under way ends on its own within its wait.
pub(crate) fn close(registry: &Registry, id: i64, grace: Duration) {
    let grace = grace.min(LONGEST_GRACE);
    match registry.remove(id) {
        Some(Entry::Source(open)) => {
            open.runtime.handle().block_on(bounded(grace, open.value.source.close(grace)));
        }
        Some(Entry::Sink(open)) => {
            open.runtime.handle().block_on(bounded(grace, open.value.sink.close(grace)));
        }
        None => {}
    }
}

/// A last guard around code that promises to be in time itself.
async fn bounded(grace: Duration, close: impl Future<Output = ()>) {
    if tokio::time::timeout(grace + Duration::from_secs(1), close).await.is_err() {
        tracing::warn!("closing took longer than {} ms and was cut short", grace.as_millis());
    }
}

/// Waits on the caller's thread for a future that needs the runtime, but no handle.
pub(crate) fn within<T>(
    registry: &Registry,
    what: &'static str,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Result<T, Error> {
    let runtime = registry.runtime().lease()?;
    runtime
        .handle()
        .block_on(async { tokio::time::timeout(limit, future).await })
        .map_err(|_| Error::TimedOut(what, limit.as_secs()))
}

fn level(name: &str) -> String {
    name.to_ascii_uppercase()
}

fn flat<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Vec<String> {
    rows.flatten().collect()
}
