//! Small steps over `sqlparser`'s tokens.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use sqlparser::dialect::SnowflakeDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::SqlError;

static DIALECT: SnowflakeDialect = SnowflakeDialect;

/// A parser at the beginning of `text`.
pub(crate) fn parser(text: &str) -> Result<Parser<'static>, SqlError> {
    let tokens = Tokenizer::new(&DIALECT, text).tokenize_with_location()?;
    Ok(Parser::new(&DIALECT).with_tokens_with_locations(tokens))
}

/// Steps over the unquoted word `expected`, when it comes next.
pub(super) fn word(parser: &mut Parser<'_>, expected: &str) -> bool {
    let found = peek_word(parser).is_some_and(|word| word == expected);
    if found {
        parser.next_token();
    }
    found
}

/// Steps over several unquoted words, when all of them come next.
pub(super) fn words(parser: &mut Parser<'_>, expected: &str) -> bool {
    let expected: Vec<&str> = expected.split(' ').collect();
    let all = expected.iter().enumerate().all(|(nth, expected)| {
        matches!(&parser.peek_nth_token_ref(nth).token,
            Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
    });
    if all {
        for _ in &expected {
            parser.next_token();
        }
    }
    all
}

/// The next token in upper case, when it is an unquoted word.
pub(super) fn peek_word(parser: &Parser<'_>) -> Option<String> {
    match &parser.peek_token_ref().token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

/// The next token, which must be an unquoted word, in upper case.
pub(super) fn next_word(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    let word = peek_word(parser);
    let token = parser.next_token();
    word.ok_or_else(|| SqlError::syntax(format!("unexpected '{}'", token.token)))
}

/// Requires the unquoted word `expected` next.
pub(super) fn expect(parser: &mut Parser<'_>, expected: &str) -> Result<(), SqlError> {
    if word(parser, expected) {
        return Ok(());
    }
    Err(SqlError::syntax(format!("expected {expected}, found '{}'", parser.peek_token().token)))
}

/// Whether the statement ends here.
pub(super) fn at_end(parser: &Parser<'_>) -> bool {
    matches!(parser.peek_token_ref().token, Token::EOF | Token::SemiColon)
}

/// The stored name that an identifier means.
pub(super) fn resolve(ident: &Ident) -> String {
    match ident.quote_style {
        Some('"') => ident.value.clone(),
        _ => ident.value.to_uppercase(),
    }
}

/// A name of one to three parts, resolved.
pub(super) fn name(parser: &mut Parser<'_>) -> Result<Vec<String>, SqlError> {
    if words(parser, "IDENTIFIER") {
        parser.expect_token(&Token::LParen)?;
        let text = parser.parse_literal_string()?;
        parser.expect_token(&Token::RParen)?;
        return Ok(crate::names::split(&text));
    }
    parts(&parser.parse_object_name(false)?)
}

/// The resolved parts of a parsed name.
pub(super) fn parts(name: &ObjectName) -> Result<Vec<String>, SqlError> {
    let part = |part: &ObjectNamePart| match part {
        ObjectNamePart::Identifier(ident) => Ok(resolve(ident)),
        ObjectNamePart::Function(_) => Err(SqlError::unsupported("functions as names")),
    };
    name.0.iter().map(part).collect()
}

/// One identifier, resolved.
pub(super) fn identifier(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    Ok(resolve(&parser.parse_identifier()?))
}

/// The value of `NAME = value`: a word, number or string as text.
pub(super) fn property(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    parser.expect_token(&Token::Eq)?;
    let token = parser.next_token();
    match token.token {
        Token::Word(word) => Ok(word.value),
        Token::Number(text, _) | Token::SingleQuotedString(text) => Ok(text),
        Token::DollarQuotedString(quoted) => Ok(quoted.value),
        other => Err(SqlError::syntax(format!("unexpected '{other}'"))),
    }
}

/// The value of `NAME = TRUE | FALSE`.
pub(super) fn flag(parser: &mut Parser<'_>) -> Result<bool, SqlError> {
    match property(parser)?.to_uppercase().as_str() {
        "TRUE" => Ok(true),
        "FALSE" => Ok(false),
        other => Err(SqlError::syntax(format!("expected TRUE or FALSE, found '{other}'"))),
    }
}

/// Steps over a parenthesis and everything in it; the text inside.
pub(super) fn parenthesized(parser: &mut Parser<'_>) -> Result<String, SqlError> {
    parser.expect_token(&Token::LParen)?;
    let mut depth = 1;
    let mut text = String::new();
    loop {
        let Some(token) = parser.next_token_no_skip().cloned() else {
            return Err(SqlError::syntax("a parenthesis is not closed"));
        };
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::EOF => return Err(SqlError::syntax("a parenthesis is not closed")),
            _ => {}
        }
        if depth == 0 {
            return Ok(text.trim().to_owned());
        }
        text.push_str(&token.token.to_string());
    }
}
