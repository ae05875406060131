//! Date and time functions, whose first argument is often a bare word.

use sqlparser::ast::{Expr, Value};

use super::typed::{Typed, literal};
use super::{Scope, Translator};
use crate::catalog::{DataType, Zone};
use crate::sql::SqlError;

/// A part of a date or time.
pub(super) fn part(name: &str, value: &Typed) -> Typed {
    Typed::integer(format!("sf_date_part({}, {}, {})", literal(name), value.sql, value.type_literal()))
}

impl Translator<'_> {
    /// Translates a date function; `None` when `name` is something else.
    pub(super) fn date_call(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        args: &[&Expr],
    ) -> Result<Option<Typed>, SqlError> {
        Ok(Some(match (name, args) {
            ("DATEDIFF" | "TIMESTAMPDIFF" | "TIMEDIFF", [unit, a, b]) => {
                let (unit, a, b) = (word(unit)?, self.expr(scope, a)?, self.expr(scope, b)?);
                let (a_type, b_type) = (a.type_literal(), b.type_literal());
                Typed::integer(format!("sf_datediff({unit}, {}, {a_type}, {}, {b_type})", a.sql, b.sql))
            }
            ("DATEADD" | "TIMESTAMPADD" | "TIMEADD", [unit, count, value]) => {
                let (unit, count, value) = (word(unit)?, self.expr(scope, count)?, self.expr(scope, value)?);
                let count = count.cast(&DataType::INTEGER).sql;
                let small = !["year", "quarter", "month", "week", "day"]
                    .iter()
                    .any(|long| unit.to_lowercase().trim_matches('\'').trim_end_matches('s') == *long);
                let data_type = match value.type_or_text() {
                    DataType::Date if small => DataType::NTZ,
                    data_type if data_type.is_semi_structured() => DataType::NTZ,
                    DataType::Varchar(_) => DataType::NTZ,
                    other => other,
                };
                let from = value.type_literal();
                Typed::new(format!("sf_dateadd({unit}, {count}, {}, {from})", value.sql), data_type)
            }
            ("DATE_TRUNC" | "TRUNC", [unit, value]) => {
                let Ok(unit) = word(unit) else { return Ok(None) };
                let value = self.expr(scope, value)?;
                if !value.is_temporal() && name == "TRUNC" {
                    return Ok(None);
                }
                let data_type = if value.is_temporal() { value.type_or_text() } else { DataType::NTZ };
                let from = value.type_literal();
                Typed::new(format!("sf_date_trunc({unit}, {}, {from})", value.sql), data_type)
            }
            ("DATE_PART", [unit, value]) => {
                let (unit, value) = (word(unit)?, self.expr(scope, value)?);
                part(unit.trim_matches('\''), &value)
            }
            (
                "YEAR" | "QUARTER" | "MONTH" | "WEEK" | "DAY" | "DAYOFMONTH" | "DAYOFWEEK" | "DAYOFWEEKISO"
                | "DAYOFYEAR" | "HOUR" | "MINUTE" | "SECOND",
                [value],
            ) => {
                let value = self.expr(scope, value)?;
                part(name, &value)
            }
            (name, [value, rest @ ..]) if to_timestamp(name).is_some() => {
                let data_type = to_timestamp(name).unwrap_or(DataType::NTZ);
                let value = self.expr(scope, value)?;
                let second = rest.first().map(|second| self.expr(scope, second)).transpose()?;
                timestamp(value, second, &data_type, name.starts_with("TRY_"))?
            }
            _ => return Ok(None),
        }))
    }
}

fn to_timestamp(name: &str) -> Option<DataType> {
    Some(match name.strip_prefix("TRY_").unwrap_or(name) {
        "TO_TIMESTAMP" | "TO_TIMESTAMP_NTZ" => DataType::NTZ,
        "TO_TIMESTAMP_LTZ" => DataType::LTZ,
        "TO_TIMESTAMP_TZ" => DataType::Timestamp(Zone::Stored, 9),
        _ => return None,
    })
}

/// `TO_TIMESTAMP(number [, scale])`, `TO_TIMESTAMP(text [, format])` and of other types.
fn timestamp(value: Typed, second: Option<Typed>, to: &DataType, lenient: bool) -> Result<Typed, SqlError> {
    let target = literal(&to.to_string());
    match second {
        Some(second) if second.is_number() => {
            let number = if value.is_number() { value.sql } else { value.into_number() };
            Ok(Typed::new(format!("sf_from_epoch({number}, {}, {target})", second.sql), to.clone()))
        }
        // Formats other than the usual ISO one would need a parser of their own.
        Some(second)
            if !second.sql.to_uppercase().contains("YYYY-MM-DD")
                && !second.sql.to_uppercase().contains("AUTO") =>
        {
            Err(SqlError::unsupported(format!("timestamp format {}", second.sql)))
        }
        _ if value.is_number() => {
            Ok(Typed::new(format!("sf_from_epoch({}, 0, {target})", value.sql), to.clone()))
        }
        _ if lenient => Ok(value.try_cast(to)),
        _ => Ok(value.cast(to)),
    }
}

/// A date part, written as a word or as text.
fn word(expr: &Expr) -> Result<String, SqlError> {
    match expr {
        Expr::Identifier(ident) => Ok(literal(&ident.value)),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Ok(literal(text)),
            other => Err(SqlError::syntax(format!("{other} is not a date part"))),
        },
        other => Err(SqlError::syntax(format!("{other} is not a date part"))),
    }
}
