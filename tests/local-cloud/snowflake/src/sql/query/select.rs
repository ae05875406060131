//! SELECT, set operations, ORDER BY and LIMIT.

use sqlparser::ast::{
    Distinct, Expr, Fetch, GroupByExpr, LimitClause, OrderBy, OrderByExpr, OrderByKind, OrderBySort, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TopQuantity,
    Value, Values, WildcardAdditionalOptions,
};

use super::typed::{Typed, common};
use super::{OutColumn, Scope, Selected, Translator};
use crate::catalog::DataType;
use crate::sql::SqlError;
use crate::sql::parse::{parts, resolve};

/// A translated SELECT with what ORDER BY needs of it.
struct Body<'p> {
    sql: String,
    columns: Vec<OutColumn>,
    items: Vec<Typed>,
    scope: Scope<'p>,
    simple: bool,
}

impl Translator<'_> {
    /// Translates a query whose names may also mean those of `outer`.
    pub(super) fn query(&mut self, query: &Query, outer: Option<&Scope<'_>>) -> Result<Selected, SqlError> {
        let saved = self.tables.clone();
        let mut sql = String::new();
        for (at, cte) in query.with.iter().flat_map(|with| &with.cte_tables).enumerate() {
            let mut inner = self.query(&cte.query, outer)?;
            for (column, renamed) in inner.columns.iter_mut().zip(&cte.alias.columns) {
                column.name = resolve(&renamed.name);
            }
            let name = self.fresh();
            sql.push_str(if at == 0 { "WITH " } else { ", " });
            sql.push_str(&format!("{name} AS ({})", inner.sql));
            self.tables.insert(resolve(&cte.alias.name), (inner.columns, name));
        }
        let body = self.body(&query.body, outer)?;
        if !sql.is_empty() {
            sql.push(' ');
        }
        sql.push_str(&body.sql);
        if let Some(order_by) = &query.order_by {
            sql.push_str(&self.order_by(&body, order_by)?);
        }
        sql.push_str(&limit(query.limit_clause.as_ref(), query.fetch.as_ref())?);
        self.tables = saved;
        Ok(Selected { sql, columns: body.columns })
    }

    fn body<'p>(&mut self, body: &SetExpr, outer: Option<&'p Scope<'p>>) -> Result<Body<'p>, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, outer),
            SetExpr::Query(query) => {
                let inner = self.query(query, outer)?;
                let own = self.fresh();
                let sql = format!("SELECT * FROM ({}) AS {own}", inner.sql);
                Ok(Body {
                    sql,
                    columns: inner.columns,
                    items: Vec::new(),
                    scope: Scope::default(),
                    simple: false,
                })
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let (left, right) = (self.body(left, outer)?, self.body(right, outer)?);
                set_operation(left, *op, set_quantifier, right)
            }
            SetExpr::Values(values) => self.values(values),
            other => Err(SqlError::unsupported(other)),
        }
    }

    fn values<'p>(&mut self, values: &Values) -> Result<Body<'p>, SqlError> {
        let mut rows: Vec<Vec<Typed>> = Vec::new();
        for row in &values.rows {
            rows.push(
                row.content
                    .iter()
                    .map(|value| self.expr(&Scope::empty(), value))
                    .collect::<Result<_, _>>()?,
            );
        }
        let width = rows.first().map_or(0, Vec::len);
        let mut columns = Vec::new();
        for at in 0..width {
            let data_type =
                rows.iter().filter_map(|row| row.get(at)).fold(None, |found: Option<DataType>, value| {
                    common(found.as_ref(), value.data_type.as_ref())
                });
            columns.push(OutColumn {
                name: format!("COLUMN{}", at + 1),
                data_type: data_type.unwrap_or(DataType::TEXT),
            });
        }
        let selects = rows.into_iter().map(|row| {
            let values = row.into_iter().zip(&columns).enumerate();
            let values: Vec<String> = values
                .map(|(at, (value, column))| format!("{} AS o{at}", value.cast(&column.data_type).sql))
                .collect();
            format!("SELECT {}", values.join(", "))
        });
        let sql = selects.collect::<Vec<_>>().join(" UNION ALL ");
        Ok(Body { sql, columns, items: Vec::new(), scope: Scope::default(), simple: false })
    }

    fn select<'p>(&mut self, select: &Select, outer: Option<&'p Scope<'p>>) -> Result<Body<'p>, SqlError> {
        let mut scope = Scope { outer, ..Scope::default() };
        let from = self.from(&mut scope, &select.from)?;
        let (columns, items) = self.projection(&mut scope, &select.projection)?;
        let mut list: Vec<String> =
            items.iter().enumerate().map(|(at, item)| format!("{} AS o{at}", item.sql)).collect();
        if let Some(qualify) = &select.qualify {
            list.push(format!("({}) AS q", self.expr(&scope, qualify)?.condition()));
        }
        let distinct = match &select.distinct {
            None | Some(Distinct::All) => "",
            Some(Distinct::Distinct) => "DISTINCT ",
            Some(other) => return Err(SqlError::unsupported(other)),
        };
        let mut sql = format!("SELECT {distinct}{}{from}", list.join(", "));
        if let Some(selection) = &select.selection {
            sql.push_str(&format!(" WHERE {}", self.expr(&scope, selection)?.condition()));
        }
        sql.push_str(&self.group_by(&scope, &select.group_by, &items)?);
        if let Some(having) = &select.having {
            sql.push_str(&format!(" HAVING {}", self.expr(&scope, having)?.condition()));
        }
        let mut simple = distinct.is_empty();
        if select.qualify.is_some() {
            let names: Vec<String> = (0..items.len()).map(|at| format!("o{at}")).collect();
            sql = format!("SELECT {} FROM ({sql}) WHERE q", names.join(", "));
            simple = false;
        }
        if let Some(top) = &select.top {
            let Some(TopQuantity::Constant(count)) = top.quantity else {
                return Err(SqlError::unsupported(top));
            };
            sql = format!("SELECT * FROM ({sql} LIMIT {count})");
            simple = false;
        }
        Ok(Body { sql, columns, items, scope, simple })
    }

    pub(super) fn projection(
        &mut self,
        scope: &mut Scope<'_>,
        projection: &[SelectItem],
    ) -> Result<(Vec<OutColumn>, Vec<Typed>), SqlError> {
        let (mut columns, mut items) = (Vec::new(), Vec::new());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let typed = self.expr(scope, expr)?;
                    columns.push(OutColumn { name: shown_name(expr), data_type: typed.type_or_text() });
                    items.push(typed);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let typed = self.expr(scope, expr)?;
                    let name = resolve(alias);
                    columns.push(OutColumn { name: name.clone(), data_type: typed.type_or_text() });
                    scope.aliases.push((name, typed.clone()));
                    items.push(typed);
                }
                SelectItem::Wildcard(options) => star(scope, &[], options, &mut columns, &mut items)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    star(scope, &parts(name)?, options, &mut columns, &mut items)?;
                }
                other => return Err(SqlError::unsupported(other)),
            }
        }
        Ok((columns, items))
    }

    fn group_by(
        &mut self,
        scope: &Scope<'_>,
        group_by: &GroupByExpr,
        items: &[Typed],
    ) -> Result<String, SqlError> {
        let GroupByExpr::Expressions(expressions, modifiers) = group_by else {
            return Err(SqlError::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::unsupported("GROUP BY with a modifier"));
        }
        let mut keys = Vec::new();
        for expression in expressions {
            let typed = match position(expression, items.len()) {
                Some(at) => items[at].clone(),
                None => self.expr(scope, expression)?,
            };
            keys.push(typed.group_key());
        }
        Ok(if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) })
    }

    fn order_by(&mut self, body: &Body<'_>, order_by: &OrderBy) -> Result<String, SqlError> {
        let OrderByKind::Expressions(expressions) = &order_by.kind else {
            return Err(SqlError::unsupported("ORDER BY ALL"));
        };
        let mut keys = Vec::new();
        for item in expressions {
            let by_name = match &item.expr {
                Expr::Identifier(ident) => {
                    body.columns.iter().position(|column| column.name == resolve(ident))
                }
                other => position(other, body.columns.len()),
            };
            let key = match by_name {
                Some(at) => match body.items.get(at) {
                    Some(typed) if body.simple => typed.clone(),
                    _ => Typed::new(format!("o{at}"), body.columns[at].data_type.clone()),
                },
                None => self.expr(&body.scope, &item.expr)?,
            };
            let plain = key.data_type.as_ref().is_none_or(|data_type| {
                !matches!(data_type, DataType::Number { .. }) && !data_type.is_semi_structured()
            });
            // Compound queries sort by result columns only; those are wrapped below.
            let key = match by_name {
                Some(at) if plain => format!("{}", at + 1),
                _ => key.sort_key(),
            };
            keys.push(format!("{key}{}", direction(item)?));
        }
        Ok(format!(" ORDER BY {}", keys.join(", ")))
    }
}

/// Direction with Snowflake's place of NULL: above everything.
pub(super) fn direction(item: &OrderByExpr) -> Result<&'static str, SqlError> {
    let descending = match &item.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(other) => return Err(SqlError::unsupported(format!("ORDER BY … {other:?}"))),
    };
    Ok(match (descending, item.options.nulls_first.unwrap_or(descending)) {
        (false, false) => " ASC NULLS LAST",
        (false, true) => " ASC NULLS FIRST",
        (true, false) => " DESC NULLS LAST",
        (true, true) => " DESC NULLS FIRST",
    })
}

fn set_operation<'p>(
    left: Body<'p>,
    op: SetOperator,
    quantifier: &SetQuantifier,
    right: Body<'p>,
) -> Result<Body<'p>, SqlError> {
    if left.columns.len() != right.columns.len() {
        return Err(SqlError::compilation(
            "001789",
            "invalid number of result columns for set operator input branches",
        ));
    }
    let word = match (op, quantifier) {
        (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
        (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => "UNION",
        (SetOperator::Except | SetOperator::Minus, SetQuantifier::None | SetQuantifier::Distinct) => "EXCEPT",
        (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => "INTERSECT",
        (op, quantifier) => return Err(SqlError::unsupported(format!("{op} {quantifier}"))),
    };
    let mut columns = Vec::new();
    for (a, b) in left.columns.iter().zip(&right.columns) {
        let data_type = common(Some(&a.data_type), Some(&b.data_type)).unwrap_or(DataType::TEXT);
        columns.push(OutColumn { name: a.name.clone(), data_type });
    }
    let side = |body: &Body<'_>| {
        let items = body.columns.iter().zip(&columns).enumerate().map(|(at, (from, to))| {
            let item = Typed::new(format!("o{at}"), from.data_type.clone()).cast(&to.data_type);
            format!("{} AS o{at}", item.sql)
        });
        format!("SELECT {} FROM ({})", items.collect::<Vec<_>>().join(", "), body.sql)
    };
    let sql = format!("SELECT * FROM ({} {word} {})", side(&left), side(&right));
    Ok(Body { sql, columns, items: Vec::new(), scope: Scope::default(), simple: false })
}

fn star(
    scope: &Scope<'_>,
    qualifiers: &[String],
    options: &WildcardAdditionalOptions,
    columns: &mut Vec<OutColumn>,
    items: &mut Vec<Typed>,
) -> Result<(), SqlError> {
    let excluded: Vec<String> = match &options.opt_exclude {
        None => Vec::new(),
        Some(exclude) => {
            let text = exclude.to_string();
            let list = text.trim_start_matches("EXCLUDE").trim().trim_matches(['(', ')']);
            list.split(',').map(|name| crate::names::resolve(name.trim())).collect()
        }
    };
    let found = scope.star(qualifiers);
    if found.is_empty() {
        return Err(SqlError::syntax("SELECT * without a table"));
    }
    for column in found.into_iter().filter(|column| !excluded.contains(&column.name)) {
        columns.push(OutColumn { name: column.name.clone(), data_type: column.data_type.clone() });
        items.push(Typed::new(column.sql.clone(), column.data_type.clone()));
    }
    Ok(())
}

/// `2` in GROUP BY and ORDER BY: the position from zero.
fn position(expression: &Expr, count: usize) -> Option<usize> {
    let Expr::Value(value) = expression else { return None };
    let Value::Number(text, _) = &value.value else { return None };
    text.parse::<usize>().ok().and_then(|at| at.checked_sub(1)).filter(|at| *at < count)
}

fn limit(clause: Option<&LimitClause>, fetch: Option<&Fetch>) -> Result<String, SqlError> {
    let count = |expr: &Expr| match expr {
        Expr::Value(value) if matches!(&value.value, Value::Number(..)) => Ok(value.to_string()),
        Expr::Value(value) if value.value == Value::Null => Ok("-1".to_owned()),
        other => Err(SqlError::unsupported(format!("LIMIT {other}"))),
    };
    let (limit, offset) = match (clause, fetch) {
        (None, None) => return Ok(String::new()),
        (None, Some(fetch)) => (fetch.quantity.as_ref(), None),
        (Some(LimitClause::LimitOffset { limit, offset, .. }), _) => {
            (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
        }
        (Some(LimitClause::OffsetCommaLimit { offset, limit }), _) => (Some(limit), Some(offset)),
    };
    let limit = limit.map_or(Ok("-1".to_owned()), count)?;
    let offset = offset.map(count).transpose()?.map_or(String::new(), |offset| format!(" OFFSET {offset}"));
    Ok(format!(" LIMIT {limit}{offset}"))
}

/// The name of a column without an alias: the expression as written, in upper case.
fn shown_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => resolve(ident),
        Expr::CompoundIdentifier(idents) => idents.last().map(resolve).unwrap_or_default(),
        other => other.to_string().to_uppercase(),
    }
}
