//! Verification of Signature Version 4, by computing the signature anew.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::error::AwsError;
use super::keys::{AccessKey, Keyring};
use crate::sync::lock;

/// How far a request's date may be from now, as on AWS.
const SKEW: Duration = Duration::from_secs(300);

/// The pieces of an `Authorization` header.
struct Authorization<'a> {
    key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let mut fields = HashMap::new();
        for field in header.strip_prefix("AWS4-HMAC-SHA256")?.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            fields.insert(name, value);
        }
        let scope: Vec<_> = fields.get("Credential")?.rsplitn(5, '/').collect();
        let [_, service, region, date, key] = scope.as_slice() else { return None };
        Some(Self {
            key,
            date,
            region,
            service,
            signed: fields.get("SignedHeaders")?,
            signature: fields.get("Signature")?,
        })
    }
}

/// Checks signatures; keeps the signing keys of the day.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    signing_keys: Mutex<HashMap<String, Vec<u8>>>,
}

impl Verifier {
    /// The key that signed this request to `service`.
    pub(crate) fn verify(
        &self,
        keys: &Keyring,
        service: &str,
        parts: &Parts,
        body: &[u8],
        now_ms: i64,
    ) -> Result<AccessKey, AwsError> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let authorization = header("authorization").ok_or_else(|| {
            AwsError::new("MissingAuthenticationTokenException", "Request is missing Authentication Token")
        })?;
        let given = Authorization::parse(authorization).ok_or_else(|| {
            AwsError::new(
                "IncompleteSignatureException",
                "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders' parameters.",
            )
        })?;
        let key = keys.get(given.key).ok_or_else(|| {
            AwsError::new(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )
        })?;
        let date = header("x-amz-date").unwrap_or_default();
        let mismatch = |text: String| AwsError::new("InvalidSignatureException", text);
        let at = parse_date(date).ok_or_else(|| {
            AwsError::new("IncompleteSignatureException", "Date must be in ISO-8601 'basic format'.")
        })?;
        let now = SystemTime::now();
        if now.duration_since(at).is_ok_and(|age| age > SKEW) {
            return Err(mismatch(format!("Signature expired: {date} is more than 5 minutes in the past")));
        }
        if at.duration_since(now).is_ok_and(|ahead| ahead > SKEW) {
            return Err(mismatch(format!(
                "Signature not yet current: {date} is more than 5 minutes in the future"
            )));
        }
        if given.service != service {
            return Err(mismatch(format!("Credential should be scoped to correct service: '{service}'.")));
        }
        let scope = format!("{}/{}/{}/aws4_request", given.date, given.region, given.service);
        let request = canonical(parts, body, given.signed);
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
        let expected = calculate_signature(self.signing_key(&key, &given, &scope, at), to_sign.as_bytes());
        if expected != given.signature || !date.starts_with(given.date) {
            return Err(mismatch("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.".into()));
        }
        check_session(key, header("x-amz-security-token"), now_ms)
    }

    fn signing_key(
        &self,
        key: &AccessKey,
        given: &Authorization<'_>,
        scope: &str,
        at: SystemTime,
    ) -> Vec<u8> {
        let name = format!("{}/{}/{scope}", key.id, key.secret);
        let mut cache = lock(&self.signing_keys);
        let made = || generate_signing_key(&key.secret, at, given.region, given.service).as_ref().to_vec();
        cache.entry(name).or_insert_with(made).clone()
    }
}

fn check_session(key: AccessKey, token: Option<&str>, now_ms: i64) -> Result<AccessKey, AwsError> {
    if key.session_token.as_deref() != token {
        return Err(AwsError::new(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ));
    }
    if key.expires_ms.is_some_and(|end| end <= now_ms) {
        return Err(AwsError::new(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ));
    }
    Ok(key)
}

/// The canonical request. Services on one path without a query need no normalisation of either.
fn canonical(parts: &Parts, body: &[u8], signed: &str) -> String {
    let mut out =
        format!("{}\n{}\n{}\n", parts.method, parts.uri.path(), parts.uri.query().unwrap_or_default());
    for name in signed.split(';') {
        let values: Vec<_> =
            parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        let mut value = values.join(",");
        if matches!(name, "host" | ":authority") && value.is_empty() {
            // HTTP/2 carries the host in the request's authority; some SDKs sign it under that name.
            value = parts.uri.authority().map(ToString::to_string).unwrap_or_default();
        }
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        out.push_str(&format!("{name}:{value}\n"));
    }
    let unsigned = parts.headers.get("x-amz-content-sha256").is_some_and(|value| value == "UNSIGNED-PAYLOAD");
    let hash = if unsigned { "UNSIGNED-PAYLOAD".into() } else { hex(&Sha256::digest(body)) };
    out.push_str(&format!("\n{signed}\n{hash}"));
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20261123T124500Z`.
fn parse_date(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970 of the proleptic Gregorian calendar, years counted from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(9, 11)? * 3_600 + number(11, 13)? * 60 + number(13, 15)?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_utc() {
        let seconds =
            |text| parse_date(text).and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|d| d.as_secs());
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20000229T120000Z"), Some(951_825_600));
        assert_eq!(seconds("20261123T124812Z"), Some(1_795_438_092));
        assert_eq!(seconds("2026-11-23T12:48"), None);
        assert_eq!(seconds("20261301T000000Z"), None);
    }
}
