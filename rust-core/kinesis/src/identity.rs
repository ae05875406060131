//! Who calls AWS: keys given as properties, a service of NiFi, or the identity of the machine; and the role it assumes.

use crate::error::ConfigError;
use crate::properties::Properties;
use secrecy::SecretString;

const ID: &str = "AWS Access Key ID";
const SECRET: &str = "AWS Secret Access Key";
const TOKEN: &str = "AWS Session Token";
const EXPIRY: &str = "AWS Credentials Expiry";
const SERVICE: &str = "AWS Credentials Provider Service";
const ROLE: &str = "Assume Role ARN";
const SESSION: &str = "Assume Role Session Name";
const EXTERNAL_ID: &str = "Assume Role External ID";
const STS_ENDPOINT: &str = "Assume Role STS Endpoint Override";
/// Seen in the account's audit log.
const DEFAULT_SESSION: &str = "Shardflow";

/// One set of credentials.
#[derive(Clone)]
pub struct Keys {
    /// Access key id. Not a secret, yet not printed either.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: SecretString,
    /// Present in temporary credentials.
    pub session_token: Option<SecretString>,
    /// Epoch milliseconds from which on AWS refuses them; absent: unknown or never.
    pub expires_ms: Option<i64>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let temporary = self.session_token.is_some();
        f.debug_struct("Keys").field("temporary", &temporary).finish_non_exhaustive()
    }
}

/// Where credentials come from.
#[derive(Debug, Clone)]
pub enum Base {
    /// Properties.
    Keys(Keys),
    /// The caller, who hands over new ones while the source runs ([`crate::Source::set_credentials`]). The first may
    /// come with the configuration.
    Handed(Option<Keys>),
    /// The SDK's default chain: environment, profile, web identity, container, instance.
    Chain,
}

/// A role that is assumed with the credentials of [`Base`].
#[derive(Debug, Clone)]
pub struct Role {
    /// `arn:aws:iam::ACCOUNT:role/NAME`
    pub arn: String,
    /// Name of the session in audit logs.
    pub session_name: String,
    /// Demanded by the trust policies of some foreign accounts.
    pub external_id: Option<String>,
    /// Address of STS instead of the region's.
    pub endpoint: Option<String>,
}

/// The whole identity.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Where credentials come from.
    pub base: Base,
    /// What is assumed with them.
    pub role: Option<Role>,
}

impl Identity {
    pub(crate) fn from_properties(p: &Properties<'_>) -> Result<Self, ConfigError> {
        let keys = keys(p)?;
        let base = match (p.get(SERVICE), keys) {
            (Some(_), keys) => Base::Handed(keys),
            (None, Some(keys)) => Base::Keys(keys),
            (None, None) => Base::Chain,
        };
        Ok(Self { base, role: role(p)? })
    }
}

fn keys(p: &Properties<'_>) -> Result<Option<Keys>, ConfigError> {
    match (p.get(ID), p.get(SECRET)) {
        (None, None) if p.get(TOKEN).is_some() => Err(ConfigError::Missing { property: ID }),
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => Ok(Some(Keys {
            access_key_id: id.to_owned(),
            secret_access_key: SecretString::from(secret.to_owned()),
            session_token: p.get(TOKEN).map(|t| SecretString::from(t.to_owned())),
            expires_ms: p.get(EXPIRY).and_then(|t| t.parse().ok()),
        })),
        (None, Some(_)) => Err(ConfigError::Missing { property: ID }),
        (Some(_), None) => Err(ConfigError::Missing { property: SECRET }),
    }
}

fn role(p: &Properties<'_>) -> Result<Option<Role>, ConfigError> {
    let Some(arn) = p.get(ROLE) else { return Ok(None) };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let good = matches!(parts[..], ["arn", partition, "iam", "", account, name] if !partition.is_empty() && !account.is_empty() && name.starts_with("role/"));
    if !good {
        return Err(ConfigError::Invalid {
            property: ROLE,
            reason: format!("\"{arn}\" is no ARN of a role such as arn:aws:iam::123456789012:role/NAME"),
        });
    }
    Ok(Some(Role {
        arn: arn.to_owned(),
        session_name: p.get(SESSION).unwrap_or(DEFAULT_SESSION).to_owned(),
        external_id: p.get(EXTERNAL_ID).map(str::to_owned),
        endpoint: p.url(STS_ENDPOINT)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(pairs: &[(&str, &str)]) -> Result<Identity, ConfigError> {
        let map: BTreeMap<String, String> =
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Identity::from_properties(&Properties(&map))
    }

    #[test]
    fn properties_win_over_the_chain_and_a_service_over_both() {
        assert!(matches!(read(&[]).unwrap().base, Base::Chain));
        let keys = [(ID, "AKIAEXAMPLE"), (SECRET, "hidden"), (TOKEN, "covert"), (EXPIRY, "1000")];
        let Base::Keys(read_keys) = read(&keys).unwrap().base else { panic!("no keys") };
        assert_eq!(read_keys.expires_ms, Some(1_000));
        assert!(read_keys.session_token.is_some());
        assert!(matches!(read(&[(SERVICE, "id")]).unwrap().base, Base::Handed(None)));
        let both: Vec<_> = keys.into_iter().chain([(SERVICE, "id")]).collect();
        let identity = read(&both).unwrap();
        assert!(matches!(identity.base, Base::Handed(Some(_))));
        let text = format!("{identity:?}");
        for secret in ["AKIAEXAMPLE", "hidden", "covert"] {
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[test]
    fn a_role_is_checked_before_it_is_assumed() {
        let arn = "arn:aws-us-gov:iam::123456789012:role/team/reader";
        let role = read(&[(ROLE, arn), (EXTERNAL_ID, "x")]).unwrap().role.unwrap();
        assert_eq!((role.arn.as_str(), role.session_name.as_str()), (arn, DEFAULT_SESSION));
        for wrong in ["reader", "arn:aws:iam::123456789012:user/reader", "arn:aws:s3:::bucket"] {
            let text = read(&[(ROLE, wrong)]).unwrap_err().to_string();
            assert!(text.starts_with(ROLE) && text.contains(wrong), "{text}");
        }
        let text = read(&[(TOKEN, "covert")]).unwrap_err().to_string();
        assert_eq!(text, "AWS Access Key ID is required");
    }
}
