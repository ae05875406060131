//! Expressions.

use sqlparser::ast::{
    AccessExpr, CaseWhen, CastKind, CeilFloorKind, Expr, JsonPathElem, Subscript, TrimWhereField,
    UnaryOperator, Value,
};

use super::operators::{self, equal};
use super::typed::{Typed, common, literal};
use super::{Scope, Translator};
use crate::catalog::DataType;
use crate::sql::SqlError;
use crate::sql::parse::resolve;
use crate::values::{Cell, Decimal};

impl Translator<'_> {
    pub(in crate::sql) fn expr(&mut self, scope: &Scope<'_>, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.starts_with('$') => {
                scope.find(std::slice::from_ref(&ident.value))
            }
            Expr::Identifier(ident) => self.identifier(scope, ident),
            Expr::CompoundIdentifier(idents) => scope.find(&idents.iter().map(resolve).collect::<Vec<_>>()),
            Expr::Value(value) => value_literal(scope, &value.value),
            Expr::TypedString(typed) => {
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                Ok(Typed::text(literal(&text)).cast(&DataType::parse_text(&typed.data_type.to_string())?))
            }
            Expr::Nested(inner) => {
                let typed = self.expr(scope, inner)?;
                Ok(Typed { sql: format!("({})", typed.sql), ..typed })
            }
            Expr::JsonAccess { value, path } => {
                let root = self.expr(scope, value)?;
                self.path(scope, root, &path.path)
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.field_access(scope, root, access_chain),
            Expr::Cast { kind, expr, data_type, .. } => {
                let value = self.expr(scope, expr)?;
                let to = DataType::parse_text(&data_type.to_string())?;
                Ok(match kind {
                    CastKind::Cast | CastKind::DoubleColon => value.cast(&to),
                    CastKind::TryCast | CastKind::SafeCast => value.try_cast(&to),
                })
            }
            Expr::BinaryOp { left, op, right } => {
                let (left, right) = (self.expr(scope, left)?, self.expr(scope, right)?);
                operators::binary(left, op, right)
            }
            Expr::UnaryOp { op, expr } => self.unary(scope, *op, expr),
            Expr::Function(function) => self.call(scope, function),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(scope, operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Subquery(query) => {
                let inner = self.query(query, Some(scope))?;
                let data_type = inner.columns.first().map(|column| column.data_type.clone());
                Ok(Typed { sql: format!("({})", inner.sql), data_type })
            }
            other => self.predicate(scope, other),
        }
    }

    fn identifier(&mut self, scope: &Scope<'_>, ident: &sqlparser::ast::Ident) -> Result<Typed, SqlError> {
        let name = resolve(ident);
        match scope.find(std::slice::from_ref(&name)) {
            Ok(found) => Ok(found),
            Err(error) if ident.quote_style.is_some() => Err(error),
            Err(error) => self.context_value(&name).ok_or(error),
        }
    }

    fn unary(&mut self, scope: &Scope<'_>, op: UnaryOperator, expr: &Expr) -> Result<Typed, SqlError> {
        let value = self.expr(scope, expr)?;
        match op {
            UnaryOperator::Not => Ok(Typed::boolean(format!("(NOT {})", value.condition()))),
            UnaryOperator::Plus => Ok(value),
            UnaryOperator::Minus if value.is_number() => {
                let data_type = value.data_type.clone();
                Ok(Typed { sql: format!("sf_sub(0, {})", value.sql), data_type })
            }
            UnaryOperator::Minus => Ok(Typed::float(format!("(-{})", value.into_float()))),
            other => Err(SqlError::unsupported(other)),
        }
    }

    fn path(&mut self, scope: &Scope<'_>, root: Typed, path: &[JsonPathElem]) -> Result<Typed, SqlError> {
        if !root.is_variant() && root.data_type.is_some() {
            let message = format!("invalid path on a value of type {}", root.type_or_text());
            return Err(SqlError::compilation("001044", message));
        }
        let mut steps = Vec::new();
        for step in path {
            steps.push(match step {
                JsonPathElem::Dot { key, .. } => literal(key),
                JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } => {
                    self.expr(scope, key)?.sql
                }
            });
        }
        Ok(Typed::variant(format!("sf_get({}, {})", root.sql, steps.join(", "))))
    }

    fn field_access(
        &mut self,
        scope: &Scope<'_>,
        root: &Expr,
        chain: &[AccessExpr],
    ) -> Result<Typed, SqlError> {
        let root = self.expr(scope, root)?;
        let mut steps = Vec::new();
        for access in chain {
            steps.push(match access {
                AccessExpr::Subscript(Subscript::Index { index }) => self.expr(scope, index)?.sql,
                AccessExpr::Dot(Expr::Identifier(ident)) => literal(&ident.value),
                other => return Err(SqlError::unsupported(format!("{other:?}"))),
            });
        }
        Ok(Typed::variant(format!("sf_get({}, {})", root.sql, steps.join(", "))))
    }

    fn case(
        &mut self,
        scope: &Scope<'_>,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Typed, SqlError> {
        let operand = operand.map(|operand| self.expr(scope, operand)).transpose()?;
        let mut branches = Vec::new();
        for when in conditions {
            let condition = self.expr(scope, &when.condition)?;
            let condition = match &operand {
                Some(operand) => equal(operand.clone(), condition).condition(),
                None => condition.condition(),
            };
            branches.push((condition, self.expr(scope, &when.result)?));
        }
        let otherwise = otherwise.map_or(Ok(Typed::null()), |otherwise| self.expr(scope, otherwise))?;
        Ok(case_when(branches, otherwise))
    }

    fn predicate(&mut self, scope: &Scope<'_>, expr: &Expr) -> Result<Typed, SqlError> {
        let not = |negated: bool| if negated { "NOT " } else { "" };
        Ok(match expr {
            Expr::IsNull(value) => Typed::boolean(format!("({} IS NULL)", self.expr(scope, value)?.sql)),
            Expr::IsNotNull(value) => {
                Typed::boolean(format!("({} IS NOT NULL)", self.expr(scope, value)?.sql))
            }
            Expr::IsTrue(value) => Typed::boolean(format!("({} IS 1)", self.expr(scope, value)?.condition())),
            Expr::IsFalse(value) => {
                Typed::boolean(format!("({} IS 0)", self.expr(scope, value)?.condition()))
            }
            Expr::IsNotTrue(value) => {
                Typed::boolean(format!("({} IS NOT 1)", self.expr(scope, value)?.condition()))
            }
            Expr::IsNotFalse(value) => {
                Typed::boolean(format!("({} IS NOT 0)", self.expr(scope, value)?.condition()))
            }
            Expr::IsDistinctFrom(a, b) | Expr::IsNotDistinctFrom(a, b) => {
                let (a, b) = operators::aligned(self.expr(scope, a)?, self.expr(scope, b)?);
                let negated = matches!(expr, Expr::IsDistinctFrom(..));
                Typed::boolean(format!("({} IS {}{})", a.sql, not(negated), b.sql))
            }
            Expr::InList { expr, list, negated } => {
                let value = self.expr(scope, expr)?;
                let mut any = Vec::new();
                for item in list {
                    any.push(equal(value.clone(), self.expr(scope, item)?).condition());
                }
                Typed::boolean(format!("({}({}))", not(*negated), any.join(" OR ")))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let value = self.expr(scope, expr)?;
                let inner = self.query(subquery, Some(scope))?;
                Typed::boolean(format!("({} {}IN ({}))", value.sql, not(*negated), inner.sql))
            }
            Expr::Exists { subquery, negated } => {
                let inner = self.query(subquery, Some(scope))?;
                Typed::boolean(format!("({}EXISTS ({}))", not(*negated), inner.sql))
            }
            Expr::Between { expr, negated, low, high } => {
                let value = self.expr(scope, expr)?;
                let low = operators::compare(value.clone(), ">=", self.expr(scope, low)?).sql;
                let high = operators::compare(value, "<=", self.expr(scope, high)?).sql;
                Typed::boolean(format!("({}({low} AND {high}))", not(*negated)))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(scope, (expr, pattern, escape_char.as_deref()), *negated, false)?
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(scope, (expr, pattern, escape_char.as_deref()), *negated, true)?
            }
            other => self.syntax_call(scope, other)?,
        })
    }

    fn like(
        &mut self,
        scope: &Scope<'_>,
        (expr, pattern, escape): (&Expr, &Expr, Option<&Expr>),
        negated: bool,
        fold: bool,
    ) -> Result<Typed, SqlError> {
        let text = self.expr(scope, expr)?.into_text();
        let pattern = self.expr(scope, pattern)?.into_text();
        let escape = escape.map_or(Ok("NULL".to_owned()), |escape| {
            Ok::<_, SqlError>(self.expr(scope, escape)?.into_text())
        })?;
        let not = if negated { "NOT " } else { "" };
        Ok(Typed::boolean(format!("({not}sf_like({text}, {pattern}, {escape}, {}))", i32::from(fold))))
    }

    /// Functions with a syntax of their own.
    fn syntax_call(&mut self, scope: &Scope<'_>, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Extract { field, expr, .. } => {
                let value = self.expr(scope, expr)?;
                Ok(super::date_calls::part(&field.to_string(), &value))
            }
            Expr::Ceil { expr: inner, field } | Expr::Floor { expr: inner, field } => {
                let digits = match field {
                    CeilFloorKind::Scale(value) => value.to_string(),
                    CeilFloorKind::DateTimeField(_) => "0".to_owned(),
                };
                let mode = if matches!(expr, Expr::Ceil { .. }) { 1 } else { -1 };
                let value = self.expr(scope, inner)?;
                Ok(super::calls::rounded(value, &digits, mode))
            }
            Expr::Position { expr, r#in } => {
                let (part, text) = (self.expr(scope, expr)?.into_text(), self.expr(scope, r#in)?.into_text());
                Ok(Typed::integer(format!("instr({text}, {part})")))
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let text = self.expr(scope, expr)?.into_text();
                let from = substring_from
                    .as_ref()
                    .map_or(Ok("1".to_owned()), |from| Ok::<_, SqlError>(self.expr(scope, from)?.sql))?;
                let length = match substring_for {
                    Some(length) => format!(", {}", self.expr(scope, length)?.sql),
                    None => String::new(),
                };
                Ok(Typed::text(format!("substr({text}, {from}{length})")))
            }
            Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
                let text = self.expr(scope, expr)?.into_text();
                let what =
                    trim_what.as_deref().or_else(|| trim_characters.as_ref().and_then(|list| list.first()));
                let what = what.map_or(Ok(String::new()), |what| {
                    Ok::<_, SqlError>(format!(", {}", self.expr(scope, what)?.into_text()))
                })?;
                let function = match trim_where {
                    None | Some(TrimWhereField::Both) => "trim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                Ok(Typed::text(format!("{function}({text}{what})")))
            }
            other => Err(SqlError::unsupported(other)),
        }
    }
}

/// `CASE WHEN … THEN … ELSE … END` over results of a common type.
pub(super) fn case_when(branches: Vec<(String, Typed)>, otherwise: Typed) -> Typed {
    let data_type = branches
        .iter()
        .map(|(_, result)| result)
        .chain([&otherwise])
        .fold(None, |found: Option<DataType>, result| common(found.as_ref(), result.data_type.as_ref()));
    let aligned = |result: Typed| match &data_type {
        Some(data_type) => result.cast(data_type).sql,
        None => result.sql,
    };
    let mut sql = String::from("CASE");
    for (condition, result) in branches {
        sql.push_str(&format!(" WHEN {condition} THEN {}", aligned(result)));
    }
    sql.push_str(&format!(" ELSE {} END", aligned(otherwise)));
    Typed { sql, data_type }
}

fn value_literal(scope: &Scope<'_>, value: &Value) -> Result<Typed, SqlError> {
    Ok(match value {
        Value::Number(text, _) => number_literal(text)?,
        Value::SingleQuotedString(text)
        | Value::NationalStringLiteral(text)
        | Value::EscapedStringLiteral(text) => text_literal(text),
        Value::DollarQuotedString(text) => text_literal(&text.value),
        Value::Boolean(value) => Typed::boolean(i32::from(*value).to_string()),
        Value::Null => Typed::null(),
        Value::Placeholder(name) => return scope.find(std::slice::from_ref(name)),
        other => return Err(SqlError::unsupported(other)),
    })
}

fn text_literal(text: &str) -> Typed {
    let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX).max(1);
    Typed::new(literal(text), DataType::Varchar(length))
}

fn number_literal(text: &str) -> Result<Typed, SqlError> {
    if text.contains(['e', 'E']) {
        return Ok(Typed::float(text));
    }
    let number = Decimal::parse(text).map_err(|_| SqlError::syntax(format!("number {text}")))?;
    let data_type = DataType::Number { precision: 38, scale: number.scale() };
    Ok(match number.into_cell() {
        Cell::Int(value) => Typed::new(value.to_string(), data_type),
        other => Typed::new(literal(&crate::values::number_text(&other)), data_type),
    })
}
