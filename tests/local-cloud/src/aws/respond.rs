//! HTTP answers of the two services.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;

use super::cbor;
use super::error::AwsError;
use super::faults::{Action, EventTrouble};
use crate::kinesis::{EVENT_STREAM, Format};
use crate::net::Connection;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Pieces of a body; an error resets the stream.
type Pieces = BoxStream<'static, io::Result<Bytes>>;

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

    fn decode(self, body: &[u8]) -> Option<serde_json::Value> {
        match self {
            Self::Kinesis(Format::Cbor) => serde_json::from_slice(&cbor::to_json(body)?).ok(),
            _ => serde_json::from_slice(body).ok(),
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
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
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

/// A whole answer, unless the fault spoils its body. Its length is announced in full.
pub(crate) fn spoilt(
    connection: &Connection,
    protocol: Protocol,
    status: u16,
    body: Bytes,
    fault: &Action,
) -> Response<Body> {
    let first = || stream::iter([Ok(body.slice(..body.len() / 2))]);
    let pieces: Pieces = match fault {
        Action::CutInBody => first().chain(cut(connection)).boxed(),
        Action::StallInBody => first().chain(stream::pending()).boxed(),
        Action::Reset => first().chain(reset()).boxed(),
        Action::Drip { bytes, every } => drip(body.clone(), *bytes, *every),
        Action::Rewrite(change) => {
            let body = protocol.decode(&body).map_or(body, |mut json| {
                change(&mut json);
                protocol.encode(&json)
            });
            return answer(protocol, status, body);
        }
        Action::GoAway => {
            connection.go_away();
            return answer(protocol, status, body);
        }
        _ => return answer(protocol, status, body),
    };
    let mut response = answer(protocol, status, Bytes::new());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if protocol == Protocol::DynamoDb {
        response.headers_mut().insert("x-amz-crc32", HeaderValue::from(crc32fast::hash(&body)));
    }
    *response.body_mut() = streamed(pieces);
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
        None => frames.map(Ok).boxed(),
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
) -> Pieces {
    let whole = after + 1;
    let at = move |frame: usize| frame == whole;
    match trouble {
        EventTrouble::Exception(error) => {
            let payload = protocol.encode(&serde_json::json!({ "message": error.message }));
            let frame = crate::kinesis::exception_frame(protocol.content_type(), &error.code, &payload);
            frames.take(whole).chain(stream::iter([frame])).map(Ok).boxed()
        }
        EventTrouble::Silence => frames.take(whole).chain(stream::pending()).map(Ok).boxed(),
        EventTrouble::Pause(time) => paused(frames, whole, time),
        EventTrouble::End => frames.take(whole).map(Ok).boxed(),
        EventTrouble::Cut => frames.take(whole).map(Ok).chain(cut(connection)).boxed(),
        EventTrouble::Reset => frames.take(whole).map(Ok).chain(reset()).boxed(),
        EventTrouble::GoAway => {
            let connection = connection.clone();
            let told = move |(n, frame): (usize, Bytes)| {
                if at(n + 1) {
                    connection.go_away();
                }
                Ok(frame)
            };
            frames.enumerate().map(told).boxed()
        }
        EventTrouble::Reorder => reordered(frames, whole),
        EventTrouble::Drip { bytes, every } => frames
            .enumerate()
            .flat_map(move |(n, frame)| match n >= whole {
                true => drip(frame, bytes, every),
                false => stream::iter([Ok(frame)]).boxed(),
            })
            .boxed(),
        EventTrouble::Duplicate => {
            let twice = move |(n, frame): (usize, Bytes)| {
                let times = if at(n) { 2 } else { 1 };
                stream::iter(std::iter::repeat_n(frame, times).map(Ok))
            };
            frames.enumerate().flat_map(twice).boxed()
        }
        EventTrouble::BadChecksum => {
            let spoilt = move |(n, frame): (usize, Bytes)| {
                if !at(n) {
                    return Ok(frame);
                }
                let mut frame = frame.to_vec();
                if let Some(last) = frame.last_mut() {
                    *last ^= 0xff;
                }
                Ok(Bytes::from(frame))
            };
            frames.enumerate().map(spoilt).boxed()
        }
        EventTrouble::Truncated => {
            let connection = connection.clone();
            let half = move |(n, frame): (usize, Bytes)| {
                Ok(if at(n) { frame.slice(..frame.len() / 2) } else { frame })
            };
            frames.enumerate().map(half).take(whole + 1).chain(cut(&connection)).boxed()
        }
    }
}

/// Frame `at` and all after it come later by `time`.
fn paused(frames: BoxStream<'static, Bytes>, at: usize, time: Duration) -> Pieces {
    let wait = move |(n, frame): (usize, Bytes)| async move {
        if n == at {
            tokio::time::sleep(time).await;
        }
        Ok(frame)
    };
    frames.enumerate().then(wait).boxed()
}

/// Frame `at` comes after the one that follows it.
fn reordered(frames: BoxStream<'static, Bytes>, at: usize) -> Pieces {
    let swap = move |held: &mut Option<Bytes>, (n, frame): (usize, Bytes)| {
        let pieces = if n == at {
            *held = Some(frame);
            Vec::new()
        } else {
            std::iter::once(frame).chain(held.take()).map(Ok).collect()
        };
        std::future::ready(Some(stream::iter(pieces)))
    };
    frames.enumerate().scan(None, swap).flatten().boxed()
}

/// A few bytes at a time.
fn drip(body: Bytes, bytes: usize, every: Duration) -> Pieces {
    stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(every).await;
        let piece = rest.split_to(bytes.clamp(1, rest.len()));
        Some((Ok(piece), rest))
    })
    .boxed()
}

/// What was sent before a trouble must have had a moment to reach the socket.
const MOMENT: Duration = Duration::from_millis(20);

/// Cuts the connection when polled.
fn cut(connection: &Connection) -> Pieces {
    let connection = connection.clone();
    stream::once(async move {
        tokio::time::sleep(MOMENT).await;
        connection.cut();
        std::future::pending().await
    })
    .boxed()
}

/// Resets the stream of the body when polled.
fn reset() -> Pieces {
    stream::once(async {
        tokio::time::sleep(MOMENT).await;
        Err(io::ErrorKind::ConnectionReset.into())
    })
    .boxed()
}

fn streamed(pieces: Pieces) -> Body {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}
