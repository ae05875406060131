//! Signed requests without an SDK, and wrongly signed ones.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use serde_json::Value;

/// Where a service is, and an identity that may do everything.
#[derive(Clone)]
pub struct Service {
    pub endpoint: String,
    pub region: String,
    pub id: String,
    pub secret: String,
}

/// How a request is signed.
#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize, Default)]
pub enum Signer {
    #[default]
    #[serde(rename = "owner")]
    Owner,
    #[serde(rename = "wrong secret")]
    WrongSecret,
    #[serde(rename = "unknown key")]
    UnknownKey,
    #[serde(rename = "nobody")]
    Nobody,
    #[serde(rename = "changed body")]
    ChangedBody,
    #[serde(rename = "an hour ago")]
    AnHourAgo,
}

impl Service {
    /// Calls `Kinesis.GetRecords` and the like; gives the answer, or the error's code and body.
    pub async fn call(&self, call: &str, body: &Value, signer: Signer) -> Result<Value, (String, Value)> {
        let (service, operation) = call.split_once('.').expect("service and operation");
        let (name, target, kind) = match service {
            "Kinesis" => ("kinesis", "Kinesis_20131202", "application/x-amz-json-1.1"),
            "DynamoDB" => ("dynamodb", "DynamoDB_20120810", "application/x-amz-json-1.0"),
            other => panic!("no service {other}"),
        };
        let target = format!("{target}.{operation}");
        let url = format!("{}/", self.endpoint);
        let text = body.to_string();
        let headers = [("content-type", kind), ("x-amz-target", target.as_str())];
        let client = reqwest::Client::builder().timeout(Duration::from_secs(15)).build().expect("client");
        let mut request = client.post(&url).body(text.clone());
        for (name, value) in headers.into_iter().chain(
            self.signature(name, &url, &headers, &text, signer)
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        ) {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{call}: {error}"));
        let status = answer.status();
        let typed =
            answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = answer.bytes().await.unwrap_or_else(|error| panic!("{call}: {error}"));
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let code = body["__type"].as_str().map(str::to_owned).or(typed).unwrap_or_else(|| status.to_string());
        let code =
            code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
        Err((code, body))
    }

    /// Calls IAM, which takes a form and answers XML.
    pub async fn identity(&self, form: &str) -> String {
        let url = format!("{}/", self.endpoint);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let mut request = reqwest::Client::new().post(&url).body(form.to_owned());
        request = request.header(headers[0].0, headers[0].1);
        for (name, value) in self.signature("iam", &url, &headers, form, Signer::Owner) {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("answer");
        let status = answer.status();
        let text = answer.text().await.expect("text");
        assert!(status.is_success(), "{form}: {status} {text}");
        text
    }

    fn signature(
        &self,
        service: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
        signer: Signer,
    ) -> Vec<(String, String)> {
        let (id, secret) = match signer {
            Signer::Nobody => return Vec::new(),
            Signer::WrongSecret => (self.id.as_str(), "wrong"),
            Signer::UnknownKey => ("AKIAIOSFODNN7EXAMPLE", "wrong"),
            _ => (self.id.as_str(), self.secret.as_str()),
        };
        let now = SystemTime::now();
        let time = if signer == Signer::AnHourAgo { now - Duration::from_secs(3_600) } else { now };
        let signed_body = if signer == Signer::ChangedBody { "{}" } else { body };
        let identity = Credentials::new(id, secret, None, None, "test").into();
        let params = SigningParams::builder().identity(&identity).region(&self.region).name(service);
        let params = params.time(time).settings(SigningSettings::default()).build().expect("parameters");
        let body = SignableBody::Bytes(signed_body.as_bytes());
        let request = SignableRequest::new("POST", url, headers.iter().copied(), body).expect("request");
        let signed = sign(request, &params.into()).expect("signature").into_parts().0;
        signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}
