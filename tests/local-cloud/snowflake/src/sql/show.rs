//! SHOW and DESCRIBE.

use chrono::DateTime;
use sqlparser::parser::Parser;

use super::parse::{self, identifier, name, word, words};
use super::query::visible_table;
use super::{Answer, SqlError, SqlSession};
use crate::account::Account;
use crate::catalog::{Catalog, Kind, Path, Privilege, TableKind};
use crate::names::DEFAULT_PIPE_SUFFIX;

type Row = Vec<Option<String>>;

/// Which objects a SHOW lists.
struct Filter {
    like: Option<String>,
    database: Option<String>,
    schema: Option<String>,
    /// Channels of this table or pipe only.
    of: Option<Path>,
}

impl Filter {
    /// `[LIKE 'pattern'] [IN { ACCOUNT | DATABASE d | [SCHEMA] s | TABLE t | PIPE p }]`.
    fn read(session: &SqlSession, parser: &mut Parser<'_>) -> Result<Self, SqlError> {
        let mut filter = Filter {
            like: None,
            database: session.database.clone(),
            schema: session.schema.clone(),
            of: None,
        };
        if word(parser, "LIKE") {
            filter.like = Some(parser.parse_literal_string()?);
        }
        if word(parser, "IN") {
            if word(parser, "ACCOUNT") {
                (filter.database, filter.schema) = (None, None);
            } else if word(parser, "DATABASE") {
                (filter.database, filter.schema) = (Some(identifier(parser)?), None);
            } else if word(parser, "TABLE") || word(parser, "PIPE") {
                let path = session.path(&name(parser)?)?;
                (filter.database, filter.schema) = (Some(path.database.clone()), Some(path.schema.clone()));
                filter.of = Some(path);
            } else {
                word(parser, "SCHEMA");
                let (database, schema) = session.schema_path(&name(parser)?)?;
                (filter.database, filter.schema) = (Some(database), Some(schema));
            }
        }
        Ok(filter)
    }

    fn takes(&self, path: &Path) -> bool {
        self.database.as_ref().is_none_or(|database| *database == path.database)
            && self.schema.as_ref().is_none_or(|schema| *schema == path.schema)
            && self.takes_name(&path.name)
    }

    /// LIKE without regard to case, as in SHOW.
    fn takes_name(&self, name: &str) -> bool {
        let Some(pattern) = &self.like else { return true };
        let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
        super::functions::like(&chars(name), &chars(pattern), Some('\\'))
    }
}

fn time(ms: i64) -> Option<String> {
    DateTime::from_timestamp_millis(ms).map(|at| at.format("%Y-%m-%d %H:%M:%S%.3f +0000").to_string())
}

fn flag(on: bool) -> Option<String> {
    Some(if on { "ON" } else { "OFF" }.to_owned())
}

pub(super) fn show(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    parser.next_token();
    word(parser, "TERSE");
    let what = parse::next_word(parser)?;
    let catalog = account.catalog();
    match what.as_str() {
        "TABLES" => tables(account, session, &catalog, &Filter::read(session, parser)?),
        "COLUMNS" => columns(session, parser, &catalog),
        "CHANNELS" => channels(account, session, &catalog, &Filter::read(session, parser)?),
        "PIPES" => pipes(account, session, &catalog, &Filter::read(session, parser)?),
        "DATABASES" => {
            let filter = Filter::read(session, parser)?;
            let visible = catalog.databases.iter().filter(|(name, _)| {
                filter.takes_name(name)
                    && catalog.may(&session.role, Privilege::Usage, &Kind::Database((*name).clone()))
            });
            let rows = visible.map(|(name, database)| vec![Some(name.clone()), Some(database.owner.clone())]);
            Ok(Answer::texts(&["name", "owner"], rows.collect()))
        }
        "SCHEMAS" => schemas(session, &catalog, &Filter::read(session, parser)?),
        "ROLES" => {
            let rows = catalog.roles.iter().map(|role| vec![Some(role.clone())]);
            Ok(Answer::texts(&["name"], rows.collect()))
        }
        "USERS" => {
            let rows = catalog
                .users
                .iter()
                .map(|(name, user)| vec![Some(name.clone()), Some(user.default_role.clone())]);
            Ok(Answer::texts(&["name", "default_role"], rows.collect()))
        }
        "GRANTS" => grants(parser, &catalog),
        other => Err(SqlError::unsupported(format!("SHOW {other}"))),
    }
}

fn schemas(session: &SqlSession, catalog: &Catalog, filter: &Filter) -> Result<Answer, SqlError> {
    let mut rows = Vec::new();
    for (database, inside) in &catalog.databases {
        for (schema, inside) in &inside.schemas {
            if filter.database.as_ref().is_none_or(|wanted| wanted == database)
                && filter.takes_name(schema)
                && catalog.may_use(&session.role, database, schema)
            {
                rows.push(vec![Some(schema.clone()), Some(database.clone()), Some(inside.owner.clone())]);
            }
        }
    }
    Ok(Answer::texts(&["name", "database_name", "owner"], rows))
}

fn tables(
    account: &Account,
    session: &SqlSession,
    catalog: &Catalog,
    filter: &Filter,
) -> Result<Answer, SqlError> {
    let names = [
        "created_on",
        "name",
        "database_name",
        "schema_name",
        "kind",
        "rows",
        "owner",
        "cluster_by",
        "enable_schema_evolution",
        "error_logging",
        "row_timestamp",
    ];
    let rows = catalog.tables().filter(|(path, _)| filter.takes(path));
    let rows =
        rows.filter(|(path, _)| visible_table(catalog, session, path).is_ok()).map(|(path, table)| -> Row {
            let kind = match table.kind {
                TableKind::Standard => "TABLE",
                TableKind::Iceberg => "ICEBERG TABLE",
                TableKind::Interactive(_) => "INTERACTIVE TABLE",
            };
            vec![
                time(table.created_ms),
                Some(path.name),
                Some(path.database),
                Some(path.schema),
                Some(kind.to_owned()),
                Some(account.counts(table.id).rows.to_string()),
                Some(table.owner.clone()),
                table.cluster_by.clone(),
                flag(table.schema_evolution),
                flag(table.error_logging),
                flag(table.row_timestamp.is_some()),
            ]
        });
    Ok(Answer::texts(&names, rows.collect()))
}

fn columns(session: &SqlSession, parser: &mut Parser<'_>, catalog: &Catalog) -> Result<Answer, SqlError> {
    parse::expect(parser, "IN")?;
    word(parser, "TABLE");
    let path = session.path(&name(parser)?)?;
    let table = visible_table(catalog, session, &path)?;
    let rows = table.columns.iter().map(|column| -> Row {
        let null = if column.nullable { "true" } else { "NOT_NULL" };
        let evolved = (!column.evolved.is_empty()).then(|| column.evolved.join(", "));
        vec![
            Some(path.name.clone()),
            Some(path.schema.clone()),
            Some(column.name.clone()),
            Some(column.data_type.to_string()),
            Some(null.to_owned()),
            column.default.as_ref().map(|default| default.text.clone()),
            evolved,
        ]
    });
    let names = [
        "table_name",
        "schema_name",
        "column_name",
        "data_type",
        "null?",
        "default",
        "schema_evolution_record",
    ];
    Ok(Answer::texts(&names, rows.collect()))
}

fn channels(
    account: &Account,
    session: &SqlSession,
    catalog: &Catalog,
    filter: &Filter,
) -> Result<Answer, SqlError> {
    let names = [
        "created_on",
        "name",
        "database_name",
        "schema_name",
        "pipe_name",
        "table_name",
        "client_sequencer",
        "row_sequencer",
        "offset_token",
        "status",
    ];
    let mut rows: Vec<Row> = Vec::new();
    for channel in account.channels.all() {
        let pipe = &channel.key.pipe;
        let Some((table, ..)) = catalog.resolve_pipe(pipe) else { continue };
        let inside = Path { name: channel.name.clone(), ..pipe.clone() };
        let of = filter.of.as_ref().is_none_or(|of| of == pipe || *of == table);
        if !of || !filter.takes(&inside) || visible_table(catalog, session, &table).is_err() {
            continue;
        }
        let state = channel.state();
        rows.push(vec![
            time(channel.created_ms),
            Some(channel.name.clone()),
            Some(pipe.database.clone()),
            Some(pipe.schema.clone()),
            Some(pipe.name.clone()),
            Some(table.name),
            Some(state.client().to_string()),
            Some(state.row().to_string()),
            state.progress.committed.clone(),
            Some(state.status.code().to_owned()),
        ]);
    }
    Ok(Answer::texts(&names, rows))
}

/// Pipes made by users, and the default pipes that channels were opened on.
fn pipes(
    account: &Account,
    session: &SqlSession,
    catalog: &Catalog,
    filter: &Filter,
) -> Result<Answer, SqlError> {
    let mut rows: Vec<Row> = Vec::new();
    for (database, inside) in &catalog.databases {
        for (schema, inside) in &inside.schemas {
            for (name, pipe) in &inside.pipes {
                let path = Path { database: database.clone(), schema: schema.clone(), name: name.clone() };
                let may = [Privilege::Operate, Privilege::Monitor]
                    .iter()
                    .any(|privilege| catalog.may(&session.role, *privilege, &Kind::Pipe(path.clone())));
                if may && filter.takes(&path) {
                    let owner = Some(pipe.owner.clone());
                    rows.push(pipe_row(&path, time(pipe.created_ms), owner, &pipe.definition));
                }
            }
        }
    }
    let mut default: Vec<Path> =
        account.channels.all().iter().map(|channel| channel.key.pipe.clone()).collect();
    default.dedup();
    for path in default.iter().filter(|path| path.name.ends_with(DEFAULT_PIPE_SUFFIX) && filter.takes(path)) {
        let Some((table_path, table, None)) = catalog.resolve_pipe(path) else { continue };
        if visible_table(catalog, session, &table_path).is_ok() {
            let definition = format!(
                "COPY INTO {table_path} FROM (SELECT $1 FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))) MATCH_BY_COLUMN_NAME=CASE_INSENSITIVE"
            );
            rows.push(pipe_row(path, time(table.created_ms), None, &definition));
        }
    }
    Ok(Answer::texts(&["created_on", "name", "database_name", "schema_name", "definition", "owner"], rows))
}

fn pipe_row(path: &Path, created: Option<String>, owner: Option<String>, definition: &str) -> Row {
    vec![
        created,
        Some(path.name.clone()),
        Some(path.database.clone()),
        Some(path.schema.clone()),
        Some(definition.to_owned()),
        owner,
    ]
}

fn grants(parser: &mut Parser<'_>, catalog: &Catalog) -> Result<Answer, SqlError> {
    let role = if words(parser, "TO ROLE") { Some(identifier(parser)?) } else { None };
    while !parse::at_end(parser) {
        parser.next_token();
    }
    let rows = catalog.grants.iter().filter(|grant| role.as_ref().is_none_or(|role| *role == grant.role));
    let rows = rows.map(|grant| -> Row {
        let (kind, name) = grant.on.described();
        let privilege = grant.privilege.written().to_owned();
        vec![Some(privilege), Some(kind.to_owned()), Some(name), Some(grant.role.clone())]
    });
    Ok(Answer::texts(&["privilege", "granted_on", "name", "grantee_name"], rows.collect()))
}

pub(super) fn describe(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    parser.next_token();
    let catalog = account.catalog();
    if word(parser, "USER") {
        return describe_user(&catalog, &identifier(parser)?);
    }
    if word(parser, "PIPE") {
        let path = session.path(&name(parser)?)?;
        let like = Some(path.name.replace('_', "\\_"));
        let filter = Filter { like, database: Some(path.database), schema: Some(path.schema), of: None };
        let answer = pipes(account, session, &catalog, &filter)?;
        return if answer.cells.is_empty() { Err(SqlError::missing("Pipe", path.name)) } else { Ok(answer) };
    }
    for kind in ["ICEBERG", "INTERACTIVE", "TABLE"] {
        word(parser, kind);
    }
    let path = session.path(&name(parser)?)?;
    let table = visible_table(&catalog, session, &path)?;
    let rows = table.columns.iter().map(|column| -> Row {
        let yes_no = |yes: bool| Some(if yes { "Y" } else { "N" }.to_owned());
        let evolved = (!column.evolved.is_empty()).then(|| column.evolved.join(", "));
        vec![
            Some(column.name.clone()),
            Some(column.data_type.to_string()),
            Some("COLUMN".to_owned()),
            yes_no(column.nullable),
            column.default.as_ref().map(|default| default.text.clone()),
            yes_no(false),
            yes_no(false),
            evolved,
        ]
    });
    let names =
        ["name", "type", "kind", "null?", "default", "primary key", "unique key", "schema evolution record"];
    Ok(Answer::texts(&names, rows.collect()))
}

fn describe_user(catalog: &Catalog, name: &str) -> Result<Answer, SqlError> {
    let user = catalog.users.get(name).ok_or_else(|| SqlError::missing("User", name))?;
    let rows = vec![
        vec![Some("NAME".to_owned()), Some(name.to_owned())],
        vec![Some("TYPE".to_owned()), Some(user.user_type.clone())],
        vec![Some("DEFAULT_ROLE".to_owned()), Some(user.default_role.clone())],
        vec![Some("RSA_PUBLIC_KEY_FP".to_owned()), user.keys.first().map(|key| key.fingerprint())],
        vec![Some("RSA_PUBLIC_KEY_2_FP".to_owned()), user.second_key.as_ref().map(|key| key.fingerprint())],
    ];
    Ok(Answer::texts(&["property", "value"], rows))
}
