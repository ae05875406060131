//! The one AWS port: from an HTTP request to a service and back.

use std::convert::Infallible;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;

use super::error::AwsError;
use super::faults::{Action, Faults};
use super::journal::{Call, Journal};
use super::keys::{AccessKey, Keyring};
use super::signature::Verifier;
use crate::clock::Clock;
use crate::dynamodb::{self, DynamoDb};
use crate::kinesis::{self, Kinesis};
use crate::net::Connection;

/// Larger than any limit of the services, so that those answer and not this port.
const MAX_BODY: usize = 32 << 20;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The services behind the port and what is common to them.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) kinesis: Kinesis,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) keys: Keyring,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) verifier: Verifier,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Kinesis,
    DynamoDb,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Kinesis => "kinesis",
            Self::DynamoDb => "dynamodb",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Kinesis => "application/x-amz-json-1.1",
            Self::DynamoDb => "application/x-amz-json-1.0",
        }
    }
}

/// `Kinesis_20131202.GetRecords` → service and operation.
fn target(parts: &Parts) -> Option<(Service, String)> {
    let target = parts.headers.get("x-amz-target")?.to_str().ok()?;
    let (prefix, operation) = target.split_once('.')?;
    let (service, known) = match prefix {
        "Kinesis_20131202" => (Service::Kinesis, kinesis::OPERATIONS),
        "DynamoDB_20120810" => (Service::DynamoDb, dynamodb::OPERATIONS),
        _ => return None,
    };
    known.contains(&operation).then(|| (service, operation.to_owned()))
}

impl Front {
    /// Answers one request.
    pub(crate) async fn serve(&self, connection: &Connection, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return answer(Service::Kinesis, 413, Bytes::new());
        };
        let body = body.to_bytes();
        let Some((service, operation)) = target(&parts) else {
            let body = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
            return answer(Service::DynamoDb, 400, Bytes::from_static(body.as_bytes()));
        };
        let mut call = self.begin(service, &operation, &parts, &body);
        if let Err(error) = self.admit(service, &parts, &body, &call) {
            return self.refuse(service, call, &error);
        }
        let fault = self.faults.decide(service.name(), &operation, &call.access_key, &body);
        if let Some(fault) = &fault {
            call.outcome = fault.name().into();
            match fault {
                Action::Error(error) => return self.refuse(service, call, error),
                Action::Delay(time) => tokio::time::sleep(*time).await,
                Action::Cut => return self.silence(call, Some(connection)).await,
                Action::NeverAnswer => return self.silence(call, None).await,
                _ => {}
            }
        }
        let (status, answered) = self.run(service, &operation, &body, &mut call);
        match fault {
            Some(Action::ApplyThenCut) => self.silence(call, Some(connection)).await,
            Some(Action::ApplyThenNeverAnswer) => self.silence(call, None).await,
            Some(Action::CutInBody) => {
                call.status = status;
                self.journal.record(call);
                half(connection, service, status, &answered)
            }
            _ => {
                call.status = status;
                self.journal.record(call);
                answer(service, status, answered)
            }
        }
    }

    fn begin(&self, service: Service, operation: &str, parts: &Parts, body: &[u8]) -> Call {
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = authorization.and_then(|text| text.split_once("Credential=")?.1.split('/').next());
        let resource = match service {
            Service::Kinesis => self.kinesis.resource(body),
            Service::DynamoDb => self.dynamodb.resource(body),
        };
        Call {
            service: service.name(),
            operation: operation.to_owned(),
            at_ms: self.clock.now_ms(),
            access_key: key.unwrap_or_default().to_owned(),
            resource,
            status: 0,
            outcome: String::new(),
        }
    }

    /// Who calls, and whether it may.
    fn admit(&self, service: Service, parts: &Parts, body: &[u8], call: &Call) -> Result<(), AwsError> {
        let key = self.verifier.verify(&self.keys, service.name(), parts, body, self.clock.now_ms())?;
        let action = format!("{}:{}", service.name(), call.operation);
        let AccessKey { user, policy, .. } = key;
        if policy.is_some_and(|policy| !policy.allows(&action, &call.resource)) {
            let account = &self.dynamodb.account();
            let message = format!(
                "User: arn:aws:iam::{account}:user/{user} is not authorized to perform: {action} on resource: {} because no identity-based policy allows the {action} action",
                call.resource
            );
            return Err(AwsError::new("AccessDeniedException", message));
        }
        Ok(())
    }

    fn run(&self, service: Service, operation: &str, body: &[u8], call: &mut Call) -> (u16, Bytes) {
        let refused = |call: &mut Call, code: &str| {
            if call.outcome.is_empty() {
                code.clone_into(&mut call.outcome);
            }
        };
        match service {
            Service::Kinesis => match self.kinesis.call(operation, body) {
                Ok(answered) => (200, answered),
                Err(error) => {
                    refused(call, &error.code);
                    (error.status, render(service, &error))
                }
            },
            Service::DynamoDb => match self.dynamodb.call(operation, body) {
                Ok(answered) => (200, Bytes::from(answered)),
                Err((status, answered)) => {
                    let kind: serde_json::Value = serde_json::from_str(&answered).unwrap_or_default();
                    let kind = kind["__type"].as_str().unwrap_or_default();
                    refused(call, kind.rsplit('#').next().unwrap_or(kind));
                    (status, Bytes::from(answered))
                }
            },
        }
    }

    fn refuse(&self, service: Service, mut call: Call, error: &AwsError) -> Response<Body> {
        call.status = error.status;
        call.outcome = error.code.to_string();
        self.journal.record(call);
        answer(service, error.status, render(service, error))
    }

    /// Sends nothing: on a connection that is cut, or on one that stays open until the peer gives up.
    async fn silence(&self, call: Call, cut: Option<&Connection>) -> Response<Body> {
        self.journal.record(call);
        if let Some(connection) = cut {
            connection.cut();
        }
        std::future::pending().await
    }
}

/// An error body. DynamoDB's errors carry the names of the layers they come from.
fn render(service: Service, error: &AwsError) -> Bytes {
    let denied = error.code == "AccessDeniedException";
    let (kind, message) = match (service, error.code.as_ref()) {
        (Service::Kinesis, code) => (code.to_owned(), "message"),
        (
            Service::DynamoDb,
            code @ ("AccessDeniedException"
            | "ExpiredTokenException"
            | "IncompleteSignatureException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "SerializationException"
            | "ThrottlingException"
            | "UnrecognizedClientException"),
        ) => (format!("com.amazon.coral.service#{code}"), if denied { "Message" } else { "message" }),
        (Service::DynamoDb, code @ "ValidationException") => {
            (format!("com.amazon.coral.validate#{code}"), "message")
        }
        (Service::DynamoDb, code) => (format!("com.amazonaws.dynamodb.v20120810#{code}"), "message"),
    };
    Bytes::from(serde_json::json!({ "__type": kind, message: error.message }).to_string())
}

fn answer(service: Service, status: u16, body: Bytes) -> Response<Body> {
    let sum = crc32fast::hash(&body);
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(service.content_type()));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    if service == Service::DynamoDb {
        headers.insert("x-amz-crc32", HeaderValue::from(sum));
    }
    response
}

/// The first half of an answer whose length is announced in full; then the connection is cut.
fn half(connection: &Connection, service: Service, status: u16, body: &Bytes) -> Response<Body> {
    let mut response = answer(service, status, Bytes::new());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let connection = connection.clone();
    let first = body.slice(..body.len() / 2);
    let frames = futures::stream::unfold(Some(first), move |first| {
        let connection = connection.clone();
        async move {
            match first {
                Some(bytes) => Some((Ok(hyper::body::Frame::data(bytes)), None)),
                None => {
                    // One turn of the executor lets the first half reach the socket.
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    connection.cut();
                    std::future::pending().await
                }
            }
        }
    });
    *response.body_mut() = http_body_util::StreamBody::new(frames).boxed_unsync();
    response
}
