//! SubscribeToShard: requests in the format that is asked for, events in the format that comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cbor_support;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{
    ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};
use aws_smithy_types::DateTime;
use cbor_support::server::{Reply, Server, reply};
use cbor_support::value::{Value, map, open_map, text};
use cbor_support::{CBOR, JSON, client, error, frames, record};
use kinesis::cbor::{WireFormat, epoch_millis};

const STREAM: &str = "application/vnd.amazon.eventstream";
/// A time whose JSON form, seconds with a fraction, is just below the millisecond when read as binary.
const START_MS: i64 = 1_762_333_935_307;
const JSON_EVENT: &str = r#"{"Records":[{"SequenceNumber":"9","Data":"e30=","PartitionKey":"k",
    "ApproximateArrivalTimestamp":1762333935.307}],"ContinuationSequenceNumber":"9","MillisBehindLatest":0}"#;

fn cbor_event(records: Vec<Value>) -> Vec<u8> {
    let payload = open_map([
        ("Records", Value::OpenArray(records)),
        ("ContinuationSequenceNumber", text("123")),
        ("MillisBehindLatest", Value::Uint(7)),
        ("ChildShards", Value::Null),
    ]);
    frames::event("SubscribeToShardEvent", CBOR, &payload.encode())
}

fn initial_response() -> Vec<u8> {
    frames::event("initial-response", JSON, b"{}")
}

fn stream(frames: &[Vec<u8>]) -> Reply {
    reply(200, STREAM, frames.concat())
}

async fn subscribe(client: &Client) -> SubscribeToShardOutput {
    let start = StartingPosition::builder()
        .r#type(ShardIteratorType::AtTimestamp)
        .timestamp(DateTime::from_millis(START_MS))
        .build()
        .unwrap();
    let call = client.subscribe_to_shard().consumer_arn("arn").shard_id("shard").starting_position(start);
    call.send().await.unwrap()
}

async fn next(output: &mut SubscribeToShardOutput) -> SubscribeToShardEvent {
    match output.event_stream.recv().await.unwrap().unwrap() {
        SubscribeToShardEventStream::SubscribeToShardEvent(event) => event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn events_in_cbor_are_read() {
    let records = vec![record("1", 1_762_333_935_307, b"{\"a\":1}"), record("2", 1, b"")];
    let frames = [initial_response(), cbor_event(records), cbor_event(vec![])];
    let server = Server::start(move |_, _| stream(&frames)).await;
    let (client, protocol) = client(&server, WireFormat::CborEverywhere);
    let mut output = subscribe(&client).await;
    let event = next(&mut output).await;
    assert_eq!(event.records().len(), 2);
    assert_eq!(event.records()[0].data().as_ref(), b"{\"a\":1}");
    let arrival = event.records()[0].approximate_arrival_timestamp().unwrap();
    assert_eq!(epoch_millis(arrival), START_MS);
    assert_eq!(event.continuation_sequence_number(), "123");
    assert_eq!(event.millis_behind_latest(), 7);
    assert!(next(&mut output).await.records().is_empty(), "an event without records tells the progress");
    assert!(output.event_stream.recv().await.unwrap().is_none());
    assert!(protocol.subscribes_in_cbor());
}

#[tokio::test]
async fn records_of_one_event_share_one_allocation() {
    let records = (0..50).map(|i| record(&i.to_string(), 1, &[b'x'; 1_000])).collect();
    let frames = [initial_response(), cbor_event(records)];
    let server = Server::start(move |_, _| stream(&frames)).await;
    let (client, _) = client(&server, WireFormat::CborEverywhere);
    let event = next(&mut subscribe(&client).await).await;
    let starts: Vec<usize> = event.records().iter().map(|r| r.data().as_ref().as_ptr() as usize).collect();
    // As far apart as in the body: the payload and the few members around it.
    assert!(starts.windows(2).all(|pair| (1_000..1_200).contains(&(pair[1] - pair[0]))), "{starts:?}");
}

#[tokio::test]
async fn a_start_in_time_is_sent_in_milliseconds() {
    let server = Server::start(|_, _| stream(&[initial_response()])).await;
    let (client, _) = client(&server, WireFormat::CborEverywhere);
    subscribe(&client).await;
    let asked = &server.asked()[0];
    assert_eq!(asked.header("content-type"), CBOR);
    assert_eq!(asked.header("x-amz-target"), "Kinesis_20131202.SubscribeToShard");
    let start = Value::Tag(1, Box::new(Value::Uint(START_MS.try_into().unwrap())));
    let expected = open_map([
        ("ConsumerARN", text("arn")),
        ("ShardId", text("shard")),
        ("StartingPosition", open_map([("Type", text("AT_TIMESTAMP")), ("Timestamp", start)])),
    ]);
    assert_eq!(asked.body, expected.encode());
}

#[tokio::test]
async fn by_default_subscriptions_are_json_and_events_of_both_formats_are_read() {
    let json = frames::event("SubscribeToShardEvent", JSON, JSON_EVENT.as_bytes());
    let frames = [initial_response(), json, cbor_event(vec![record("1", 1, b"{}")])];
    let server = Server::start(move |_, _| stream(&frames)).await;
    let (client, protocol) = client(&server, WireFormat::Cbor);
    assert!(!protocol.subscribes_in_cbor());
    let mut output = subscribe(&client).await;
    let event = next(&mut output).await;
    assert_eq!(event.records()[0].data().as_ref(), b"{}");
    let arrival = event.records()[0].approximate_arrival_timestamp().unwrap();
    assert_eq!(epoch_millis(arrival), START_MS);
    assert_eq!(next(&mut output).await.continuation_sequence_number(), "123");
    let asked = &server.asked()[0];
    assert_eq!(asked.header("content-type"), JSON);
    assert!(String::from_utf8_lossy(&asked.body).contains(r#""Timestamp":1762333935.307"#));
    assert!(protocol.polls_in_cbor(), "what fan-out finds out says nothing about polling");
}

#[tokio::test]
async fn a_server_that_streams_json_is_asked_in_json_next_time() {
    let json = frames::event("SubscribeToShardEvent", JSON, JSON_EVENT.as_bytes());
    let frames = [initial_response(), json];
    let server = Server::start(move |_, _| stream(&frames)).await;
    let (client, protocol) = client(&server, WireFormat::CborEverywhere);
    assert_eq!(next(&mut subscribe(&client).await).await.records().len(), 1);
    assert!(!protocol.subscribes_in_cbor());
    assert!(protocol.polls_in_cbor());
    assert_eq!(next(&mut subscribe(&client).await).await.records().len(), 1);
    let formats: Vec<String> = server.asked().iter().map(|a| a.header("content-type").to_owned()).collect();
    assert_eq!(formats, [CBOR, JSON]);
}

#[tokio::test]
async fn the_json_of_an_initial_response_is_no_refusal() {
    let frames = [initial_response(), cbor_event(vec![])];
    let server = Server::start(move |_, _| stream(&frames)).await;
    let (client, protocol) = client(&server, WireFormat::CborEverywhere);
    next(&mut subscribe(&client).await).await;
    assert!(protocol.subscribes_in_cbor());
}

#[tokio::test]
async fn exceptions_in_a_stream_are_typed_in_both_formats() {
    for (format, payload) in [
        (CBOR, error("ResourceInUseException", "taken over")),
        (JSON, br#"{"__type":"ResourceInUseException","message":"taken over"}"#.to_vec()),
    ] {
        let frames = [initial_response(), frames::exception("ResourceInUseException", format, &payload)];
        let server = Server::start(move |_, _| stream(&frames)).await;
        let (client, _) = client(&server, WireFormat::CborEverywhere);
        let mut output = subscribe(&client).await;
        let error = output.event_stream.recv().await.unwrap_err().into_service_error();
        assert!(matches!(&error, SubscribeToShardEventStreamError::ResourceInUseException(e)
            if e.message() == Some("taken over")));
        assert_eq!(error.meta().code(), Some("ResourceInUseException"));
    }
}

#[tokio::test]
async fn a_null_is_a_member_that_is_not_there() {
    let payload = map([
        ("Records", Value::Array(vec![])),
        ("ContinuationSequenceNumber", text("123")),
        ("MillisBehindLatest", Value::Null),
    ]);
    let frames = [initial_response(), frames::event("SubscribeToShardEvent", CBOR, &payload.encode())];
    let server = Server::start(move |_, _| stream(&frames)).await;
    let (client, _) = client(&server, WireFormat::CborEverywhere);
    assert_eq!(next(&mut subscribe(&client).await).await.millis_behind_latest(), 0);
}

#[tokio::test]
async fn a_refused_subscription_is_typed() {
    let server = Server::start(|_, _| reply(400, CBOR, error("ResourceInUseException", "once in 5 s"))).await;
    let (client, _) = client(&server, WireFormat::CborEverywhere);
    let answer = client.subscribe_to_shard().consumer_arn("arn").shard_id("s").send().await;
    let error = answer.unwrap_err().into_service_error();
    assert!(error.is_resource_in_use_exception());
}

#[tokio::test]
async fn an_event_without_its_place_in_the_shard_is_an_error() {
    for payload in [vec![], map([("Records", Value::Array(vec![]))]).encode()] {
        let frames = [initial_response(), frames::event("SubscribeToShardEvent", CBOR, &payload)];
        let server = Server::start(move |_, _| stream(&frames)).await;
        let (client, _) = client(&server, WireFormat::CborEverywhere);
        assert!(subscribe(&client).await.event_stream.recv().await.is_err());
    }
}
