//! Errors out of CBOR bodies, retries, and the switch to JSON for servers without CBOR.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cbor_support;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::StalledStreamProtectionConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use cbor_support::server::{Reply, Server, reply};
use cbor_support::value::{Value, map, open_map, text};
use cbor_support::{CBOR, JSON, client, config, error, page, record};
use kinesis::cbor::{KinesisProtocol, WireFormat};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const EMPTY: &str = r#"{"Records":[],"NextShardIterator":"n"}"#;

type Answer = Result<GetRecordsOutput, SdkError<GetRecordsError>>;

async fn get(client: &Client) -> Answer {
    client.get_records().shard_iterator("it").send().await
}

async fn failure(answer: impl Fn() -> Reply + Send + Sync + 'static) -> GetRecordsError {
    let server = Server::start(move |_, _| answer()).await;
    let (client, protocol) = client(&server, WireFormat::Cbor);
    let error = get(&client).await.unwrap_err().into_service_error();
    assert!(protocol.polls_in_cbor(), "an error in CBOR is no reason to leave CBOR");
    error
}

async fn named(kind: &'static str) -> GetRecordsError {
    let error = failure(move || reply(400, CBOR, error(kind, "why"))).await;
    assert_eq!(error.code(), Some(kind));
    assert_eq!(error.message(), Some("why"));
    error
}

#[tokio::test]
async fn errors_are_typed() {
    use GetRecordsError as E;
    assert!(matches!(named("ExpiredIteratorException").await, E::ExpiredIteratorException(_)));
    assert!(matches!(named("ResourceNotFoundException").await, E::ResourceNotFoundException(_)));
    assert!(matches!(named("InvalidArgumentException").await, E::InvalidArgumentException(_)));
    assert!(matches!(named("AccessDeniedException").await, E::AccessDeniedException(_)));
    assert!(matches!(named("KMSAccessDeniedException").await, E::KmsAccessDeniedException(_)));
    assert!(matches!(named("KMSDisabledException").await, E::KmsDisabledException(_)));
    assert!(matches!(named("KMSInvalidStateException").await, E::KmsInvalidStateException(_)));
    assert!(matches!(named("KMSNotFoundException").await, E::KmsNotFoundException(_)));
    assert!(matches!(named("KMSOptInRequired").await, E::KmsOptInRequired(_)));
    assert!(matches!(named("KMSThrottlingException").await, E::KmsThrottlingException(_)));
    assert!(matches!(
        named("ProvisionedThroughputExceededException").await,
        E::ProvisionedThroughputExceededException(_)
    ));
}

#[tokio::test]
async fn an_error_is_named_by_its_header_before_its_body() {
    let body = || error("SomethingElse", "why");
    let expired = "com.amazonaws.kinesis#ExpiredIteratorException:http://internal.amazon.com/";
    let error = failure(move || reply(400, CBOR, body()).with("x-amzn-errortype", expired)).await;
    assert!(error.is_expired_iterator_exception());
    assert_eq!(error.message(), Some("why"));

    let error = failure(|| reply(400, "", "").with("x-amzn-ErrorType", "KMSNotFoundException")).await;
    assert!(error.is_kms_not_found_exception(), "also without a body: {}", error.code().unwrap_or("-"));
}

#[tokio::test]
async fn an_error_is_named_by_the_members_that_servers_use() {
    let body = open_map([
        ("Extra", Value::OpenArray(vec![Value::Null])),
        ("code", text("com.amazonaws.kinesis#ResourceNotFoundException")),
        ("Message", text("no such stream")),
    ])
    .encode();
    let error = failure(move || reply(400, CBOR, body.clone())).await;
    assert!(error.is_resource_not_found_exception());
    assert_eq!(error.message(), Some("no such stream"));

    let unknown = failure(|| reply(400, CBOR, cbor_support::error("BrandNewException", "x"))).await;
    assert_eq!(unknown.code(), Some("BrandNewException"));
}

/// Answers with `first` once and with an empty page after that; the call must succeed at its second attempt.
async fn retried(first: impl Fn() -> Reply + Send + Sync + 'static) {
    let server = Server::start(move |number, _| match number {
        0 => first(),
        _ => reply(200, CBOR, page(vec![record("1", 1, b"{}")])),
    })
    .await;
    let protocol = KinesisProtocol::new(WireFormat::Cbor);
    let config = config(&server, &protocol)
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(1)).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let output = get(&Client::from_conf(config.build())).await.unwrap();
    assert_eq!(output.records().len(), 1);
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].body, asked[1].body);
    assert_eq!(asked[1].header("content-type"), CBOR, "a passing failure is no reason to leave CBOR");
    assert!(protocol.polls_in_cbor());
}

#[tokio::test]
async fn throttles_and_server_errors_are_retried() {
    retried(|| reply(400, CBOR, error("ProvisionedThroughputExceededException", "slow down"))).await;
    retried(|| reply(400, CBOR, error("LimitExceededException", "slow down"))).await;
    retried(|| reply(500, CBOR, error("InternalFailureException", "oops"))).await;
    retried(|| reply(503, "text/html", "<html>busy</html>")).await;
    retried(|| reply(502, "", "")).await;
}

#[tokio::test]
async fn truncated_and_stalled_bodies_are_retried() {
    let whole = || reply(200, CBOR, page(vec![record("1", 1, &[b'x'; 5_000])]));
    retried(move || whole().cut()).await;
    retried(move || whole().stalled()).await;
}

#[tokio::test]
async fn a_body_that_ends_early_is_never_a_short_page() {
    let body = page(vec![record("1", 1, b"{}"), record("2", 2, b"{}")]);
    for end in [0, 1, 20, body.len() - 1] {
        let part = body[..end].to_vec();
        let server = Server::start(move |_, _| reply(200, CBOR, part.clone())).await;
        let (client, _) = client(&server, WireFormat::Cbor);
        assert!(get(&client).await.is_err(), "the first {end} bytes were believed");
    }
}

#[tokio::test]
async fn an_answer_in_json_without_records_is_not_the_end_of_a_shard() {
    for format in [WireFormat::Cbor, WireFormat::Json] {
        for body in ["{}", "", r#"{"NextShardIterator":"n"}"#] {
            let server = Server::start(move |_, _| reply(200, JSON, body)).await;
            let (client, _) = client(&server, format);
            assert!(get(&client).await.is_err(), "{format:?} believed {body:?}");
        }
    }
}

#[tokio::test]
async fn errors_tell_nothing_of_the_records() {
    let secret = b"secret payload";
    let mut body = page(vec![record("1", 1, secret)]);
    body.truncate(body.len() - 30);
    let server = Server::start(move |_, _| reply(200, CBOR, body.clone())).await;
    let (client, _) = client(&server, WireFormat::Cbor);
    let error = get(&client).await.unwrap_err();
    let told = aws_sdk_kinesis::error::DisplayErrorContext(&error).to_string();
    assert!(!told.split("Response").next().unwrap().contains("secret payload"), "{told}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        assert!(!error.to_string().contains("secret"), "{error}");
        cause = error.source();
    }
}

/// A server that speaks JSON only, and answers a CBOR request with `refusal`.
async fn json_server(refusal: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |_, asked| match asked.header("content-type") {
        JSON => reply(200, JSON, EMPTY),
        _ => refusal(),
    })
    .await
}

#[tokio::test]
async fn an_answer_in_json_is_understood_and_the_next_request_is_json() {
    let server = json_server(|| {
        reply(200, JSON, r#"{"Records":[{"SequenceNumber":"7","Data":"e30=","PartitionKey":"k"}]}"#)
    })
    .await;
    let (client, protocol) = client(&server, WireFormat::Cbor);
    assert_eq!(get(&client).await.unwrap().records()[0].data().as_ref(), b"{}");
    assert!(!protocol.polls_in_cbor());
    assert_eq!(get(&client).await.unwrap().next_shard_iterator(), Some("n"));
    let formats: Vec<String> = server.asked().iter().map(|a| a.header("content-type").to_owned()).collect();
    assert_eq!(formats, [CBOR, JSON]);
}

#[tokio::test]
async fn a_refused_call_is_repeated_in_json_at_once() {
    let refusals: [fn() -> Reply; 5] = [
        || reply(400, JSON, r#"{"__type":"SerializationException"}"#),
        || reply(404, "application/xml", "<UnknownOperationException/>"),
        || reply(415, "", ""),
        || reply(200, "text/html", "<html>login</html>"),
        // Payloads as base64 text inside CBOR, as one emulator sends them.
        || reply(200, CBOR, page(vec![map([("SequenceNumber", text("1")), ("Data", text("e30="))])])),
    ];
    for refusal in refusals {
        let server = json_server(refusal).await;
        let (client, protocol) = client(&server, WireFormat::Cbor);
        let output = protocol.call(|| get(&client)).await.unwrap();
        assert_eq!(output.next_shard_iterator(), Some("n"));
        assert_eq!(server.asked().last().unwrap().header("content-type"), JSON);
    }
}

#[tokio::test]
async fn a_call_that_fails_for_itself_is_not_repeated() {
    let server = Server::start(|_, _| reply(400, CBOR, error("ExpiredIteratorException", "old"))).await;
    let (client, protocol) = client(&server, WireFormat::Cbor);
    assert!(protocol.call(|| get(&client)).await.is_err());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn errors_in_json_are_typed_too() {
    let server =
        Server::start(|_, _| reply(400, JSON, r#"{"__type":"ExpiredIteratorException","message":"old"}"#))
            .await;
    let (client, protocol) = client(&server, WireFormat::Cbor);
    for _ in 0..2 {
        let error = get(&client).await.unwrap_err().into_service_error();
        assert!(error.is_expired_iterator_exception());
        assert_eq!(error.message(), Some("old"));
        assert!(!protocol.polls_in_cbor());
    }
}

#[tokio::test]
async fn the_switch_to_json_is_logged_once_for_all_calls() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = json_server(|| reply(400, JSON, r#"{"__type":"UnknownOperationException"}"#)).await;
    let (client, protocol) = client(&server, WireFormat::Cbor);
    let calls = (0..16).map(|_| protocol.call(|| get(&client)));
    for answer in futures::future::join_all(calls).await {
        assert!(answer.is_ok());
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("does not speak CBOR").count(), 1, "{text}");
    assert!(text.contains("GetRecords") && text.contains("answered in JSON"), "{text}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
