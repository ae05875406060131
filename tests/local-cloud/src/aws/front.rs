//! The one AWS port: from an HTTP request to a service and back.

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::cbor;
use super::error::AwsError;
use super::faults::{Action, Asked, Faults};
use super::journal::{Call, Journal};
use super::keys::{AccessKey, Keyring};
use super::respond::{Body, Protocol, answer, events, render, spoilt};
use super::signature::Verifier;
use crate::dynamodb::{self, DynamoDb};
use crate::kinesis::{self, Format, Kinesis, Reply};
use crate::net::Connection;
use local_snowflake::Clock;

/// Larger than any limit of the services, so that those answer and not this port.
const MAX_BODY: usize = 32 << 20;

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

/// `Kinesis_20131202.GetRecords` → service and operation.
fn target(parts: &Parts) -> Option<(Protocol, String)> {
    let target = parts.headers.get("x-amz-target")?.to_str().ok()?;
    let (prefix, operation) = target.split_once('.')?;
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (protocol, known) = match prefix {
        "Kinesis_20131202" if content_type.is_some_and(|kind| kind.starts_with(cbor::CONTENT_TYPE)) => {
            (Protocol::Kinesis(Format::Cbor), kinesis::OPERATIONS)
        }
        "Kinesis_20131202" => (Protocol::Kinesis(Format::Json), kinesis::OPERATIONS),
        "DynamoDB_20120810" => (Protocol::DynamoDb, dynamodb::OPERATIONS),
        _ => return None,
    };
    known.contains(&operation).then(|| (protocol, operation.to_owned()))
}

/// What a service gave.
enum Outcome {
    Body(u16, Bytes),
    Events(futures::stream::BoxStream<'static, Bytes>),
}

impl Front {
    /// Answers one request.
    pub(crate) async fn serve(&self, connection: &Connection, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return answer(Protocol::DynamoDb, 413, Bytes::new());
        };
        let sent = body.to_bytes();
        let Some((protocol, operation)) = target(&parts) else {
            let body = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
            return answer(Protocol::DynamoDb, 400, Bytes::from_static(body.as_bytes()));
        };
        let read = match protocol {
            Protocol::Kinesis(Format::Cbor) => cbor::to_json(&sent).map(Bytes::from),
            _ => Some(sent.clone()),
        };
        let body = read.clone().unwrap_or_default();
        let mut call = self.begin(protocol, &operation, &parts, &body);
        if let Err(error) = self.admit(protocol, &parts, &sent, &call) {
            return self.refuse(protocol, call, &error);
        }
        if read.is_none() {
            return self.refuse(
                protocol,
                call,
                &AwsError::new("SerializationException", "The CBOR request could not be read."),
            );
        }
        let fault = self.faults.decide(&Asked {
            service: protocol.service(),
            operation: &operation,
            access_key: &call.access_key,
            body: &body,
            shard: &|| self.kinesis.shard_of(&body),
        });
        if let Some(fault) = &fault {
            call.outcome = fault.name().into();
            match fault {
                Action::Error(error) => return self.refuse(protocol, call, error),
                Action::Delay(time) => tokio::time::sleep(*time).await,
                Action::Cut => return self.silence(call, connection, true).await,
                Action::NeverAnswer => return self.silence(call, connection, false).await,
                _ => {}
            }
        }
        let outcome = self.run(protocol, &operation, &body, &mut call);
        self.conclude(connection, protocol, call, outcome, fault).await
    }

    /// Sends the outcome, unless a fault wants something else.
    async fn conclude(
        &self,
        connection: &Connection,
        protocol: Protocol,
        mut call: Call,
        outcome: Outcome,
        fault: Option<Action>,
    ) -> Response<Body> {
        match (outcome, fault) {
            (_, Some(Action::ApplyThenCut)) => self.silence(call, connection, true).await,
            (_, Some(Action::ApplyThenNeverAnswer)) => self.silence(call, connection, false).await,
            (Outcome::Body(status, body), fault) => {
                call.status = status;
                self.journal.record(call);
                match fault {
                    Some(fault) => spoilt(connection, protocol, status, body, &fault),
                    None => answer(protocol, status, body),
                }
            }
            (Outcome::Events(frames), fault) => {
                call.status = 200;
                self.journal.record(call);
                let trouble = match fault {
                    Some(Action::Events { after, trouble }) => Some((after, trouble)),
                    _ => None,
                };
                events(connection, protocol, frames, trouble)
            }
        }
    }

    fn begin(&self, protocol: Protocol, operation: &str, parts: &Parts, body: &[u8]) -> Call {
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = authorization.and_then(|text| text.split_once("Credential=")?.1.split('/').next());
        let resource = match protocol {
            Protocol::Kinesis(_) => self.kinesis.resource(body),
            Protocol::DynamoDb => self.dynamodb.resource(body),
        };
        Call {
            service: protocol.service(),
            operation: operation.to_owned(),
            at_ms: self.clock.now_ms(),
            access_key: key.unwrap_or_default().to_owned(),
            resource,
            http2: parts.version == http::Version::HTTP_2,
            status: 0,
            outcome: String::new(),
        }
    }

    /// Who calls, and whether it may.
    fn admit(&self, protocol: Protocol, parts: &Parts, body: &[u8], call: &Call) -> Result<(), AwsError> {
        let key = self.verifier.verify(&self.keys, protocol.service(), parts, body, self.clock.now_ms())?;
        let action = format!("{}:{}", protocol.service(), call.operation);
        let AccessKey { user, policy, .. } = key;
        if policy.is_some_and(|policy| !policy.allows(&action, &call.resource)) {
            let account = self.dynamodb.account();
            let message = format!(
                "User: arn:aws:iam::{account}:user/{user} is not authorized to perform: {action} on resource: {} because no identity-based policy allows the {action} action",
                call.resource
            );
            return Err(AwsError::new("AccessDeniedException", message));
        }
        Ok(())
    }

    fn run(&self, protocol: Protocol, operation: &str, body: &[u8], call: &mut Call) -> Outcome {
        let (status, answered, code) = match protocol {
            Protocol::Kinesis(format) => match self.kinesis.reply(operation, body, format) {
                Ok(Reply::Events(frames)) => return Outcome::Events(frames),
                Ok(Reply::Body(answered)) => (200, answered, String::new()),
                Err(error) => (error.status, render(protocol, &error), error.code.into_owned()),
            },
            Protocol::DynamoDb => match self.dynamodb.call(operation, body) {
                Ok(answered) => (200, Bytes::from(answered), String::new()),
                Err((status, answered)) => {
                    let kind: serde_json::Value = serde_json::from_str(&answered).unwrap_or_default();
                    let kind = kind["__type"].as_str().unwrap_or_default();
                    let code = kind.rsplit('#').next().unwrap_or(kind).to_owned();
                    (status, Bytes::from(answered), code)
                }
            },
        };
        if call.outcome.is_empty() {
            call.outcome = code;
        }
        Outcome::Body(status, answered)
    }

    fn refuse(&self, protocol: Protocol, mut call: Call, error: &AwsError) -> Response<Body> {
        call.status = error.status;
        call.outcome = error.code.to_string();
        self.journal.record(call);
        answer(protocol, error.status, render(protocol, error))
    }

    /// Sends nothing: the connection is cut, or it stays open and silent until the peer gives up.
    async fn silence(&self, call: Call, connection: &Connection, cut: bool) -> Response<Body> {
        self.journal.record(call);
        if cut {
            connection.cut();
        }
        connection.over().await;
        // Nobody is left to read this; it ends the task.
        answer(Protocol::DynamoDb, 503, Bytes::new())
    }
}
