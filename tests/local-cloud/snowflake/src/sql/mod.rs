//! SQL as a Snowflake user writes it.
//!
//! Definitions and grants are parsed here from `sqlparser`'s tokens; queries are parsed by `sqlparser` and translated
//! to SQLite's SQL over the storage tables, with functions of our own where the two differ.

mod ddl;
mod dml;
mod errors;
mod functions;
mod parse;
mod query;
mod result;
mod session;
mod show;

use sqlparser::tokenizer::Token;

use crate::account::Account;

pub(crate) use errors::SqlFailure;
pub(crate) use functions::register;
pub(crate) use query::mapping_statement;
pub(crate) use result::Answer;
pub(crate) use session::SqlSession;

pub use errors::SqlError;
pub use result::{Column, ResultSet};

/// Runs the statements in `text`, separated by semicolons, and gives the last one's result.
pub(crate) fn run(account: &Account, session: &mut SqlSession, text: &str) -> Result<Answer, SqlError> {
    let mut parser = parse::parser(text)?;
    let mut result = None;
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token_ref().token == Token::EOF {
            break;
        }
        result = Some(statement(account, session, &mut parser)?);
        let next = parser.peek_token();
        if !matches!(next.token, Token::SemiColon | Token::EOF) {
            return Err(SqlError::syntax(format!("unexpected '{}'", next.token)));
        }
    }
    result.ok_or_else(|| SqlError::new("000900", "42601", "Empty SQL statement."))
}

fn statement(
    account: &Account,
    session: &mut SqlSession,
    parser: &mut sqlparser::parser::Parser<'_>,
) -> Result<Answer, SqlError> {
    let first = parser.peek_token();
    let word = match &first.token {
        Token::Word(word) => word.value.to_uppercase(),
        Token::LParen => "SELECT".to_owned(),
        other => return Err(SqlError::syntax(format!("unexpected '{other}'"))),
    };
    match word.as_str() {
        "SELECT" | "WITH" | "VALUES" => query::select(account, session, parser),
        "INSERT" | "DELETE" | "UPDATE" => {
            session.require_warehouse(&account.catalog())?;
            dml::run(account, session, parser)
        }
        "SHOW" => show::show(account, session, parser),
        "DESCRIBE" | "DESC" => show::describe(account, session, parser),
        _ => ddl::run(account, session, parser, &word),
    }
}
