//! The protocol that a Kinesis client is configured with.

use super::answer::{self, Encoding};
use super::decode::CborDeserializer;
use super::encode::CborSerializer;
use super::error;
use super::json_event::transcribe;
use super::wire::{Operation, Wire, WireFormat};
use aws_smithy_json::protocol::aws_json_rpc::AwsJsonRpcProtocol;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::http::{Request, Response};
use aws_smithy_schema::codec::{DynCodec, FinishSerializer, PayloadSerializer};
use aws_smithy_schema::protocol::{ClientProtocolInner, ServiceShapeName, apply_http_endpoint};
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeDeserializer, ShapeSerializer};
use aws_smithy_schema::{Schema, ShapeId, shape_id};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::error::metadata::Builder as ErrorMetadata;
use bytes::Bytes;
use std::sync::Arc;

const CONTENT_TYPE: &str = "application/x-amz-cbor-1.1";
static PROTOCOL_ID: ShapeId<'static> = shape_id!("aws.protocols", "awsCbor1_1");

/// Wire format of a Kinesis client: `aws_sdk_kinesis::config::Builder::protocol`.
///
/// Serves every operation of the client. Those that carry records are asked in CBOR as [`WireFormat`] says; all
/// others are the SDK's own JSON. Answers are decoded by what they are. The first answer that is not CBOR to a
/// request that may have been CBOR switches the operation to JSON for good, with one line in the log. Clones share
/// that switch.
#[derive(Debug, Clone)]
pub struct KinesisProtocol {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    wire: Arc<Wire>,
    json: AwsJsonRpcProtocol,
    events: EventCodec,
}

impl KinesisProtocol {
    /// A protocol for one client; its switch to JSON starts open.
    pub fn new(format: WireFormat) -> Self {
        let wire = Arc::new(Wire::new(format));
        let events = EventCodec { wire: Arc::clone(&wire), json: json() };
        Self { shared: Arc::new(Shared { wire, json: json(), events }) }
    }

    /// Runs a call, and once more when it failed while the client switched to JSON: the failure then was the server
    /// not speaking CBOR. The SDK's own retries cannot help, they send the same body again.
    ///
    /// # Errors
    /// The call's.
    pub async fn call<T, E, F>(&self, call: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let before = self.shared.wire.switches();
        match call().await {
            Err(_) if self.shared.wire.switches() != before => call().await,
            answer => answer,
        }
    }

    /// GetRecords is asked in CBOR: wanted so, and no answer said otherwise.
    pub fn polls_in_cbor(&self) -> bool {
        self.shared.wire.is_cbor(Operation::GetRecords)
    }

    /// SubscribeToShard is asked in CBOR: wanted so, and no answer said otherwise.
    pub fn subscribes_in_cbor(&self) -> bool {
        self.shared.wire.is_cbor(Operation::SubscribeToShard)
    }

    /// The encoding of an answer, after the switch has seen it.
    fn judge(&self, response: &Response, cfg: &ConfigBag) -> Encoding {
        let Some(body) = response.body().bytes() else { return Encoding::Empty };
        let encoding = Encoding::of(body);
        if let Some(operation) = operation(cfg) {
            let named = response.headers().get(error::ERROR_TYPE).is_some();
            self.shared.wire.observe(operation, encoding, response.status().as_u16(), named);
        }
        encoding
    }
}

fn json() -> AwsJsonRpcProtocol {
    AwsJsonRpcProtocol::aws_json_1_1().with_default_namespace("com.amazonaws.kinesis")
}

fn operation(cfg: &ConfigBag) -> Option<Operation> {
    cfg.load::<Metadata>().and_then(|metadata| Operation::named(metadata.name()))
}

/// A JSON answer to GetRecords without the member `Records`. The SDK would read it as a page without records and
/// without a next iterator, which is how a shard ends.
fn lacks_records(response: &Response, cfg: &ConfigBag) -> bool {
    const NAME: &[u8] = b"\"Records\"";
    let body = response.body().bytes().unwrap_or_default();
    let asked = operation(cfg) == Some(Operation::GetRecords) && response.status().is_success();
    // Found within the first few hundred bytes of every real page.
    asked && !body.windows(NAME.len()).any(|window| window == NAME)
}

impl ClientProtocolInner for KinesisProtocol {
    type Request = Request;
    type Response = Response;

    fn protocol_id(&self) -> &ShapeId<'static> {
        &PROTOCOL_ID
    }

    fn serialize_request(
        &self,
        input: &dyn SerializableStruct,
        schema: &Schema<'_>,
        endpoint: &str,
        cfg: &ConfigBag,
    ) -> Result<Request, SerdeError> {
        if !operation(cfg).is_some_and(|operation| self.shared.wire.is_cbor(operation)) {
            return self.shared.json.serialize_request(input, schema, endpoint, cfg);
        }
        let mut serializer = CborSerializer::new();
        serializer.write_struct(schema, input)?;
        cbor_request(serializer.finish(), cfg)
    }

    fn deserialize_response<'a>(
        &self,
        response: &'a Response,
        schema: &Schema<'_>,
        cfg: &'a ConfigBag,
    ) -> Result<Box<dyn ShapeDeserializer + 'a>, SerdeError> {
        match self.judge(response, cfg) {
            Encoding::Json if lacks_records(response, cfg) => Err(SerdeError::missing_member("Records")),
            Encoding::Json => self.shared.json.deserialize_response(response, schema, cfg),
            Encoding::Other => Err(SerdeError::invalid_input("an answer that is neither CBOR nor JSON")),
            Encoding::Cbor | Encoding::Empty => {
                let told = operation(cfg).map(|operation| (Arc::clone(&self.shared.wire), operation));
                Ok(Box::new(CborDeserializer::new(answer::body(response), told)))
            }
        }
    }

    fn parse_error_metadata(
        &self,
        response: &Response,
        cfg: &ConfigBag,
    ) -> Result<ErrorMetadata, SerdeError> {
        match self.judge(response, cfg) {
            Encoding::Json => self.shared.json.parse_error_metadata(response, cfg),
            _ => error::metadata(response, response.body().bytes().unwrap_or_default()),
        }
    }

    fn deserialize_error_response<'a>(
        &self,
        response: &'a Response,
        cfg: &'a ConfigBag,
    ) -> Result<Box<dyn ShapeDeserializer + 'a>, SerdeError> {
        match self.judge(response, cfg) {
            Encoding::Json => self.shared.json.deserialize_error_response(response, cfg),
            Encoding::Cbor => Ok(Box::new(CborDeserializer::new(answer::body(response), None))),
            Encoding::Empty | Encoding::Other => Ok(Box::new(CborDeserializer::empty())),
        }
    }

    fn update_endpoint(
        &self,
        request: &mut Request,
        to: &Endpoint,
        cfg: &ConfigBag,
    ) -> Result<(), SerdeError> {
        apply_http_endpoint(request, to, cfg)
    }

    fn payload_codec(&self) -> Option<&dyn DynCodec> {
        Some(&self.shared.events)
    }

    fn parse_event_stream_error_metadata(&self, payload: &[u8]) -> Result<ErrorMetadata, SerdeError> {
        match self.shared.events.judge(payload) {
            Encoding::Json => self.shared.json.parse_event_stream_error_metadata(payload),
            _ => error::event_metadata(payload),
        }
    }
}

fn cbor_request(body: Vec<u8>, cfg: &ConfigBag) -> Result<Request, SerdeError> {
    let (Some(service), Some(metadata)) = (cfg.load::<ServiceShapeName>(), cfg.load::<Metadata>()) else {
        return Err(SerdeError::custom("the SDK did not name the service and the operation"));
    };
    let length = body.len();
    let mut request = Request::new(SdkBody::from(body));
    request.set_method("POST").map_err(|e| SerdeError::custom(e.to_string()))?;
    request.set_uri("/").map_err(|e| SerdeError::custom(e.to_string()))?;
    let headers = request.headers_mut();
    headers.insert("content-type", CONTENT_TYPE);
    headers.insert("content-length", length.to_string());
    headers.insert("x-amz-target", format!("{}.{}", service.as_str(), metadata.name()));
    Ok(request)
}

/// Payloads of events, in whichever encoding they come: the server may stream JSON after a CBOR request.
#[derive(Debug)]
struct EventCodec {
    wire: Arc<Wire>,
    json: AwsJsonRpcProtocol,
}

impl EventCodec {
    fn judge(&self, payload: &[u8]) -> Encoding {
        let encoding = Encoding::of(payload);
        if encoding == Encoding::Json {
            self.wire.refuse(Operation::SubscribeToShard, "sent an event in JSON");
        }
        encoding
    }
}

impl DynCodec for EventCodec {
    fn create_deserializer<'a>(&self, payload: &'a [u8]) -> Box<dyn ShapeDeserializer + 'a> {
        match (self.judge(payload), self.json.payload_codec()) {
            (Encoding::Json, Some(json)) => match transcribe(payload) {
                Some(event) => Box::new(CborDeserializer::new(event, None)),
                None => json.create_deserializer(payload),
            },
            _ => {
                let told = (Arc::clone(&self.wire), Operation::SubscribeToShard);
                // The SDK lends the payload as a slice: one copy for all records of an event instead of one each.
                Box::new(CborDeserializer::new(Bytes::copy_from_slice(payload), Some(told)))
            }
        }
    }

    fn create_serializer(&self) -> Box<dyn PayloadSerializer + '_> {
        Box::new(CborSerializer::new())
    }
}
