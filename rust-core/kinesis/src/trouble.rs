//! What can go wrong with a call to AWS, and how a person is told.

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use std::error::Error as _;

/// Which of the two services was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Amazon Kinesis Data Streams.
    Kinesis,
    /// Amazon DynamoDB.
    DynamoDb,
}

impl Service {
    /// Prefix of the service's actions in a policy and first label of its public host name.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Service::Kinesis => "kinesis",
            Service::DynamoDb => "dynamodb",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Kinesis => "Kinesis",
            Service::DynamoDb => "DynamoDB",
        }
    }
}

/// What the caller does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Slow down; everything else stays as it is.
    Throttled,
    /// The service failed; try again.
    Unavailable,
    /// No answer at all: name resolution, connection, time-out.
    Unreachable,
    /// The iterator is too old; make one from the last position read.
    ExpiredIterator,
    /// Stream, shard or table does not exist.
    NotFound,
    /// Exists already, or is being changed.
    InUse,
    /// The service does not accept the request.
    Invalid,
    /// The identity may not do this.
    Denied,
    /// The identity itself was refused, or there is none.
    Credentials,
    /// The key that encrypts the stream cannot be used.
    Kms,
    /// The condition of a write did not hold.
    Condition,
    /// Anything else.
    Other,
}

/// One failed call.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) service: Service,
    pub(crate) operation: &'static str,
    pub(crate) kind: Kind,
    /// The service's error code, or a word of ours.
    pub(crate) code: String,
    /// The service's own words, shortened. Never a response body.
    pub(crate) message: String,
    /// Name of the table when it is not the application's own.
    pub(crate) table: Option<String>,
}

const LONGEST: usize = 300;
/// Codes of calls that ended before they were sent.
pub(crate) const NO_CREDENTIALS: &str = "NoCredentials";
pub(crate) const NOT_SENT: &str = "NotSent";
/// Code of a fan-out consumer that was waited for in vain.
pub(crate) const NOT_ACTIVE: &str = "ConsumerNotActive";

impl Trouble {
    /// A failure found by us rather than told by the service.
    pub(crate) fn new(service: Service, operation: &'static str, kind: Kind, message: &str) -> Self {
        Self { service, operation, kind, code: format!("{kind:?}"), message: shorten(message), table: None }
    }

    /// No answer in time.
    pub(crate) fn timed_out(service: Service, operation: &'static str, seconds: u64) -> Self {
        Self {
            service,
            operation,
            kind: Kind::Unreachable,
            code: "NoAnswer".to_owned(),
            message: format!("no answer within {seconds} s"),
            table: None,
        }
    }

    /// The same failure on this table.
    pub(crate) fn on(mut self, table: &str) -> Self {
        self.table = Some(table.to_owned());
        self
    }

    /// What failed and why, in brackets of a sentence.
    pub(crate) fn brief(&self) -> String {
        format!("{}: {}", self.action(), self.said())
    }

    /// The action as a policy names it.
    pub(crate) fn action(&self) -> String {
        format!("{}:{}", self.service.prefix(), self.operation)
    }

    /// The service's code and words.
    pub(crate) fn said(&self) -> String {
        if self.message.is_empty() { self.code.clone() } else { format!("{}: {}", self.code, self.message) }
    }

    /// The same trouble keeps the same key, whatever request ids its text carries.
    pub(crate) fn key(&self) -> String {
        match self.kind {
            // One dead endpoint is one trouble, whichever call notices it.
            Kind::Unreachable | Kind::Credentials => format!("{:?}/{:?}", self.service, self.kind),
            _ => {
                let table = self.table.as_deref().unwrap_or("");
                format!("{}/{:?}/{}/{table}", self.operation, self.kind, self.code)
            }
        }
    }
}

/// First line, cut to a readable length.
fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or("").trim();
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// Classifies by the service's error code, then by HTTP status.
pub(crate) fn classify(code: &str, status: Option<u16>) -> Kind {
    match code {
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "KMSThrottlingException" => Kind::Throttled,
        "ExpiredIteratorException" => Kind::ExpiredIterator,
        "ResourceNotFoundException" => Kind::NotFound,
        "ResourceInUseException" => Kind::InUse,
        "InvalidArgumentException" | "ValidationException" => Kind::Invalid,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => Kind::Denied,
        "ConditionalCheckFailedException" => Kind::Condition,
        "KMSAccessDeniedException"
        | "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSNotFoundException"
        | "KMSOptInRequired" => Kind::Kms,
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken"
        | "OptInRequired" => Kind::Credentials,
        _ => match status {
            Some(429) => Kind::Throttled,
            Some(403) => Kind::Denied,
            Some(s) if s >= 500 => Kind::Unavailable,
            _ => Kind::Other,
        },
    }
}

/// Takes code and message out of an SDK error. The error's own `Debug` is never used: it prints response bodies.
pub(crate) fn from_sdk<E>(
    service: Service,
    operation: &'static str,
    error: &SdkError<E, aws_sdk_kinesis::config::http::HttpResponse>,
) -> Trouble
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    translate(service, operation, error, error.raw_response().map(|r| r.status().as_u16()))
}

/// The same for an error inside an event stream, which has no status of its own.
pub(crate) fn from_events<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Trouble
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let mut trouble = translate(Service::Kinesis, operation, error, None);
    let internal = matches!(trouble.kind, Kind::Other) && trouble.code.starts_with("Internal");
    // The service was reached, for it accepted the subscription. Should it be out of reach now, the next call tells.
    if internal || matches!(trouble.kind, Kind::Unreachable) {
        trouble.kind = Kind::Unavailable;
    }
    trouble
}

fn translate<E, R>(
    service: Service,
    operation: &'static str,
    error: &SdkError<E, R>,
    status: Option<u16>,
) -> Trouble
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let (kind, code, message) = match error {
        // No service answers so: a proxy on the way does.
        _ if status == Some(407) => {
            let text = "the proxy demands another user name or password";
            (Kind::Unreachable, "ProxyAuthenticationRequired".to_owned(), text.to_owned())
        }
        SdkError::ServiceError(e) => {
            let code = e.err().code().unwrap_or("").to_owned();
            let kind = classify(&code, status);
            let code = if code.is_empty() { format!("HTTP {}", status.unwrap_or(0)) } else { code };
            (kind, code, e.err().message().unwrap_or("").to_owned())
        }
        SdkError::TimeoutError(_) => {
            (Kind::Unreachable, "NoAnswer".to_owned(), "no answer in time".to_owned())
        }
        SdkError::ResponseError(_) => {
            let kind = if status.is_some_and(|s| s < 500) { Kind::Other } else { Kind::Unavailable };
            let text = status.map_or_else(|| "cut short".to_owned(), |s| format!("HTTP status {s}"));
            (kind, "UnreadableAnswer".to_owned(), text)
        }
        SdkError::DispatchFailure(e) => {
            let causes = e.as_connector_error().map(|c| chain(c)).unwrap_or_default();
            if is_about_credentials(&causes) {
                (Kind::Credentials, NO_CREDENTIALS.to_owned(), causes)
            } else {
                (Kind::Unreachable, "NoConnection".to_owned(), causes)
            }
        }
        _ => {
            let causes = error.source().map(chain).unwrap_or_default();
            let kind = if is_about_credentials(&causes) { Kind::Credentials } else { Kind::Other };
            (kind, NOT_SENT.to_owned(), causes)
        }
    };
    Trouble { service, operation, kind, code, message: shorten(&message), table: None }
}

fn is_about_credentials(text: &str) -> bool {
    text.contains("credential") || text.contains("identity")
}

/// The texts of an error and its causes, innermost last, without repetition.
fn chain(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(e) = next {
        let text = e.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        next = e.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_decides_without_a_code() {
        assert_eq!(classify("", Some(503)), Kind::Unavailable);
        assert_eq!(classify("", Some(429)), Kind::Throttled);
        assert_eq!(classify("InternalFailure", Some(500)), Kind::Unavailable);
        assert_eq!(classify("Strange", Some(400)), Kind::Other);
    }

    #[test]
    fn messages_are_one_short_line() {
        let long = format!("{}\nsecond line", "é".repeat(1_000));
        let text = shorten(&long);
        assert_eq!(text.chars().count(), LONGEST + 1);
        assert!(!text.contains("second"));
    }
}
