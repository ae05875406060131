//! Names and messages of errors out of CBOR bodies.

use aws_smithy_runtime_api::http::Response;
use aws_smithy_schema::error_envelope::sanitize_error_code;
use aws_smithy_schema::serde::SerdeError;
use aws_smithy_types::error::metadata::{Builder, ErrorMetadata};
use minicbor::Decoder;
use minicbor::data::Type;

/// Header that names the error, in front of whatever the body says.
pub(super) const ERROR_TYPE: &str = "x-amzn-errortype";

/// Code and message of an error answer whose body is CBOR, empty or not understood.
pub(super) fn metadata(response: &Response, body: &[u8]) -> Result<Builder, SerdeError> {
    let named = response.headers().get(ERROR_TYPE);
    let envelope = envelope(body).or_else(|error| match named {
        // The header alone is enough for a typed error.
        Some(_) => Ok(Envelope::default()),
        None => Err(error),
    })?;
    Ok(envelope.metadata(named))
}

/// Code and message of an exception in an event stream.
pub(super) fn event_metadata(payload: &[u8]) -> Result<Builder, SerdeError> {
    Ok(envelope(payload)?.metadata(None))
}

#[derive(Default)]
struct Envelope<'a> {
    code: Option<&'a str>,
    kind: Option<&'a str>,
    message: Option<&'a str>,
}

impl Envelope<'_> {
    fn metadata(&self, named: Option<&str>) -> Builder {
        let mut builder = ErrorMetadata::builder();
        if let Some(code) = named.or(self.code).or(self.kind) {
            builder = builder.code(sanitize_error_code(code));
        }
        if let Some(message) = self.message {
            builder = builder.message(message);
        }
        builder
    }
}

fn envelope(body: &[u8]) -> Result<Envelope<'_>, SerdeError> {
    read(body).map_err(|error| SerdeError::invalid_input(format!("error answer in CBOR: {error}")))
}

fn read(body: &[u8]) -> Result<Envelope<'_>, minicbor::decode::Error> {
    let mut found = Envelope::default();
    if super::answer::Encoding::of(body) != super::answer::Encoding::Cbor {
        return Ok(found);
    }
    let mut decoder = Decoder::new(body);
    while decoder.datatype()? == Type::Tag {
        decoder.tag()?;
    }
    let mut left = decoder.map()?;
    loop {
        match &mut left {
            Some(0) => return Ok(found),
            Some(n) => *n -= 1,
            None if decoder.datatype()? == Type::Break => return Ok(found),
            None => {}
        }
        let slot = match decoder.str()? {
            "__type" => &mut found.kind,
            "code" => &mut found.code,
            "message" | "Message" | "errorMessage" => &mut found.message,
            _ => {
                decoder.skip()?;
                continue;
            }
        };
        if decoder.datatype()? == Type::String {
            *slot = Some(decoder.str()?);
        } else {
            decoder.skip()?;
        }
    }
}
