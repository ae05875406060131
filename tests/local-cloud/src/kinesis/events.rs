//! Frames of `application/vnd.amazon.eventstream`: lengths, headers, payload, two checksums.

use bytes::Bytes;

/// Content type of the answer that carries the frames.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Header values are text, type 7.
const TEXT: u8 = 7;

/// What a frame is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    /// `:event-type` of an event.
    Event(&'a str),
    /// `:exception-type` of an exception, after which the stream ends.
    Exception(&'a str),
}

/// Encodes one frame whose payload has this content type.
pub(crate) fn frame(kind: Kind<'_>, content_type: &str, payload: &[u8]) -> Bytes {
    let mut headers = Vec::with_capacity(128);
    let (message, name, value) = match kind {
        Kind::Event(event) => ("event", ":event-type", event),
        Kind::Exception(exception) => ("exception", ":exception-type", exception),
    };
    header(&mut headers, ":message-type", message);
    header(&mut headers, name, value);
    header(&mut headers, ":content-type", content_type);
    let mut out = Vec::with_capacity(headers.len() + payload.len() + 16);
    out.extend_from_slice(&length(headers.len() + payload.len() + 16));
    out.extend_from_slice(&length(headers.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    Bytes::from(out)
}

fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
    out.push(TEXT);
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value.as_bytes());
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}
