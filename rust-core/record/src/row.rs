//! One payload becomes one NDJSON row, or is rejected with the reason.

use memchr::memchr2_iter;
use serde_json::error::Category;
use thiserror::Error;

use crate::metadata::{ArrivalFormat, METADATA_KEY, Metadata};
use crate::object::{Object, scan};

/// Why a payload is no row. Texts never hold a part of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reject {
    /// No bytes, or white space only.
    #[error("the payload is empty")]
    Empty,
    /// A byte order mark stands in front; JSON text must not begin with one (RFC 8259, 8.1).
    #[error("the payload begins with a byte order mark")]
    ByteOrderMark,
    /// Not text.
    #[error("the payload is not valid UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Bytes before the first invalid one.
        offset: usize,
    },
    /// JSON perhaps, but an array, a string, a number, `true`, `false` or `null`; or no JSON at all.
    #[error("the payload is not a JSON object, it begins like {0}")]
    NotAnObject(&'static str),
    /// An object is followed by something else than white space.
    #[error("the payload has more than one JSON object, or text after it: {0}")]
    Trailing(String),
    /// The object has no end.
    #[error("the payload is a JSON object cut short: {0}")]
    CutShort(String),
    /// Anything else that the grammar of JSON forbids.
    #[error("the payload is not valid JSON: {0}")]
    Syntax(String),
}

/// Appends `payload`, which must be one JSON object, to `out` as one row with one line feed at the end.
///
/// The producer's bytes stay as they are, except: white space around the object goes, line breaks between tokens become
/// spaces, and with `metadata` a last member `"kinesisMetadata":{…}` is spliced in; first-level members of the
/// producer's with that name, in any case (Snowflake's columns know no case), are taken out, as Apache NiFi's Inject
/// Metadata replaces them.
/// Duplicate names, lone surrogate escapes, numbers of any size and any depth of nesting pass unchanged.
///
/// # Errors
/// When the payload is not exactly one JSON object in UTF-8; `out` is unchanged then.
pub fn append_row(
    payload: &[u8],
    metadata: Option<&Metadata<'_>>,
    format: ArrivalFormat,
    out: &mut Vec<u8>,
) -> Result<(), Reject> {
    let object = check(payload)?;
    let Some(metadata) = metadata else {
        append_flat(&payload[object.span], object.breaks, out);
        out.push(b'\n');
        return Ok(());
    };
    let start = out.len();
    // One reservation for the common case: names and keys of the metadata take less than this.
    out.reserve(object.span.len() + 512);
    append_members(payload, &object, out);
    if object.has_members {
        out.push(b',');
    }
    finish(metadata.append_member(format, out), b"}\n", start, out)
}

/// Appends `{"kinesisMetadata":{…},"value":<payload>}` and a line feed: Apache NiFi's Output Strategy "Use Wrapper".
///
/// # Errors
/// As [`append_row`].
pub fn append_wrapped(
    payload: &[u8],
    metadata: &Metadata<'_>,
    format: ArrivalFormat,
    out: &mut Vec<u8>,
) -> Result<(), Reject> {
    let object = check(payload)?;
    let start = out.len();
    out.reserve(object.span.len() + 512);
    out.push(b'{');
    let written = metadata.append_member(format, out);
    out.extend_from_slice(b",\"value\":");
    append_flat(&payload[object.span], object.breaks, out);
    finish(written, b"}\n", start, out)
}

/// Writing into memory does not fail; if it ever did, the row is taken back rather than left in half.
fn finish(written: std::io::Result<()>, end: &[u8], start: usize, out: &mut Vec<u8>) -> Result<(), Reject> {
    if written.is_err() {
        out.truncate(start);
        return Err(Reject::Syntax(format!("{METADATA_KEY} could not be written")));
    }
    out.extend_from_slice(end);
    Ok(())
}

/// The object without its closing brace and without the members that the metadata replaces.
fn append_members(payload: &[u8], object: &Object, out: &mut Vec<u8>) {
    let mut from = object.span.start;
    for cut in &object.cuts {
        append_flat(&payload[from..cut.start], object.breaks, out);
        from = cut.end;
    }
    append_flat(&payload[from..object.span.end - 1], object.breaks, out);
}

/// Copies `bytes`, line breaks as spaces, if there may be any. In valid JSON a raw line break stands only between tokens.
fn append_flat(bytes: &[u8], breaks: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytes);
    if !breaks {
        return;
    }
    for at in memchr2_iter(b'\n', b'\r', bytes) {
        out[start + at] = b' ';
    }
}

fn check(payload: &[u8]) -> Result<Object, Reject> {
    match payload.iter().copied().find(|byte| !is_white_space(*byte)) {
        Some(b'{') => {
            let text = std::str::from_utf8(payload)
                .map_err(|error| Reject::NotUtf8 { offset: error.valid_up_to() })?;
            scan(text).map_err(|error| explain(&error))
        }
        None => Err(Reject::Empty),
        Some(_) if payload.starts_with(b"\xEF\xBB\xBF") => Err(Reject::ByteOrderMark),
        Some(first) => Err(not_utf8(payload).unwrap_or_else(|| Reject::NotAnObject(looks_like(first)))),
    }
}

fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn looks_like(first: u8) -> &'static str {
    match first {
        b'[' => "an array",
        b'"' => "a string",
        b'-' | b'0'..=b'9' => "a number",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "no JSON value",
    }
}

fn not_utf8(payload: &[u8]) -> Option<Reject> {
    std::str::from_utf8(payload).err().map(|error| Reject::NotUtf8 { offset: error.valid_up_to() })
}

fn explain(error: &serde_json::Error) -> Reject {
    // The parser's texts for syntax name the rule and the place and hold no input.
    let text = error.to_string();
    match error.classify() {
        Category::Eof => Reject::CutShort(text),
        Category::Syntax if text.starts_with("trailing characters") => Reject::Trailing(text),
        Category::Syntax => Reject::Syntax(text),
        Category::Data | Category::Io => {
            Reject::Syntax(format!("line {} column {}", error.line(), error.column()))
        }
    }
}
