//! The "verify" button of a processor.

use serde_json::{Value, json};

use super::client::{RestClient, part, text};
use super::model::Verification;
use crate::Result;

/// What NiFi answers in the place of a sensitive value.
const SENSITIVE_MASK: &str = "********";

impl RestClient {
    /// Lets a stopped processor check its configuration and returns what it found, step by step.
    pub async fn verify_processor(&self, id: &str) -> Result<Vec<Verification>> {
        let mut properties = self.processor(id).await?.config.properties;
        // What is left out stands as it is configured; a masked value would be taken for the value itself.
        properties.retain(|_, value| value.as_deref().is_some_and(|text| text != SENSITIVE_MASK));
        let requests = format!("/processors/{id}/config/verification-requests");
        let body = json!({ "request": { "componentId": id, "properties": properties, "attributes": {} } });
        let request: Value = self.post(&requests, &body).await?;
        let request = format!("{requests}/{}", text(&request, "/request/requestId")?);
        let results = self
            .poll(&request, "the verification", |answer| {
                let complete = answer.pointer("/request/complete") == Some(&Value::Bool(true));
                complete.then(|| answer.pointer("/request/results").cloned().unwrap_or(json!([])))
            })
            .await?;
        self.delete(&request).await?;
        part(&results, "")
    }
}
