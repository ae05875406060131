//! The flow definition against the processors' own descriptors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nifi_harness::Connector;
use nifi_harness::rest::Processor;
use serde_json::Value;

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::{World, flow};

type Texts = BTreeMap<String, String>;

/// Every property exists, every value is allowed, every parameter is defined and used and as sensitive as the property.
pub async fn the_definition_fits_the_processors(world: Arc<World>) -> Outcome {
    let definition: Value = serde_json::from_str(&std::fs::read_to_string(flow())?)?;
    let settings = world.settings("definition");
    let connector = world.import(&settings).await?;
    let parameters = defined_parameters(&definition);
    let mut used = BTreeSet::new();
    let mut troubles = Vec::new();
    for processor in connector.rest.validated_processors(&connector.group).await? {
        let configured = configured_properties(&definition, &processor.kind);
        ensure!(!processor.extension_missing, "{} is not known", processor.kind);
        ensure!(!configured.is_empty(), "the definition configures nothing of {}", processor.kind);
        for (property, value) in configured {
            troubles.extend(trouble(&processor, &property, &value, &parameters, &mut used));
        }
    }
    ensure!(troubles.is_empty(), "{}", troubles.join("\n"));
    let unused: Vec<_> = parameters.keys().filter(|name| !used.contains(*name)).collect();
    ensure!(unused.is_empty(), "parameters that nothing uses: {unused:?}");
    canvas(&definition, &connector).await?;

    let values = settings.parameters(&world.endpoints)?;
    connector.rest.set_parameters(&connector.context, &values).await?;
    for processor in connector.rest.validated_processors(&connector.group).await? {
        let Processor { name, validation_errors, .. } = &processor;
        ensure!(processor.validation_status == "VALID", "{name}: {validation_errors:?}");
    }
    connector.remove().await?;
    Ok(Verdict::Passed)
}

/// What of one configured property does not fit.
fn trouble(
    processor: &Processor,
    property: &str,
    value: &str,
    parameters: &BTreeMap<String, (bool, Option<String>)>,
    used: &mut BTreeSet<String>,
) -> Option<String> {
    let place = format!("{}, {property}", processor.name);
    let Some(descriptor) = processor.config.descriptors.get(property).filter(|d| !d.dynamic) else {
        return Some(format!("{place}: there is no such property"));
    };
    let reference = value.strip_prefix("#{").and_then(|rest| rest.strip_suffix('}'));
    let effective = match reference {
        None => Some(value.to_owned()),
        Some(name) => {
            used.insert(name.to_owned());
            let Some((sensitive, default)) = parameters.get(name) else {
                return Some(format!("{place}: #{{{name}}} is not defined"));
            };
            if *sensitive != descriptor.sensitive {
                return Some(format!(
                    "{place}: one of property and parameter is sensitive, the other is not"
                ));
            }
            if *sensitive && default.is_some() {
                return Some(format!("{name}: a sensitive parameter has a value in the file"));
            }
            default.clone().filter(|text| !text.is_empty())
        }
    };
    let allowed: Vec<&str> =
        descriptor.allowable_values.iter().map(|v| v.allowable_value.value.as_str()).collect();
    match effective {
        Some(text) if !allowed.is_empty() && !allowed.contains(&text.as_str()) => {
            Some(format!("{place}: {text} is none of {allowed:?}"))
        }
        _ => None,
    }
}

/// Name, whether it is sensitive, and value of the parameters in the file.
fn defined_parameters(definition: &Value) -> BTreeMap<String, (bool, Option<String>)> {
    let contexts = definition["parameterContexts"].as_object().into_iter().flatten();
    let parameters = contexts.filter_map(|(_, context)| context["parameters"].as_array()).flatten();
    parameters
        .filter_map(|p| {
            let value = p["value"].as_str().map(str::to_owned);
            Some((p["name"].as_str()?.to_owned(), (p["sensitive"] == true, value)))
        })
        .collect()
}

fn configured_properties(definition: &Value, kind: &str) -> Texts {
    let processors = definition["flowContents"]["processors"].as_array().into_iter().flatten();
    let properties =
        processors.filter(|p| p["type"] == kind).filter_map(|p| p["properties"].as_object()).flatten();
    properties.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// What a user sees and relies on besides properties.
async fn canvas(definition: &Value, connector: &Connector) -> Outcome {
    let between = connector.rest.connections(&connector.group).await?;
    let between =
        between.iter().find(|c| c.source.id == connector.consumer && c.destination.id == connector.publisher);
    let Some(between) = between else {
        return Err("no connection from the consumer to the publisher".into());
    };
    ensure!(
        between.prioritizers.iter().any(|p| p.ends_with("FirstInFirstOutPrioritizer")),
        "{between:?} is not FIFO"
    );
    ensure!(between.back_pressure_object_threshold > 0, "{between:?} has no back-pressure");
    let consumer = connector.rest.processor(&connector.consumer).await?;
    let discarded = consumer.relationships.iter().any(|r| r.name == "parse-failure" && r.auto_terminate);
    ensure!(discarded, "parse-failure is not auto-terminated");
    let labels = definition["flowContents"]["labels"].as_array().map_or(0, Vec::len);
    ensure!(labels > 0, "no label on the canvas says what to fill in");
    Ok(Verdict::Passed)
}

/// NiFi offers both types once, and shows their pages.
pub async fn both_processors_are_documented(world: Arc<World>) -> Outcome {
    let nifi = world.nifi.read().await;
    let types = nifi.rest().processor_types().await?;
    for class in ["ConsumeKinesis", "PublishSnowpipeStreaming"] {
        let own: Vec<_> =
            types.iter().filter(|t| t.kind == format!("io.shardflow.nifi.processors.{class}")).collect();
        ensure!(own.len() == 1, "{class}: {own:?}");
        let page = nifi.rest().additional_details(own[0]).await?;
        ensure!(page.contains(class) && page.len() > 500, "the page of {class} says little: {page}");
    }
    Ok(Verdict::Passed)
}
