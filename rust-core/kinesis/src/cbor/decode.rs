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
type Decoded<T> = Result<T, minicbor::decode::Error>;
type Members<'f> = &'f mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Read<()>;
type Elements<'f> = &'f mut dyn FnMut(&mut dyn ShapeDeserializer) -> Read<()>;
type Entries<'f> = &'f mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Read<()>;

/// Reads one body. Maps and arrays of definite and indefinite length, unknown members, nulls and tags are understood.
pub(super) struct CborDeserializer {
    /// Blobs are slices of it.
    body: Bytes,
    position: usize,
    depth: u32,
    told: Option<(Arc<Wire>, Operation)>,
}

impl CborDeserializer {
    /// `told` is informed when the body shows that the server's CBOR is not Kinesis'.
    pub(super) fn new(body: Bytes, told: Option<(Arc<Wire>, Operation)>) -> Self {
        Self { body, position: 0, depth: 0, told }
    }

    /// Reads as a structure without members.
    pub(super) fn empty() -> Self {
        Self::new(Bytes::new(), None)
    }

    /// Reads something, and goes on behind it.
    fn decode<'s, T>(&'s mut self, read: impl FnOnce(&mut Decoder<'s>) -> Decoded<T>) -> Read<T> {
        let mut decoder = decoder(&self.body, self.position);
        let value = read(&mut decoder).map_err(malformed)?;
        self.position = decoder.position();
        Ok(value)
    }

    /// Type of the next value, past its tags.
    fn next(&mut self) -> Read<Type> {
        self.decode(|decoder| {
            loop {
                match decoder.datatype()? {
                    Type::Tag => decoder.tag().map(drop)?,
                    other => return Ok(other),
                }
            }
        })
    }

    /// Whether a container has another item; consumes the break of an indefinite one.
    fn more(&mut self, left: &mut Option<u64>) -> Read<bool> {
        match left {
            Some(0) => Ok(false),
            Some(n) => {
                *n -= 1;
                Ok(true)
            }
            None => self.decode(|decoder| {
                let ends = decoder.datatype()? == Type::Break;
                if ends {
                    decoder.skip()?;
                }
                Ok(!ends)
            }),
        }
    }

    /// Text that borrows from `body`, which is this one's.
    fn text<'b>(&mut self, body: &'b Bytes) -> Read<Cow<'b, str>> {
        let found = self.next()?;
        let mut decoder = decoder(body, self.position);
        let text = match found {
            Type::String => decoder.str().map(Cow::Borrowed),
            Type::StringIndef => {
                decoder.str_iter().and_then(Iterator::collect::<Result<String, _>>).map(Cow::Owned)
            }
            other => return Err(unexpected("text", other)),
        };
        self.position = decoder.position();
        text.map_err(malformed)
    }

    fn owned_text(&mut self) -> Read<String> {
        let body = self.body.clone();
        self.text(&body).map(Cow::into_owned)
    }

    fn integer<T: TryFrom<i64>>(&mut self, target: &str) -> Read<T> {
        self.next()?;
        let value = self.decode(Decoder::i64)?;
        T::try_from(value).map_err(|_| SerdeError::numeric_coercion_overflow(target, value.to_string()))
    }

    fn float(&mut self) -> Read<f64> {
        match self.next()? {
            Type::F32 | Type::F64 => self.decode(Decoder::f64),
            _ => self.integer::<i32>("double").map(f64::from),
        }
    }

    /// Reads the members of a structure; fails without those that are `required`.
    fn members(&mut self, schema: &Schema<'_>, required: &[&'static str], consumer: Members<'_>) -> Read<()> {
        let mut missing = required.to_vec();
        self.next()?;
        let mut left = self.decode(Decoder::map)?;
        // Names borrow from it while the members are read.
        let body = self.body.clone();
        while self.more(&mut left)? {
            let key = self.text(&body)?;
            let kind = self.next()?;
            let Some(member) = schema.member_schema(&key).filter(|_| !is_nothing(kind)) else {
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

/// A decoder where reading has come to.
fn decoder(body: &[u8], position: usize) -> Decoder<'_> {
    let mut decoder = Decoder::new(body);
    decoder.set_position(position);
    decoder
}

fn is_nothing(kind: Type) -> bool {
    matches!(kind, Type::Null | Type::Undefined)
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

impl ShapeDeserializer for CborDeserializer {
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
        let mut left = self.decode(Decoder::array)?;
        while self.more(&mut left)? {
            consumer(self)?;
        }
        Ok(())
    }

    fn read_map(&mut self, _: &Schema<'_>, consumer: Entries<'_>) -> Read<()> {
        self.next()?;
        let mut left = self.decode(Decoder::map)?;
        while self.more(&mut left)? {
            let key = self.owned_text()?;
            consumer(key, self)?;
        }
        Ok(())
    }

    fn read_boolean(&mut self, _: &Schema<'_>) -> Read<bool> {
        self.next()?;
        self.decode(Decoder::bool)
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
        self.decode(Decoder::f32)
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
        self.owned_text()
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Read<Blob> {
        match self.next()? {
            Type::Bytes => {
                let length = self.decode(|decoder| decoder.bytes().map(<[u8]>::len))?;
                let end = self.position;
                Ok(Blob::from_maybe_shared(self.body.slice(end - length..end)))
            }
            Type::BytesIndef => {
                let chunks = self
                    .decode(|decoder| decoder.bytes_iter()?.collect::<Decoded<Vec<_>>>().map(|c| c.concat()));
                chunks.map(Blob::new)
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
            Type::F32 | Type::F64 => whole_millis(self.decode(Decoder::f64)?)?,
            _ => self.decode(Decoder::i64)?,
        };
        Ok(DateTime::from_millis(millis))
    }

    fn read_document(&mut self, _: &Schema<'_>) -> Read<Document> {
        Err(SerdeError::unsupported("Kinesis has no documents"))
    }

    fn is_null(&self) -> bool {
        decoder(&self.body, self.position).datatype().is_ok_and(is_nothing)
    }

    fn read_null(&mut self) -> Read<()> {
        self.skip_value()
    }

    fn skip_value(&mut self) -> Read<()> {
        self.decode(Decoder::skip)
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
