//! Rules of the boundary that need no JVM: kinds of handles, closing, bounded waits.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::command;
use crate::error::Error;
use crate::registry::Registry;

const CLOSED: i32 = 9;

/// Takes connections and never says a word; ends with the test.
struct BlackHole {
    address: SocketAddr,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl BlackHole {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            for connection in listener.incoming() {
                held.push(connection);
                if ends.load(std::sync::atomic::Ordering::Acquire) {
                    break;
                }
            }
            held.len()
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Release);
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn source(endpoint: &str) -> kinesis::SourceConfig {
    kinesis::SourceConfig::from_properties(&map(&[
        ("Stream Name", "orders"),
        ("Application Name", "orders-app"),
        ("Region", "us-west-2"),
        ("AWS Access Key ID", "AKIDEXAMPLE"),
        ("AWS Secret Access Key", "not-a-secret"),
        ("Consumer Type", "SHARED_THROUGHPUT"),
        ("Endpoint Override URL", endpoint),
        ("Node Id", "node-1"),
    ]))
    .unwrap()
}

fn sink(endpoint: &str) -> snowpipe::SinkConfig {
    snowpipe::SinkConfig::from_properties(&map(&[
        ("Account", "LOCAL"),
        ("User", "CONNECTOR"),
        ("Private Key", "not a key"),
        ("Snowflake Endpoint Override URL", endpoint),
        ("Offset Tracking Resolution", "FLOW_FILE"),
    ]))
    .unwrap()
}

fn words(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

fn code<T>(result: Result<T, Error>) -> i32 {
    result.err().map_or(0, |error| error.code())
}

#[test]
fn a_handle_of_the_other_kind_and_a_closed_one_are_not_open() {
    let registry = Registry::default();
    let source = registry.open_source(source("http://127.0.0.1:9")).unwrap();
    let sink = registry.open_sink(sink("https://127.0.0.1:9")).unwrap();
    assert_eq!(code(registry.source(source)), 0);
    assert_eq!(code(registry.sink(sink)), 0);
    for wrong in [sink, 0, -1, i64::MAX] {
        assert_eq!(code(registry.source(wrong)), CLOSED);
    }
    for wrong in [source, 0, -1, i64::MIN] {
        assert_eq!(code(registry.sink(wrong)), CLOSED);
    }
    for id in [source, sink] {
        command::close(&registry, id, Duration::ZERO);
        command::close(&registry, id, Duration::ZERO);
        assert_eq!(code(registry.either(id)), CLOSED);
        assert_eq!(code(command::status(&registry, id)), CLOSED);
        assert_eq!(code(command::run(&registry, id, words(&["messages"]))), CLOSED);
    }
    assert!(
        registry.open_sink(self::sink("https://127.0.0.1:9")).unwrap() > sink,
        "ids are never used again"
    );
}

#[test]
fn what_is_not_outstanding_is_not_found() {
    let registry = Registry::default();
    let source = registry.source(registry.open_source(source("http://127.0.0.1:9")).unwrap()).unwrap();
    let sink = registry.sink(registry.open_sink(sink("https://127.0.0.1:9")).unwrap()).unwrap();
    assert_eq!(code(source.value.slice(1, 0, 0, 10)), 6);
    assert_eq!(code(source.value.slice(-1, -1, -1, 10)), 6);
    assert_eq!(code(source.settle(1, true)), 6);
    assert_eq!(code(source.settle(-1, true)), 1);
    assert_eq!(code(sink.advance(1, Duration::ZERO)), 6);
    assert_eq!(code(sink.write(1, Some(b"{}\n"))), 6);
    assert_eq!(code(sink.write(1, None)), 6);
    assert_eq!(code(sink.advance(-1, Duration::ZERO)), 1);
}

#[test]
fn commands_belong_to_a_kind() {
    let registry = Registry::default();
    let source = registry.open_source(source("http://127.0.0.1:9")).unwrap();
    let sink = registry.open_sink(sink("https://127.0.0.1:9")).unwrap();
    let run = |id, texts: &[&str]| command::run(&registry, id, words(texts));
    for level in run(source, &["messages"]).unwrap().iter().step_by(2) {
        assert!(["ERROR", "WARN", "INFO"].contains(&level.as_str()), "{level}");
    }
    assert!(run(source, &["stop-fetching"]).unwrap().is_empty());
    assert!(run(sink, &["abandon", "12"]).unwrap().is_empty());
    assert_eq!(code(run(sink, &["abandon", "twelve"])), 1);
    assert_eq!(code(run(source, &["may-commit", "12"])), 6, "no such batch");
    assert_eq!(code(run(source, &["may-commit"])), 1);
    assert_eq!(code(run(sink, &["may-commit", "12"])), 99);
    assert_eq!(code(run(sink, &["stop-fetching"])), 99);
    assert_eq!(code(run(source, &["abandon", "1"])), 99);
    assert_eq!(code(run(0, &["messages"])), 99);
    assert_eq!(code(run(0, &[])), 99);
    assert_eq!(code(run(0, &["verify-source", "Stream Name"])), 1);
    assert_eq!(code(run(0, &["verify-sink", "Account", ""])), 1);
    assert_eq!(code(run(0, &["panic", "not without the environment's permission"])), 99);
}

#[test]
fn callers_see_exceptions_only_while_another_thread_closes() {
    let registry = Registry::default();
    let id = registry.open_source(source("http://127.0.0.1:9")).unwrap();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let deadline = Instant::now() + Duration::from_secs(30);
                    while Instant::now() < deadline {
                        let call = registry.source(id).and_then(|open| open.poll(Duration::from_millis(5)));
                        let code = code(call.and_then(|_| command::status(&registry, id)));
                        if code != 0 {
                            return code;
                        }
                    }
                    0
                })
            })
            .collect();
        command::close(&registry, id, Duration::from_millis(100));
        for caller in callers {
            assert_eq!(caller.join().unwrap(), CLOSED);
        }
    });
}

#[test]
fn endpoints_that_never_answer_hold_up_neither_opening_nor_polling_nor_closing() {
    let hole = BlackHole::start();
    let registry = Registry::default();
    let begun = Instant::now();
    let source = registry.open_source(source(&format!("http://{}", hole.address))).unwrap();
    let sink = registry.open_sink(sink(&format!("https://{}", hole.address))).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "opening returns at once");
    let begun = Instant::now();
    assert!(registry.source(source).unwrap().poll(Duration::from_millis(50)).unwrap().is_none());
    assert!(begun.elapsed() < Duration::from_secs(1), "a wait is bounded");
    for id in [source, sink] {
        let begun = Instant::now();
        command::close(&registry, id, Duration::from_millis(500));
        assert!(begun.elapsed() < Duration::from_secs(4), "closing took {:?}", begun.elapsed());
    }
}
