//! The SDK's own decoder is the judge of what an event says.

use super::*;
use crate::cbor::decode::CborDeserializer;
use aws_sdk_kinesis::types::SubscribeToShardEvent;
use aws_smithy_json::protocol::aws_json_rpc::AwsJsonRpcProtocol;
use aws_smithy_schema::protocol::ClientProtocolInner;
use aws_smithy_schema::serde::ShapeDeserializer;
use proptest::prelude::*;

/// What is used of an event: number, key, arrival and payload of each record, continuation, how far behind.
type Said = (Vec<(String, Option<String>, Option<i64>, Vec<u8>)>, String, i64);

fn said(from: &mut dyn ShapeDeserializer) -> Option<Said> {
    let event = SubscribeToShardEvent::deserialize(from).ok()?;
    let records = event.records.into_iter().map(|r| {
        let arrival = r.approximate_arrival_timestamp.as_ref().map(epoch_millis);
        (r.sequence_number, r.partition_key, arrival, r.data.into_inner())
    });
    Some((records.collect(), event.continuation_sequence_number, event.millis_behind_latest))
}

/// Whether the event was transcribed; then it says what the SDK reads.
fn agrees(text: &str) -> bool {
    let Some(event) = transcribe(text.as_bytes()) else { return false };
    let json = AwsJsonRpcProtocol::aws_json_1_1();
    let mut sdk = json.payload_codec().unwrap().create_deserializer(text.as_bytes());
    let theirs = said(&mut *sdk);
    assert_eq!(said(&mut CborDeserializer::new(event, None)), theirs, "{text}");
    assert!(theirs.is_some(), "{text}");
    true
}

fn event(records: &str, rest: &str) -> String {
    format!(r#"{{"Records":[{records}],"ContinuationSequenceNumber":"123","MillisBehindLatest":7{rest}}}"#)
}

const RECORD: &str = r#"{"SequenceNumber":"9","Data":"e30=","PartitionKey":"k","ApproximateArrivalTimestamp":1762333935.307,"EncryptionType":"NONE"}"#;

#[test]
fn usual_events_are_transcribed() {
    for text in [
        event("", ""),
        event(RECORD, ""),
        event(&format!("{RECORD},{RECORD}"), r#","ChildShards":null"#),
        event(RECORD, r#","Newer":{"a":[1,"x"]}"#),
        event(&RECORD.replace("\"k\"", r#""a\"\u00e9é\\""#), ""),
        event(&RECORD.replace("1762333935.307", "1762333935"), ""),
        event(&RECORD.replace("1762333935.307", "1.762333935307E9"), ""),
        event(&RECORD.replace("1762333935.307", "null"), ""),
        event(&RECORD.replace("e30=", ""), ""),
    ] {
        assert!(agrees(&text), "{text}");
    }
}

#[test]
fn others_are_left_to_the_sdk() {
    for text in [
        String::new(),
        "{}".to_owned(),
        event(RECORD, r#","ChildShards":[{"ShardId":"shardId-1","ParentShards":[],"HashKeyRange":{}}]"#),
        event(&RECORD.replace("e30=", "e30"), ""),
        event(&RECORD.replace("e30=", "e3 0="), ""),
        event(&RECORD.replace("e30=", "e31="), ""),
        event(&RECORD.replace("\"e30=\"", "null"), ""),
        event(&RECORD.replace("\"9\"", "9"), ""),
        event(RECORD, "").replace("\"123\"", "null"),
        event(RECORD, "").replace("\"MillisBehindLatest\":7", "\"MillisBehindLatest\":\"7\""),
        event(RECORD, "").replace("}]", "}"),
    ] {
        assert!(transcribe(text.as_bytes()).is_none(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_payload_arrives_as_it_was(data in prop::collection::vec(any::<u8>(), 0..200), ms in 0..4_000_000_000_000i64) {
        let text = aws_smithy_types::base64::encode(&data);
        let seconds = format!("{}.{:03}", ms / 1_000, ms % 1_000);
        let text = event(&RECORD.replace("e30=", &text).replace("1762333935.307", &seconds), "");
        prop_assert!(agrees(&text));
        let (records, ..) = said(&mut CborDeserializer::new(transcribe(text.as_bytes()).unwrap(), None)).unwrap();
        prop_assert_eq!((records[0].2, &records[0].3), (Some(ms), &data));
    }
}
