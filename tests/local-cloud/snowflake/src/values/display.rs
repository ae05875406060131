//! Values as Snowflake's clients print them, and as the SQL API encodes them.

use super::cell::Cell;
use super::decimal::Decimal;
use super::json;
use super::temporal::{Moment, parse_date, parse_time};
use crate::catalog::{DataType, Zone};

/// The printed form; `None` for NULL.
pub(crate) fn display(cell: &Cell<'_>, data_type: &DataType) -> Option<String> {
    Some(match (data_type, cell) {
        (_, Cell::Null) => return None,
        (DataType::Number { scale, .. }, cell) => scaled(cell, *scale),
        (DataType::Boolean, Cell::Int(value)) => (*value != 0).to_string(),
        (DataType::Time(_), Cell::Text(text)) => text.get(..8).unwrap_or(text).to_owned(),
        (DataType::Timestamp(zone, _), Cell::Text(text)) => timestamp(text, *zone),
        (data_type, Cell::Text(text)) if data_type.is_semi_structured() => json::canonical(text),
        (_, Cell::Text(text)) => text.clone().into_owned(),
        (_, Cell::Blob(bytes)) => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
        (_, cell) => number_text(cell),
    })
}

fn timestamp(text: &str, zone: Zone) -> String {
    let cut = |moment: &str| moment.get(..23).unwrap_or(moment).to_owned();
    match zone {
        Zone::None => cut(text),
        Zone::Local => format!("{} +0000", cut(text)),
        Zone::Stored => match Moment::from_stored(text) {
            Some(moment) => {
                format!("{} {}", cut(&Moment::stored(moment.local)), text.get(30..).unwrap_or("+0000"))
            }
            None => text.to_owned(),
        },
    }
}

fn scaled(cell: &Cell<'_>, scale: u8) -> String {
    let text = number_text(cell);
    if scale == 0 && matches!(cell, Cell::Int(_)) {
        return text;
    }
    Decimal::parse_scaled(&text, scale).map_or(text, |number| number.to_string())
}

/// A number in plain decimal or, for very large and small floats, in scientific notation.
pub(crate) fn number_text(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Int(value) => value.to_string(),
        Cell::Text(text) => text.clone().into_owned(),
        Cell::Real(value) if value.is_infinite() => if *value > 0.0 { "inf" } else { "-inf" }.into(),
        Cell::Real(value) => {
            let size = value.abs();
            if size != 0.0 && !(1e-5..1e15).contains(&size) {
                format!("{value:e}")
            } else {
                value.to_string()
            }
        }
        Cell::Null | Cell::Blob(_) => String::new(),
    }
}

/// The form in the SQL API's `data`: <https://docs.snowflake.com/en/developer-guide/sql-api/handling-responses>.
pub(crate) fn api_text(cell: &Cell<'_>, data_type: &DataType) -> Option<String> {
    let Cell::Text(text) = cell else { return display(cell, data_type) };
    match data_type {
        DataType::Date => {
            let date = parse_date(text)?;
            Some((date - chrono::NaiveDate::default()).num_days().to_string())
        }
        DataType::Time(_) => {
            let nanos = Moment::epoch_nanos(chrono::NaiveDate::default().and_time(parse_time(text)?));
            Some(seconds(nanos))
        }
        DataType::Timestamp(zone, _) => {
            let moment = Moment::from_stored(text)?;
            let at = seconds(Moment::epoch_nanos(moment.utc()));
            Some(match zone {
                Zone::Stored => format!("{at} {}", moment.offset_minutes.unwrap_or(0) + 1440),
                Zone::None | Zone::Local => at,
            })
        }
        _ => display(cell, data_type),
    }
}

fn seconds(nanos: i128) -> String {
    Decimal::new(nanos, 9).to_string()
}
