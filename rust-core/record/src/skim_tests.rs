//! The library's parser is the judge of everything here.

use proptest::prelude::*;

use super::*;
use crate::object::parse;

/// Whatever is skimmed the parser accepts, and understands in the same way.
fn agrees(text: &str) -> Result<(), TestCaseError> {
    let Some(skimmed) = skim(text) else { return Ok(()) };
    let parsed = parse(text);
    prop_assert!(parsed.is_ok(), "{text:?}");
    let Ok(parsed) = parsed else { return Ok(()) };
    prop_assert_eq!((&parsed.span, parsed.has_members), (&skimmed.span, skimmed.has_members), "{:?}", text);
    prop_assert!(parsed.cuts.is_empty(), "{text:?}");
    let breaks = text[skimmed.span].contains(['\n', '\r']);
    prop_assert!(skimmed.breaks || !breaks, "{text:?}");
    Ok(())
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\n", "\r\n\t "])
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9 {}:,/.-]{0,12}",
        1 => "[é日\u{7f}\u{80}😀]{1,4}",
        1 => prop::sample::select(vec!["\\n", "\\\"", "\\\\", "\\/", "\\u0041", "\\uD800", "\\uabCD"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        string(),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?",
        prop::sample::select(vec!["true", "false", "null", "{}", "[]", "[ ]"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let element = (space(), inner.clone(), space()).prop_map(|(a, v, b)| format!("{a}{v}{b}"));
        prop_oneof![
            prop::collection::vec(element, 1..5).prop_map(|all| format!("[{}]", all.join(","))),
            object_of(inner),
        ]
    })
}

fn object_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member =
        (space(), string(), space(), space(), value).prop_map(|(a, k, b, c, v)| format!("{a}{k}{b}:{c}{v}"));
    (prop::collection::vec(member, 0..6), space())
        .prop_map(|(all, end)| format!("{{{}{end}}}", all.join(",")))
}

/// Bytes that mean something in JSON, and some that do not.
const TELLING: &[u8] = b"{}[]\",:\\u0019-+.eEtrufalsn/b \n\r\t\x00\x01\x1f\x7f\x0c\xc3\xa9kM";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn valid_objects_are_understood_as_the_parser_does(a in space(), object in object_of(value()), b in space()) {
        let text = format!("{a}{object}{b}");
        prop_assert!(parse(&text).is_ok(), "{text:?}");
        agrees(&text)?;
    }

    /// Every number of bytes is replaced, put in, taken out, or cut off behind.
    #[test]
    fn damaged_objects_are_never_taken_for_valid(
        object in object_of(value()),
        damages in prop::collection::vec((any::<prop::sample::Index>(), 0..TELLING.len(), 0..4u8), 1..4),
    ) {
        let mut bytes = object.into_bytes();
        for (at, with, what) in damages {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match what {
                0 => bytes[at] = TELLING[with],
                1 => bytes.insert(at, TELLING[with]),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            agrees(text)?;
        }
    }

    #[test]
    fn noise_is_never_taken_for_valid(noise in prop::collection::vec(0..TELLING.len(), 0..14)) {
        let mut bytes = b"{".to_vec();
        bytes.extend(noise.into_iter().map(|index| TELLING[index]));
        if let Ok(text) = std::str::from_utf8(&bytes) {
            agrees(text)?;
        }
    }
}

/// Every byte at every place of a word of eight, and at every distance from the end.
#[test]
fn each_byte_of_a_string_is_looked_at() {
    for length in 0..20 {
        for at in 0..length {
            for byte in 0..0x80u8 {
                let mut inner = vec![b'x'; length];
                inner[at] = byte;
                let text = format!("{{\"a\":\"{}\"}}", String::from_utf8(inner).unwrap());
                assert_eq!(skim(&text).is_some(), parse(&text).is_ok(), "{text:?}");
            }
        }
    }
}

#[test]
fn what_payloads_usually_are_is_skimmed() {
    let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    for text in [
        "{}",
        " { } \r\n",
        r#"{"a":1}"#,
        r#"{"id":"c-1","n":[1,-0.5e+3,{"x":[]},{}],"t":true,"f":false,"z":null,"s":"\u00e9 é"}"#,
        "{\n  \"a\": {\"é\": \"\\n\"},\n  \"b\": [\n  ]\n}",
        r#"{"a":{"kinesisMetadata":1}}"#,
        &deep(60),
    ] {
        assert!(skim(text).is_some(), "{text:?}");
        agrees(text).unwrap();
    }
    // Valid, and for the parser.
    for text in [
        r#"{"kinesismetadata":1}"#,
        r#"{"k\u0069":1}"#,
        r#"{"é":1}"#,
        &deep(62),
        &deep(63),
        &deep(64),
        &deep(300),
    ] {
        assert!(parse(text).is_ok(), "{text:?}");
        agrees(text).unwrap();
    }
    assert!(skim(r#"{"KinesisMetadata":1}"#).is_none() && skim(r#"{"k\u0069":1}"#).is_none());
    assert!(skim(&deep(300)).is_none());
}
