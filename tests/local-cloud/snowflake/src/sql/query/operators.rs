//! Operators over typed values.

use sqlparser::ast::BinaryOperator;

use super::typed::{Typed, common};
use crate::catalog::{DataType, Zone};
use crate::sql::SqlError;

pub(super) fn binary(left: Typed, op: &BinaryOperator, right: Typed) -> Result<Typed, SqlError> {
    Ok(match op {
        BinaryOperator::And => Typed::boolean(format!("({} AND {})", left.condition(), right.condition())),
        BinaryOperator::Or => Typed::boolean(format!("({} OR {})", left.condition(), right.condition())),
        BinaryOperator::Eq => equal(left, right),
        BinaryOperator::NotEq => Typed::boolean(format!("(NOT {})", equal(left, right).sql)),
        BinaryOperator::Lt => compare(left, "<", right),
        BinaryOperator::LtEq => compare(left, "<=", right),
        BinaryOperator::Gt => compare(left, ">", right),
        BinaryOperator::GtEq => compare(left, ">=", right),
        BinaryOperator::StringConcat => {
            Typed::text(format!("({} || {})", left.into_text(), right.into_text()))
        }
        BinaryOperator::Plus => arithmetic(left, '+', right),
        BinaryOperator::Minus => arithmetic(left, '-', right),
        BinaryOperator::Multiply => arithmetic(left, '*', right),
        BinaryOperator::Divide => arithmetic(left, '/', right),
        BinaryOperator::Modulo => arithmetic(left, '%', right),
        other => return Err(SqlError::unsupported(other)),
    })
}

fn arithmetic(left: Typed, op: char, right: Typed) -> Typed {
    if left.is_temporal() || right.is_temporal() {
        return date_arithmetic(left, op, right);
    }
    if left.is_float() || right.is_float() || left.is_variant() || right.is_variant() {
        let (a, b) = (left.into_float(), right.into_float());
        return Typed::float(match op {
            '/' => format!("sf_div_float({a}, {b})"),
            '%' => format!("({a} - {b} * CAST({a} / {b} AS INTEGER))"),
            op => format!("({a} {op} {b})"),
        });
    }
    let scale_of = |value: &Typed| if value.is_number() { value.scale() } else { 12 };
    let (a, b) = (scale_of(&left), scale_of(&right));
    let (left, right) = (left.into_number(), right.into_number());
    let (function, scale) = match op {
        '+' => ("sf_add", a.max(b)),
        '-' => ("sf_sub", a.max(b)),
        '*' => ("sf_mul", (a + b).min(a.max(b).max(12))),
        '%' => ("sf_mod", a.max(b)),
        _ => {
            let scale = a.max((a + 6).min(12));
            return Typed::new(
                format!("sf_div({left}, {right}, {scale})"),
                DataType::Number { precision: 38, scale },
            );
        }
    };
    let mut sql = format!("{function}({left}, {right})");
    if op == '*' && a + b > scale {
        sql = format!("sf_round({sql}, {scale}, 0)");
    }
    Typed::new(sql, DataType::Number { precision: 38, scale })
}

/// Days added to a date or timestamp, and days between two dates.
fn date_arithmetic(left: Typed, op: char, right: Typed) -> Typed {
    if left.is_temporal() && right.is_temporal() {
        let (a, b) = (left.type_literal(), right.type_literal());
        return Typed::integer(format!("sf_datediff('day', {}, {b}, {}, {a})", right.sql, left.sql));
    }
    let (date, days) = if left.is_temporal() { (left, right) } else { (right, left) };
    let days = if op == '-' { format!("-({})", days.into_number()) } else { days.into_number() };
    let data_type = date.data_type.clone();
    Typed { sql: format!("sf_dateadd('day', {days}, {}, {})", date.sql, date.type_literal()), data_type }
}

/// Both operands in one type, so that the storage can compare them.
pub(super) fn aligned(left: Typed, right: Typed) -> (Typed, Typed) {
    // A semi-structured value is compared as what the other side is; two of them by their canonical text.
    let to = match (left.is_variant(), right.is_variant()) {
        (true, true) => {
            let canonical = |value: Typed| Typed::text(format!("sf_canonical({})", value.sql));
            return (canonical(left), canonical(right));
        }
        (true, false) => right.data_type.clone(),
        (false, true) => left.data_type.clone(),
        (false, false) => common(left.data_type.as_ref(), right.data_type.as_ref()),
    };
    let wide = match to {
        // Numbers of any scale are stored alike; text keeps all its digits when it is compared with one.
        Some(DataType::Number { .. }) if left.is_number() && right.is_number() => return (left, right),
        Some(DataType::Number { .. }) => Some(DataType::Number {
            precision: 38,
            scale: left.scale().max(right.scale()).max(if left.is_text() || right.is_text() { 0 } else { 9 }),
        }),
        Some(DataType::Varchar(_)) => Some(DataType::TEXT),
        other => other,
    };
    match wide {
        Some(DataType::Timestamp(Zone::Stored, precision)) => {
            // The first 29 characters are the instant in UTC.
            let instant = |value: Typed| {
                let zoned = value.cast(&DataType::Timestamp(Zone::Stored, precision));
                Typed::text(format!("substr({}, 1, 29)", zoned.sql))
            };
            (instant(left), instant(right))
        }
        Some(to) => (left.cast(&to), right.cast(&to)),
        None => (left, right),
    }
}

pub(super) fn equal(left: Typed, right: Typed) -> Typed {
    let (left, right) = aligned(left, right);
    Typed::boolean(format!("({} = {})", left.sql, right.sql))
}

pub(super) fn compare(left: Typed, op: &str, right: Typed) -> Typed {
    let (left, right) = aligned(left, right);
    if left.is_number() || right.is_number() {
        return Typed::boolean(format!("(sf_cmp({}, {}) {op} 0)", left.sql, right.sql));
    }
    Typed::boolean(format!("({} {op} {})", left.sql, right.sql))
}
