//! AWS's CBOR protocol (`application/x-amz-cbor-1.1`): the JSON protocol's shapes with binary payloads.
//!
//! Payloads are byte strings, and instants are tag 1 over *milliseconds*, unlike plain CBOR's seconds. So the
//! JSON form carries everything once payloads are base64 and instants are seconds.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minicbor::data::{Tag, Type};
use minicbor::encode::Write;
use minicbor::{Decoder, Encoder};
use serde_json::{Map, Number, Value};

/// Content type of the protocol.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-cbor-1.1";

/// Deeper than any request of the services.
const MAX_DEPTH: usize = 32;

/// Members that hold instants in answers.
const INSTANTS: &[&str] =
    &["ApproximateArrivalTimestamp", "ConsumerCreationTimestamp", "StreamCreationTimestamp"];

/// Encodes into memory, which cannot fail.
pub(crate) fn encode(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Encoded) -> Vec<u8> {
    let mut out = Vec::new();
    match write(&mut Encoder::new(&mut out)) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}

pub(crate) type Encoded = Result<(), minicbor::encode::Error<Infallible>>;

/// An instant in milliseconds.
pub(crate) fn instant<W: Write<Error = Infallible>>(encoder: &mut Encoder<W>, ms: i64) -> Encoded {
    encoder.tag(Tag::new(1))?.i64(ms).map(drop)
}

/// A JSON answer in CBOR.
pub(crate) fn value<W: Write<Error = Infallible>>(encoder: &mut Encoder<W>, json: &Value) -> Encoded {
    match json {
        Value::Null => encoder.null().map(drop),
        Value::Bool(flag) => encoder.bool(*flag).map(drop),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => encoder.i64(whole).map(drop),
            None => encoder.f64(number.as_f64().unwrap_or_default()).map(drop),
        },
        Value::String(text) => encoder.str(text).map(drop),
        Value::Array(items) => {
            encoder.array(items.len() as u64)?;
            items.iter().try_for_each(|item| value(encoder, item))
        }
        Value::Object(members) => {
            encoder.map(members.len() as u64)?;
            for (name, member) in members {
                encoder.str(name)?;
                match member.as_f64() {
                    Some(seconds) if INSTANTS.contains(&name.as_str()) => {
                        #[allow(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
                        instant(encoder, (seconds * 1000.0).round() as i64)?;
                    }
                    _ => value(encoder, member)?,
                }
            }
            Ok(())
        }
    }
}

/// A CBOR request as JSON; `None` when it cannot be read.
pub(crate) fn to_json(body: &[u8]) -> Option<Vec<u8>> {
    if body.is_empty() {
        return Some(b"{}".to_vec());
    }
    let mut decoder = Decoder::new(body);
    let json = read(&mut decoder, MAX_DEPTH)?;
    (decoder.position() == body.len()).then(|| json.to_string().into_bytes())
}

fn read(decoder: &mut Decoder<'_>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match decoder.datatype().ok()? {
        Type::Null | Type::Undefined => {
            decoder.skip().ok()?;
            Value::Null
        }
        Type::Bool => decoder.bool().ok()?.into(),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => decoder.u64().ok()?.into(),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => decoder.i64().ok()?.into(),
        Type::F16 | Type::F32 | Type::F64 => Value::Number(Number::from_f64(decoder.f64().ok()?)?),
        Type::Bytes | Type::BytesIndef => {
            let mut bytes = Vec::new();
            for part in decoder.bytes_iter().ok()? {
                bytes.extend_from_slice(part.ok()?);
            }
            STANDARD.encode(bytes).into()
        }
        Type::String | Type::StringIndef => text(decoder)?.into(),
        Type::Array | Type::ArrayIndef => {
            let length = decoder.array().ok()?;
            let mut items = Vec::new();
            while more(decoder, length, items.len())? {
                items.push(read(decoder, depth)?);
            }
            Value::Array(items)
        }
        Type::Map | Type::MapIndef => {
            let length = decoder.map().ok()?;
            let mut members = Map::new();
            let mut count = 0;
            while more(decoder, length, count)? {
                let name = text(decoder)?;
                members.insert(name, read(decoder, depth)?);
                count += 1;
            }
            Value::Object(members)
        }
        Type::Tag => {
            let tag = decoder.tag().ok()?;
            let tagged = read(decoder, depth)?;
            match tagged.as_f64() {
                Some(ms) if tag == Tag::new(1) => Value::Number(Number::from_f64(ms / 1000.0)?),
                _ => tagged,
            }
        }
        _ => return None,
    })
}

fn text(decoder: &mut Decoder<'_>) -> Option<String> {
    decoder.str_iter().ok()?.collect::<Result<String, _>>().ok()
}

/// Whether a collection of this length has another item; consumes the break of an open one.
fn more(decoder: &mut Decoder<'_>, length: Option<u64>, seen: usize) -> Option<bool> {
    match length {
        Some(length) => Some((seen as u64) < length),
        None if decoder.datatype().ok()? == Type::Break => {
            decoder.skip().ok()?;
            Some(false)
        }
        None => Some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_read_with_bytes_and_milliseconds() {
        let body = encode(|e| {
            e.begin_map()?.str("Data")?.bytes(b"\x00\xff")?.str("Timestamp")?;
            instant(e, 1_763_900_000_123)?;
            e.str("Limit")?.u32(5)?.str("List")?.begin_array()?.str("a")?.end()?.end().map(drop)
        });
        let json: Value = serde_json::from_slice(&to_json(&body).expect("readable")).expect("JSON");
        assert_eq!(
            json,
            json!({ "Data": "AP8=", "Timestamp": 1_763_900_000.123, "Limit": 5, "List": ["a"] })
        );
        assert_eq!(to_json(&body[..body.len() - 1]), None);
        assert_eq!(to_json(b""), Some(b"{}".to_vec()));
    }

    #[test]
    fn answers_carry_instants_in_milliseconds() {
        let body = encode(|e| value(e, &json!({ "StreamCreationTimestamp": 1.5, "Open": 3 })));
        let mut decoder = Decoder::new(&body);
        assert_eq!(decoder.map().expect("map"), Some(2));
        let members: Vec<_> = (0..2)
            .map(|_| {
                let name = decoder.str().expect("name").to_owned();
                let tag =
                    (decoder.datatype().expect("type") == Type::Tag).then(|| decoder.tag().expect("tag"));
                (name, tag, decoder.i64().expect("number"))
            })
            .collect();
        assert!(members.contains(&("StreamCreationTimestamp".into(), Some(Tag::new(1)), 1_500)));
        assert!(members.contains(&("Open".into(), None, 3)));
    }
}
