//! CREATE PIPE for streaming.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::{if_not_exists, require, require_owner};
use crate::account::Account;
use crate::catalog::{Kind, Pipe, Privilege};
use crate::names::DEFAULT_PIPE_SUFFIX;
use crate::sql::parse::{self, name, word};
use crate::sql::{Answer, SqlError, SqlSession, query};

/// `CREATE PIPE p AS COPY INTO t [(columns)] FROM (SELECT … FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))`.
pub(super) fn create(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
    replace: bool,
) -> Result<Answer, SqlError> {
    let keep = if_not_exists(parser);
    let path = session.path(&name(parser)?)?;
    while parse::peek_word(parser).is_some_and(|word| word != "AS") {
        parse::next_word(parser)?;
        parse::property(parser)?;
    }
    parse::expect(parser, "AS")?;
    parse::expect(parser, "COPY")?;
    parse::expect(parser, "INTO")?;
    let table = session.path(&name(parser)?)?;
    let columns = if parser.peek_token_ref().token == Token::LParen {
        parser.expect_token(&Token::LParen)?;
        let columns = parser.parse_comma_separated(Parser::parse_identifier)?;
        parser.expect_token(&Token::RParen)?;
        columns.iter().map(parse::resolve).collect()
    } else {
        Vec::new()
    };
    parse::expect(parser, "FROM")?;
    let text = parse::parenthesized(parser)?;
    let by_name = options(parser)?;
    let pipe = Pipe {
        id: 0,
        owner: session.role.clone(),
        definition: format!("COPY INTO {table} FROM ({text})"),
        table,
        columns,
        query: text,
        by_name,
        created_ms: account.clock().now_ms(),
    };
    put(account, session, &path, pipe, (replace, keep))?;
    Ok(Answer::message(format!("Pipe {} successfully created.", path.name)))
}

/// Options after the SELECT; whether columns are matched by name.
fn options(parser: &mut Parser<'_>) -> Result<bool, SqlError> {
    let mut by_name = false;
    while !parse::at_end(parser) {
        let option = parse::next_word(parser)?;
        if parser.peek_nth_token_ref(1).token == Token::LParen {
            parser.expect_token(&Token::Eq)?;
            parse::parenthesized(parser)?;
            continue;
        }
        let value = parse::property(parser)?.to_uppercase();
        match (option.as_str(), value.as_str()) {
            ("MATCH_BY_COLUMN_NAME", value) => by_name = value != "NONE",
            ("ON_ERROR", "CONTINUE") | ("CLUSTER_AT_INGEST_TIME" | "COMMENT", _) => {}
            (option, value) => {
                return Err(SqlError::unsupported(format!("{option} = {value} in a streaming pipe")));
            }
        }
        word(parser, ",");
    }
    Ok(by_name)
}

fn put(
    account: &Account,
    session: &SqlSession,
    path: &crate::catalog::Path,
    mut pipe: Pipe,
    (replace, keep): (bool, bool),
) -> Result<(), SqlError> {
    account.change(|_, catalog| {
        let on = Kind::Schema(path.database.clone(), path.schema.clone());
        if path.name.ends_with(DEFAULT_PIPE_SUFFIX) {
            return Err(SqlError::compilation(
                "001003",
                "names ending in -STREAMING are reserved for default pipes",
            ));
        }
        if catalog.pipe(path).is_some() {
            if keep {
                return Ok(());
            }
            if !replace {
                return Err(SqlError::exists(&path.name));
            }
            require_owner(catalog, session, &Kind::Pipe(path.clone()), ("pipe", &path.name))?;
        }
        require(catalog, session, Privilege::CreatePipe, &on, ("schema", &path.schema))?;
        let table = query::visible_table(catalog, session, &pipe.table)?;
        query::mapping_statement(catalog, table, &pipe.columns, &pipe.query, pipe.by_name)?;
        pipe.id = catalog.fresh_id();
        let inside = catalog.schema_mut(&path.database, &path.schema);
        inside
            .ok_or_else(|| SqlError::missing("Schema", &path.schema))?
            .pipes
            .insert(path.name.clone(), pipe);
        Ok(())
    })
}
