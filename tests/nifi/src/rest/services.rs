//! Controller services.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{RestClient, components, text, wait_for};
use super::model::Service;
use crate::Result;

const SWITCH_LIMIT: Duration = Duration::from_secs(30);

impl RestClient {
    /// The controller services that belong to a group.
    pub async fn services(&self, group: &str) -> Result<Vec<Service>> {
        let path = format!(
            "/flow/process-groups/{group}/controller-services?includeAncestorGroups=false&includeDescendantGroups=true"
        );
        components(&self.get::<Value>(&path).await?, "/controllerServices")
    }

    /// Adds a controller service of a class that one NAR holds; gives its identifier.
    pub async fn add_service(&self, group: &str, class: &str, properties: Value) -> Result<String> {
        let body = json!({
            "revision": { "version": 0 },
            "component": { "type": class, "properties": properties },
        });
        text(&self.post(&format!("/process-groups/{group}/controller-services"), &body).await?, "/id")
    }

    /// Enables all controller services of a group and waits until they are.
    pub async fn enable_services(&self, group: &str) -> Result<()> {
        self.switch_services(group, "ENABLED").await
    }

    /// Disables all controller services of a group and waits until they are.
    pub async fn disable_services(&self, group: &str) -> Result<()> {
        self.switch_services(group, "DISABLED").await
    }

    async fn switch_services(&self, group: &str, state: &str) -> Result<()> {
        let body = json!({ "id": group, "state": state });
        self.put::<Value>(&format!("/flow/process-groups/{group}/controller-services"), &body).await?;
        wait_for(&format!("controller services being {state}"), SWITCH_LIMIT, || async {
            let all = self.services(group).await?.iter().all(|service| service.state == state);
            Ok(all.then_some(()))
        })
        .await
    }
}
