//! Aggregate functions.

use super::typed::Typed;
use crate::catalog::DataType;
use crate::sql::SqlError;

const AGGREGATES: &[&str] = &[
    "COUNT",
    "COUNT_IF",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "MEDIAN",
    "PERCENTILE_CONT",
    "PERCENTILE_DISC",
    "APPROX_PERCENTILE",
    "APPROX_COUNT_DISTINCT",
    "HLL",
    "ANY_VALUE",
    "LISTAGG",
    "ARRAY_AGG",
    "STDDEV",
    "STDDEV_SAMP",
    "STDDEV_POP",
];

pub(super) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// Translates an aggregate over a group; `within` is the order of WITHIN GROUP and whether it descends.
pub(super) fn translate(
    name: &str,
    args: Vec<Typed>,
    (star, distinct): (bool, bool),
    within: Option<(Typed, bool)>,
) -> Result<Typed, SqlError> {
    let unique = if distinct { "DISTINCT " } else { "" };
    Ok(match (name, args.as_slice()) {
        ("COUNT", []) if star => Typed::integer("count(*)"),
        ("COUNT", [value]) => Typed::integer(format!("count({unique}{})", value.clone().group_key())),
        ("COUNT", [_, ..]) if distinct => {
            let parts: Vec<String> =
                args.iter().map(|value| format!("{}, {}", value.sql, value.type_literal())).collect();
            let any_null: Vec<String> = args.iter().map(|value| format!("{} IS NULL", value.sql)).collect();
            let key = format!(
                "CASE WHEN {} THEN NULL ELSE sf_array({}) END",
                any_null.join(" OR "),
                parts.join(", ")
            );
            Typed::integer(format!("count(DISTINCT {key})"))
        }
        ("COUNT_IF", [condition]) => {
            Typed::integer(format!("coalesce(sum({}), 0)", condition.clone().condition()))
        }
        ("APPROX_COUNT_DISTINCT" | "HLL", [value]) => {
            Typed::integer(format!("count(DISTINCT {})", value.clone().group_key()))
        }
        ("SUM", [value]) if value.is_number() => {
            let data_type = DataType::Number { precision: 38, scale: value.scale() };
            Typed::new(format!("sf_sum({unique}{})", value.sql), data_type)
        }
        ("SUM", [value]) => Typed::float(format!("sum({unique}{})", value.clone().into_float())),
        ("AVG", [value]) if value.is_number() => {
            let scale = (value.scale() + 6).min(12).max(value.scale());
            Typed::new(
                format!("sf_avg_{scale}({unique}{})", value.sql),
                DataType::Number { precision: 38, scale },
            )
        }
        ("AVG", [value]) => Typed::float(format!("avg({unique}{})", value.clone().into_float())),
        ("MIN" | "MAX", [value]) => {
            let function = name.to_lowercase();
            let function = if value.is_number() { format!("sf_{function}") } else { function };
            Typed { sql: format!("{function}({})", value.sql), data_type: value.data_type.clone() }
        }
        ("ANY_VALUE", [value]) => {
            Typed { sql: format!("min({})", value.sql), data_type: value.data_type.clone() }
        }
        _ => return ordered(name, &args, unique, within),
    })
}

/// Aggregates for which the order of the values counts, and deviations.
fn ordered(
    name: &str,
    args: &[Typed],
    unique: &str,
    within: Option<(Typed, bool)>,
) -> Result<Typed, SqlError> {
    let wrong = || SqlError::compilation("000938", format!("wrong arguments for function [{name}]"));
    Ok(match (name, args) {
        ("MEDIAN", [value]) => Typed::float(format!("sf_percentile({}, 0.5)", value.clone().into_float())),
        ("APPROX_PERCENTILE", [value, fraction]) => Typed::float(format!(
            "sf_percentile({}, {})",
            value.clone().into_float(),
            fraction.clone().into_float()
        )),
        ("PERCENTILE_CONT" | "PERCENTILE_DISC", [fraction]) => {
            let (value, descending) = within.ok_or_else(wrong)?;
            let fraction = fraction.clone().into_float();
            let fraction = if descending { format!("(1.0 - {fraction})") } else { fraction };
            let function = if name == "PERCENTILE_CONT" { "sf_percentile" } else { "sf_percentile_disc" };
            Typed::float(format!("{function}({}, {fraction})", value.into_float()))
        }
        ("LISTAGG", [value, rest @ ..]) => {
            let by = rest.first().map_or("''".to_owned(), |by| by.clone().into_text());
            let order = listagg_order(within);
            Typed::text(format!(
                "coalesce(group_concat({unique}{}, {by}{order}), '')",
                value.clone().into_text()
            ))
        }
        ("ARRAY_AGG", [value]) => {
            let order = listagg_order(within);
            let json = value.clone().cast(&DataType::Variant).sql;
            Typed::new(format!("sf_array_agg({unique}{json}{order})"), DataType::Array(None))
        }
        ("STDDEV" | "STDDEV_SAMP", [value]) => {
            Typed::float(format!("sf_stddev({}, 1)", value.clone().into_float()))
        }
        ("STDDEV_POP", [value]) => Typed::float(format!("sf_stddev({}, 0)", value.clone().into_float())),
        _ => return Err(wrong()),
    })
}

fn listagg_order(within: Option<(Typed, bool)>) -> String {
    within.map_or(String::new(), |(key, descending)| {
        format!(" ORDER BY {}{}", key.sort_key(), if descending { " DESC" } else { "" })
    })
}
