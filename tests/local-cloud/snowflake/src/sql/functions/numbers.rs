//! Exact arithmetic on NUMBER, and comparison.

use std::cmp::Ordering;

use rusqlite::functions::Context;
use rusqlite::{Connection, Result};

use super::{arg, int_arg, scalar};
use crate::values::{Cell, Decimal, Failure, number_text};

type Answer = std::result::Result<Cell<'static>, Failure>;

pub(super) fn register(connection: &Connection) -> Result<()> {
    scalar(connection, "sf_add", 2, |context| integers(context, i64::checked_add, Decimal::add))?;
    scalar(connection, "sf_sub", 2, |context| {
        integers(context, i64::checked_sub, |a, b| a.add(b.negated()))
    })?;
    scalar(connection, "sf_mul", 2, |context| integers(context, i64::checked_mul, Decimal::multiply))?;
    // sf_div(a, b, scale of the quotient)
    scalar(connection, "sf_div", 3, |context| {
        let scale = int_arg(context, 2).and_then(|scale| u8::try_from(scale).ok()).unwrap_or(6);
        decimals(context, |a, b| a.divide(b, scale))
    })?;
    scalar(connection, "sf_mod", 2, |context| {
        decimals(context, |a, b| {
            let whole = a.divide(b, 9)?.truncated(0);
            a.add(whole.multiply(b)?.negated())
        })
    })?;
    scalar(connection, "sf_div_float", 2, |context| match (float(context, 0), float(context, 1)) {
        (Some(_), Some(0.0)) => Err(division_by_zero()),
        (Some(a), Some(b)) => Ok(Cell::float(a / b)),
        _ => Ok(Cell::Null),
    })?;
    // sf_round(x, digits, mode): mode 0 nearest, -1 down, 1 up, 2 towards zero
    scalar(connection, "sf_round", 3, round)?;
    scalar(connection, "sf_cmp", 2, |context| compare(&arg(context, 0), &arg(context, 1)))?;
    scalar(connection, "sf_key", 1, |context| Ok(key(&arg(context, 0))))?;
    scalar(connection, "sf_real", 1, |context| Ok(float(context, 0).map_or(Cell::Null, Cell::float)))
}

fn division_by_zero() -> Failure {
    Failure::new(100_051, "Division by zero")
}

/// A NUMBER as it is stored.
pub(super) fn decimal(cell: &Cell<'_>) -> Option<Decimal> {
    match cell {
        Cell::Int(value) => Some(Decimal::new(i128::from(*value), 0)),
        Cell::Text(text) => Decimal::parse(text).ok(),
        Cell::Real(_) => Decimal::parse(&number_text(cell)).ok(),
        Cell::Null | Cell::Blob(_) => None,
    }
}

pub(super) fn float(context: &Context<'_>, index: usize) -> Option<f64> {
    match arg(context, index) {
        Cell::Int(_) | Cell::Text(_) => number_text(&arg(context, index)).parse().ok(),
        Cell::Real(value) => Some(value),
        Cell::Null | Cell::Blob(_) => None,
    }
}

fn overflow() -> Failure {
    Failure::new(100_132, "Number out of representable range")
}

fn integers(
    context: &Context<'_>,
    fast: impl Fn(i64, i64) -> Option<i64>,
    exact: impl Fn(Decimal, Decimal) -> Option<Decimal>,
) -> Answer {
    if let (Cell::Int(a), Cell::Int(b)) = (arg(context, 0), arg(context, 1))
        && let Some(result) = fast(a, b)
    {
        return Ok(Cell::Int(result));
    }
    decimals(context, exact)
}

fn decimals(context: &Context<'_>, exact: impl Fn(Decimal, Decimal) -> Option<Decimal>) -> Answer {
    let (a, b) = (arg(context, 0), arg(context, 1));
    let (Some(a), Some(b)) = (decimal(&a), decimal(&b)) else { return Ok(Cell::Null) };
    match exact(a, b) {
        Some(result) => Ok(result.into_cell()),
        None if b.is_zero() => Err(division_by_zero()),
        None => Err(overflow()),
    }
}

fn round(context: &Context<'_>) -> Answer {
    let value = arg(context, 0);
    let digits = int_arg(context, 1).unwrap_or(0).clamp(-37, 37);
    let mode = int_arg(context, 2).unwrap_or(0);
    if let Cell::Real(value) = value {
        let power = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
        let scaled = value * power;
        let rounded = match mode {
            -1 => scaled.floor(),
            1 => scaled.ceil(),
            2 => scaled.trunc(),
            _ => scaled.round(),
        };
        return Ok(Cell::float(rounded / power));
    }
    let Some(value) = decimal(&value) else { return Ok(Cell::Null) };
    value.rounded_to(digits, mode).map(Decimal::into_cell).ok_or_else(overflow)
}

fn compare(a: &Cell<'_>, b: &Cell<'_>) -> Answer {
    let order = match (a, b) {
        (Cell::Null, _) | (_, Cell::Null) => return Ok(Cell::Null),
        (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
        (a, b) => match (decimal(a), decimal(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => number_text(a).cmp(&number_text(b)),
        },
    };
    Ok(Cell::Int(match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

/// Bytes that sort like the numbers they stand for; other text sorts after all numbers.
fn key(cell: &Cell<'_>) -> Cell<'static> {
    let number = match cell {
        Cell::Null => return Cell::Null,
        Cell::Text(text) if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => None,
        cell => decimal(cell),
    };
    let Some(number) = number else {
        let text = number_text(cell);
        return Cell::Blob([&[9_u8], text.as_bytes()].concat());
    };
    let digits = number.sortable();
    Cell::Blob(digits)
}
