//! Parameters, secrets among them, from one of NiFi's parameter providers.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use local_cloud::AccessKey;
use nifi_harness::producer::bad_among;
use nifi_harness::rest::{FetchedGroup, Parameter, RestClient};
use nifi_harness::{AssembleOptions, Connector, NifiHome, Settings, audit};
use serde_json::json;

use crate::runner::{Outcome, Verdict, ensure};
use crate::services;
use crate::world::World;

/// Records before and after the rotation, each.
const RECORDS: u64 = 100;
const ARRIVAL: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(15);
const GROUP: &str = "production";
const SECRETS: [&str; 3] = ["AWS Access Key ID", "AWS Secret Access Key", "Snowflake Private Key"];
const READABLE: [&str; 2] = ["AWS Kinesis Application Name", "Snowflake Destination Table"];

/// The guide's steps; then the access key is rotated while the flow runs, and the table and the application name are
/// changed while it is stopped.
pub async fn parameters_of_a_provider_and_a_rotation(world: Arc<World>) -> Outcome {
    let home = NifiHome::assemble(&AssembleOptions::new(&world.jdk.home), &|line| println!("{line}"))?;
    let folder = world.folder("providers");
    let nar = services::nar(&home, &world.jdk.home, &folder)?;
    let (settings, producer) = world.prepare("provided", 1).await?;
    let connector = world.import(&settings).await?;
    let rest = &connector.rest;
    let uploaded = rest.upload_nar(&nar).await?;

    let source = Source::new(&world, &connector, folder.join(GROUP), &settings).await?;
    let fetched = source.fetch().await?;
    let inherited = rest.add_provided_context(&source.context, &fetched).await?;
    rest.apply_parameters(&fetched, &source.context, &READABLE).await?;
    configure(&world, &connector, &settings, &inherited, &fetched.parameters).await?;
    rest.start_group(&connector.group).await?;
    let mut ledger = producer.put(0, RECORDS).await?;
    world.wait_for_rows(&settings, RECORDS - bad_among(RECORDS), ARRIVAL).await?;

    source.store(&settings, "AKIAPROVIDED2")?;
    let seen = world.cloud.journal().calls().len();
    source.apply_again().await?;
    world.cloud.remove_access_key("AKIAPROVIDED1");
    ledger.extend(producer.put(RECORDS, 2 * RECORDS).await?);
    let good = 2 * RECORDS - bad_among(2 * RECORDS);
    world.wait_for_rows(&settings, good, ARRIVAL).await?;
    let calls = world.cloud.journal().calls();
    let rotated = calls.iter().skip(seen).any(|call| call.access_key == "AKIAPROVIDED2");
    ensure!(rotated, "no call with the key that was fetched again");

    connector.stop(STOP).await?;
    let mut second = settings.clone();
    second.table.push_str("_SECOND");
    second.application.push_str("-second");
    for statement in second.table_statements() {
        world.sql.query(&statement).await?;
    }
    source.store(&second, "AKIAPROVIDED2")?;
    source.apply_again().await?;
    rest.start_group(&connector.group).await?;
    world.wait_for_rows(&second, good, ARRIVAL).await?;
    let said = connector.bulletin_texts().await?;
    connector.stop(STOP).await?;
    ensure!(!said.iter().any(|text| text.starts_with("ERROR")), "{said:#?}");
    for settings in [&settings, &second] {
        let audit = audit::compare(&world.sql, settings, &ledger).await?;
        ensure!(audit.is_clean(), "{}: {audit:?}", settings.table);
    }
    connector.remove().await?;
    rest.remove_parameter_context(&inherited).await?;
    rest.remove_parameter_provider(&source.provider).await?;
    rest.remove_nar(&uploaded).await?;
    Ok(Verdict::Passed)
}

/// A provider, the folder that it reads, and the name of the context that it feeds.
struct Source<'a> {
    world: &'a World,
    rest: &'a RestClient,
    folder: PathBuf,
    provider: String,
    context: String,
}

impl<'a> Source<'a> {
    async fn new(
        world: &'a World,
        connector: &'a Connector,
        folder: PathBuf,
        settings: &Settings,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        std::fs::create_dir_all(&folder)?;
        let rest = &connector.rest;
        let properties = json!({ "Folder": folder });
        let provider = rest.add_parameter_provider("test.FolderParameters", properties).await?;
        let context = format!("Secrets of {}", settings.stream);
        let source = Self { world, rest, folder, provider, context };
        source.store(settings, "AKIAPROVIDED1")?;
        Ok(source)
    }

    /// Puts an access key that the cloud knows, and the other values, where the provider reads them.
    fn store(&self, settings: &Settings, id: &str) -> Outcome {
        let key = AccessKey::new(id, format!("secret of {id}"), "connector", None);
        for Parameter { name, mut value, .. } in settings.parameters(&self.world.endpoints)? {
            match name.as_str() {
                "AWS Access Key ID" => value.clone_from(&key.id),
                "AWS Secret Access Key" => value.clone_from(&key.secret),
                _ => {}
            }
            if is_provided(&name) {
                std::fs::write(self.folder.join(name), value)?;
            }
        }
        self.world.cloud.add_access_key(key);
        Ok(Verdict::Passed)
    }

    async fn fetch(&self) -> nifi_harness::Result<FetchedGroup> {
        self.rest.fetch_parameters(&self.provider, GROUP).await
    }

    async fn apply_again(&self) -> nifi_harness::Result<()> {
        self.rest.apply_parameters(&self.fetch().await?, &self.context, &READABLE).await
    }
}

fn is_provided(name: &str) -> bool {
    SECRETS.contains(&name) || READABLE.contains(&name)
}

/// Makes the flow's context inherit what the provider gave, and sets the rest in it.
async fn configure(
    world: &World,
    connector: &Connector,
    settings: &Settings,
    provided: &str,
    names: &[String],
) -> Outcome {
    let rest = &connector.rest;
    ensure!(
        names.len() == SECRETS.len() + READABLE.len() && names.iter().all(|name| is_provided(name)),
        "{names:?}"
    );
    rest.inherit_parameters(&connector.context, provided, names).await?;
    let own: Vec<_> = settings
        .parameters(&world.endpoints)?
        .into_iter()
        .filter(|parameter| !is_provided(&parameter.name))
        .collect();
    rest.set_parameters(&connector.context, &own).await?;
    for processor in rest.validated_processors(&connector.group).await? {
        let valid = processor.validation_status == "VALID";
        ensure!(valid, "{}: {:?}", processor.name, processor.validation_errors);
    }
    Ok(Verdict::Passed)
}
