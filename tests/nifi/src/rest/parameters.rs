//! Parameter contexts.

use serde_json::{Value, json};

use super::client::{RestClient, text};
use super::model::Parameter;
use crate::{Error, Result};

impl RestClient {
    /// Identifier of the parameter context that a group uses.
    pub async fn parameter_context(&self, group: &str) -> Result<String> {
        text(&self.get(&format!("/process-groups/{group}")).await?, "/component/parameterContext/id")
    }

    /// The parameters of a context as NiFi shows them.
    pub async fn parameters(&self, context: &str) -> Result<Vec<Value>> {
        let answer: Value = self.get(&format!("/parameter-contexts/{context}")).await?;
        let list =
            answer.pointer("/component/parameters").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(list.into_iter().map(|mut entity| entity["parameter"].take()).collect())
    }

    /// Sets parameters, and waits until NiFi has stopped, updated and started what uses them.
    pub async fn set_parameters(&self, context: &str, parameters: &[Parameter]) -> Result<()> {
        let entity: Value = self.get(&format!("/parameter-contexts/{context}")).await?;
        let values: Vec<Value> = parameters
            .iter()
            .map(|p| json!({ "parameter": { "name": p.name, "value": p.value, "sensitive": p.sensitive } }))
            .collect();
        let body = json!({
            "id": context,
            "revision": entity["revision"],
            "component": { "id": context, "parameters": values },
        });
        self.finish_update(&format!("/parameter-contexts/{context}/update-requests"), &body).await
    }

    /// Posts a request that changes parameters, waits for its end, and says why NiFi refused it if it did.
    pub(super) async fn finish_update(&self, requests: &str, body: &Value) -> Result<()> {
        let request: Value = self.post(requests, body).await?;
        let request = format!("{requests}/{}", text(&request, "/request/requestId")?);
        let failure = self
            .poll(&request, "the parameter update", |answer| {
                (answer.pointer("/request/complete") == Some(&Value::Bool(true))).then(|| {
                    answer.pointer("/request/failureReason").and_then(Value::as_str).map(str::to_owned)
                })
            })
            .await?;
        self.delete(&request).await?;
        match failure {
            None => Ok(()),
            Some(reason) => Err(Error::Unexpected(format!("NiFi refused the parameters: {reason}"))),
        }
    }

    /// Removes a parameter context that nothing uses any more.
    pub async fn remove_parameter_context(&self, context: &str) -> Result<()> {
        let entity: Value = self.get(&format!("/parameter-contexts/{context}")).await?;
        let version = entity.pointer("/revision/version").and_then(Value::as_u64).unwrap_or(0);
        self.delete(&format!("/parameter-contexts/{context}?version={version}&clientId=shardflow"))
            .await
            .map(drop)
    }
}
