//! Roles and users.

use sqlparser::parser::Parser;

use super::{if_not_exists, require};
use crate::account::Account;
use crate::auth::PublicKey;
use crate::catalog::{Kind, Privilege, User};
use crate::names;
use crate::sql::parse::{self, identifier};
use crate::sql::{Answer, SqlError, SqlSession};

pub(super) fn create_role(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
    replace: bool,
) -> Result<Answer, SqlError> {
    let keep = if_not_exists(parser) || replace;
    let role = identifier(parser)?;
    super::skip_properties(parser)?;
    account.change(|_, catalog| {
        require(catalog, session, Privilege::CreateRole, &Kind::Account, ("account", "account"))?;
        match (catalog.roles.contains(&role), keep) {
            (true, false) => Err(SqlError::exists(&role)),
            (true, true) => Ok(()),
            (false, _) => {
                catalog.roles.push(role.clone());
                // Who creates a role may hand it on, as its owner.
                let on = Kind::Role(role.clone());
                catalog.grants.push(crate::catalog::Grant {
                    role: session.role.clone(),
                    privilege: Privilege::All,
                    on,
                });
                Ok(())
            }
        }
    })?;
    Ok(Answer::message(format!("Role {role} successfully created.")))
}

pub(super) fn create_user(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
    replace: bool,
) -> Result<Answer, SqlError> {
    let keep = if_not_exists(parser);
    let name = identifier(parser)?;
    let mut user = User {
        second_key: None,
        keys: Vec::new(),
        default_role: "PUBLIC".into(),
        user_type: "PERSON".into(),
        default_warehouse: None,
    };
    properties(parser, &mut user)?;
    account.change(|_, catalog| {
        require(catalog, session, Privilege::CreateUser, &Kind::Account, ("account", "account"))?;
        if catalog.users.contains_key(&name) && !replace {
            return if keep { Ok(()) } else { Err(SqlError::exists(&name)) };
        }
        catalog.users.insert(name.clone(), user);
        Ok(())
    })?;
    Ok(Answer::message(format!("User {name} successfully created.")))
}

pub(super) fn alter_user(
    account: &Account,
    session: &SqlSession,
    parser: &mut Parser<'_>,
) -> Result<Answer, SqlError> {
    super::if_exists(parser);
    let name = identifier(parser)?;
    let unset = parse::word(parser, "UNSET");
    if !unset {
        parse::expect(parser, "SET")?;
    }
    let unset = if unset { Some(parse::next_word(parser)?) } else { None };
    account.change(|_, catalog| {
        require(catalog, session, Privilege::CreateUser, &Kind::Account, ("user", &name))?;
        let user = catalog.users.get_mut(&name).ok_or_else(|| SqlError::missing("User", &name))?;
        match unset.as_deref() {
            None => properties(parser, user),
            Some("RSA_PUBLIC_KEY") => {
                user.keys.clear();
                Ok(())
            }
            Some("RSA_PUBLIC_KEY_2") => {
                user.second_key = None;
                Ok(())
            }
            Some(other) => Err(SqlError::unsupported(format!("UNSET {other}"))),
        }
    })?;
    Ok(Answer::message("Statement executed successfully."))
}

fn public_key(parser: &mut Parser<'_>) -> Result<PublicKey, SqlError> {
    let text = parse::property(parser)?;
    PublicKey::parse(&text)
        .ok_or_else(|| SqlError::compilation("390191", "New public key rejected by current policy."))
}

fn properties(parser: &mut Parser<'_>, user: &mut User) -> Result<(), SqlError> {
    while !parse::at_end(parser) {
        match parse::next_word(parser)?.as_str() {
            "RSA_PUBLIC_KEY" => user.keys = vec![public_key(parser)?],
            "RSA_PUBLIC_KEY_2" => user.second_key = Some(public_key(parser)?),
            "DEFAULT_ROLE" => user.default_role = names::resolve(&parse::property(parser)?),
            "DEFAULT_WAREHOUSE" => {
                user.default_warehouse = Some(names::resolve(&parse::property(parser)?));
            }
            "TYPE" => user.user_type = parse::property(parser)?.to_uppercase(),
            _ => {
                parse::property(parser)?;
            }
        }
        let _ = parser.consume_token(&sqlparser::tokenizer::Token::Comma);
    }
    Ok(())
}
