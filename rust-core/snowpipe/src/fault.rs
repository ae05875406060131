//! Classifies answers of the service, in one place.
//!
//! Error bodies come as `{"code","message"}`, `{"error_code"}`, with a numeric `status_code`, as a bare JSON string or as
//! plain text of a proxy: the status counts first, then any code that can be found.

use std::time::Duration;

use serde_json::Value;

use crate::machine::{Fault, FaultClass};

/// Longest part of a service's text that is shown.
const SHOWN: usize = 300;

/// What could be read from an error body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    /// Code in capitals or digits.
    pub(crate) code: Option<String>,
    /// Text for people, shortened.
    pub(crate) message: String,
}

impl ErrorBody {
    /// Reads any of the known shapes.
    pub(crate) fn parse(body: &str) -> Self {
        match serde_json::from_str::<Value>(body) {
            Ok(Value::Object(map)) => {
                let text = |name: &str| match map.get(name) {
                    Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
                    Some(Value::Number(number)) => Some(number.to_string()),
                    _ => None,
                };
                Self {
                    code: text("code").or_else(|| text("error_code")).or_else(|| text("status_code")),
                    message: shorten(&text("message").or_else(|| text("error")).unwrap_or_default()),
                }
            }
            Ok(Value::String(text)) => Self::bare(&text),
            _ => Self::bare(body.trim()),
        }
    }

    fn bare(text: &str) -> Self {
        let is_code = !text.is_empty()
            && text.len() <= 120
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        match is_code {
            true => Self { code: Some(text.to_owned()), message: String::new() },
            false if text.starts_with('<') => Self { code: None, message: "(a web page)".to_owned() },
            false => Self { code: None, message: shorten(text) },
        }
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if text.chars().count() > SHOWN {
        short.push('…');
    }
    short
}

/// The fault behind an answer of the ingest host that is not a success.
pub(crate) fn classify(status: u16, body: &str, retry_after: Option<&str>) -> Fault {
    let body = ErrorBody::parse(body);
    let code = body.code.as_deref().unwrap_or_default();
    let class = by_code(code).unwrap_or_else(|| by_status(status, code));
    let mut detail = format!("HTTP {status}");
    for part in [code, &body.message] {
        if !part.is_empty() {
            detail.push_str(&format!(" {part}"));
        }
    }
    if let Some(advice) = advice(class) {
        detail.push_str(&format!(" ({advice})"));
    }
    Fault { class, detail, retry_after: pause_asked(retry_after) }
}

/// The pause that a `Retry-After` header asks for, in seconds; two minutes at most.
pub(crate) fn pause_asked(retry_after: Option<&str>) -> Option<Duration> {
    let pause = retry_after?.trim().parse().ok().map(Duration::from_secs);
    pause.map(|pause| pause.min(Duration::from_secs(120)))
}

/// The fault behind an open that was answered with a channel status other than a healthy one.
pub(crate) fn bad_status(code: &str) -> Fault {
    let class = by_code(code).unwrap_or(FaultClass::ChannelInvalid);
    let advice = advice(class).map(|advice| format!(" ({advice})")).unwrap_or_default();
    let detail = format!("the service answers with channel status {code}{advice}");
    Fault { class, detail, retry_after: None }
}

/// Codes that say more than the status.
fn by_code(code: &str) -> Option<FaultClass> {
    Some(match code {
        "STALE_CONTINUATION_TOKEN_SEQUENCER" | "ERR_CHANNEL_HAS_INVALID_CLIENT_SEQUENCER" => {
            FaultClass::Stale
        }
        // The pipe was made anew: nobody else has the channel.
        "STALE_PIPE_CACHE" => FaultClass::ChannelInvalid,
        "ERR_CHANNEL_HAS_UNCOMMITTED_DATA" => FaultClass::Uncommitted,
        "ERR_OPEN_CHANNEL_IN_PROGRESS" | "ERR_GENERAL_EXCEPTION_RETRY_REQUEST" => FaultClass::Transient,
        "390701" => FaultClass::Throttled,
        "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
        | "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED"
        | "ERR_TABLE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
        | "ERR_DATABASE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
        | "ERR_SCHEMA_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
        | "ERR_PIPE_IN_INVALID_STATE" => FaultClass::Missing,
        _ if code.starts_with("ERR_CHANNEL_") => FaultClass::ChannelInvalid,
        _ => return None,
    })
}

fn by_status(status: u16, code: &str) -> FaultClass {
    match status {
        // Numeric status codes in the body: 3 is an expired authentication, 4 a stale continuation token, and 1, 5 and 6 pass.
        400 if code == "4" => FaultClass::Stale,
        400 if code == "3" => FaultClass::Auth,
        400 if matches!(code, "1" | "5" | "6") => FaultClass::Transient,
        401 | 403 => FaultClass::Auth,
        404 => FaultClass::Missing,
        409 => FaultClass::ChannelInvalid,
        410 => FaultClass::ClientInvalid,
        413 => FaultClass::TooLarge,
        429 => FaultClass::Throttled,
        408 | 425 | 499 => FaultClass::Transient,
        300..=399 => FaultClass::Missing,
        400..=498 => FaultClass::Rejected,
        _ => FaultClass::Transient,
    }
}

fn advice(class: FaultClass) -> Option<&'static str> {
    match class {
        FaultClass::Missing => Some(
            "the database, schema, table or pipe does not exist or the role may not use it: names are case-sensitive, an \
             unquoted identifier is given in upper case; the role needs USAGE on database and schema and OWNERSHIP or \
             INSERT on the table, granted directly, and possibly CREATE PIPE on the schema",
        ),
        FaultClass::Auth => Some("check the user's role and that its grants were not revoked"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use FaultClass as C;

    /// Each signal that the service is known to give, in the shapes it comes in.
    const SIGNALS: [(u16, &str, FaultClass); 53] = [
        (400, r#"{"code":"STALE_CONTINUATION_TOKEN_SEQUENCER","message":"m"}"#, C::Stale),
        (400, r#"{"error_code":"STALE_CONTINUATION_TOKEN_SEQUENCER"}"#, C::Stale),
        (400, r#""STALE_CONTINUATION_TOKEN_SEQUENCER""#, C::Stale),
        (400, r#"{"status_code":0}"#, C::Rejected),
        (400, r#"{"status_code":1,"message":"try again"}"#, C::Transient),
        (400, r#"{"status_code":2}"#, C::Rejected),
        (400, r#"{"status_code":3}"#, C::Auth),
        (400, r#"{"status_code":4,"message":"stale"}"#, C::Stale),
        (400, r#"{"status_code":5}"#, C::Transient),
        (400, r#"{"status_code":6}"#, C::Transient),
        (400, r#"{"status_code":"6"}"#, C::Transient),
        (400, r#"{"status_code":7}"#, C::Rejected),
        (400, "{}", C::Rejected),
        (400, "bad request", C::Rejected),
        (400, r#"{"code":"INVALID_ROWS"}"#, C::Rejected),
        (401, "", C::Auth),
        (401, r#"{"code":"390318"}"#, C::Auth),
        (403, "", C::Auth),
        (403, r#"{"code":"390318"}"#, C::Auth),
        (404, "Not Found", C::Missing),
        (404, r#"{"code":"ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"}"#, C::Missing),
        (400, r#"{"code":"ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"}"#, C::Missing),
        (400, r#"{"code":"ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED"}"#, C::Missing),
        (404, r#"{"error_code":"ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED"}"#, C::Missing),
        (408, "", C::Transient),
        (409, r#"{"code":"ERR_CHANNEL_HAS_UNCOMMITTED_DATA"}"#, C::Uncommitted),
        (409, r#"{"code":"ERR_OPEN_CHANNEL_IN_PROGRESS"}"#, C::Transient),
        (409, r#"{"code":"ERR_PIPE_IN_INVALID_STATE"}"#, C::Missing),
        (409, "conflict", C::ChannelInvalid),
        (409, r#"{"code":"ERR_CHANNEL_MUST_BE_REOPENED"}"#, C::ChannelInvalid),
        (409, r#"{"code":"ERR_CHANNEL_MUST_BE_REOPENED_DUE_TO_ROW_SEQ_GAP"}"#, C::ChannelInvalid),
        (409, r#"{"code":"ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER"}"#, C::ChannelInvalid),
        (409, r#"{"code":"ERR_CHANNEL_HAS_INVALID_CLIENT_SEQUENCER"}"#, C::Stale),
        (400, r#"{"code":"ERR_CHANNEL_MUST_BE_REOPENED"}"#, C::ChannelInvalid),
        (404, r#"{"code":"ERR_CHANNEL_NO_LONGER_EXISTS"}"#, C::ChannelInvalid),
        (400, r#""ERR_CHANNEL_NO_LONGER_EXISTS""#, C::ChannelInvalid),
        (404, r#"{"code":"ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED"}"#, C::ChannelInvalid),
        (409, r#"{"code":"STALE_PIPE_CACHE"}"#, C::ChannelInvalid),
        (400, r#"{"code":"STALE_PIPE_CACHE"}"#, C::ChannelInvalid),
        (410, "Gone", C::ClientInvalid),
        (410, "", C::ClientInvalid),
        (413, "<html>too large</html>", C::TooLarge),
        (429, r#"{"code":"390701","message":"Request rate exceeds"}"#, C::Throttled),
        (400, r#"{"code":"390701"}"#, C::Throttled),
        (429, "", C::Throttled),
        (499, "", C::Transient),
        (500, "", C::Transient),
        (500, r#""ERR_GENERAL_EXCEPTION_RETRY_REQUEST""#, C::Transient),
        (503, r#""ERR_GENERAL_EXCEPTION_RETRY_REQUEST""#, C::Transient),
        (502, "<html>bad gateway</html>", C::Transient),
        (503, "upstream", C::Transient),
        (504, "", C::Transient),
        (302, "", C::Missing),
    ];

    #[test]
    fn every_signal_of_the_service_is_classified() {
        for (status, body, class) in SIGNALS {
            assert_eq!(classify(status, body, None).class, class, "{status} {body}");
        }
    }

    #[test]
    fn every_status_of_a_channel_is_classified() {
        for (code, class) in [
            ("ERR_CHANNEL_MUST_BE_REOPENED", C::ChannelInvalid),
            ("ERR_CHANNEL_MUST_BE_REOPENED_DUE_TO_ROW_SEQ_GAP", C::ChannelInvalid),
            ("ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER", C::ChannelInvalid),
            ("ERR_CHANNEL_HAS_INVALID_CLIENT_SEQUENCER", C::Stale),
            ("ERR_CHANNEL_NO_LONGER_EXISTS", C::ChannelInvalid),
            ("ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED", C::ChannelInvalid),
            ("ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED", C::Missing),
            ("ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED", C::Missing),
            ("SOMETHING_NEW", C::ChannelInvalid),
        ] {
            assert_eq!(bad_status(code).class, class, "{code}");
        }
    }

    #[test]
    fn pauses_are_kept_in_bounds_and_texts_short() {
        assert_eq!(classify(429, "", Some("7")).retry_after, Some(Duration::from_secs(7)));
        assert_eq!(classify(429, "", Some("99999")).retry_after, Some(Duration::from_secs(120)));
        assert_eq!(classify(429, "", Some("soon")).retry_after, None);
        assert!(classify(500, &"x".repeat(10_000), None).detail.len() < 600);
    }
}
