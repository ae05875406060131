//! The delivered flow, with the guide's example values for its parameters.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::book;

/// The flow definition.
pub fn definition() -> Value {
    let path = book::file("flow-definitions/kinesis-to-snowflake.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Names of the parameters.
pub fn parameters() -> Vec<String> {
    let flow = definition();
    let contexts = flow["parameterContexts"].as_object().unwrap();
    let parameters = contexts.values().flat_map(|context| context["parameters"].as_array().unwrap().clone());
    parameters.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

/// Values of the guide's parameter tables.
pub fn examples() -> BTreeMap<String, String> {
    let rows = book::tables(&book::text(), "parameter");
    rows.iter().map(|row| (book::code(&row[0]).to_owned(), book::code(&row[2]).to_owned())).collect()
}

/// Properties of one processor, parameters replaced by values. Left out is what NiFi itself reads: expressions, and
/// times and sizes with a unit, which are the defaults.
pub fn properties(processor: &str, values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let flow = definition();
    let processors = flow["flowContents"]["processors"].as_array().unwrap();
    let found = processors.iter().find(|candidate| candidate["name"] == processor).unwrap();
    let mut properties = BTreeMap::new();
    for (name, value) in found["properties"].as_object().unwrap() {
        let Some(value) = value.as_str() else { continue };
        let parameter = value.strip_prefix("#{").and_then(|rest| rest.strip_suffix('}'));
        let resolved = match parameter {
            Some(parameter) => values.get(parameter).cloned().unwrap_or_default(),
            None if value.contains("${") || value.contains(' ') => continue,
            None => value.to_owned(),
        };
        properties.insert(name.clone(), resolved);
    }
    properties
}
