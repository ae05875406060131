//! Casts between SQL types.

use std::borrow::Cow;

use super::cell::{Cell, Failure};
use super::convert::{Origin, convert, parse_boolean, parse_float, stored_time, stored_timestamp};
use super::decimal::{Decimal, NumberError};
use super::display::{display, number_text};
use super::temporal::{Moment, parse_date, parse_time};
use crate::catalog::{DataType, Zone};

/// Converts `cell` of type `from` to type `to`. Text that is too long is cut when the cast is `explicit`, as a cast
/// written in SQL does, and fails otherwise, as storing does.
pub(crate) fn cast<'a>(
    cell: Cell<'a>,
    from: &DataType,
    to: &DataType,
    explicit: bool,
) -> Result<Cell<'a>, Failure> {
    if cell == Cell::Null {
        return Ok(Cell::Null);
    }
    if from.is_semi_structured() {
        let Cell::Text(raw) = &cell else { return Ok(cell) };
        if to.is_semi_structured() && matches!(to, DataType::Variant) {
            return Ok(cell);
        }
        return Ok(convert(raw, to, Origin::Sql)?.into_owned());
    }
    match to {
        DataType::Variant => Ok(Cell::Text(to_json(&cell, from).into())),
        DataType::Object(_) | DataType::Array(_) | DataType::Map(..) => {
            let raw = to_json(&cell, from);
            Ok(convert(&raw, to, Origin::Sql)?.into_owned())
        }
        DataType::Varchar(length) => text(cell, from, *length, explicit),
        DataType::Number { precision, scale } => number(&cell, from, *precision, *scale),
        DataType::Float => float(&cell, from),
        DataType::Boolean => boolean(&cell, from),
        DataType::Binary(_) => binary(cell, from),
        DataType::Date => temporal(&cell, from, to),
        DataType::Time(_) | DataType::Timestamp(..) => temporal(&cell, from, to),
    }
}

/// A scalar as JSON.
pub(crate) fn to_json(cell: &Cell<'_>, from: &DataType) -> String {
    match (from, cell) {
        (_, Cell::Null) => "null".into(),
        (DataType::Boolean, Cell::Int(value)) => (*value != 0).to_string(),
        (from, Cell::Text(raw)) if from.is_semi_structured() => raw.to_string(),
        (DataType::Number { .. } | DataType::Float, cell) => {
            let text = number_text(cell);
            if text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                && !text.ends_with(char::is_alphabetic)
            {
                text
            } else {
                serde_json::Value::from(text).to_string()
            }
        }
        (from, cell) => serde_json::Value::from(display(cell, from).unwrap_or_default()).to_string(),
    }
}

fn text<'a>(cell: Cell<'a>, from: &DataType, length: u32, explicit: bool) -> Result<Cell<'a>, Failure> {
    let text = match (from, cell) {
        (DataType::Varchar(_), Cell::Text(text)) => text,
        (from, cell) => Cow::Owned(display(&cell, from).unwrap_or_default()),
    };
    let most = usize::try_from(length).unwrap_or(usize::MAX);
    if text.len() <= most || text.chars().count() <= most {
        return Ok(Cell::Text(text));
    }
    if !explicit {
        let shown = super::cell::shortened(&text);
        return Err(Failure::new(100_078, format!("String '{shown}' is too long and would be truncated")));
    }
    Ok(Cell::Text(text.chars().take(most).collect::<String>().into()))
}

fn number(cell: &Cell<'_>, from: &DataType, precision: u8, scale: u8) -> Result<Cell<'static>, Failure> {
    let text = match (from, cell) {
        (DataType::Number { .. }, Cell::Int(value)) if precision - scale >= 19 => {
            return Ok(Cell::Int(*value));
        }
        (DataType::Number { .. } | DataType::Float | DataType::Boolean, cell) => number_text(cell),
        (DataType::Varchar(_), Cell::Text(text)) => text.trim().to_owned(),
        (from, cell) => return Err(unfit(cell, from, "NUMBER")),
    };
    match Decimal::parse_scaled(&text, scale) {
        Ok(value) if value.fits(precision, scale) => Ok(value.into_cell()),
        Ok(_) | Err(NumberError::OutOfRange) => Err(Failure::new(
            100_132,
            format!("Number out of representable range: type FIXED[{precision},{scale}], value {text}"),
        )),
        Err(NumberError::NotANumber) => Err(Failure::not_recognized(100_038, "Numeric value", &text)),
    }
}

fn float(cell: &Cell<'_>, from: &DataType) -> Result<Cell<'static>, Failure> {
    match (from, cell) {
        (DataType::Float, Cell::Real(value)) => Ok(Cell::Real(*value)),
        (DataType::Varchar(_), Cell::Text(text)) => parse_float(text)
            .map(Cell::float)
            .ok_or_else(|| Failure::not_recognized(100_038, "Numeric value", text)),
        (DataType::Number { .. } | DataType::Float | DataType::Boolean, cell) => {
            Ok(Cell::float(number_text(cell).parse().unwrap_or(f64::NAN)))
        }
        (from, cell) => Err(unfit(cell, from, "FLOAT")),
    }
}

fn boolean(cell: &Cell<'_>, from: &DataType) -> Result<Cell<'static>, Failure> {
    match (from, cell) {
        (DataType::Boolean, Cell::Int(value)) => Ok(Cell::Int(*value)),
        (DataType::Varchar(_), Cell::Text(text)) => {
            parse_boolean(text).ok_or_else(|| Failure::not_recognized(100_037, "Boolean value", text))
        }
        (DataType::Number { .. } | DataType::Float, cell) => {
            Ok(Cell::Int(i64::from(number_text(cell) != "0")))
        }
        (from, cell) => Err(unfit(cell, from, "BOOLEAN")),
    }
}

fn binary<'a>(cell: Cell<'a>, from: &DataType) -> Result<Cell<'a>, Failure> {
    match (from, cell) {
        (DataType::Binary(_), cell) => Ok(cell),
        (DataType::Varchar(_), Cell::Text(text)) => {
            let failure = || {
                Failure::new(
                    100_115,
                    format!("The following string is not a legal hex-encoded value: '{text}'"),
                )
            };
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            if text.len() % 2 != 0 {
                return Err(failure());
            }
            let pairs = text.as_bytes().chunks_exact(2);
            let bytes: Option<Vec<u8>> =
                pairs.map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?)).collect();
            bytes.map(Cell::Blob).ok_or_else(failure)
        }
        (from, cell) => Err(unfit(&cell, from, "BINARY")),
    }
}

fn temporal(cell: &Cell<'_>, from: &DataType, to: &DataType) -> Result<Cell<'static>, Failure> {
    if let (DataType::Varchar(_), Cell::Text(text)) = (from, cell) {
        let raw = serde_json::Value::from(text.as_ref()).to_string();
        return Ok(convert(&raw, to, Origin::Sql)?.into_owned());
    }
    if let (DataType::Time(_), DataType::Time(precision), Cell::Text(text)) = (from, to, cell) {
        let time = parse_time(text).unwrap_or_default();
        return Ok(Cell::Text(stored_time(time, *precision).into()));
    }
    let moment = moment(cell, from).ok_or_else(|| unfit(cell, from, &to.to_string()))?;
    Ok(Cell::Text(match to {
        DataType::Date => moment.local.date().format("%Y-%m-%d").to_string().into(),
        DataType::Time(precision) => stored_time(moment.local.time(), *precision).into(),
        DataType::Timestamp(Zone::Stored, precision) => {
            let moment = Moment { offset_minutes: moment.offset_minutes.or(Some(0)), ..moment };
            stored_timestamp(moment, Zone::Stored, *precision).into()
        }
        DataType::Timestamp(zone, precision) => stored_timestamp(moment, *zone, *precision).into(),
        _ => return Err(unfit(cell, from, &to.to_string())),
    }))
}

/// The moment that a date, a timestamp or a number of seconds stands for.
pub(crate) fn moment(cell: &Cell<'_>, from: &DataType) -> Option<Moment> {
    match (from, cell) {
        (DataType::Date, Cell::Text(text)) => {
            Some(Moment { local: parse_date(text)?.and_time(Default::default()), offset_minutes: None })
        }
        (DataType::Timestamp(..), Cell::Text(text)) => Moment::from_stored(text),
        (DataType::Time(_), Cell::Text(text)) => Some(Moment {
            local: chrono::NaiveDate::default().and_time(parse_time(text)?),
            offset_minutes: None,
        }),
        (DataType::Number { .. } | DataType::Float, cell) => {
            let seconds = Decimal::parse_scaled(&number_text(cell), 9).ok()?;
            Moment::from_epoch_nanos(seconds.unscaled_at(9)?)
        }
        (DataType::Varchar(_), Cell::Text(text)) => {
            super::temporal::parse_timestamp(text).or_else(|| Moment::from_epoch_text(text.trim()))
        }
        (from, Cell::Text(raw)) if from.is_semi_structured() => {
            let text = super::json::text_of(raw);
            moment(&Cell::Text(text), &DataType::TEXT)
        }
        _ => None,
    }
}

fn unfit(cell: &Cell<'_>, from: &DataType, to: &str) -> Failure {
    let shown = display(cell, from).unwrap_or_default();
    Failure::new(
        2023,
        format!("invalid type [CAST('{}' AS {to})] from {from}", super::cell::shortened(&shown)),
    )
}
