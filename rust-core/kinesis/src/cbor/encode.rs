//! Request bodies: the Smithy data model as Kinesis' CBOR.

use aws_smithy_schema::Schema;
use aws_smithy_schema::codec::FinishSerializer;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use minicbor::Encoder;
use minicbor::data::IanaTag;

type Written = Result<(), SerdeError>;
type Elements<'a> = &'a dyn Fn(&mut dyn ShapeSerializer) -> Written;

/// Writes structures as maps of indefinite length, as the Java SDK does.
pub(super) struct CborSerializer {
    out: Encoder<Vec<u8>>,
    /// Values are members of a structure, so each is preceded by its name.
    named: bool,
}

impl CborSerializer {
    pub(super) fn new() -> Self {
        Self { out: Encoder::new(Vec::with_capacity(512)), named: false }
    }

    fn name(&mut self, schema: &Schema<'_>) -> Result<&mut Encoder<Vec<u8>>, SerdeError> {
        if let (true, Some(name)) = (self.named, schema.member_name()) {
            self.out.str(name).map_err(unwritten)?;
        }
        Ok(&mut self.out)
    }

    /// Restores the caller's naming also after an error, so that the serializer never lies about where it is.
    fn nested(&mut self, named: bool, write: impl FnOnce(&mut Self) -> Written) -> Written {
        let outer = std::mem::replace(&mut self.named, named);
        let written = write(self);
        self.named = outer;
        self.out.end().map_err(unwritten)?;
        written
    }
}

fn unwritten(error: impl std::fmt::Display) -> SerdeError {
    SerdeError::write_failed(format!("CBOR: {error}"))
}

impl FinishSerializer for CborSerializer {
    fn finish(self) -> Vec<u8> {
        self.out.into_writer()
    }
}

impl ShapeSerializer for CborSerializer {
    fn write_struct(&mut self, schema: &Schema<'_>, value: &dyn SerializableStruct) -> Written {
        self.name(schema)?.begin_map().map_err(unwritten)?;
        self.nested(true, |s| value.serialize_members(s))
    }

    fn write_list(&mut self, schema: &Schema<'_>, elements: Elements<'_>) -> Written {
        self.name(schema)?.begin_array().map_err(unwritten)?;
        self.nested(false, |s| elements(s))
    }

    fn write_map(&mut self, schema: &Schema<'_>, entries: Elements<'_>) -> Written {
        self.name(schema)?.begin_map().map_err(unwritten)?;
        self.nested(false, |s| entries(s))
    }

    fn write_boolean(&mut self, schema: &Schema<'_>, value: bool) -> Written {
        self.name(schema)?.bool(value).map(|_| ()).map_err(unwritten)
    }

    fn write_byte(&mut self, schema: &Schema<'_>, value: i8) -> Written {
        self.name(schema)?.i8(value).map(|_| ()).map_err(unwritten)
    }

    fn write_short(&mut self, schema: &Schema<'_>, value: i16) -> Written {
        self.name(schema)?.i16(value).map(|_| ()).map_err(unwritten)
    }

    fn write_integer(&mut self, schema: &Schema<'_>, value: i32) -> Written {
        self.name(schema)?.i32(value).map(|_| ()).map_err(unwritten)
    }

    fn write_long(&mut self, schema: &Schema<'_>, value: i64) -> Written {
        self.name(schema)?.i64(value).map(|_| ()).map_err(unwritten)
    }

    fn write_float(&mut self, schema: &Schema<'_>, value: f32) -> Written {
        self.name(schema)?.f32(value).map(|_| ()).map_err(unwritten)
    }

    fn write_double(&mut self, schema: &Schema<'_>, value: f64) -> Written {
        self.name(schema)?.f64(value).map(|_| ()).map_err(unwritten)
    }

    fn write_big_integer(&mut self, _: &Schema<'_>, _: &BigInteger) -> Written {
        Err(SerdeError::unsupported("Kinesis has no big integers"))
    }

    fn write_big_decimal(&mut self, _: &Schema<'_>, _: &BigDecimal) -> Written {
        Err(SerdeError::unsupported("Kinesis has no big decimals"))
    }

    fn write_string(&mut self, schema: &Schema<'_>, value: &str) -> Written {
        self.name(schema)?.str(value).map(|_| ()).map_err(unwritten)
    }

    fn write_blob(&mut self, schema: &Schema<'_>, value: Blob) -> Written {
        self.name(schema)?.bytes(value.as_ref()).map(|_| ()).map_err(unwritten)
    }

    /// Milliseconds, where CBOR's own meaning of tag 1 is seconds: seconds would start a reader in 1970.
    fn write_timestamp(&mut self, schema: &Schema<'_>, value: &DateTime) -> Written {
        let millis = value.to_millis().map_err(unwritten)?;
        self.name(schema)?.tag(IanaTag::Timestamp).and_then(|e| e.i64(millis)).map(|_| ()).map_err(unwritten)
    }

    fn write_document(&mut self, _: &Schema<'_>, _: &Document) -> Written {
        Err(SerdeError::unsupported("Kinesis has no documents"))
    }

    fn write_null(&mut self, schema: &Schema<'_>) -> Written {
        self.name(schema)?.null().map(|_| ()).map_err(unwritten)
    }
}
