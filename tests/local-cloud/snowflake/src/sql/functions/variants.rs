//! Semi-structured values.

use rusqlite::functions::Context;
use rusqlite::{Connection, Result};

use super::casts::data_type;
use super::{arg, scalar, text_arg};
use crate::values::{Cell, Failure, Kind, canonical, element, elements, kind, member, members, to_json};

type Answer = std::result::Result<Cell<'static>, Failure>;

pub(super) fn register(connection: &Connection) -> Result<()> {
    // sf_get(value, step, …): text steps go into objects, integers into arrays
    scalar(connection, "sf_get", -1, get)?;
    scalar(connection, "sf_get_path", 2, get_path)?;
    scalar(connection, "sf_parse_json", 1, |context| parse_json(context, false))?;
    scalar(connection, "sf_try_parse_json", 1, |context| parse_json(context, true))?;
    scalar(connection, "sf_canonical", 1, |context| {
        Ok(text_arg(context, 0).map_or(Cell::Null, |raw| Cell::Text(canonical(&raw).into())))
    })?;
    scalar(connection, "sf_typeof", 1, |context| {
        Ok(text_arg(context, 0).map_or(Cell::Null, |raw| type_of(&raw)))
    })?;
    scalar(connection, "sf_array_size", 1, |context| {
        let Some(raw) = text_arg(context, 0).filter(|raw| kind(raw) == Kind::Array) else {
            return Ok(Cell::Null);
        };
        let mut count = 0;
        let _ = elements(&raw, |_| count += 1);
        Ok(Cell::Int(count))
    })?;
    scalar(connection, "sf_object_keys", 1, |context| {
        let Some(raw) = text_arg(context, 0).filter(|raw| kind(raw) == Kind::Object) else {
            return Ok(Cell::Null);
        };
        let mut keys = Vec::new();
        let _ = members(&raw, |key, _| keys.push(key.into_owned()));
        keys.sort();
        keys.dedup();
        Ok(Cell::Text(serde_json::Value::from(keys).to_string().into()))
    })?;
    scalar(connection, "sf_is_null_value", 1, |context| {
        Ok(text_arg(context, 0).map_or(Cell::Null, |raw| Cell::Int(i64::from(raw == "null"))))
    })?;
    // sf_object(key, value, type, …) and sf_array(value, type, …)
    scalar(connection, "sf_object", -1, object)?;
    scalar(connection, "sf_array", -1, array)
}

fn get(context: &Context<'_>) -> Answer {
    let Cell::Text(root) = arg(context, 0) else { return Ok(Cell::Null) };
    let mut at = Some(root.as_ref());
    for step in 1..context.len() {
        let Some(value) = at else { break };
        at = match (arg(context, step), kind(value)) {
            (Cell::Text(key), Kind::Object) => member(value, &key),
            (Cell::Int(index), Kind::Array) => {
                usize::try_from(index).ok().and_then(|index| element(value, index))
            }
            _ => None,
        };
    }
    Ok(at.map_or(Cell::Null, |value| Cell::Text(value.to_owned().into())))
}

/// `a.b[0].c`, names optionally in double quotes.
fn get_path(context: &Context<'_>) -> Answer {
    let (Some(root), Some(path)) = (text_arg(context, 0), text_arg(context, 1)) else {
        return Ok(Cell::Null);
    };
    let mut at = Some(root.as_str());
    let mut rest = path.as_str();
    while let Some(value) = at {
        rest = rest.trim_start_matches('.');
        if rest.is_empty() {
            break;
        }
        if let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            at = match inside.parse() {
                Ok(index) => element(value, index),
                Err(_) => member(value, inside.trim_matches(['"', '\''])),
            };
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            at = member(value, rest[..end].trim_matches('"'));
            rest = &rest[end..];
        }
    }
    Ok(at.map_or(Cell::Null, |value| Cell::Text(value.to_owned().into())))
}

fn parse_json(context: &Context<'_>, lenient: bool) -> Answer {
    let Some(text) = text_arg(context, 0) else { return Ok(Cell::Null) };
    let trimmed = text.trim();
    match serde_json::from_str::<&serde_json::value::RawValue>(trimmed) {
        Ok(_) => Ok(Cell::Text(trimmed.to_owned().into())),
        Err(_) if trimmed.is_empty() => Ok(Cell::Null),
        Err(_) if lenient => Ok(Cell::Null),
        Err(error) => Err(Failure::new(100_069, format!("Error parsing JSON: {error}"))),
    }
}

fn type_of(raw: &str) -> Cell<'static> {
    let name = match kind(raw) {
        Kind::Null => "NULL_VALUE",
        Kind::Bool => "BOOLEAN",
        Kind::Number if raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => "INTEGER",
        Kind::Number if raw.contains(['e', 'E']) => "DOUBLE",
        Kind::Number => "DECIMAL",
        Kind::String => "VARCHAR",
        Kind::Array => "ARRAY",
        Kind::Object => "OBJECT",
    };
    Cell::Text(name.into())
}

fn json_arg(context: &Context<'_>, value: usize, type_at: usize) -> std::result::Result<String, Failure> {
    let type_at = i32::try_from(type_at).unwrap_or(i32::MAX);
    Ok(to_json(&arg(context, value), &*data_type(context, type_at)?))
}

fn object(context: &Context<'_>) -> Answer {
    let mut parts = Vec::new();
    for at in (0..context.len().saturating_sub(2)).step_by(3) {
        // A NULL key or value leaves the pair out.
        let (Some(key), false) = (text_arg(context, at), arg(context, at + 1) == Cell::Null) else {
            continue;
        };
        parts.push(format!("{}:{}", serde_json::Value::from(key), json_arg(context, at + 1, at + 2)?));
    }
    Ok(Cell::Text(format!("{{{}}}", parts.join(",")).into()))
}

fn array(context: &Context<'_>) -> Answer {
    let mut parts = Vec::new();
    for at in (0..context.len().saturating_sub(1)).step_by(2) {
        parts.push(json_arg(context, at, at + 1)?);
    }
    Ok(Cell::Text(format!("[{}]", parts.join(",")).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_json_values() {
        for (raw, name) in [
            ("null", "NULL_VALUE"),
            ("1", "INTEGER"),
            ("-1.5", "DECIMAL"),
            ("1e3", "DOUBLE"),
            ("\"x\"", "VARCHAR"),
        ] {
            assert_eq!(type_of(raw), Cell::Text(name.into()), "{raw}");
        }
    }
}
