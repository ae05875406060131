//! GRANT and REVOKE.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::account::Account;
use crate::catalog::{Catalog, Grant, Kind, Privilege, user_grantee};
use crate::sql::parse::{self, identifier, name, word, words};
use crate::sql::{Answer, SqlError, SqlSession};

/// What a GRANT hands out.
enum Handed {
    Ownership,
    Privileges(Vec<Privilege>),
    Role(String),
}

pub(super) fn grant(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    let (handed, on) = clause(session, parser)?;
    let grantee = grantee(parser, "TO")?;
    words(parser, "WITH GRANT OPTION");
    for ending in ["COPY CURRENT GRANTS", "REVOKE CURRENT GRANTS"] {
        words(parser, ending);
    }
    account.change(|_, catalog| {
        known_grantee(catalog, &grantee)?;
        for on in on.expanded(catalog) {
            may_grant(catalog, session, &on, &handed)?;
            match &handed {
                Handed::Ownership => set_owner(catalog, &on, &grantee)?,
                Handed::Privileges(privileges) => {
                    for privilege in privileges {
                        let grant = Grant { role: grantee.clone(), privilege: *privilege, on: on.clone() };
                        if !catalog.grants.contains(&grant) {
                            catalog.grants.push(grant);
                        }
                    }
                }
                Handed::Role(role) => {
                    let on = Kind::Role(role.clone());
                    catalog.grants.push(Grant { role: grantee.clone(), privilege: Privilege::Usage, on });
                }
            }
        }
        Ok(())
    })?;
    Ok(Answer::message("Statement executed successfully."))
}

pub(super) fn revoke(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    words(parser, "GRANT OPTION FOR");
    let (handed, on) = clause(session, parser)?;
    let grantee = grantee(parser, "FROM")?;
    account.change(|_, catalog| {
        for on in on.expanded(catalog) {
            may_grant(catalog, session, &on, &handed)?;
            match &handed {
                Handed::Ownership => return Err(SqlError::unsupported("REVOKE OWNERSHIP")),
                Handed::Privileges(privileges) => catalog.grants.retain(|grant| {
                    let all = privileges.contains(&Privilege::All);
                    !(grant.role == grantee
                        && grant.on == on
                        && (all || privileges.contains(&grant.privilege)))
                }),
                Handed::Role(role) => catalog
                    .grants
                    .retain(|grant| !(grant.role == grantee && grant.on == Kind::Role(role.clone()))),
            }
        }
        Ok(())
    })?;
    Ok(Answer::message("Statement executed successfully."))
}

/// Objects that a grant is on.
enum On {
    One(Kind),
    AllTables(String, String),
}

impl On {
    fn expanded(&self, catalog: &Catalog) -> Vec<Kind> {
        match self {
            On::One(kind) => vec![kind.clone()],
            On::AllTables(database, schema) => {
                let inside =
                    |path: &crate::catalog::Path| path.database == *database && path.schema == *schema;
                catalog.tables().map(|(path, _)| path).filter(inside).map(Kind::Table).collect()
            }
        }
    }
}

/// `<privileges> ON <object>` or `ROLE <role>`.
fn clause(session: &SqlSession, parser: &mut Parser<'_>) -> Result<(Handed, On), SqlError> {
    if word(parser, "ROLE") {
        let role = identifier(parser)?;
        return Ok((Handed::Role(role.clone()), On::One(Kind::Role(role))));
    }
    let mut privileges = Vec::new();
    let mut current = String::new();
    loop {
        if parser.consume_token(&Token::Comma) || parse::peek_word(parser).as_deref() == Some("ON") {
            privileges.push(std::mem::take(&mut current));
            if word(parser, "ON") {
                break;
            }
            continue;
        }
        let next = parse::next_word(parser)?;
        current = if current.is_empty() { next } else { format!("{current} {next}") };
    }
    let handed = if privileges == ["OWNERSHIP"] {
        Handed::Ownership
    } else {
        let parse = |text: &String| {
            Privilege::parse(text).ok_or_else(|| SqlError::syntax(format!("unknown privilege '{text}'")))
        };
        Handed::Privileges(privileges.iter().map(parse).collect::<Result<_, _>>()?)
    };
    Ok((handed, object(session, parser)?))
}

fn object(session: &SqlSession, parser: &mut Parser<'_>) -> Result<On, SqlError> {
    if words(parser, "ALL TABLES IN SCHEMA") {
        let (database, schema) = session.schema_path(&name(parser)?)?;
        return Ok(On::AllTables(database, schema));
    }
    word(parser, "ICEBERG");
    word(parser, "INTERACTIVE");
    Ok(On::One(match parse::next_word(parser)?.as_str() {
        "ACCOUNT" => Kind::Account,
        "DATABASE" => Kind::Database(identifier(parser)?),
        "SCHEMA" => {
            let (database, schema) = session.schema_path(&name(parser)?)?;
            Kind::Schema(database, schema)
        }
        "TABLE" => Kind::Table(session.path(&name(parser)?)?),
        "PIPE" => Kind::Pipe(session.path(&name(parser)?)?),
        "EXTERNAL" => {
            parse::expect(parser, "VOLUME")?;
            Kind::ExternalVolume(identifier(parser)?)
        }
        "WAREHOUSE" => Kind::Warehouse(identifier(parser)?),
        other @ ("INTEGRATION" | "USER") => Kind::Other(format!("{other} {}", identifier(parser)?)),
        other => return Err(SqlError::unsupported(format!("GRANT ON {other}"))),
    }))
}

fn grantee(parser: &mut Parser<'_>, preposition: &str) -> Result<String, SqlError> {
    parse::expect(parser, preposition)?;
    if word(parser, "USER") {
        return Ok(user_grantee(&identifier(parser)?));
    }
    word(parser, "ROLE");
    identifier(parser)
}

fn known_grantee(catalog: &Catalog, grantee: &str) -> Result<(), SqlError> {
    let user = grantee.strip_prefix("user ").is_some_and(|user| catalog.users.contains_key(user));
    if user || catalog.roles.iter().any(|role| role == grantee) {
        return Ok(());
    }
    Err(SqlError::missing("Role", grantee))
}

fn may_grant(catalog: &Catalog, session: &SqlSession, on: &Kind, handed: &Handed) -> Result<(), SqlError> {
    let exists = match on {
        Kind::Database(name) => catalog.databases.contains_key(name),
        Kind::Schema(database, schema) => catalog.schema(database, schema).is_some(),
        Kind::Table(path) => catalog.table(path).is_some(),
        Kind::Pipe(path) => catalog.pipe(path).is_some(),
        Kind::Role(name) => catalog.roles.contains(name),
        Kind::Warehouse(name) => catalog.warehouses.contains_key(name),
        Kind::Account | Kind::ExternalVolume(_) | Kind::Other(_) => true,
    };
    if !exists {
        return Err(SqlError::missing("Object", describe(on)));
    }
    let allowed = match (handed, on) {
        (Handed::Role(_), on) => catalog.may(&session.role, Privilege::All, on),
        (_, Kind::Other(_)) => true,
        (_, on) => catalog.owns(&session.role, on),
    };
    if allowed { Ok(()) } else { Err(SqlError::denied("object", describe(on))) }
}

fn describe(on: &Kind) -> String {
    on.described().1
}

fn set_owner(catalog: &mut Catalog, on: &Kind, owner: &str) -> Result<(), SqlError> {
    let place = match on {
        Kind::Database(name) => catalog.databases.get_mut(name).map(|database| &mut database.owner),
        Kind::Schema(database, schema) => {
            catalog.schema_mut(database, schema).map(|schema| &mut schema.owner)
        }
        Kind::Table(path) => catalog.table_mut(path).map(|table| &mut table.owner),
        Kind::Pipe(path) => catalog
            .schema_mut(&path.database, &path.schema)
            .and_then(|schema| schema.pipes.get_mut(&path.name))
            .map(|pipe| &mut pipe.owner),
        Kind::Warehouse(name) => catalog.warehouses.get_mut(name),
        Kind::Account | Kind::ExternalVolume(_) | Kind::Other(_) | Kind::Role(_) => None,
    };
    let place = place.ok_or_else(|| SqlError::unsupported("GRANT OWNERSHIP on this object"))?;
    owner.clone_into(place);
    Ok(())
}
