//! GetRecords in CBOR: what is sent, what is understood, and that payloads are not copied.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cbor_support;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{ConfigBag, Credentials, Intercept, RuntimeComponents};
use aws_sdk_kinesis::operation::get_records::{GetRecords, GetRecordsOutput};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_schema::protocol::ClientProtocolInner;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::{DateTime, Format};
use cbor_support::server::{Asked, Server, reply};
use cbor_support::value::{Value, map, open_map, text};
use cbor_support::{ACCESS_KEY, CBOR, REGION, SECRET_KEY, client, config, page, record};
use kinesis::cbor::{KinesisProtocol, WireFormat};
use proptest::prelude::*;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

const ARRIVAL: u64 = 1_762_333_935_300;

async fn read(body: Vec<u8>) -> GetRecordsOutput {
    let server = Server::start(move |_, _| reply(200, CBOR, body.clone())).await;
    let (client, _) = client(&server, WireFormat::Cbor);
    client.get_records().shard_iterator("it").send().await.unwrap()
}

fn arrival_ms(output: &GetRecordsOutput, record: usize) -> i64 {
    output.records()[record].approximate_arrival_timestamp().unwrap().to_millis().unwrap()
}

#[tokio::test]
async fn a_page_of_definite_length_is_read() {
    let output = read(page(vec![record("1", ARRIVAL, b"{}"), record("2", ARRIVAL + 1, b"[1]")])).await;
    let records = output.records();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].sequence_number(), "1");
    assert_eq!(records[0].partition_key(), Some("key"));
    assert_eq!(records[0].data().as_ref(), b"{}");
    assert_eq!(records[1].data().as_ref(), b"[1]");
    assert_eq!(output.next_shard_iterator(), Some("next"));
    assert_eq!(output.millis_behind_latest(), Some(1_500));
    assert_eq!(arrival_ms(&output, 1), 1_762_333_935_301);
}

#[tokio::test]
async fn a_page_of_indefinite_length_is_read_with_unknown_members_nulls_and_chunks() {
    let nested = Value::OpenArray(vec![map([("x", Value::Tag(32, Box::new(text("u"))))]), Value::Null]);
    let record = open_map([
        ("Unknown", nested),
        ("SequenceNumber", Value::TextChunks(vec!["49".into(), "55".into()])),
        ("Data", Value::Chunks(vec![b"{\"a\"".to_vec(), b":1}".to_vec()])),
        ("PartitionKey", Value::Null),
        ("EncryptionType", text("KMS")),
        ("AnotherUnknown", Value::Bool(true)),
    ]);
    let body = Value::Tag(
        55_799,
        Box::new(open_map([
            ("ChildShards", Value::Null),
            ("Records", Value::OpenArray(vec![record])),
            ("NextShardIterator", Value::Null),
            ("Unknown", Value::Negative(5)),
        ])),
    );
    let output = read(body.encode()).await;
    let record = &output.records()[0];
    assert_eq!(record.sequence_number(), "4955");
    assert_eq!(record.data().as_ref(), b"{\"a\":1}");
    assert_eq!(record.partition_key(), None);
    assert_eq!(record.approximate_arrival_timestamp(), None);
    assert_eq!(record.encryption_type().unwrap().as_str(), "KMS");
    assert_eq!(output.next_shard_iterator(), None);
    assert_eq!(output.millis_behind_latest(), None);
}

#[tokio::test]
async fn the_end_of_a_shard_names_its_children() {
    let child = map([
        ("ShardId", text("shardId-000000000002")),
        ("ParentShards", Value::Array(vec![text("shardId-000000000000"), text("shardId-000000000001")])),
        ("HashKeyRange", map([("StartingHashKey", text("0")), ("EndingHashKey", text("9"))])),
    ]);
    let body = map([("Records", Value::Array(vec![])), ("ChildShards", Value::Array(vec![child]))]);
    let output = read(body.encode()).await;
    assert!(output.records().is_empty());
    let child = &output.child_shards()[0];
    assert_eq!(child.shard_id(), "shardId-000000000002");
    assert_eq!(child.parent_shards(), ["shardId-000000000000", "shardId-000000000001"]);
    assert_eq!(child.hash_key_range().unwrap().ending_hash_key(), "9");
}

#[tokio::test]
async fn arrival_times_are_milliseconds_in_every_number_format() {
    let with = |arrival: Value| {
        map([
            ("SequenceNumber", text("1")),
            ("Data", Value::Bytes(vec![])),
            ("ApproximateArrivalTimestamp", arrival),
        ])
    };
    let tagged = |value| with(Value::Tag(1, Box::new(value)));
    #[allow(clippy::cast_precision_loss, reason = "13 digits")]
    let float = ARRIVAL as f64;
    let output = read(page(vec![
        tagged(Value::Uint(ARRIVAL)),
        tagged(Value::F64(float)),
        tagged(Value::F64(float + 0.4)),
        with(Value::Uint(ARRIVAL)),
        tagged(Value::Negative(999)),
        tagged(Value::F32(1.5e12)),
    ]))
    .await;
    let times: Vec<i64> = (0..5).map(|i| arrival_ms(&output, i)).collect();
    let now = i64::try_from(ARRIVAL).unwrap();
    assert_eq!(times, [now, now, now, now, -1_000]);
    assert_eq!(arrival_ms(&output, 5) / 1_000_000_000, 1_500);
}

#[tokio::test]
async fn the_request_is_cbor_signed_and_addressed() {
    let server = Server::start(|_, _| reply(200, CBOR, page(vec![]))).await;
    let (client, _) = client(&server, WireFormat::Cbor);
    client.get_records().shard_iterator("iterator").limit(1_000).send().await.unwrap();

    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/"));
    assert_eq!(asked.header("content-type"), CBOR);
    assert_eq!(asked.header("content-length"), asked.body.len().to_string());
    assert_eq!(asked.header("x-amz-target"), "Kinesis_20131202.GetRecords");
    let expected = open_map([("ShardIterator", text("iterator")), ("Limit", Value::Uint(1_000))]);
    assert_eq!(asked.body, expected.encode());

    let authorization = asked.header("authorization");
    let (_, sent) = authorization.rsplit_once("Signature=").unwrap();
    assert_eq!(sent, signature(&server, asked, &asked.body));
    assert_ne!(sent, signature(&server, asked, b"another body"), "the signature covers the body");
}

/// The signature that AWS would compute over the request as it arrived.
fn signature(server: &Server, asked: &Asked, body: &[u8]) -> String {
    let authorization = asked.header("authorization");
    let signed = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    // The signer adds these two itself.
    let names = signed.split(';').filter(|name| !["host", "x-amz-date"].contains(name));
    let headers: Vec<(&str, &str)> = names.map(|name| (name, asked.header(name))).collect();
    assert!(headers.iter().any(|(name, _)| *name == "x-amz-target"));
    let stamp = asked.header("x-amz-date");
    let iso = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &stamp[..4],
        &stamp[4..6],
        &stamp[6..8],
        &stamp[9..11],
        &stamp[11..13],
        &stamp[13..15]
    );
    let time = SystemTime::try_from(DateTime::from_str(&iso, Format::DateTime).unwrap()).unwrap();
    let identity = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("kinesis")
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let url = format!("{}{}", server.url(), asked.path);
    let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body)).unwrap();
    sign(request, &params.into()).unwrap().signature().to_owned()
}

#[tokio::test]
async fn other_operations_stay_json() {
    let server =
        Server::start(|_, _| reply(200, cbor_support::JSON, r#"{"ShardIterator":"from 1762333935.3"}"#))
            .await;
    let (client, protocol) = client(&server, WireFormat::CborEverywhere);
    let output = client
        .get_shard_iterator()
        .stream_name("s")
        .shard_id("shardId-000000000000")
        .shard_iterator_type("AT_TIMESTAMP".into())
        .timestamp(DateTime::from_millis(1_762_333_935_300))
        .send()
        .await
        .unwrap();
    assert_eq!(output.shard_iterator(), Some("from 1762333935.3"));
    let asked = &server.asked()[0];
    assert_eq!(asked.header("content-type"), cbor_support::JSON);
    assert!(String::from_utf8_lossy(&asked.body).contains(r#""Timestamp":1762333935.3"#));
    assert!(protocol.polls_in_cbor() && protocol.subscribes_in_cbor(), "JSON was asked for here");
}

#[tokio::test]
async fn the_json_format_is_the_stock_protocol() {
    let body = r#"{"Records":[{"SequenceNumber":"1","Data":"e30=","PartitionKey":"k"}]}"#;
    let server = Server::start(move |_, _| reply(200, cbor_support::JSON, body)).await;
    let (client, protocol) = client(&server, WireFormat::Json);
    let output = client.get_records().shard_iterator("it").send().await.unwrap();
    assert_eq!(output.records()[0].data().as_ref(), b"{}");
    let asked = &server.asked()[0];
    assert_eq!(asked.header("content-type"), cbor_support::JSON);
    assert_eq!(asked.header("x-amz-target"), "Kinesis_20131202.GetRecords");
    assert_eq!(asked.body, r#"{"ShardIterator":"it"}"#.as_bytes());
    assert!(!protocol.polls_in_cbor());
}

/// Remembers where the loaded response body lies.
#[derive(Debug, Clone, Default)]
struct BodyAddress(Arc<Mutex<Option<Range<usize>>>>);

#[dyn_dispatch_hint]
impl Intercept for BodyAddress {
    fn name(&self) -> &'static str {
        "BodyAddress"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap() = context.response().body().bytes().map(addresses);
        Ok(())
    }
}

fn addresses(bytes: &[u8]) -> Range<usize> {
    let start = bytes.as_ptr() as usize;
    start..start + bytes.len()
}

#[tokio::test]
async fn payloads_are_slices_of_the_response_body() {
    let payload = vec![b'x'; 40_000];
    let records = (0..10).map(|i| record(&i.to_string(), ARRIVAL, &payload)).collect();
    let body = page(records);
    let server = Server::start(move |_, _| reply(200, CBOR, body.clone())).await;
    let seen = BodyAddress::default();
    let protocol = KinesisProtocol::new(WireFormat::Cbor);
    let client = Client::from_conf(config(&server, &protocol).interceptor(seen.clone()).build());
    let output = client.get_records().shard_iterator("it").send().await.unwrap();
    let whole = seen.0.lock().unwrap().clone().unwrap();
    assert!(whole.len() > 400_000);
    for record in output.records {
        // What a caller keeps: the payload as `Bytes`.
        let data = record.data.into_bytes();
        let part = addresses(&data);
        assert_eq!(data, payload);
        assert!(whole.start <= part.start && part.end <= whole.end, "{part:?} outside {whole:?}");
    }
}

fn decode(body: Vec<u8>) -> Option<GetRecordsOutput> {
    let response = Response::new(200.try_into().unwrap(), SdkBody::from(body));
    let cfg = ConfigBag::base();
    let protocol = KinesisProtocol::new(WireFormat::Cbor);
    let mut reader = protocol.deserialize_response(&response, GetRecords::OUTPUT_SCHEMA, &cfg).ok()?;
    GetRecordsOutput::deserialize(&mut *reader).ok()
}

/// One list of values in either of its two encodings.
fn array(open: bool, items: Vec<Value>) -> Value {
    if open { Value::OpenArray(items) } else { Value::Array(items) }
}

fn object(open: bool, members: Vec<(&str, Value)>) -> Value {
    let members = members.into_iter().map(|(name, value)| (text(name), value)).collect();
    if open { Value::OpenMap(members) } else { Value::Map(members) }
}

type Row = (u64, Vec<u8>, Option<String>, bool, bool);

fn encode((sequence, data, key, open, noise): &Row) -> Value {
    let mut members = vec![
        ("SequenceNumber", text(&sequence.to_string())),
        ("Data", Value::Bytes(data.clone())),
        ("PartitionKey", key.as_deref().map_or(Value::Null, text)),
        ("ApproximateArrivalTimestamp", Value::Tag(1, Box::new(Value::Uint(sequence >> 20)))),
    ];
    if *noise {
        members.insert(1, ("Noise", array(*open, vec![Value::Undefined, Value::F64(0.5)])));
    }
    object(*open, members)
}

proptest! {
    #[test]
    fn any_page_is_read_whole_or_not_at_all(
        rows in proptest::collection::vec(
            (any::<u64>(), proptest::collection::vec(any::<u8>(), 0..300),
             proptest::option::of("\\PC{0,40}"), any::<bool>(), any::<bool>()), 0..8),
        open in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let records = array(open, rows.iter().map(encode).collect());
        let body = object(open, vec![("NextShardIterator", text("n")), ("Records", records)]).encode();
        let output = decode(body.clone()).unwrap();
        prop_assert_eq!(output.records().len(), rows.len());
        for (record, (sequence, data, key, ..)) in output.records().iter().zip(&rows) {
            prop_assert_eq!(record.sequence_number(), sequence.to_string());
            prop_assert_eq!(record.data().as_ref(), &data[..]);
            prop_assert_eq!(record.partition_key(), key.as_deref());
        }
        let cut = cut.index(body.len());
        prop_assert!(decode(body[..cut].to_vec()).is_none(), "a page cut at byte {} was believed", cut);
    }

    #[test]
    fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut map = vec![0xbf];
        map.extend(&body);
        let _ = decode(body);
        let _ = decode(map);
    }
}

#[test]
fn an_answer_without_records_is_not_the_end_of_a_shard() {
    assert!(decode(map([("Records", Value::Array(vec![]))]).encode()).is_some());
    assert!(decode(map([]).encode()).is_none());
    assert!(decode(map([("Records", Value::Null)]).encode()).is_none());
    assert!(decode(vec![]).is_none());
}
