//! Where log lines of all crates go: into one ring that Java drains.

use std::collections::BTreeMap;
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, Once};

use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

use crate::log_ring::LogRing;

/// Crates whose level the user chooses. Others are heard from `WARN` on, so that nobody's debug output of requests,
/// which may hold credentials, gets into a log.
const OURS: [&str; 4] = ["bridge", "kinesis", "snowpipe", "record"];

/// The ring of this loaded copy of the library.
pub(crate) fn ring() -> &'static LogRing {
    static RING: LazyLock<LogRing> = LazyLock::new(LogRing::default);
    &RING
}

/// Starts logging at the level of the setting `log-level` (default info); only the first call counts.
pub(crate) fn init(settings: &BTreeMap<String, String>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let level =
            settings.get("log-level").and_then(|text| text.trim().parse().ok()).unwrap_or(Level::INFO);
        let lines = tracing_subscriber::fmt::layer()
            .without_time()
            .with_ansi(false)
            .with_writer(ring().clone())
            .with_filter(targets(level));
        // A second subscriber in one process would be a test's own; it then hears the events instead.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
        let _ = log::set_logger(&Facade).map(|()| log::set_max_level(log::LevelFilter::Warn));
        std::panic::set_hook(Box::new(log_panic));
    });
}

fn targets(level: Level) -> Targets {
    OURS.iter().fold(Targets::new().with_default(LevelFilter::WARN), |targets, name| {
        targets.with_target(*name, level)
    })
}

/// The exception that Java gets has the text of a panic; the place and the calls are here.
fn log_panic(info: &PanicHookInfo<'_>) {
    let trace = std::backtrace::Backtrace::force_capture();
    let thread = std::thread::current();
    tracing::error!(target: "bridge", "{info} (thread {})\n{trace}", thread.name().unwrap_or("without a name"));
}

/// Lines of crates that use `log` instead of `tracing`.
struct Facade;

impl log::Log for Facade {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            ring().push(&format!("{} {}: {}", record.level(), record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(level: Level, event: impl FnOnce()) -> String {
        let ring = LogRing::default();
        let lines = tracing_subscriber::fmt::layer()
            .without_time()
            .with_ansi(false)
            .with_writer(ring.clone())
            .with_filter(targets(level));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), event);
        String::from_utf8(ring.drain(10_000)).unwrap()
    }

    #[test]
    fn a_line_is_level_and_text() {
        let text = heard(Level::INFO, || {
            tracing::info!(target: "kinesis::lease", shard = "shardId-000000000001", "lease\ntaken");
        });
        assert_eq!(text, "INFO kinesis::lease: lease | taken shard=\"shardId-000000000001\"\n");
    }

    #[test]
    fn debug_output_of_other_crates_is_never_heard() {
        let text = heard(Level::TRACE, || {
            tracing::debug!(target: "hyper::client", "authorization: secret");
            tracing::warn!(target: "aws_config", "no region");
            tracing::trace!(target: "snowpipe::append", "sent");
        });
        assert_eq!(text, "WARN aws_config: no region\nTRACE snowpipe::append: sent\n");
    }
}
