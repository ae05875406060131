//! Parameter providers, and contexts that inherit what they gave.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{RestClient, text, wait_for};
use crate::{Error, Result};

const VALID_LIMIT: Duration = Duration::from_secs(20);

/// What a provider has fetched of one group, as the steps after the fetch need it.
#[derive(Debug, Clone)]
pub struct FetchedGroup {
    provider: String,
    /// The group.
    pub name: String,
    /// Names of its parameters.
    pub parameters: Vec<String>,
}

impl RestClient {
    /// Adds a parameter provider of a class that one NAR holds, waits until it is valid, and gives its identifier.
    pub async fn add_parameter_provider(&self, class: &str, properties: Value) -> Result<String> {
        let body = json!({
            "revision": { "version": 0 },
            "component": { "type": class, "properties": properties },
        });
        let id = text(&self.post("/controller/parameter-providers", &body).await?, "/id")?;
        wait_for("a valid parameter provider", VALID_LIMIT, || async {
            let entity: Value = self.get(&format!("/parameter-providers/{id}")).await?;
            Ok((text(&entity, "/component/validationStatus")? == "VALID").then_some(()))
        })
        .await?;
        Ok(id)
    }

    /// *Fetch Parameters*: lets the provider read a group from its source.
    pub async fn fetch_parameters(&self, provider: &str, group: &str) -> Result<FetchedGroup> {
        let body = json!({ "id": provider, "revision": self.revision(provider).await? });
        let path = format!("/parameter-providers/{provider}/parameters/fetch-requests");
        let answer: Value = self.post(&path, &body).await?;
        let groups = answer.pointer("/component/parameterGroupConfigurations").and_then(Value::as_array);
        let found = groups.into_iter().flatten().find(|one| one["groupName"] == group);
        let names = found
            .and_then(|one| one["parameterSensitivities"].as_object())
            .ok_or_else(|| Error::Unexpected(format!("the provider gave no group {group}: {answer}")))?;
        let parameters = names.keys().cloned().collect();
        Ok(FetchedGroup { provider: provider.to_owned(), name: group.to_owned(), parameters })
    }

    /// *Create Parameter Context* of the dialog with what was fetched: an empty context, tied to the group. Gives its
    /// identifier.
    pub async fn add_provided_context(&self, name: &str, group: &FetchedGroup) -> Result<String> {
        let source = json!({
            "parameterProviderId": group.provider,
            "parameterGroupName": group.name,
            "synchronized": true,
        });
        let body = json!({
            "revision": { "version": 0 },
            "component": {
                "name": name,
                "parameters": [],
                "parameterProviderConfiguration": { "component": source },
            },
        });
        text(&self.post("/parameter-contexts", &body).await?, "/id")
    }

    /// *Apply*: hands what was fetched to the context named `context`, with the `plain` ones readable and all others
    /// sensitive; waits until NiFi has stopped, updated and started what uses them.
    pub async fn apply_parameters(&self, group: &FetchedGroup, context: &str, plain: &[&str]) -> Result<()> {
        let FetchedGroup { provider, name, parameters } = group;
        let kind = |name: &str| if plain.contains(&name) { "NON_SENSITIVE" } else { "SENSITIVE" };
        let kinds: serde_json::Map<String, Value> =
            parameters.iter().map(|name| (name.clone(), json!(kind(name)))).collect();
        let body = json!({
            "id": provider,
            "revision": self.revision(provider).await?,
            "parameterGroupConfigurations": [{
                "groupName": name,
                "parameterContextName": context,
                "parameterSensitivities": kinds,
                "synchronized": true,
            }],
        });
        let requests = format!("/parameter-providers/{provider}/apply-parameters-requests");
        self.finish_update(&requests, &body).await
    }

    /// Lets a context inherit from another one, and deletes its own parameters of these names.
    pub async fn inherit_parameters(&self, context: &str, from: &str, instead_of: &[String]) -> Result<()> {
        let entity: Value = self.get(&format!("/parameter-contexts/{context}")).await?;
        let deleted: Vec<Value> =
            instead_of.iter().map(|name| json!({ "parameter": { "name": name } })).collect();
        let body = json!({
            "id": context,
            "revision": entity["revision"],
            "component": {
                "id": context,
                "parameters": deleted,
                "inheritedParameterContexts": [{ "id": from, "component": { "id": from } }],
            },
        });
        self.finish_update(&format!("/parameter-contexts/{context}/update-requests"), &body).await
    }

    /// Removes a parameter provider that no context uses any more.
    pub async fn remove_parameter_provider(&self, provider: &str) -> Result<()> {
        let revision = self.revision(provider).await?;
        let version = revision["version"].as_u64().unwrap_or(0);
        self.delete(&format!("/parameter-providers/{provider}?version={version}&clientId=shardflow"))
            .await
            .map(drop)
    }

    async fn revision(&self, provider: &str) -> Result<Value> {
        let mut entity: Value = self.get(&format!("/parameter-providers/{provider}")).await?;
        Ok(entity["revision"].take())
    }
}
