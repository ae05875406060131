//! The column list and the properties of a table.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::catalog::{Catalog, DataType, Default, NEXT_NUMBER, Sequence, Table, TableKind};
use crate::names;
use crate::sql::parse::{self, identifier, words};
use crate::sql::query::{self, Selected};
use crate::sql::{SqlError, SqlSession};

/// Properties without a meaning here; accepted, since setup scripts carry them.
const IGNORED: &[&str] = &[
    "DATA_RETENTION_TIME_IN_DAYS",
    "MAX_DATA_EXTENSION_TIME_IN_DAYS",
    "CHANGE_TRACKING",
    "COMMENT",
    "DEFAULT_DDL_COLLATION",
    "CATALOG",
    "BASE_LOCATION",
    "ICEBERG_VERSION",
    "STORAGE_SERIALIZATION_POLICY",
    "TARGET_LAG",
    "WAREHOUSE",
];

/// Reads `( column, … )` into `table`.
pub(super) fn list(
    parser: &mut Parser<'_>,
    session: &SqlSession,
    catalog: &Catalog,
    table: &mut Table,
) -> Result<(), SqlError> {
    parser.expect_token(&Token::LParen)?;
    loop {
        if out_of_line_constraint(parser)? {
            // Constraints other than NOT NULL are not enforced by Snowflake either.
        } else {
            definition(parser, session, catalog, table)?;
        }
        if parser.consume_token(&Token::RParen) {
            return Ok(());
        }
        parser.expect_token(&Token::Comma)?;
    }
}

fn out_of_line_constraint(parser: &mut Parser<'_>) -> Result<bool, SqlError> {
    if parse::word(parser, "CONSTRAINT") {
        identifier(parser)?;
    }
    if words(parser, "PRIMARY KEY") || words(parser, "FOREIGN KEY") || words(parser, "UNIQUE") {
        parse::parenthesized(parser)?;
        if parse::word(parser, "REFERENCES") {
            parse::name(parser)?;
            if parser.peek_token_ref().token == Token::LParen {
                parse::parenthesized(parser)?;
            }
        }
        return Ok(true);
    }
    Ok(false)
}

/// Reads one column with its type and constraints and adds it to `table`; its position.
pub(super) fn definition(
    parser: &mut Parser<'_>,
    session: &SqlSession,
    catalog: &Catalog,
    table: &mut Table,
) -> Result<usize, SqlError> {
    let name = identifier(parser)?;
    if table.column(&name).is_some() {
        return Err(SqlError::compilation("002025", format!("duplicate column name '{name}'")));
    }
    let data_type = DataType::parse(parser)?;
    let structured = matches!(&data_type, DataType::Object(fields) if !fields.is_empty())
        || matches!(data_type, DataType::Array(Some(_)) | DataType::Map(..));
    if table.kind == TableKind::Iceberg {
        let unsized_text =
            !matches!(data_type, DataType::Varchar(length) if length != crate::catalog::LONGEST_VARCHAR);
        if !unsized_text || matches!(&data_type, DataType::Array(None)) {
            let message =
                format!("data type {data_type} of column '{name}' is not supported for Iceberg tables");
            return Err(SqlError::compilation("093642", message));
        }
    } else if structured && matches!(table.kind, TableKind::Interactive(_)) {
        return Err(SqlError::unsupported(format!("{data_type} in an interactive table")));
    }
    let at = table.add_column(name, data_type.clone(), true);
    loop {
        if words(parser, "NOT NULL") || words(parser, "PRIMARY KEY") {
            table.columns[at].nullable = false;
        } else if parse::word(parser, "NULL") || parse::word(parser, "UNIQUE") {
        } else if parse::word(parser, "COMMENT") || parse::word(parser, "COLLATE") {
            parser.parse_literal_string()?;
        } else if parse::word(parser, "DEFAULT") {
            let expression = parser.parse_expr()?;
            let stored = query::constant(catalog, session, &expression, &data_type)?;
            table.columns[at].default =
                Some(Default { text: expression.to_string(), stored, sequence: None });
        } else if parse::word(parser, "AUTOINCREMENT") || parse::word(parser, "IDENTITY") {
            table.columns[at].default = Some(sequence(parser, &data_type)?);
        } else {
            return Ok(at);
        }
    }
}

/// `(1, 1)` or `START 1 INCREMENT 1`, and whether the order counts, which it always has here.
fn sequence(parser: &mut Parser<'_>, data_type: &DataType) -> Result<Default, SqlError> {
    if !matches!(data_type, DataType::Number { scale: 0, .. }) {
        let text = format!("AUTOINCREMENT on a column of type {data_type}");
        return Err(SqlError::compilation("002262", text));
    }
    let (mut start, mut step) = (1, 1);
    if parser.consume_token(&Token::LParen) {
        start = number(parser)?;
        parser.expect_token(&Token::Comma)?;
        step = number(parser)?;
        parser.expect_token(&Token::RParen)?;
    }
    loop {
        if parse::word(parser, "START") {
            parse::word(parser, "WITH");
            let _ = parser.consume_token(&Token::Eq);
            start = number(parser)?;
        } else if parse::word(parser, "INCREMENT") {
            parse::word(parser, "BY");
            let _ = parser.consume_token(&Token::Eq);
            step = number(parser)?;
        } else if !(parse::word(parser, "ORDER") || parse::word(parser, "NOORDER")) {
            break;
        }
    }
    if step == 0 {
        return Err(SqlError::syntax("the increment of a column is 0"));
    }
    let text = format!("IDENTITY START {start} INCREMENT {step} ORDER");
    Ok(Default { text, stored: NEXT_NUMBER.to_owned(), sequence: Some(Sequence { start, step }) })
}

fn number(parser: &mut Parser<'_>) -> Result<i64, SqlError> {
    let negative = parser.consume_token(&Token::Minus);
    let digits = parser.parse_literal_uint()?;
    let number = i64::try_from(digits).map_err(|_| SqlError::syntax(format!("{digits} is too large")))?;
    Ok(if negative { -number } else { number })
}

/// Columns of CREATE TABLE … AS SELECT.
pub(super) fn from_query(table: &mut Table, selected: &Selected) {
    for column in &selected.columns {
        table.add_column(column.name.clone(), column.data_type.clone(), true);
    }
}

/// Properties that must fit the kind of table.
pub(super) struct Options {
    row_timestamp: bool,
}

impl Options {
    /// Reads the properties between the column list and AS.
    pub(super) fn read(parser: &mut Parser<'_>, table: &mut Table) -> Result<Self, SqlError> {
        let mut options = Options { row_timestamp: false };
        loop {
            let Some(word) = parse::peek_word(parser).filter(|word| word != "AS") else { return Ok(options) };
            parser.next_token();
            match word.as_str() {
                "ENABLE_SCHEMA_EVOLUTION" => table.schema_evolution = parse::flag(parser)?,
                "ERROR_LOGGING" => table.error_logging = parse::flag(parser)?,
                "ROW_TIMESTAMP" => {
                    options.row_timestamp = parse::flag(parser)?;
                    table.row_timestamp = options.row_timestamp.then_some(0);
                }
                "CLUSTER" => {
                    parse::expect(parser, "BY")?;
                    table.cluster_by = Some(parse::parenthesized(parser)?);
                }
                "EXTERNAL_VOLUME" => {
                    let volume = names::resolve(&parse::property(parser)?);
                    // Snowflake's own storage needs no privilege.
                    table.external_volume = Some(volume).filter(|volume| volume != "SNOWFLAKE_MANAGED");
                }
                "COPY" => parse::expect(parser, "GRANTS")?,
                other if IGNORED.contains(&other) => {
                    parse::property(parser)?;
                }
                other => {
                    return Err(SqlError::compilation(
                        "001420",
                        format!("invalid property '{other}' for 'TABLE'"),
                    ));
                }
            }
        }
    }

    pub(super) fn check(&self, table: &Table) -> Result<(), SqlError> {
        if matches!(table.kind, TableKind::Interactive(_)) && (self.row_timestamp || table.schema_evolution) {
            return Err(SqlError::unsupported(
                "ROW_TIMESTAMP or ENABLE_SCHEMA_EVOLUTION on an interactive table",
            ));
        }
        if table.kind == TableKind::Iceberg && table.schema_evolution {
            return Err(SqlError::unsupported("ENABLE_SCHEMA_EVOLUTION on an Iceberg table"));
        }
        Ok(())
    }
}
