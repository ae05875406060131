//! Who is calling: key-pair JWTs, scoped tokens and access tokens.

mod jwt;
mod keys;
mod sessions;

pub(crate) use jwt::verify as verify_key_pair;
pub(crate) use keys::PublicKey;
pub(crate) use sessions::{Session, Sessions};

/// A refused login: the code and message that Snowflake's services answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Refused { code, message: message.into() }
    }
}
