//! The offset token of a row: a value found by a JSON Pointer.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::object::is_key;
use crate::sharded::ShardedNumber;

/// Why a row has no offset token. Texts never hold a part of the row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// The pointer is neither empty nor begins with `/` (RFC 6901).
    #[error("the record pointer does not begin with a slash")]
    Pointer,
    /// The row has nothing there.
    #[error("the row has no value at the record pointer")]
    Missing,
    /// The value is neither a whole number in plain digits nor a string of digits.
    #[error("the value at the record pointer is not a decimal number")]
    NotDecimal,
    /// The row is not valid JSON.
    #[error("the row is not valid JSON at column {0}")]
    Syntax(usize),
}

/// The number at `pointer` (RFC 6901, for example `/kinesisMetadata/shardedSequenceNumber`) of one NDJSON row, written
/// as a number or as a string. Of duplicate names the last counts, as in most readers of JSON.
///
/// # Errors
/// When the pointer is malformed, the row is not JSON, or has no such number.
pub fn row_token(row: &[u8], pointer: &str) -> Result<ShardedNumber, TokenError> {
    let mut value: &RawValue =
        serde_json::from_slice(row).map_err(|error| TokenError::Syntax(error.column()))?;
    if !pointer.is_empty() {
        for token in pointer.strip_prefix('/').ok_or(TokenError::Pointer)?.split('/') {
            value = step(value, &unescape(token)).ok_or(TokenError::Missing)?;
        }
    }
    digits(value.get()).ok_or(TokenError::NotDecimal)?.parse().map_err(|_| TokenError::NotDecimal)
}

/// The content of a JSON string, or the text of any other value.
fn digits(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix('"') {
        Some(_) if value.contains('\\') => serde_json::from_str(value).ok().map(Cow::Owned),
        Some(rest) => rest.strip_suffix('"').map(Cow::Borrowed),
        None => Some(Cow::Borrowed(value)),
    }
}

fn unescape(token: &str) -> Cow<'_, str> {
    match token.contains('~') {
        true => Cow::Owned(token.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(token),
    }
}

fn step<'a>(value: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let mut json = serde_json::Deserializer::from_str(value.get());
    match value.get().as_bytes().first()? {
        b'{' => json.deserialize_map(Member(name)).ok()?,
        b'[' => json.deserialize_seq(Element(array_index(name)?)).ok()?,
        _ => None,
    }
}

/// RFC 6901: an index has no leading zeros.
fn array_index(name: &str) -> Option<usize> {
    match name {
        "0" => Some(0),
        _ if name.starts_with(['0', '+']) => None,
        _ => name.parse().ok(),
    }
}

struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value = map.next_value()?;
            if is_key(key, self.0) {
                found = Some(value);
            }
        }
        Ok(found)
    }
}

struct Element(usize);

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        for _ in 0..self.0 {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = seq.next_element()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(row: &str, pointer: &str) -> Result<String, TokenError> {
        row_token(row.as_bytes(), pointer).map(|number| number.to_string())
    }

    #[test]
    fn numbers_and_strings_are_tokens() {
        let row = r#"{"a":{"n":[1,"22",{"x":"\u0033\u0033"}]},"s~/":7,"kinesisMetadata":{"shardedSequenceNumber":"4959033827149025660800000000000000000000"},"":8}"#;
        let cases = [
            ("/a/n/0", "1"),
            ("/a/n/1", "22"),
            ("/a/n/2/x", "33"),
            ("/s~0~1", "7"),
            ("/", "8"),
            ("/kinesisMetadata/shardedSequenceNumber", "4959033827149025660800000000000000000000"),
        ];
        for (pointer, expected) in cases {
            assert_eq!(token(row, pointer).as_deref(), Ok(expected), "{pointer}");
        }
        assert_eq!(token("12", "").as_deref(), Ok("12"));
    }

    #[test]
    fn the_last_of_duplicate_names_counts() {
        assert_eq!(token(r#"{"n":1,"\u006e":2}"#, "/n").as_deref(), Ok("2"));
    }

    #[test]
    fn what_is_no_number_is_named() {
        let row = r#"{"f":1.5,"e":1e3,"m":-1,"o":{},"a":[1],"t":"x","z":null}"#;
        for pointer in ["/f", "/e", "/m", "/o", "/a", "/t", "/z", ""] {
            assert_eq!(token(row, pointer), Err(TokenError::NotDecimal), "{pointer}");
        }
        for pointer in ["/none", "/a/1", "/a/00", "/a/-", "/f/x", "/"] {
            assert_eq!(token(row, pointer), Err(TokenError::Missing), "{pointer}");
        }
        assert_eq!(token(row, "f"), Err(TokenError::Pointer));
        assert!(matches!(token("{", "/f"), Err(TokenError::Syntax(_))));
    }
}
