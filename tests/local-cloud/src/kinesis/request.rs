//! Parts that many requests share.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::aws::AwsError;

/// The two ways to name a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StreamRef {
    pub(crate) stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    pub(crate) stream_arn: Option<String>,
}

impl StreamRef {
    /// The stream's name, from the name or the ARN.
    pub(crate) fn name(&self) -> Result<String, AwsError> {
        match (&self.stream_name, &self.stream_arn) {
            (None, Some(arn)) => stream_of_arn(arn).map(str::to_owned).ok_or_else(|| {
                AwsError::constraint(
                    arn,
                    "streamARN",
                    "satisfy regular expression pattern: arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+",
                )
            }),
            (Some(name), _) => {
                check_name(name, "streamName")?;
                Ok(name.clone())
            }
            (None, None) => Err(AwsError::invalid_argument(
                "Missing StreamName: either StreamName or StreamARN must be present.",
            )),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stream_name.is_none() && self.stream_arn.is_none()
    }
}

/// `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME[/consumer/…]` → NAME.
pub(crate) fn stream_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let is_kinesis = parts.next() == Some("arn") && parts.next().is_some() && parts.next() == Some("kinesis");
    let resource = parts.nth(2)?;
    is_kinesis.then(|| resource.strip_prefix("stream/")?.split('/').next()).flatten()
}

/// Names of streams and consumers: 1 to 128 letters, digits, `_`, `.`, `-`.
pub(crate) fn check_name(name: &str, member: &str) -> Result<(), AwsError> {
    if name.is_empty() {
        return Err(AwsError::constraint(name, member, "have length greater than or equal to 1"));
    }
    if name.len() > 128 {
        return Err(AwsError::constraint(name, member, "have length less than or equal to 128"));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) {
        return Err(AwsError::constraint(
            name,
            member,
            "satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ));
    }
    Ok(())
}

/// A number that must lie within a range.
pub(crate) fn check_range(value: i64, member: &str, low: i64, high: i64) -> Result<(), AwsError> {
    if value < low {
        return Err(AwsError::constraint(
            &value.to_string(),
            member,
            &format!("have value greater than or equal to {low}"),
        ));
    }
    if value > high {
        return Err(AwsError::constraint(
            &value.to_string(),
            member,
            &format!("have value less than or equal to {high}"),
        ));
    }
    Ok(())
}

/// Reads a request body. A missing required member is a `ValidationException`, as the service's model says.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| refuse(&error))
}

fn refuse(error: &serde_json::Error) -> AwsError {
    let text = error.to_string();
    if let Some(member) = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        let mut member = member.to_owned();
        if let Some(first) = member.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        return AwsError::new(
            "ValidationException",
            format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
            ),
        );
    }
    // The parser's words may quote the request, and a request carries payloads.
    AwsError::new(
        "SerializationException",
        format!("The request could not be read (line {}, column {})", error.line(), error.column()),
    )
}

/// An instant as the service writes it in JSON: seconds with milliseconds.
pub(crate) fn seconds(ms: i64) -> serde_json::Value {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a date fit a double exactly")]
    let value = ms as f64 / 1000.0;
    serde_json::Value::from(value)
}

/// Milliseconds of an instant given in seconds.
#[allow(clippy::cast_possible_truncation, reason = "rounded, and saturating for absurd values")]
pub(crate) fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
