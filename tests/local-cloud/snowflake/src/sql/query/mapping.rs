//! SELECTs that map streamed rows to columns, of custom pipes and interactive tables.

use super::typed::literal;
use super::{Scope, Translator};
use crate::catalog::{Catalog, Table};
use crate::names;
use crate::sql::{SqlError, SqlSession, parse};

/// The statement that stores one row, its parameters being the commit, the channel, the offset token and the row:
/// `INSERT INTO t5 (…) SELECT … FROM (…) WHERE …`.
///
/// Columns that the SELECT leaves out get their default or number, as in any COPY; matched by name they get NULL, which
/// the service documents as a limitation.
pub(crate) fn mapping_statement(
    catalog: &Catalog,
    table: &Table,
    columns: &[String],
    query: &str,
    by_name: bool,
) -> Result<String, SqlError> {
    let mut parser = parse::parser(query)?;
    let query = parser.parse_query()?;
    let sqlparser::ast::SetExpr::Select(select) = &*query.body else {
        return Err(SqlError::unsupported("a mapping that is not one SELECT"));
    };
    if query.order_by.is_some() || query.limit_clause.is_some() || select.having.is_some() {
        return Err(SqlError::unsupported("ORDER BY, LIMIT or HAVING in a mapping"));
    }
    let session = SqlSession::new("", "");
    let mut translator = Translator::new(catalog, &session);
    let mut scope = Scope::empty();
    let from = translator.from(&mut scope, &select.from)?;
    if !from.contains("SELECT 1") {
        return Err(SqlError::unsupported(
            "a mapping that does not read TABLE(DATA_SOURCE(TYPE => 'STREAMING'))",
        ));
    }
    let (selected, items) = translator.projection(&mut scope, &select.projection)?;
    let mut targets = Vec::new();
    for (at, column) in selected.iter().enumerate() {
        let target = if by_name {
            table.column_for_key(&column.name)
        } else if columns.is_empty() {
            (at < table.columns.len()).then_some(at)
        } else {
            columns.get(at).and_then(|name| table.columns.iter().position(|column| column.name == *name))
        };
        if target.is_none() && !by_name {
            return Err(SqlError::compilation("002020", "the SELECT's columns do not match the table's"));
        }
        targets.push(target);
    }
    let mut names = String::new();
    let mut values = String::new();
    let given = targets.clone();
    let pairs =
        targets.into_iter().zip(items).filter_map(|(target, item)| Some((&table.columns[target?], item)));
    for (column, item) in pairs {
        let value = item.stored_as(&column.data_type).sql;
        names.push_str(&format!(", {}", column.stored()));
        values.push_str(&if column.nullable {
            format!(", {value}")
        } else {
            format!(", sf_required({value}, {})", literal(&names::quote(&column.name)))
        });
    }
    let left_out = table.columns.iter().enumerate().filter(|(at, _)| !by_name && !given.contains(&Some(*at)));
    for (column, default) in left_out.filter_map(|(_, column)| Some((column, column.default.as_ref()?))) {
        names.push_str(&format!(", {}", column.stored()));
        values.push_str(&format!(", {}", default.stored));
    }
    let condition = match &select.selection {
        Some(selection) => format!(" WHERE {}", translator.expr(&scope, selection)?.condition()),
        None => String::new(),
    };
    Ok(format!(
        "INSERT INTO {} (_c, _ch, _t{names}) SELECT ?1, ?2, ?3{values}{from}{condition}",
        table.stored()
    ))
}
