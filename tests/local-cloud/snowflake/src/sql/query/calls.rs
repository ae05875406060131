//! Function calls.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
};

use super::expr::case_when;
use super::operators::{compare, equal};
use super::typed::{Typed, common};
use super::{Scope, Translator, aggregates};
use crate::catalog::DataType;
use crate::sql::SqlError;
use crate::sql::parse::parts;

impl Translator<'_> {
    pub(super) fn call(&mut self, scope: &Scope<'_>, function: &Function) -> Result<Typed, SqlError> {
        let name = parts(&function.name)?.pop().unwrap_or_default();
        let empty = FunctionArgumentList { duplicate_treatment: None, args: Vec::new(), clauses: Vec::new() };
        let list = match &function.args {
            FunctionArguments::List(list) => list,
            FunctionArguments::None => &empty,
            FunctionArguments::Subquery(_) => return Err(SqlError::unsupported(function)),
        };
        let mut star = false;
        let mut written: Vec<&Expr> = Vec::new();
        for arg in &list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => written.push(expr),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => star = true,
                other => return Err(SqlError::unsupported(other)),
            }
        }
        if let Some(typed) = self.date_call(scope, &name, &written)? {
            return Ok(typed);
        }
        let args = written.iter().map(|arg| self.expr(scope, arg)).collect::<Result<Vec<_>, _>>()?;
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        if let Some(over) = &function.over {
            return self.window(scope, &name, args, star, over);
        }
        if aggregates::is_aggregate(&name) {
            let order = function.within_group.first();
            let within = order.map(|order| self.expr(scope, &order.expr)).transpose()?;
            let descending = order.map_or(Ok(false), |order| {
                Ok::<_, SqlError>(super::select::direction(order)?.contains("DESC"))
            })?;
            return aggregates::translate(
                &name,
                args,
                (star, distinct),
                within.map(|within| (within, descending)),
            );
        }
        if let Some(typed) = self.context_value(&name) {
            return Ok(typed);
        }
        let shown = function.name.to_string();
        if let Some(typed) = super::json_calls::translate(&name, &args) {
            return Ok(typed);
        }
        scalar(&name, args)?
            .ok_or_else(|| SqlError::compilation("002140", format!("Unknown function {shown}")))
    }
}

/// `x` rounded to `digits` with `mode` of `sf_round`.
pub(super) fn rounded(value: Typed, digits: &str, mode: i32) -> Typed {
    if value.is_number() {
        let scale = digits.parse::<u8>().map_or(0, |digits| digits.min(value.scale()));
        let data_type = DataType::Number { precision: 38, scale };
        return Typed::new(format!("sf_round({}, {digits}, {mode})", value.sql), data_type);
    }
    Typed::float(format!("sf_round({}, {digits}, {mode})", value.into_float()))
}

/// Functions of values alone; `None` for an unknown name.
fn scalar(name: &str, args: Vec<Typed>) -> Result<Option<Typed>, SqlError> {
    if let Some(typed) = conversion(name, &args)? {
        return Ok(Some(typed));
    }
    if let Some(typed) = conditional(name, &args) {
        return Ok(Some(typed));
    }
    if let Some(typed) = text_function(name, &args) {
        return Ok(Some(typed));
    }
    let float = |function: &str| {
        args.first().map(|value| Typed::float(format!("{function}({})", value.clone().into_float())))
    };
    let digits = args.get(1).map_or("0".to_owned(), |digits| digits.sql.clone());
    Ok(match (name, args.as_slice()) {
        ("ABS", [value]) if value.is_number() => {
            let negative = compare(value.clone(), "<", Typed::integer("0")).sql;
            let sql = format!("CASE WHEN {negative} THEN sf_sub(0, {0}) ELSE {0} END", value.sql);
            Some(Typed { sql, data_type: value.data_type.clone() })
        }
        ("ABS", [_]) => float("abs"),
        ("ROUND", [value, ..]) => Some(rounded(value.clone(), &digits, 0)),
        ("TRUNC" | "TRUNCATE", [value, ..]) if !value.is_temporal() => {
            Some(rounded(value.clone(), &digits, 2))
        }
        ("CEIL" | "CEILING", [value, ..]) => Some(rounded(value.clone(), &digits, 1)),
        ("FLOOR", [value, ..]) => Some(rounded(value.clone(), &digits, -1)),
        ("MOD", [a, b]) => {
            let scale = a.scale().max(b.scale());
            let sql = format!("sf_mod({}, {})", a.clone().into_number(), b.clone().into_number());
            Some(Typed::new(sql, DataType::Number { precision: 38, scale }))
        }
        ("SIGN", [value]) => Some(Typed::integer(format!("sf_cmp({}, 0)", value.clone().into_number()))),
        ("SQRT", [_]) => float("sqrt"),
        ("LN", [_]) => float("ln"),
        ("EXP", [_]) => float("exp"),
        ("POWER" | "POW", [a, b]) => {
            Some(Typed::float(format!("pow({}, {})", a.clone().into_float(), b.clone().into_float())))
        }
        _ => None,
    })
}

/// `TO_…` and `TRY_TO_…`.
fn conversion(name: &str, args: &[Typed]) -> Result<Option<Typed>, SqlError> {
    let lenient = name.starts_with("TRY_");
    let base = name.strip_prefix("TRY_").unwrap_or(name);
    let Some(value) = args.first().cloned() else { return Ok(None) };
    let to = match (base, args.len()) {
        ("TO_NUMBER" | "TO_DECIMAL" | "TO_NUMERIC", _) => {
            let parameter =
                |at: usize, default: u8| args.get(at).and_then(|arg| arg.sql.parse().ok()).unwrap_or(default);
            DataType::Number { precision: parameter(1, 38).clamp(1, 38), scale: parameter(2, 0).min(37) }
        }
        ("TO_DOUBLE", 1) => DataType::Float,
        ("TO_BOOLEAN", 1) => DataType::Boolean,
        ("TO_CHAR" | "TO_VARCHAR", 1) => DataType::TEXT,
        ("TO_VARIANT", 1) => DataType::Variant,
        ("TO_OBJECT", 1) => DataType::Object(Vec::new()),
        ("TO_ARRAY", 1) => DataType::Array(None),
        ("TO_DATE" | "DATE", 1) => DataType::Date,
        ("TO_TIME" | "TIME", 1) => DataType::Time(9),
        ("TO_BINARY", 1) => DataType::Binary(8_388_608),
        ("TO_CHAR" | "TO_VARCHAR", 2) => {
            let format = args[1].clone().into_text();
            return Ok(Some(Typed::text(format!(
                "sf_to_char({}, {}, {format})",
                value.sql,
                value.type_literal()
            ))));
        }
        _ => return Ok(None),
    };
    Ok(Some(if lenient { value.try_cast(&to) } else { value.cast(&to) }))
}

fn conditional(name: &str, args: &[Typed]) -> Option<Typed> {
    let all = || {
        let data_type = args
            .iter()
            .fold(None, |found: Option<DataType>, arg| common(found.as_ref(), arg.data_type.as_ref()));
        let aligned = args.iter().map(|arg| match &data_type {
            Some(data_type) => arg.clone().cast(data_type).sql,
            None => arg.sql.clone(),
        });
        (aligned.collect::<Vec<_>>().join(", "), data_type.clone())
    };
    Some(match (name, args) {
        ("COALESCE" | "NVL" | "IFNULL", [_, _, ..]) => {
            let (list, data_type) = all();
            Typed { sql: format!("coalesce({list})"), data_type }
        }
        ("COALESCE", [only]) => only.clone(),
        ("NVL2", [value, present, absent]) => {
            case_when(vec![(format!("{} IS NOT NULL", value.sql), present.clone())], absent.clone())
        }
        ("IFF", [condition, then, otherwise]) => {
            case_when(vec![(condition.clone().condition(), then.clone())], otherwise.clone())
        }
        ("NULLIF", [a, b]) => {
            case_when(vec![(equal(a.clone(), b.clone()).condition(), Typed::null())], a.clone())
        }
        ("ZEROIFNULL", [value]) => {
            Typed { sql: format!("coalesce({}, 0)", value.sql), data_type: value.data_type.clone() }
        }
        ("NULLIFZERO", [value]) => {
            Typed { sql: format!("nullif({}, 0)", value.sql), data_type: value.data_type.clone() }
        }
        ("GREATEST" | "LEAST", [first, rest @ ..]) => {
            let op = if name == "GREATEST" { ">=" } else { "<=" };
            rest.iter().cloned().fold(first.clone(), |best, next| {
                let null = format!("({}) IS NULL OR ({}) IS NULL", best.sql, next.sql);
                let better = compare(best.clone(), op, next.clone()).condition();
                case_when(vec![(null, Typed::null()), (better, best)], next)
            })
        }
        ("EQUAL_NULL", [a, b]) => {
            let (a, b) = super::operators::aligned(a.clone(), b.clone());
            Typed::boolean(format!("({} IS {})", a.sql, b.sql))
        }
        ("DECODE", [value, pairs @ ..]) => {
            let branches = pairs.chunks_exact(2).map(|pair| {
                let (a, b) = super::operators::aligned(value.clone(), pair[0].clone());
                (format!("{} IS {}", a.sql, b.sql), pair[1].clone())
            });
            let otherwise = if pairs.len() % 2 == 1 { pairs.last().cloned() } else { None };
            case_when(branches.collect(), otherwise.unwrap_or(Typed::null()))
        }
        _ => return None,
    })
}

fn text_function(name: &str, args: &[Typed]) -> Option<Typed> {
    let text = |at: usize| args.get(at).cloned().map_or("NULL".to_owned(), Typed::into_text);
    let number = |at: usize| args.get(at).map_or("NULL".to_owned(), |arg| arg.clone().into_number());
    let call = |function: &str, list: &[String]| Typed::text(format!("{function}({})", list.join(", ")));
    Some(match (name, args.len()) {
        ("UPPER", 1) => call("sf_upper", &[text(0)]),
        ("LOWER", 1) => call("sf_lower", &[text(0)]),
        ("INITCAP", 1) => call("sf_initcap", &[text(0)]),
        ("REVERSE", 1) => call("sf_reverse", &[text(0)]),
        ("SHA2" | "SHA2_HEX", 1 | 2) => call("sf_sha2", &[text(0)]),
        ("LENGTH" | "LEN", 1) => Typed::integer(format!("length({})", text(0))),
        ("OCTET_LENGTH", 1) => Typed::integer(format!("octet_length({})", text(0))),
        ("SUBSTR" | "SUBSTRING", 2) => call("substr", &[text(0), number(1)]),
        ("SUBSTR" | "SUBSTRING", 3) => call("substr", &[text(0), number(1), number(2)]),
        ("LEFT", 2) => call("substr", &[text(0), "1".into(), number(1)]),
        ("RIGHT", 2) => call("substr", &[text(0), format!("-({})", number(1))]),
        ("TRIM" | "LTRIM" | "RTRIM", 1) => call(&name.to_lowercase(), &[text(0)]),
        ("TRIM" | "LTRIM" | "RTRIM", 2) => call(&name.to_lowercase(), &[text(0), text(1)]),
        ("REPLACE", 2) => call("replace", &[text(0), text(1), "''".into()]),
        ("REPLACE", 3) => call("replace", &[text(0), text(1), text(2)]),
        ("CONCAT", count) if count > 0 => {
            let list: Vec<String> = (0..count).map(text).collect();
            Typed::text(format!("({})", list.join(" || ")))
        }
        ("SPLIT_PART", 3) => call("sf_split_part", &[text(0), text(1), number(2)]),
        ("LPAD", 3) => call("sf_pad", &[text(0), number(1), text(2), "1".into()]),
        ("RPAD", 3) => call("sf_pad", &[text(0), number(1), text(2), "0".into()]),
        ("LPAD", 2) => call("sf_pad", &[text(0), number(1), "' '".into(), "1".into()]),
        ("RPAD", 2) => call("sf_pad", &[text(0), number(1), "' '".into(), "0".into()]),
        ("REPEAT", 2) => call("sf_repeat", &[text(0), number(1)]),
        ("CONTAINS", 2) => Typed::boolean(format!("sf_contains({}, {})", text(0), text(1))),
        ("STARTSWITH", 2) => Typed::boolean(format!("sf_startswith({}, {})", text(0), text(1))),
        ("ENDSWITH", 2) => Typed::boolean(format!("sf_endswith({}, {})", text(0), text(1))),
        ("CHARINDEX", 2) => Typed::integer(format!("instr({}, {})", text(1), text(0))),
        _ => return None,
    })
}
