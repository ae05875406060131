//! The wire without an SDK: CBOR, and HTTP/2 with prior knowledge.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use local_cloud::{LocalCloud, Options};
use minicbor::data::{Tag, Type};
use minicbor::{Decoder, Encoder};

/// Sends a signed request and gives status, content type and body.
async fn send(
    cloud: &LocalCloud,
    client: &reqwest::Client,
    operation: &str,
    body: Vec<u8>,
) -> (u16, String, Vec<u8>) {
    let kind = "application/x-amz-cbor-1.1";
    let target = format!("Kinesis_20131202.{operation}");
    let url = format!("{}/", cloud.aws_endpoint());
    let identity =
        Credentials::new(cloud.access_key_id(), cloud.secret_access_key(), None, None, "test").into();
    let params = SigningParams::builder().identity(&identity).region(cloud.region()).name("kinesis");
    let params = params.time(SystemTime::now()).settings(SigningSettings::default()).build().expect("params");
    let headers = [("content-type", kind), ("x-amz-target", target.as_str())];
    let signable = SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(&body));
    let signed = sign(signable.expect("request"), &params.into()).expect("signature").into_parts().0;
    let mut request =
        client.post(&url).header("content-type", kind).header("x-amz-target", &target).body(body);
    for (name, value) in signed.headers() {
        request = request.header(name, value);
    }
    let answer = request.send().await.expect("answer");
    let content_type = answer.headers()["content-type"].to_str().expect("text").to_owned();
    (answer.status().as_u16(), content_type, answer.bytes().await.expect("body").to_vec())
}

fn map(members: &[(&str, &str)]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(members.len() as u64).expect("memory");
    for (name, value) in members {
        encoder.str(name).expect("memory").str(value).expect("memory");
    }
    encoder.into_writer()
}

/// Skips to the value of a member of the map at the decoder.
fn member<'b>(body: &'b [u8], name: &str) -> Decoder<'b> {
    let mut decoder = Decoder::new(body);
    let members = decoder.map().expect("map").expect("definite");
    for _ in 0..members {
        if decoder.str().expect("name") == name {
            return decoder;
        }
        decoder.skip().expect("value");
    }
    panic!("no member {name}");
}

#[tokio::test]
async fn cbor_carries_payloads_as_bytes_and_times_in_milliseconds() {
    let cloud = LocalCloud::start(Options::default()).await.expect("start");
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("client");
    cloud.kinesis().create_stream("s", 1).expect("create");
    let payload = b"\x00\xffnot text\x80";
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(3).expect("memory").str("StreamName").expect("memory").str("s").expect("memory");
    encoder.str("PartitionKey").expect("memory").str("k").expect("memory");
    encoder.str("Data").expect("memory").bytes(payload).expect("memory");
    let (status, kind, body) = send(&cloud, &client, "PutRecord", encoder.into_writer()).await;
    assert_eq!((status, kind.as_str()), (200, "application/x-amz-cbor-1.1"));
    let number = member(&body, "SequenceNumber").str().expect("text").to_owned();

    let before = local_cloud::Clock::system().now_ms();
    let start =
        [("StreamName", "s"), ("ShardId", "shardId-000000000000"), ("ShardIteratorType", "TRIM_HORIZON")];
    let (_, _, body) = send(&cloud, &client, "GetShardIterator", map(&start)).await;
    let iterator = member(&body, "ShardIterator").str().expect("text").to_owned();
    let (_, _, body) = send(&cloud, &client, "GetRecords", map(&[("ShardIterator", &iterator)])).await;
    assert_eq!(member(&body, "MillisBehindLatest").i64().expect("number"), 0);
    let mut records = member(&body, "Records");
    assert_eq!(records.array().expect("array"), Some(1));
    let record = &body[records.position()..];
    assert_eq!(member(record, "Data").bytes().expect("bytes"), payload);
    assert_eq!(member(record, "SequenceNumber").str().expect("text"), number);
    let mut arrival = member(record, "ApproximateArrivalTimestamp");
    assert_eq!((arrival.datatype().expect("type"), arrival.tag().expect("tag")), (Type::Tag, Tag::new(1)));
    let arrival = arrival.i64().expect("milliseconds");
    assert!((before - 10_000..=before).contains(&arrival), "{arrival} is shortly before {before}");

    let (status, kind, body) =
        send(&cloud, &client, "GetRecords", map(&[("ShardIterator", "nonsense")])).await;
    assert_eq!((status, kind.as_str()), (400, "application/x-amz-cbor-1.1"));
    assert_eq!(member(&body, "__type").str().expect("text"), "InvalidArgumentException");
    let (status, _, body) = send(&cloud, &client, "GetRecords", vec![0xff]).await;
    assert_eq!(status, 400);
    assert_eq!(member(&body, "__type").str().expect("text"), "SerializationException");
    cloud.stop().await;
}
