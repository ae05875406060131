//! Column types: parsing, and names as Snowflake prints them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Length of a VARCHAR without one.
pub(crate) const LONGEST_VARCHAR: u32 = 16_777_216;
const LONGEST_BINARY: u32 = 8_388_608;

/// The three timestamp types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Zone {
    None,
    Local,
    Stored,
}

/// A Snowflake type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DataType {
    Number { precision: u8, scale: u8 },
    Float,
    Varchar(u32),
    Boolean,
    Binary(u32),
    Date,
    Time(u8),
    Timestamp(Zone, u8),
    Variant,
    Object(Vec<Field>),
    Array(Option<Box<DataType>>),
    Map(Box<DataType>, Box<DataType>),
}

/// A field of a structured OBJECT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
}

impl DataType {
    pub(crate) const INTEGER: DataType = DataType::Number { precision: 38, scale: 0 };
    pub(crate) const TEXT: DataType = DataType::Varchar(LONGEST_VARCHAR);
    pub(crate) const NTZ: DataType = DataType::Timestamp(Zone::None, 9);
    pub(crate) const LTZ: DataType = DataType::Timestamp(Zone::Local, 9);

    /// Parses a type written on its own.
    pub(crate) fn parse_text(text: &str) -> Result<DataType, ParserError> {
        let mut parser = Parser::new(&sqlparser::dialect::SnowflakeDialect).try_with_sql(text)?;
        let data_type = DataType::parse(&mut parser)?;
        parser.expect_token(&Token::EOF)?;
        Ok(data_type)
    }

    /// Parses a type at the parser's place.
    pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<DataType, ParserError> {
        let token = parser.next_token();
        let Token::Word(word) = &token.token else {
            return parser.expected("a data type", token);
        };
        Ok(match word.value.to_uppercase().as_str() {
            "NUMBER" | "NUMERIC" | "DECIMAL" | "DEC" => number(parser)?,
            "INT" | "INTEGER" | "BIGINT" | "SMALLINT" | "TINYINT" | "BYTEINT" | "LONG" => DataType::INTEGER,
            "DOUBLE" => {
                let _ = parser.parse_keyword(Keyword::PRECISION);
                DataType::Float
            }
            "FLOAT" | "FLOAT4" | "FLOAT8" | "REAL" => DataType::Float,
            "VARCHAR" | "STRING" | "TEXT" | "NVARCHAR" | "NVARCHAR2" => {
                DataType::Varchar(length(parser)?.unwrap_or(LONGEST_VARCHAR))
            }
            "CHAR" | "CHARACTER" | "NCHAR" => DataType::Varchar(length(parser)?.unwrap_or(1)),
            "BINARY" | "VARBINARY" => DataType::Binary(length(parser)?.unwrap_or(LONGEST_BINARY)),
            "BOOLEAN" | "BOOL" => DataType::Boolean,
            "DATE" => DataType::Date,
            "TIME" => DataType::Time(digits(parser)?),
            "DATETIME" | "TIMESTAMP_NTZ" | "TIMESTAMPNTZ" => DataType::Timestamp(Zone::None, digits(parser)?),
            "TIMESTAMP_LTZ" | "TIMESTAMPLTZ" => DataType::Timestamp(Zone::Local, digits(parser)?),
            "TIMESTAMP_TZ" | "TIMESTAMPTZ" => DataType::Timestamp(Zone::Stored, digits(parser)?),
            "TIMESTAMP" => timestamp(parser)?,
            "VARIANT" => DataType::Variant,
            "OBJECT" => DataType::Object(fields(parser)?),
            "ARRAY" => DataType::Array(element(parser)?.map(Box::new)),
            "MAP" => map(parser)?,
            _ => return parser.expected("a data type", token),
        })
    }

    /// Whether values are kept as JSON text.
    pub(crate) fn is_semi_structured(&self) -> bool {
        matches!(self, DataType::Variant | DataType::Object(_) | DataType::Array(_) | DataType::Map(..))
    }

    /// The name without parameters, as in the SQL API's row type.
    pub(crate) fn api_name(&self) -> &'static str {
        match self {
            DataType::Number { .. } => "fixed",
            DataType::Float => "real",
            DataType::Varchar(_) => "text",
            DataType::Boolean => "boolean",
            DataType::Binary(_) => "binary",
            DataType::Date => "date",
            DataType::Time(_) => "time",
            DataType::Timestamp(Zone::None, _) => "timestamp_ntz",
            DataType::Timestamp(Zone::Local, _) => "timestamp_ltz",
            DataType::Timestamp(Zone::Stored, _) => "timestamp_tz",
            DataType::Variant => "variant",
            DataType::Object(_) => "object",
            DataType::Array(_) => "array",
            DataType::Map(..) => "map",
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Number { precision, scale } => write!(out, "NUMBER({precision},{scale})"),
            DataType::Float => out.write_str("FLOAT"),
            DataType::Varchar(length) => write!(out, "VARCHAR({length})"),
            DataType::Boolean => out.write_str("BOOLEAN"),
            DataType::Binary(length) => write!(out, "BINARY({length})"),
            DataType::Date => out.write_str("DATE"),
            DataType::Time(digits) => write!(out, "TIME({digits})"),
            DataType::Timestamp(zone, digits) => {
                let name = match zone {
                    Zone::None => "NTZ",
                    Zone::Local => "LTZ",
                    Zone::Stored => "TZ",
                };
                write!(out, "TIMESTAMP_{name}({digits})")
            }
            DataType::Variant => out.write_str("VARIANT"),
            DataType::Object(fields) if fields.is_empty() => out.write_str("OBJECT"),
            DataType::Object(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect();
                write!(out, "OBJECT({})", fields.join(", "))
            }
            DataType::Array(None) => out.write_str("ARRAY"),
            DataType::Array(Some(element)) => write!(out, "ARRAY({element})"),
            DataType::Map(key, value) => write!(out, "MAP({key}, {value})"),
        }
    }
}

fn timestamp(parser: &mut Parser<'_>) -> Result<DataType, ParserError> {
    let precision = digits(parser)?;
    let zone = if parser.parse_keywords(&[Keyword::WITH, Keyword::LOCAL, Keyword::TIME, Keyword::ZONE]) {
        Zone::Local
    } else if parser.parse_keywords(&[Keyword::WITH, Keyword::TIME, Keyword::ZONE]) {
        Zone::Stored
    } else {
        let _ = parser.parse_keywords(&[Keyword::WITHOUT, Keyword::TIME, Keyword::ZONE]);
        Zone::None
    };
    Ok(DataType::Timestamp(zone, precision))
}

fn number(parser: &mut Parser<'_>) -> Result<DataType, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(DataType::INTEGER);
    }
    let precision = small(parser, 38)?;
    let scale = if parser.consume_token(&Token::Comma) { small(parser, 37)? } else { 0 };
    parser.expect_token(&Token::RParen)?;
    if precision == 0 || scale > precision {
        return Err(ParserError::ParserError(format!("invalid NUMBER({precision},{scale})")));
    }
    Ok(DataType::Number { precision, scale })
}

fn small(parser: &mut Parser<'_>, most: u8) -> Result<u8, ParserError> {
    let value = parser.parse_literal_uint()?;
    u8::try_from(value)
        .ok()
        .filter(|value| *value <= most)
        .ok_or_else(|| ParserError::ParserError(format!("{value} is above {most}")))
}

fn digits(parser: &mut Parser<'_>) -> Result<u8, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(9);
    }
    let digits = small(parser, 9)?;
    parser.expect_token(&Token::RParen)?;
    Ok(digits)
}

fn length(parser: &mut Parser<'_>) -> Result<Option<u32>, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(None);
    }
    let length = parser.parse_literal_uint()?;
    parser.expect_token(&Token::RParen)?;
    let most = u64::from(LONGEST_VARCHAR) * 8;
    let length = u32::try_from(length.min(most)).unwrap_or(LONGEST_VARCHAR);
    Ok(Some(length))
}

fn fields(parser: &mut Parser<'_>) -> Result<Vec<Field>, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(Vec::new());
    }
    let fields = parser.parse_comma_separated(|parser| {
        // Field names keep their case, quoted or not.
        let name = parser.parse_identifier()?.value;
        let data_type = DataType::parse(parser)?;
        let _ = parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]);
        Ok(Field { name, data_type })
    })?;
    parser.expect_token(&Token::RParen)?;
    Ok(fields)
}

fn element(parser: &mut Parser<'_>) -> Result<Option<DataType>, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(None);
    }
    let element = DataType::parse(parser)?;
    let _ = parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]);
    parser.expect_token(&Token::RParen)?;
    Ok(Some(element))
}

fn map(parser: &mut Parser<'_>) -> Result<DataType, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let key = DataType::parse(parser)?;
    parser.expect_token(&Token::Comma)?;
    let value = DataType::parse(parser)?;
    let _ = parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]);
    parser.expect_token(&Token::RParen)?;
    Ok(DataType::Map(Box::new(key), Box::new(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_as_written_and_as_printed() {
        for (written, printed) in [
            ("number", "NUMBER(38,0)"),
            ("DECIMAL(10, 2)", "NUMBER(10,2)"),
            ("int", "NUMBER(38,0)"),
            ("double precision", "FLOAT"),
            ("string", "VARCHAR(16777216)"),
            ("varchar(20)", "VARCHAR(20)"),
            ("char", "VARCHAR(1)"),
            ("timestamp", "TIMESTAMP_NTZ(9)"),
            ("timestamp_ltz(3)", "TIMESTAMP_LTZ(3)"),
            ("timestamp with time zone", "TIMESTAMP_TZ(9)"),
            ("object", "OBJECT"),
            (
                "OBJECT(shardId STRING, n INTEGER NOT NULL)",
                "OBJECT(shardId VARCHAR(16777216), n NUMBER(38,0))",
            ),
            ("array(string)", "ARRAY(VARCHAR(16777216))"),
            ("map(varchar, int)", "MAP(VARCHAR(16777216), NUMBER(38,0))"),
        ] {
            assert_eq!(DataType::parse_text(written).unwrap().to_string(), printed, "{written}");
        }
        for written in ["", "number(39,0)", "number(2,3)", "geography", "varchar("] {
            assert!(DataType::parse_text(written).is_err(), "{written}");
        }
    }
}
