//! HTTP answers of the two services.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;

use super::error::AwsError;
use super::faults::EventTrouble;
use crate::kinesis::{EVENT_STREAM, Format};
use crate::net::Connection;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Which service answers, and in which form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Kinesis(Format),
    DynamoDb,
}

impl Protocol {
    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::Kinesis(_) => "kinesis",
            Self::DynamoDb => "dynamodb",
        }
    }

    fn encode(self, json: &serde_json::Value) -> Bytes {
        match self {
            Self::Kinesis(format) => format.encode(json),
            Self::DynamoDb => Bytes::from(json.to_string()),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Kinesis(format) => format.content_type(),
            Self::DynamoDb => "application/x-amz-json-1.0",
        }
    }
}

/// An error body. DynamoDB's errors carry the names of the layers they come from.
pub(crate) fn render(protocol: Protocol, error: &AwsError) -> Bytes {
    let code = error.code.as_ref();
    let mut member = "message";
    let kind = match (protocol, code) {
        (Protocol::Kinesis(_), code) => code.to_owned(),
        (
            Protocol::DynamoDb,
            "AccessDeniedException"
            | "ExpiredTokenException"
            | "IncompleteSignatureException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "SerializationException"
            | "ThrottlingException"
            | "UnrecognizedClientException",
        ) => {
            if code == "AccessDeniedException" {
                member = "Message";
            }
            format!("com.amazon.coral.service#{code}")
        }
        (Protocol::DynamoDb, "ValidationException") => format!("com.amazon.coral.validate#{code}"),
        (Protocol::DynamoDb, code) => format!("com.amazonaws.dynamodb.v20120810#{code}"),
    };
    let json = serde_json::json!({ "__type": kind, member: error.message });
    protocol.encode(&json)
}

/// A whole answer.
pub(crate) fn answer(protocol: Protocol, status: u16, body: Bytes) -> Response<Body> {
    let sum = crc32fast::hash(&body);
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(protocol.content_type()));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    if protocol == Protocol::DynamoDb {
        headers.insert("x-amz-crc32", HeaderValue::from(sum));
    }
    response
}

/// The first half of an answer whose length is announced in full; then the connection is cut.
pub(crate) fn half(connection: &Connection, protocol: Protocol, status: u16, body: &Bytes) -> Response<Body> {
    let mut response = answer(protocol, status, Bytes::new());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let first = stream::iter([body.slice(..body.len() / 2)]);
    *response.body_mut() = streamed(first.chain(cut(connection)).boxed());
    response
}

/// An event stream, spoilt after some events when a fault says so.
pub(crate) fn events(
    connection: &Connection,
    protocol: Protocol,
    frames: BoxStream<'static, Bytes>,
    trouble: Option<(usize, EventTrouble)>,
) -> Response<Body> {
    let mut response = answer(protocol, 200, Bytes::new());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    *response.body_mut() = streamed(match trouble {
        None => frames,
        Some((after, trouble)) => spoil(connection, protocol, frames, after, trouble),
    });
    response
}

/// Lets the greeting and `after` events pass, then spoils the next one or what follows it.
fn spoil(
    connection: &Connection,
    protocol: Protocol,
    frames: BoxStream<'static, Bytes>,
    after: usize,
    trouble: EventTrouble,
) -> BoxStream<'static, Bytes> {
    let whole = after + 1;
    match trouble {
        EventTrouble::Exception(error) => {
            let payload = protocol.encode(&serde_json::json!({ "message": error.message }));
            let frame = crate::kinesis::exception_frame(protocol.content_type(), &error.code, &payload);
            frames.take(whole).chain(stream::iter([frame])).boxed()
        }
        EventTrouble::Silence => frames.take(whole).chain(stream::pending()).boxed(),
        EventTrouble::End => frames.take(whole).boxed(),
        EventTrouble::Cut => frames.take(whole).chain(cut(connection)).boxed(),
        EventTrouble::Duplicate => {
            let twice = move |(at, frame): (usize, Bytes)| {
                let times = if at == whole { 2 } else { 1 };
                stream::iter(std::iter::repeat_n(frame, times))
            };
            frames.enumerate().flat_map(twice).boxed()
        }
        EventTrouble::BadChecksum => {
            let spoilt = move |(at, frame): (usize, Bytes)| {
                if at != whole {
                    return frame;
                }
                let mut frame = frame.to_vec();
                if let Some(last) = frame.last_mut() {
                    *last ^= 0xff;
                }
                Bytes::from(frame)
            };
            frames.enumerate().map(spoilt).boxed()
        }
        EventTrouble::Truncated => {
            let connection = connection.clone();
            let half = move |(at, frame): (usize, Bytes)| {
                if at == whole { frame.slice(..frame.len() / 2) } else { frame }
            };
            frames.enumerate().map(half).take(whole + 1).chain(cut(&connection)).boxed()
        }
    }
}

/// Cuts the connection when polled, after what was sent before had a moment to reach the socket.
fn cut(connection: &Connection) -> BoxStream<'static, Bytes> {
    let connection = connection.clone();
    stream::once(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        connection.cut();
        std::future::pending().await
    })
    .boxed()
}

fn streamed(chunks: BoxStream<'static, Bytes>) -> Body {
    StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync()
}
