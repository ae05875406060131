//! What NiFi can load: processor types and uploaded NARs.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::client::{RestClient, part, text, wait_for};
use super::model::{Nar, ProcessorType};
use crate::{Error, Result};

const INSTALL_LIMIT: Duration = Duration::from_secs(60);

impl RestClient {
    /// The kinds of processors on offer.
    pub async fn processor_types(&self) -> Result<Vec<ProcessorType>> {
        part(&self.get("/flow/processor-types").await?, "/processorTypes")
    }

    /// The documentation page of a processor that NiFi took from its NAR (`additionalDetails.md`).
    pub async fn additional_details(&self, kind: &ProcessorType) -> Result<String> {
        let ProcessorType { kind, bundle } = kind;
        let path = format!(
            "/flow/additional-details/{}/{}/{}/{kind}",
            bundle.group, bundle.artifact, bundle.version
        );
        text(&self.get(&path).await?, "/additionalDetails")
    }

    /// Uploads a NAR and waits until its components can be used.
    pub async fn upload_nar(&self, file: &Path) -> Result<Nar> {
        let bytes = std::fs::read(file).map_err(Error::io(format!("reading {}", file.display())))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = "/controller/nar-manager/nars/content";
        let answer: Value = self
            .send(Method::POST, path, |request| {
                request.header(CONTENT_TYPE, "application/octet-stream").header("Filename", name).body(bytes)
            })
            .await?;
        let id = text(&answer, "/narSummary/identifier")?;
        let installed = wait_for("the installation of the NAR", INSTALL_LIMIT, || async {
            let nar = self.nars().await?.into_iter().find(|nar| nar.identifier == id);
            Ok(nar.filter(|nar| matches!(nar.state.as_str(), "Installed" | "Failed" | "Missing Dependency")))
        })
        .await?;
        match installed.state.as_str() {
            "Installed" => Ok(installed),
            state => Err(Error::Unexpected(format!("the NAR is {state}: {}", installed.failure_message))),
        }
    }

    /// The NARs that were uploaded.
    pub async fn nars(&self) -> Result<Vec<Nar>> {
        let answer: Value = self.get("/controller/nar-manager/nars").await?;
        let entities: Vec<Value> = part(&answer, "/narSummaries")?;
        entities.iter().map(|entity| part(entity, "/narSummary")).collect()
    }

    /// Removes an uploaded NAR, also when components use it.
    pub async fn remove_nar(&self, nar: &Nar) -> Result<()> {
        self.delete(&format!("/controller/nar-manager/nars/{}?force=true", nar.identifier)).await.map(drop)
    }
}
