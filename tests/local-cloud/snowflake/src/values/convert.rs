//! How a JSON value becomes a column's value.
//!
//! Rules: the data types page of Snowpipe Streaming and the live type-compatibility tests of Snowflake's Kafka
//! connector. Error codes are the server's.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{Duration, NaiveTime};

use super::cell::{Cell, Failure, shortened};
use super::decimal::{Decimal, NumberError};
use super::json::{self, Kind, kind, text_of};
use super::temporal::{self, Moment, parse_date, parse_time, parse_timestamp};
use crate::catalog::{DataType, Field, Zone};

/// Where the value comes from: the two differ in details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A streamed row.
    Stream,
    /// A cast of a VARIANT in SQL.
    Sql,
}

/// Converts the JSON value `raw` to `data_type`.
pub(crate) fn convert<'a>(raw: &'a str, data_type: &DataType, origin: Origin) -> Result<Cell<'a>, Failure> {
    if *data_type == DataType::Variant {
        return Ok(Cell::Text(Cow::Borrowed(raw)));
    }
    let kind = kind(raw);
    if kind == Kind::Null {
        return Ok(Cell::Null);
    }
    match data_type {
        DataType::Number { precision, scale } => number(raw, kind, *precision, *scale),
        DataType::Float => float(raw, kind),
        DataType::Varchar(length) => varchar(raw, kind, *length),
        DataType::Boolean => boolean(raw, kind, origin),
        DataType::Binary(length) => binary(raw, kind, *length),
        DataType::Date => date(raw, kind),
        DataType::Time(precision) => time(raw, kind, *precision),
        DataType::Timestamp(zone, precision) => timestamp(raw, kind, *zone, *precision, origin),
        DataType::Variant => Ok(Cell::Text(Cow::Borrowed(raw))),
        DataType::Object(fields) => object(raw, kind, fields, origin),
        DataType::Array(element) => array(raw, kind, element.as_deref(), origin),
        DataType::Map(_, value) => map(raw, kind, value, origin),
    }
}

fn number(raw: &str, kind: Kind, precision: u8, scale: u8) -> Result<Cell<'static>, Failure> {
    if kind == Kind::Number
        && let Ok(value) = raw.parse::<i64>()
        && precision - scale >= 19
    {
        return Ok(Cell::Int(value));
    }
    let text = match kind {
        Kind::Number | Kind::String => text_of(raw),
        _ => return Err(Failure::cast(raw, "FIXED")),
    };
    match Decimal::parse_scaled(text.trim(), scale) {
        Ok(value) if value.fits(precision, scale) => Ok(value.into_cell()),
        Ok(_) | Err(NumberError::OutOfRange) => Err(Failure::cast(raw, "FIXED")),
        Err(NumberError::NotANumber) => Err(Failure::not_recognized(100_038, "Numeric value", &text)),
    }
}

fn float(raw: &str, kind: Kind) -> Result<Cell<'static>, Failure> {
    let text = match kind {
        Kind::Number | Kind::String => text_of(raw),
        _ => return Err(Failure::cast(raw, "REAL")),
    };
    parse_float(&text)
        .map(Cell::float)
        .ok_or_else(|| Failure::not_recognized(100_038, "Numeric value", &text))
}

/// A float as Snowflake reads it from text.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    match text.trim().to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        text if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => text.parse().ok(),
        _ => None,
    }
}

fn varchar(raw: &str, kind: Kind, length: u32) -> Result<Cell<'_>, Failure> {
    let text = match kind {
        Kind::Object | Kind::Array => Cow::Owned(json::canonical(raw)),
        _ => text_of(raw),
    };
    let most = usize::try_from(length).unwrap_or(usize::MAX);
    if text.len() > most && text.chars().count() > most {
        return Err(Failure::new(
            100_078,
            format!("String '{}' is too long and would be truncated", shortened(&text)),
        ));
    }
    Ok(Cell::Text(text))
}

fn boolean(raw: &str, kind: Kind, origin: Origin) -> Result<Cell<'static>, Failure> {
    match kind {
        Kind::Bool => Ok(Cell::Int(i64::from(raw == "true"))),
        Kind::Number if origin == Origin::Sql => {
            Ok(Cell::Int(i64::from(raw.parse::<f64>().is_ok_and(|n| n != 0.0))))
        }
        Kind::String => {
            let text = text_of(raw);
            parse_boolean(&text).ok_or_else(|| Failure::not_recognized(100_037, "Boolean value", &text))
        }
        _ => Err(Failure::cast(raw, "BOOLEAN")),
    }
}

/// A boolean as Snowflake reads it from text.
pub(super) fn parse_boolean(text: &str) -> Option<Cell<'static>> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(Cell::Int(1)),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(Cell::Int(0)),
        _ => None,
    }
}

fn binary(raw: &str, kind: Kind, length: u32) -> Result<Cell<'static>, Failure> {
    if kind != Kind::String {
        return Err(Failure::cast(raw, "BINARY"));
    }
    let text = text_of(raw);
    let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| {
        Failure::new(
            100_115,
            format!("The following string is not a legal base64-encoded value: '{}'", shortened(&text)),
        )
    })?;
    if bytes.len() > usize::try_from(length).unwrap_or(usize::MAX) {
        return Err(Failure::new(100_145, "Binary value is too long and would be truncated"));
    }
    Ok(Cell::Blob(bytes))
}

fn date(raw: &str, kind: Kind) -> Result<Cell<'static>, Failure> {
    let text = match kind {
        Kind::String | Kind::Number => text_of(raw),
        _ => return Err(Failure::cast(raw, "DATE")),
    };
    let text = text.trim();
    let date = parse_date(text)
        .or_else(|| parse_timestamp(text).map(|moment| moment.local.date()))
        .or_else(|| Moment::from_epoch_text(text).map(|moment| moment.local.date()));
    let date = date.ok_or_else(|| Failure::not_recognized(100_040, "Date", text))?;
    Ok(Cell::Text(date.format("%Y-%m-%d").to_string().into()))
}

fn time(raw: &str, kind: Kind, precision: u8) -> Result<Cell<'static>, Failure> {
    if kind != Kind::String {
        return Err(Failure::cast(raw, "TIME"));
    }
    let text = text_of(raw);
    let time = parse_time(text.trim()).ok_or_else(|| Failure::not_recognized(100_108, "Time", &text))?;
    Ok(Cell::Text(stored_time(time, precision).into()))
}

/// Stored form of a TIME: `HH:MM:SS.fffffffff`.
pub(super) fn stored_time(time: NaiveTime, precision: u8) -> String {
    let at = chrono::NaiveDate::default().and_time(time);
    Moment::stored(temporal::truncated(at, precision)).split_off(11)
}

fn timestamp(
    raw: &str,
    kind: Kind,
    zone: Zone,
    precision: u8,
    origin: Origin,
) -> Result<Cell<'static>, Failure> {
    let text = match kind {
        Kind::String | Kind::Number => text_of(raw),
        _ => return Err(Failure::cast(raw, "TIMESTAMP")),
    };
    let failure = || Failure::not_recognized(100_035, "Timestamp", &text);
    let moment = match parse_timestamp(&text) {
        Some(moment) => moment,
        // In SQL a number in a VARIANT counts seconds; its size tells the unit only of text.
        None if kind == Kind::Number && origin == Origin::Sql => {
            let nanos = Decimal::parse_scaled(&text, 9).map_err(|_| failure())?;
            nanos.unscaled_at(9).and_then(Moment::from_epoch_nanos).ok_or_else(failure)?
        }
        None => {
            let mut moment = Moment::from_epoch_text(text.trim()).ok_or_else(failure)?;
            if zone == Zone::None && origin == Origin::Stream {
                // A channel's time zone is America/Los_Angeles, and an integer is an instant: the service stores the
                // local time there, here without daylight saving.
                moment.local -= Duration::hours(8);
            }
            moment
        }
    };
    Ok(Cell::Text(stored_timestamp(moment, zone, precision).into()))
}

/// Stored form of a timestamp of the given type.
pub(super) fn stored_timestamp(moment: Moment, zone: Zone, precision: u8) -> String {
    let moment = Moment { local: temporal::truncated(moment.local, precision), ..moment };
    match zone {
        Zone::None => Moment::stored(moment.local),
        Zone::Local => Moment::stored(moment.utc()),
        Zone::Stored => moment.stored_zoned(),
    }
}

fn object<'a>(raw: &'a str, kind: Kind, fields: &[Field], origin: Origin) -> Result<Cell<'a>, Failure> {
    let text = match kind {
        Kind::Object => Cow::Borrowed(raw),
        Kind::String => {
            let text = text_of(raw).trim().to_owned();
            let mut ok = json::kind(&text) == Kind::Object;
            ok = ok && json::members(&text, |_, _| ()).is_ok();
            if !ok {
                return Err(Failure::cast(raw, "OBJECT"));
            }
            Cow::Owned(text)
        }
        _ => return Err(Failure::cast(raw, "OBJECT")),
    };
    for field in fields {
        if let Some(value) = json::member(&text, &field.name) {
            convert(value, &field.data_type, origin)?;
        }
    }
    Ok(Cell::Text(text))
}

fn array<'a>(
    raw: &'a str,
    kind: Kind,
    element: Option<&DataType>,
    origin: Origin,
) -> Result<Cell<'a>, Failure> {
    let text = if kind == Kind::Array { Cow::Borrowed(raw) } else { Cow::Owned(format!("[{raw}]")) };
    if kind != Kind::Array && (kind != Kind::String || element.is_some()) && origin == Origin::Stream {
        return Err(Failure::cast(raw, "ARRAY"));
    }
    let mut failure = None;
    if let Some(element) = element {
        let _ = json::elements(&text, |value| {
            failure = failure.take().or(convert(value, element, origin).err());
        });
    }
    failure.map_or(Ok(Cell::Text(text)), Err)
}

fn map<'a>(raw: &'a str, kind: Kind, value_type: &DataType, origin: Origin) -> Result<Cell<'a>, Failure> {
    if kind != Kind::Object {
        return Err(Failure::cast(raw, "MAP"));
    }
    let mut failure = None;
    let _ = json::members(raw, |_, value| {
        failure = failure.take().or(convert(value, value_type, origin).err());
    });
    failure.map_or(Ok(Cell::Text(Cow::Borrowed(raw))), Err)
}
