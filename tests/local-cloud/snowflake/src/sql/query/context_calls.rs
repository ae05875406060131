//! Functions about the session, and the one system function with an effect.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SelectItem, SetExpr, Value,
};

use super::Translator;
use super::typed::{Typed, literal};
use crate::account::Account;
use crate::catalog::{DataType, Kind};
use crate::names;
use crate::sql::{Answer, SqlError, SqlSession};

impl Translator<'_> {
    /// The value of a function without arguments, with or without its parentheses.
    pub(super) fn context_value(&self, name: &str) -> Option<Typed> {
        let text = |value: Option<&str>| match value {
            Some(value) => Typed::text(literal(value)),
            None => Typed::null(),
        };
        Some(match name {
            "CURRENT_TIMESTAMP" | "SYSTIMESTAMP" | "GETDATE" | "LOCALTIMESTAMP" => {
                Typed::new("sf_now()", DataType::LTZ)
            }
            "SYSDATE" => Typed::new("sf_now()", DataType::NTZ),
            "CURRENT_DATE" => Typed::new("substr(sf_now(), 1, 10)", DataType::Date),
            "CURRENT_TIME" => Typed::new("substr(sf_now(), 12)", DataType::Time(9)),
            "CURRENT_ROLE" => text(Some(&self.session.role)),
            "CURRENT_USER" => text(Some(&self.session.user)),
            "CURRENT_DATABASE" => text(self.session.database.as_deref()),
            "CURRENT_SCHEMA" => text(self.session.schema.as_deref()),
            "CURRENT_VERSION" => text(Some(env!("CARGO_PKG_VERSION"))),
            "RANDOM" => Typed::integer("random()"),
            "PI" => Typed::float("3.141592653589793"),
            _ => return None,
        })
    }
}

/// `SELECT SYSTEM$STREAMING_CHANNEL_INVALIDATE('<pipe>', '<channel>')`, which Snowflake's own tests use.
pub(super) fn side_effect(
    account: &Account,
    session: &SqlSession,
    query: &Query,
) -> Result<Option<Answer>, SqlError> {
    let SetExpr::Select(select) = &*query.body else { return Ok(None) };
    let [SelectItem::UnnamedExpr(Expr::Function(function))] = select.projection.as_slice() else {
        return Ok(None);
    };
    if !function.name.to_string().eq_ignore_ascii_case("SYSTEM$STREAMING_CHANNEL_INVALIDATE") {
        return Ok(None);
    }
    let FunctionArguments::List(list) = &function.args else { return Ok(None) };
    let texts: Vec<&str> = list
        .args
        .iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
                Value::SingleQuotedString(text) => Some(text.as_str()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let [pipe, channel] = texts.as_slice() else {
        return Err(SqlError::syntax("SYSTEM$STREAMING_CHANNEL_INVALIDATE takes a pipe and a channel"));
    };
    let path = session.path(&names::split(pipe))?;
    let catalog = account.catalog();
    let (table, ..) = catalog.resolve_pipe(&path).ok_or_else(|| SqlError::missing("Pipe", pipe))?;
    if !catalog.owns(&session.role, &Kind::Table(table)) {
        return Err(SqlError::denied("pipe", pipe));
    }
    if !account.invalidate_channel(&path, channel, "ERR_CHANNEL_MUST_BE_REOPENED") {
        return Err(SqlError::missing("Channel", channel));
    }
    Ok(Some(Answer::message("Channel invalidated.")))
}
