//! What a response body is, and its bytes without a copy.

use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Encoding of a body, told by its first bytes. A CBOR map cannot begin like JSON and the reverse, so the body is
/// the better witness than its content type, which some servers get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Cbor,
    Json,
    Empty,
    Other,
}

/// The "self-described CBOR" tag, RFC 8949 section 3.4.6.
const SELF_DESCRIBED: [u8; 3] = [0xd9, 0xd9, 0xf7];

impl Encoding {
    pub(super) fn of(body: &[u8]) -> Self {
        match body.first() {
            None => Self::Empty,
            // Major type 5: a map of definite or indefinite length.
            Some(0xa0..=0xbf) => Self::Cbor,
            Some(_) if body.starts_with(&SELF_DESCRIBED) => Self::Cbor,
            Some(_) => match body.trim_ascii_start().first() {
                None => Self::Empty,
                Some(b'{') => Self::Json,
                Some(_) => Self::Other,
            },
        }
    }
}

/// The loaded body of a response, sharing its allocation; empty when the body was handed over as a stream.
///
/// The SDK offers a loaded body as `&[u8]` only. A clone of an in-memory body gives its `Bytes` at the first poll.
pub(super) fn body(response: &Response) -> Bytes {
    let loaded = response.body().bytes().unwrap_or_default();
    response
        .body()
        .try_clone()
        .and_then(|clone| poll_once(ByteStream::new(clone)))
        .filter(|bytes| bytes.len() == loaded.len())
        .unwrap_or_else(|| Bytes::copy_from_slice(loaded))
}

fn poll_once(stream: ByteStream) -> Option<Bytes> {
    match pin!(stream).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(bytes))) => Some(bytes),
        _ => None,
    }
}
