//! Errors of SQL statements.

use std::fmt;

use sqlparser::parser::ParserError;
use sqlparser::tokenizer::TokenizerError;

use crate::values::Failure;

/// A statement that failed, with Snowflake's code and SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({state}): {message}")]
pub struct SqlError {
    /// Six digits, as in the SQL API's `code`.
    pub code: String,
    /// SQLSTATE.
    pub state: String,
    /// What is wrong.
    pub message: String,
}

/// A failure inside a function of ours, on its way through SQLite.
#[derive(Debug)]
pub(crate) struct SqlFailure(pub(crate) Failure);

impl fmt::Display for SqlFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\u{1f}{}", self.0.code, self.0.message)
    }
}

impl std::error::Error for SqlFailure {}

impl SqlFailure {
    /// Finds our failure in an error of SQLite, which keeps only the text.
    pub(crate) fn find(error: &rusqlite::Error) -> Option<Failure> {
        let rusqlite::Error::SqliteFailure(_, Some(text)) = error else { return None };
        let (code, message) = text.split_once('\u{1f}')?;
        Some(Failure::new(code.parse().ok()?, message))
    }
}

impl SqlError {
    pub(crate) fn new(code: &str, state: &str, message: impl Into<String>) -> Self {
        SqlError { code: code.into(), state: state.into(), message: message.into() }
    }

    pub(crate) fn unsupported(what: impl fmt::Display) -> Self {
        SqlError::new("000002", "0A000", format!("Unsupported feature '{what}'."))
    }

    pub(crate) fn syntax(why: impl fmt::Display) -> Self {
        SqlError::new("001003", "42000", format!("SQL compilation error:\nsyntax error: {why}."))
    }

    pub(crate) fn compilation(code: &str, why: impl fmt::Display) -> Self {
        SqlError::new(code, "42000", format!("SQL compilation error:\n{why}"))
    }

    pub(crate) fn missing(kind: &str, name: impl fmt::Display) -> Self {
        let message = format!("SQL compilation error:\n{kind} '{name}' does not exist or not authorized.");
        SqlError::new("002003", "42S02", message)
    }

    pub(crate) fn exists(name: impl fmt::Display) -> Self {
        SqlError::new("002002", "42710", format!("SQL compilation error:\nObject '{name}' already exists."))
    }

    pub(crate) fn invalid_identifier(name: impl fmt::Display) -> Self {
        SqlError::compilation("000904", format!("invalid identifier '{name}'"))
    }

    pub(crate) fn denied(kind: &str, name: impl fmt::Display) -> Self {
        let message =
            format!("SQL access control error:\nInsufficient privileges to operate on {kind} '{name}'.");
        SqlError::new("003001", "42501", message)
    }
}

impl From<ParserError> for SqlError {
    fn from(error: ParserError) -> Self {
        match error {
            ParserError::TokenizerError(why) | ParserError::ParserError(why) => SqlError::syntax(why),
            ParserError::RecursionLimitExceeded => SqlError::syntax("too deeply nested"),
        }
    }
}

impl From<TokenizerError> for SqlError {
    fn from(error: TokenizerError) -> Self {
        SqlError::syntax(error)
    }
}

impl From<Failure> for SqlError {
    fn from(failure: Failure) -> Self {
        SqlError::new(&failure.code.to_string(), "22000", failure.message)
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        match SqlFailure::find(&error) {
            Some(failure) => failure.into(),
            None => SqlError::new("000603", "XX000", format!("SQL execution internal error: {error}")),
        }
    }
}
