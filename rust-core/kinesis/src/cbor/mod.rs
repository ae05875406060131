//! Reads Kinesis in CBOR (`application/x-amz-cbor-1.1`) through the AWS SDK's pluggable protocol.
//!
//! Payloads come as slices of the response body instead of base64 text, which is most of the cost of reading.
//! Only the wire format is replaced: signing, credentials, endpoints, retries, time-outs and types stay the SDK's.
//! Facts about the format: `software.amazon.awssdk.protocols.cbor` of `github.com/aws/aws-sdk-java-v2`, the client
//! that speaks it to AWS every day. Timestamps are tag 1 over *milliseconds*, against RFC 8949, in both directions.

mod answer;
mod decode;
mod encode;
mod error;
mod json_event;
mod protocol;
mod time;
mod wire;

pub use protocol::KinesisProtocol;
pub use time::epoch_millis;
pub use wire::WireFormat;
