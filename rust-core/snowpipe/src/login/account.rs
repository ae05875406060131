//! Spellings of an account: what goes into the token's claims, what into the host name.

use crate::config::ConnectionStrategy;

/// Domains in which Snowflake accounts live.
const DOMAINS: [&str; 2] = [".snowflakecomputing.com", ".snowflakecomputing.cn"];
const PRIVATE_LINK: &str = ".privatelink";

/// An account, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Upper-case name for `iss` and `sub`: without region, cloud and `.global` part.
    pub(crate) claim: String,
    /// Host of the account, lower case, `_` as `-`.
    pub(crate) host: String,
}

impl Account {
    /// Takes an account identifier, a host name or a URL in any usual spelling. Returns `None` when no name is left or a
    /// character cannot be part of a host name.
    pub(crate) fn parse(text: &str, connection: ConnectionStrategy) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let bare = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")).unwrap_or(&lower);
        let bare = bare.split(['/', '?', ':']).next().unwrap_or_default().trim_end_matches('.');
        let (mut identifier, mut domain) = (bare, DOMAINS[0]);
        for known in DOMAINS {
            if let Some(rest) = bare.strip_suffix(known) {
                (identifier, domain) = (rest, known);
            }
        }
        let (identifier, named_private) = match identifier.strip_suffix(PRIVATE_LINK) {
            Some(rest) => (rest, true),
            None => (identifier, false),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if identifier.is_empty() || identifier.starts_with('.') || !identifier.chars().all(allowed) {
            return None;
        }
        let private = named_private || connection == ConnectionStrategy::PrivateConnectivity;
        let link = if private { PRIVATE_LINK } else { "" };
        Some(Self {
            claim: claim(identifier),
            host: format!("{}{link}{domain}", identifier.replace('_', "-")),
        })
    }
}

/// `.global` names carry a hash after the first hyphen; elsewhere region and cloud follow the first dot.
fn claim(identifier: &str) -> String {
    let separator = if identifier.contains(".global") { '-' } else { '.' };
    identifier.split(separator).next().unwrap_or(identifier).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_spellings_give_claim_and_host() {
        let table = [
            ("myorg-acct", "MYORG-ACCT", "myorg-acct.snowflakecomputing.com"),
            ("MYORG-ACCT", "MYORG-ACCT", "myorg-acct.snowflakecomputing.com"),
            ("myorg-my_acct", "MYORG-MY_ACCT", "myorg-my-acct.snowflakecomputing.com"),
            (" myorg-acct ", "MYORG-ACCT", "myorg-acct.snowflakecomputing.com"),
            ("xy12345", "XY12345", "xy12345.snowflakecomputing.com"),
            ("xy12345.us-east-1", "XY12345", "xy12345.us-east-1.snowflakecomputing.com"),
            ("xy12345.us-east-2.aws", "XY12345", "xy12345.us-east-2.aws.snowflakecomputing.com"),
            ("XY12345.West-Europe.Azure", "XY12345", "xy12345.west-europe.azure.snowflakecomputing.com"),
            (
                "xy12345.eu-central-1.privatelink",
                "XY12345",
                "xy12345.eu-central-1.privatelink.snowflakecomputing.com",
            ),
            ("myorg-acct.privatelink", "MYORG-ACCT", "myorg-acct.privatelink.snowflakecomputing.com"),
            ("acct-hash123.global", "ACCT", "acct-hash123.global.snowflakecomputing.com"),
            ("myorg-acct.snowflakecomputing.com", "MYORG-ACCT", "myorg-acct.snowflakecomputing.com"),
            ("https://myorg-acct.snowflakecomputing.com", "MYORG-ACCT", "myorg-acct.snowflakecomputing.com"),
            ("https://myorg-acct.snowflakecomputing.com/", "MYORG-ACCT", "myorg-acct.snowflakecomputing.com"),
            (
                "https://MYORG-ACCT.snowflakecomputing.com:443/x",
                "MYORG-ACCT",
                "myorg-acct.snowflakecomputing.com",
            ),
            (
                "http://myorg-acct.snowflakecomputing.com?a=b",
                "MYORG-ACCT",
                "myorg-acct.snowflakecomputing.com",
            ),
            (
                "xy12345.us-east-1.privatelink.snowflakecomputing.com",
                "XY12345",
                "xy12345.us-east-1.privatelink.snowflakecomputing.com",
            ),
            ("myorg-acct.snowflakecomputing.cn", "MYORG-ACCT", "myorg-acct.snowflakecomputing.cn"),
            ("my_org-my_acct.us-west-2", "MY_ORG-MY_ACCT", "my-org-my-acct.us-west-2.snowflakecomputing.com"),
            ("myorg-acct.", "MYORG-ACCT", "myorg-acct.snowflakecomputing.com"),
        ];
        for (text, claim, host) in table {
            let account = Account::parse(text, ConnectionStrategy::Standard).unwrap();
            assert_eq!((account.claim.as_str(), account.host.as_str()), (claim, host), "{text}");
        }
    }

    #[test]
    fn private_connectivity_is_added_once() {
        for text in ["myorg-acct", "myorg-acct.privatelink", "myorg-acct.privatelink.snowflakecomputing.com"]
        {
            let account = Account::parse(text, ConnectionStrategy::PrivateConnectivity).unwrap();
            assert_eq!(account.host, "myorg-acct.privatelink.snowflakecomputing.com", "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_host_is_refused() {
        for text in ["", "  ", "https://", ".snowflakecomputing.com", "my org", "acct@host", "${account}"] {
            assert_eq!(Account::parse(text, ConnectionStrategy::Standard), None, "{text}");
        }
    }
}
