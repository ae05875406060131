//! JSON read as slices of its text, so that numbers keep their digits.

use std::borrow::Cow;
use std::fmt::Write;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

/// Kind of a JSON value, by its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// Kind of the value that `raw` (valid JSON without surrounding space) holds.
pub(crate) fn kind(raw: &str) -> Kind {
    match raw.as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') | None => Kind::Null,
        Some(_) => Kind::Number,
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

struct Members<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de str)> Visitor<'de> for Members<F> {
    type Value = ();
    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            (self.0)(key, value.get());
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
    type Value = ();
    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a JSON array")
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(value) = elements.next_element::<&RawValue>()? {
            (self.0)(value.get());
        }
        Ok(())
    }
}

/// Calls `each` with every member of the one JSON object in `text`, in order.
pub(crate) fn members<'a>(text: &'a str, each: impl FnMut(Cow<'a, str>, &'a str)) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Members(each))?;
    deserializer.end()
}

/// Calls `each` with every element of the one JSON array in `text`.
pub(crate) fn elements<'a>(text: &'a str, each: impl FnMut(&'a str)) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_seq(Elements(each))?;
    deserializer.end()
}

/// The member called exactly `name`; the last of several.
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    members(object, |key, value| {
        if key == name {
            found = Some(value);
        }
    })
    .ok()?;
    found
}

/// The array element at `index`.
pub(crate) fn element(array: &str, index: usize) -> Option<&str> {
    let mut found = None;
    let mut at = 0;
    elements(array, |value| {
        if at == index {
            found = Some(value);
        }
        at += 1;
    })
    .ok()?;
    found
}

/// A JSON value as plain text: a string without quotes and escapes, anything else as written.
pub(crate) fn text_of(raw: &str) -> Cow<'_, str> {
    if kind(raw) != Kind::String {
        return Cow::Borrowed(raw);
    }
    match serde_json::from_str::<Key<'_>>(raw) {
        Ok(Key(text)) => text,
        Err(_) => Cow::Borrowed(raw),
    }
}

/// The form in which Snowflake shows and compares semi-structured values: no spaces, keys sorted, the last of equal
/// keys kept; numbers as written.
pub(crate) fn canonical(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    write_canonical(raw, &mut out);
    out
}

fn write_canonical(raw: &str, out: &mut String) {
    match kind(raw) {
        Kind::Object => {
            let mut sorted = std::collections::BTreeMap::new();
            let _ = members(raw, |key, value| {
                sorted.insert(key, value);
            });
            out.push('{');
            for (index, (key, value)) in sorted.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", serde_json::Value::from(key.as_ref()));
                write_canonical(value, out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            let mut first = true;
            let _ = elements(raw, |value| {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                write_canonical(value, out);
            });
            out.push(']');
        }
        _ => out.push_str(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_without_touching_numbers() {
        let text =
            r#"{"a":{"n":12345678901234567890123456789012345678.50},"b":[1,"x\ny",null],"a\u0062":true}"#;
        assert_eq!(
            member(member(text, "a").unwrap(), "n"),
            Some("12345678901234567890123456789012345678.50")
        );
        let array = member(text, "b").unwrap();
        assert_eq!(element(array, 1).map(text_of).as_deref(), Some("x\ny"));
        assert_eq!(element(array, 3), None);
        assert_eq!(member(text, "ab"), Some("true"));
        assert_eq!(member("[1]", "a"), None);
        assert!(members("{} {}", |_, _| ()).is_err());
    }

    #[test]
    fn canonical_form_sorts_keys_and_keeps_the_last_duplicate() {
        assert_eq!(
            canonical(r#"{"b": 1.50, "a": [ 1, {"z":null,"y":"q\"" } ], "b": 2}"#),
            r#"{"a":[1,{"y":"q\"","z":null}],"b":2}"#
        );
    }
}
