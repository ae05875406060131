//! Text functions that SQLite lacks, or has for ASCII only.

use rusqlite::{Connection, Result};
use sha2::{Digest, Sha256};

use super::{int_arg, scalar, text_arg};
use crate::values::Cell;

fn some(text: impl Into<String>) -> Cell<'static> {
    Cell::Text(text.into().into())
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    let unary = |name: &str, function: fn(&str) -> String| {
        scalar(connection, name, 1, move |context| {
            Ok(text_arg(context, 0).map_or(Cell::Null, |text| some(function(&text))))
        })
    };
    unary("sf_upper", |text| text.to_uppercase())?;
    unary("sf_lower", |text| text.to_lowercase())?;
    unary("sf_reverse", |text| text.chars().rev().collect())?;
    unary("sf_sha2", |text| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect())?;
    unary("sf_initcap", |text| {
        let mut begin = true;
        text.chars()
            .map(|c| {
                let cased = if begin { c.to_uppercase().to_string() } else { c.to_lowercase().to_string() };
                begin = !c.is_alphanumeric();
                cased
            })
            .collect()
    })?;
    let test = |name: &str, function: fn(&str, &str) -> bool| {
        scalar(connection, name, 2, move |context| match (text_arg(context, 0), text_arg(context, 1)) {
            (Some(text), Some(part)) => Ok(Cell::Int(i64::from(function(&text, &part)))),
            _ => Ok(Cell::Null),
        })
    };
    test("sf_contains", |text, part| text.contains(part))?;
    test("sf_startswith", |text, part| text.starts_with(part))?;
    test("sf_endswith", |text, part| text.ends_with(part))?;
    patterns(connection)?;
    shapes(connection)
}

fn patterns(connection: &Connection) -> Result<()> {
    // sf_like(text, pattern, escape, ignore case): SQLite's LIKE ignores the case of ASCII letters.
    scalar(connection, "sf_like", 4, |context| {
        let (Some(text), Some(pattern)) = (text_arg(context, 0), text_arg(context, 1)) else {
            return Ok(Cell::Null);
        };
        let escape = text_arg(context, 2).and_then(|escape| escape.chars().next());
        let fold = int_arg(context, 3) == Some(1);
        let chars = |text: &str| -> Vec<char> {
            if fold { text.to_lowercase().chars().collect() } else { text.chars().collect() }
        };
        Ok(Cell::Int(i64::from(like(&chars(&text), &chars(&pattern), escape))))
    })?;
    scalar(connection, "sf_split_part", 3, |context| {
        let (Some(text), Some(by), Some(part)) =
            (text_arg(context, 0), text_arg(context, 1), int_arg(context, 2))
        else {
            return Ok(Cell::Null);
        };
        let parts: Vec<&str> = if by.is_empty() { vec![&text] } else { text.split(&by).collect() };
        let index = match part {
            0 => Some(0),
            part if part > 0 => usize::try_from(part - 1).ok(),
            part => usize::try_from(part.unsigned_abs()).ok().and_then(|back| parts.len().checked_sub(back)),
        };
        Ok(some(index.and_then(|index| parts.get(index).copied()).unwrap_or_default()))
    })?;
    Ok(())
}

fn shapes(connection: &Connection) -> Result<()> {
    // sf_pad(text, length, fill, left)
    scalar(connection, "sf_pad", 4, |context| {
        let (Some(text), Some(length), Some(fill)) =
            (text_arg(context, 0), int_arg(context, 1), text_arg(context, 2))
        else {
            return Ok(Cell::Null);
        };
        let length = usize::try_from(length).unwrap_or(0);
        let missing = length.saturating_sub(text.chars().count());
        let fill: String = fill.chars().cycle().take(if fill.is_empty() { 0 } else { missing }).collect();
        let text: String = text.chars().take(length).collect();
        Ok(some(if int_arg(context, 3) == Some(1) { fill + &text } else { text + &fill }))
    })?;
    scalar(connection, "sf_repeat", 2, |context| match (text_arg(context, 0), int_arg(context, 1)) {
        (Some(text), Some(times)) => Ok(some(text.repeat(usize::try_from(times).unwrap_or(0).min(1 << 20)))),
        _ => Ok(Cell::Null),
    })
}

pub(in crate::sql) fn like(text: &[char], pattern: &[char], escape: Option<char>) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        first if Some(*first) == escape => match rest.split_first() {
            Some((literal, rest)) => {
                text.split_first().is_some_and(|(c, text)| c == literal && like(text, rest, escape))
            }
            None => false,
        },
        '%' => (0..=text.len()).any(|skip| like(&text[skip..], rest, escape)),
        '_' => text.split_first().is_some_and(|(_, text)| like(text, rest, escape)),
        first => text.split_first().is_some_and(|(c, text)| c == first && like(text, rest, escape)),
    }
}
