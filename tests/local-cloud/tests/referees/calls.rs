//! The table of calls: `referees/calls.json`.
//!
//! A step names a call, its request and what is wanted of the answer. `${name}` stands for a value kept from an earlier
//! answer. A wanted member is named by a JSON Pointer, in which `*` stands for all elements of an array; elements
//! without the member, or with a null in it, are left out. Besides a value there is `{"$present": bool}` and `{"$above": number as text}`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::signed::{Service, Signer};

/// How long a state may take to come.
const SOON: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    step: String,
    call: String,
    with: Value,
    #[serde(default, rename = "as")]
    signer: Signer,
    #[serde(default)]
    until: bool,
    #[serde(default)]
    want: Map<String, Value>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    keep: HashMap<String, String>,
}

/// A call whose answer was another than wanted.
pub struct Call {
    pub step: String,
    /// What differs, without values that change from run to run.
    pub outcome: String,
    /// The answer.
    pub detail: String,
}

/// The whole table.
pub struct Table(HashMap<String, Vec<Step>>);

impl Table {
    pub fn read() -> Self {
        Self(serde_json::from_str(include_str!("../../referees/calls.json")).expect("calls.json"))
    }

    /// Runs groups of steps in order and gives those that went otherwise.
    pub async fn run(&self, service: &Service, groups: &[&str]) -> Vec<Call> {
        let mut kept = HashMap::new();
        let mut differing = Vec::new();
        for step in groups.iter().flat_map(|group| self.0.get(*group).expect("a group of the table")) {
            if let Err((outcome, detail)) = run(service, step, &mut kept).await {
                differing.push(Call { step: step.step.clone(), outcome, detail });
            }
        }
        differing
    }
}

async fn run(
    service: &Service,
    step: &Step,
    kept: &mut HashMap<String, Value>,
) -> Result<(), (String, String)> {
    let request = filled(&step.with, kept).map_err(|name| (format!("lacks {name}"), String::new()))?;
    let deadline = Instant::now() + SOON;
    loop {
        let answer = service.call(&step.call, &request, step.signer).await;
        let body = match &answer {
            Ok(body) | Err((_, body)) => body,
        };
        for (name, pointer) in &step.keep {
            if let Some(value) = body.pointer(pointer) {
                kept.insert(name.clone(), value.clone());
            }
        }
        let outcome = compare(step, &answer, kept);
        if outcome.is_ok() || !step.until || Instant::now() > deadline {
            return outcome.map_err(|outcome| (outcome, format!("{answer:?}")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn compare(
    step: &Step,
    answer: &Result<Value, (String, Value)>,
    kept: &HashMap<String, Value>,
) -> Result<(), String> {
    let body = match (answer, &step.error) {
        (Ok(_), Some(_)) => return Err("no error".into()),
        (Err((code, body)), Some(wanted)) if code == wanted => body,
        (Err((code, _)), _) => return Err(format!("error {code}")),
        (Ok(body), None) => body,
    };
    let mut differing: Vec<&str> = Vec::new();
    for (pointer, wanted) in &step.want {
        let wanted = filled(wanted, kept).map_err(|name| format!("lacks {name}"))?;
        if !fits(select(body, pointer).as_ref(), &wanted) {
            differing.push(pointer);
        }
    }
    if differing.is_empty() { Ok(()) } else { Err(format!("differs at {}", differing.join(", "))) }
}

fn fits(found: Option<&Value>, wanted: &Value) -> bool {
    if let Some(present) = wanted.get("$present") {
        return present
            == &Value::Bool(found.is_some_and(|value| !value.is_null() && value != &Value::Array(vec![])));
    }
    if let Some(limit) = wanted.get("$above") {
        let digits = |value: &Value| value.as_str().map(|text| (text.len(), text.to_owned()));
        return matches!((found.and_then(digits), digits(limit)), (Some(found), Some(limit)) if found > limit);
    }
    found == Some(wanted)
}

/// The value at a pointer; with `*` an array of all of them.
fn select(value: &Value, pointer: &str) -> Option<Value> {
    let Some((before, after)) = pointer.split_once("/*") else { return value.pointer(pointer).cloned() };
    let elements = value.pointer(before)?.as_array()?;
    let found = elements.iter().filter_map(|element| select(element, after));
    Some(found.filter(|value| !value.is_null()).collect())
}

/// Puts kept values in their places; the error is the name of a value that was not kept.
fn filled(value: &Value, kept: &HashMap<String, Value>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => kept.get(name).cloned().ok_or_else(|| name.to_owned())?,
            None => value.clone(),
        },
        Value::Array(values) => values.iter().map(|value| filled(value, kept)).collect::<Result<_, _>>()?,
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| Ok((name.clone(), filled(value, kept)?)))
            .collect::<Result<_, String>>()?,
        other => other.clone(),
    })
}
