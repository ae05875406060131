//! How a person is told of a failed call: what failed, on what, why, and what to do.

use crate::trouble::{Kind, NO_CREDENTIALS, NOT_ACTIVE, NOT_SENT, Service, Trouble};

/// Names and values that make a message concrete.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) stream: String,
    pub(crate) table: String,
    pub(crate) region: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) who: Who,
    /// ARN of the role that is assumed.
    pub(crate) role: Option<String>,
    /// `host:port` of the proxy.
    pub(crate) proxy: Option<String>,
}

/// Where credentials come from.
#[derive(Debug, Clone, Default)]
pub(crate) enum Who {
    /// Properties; with the last characters of the access key id.
    Keys(String),
    /// NiFi's AWS Credentials Provider Service.
    Service,
    /// The SDK's default chain.
    #[default]
    Chain,
}

impl Place {
    /// Fan-out goes over HTTP/1.1.
    pub(crate) fn without_http_2(&self) -> String {
        format!(
            "{}{} does not speak HTTP/2, so every shard of stream \"{}\" needs a connection of its own for \
             ENHANCED_FAN_OUT. Records are read all the same. Use an endpoint or a proxy with HTTP/2, or set Consumer \
             Type to SHARED_THROUGHPUT.",
            address(Service::Kinesis, self),
            through(self),
            self.stream
        )
    }
}

impl Trouble {
    /// Sentences for a bulletin: what failed, on what, why, and what to do.
    pub(crate) fn explain(&self, place: &Place) -> String {
        let target = match self.service {
            Service::Kinesis => format!("stream \"{}\"", place.stream),
            Service::DynamoDb => {
                format!("table \"{}\"", self.table.as_deref().unwrap_or(&place.table))
            }
        };
        let (action, said) = (self.action(), self.said());
        match self.kind {
            Kind::NotFound => format!(
                "The {target} does not exist in region {} ({said}). Check the name, the Region and the account of \
                 the credentials, or create it; work goes on by itself then.",
                place.region
            ),
            Kind::Denied => format!(
                "Missing permission: the AWS identity may not call {action} on the {target} in region {} ({said}). \
                 Allow the action in its policy; work goes on by itself then.",
                place.region
            ),
            Kind::Credentials => self.credentials_text(&said, place),
            Kind::Unreachable => format!(
                "{} cannot be reached at {}{} ({action}: {said}). Check the network, the Region and the Endpoint \
                 Override URL{}; work goes on by itself then.",
                self.service.name(),
                address(self.service, place),
                through(place),
                if place.proxy.is_some() { ", and the proxy and its login" } else { "" }
            ),
            Kind::Kms => format!(
                "The {target} is encrypted and its key cannot be used ({said}). Allow kms:Decrypt on the key to \
                 the AWS identity, or enable the key; work goes on by itself then."
            ),
            Kind::Throttled => format!(
                "{action} on the {target} is being throttled ({said}). Another reader may use up the limit; \
                 reading goes on more slowly."
            ),
            Kind::InUse if self.code == NOT_ACTIVE => format!(
                "The fan-out consumer \"{}\" of stream \"{}\" is not ACTIVE, and no record is read before it is. Look at it \
                 with {action}. When it stays so, deregister it: it is registered again by itself.",
                place.table, place.stream
            ),
            _ => format!("{action} on the {target} failed ({said}). It is tried again."),
        }
    }

    fn credentials_text(&self, said: &str, place: &Place) -> String {
        // Without an answer of the service it was getting credentials that failed, not using them.
        let without = matches!(self.code.as_str(), NO_CREDENTIALS | NOT_SENT);
        let source = match &place.who {
            Who::Keys(hint) => format!("the keys with the access key id that ends in {hint}"),
            Who::Service => "the AWS Credentials Provider Service".to_owned(),
            Who::Chain => "the default chain".to_owned(),
        };
        let what = match (&place.role, without) {
            (Some(role), true) => format!("The role {role} could not be assumed with {source}"),
            (Some(role), false) => {
                format!("{} refused the credentials of the role {role}", self.service.name())
            }
            (None, true) => format!("There are no valid AWS credentials from {source}"),
            (None, false) => format!("{} refused the credentials from {source}", self.service.name()),
        };
        let source_remedy = match &place.who {
            Who::Keys(_) if self.code.starts_with("ExpiredToken") => {
                "The AWS Session Token has expired: set a new one with its AWS Access Key ID and AWS Secret Access Key"
            }
            Who::Keys(_) => "Check AWS Access Key ID, AWS Secret Access Key and AWS Session Token",
            Who::Service => "Check the settings of that service",
            Who::Chain => {
                "Set AWS Access Key ID and AWS Secret Access Key, or an AWS Credentials Provider Service, or give the \
                 machine an identity: environment, profile, web identity, container or instance role"
            }
        };
        let remedy = match &place.role {
            Some(_) => format!(
                "Check Assume Role ARN and Assume Role External ID, that the trust policy of the role admits the \
                 caller, and that the caller may call sts:AssumeRole. {source_remedy}"
            ),
            None => source_remedy.to_owned(),
        };
        format!("{what} ({said}). {remedy}; work goes on by itself then.")
    }
}

fn through(place: &Place) -> String {
    place.proxy.as_ref().map(|name| format!(" through the proxy {name}")).unwrap_or_default()
}

fn address(service: Service, place: &Place) -> String {
    place.endpoint.clone().unwrap_or_else(|| format!("{}.{}.amazonaws.com", service.prefix(), place.region))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trouble::classify;

    fn place() -> Place {
        Place {
            stream: "orders".into(),
            table: "app".into(),
            region: "eu-west-1".into(),
            endpoint: None,
            who: Who::Keys("…WXYZ".into()),
            ..Place::default()
        }
    }

    #[test]
    fn each_kind_names_the_thing_and_the_remedy() {
        let trouble = |service, operation, code: &str| Trouble {
            service,
            operation,
            kind: classify(code, Some(400)),
            code: code.into(),
            message: "words".into(),
            table: None,
        };
        let cases = [
            (Service::Kinesis, "DescribeStream", "ResourceNotFoundException", ["\"orders\"", "eu-west-1"]),
            (Service::DynamoDb, "Query", "AccessDeniedException", ["dynamodb:Query", "\"app\""]),
            (Service::Kinesis, "ListShards", "InvalidSignatureException", ["WXYZ", "AWS Secret Access Key"]),
            (Service::Kinesis, "GetRecords", "KMSAccessDeniedException", ["kms:Decrypt", "\"orders\""]),
        ];
        for (service, operation, code, words) in cases {
            let text = trouble(service, operation, code).explain(&place());
            for word in words {
                assert!(text.contains(word), "{text} lacks {word}");
            }
        }
        let text = Trouble::timed_out(Service::DynamoDb, "DescribeTable", 4).explain(&place());
        assert!(text.contains("dynamodb.eu-west-1.amazonaws.com") && text.contains("4 s"), "{text}");
    }
}
