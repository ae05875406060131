//! Response bodies and events: Kinesis' CBOR as the Smithy data model, payloads as slices of the body.

use super::wire::{Operation, Wire};
use aws_smithy_schema::Schema;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use bytes::Bytes;
use minicbor::Decoder;
use minicbor::data::Type;
use std::borrow::Cow;
use std::sync::Arc;

type Read<T> = Result<T, SerdeError>;
type Members<'f> = &'f mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Read<()>;
type Elements<'f> = &'f mut dyn FnMut(&mut dyn ShapeDeserializer) -> Read<()>;
type Entries<'f> = &'f mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Read<()>;

/// Reads one body. Maps and arrays of definite and indefinite length, unknown members, nulls and tags are understood.
pub(super) struct CborDeserializer<'a> {
    decoder: Decoder<'a>,
    /// The same bytes, owned; blobs are slices of them.
    body: Bytes,
    depth: u32,
    told: Option<(Arc<Wire>, Operation)>,
}

impl<'a> CborDeserializer<'a> {
    /// `input` and `body` hold the same bytes. `told` is informed when they show that the server's CBOR is not
    /// Kinesis'.
    pub(super) fn new(input: &'a [u8], body: Bytes, told: Option<(Arc<Wire>, Operation)>) -> Self {
        Self { decoder: Decoder::new(input), body, depth: 0, told }
    }

    /// Reads as a structure without members.
    pub(super) fn empty() -> Self {
        Self::new(&[], Bytes::new(), None)
    }

    /// Type of the next value, past its tags.
    fn next(&mut self) -> Read<Type> {
        loop {
            match self.decoder.datatype().map_err(malformed)? {
                Type::Tag => self.decoder.tag().map(|_| ()).map_err(malformed)?,
                other => return Ok(other),
            }
        }
    }

    /// Whether a container has another item; consumes the break of an indefinite one.
    fn more(&mut self, left: &mut Option<u64>) -> Read<bool> {
        match left {
            Some(0) => Ok(false),
            Some(n) => {
                *n -= 1;
                Ok(true)
            }
            None if self.decoder.datatype().map_err(malformed)? == Type::Break => {
                self.decoder.skip().map_err(malformed)?;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    fn text(&mut self) -> Read<Cow<'a, str>> {
        match self.next()? {
            Type::String => self.decoder.str().map(Cow::Borrowed).map_err(malformed),
            Type::StringIndef => self
                .decoder
                .str_iter()
                .and_then(Iterator::collect::<Result<String, _>>)
                .map(Cow::Owned)
                .map_err(malformed),
            other => Err(unexpected("text", other)),
        }
    }

    fn integer<T: TryFrom<i64>>(&mut self, target: &str) -> Read<T> {
        self.next()?;
        let value = self.decoder.i64().map_err(malformed)?;
        T::try_from(value).map_err(|_| SerdeError::numeric_coercion_overflow(target, value.to_string()))
    }

    fn float(&mut self) -> Read<f64> {
        match self.next()? {
            Type::F32 | Type::F64 => self.decoder.f64().map_err(malformed),
            _ => self.integer::<i32>("double").map(f64::from),
        }
    }

    /// Reads the members of a structure; fails without those that are `required`.
    fn members(&mut self, schema: &Schema<'_>, required: &[&'static str], consumer: Members<'_>) -> Read<()> {
        let mut missing = required.to_vec();
        self.next()?;
        let mut left = self.decoder.map().map_err(malformed)?;
        while self.more(&mut left)? {
            let key = self.text()?;
            self.next()?;
            let Some(member) = schema.member_schema(&key).filter(|_| !self.is_null()) else {
                self.skip_value()?;
                continue;
            };
            missing.retain(|name| *name != key);
            consumer(member, self)?;
        }
        match missing.first() {
            Some(name) => Err(SerdeError::missing_member(*name)),
            None => Ok(()),
        }
    }
}

/// Members without which an answer must not be believed: the SDK would fill them in, and an empty answer would then
/// look like the end of a shard.
fn required(schema: &Schema<'_>) -> &'static [&'static str] {
    match schema.shape_id().shape_name() {
        "GetRecordsOutput" => &["Records"],
        "SubscribeToShardEvent" => &["Records", "ContinuationSequenceNumber"],
        _ => &[],
    }
}

/// Decoder errors name positions and types, never contents.
fn malformed(error: minicbor::decode::Error) -> SerdeError {
    SerdeError::invalid_input(format!("CBOR: {error}"))
}

fn unexpected(wanted: &str, found: Type) -> SerdeError {
    SerdeError::type_mismatch(format!("expected {wanted}, found {found}"))
}

impl ShapeDeserializer for CborDeserializer<'_> {
    fn read_struct(&mut self, schema: &Schema<'_>, consumer: Members<'_>) -> Read<()> {
        let required = if self.depth == 0 { required(schema) } else { &[] };
        if self.depth == 0 && self.body.is_empty() {
            // A streamed body is read elsewhere, and some errors have none.
            return match required.first() {
                Some(name) => Err(SerdeError::missing_member(*name)),
                None => Ok(()),
            };
        }
        self.depth += 1;
        let read = self.members(schema, required, consumer);
        self.depth -= 1;
        read
    }

    fn read_list(&mut self, _: &Schema<'_>, consumer: Elements<'_>) -> Read<()> {
        self.next()?;
        let mut left = self.decoder.array().map_err(malformed)?;
        while self.more(&mut left)? {
            consumer(self)?;
        }
        Ok(())
    }

    fn read_map(&mut self, _: &Schema<'_>, consumer: Entries<'_>) -> Read<()> {
        self.next()?;
        let mut left = self.decoder.map().map_err(malformed)?;
        while self.more(&mut left)? {
            let key = self.text()?.into_owned();
            consumer(key, self)?;
        }
        Ok(())
    }

    fn read_boolean(&mut self, _: &Schema<'_>) -> Read<bool> {
        self.next()?;
        self.decoder.bool().map_err(malformed)
    }

    fn read_byte(&mut self, _: &Schema<'_>) -> Read<i8> {
        self.integer("byte")
    }

    fn read_short(&mut self, _: &Schema<'_>) -> Read<i16> {
        self.integer("short")
    }

    fn read_integer(&mut self, _: &Schema<'_>) -> Read<i32> {
        self.integer("integer")
    }

    fn read_long(&mut self, _: &Schema<'_>) -> Read<i64> {
        self.integer("long")
    }

    fn read_float(&mut self, _: &Schema<'_>) -> Read<f32> {
        self.next()?;
        self.decoder.f32().map_err(malformed)
    }

    fn read_double(&mut self, _: &Schema<'_>) -> Read<f64> {
        self.float()
    }

    fn read_big_integer(&mut self, _: &Schema<'_>) -> Read<BigInteger> {
        Err(SerdeError::unsupported("Kinesis has no big integers"))
    }

    fn read_big_decimal(&mut self, _: &Schema<'_>) -> Read<BigDecimal> {
        Err(SerdeError::unsupported("Kinesis has no big decimals"))
    }

    fn read_string(&mut self, _: &Schema<'_>) -> Read<String> {
        self.text().map(Cow::into_owned)
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Read<Blob> {
        match self.next()? {
            Type::Bytes => {
                let length = self.decoder.bytes().map_err(malformed)?.len();
                let end = self.decoder.position();
                Ok(Blob::from_maybe_shared(self.body.slice(end - length..end)))
            }
            Type::BytesIndef => {
                let mut whole = Vec::new();
                for chunk in self.decoder.bytes_iter().map_err(malformed)? {
                    whole.extend_from_slice(chunk.map_err(malformed)?);
                }
                Ok(Blob::new(whole))
            }
            other => {
                // Some emulators put base64 text into CBOR. Guessing would corrupt payloads that are text themselves.
                if let Some((wire, operation)) = &self.told {
                    wire.refuse(*operation, "sent a payload that is not a byte string");
                }
                Err(unexpected("bytes", other))
            }
        }
    }

    /// Milliseconds, with or without tag 1, as integer or floating point number.
    fn read_timestamp(&mut self, _: &Schema<'_>) -> Read<DateTime> {
        let millis = match self.next()? {
            Type::F32 | Type::F64 => whole_millis(self.decoder.f64().map_err(malformed)?)?,
            _ => self.decoder.i64().map_err(malformed)?,
        };
        Ok(DateTime::from_millis(millis))
    }

    fn read_document(&mut self, _: &Schema<'_>) -> Read<Document> {
        Err(SerdeError::unsupported("Kinesis has no documents"))
    }

    fn is_null(&self) -> bool {
        matches!(self.decoder.datatype(), Ok(Type::Null | Type::Undefined))
    }

    fn read_null(&mut self) -> Read<()> {
        self.skip_value()
    }

    fn skip_value(&mut self) -> Read<()> {
        self.decoder.skip().map_err(malformed)
    }

    fn container_size(&self) -> Option<usize> {
        None
    }
}

fn whole_millis(value: f64) -> Read<i64> {
    // Exactly representable and far beyond any date of use (year 142,000).
    const LIMIT: f64 = 4_503_599_627_370_496.0;
    if !value.is_finite() || value.abs() > LIMIT {
        return Err(SerdeError::timestamp_parse_failed("not a number of milliseconds"));
    }
    #[allow(clippy::cast_possible_truncation, reason = "rounded and within the limit above")]
    Ok(value.round() as i64)
}
