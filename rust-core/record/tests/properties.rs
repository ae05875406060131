//! Properties that hold for every payload, every number and every aggregate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::cmp::Ordering;

use bytes::Bytes;
use md5::{Digest, Md5};
use proptest::prelude::*;
use record::{
    ArrivalFormat, Expanded, Metadata, Position, SequenceNumber, ShardedNumber, append_row, append_wrapped,
    deaggregate, lines, row_token,
};
use serde_json::value::RawValue;

/// Digits of a number in base 10^9, least significant first: an order made without looking at text.
fn limbs(digits: &str) -> Vec<u32> {
    let mut limbs: Vec<u32> = digits
        .as_bytes()
        .rchunks(9)
        .map(|chunk| std::str::from_utf8(chunk).unwrap().parse().unwrap())
        .collect();
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
    limbs
}

fn numeric(left: &str, right: &str) -> Ordering {
    let (left, right) = (limbs(left), limbs(right));
    left.len().cmp(&right.len()).then_with(|| left.iter().rev().cmp(right.iter().rev()))
}

fn white_space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

fn json_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"([a-z/]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,12}\"",
    ]
}

fn json_key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => json_text(),
        1 => Just("\"kinesisMetadata\"".to_owned()),
        1 => Just("\"kinesis\\u004detadata\"".to_owned()),
    ]
}

fn json_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,50})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?",
        json_text(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), white_space())
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(&format!("{space},")))),
            prop::collection::vec((json_key(), inner, white_space()), 0..4).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value, space)| format!("{space}{key}{space}:{space}{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Members of an object as text: name, value, and white space to put between the tokens.
fn members() -> impl Strategy<Value = Vec<(String, String, String)>> {
    prop::collection::vec((json_key(), json_value(), white_space()), 0..6)
}

fn object(members: &[(String, String, String)]) -> String {
    let texts: Vec<_> = members
        .iter()
        .map(|(key, value, space)| format!("{space}{key}{space}:{space}{value}{space}"))
        .collect();
    format!("{{{}}}", texts.join(","))
}

fn is_ours(key: &str) -> bool {
    serde_json::from_str::<String>(key).is_ok_and(|key| key == "kinesisMetadata")
}

/// The first-level members of an object, as text.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Row<'a>(#[serde(borrow, deserialize_with = "pairs")] Vec<(&'a RawValue, &'a RawValue)>);

fn pairs<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Vec<(&'de RawValue, &'de RawValue)>, D::Error> {
    struct Pairs;
    impl<'de> serde::de::Visitor<'de> for Pairs {
        type Value = Vec<(&'de RawValue, &'de RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(pair) = map.next_entry()? {
                found.push(pair);
            }
            Ok(found)
        }
    }
    json.deserialize_map(Pairs)
}

fn flat(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

fn metadata<'a>(stream: &'a str, key: &'a str, sequence: &'a str, sub_sequence: u64) -> Metadata<'a> {
    Metadata {
        stream,
        shard_id: "shardId-000000000000",
        approximate_arrival_ms: Some(1),
        partition_key: key,
        sequence_number: sequence,
        sub_sequence_number: sub_sequence,
    }
}

proptest! {
    #[test]
    fn order_is_that_of_the_numbers(left in "[0-9]{1,80}", right in "[0-9]{1,80}", zeros in 0_usize..10) {
        let expected = numeric(&left, &right);
        let number = |text: &str| SequenceNumber::new(text).unwrap();
        prop_assert_eq!(number(&left).cmp(&number(&right)), expected);
        prop_assert_eq!(number(&left), number(&format!("{}{left}", "0".repeat(zeros))));
        let token = |text: &str| text.parse::<ShardedNumber>().unwrap();
        prop_assert_eq!(token(&left).cmp(&token(&right)), expected);
        prop_assert_eq!(number(&left).padded(80).cmp(&number(&right).padded(80)), expected);
    }

    #[test]
    fn order_of_positions_is_that_of_their_number_and_of_their_key(
        (left, right) in ("[1-9][0-9]{55}", "[1-9][0-9]{55}"), same: bool, low: u64, high: u64,
    ) {
        let right = if same { left.clone() } else { right };
        let left = Position::new(left.parse().unwrap(), low);
        let right = Position::new(right.parse().unwrap(), high);
        prop_assert_eq!(left.cmp(&right), left.sharded().cmp(&right.sharded()));
        prop_assert_eq!(left.cmp(&right), left.padded().cmp(&right.padded()));
        prop_assert_eq!(left.sharded().position(), Some(left));
    }

    #[test]
    fn members_survive_and_the_metadata_is_the_last(
        members in members(), stream: String, key: String, sequence in "[1-9][0-9]{0,60}", sub_sequence: u64,
    ) {
        let payload = object(&members);
        let metadata = metadata(&stream, &key, &sequence, sub_sequence);
        let mut out = b"before\n".to_vec();
        append_row(payload.as_bytes(), Some(&metadata), ArrivalFormat::Iso, &mut out).unwrap();
        let row = String::from_utf8(out).unwrap();
        let row = row.strip_prefix("before\n").unwrap().strip_suffix('\n').unwrap();
        prop_assert!(!row.contains(['\n', '\r']));
        let found: Row<'_> = serde_json::from_str(row).unwrap();
        let (last, users) = found.0.split_last().unwrap();
        let expected: Vec<_> = members
            .iter()
            .filter(|(key, ..)| !is_ours(key))
            .map(|(key, value, _)| (key.clone(), flat(value)))
            .collect();
        let users: Vec<_> = users.iter().map(|(key, value)| (key.get().to_owned(), value.get().to_owned())).collect();
        prop_assert_eq!(users, expected);
        prop_assert_eq!(last.0.get(), "\"kinesisMetadata\"");
        let fields: serde_json::Value = serde_json::from_str(last.1.get()).unwrap();
        prop_assert_eq!(fields["stream"].as_str(), Some(stream.as_str()));
        prop_assert_eq!(fields["partitionKey"].as_str(), Some(key.as_str()));
        prop_assert_eq!(fields["subSequenceNumber"].as_u64(), Some(sub_sequence));
        let token = row_token(row.as_bytes(), "/kinesisMetadata/shardedSequenceNumber").unwrap();
        prop_assert_eq!(token, Position::new(sequence.parse().unwrap(), sub_sequence).sharded());
    }

    #[test]
    fn a_value_is_the_payload_on_one_line(members in members(), before in white_space(), after in white_space()) {
        let object = object(&members);
        let payload = format!("{before}{object}{after}");
        let mut out = Vec::new();
        append_row(payload.as_bytes(), None, ArrivalFormat::Iso, &mut out).unwrap();
        prop_assert_eq!(std::str::from_utf8(&out).unwrap(), format!("{}\n", flat(&object)));
        out.clear();
        append_wrapped(payload.as_bytes(), &metadata("s", "k", "1", 0), ArrivalFormat::EpochMillis, &mut out).unwrap();
        let row = String::from_utf8(out).unwrap();
        let expected = format!(",\"value\":{}}}\n", flat(&object));
        prop_assert!(row.ends_with(&expected));
    }

    #[test]
    fn any_bytes_become_one_row_or_none(payload in prop::collection::vec(any::<u8>(), 0..64), brace: bool) {
        let payload = if brace { [b"{\"a\":", payload.as_slice(), b"}"].concat() } else { payload };
        let mut out = Vec::new();
        match append_row(&payload, Some(&metadata("s", "k", "1", 0)), ArrivalFormat::Iso, &mut out) {
            Ok(()) => {
                prop_assert_eq!(lines(&out).count(), 1);
                prop_assert!(serde_json::from_slice::<&RawValue>(&payload).is_ok());
            }
            Err(_) => prop_assert!(out.is_empty()),
        }
    }

    #[test]
    fn any_bytes_are_an_aggregate_or_themselves(body in prop::collection::vec(any::<u8>(), 0..64), sealed: bool) {
        let digest = if sealed { Md5::digest(&body).to_vec() } else { vec![0; 16] };
        let data = Bytes::from([b"\xF3\x89\x9A\xC2".as_slice(), &body, &digest].concat());
        if let Expanded::Plain(whole) = deaggregate(data.clone()) {
            prop_assert_eq!(whole, data);
        } else {
            prop_assert!(sealed);
        }
    }
}

#[test]
fn payloads_of_an_aggregate_share_its_bytes() {
    let payload = [b'x'; 1000];
    let record = [&[0x08, 0x00, 0x1A, 0xE8, 0x07], payload.as_slice()].concat();
    let body = [&[0x0A, 0x01, b'k', 0x1A, 0xED, 0x07], record.as_slice()].concat();
    let data = Bytes::from([b"\xF3\x89\x9A\xC2".as_slice(), &body, &Md5::digest(&body)].concat());
    let Expanded::Aggregate(records) = deaggregate(data.clone()) else { panic!("not an aggregate") };
    let parent = data.as_ptr_range();
    let slice = records[0].data.as_ptr_range();
    assert_eq!(records[0].data.len(), payload.len());
    assert!(parent.start <= slice.start && slice.end <= parent.end);
}
