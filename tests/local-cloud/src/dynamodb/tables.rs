//! Tables that are not there yet, or not quite gone: CREATING and DELETING.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynoxide::DynoxideError;
use serde_json::{Value, json};

use crate::sync::lock;
use local_snowflake::Clock;

/// The passing states of the tables. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    clock: Clock,
    transition_ms: i64,
    passing: Arc<Mutex<HashMap<String, Passing>>>,
}

#[derive(Clone, Debug)]
enum Passing {
    Creating {
        until_ms: i64,
    },
    /// The engine has forgotten the table; its last description is still given.
    Deleting {
        until_ms: i64,
        description: Value,
    },
}

impl Passing {
    fn until_ms(&self) -> i64 {
        match self {
            Self::Creating { until_ms } | Self::Deleting { until_ms, .. } => *until_ms,
        }
    }
}

fn in_use(text: String) -> DynoxideError {
    DynoxideError::ResourceInUseException(text)
}

fn not_found() -> DynoxideError {
    DynoxideError::ResourceNotFoundException("Requested resource not found".into())
}

impl Tables {
    pub(crate) fn new(clock: Clock, transition: Duration) -> Self {
        let transition_ms = i64::try_from(transition.as_millis()).unwrap_or(i64::MAX);
        Self { clock, transition_ms, passing: Arc::default() }
    }

    fn passing(&self, table: &str) -> Option<Passing> {
        let mut passing = lock(&self.passing);
        if passing.get(table).is_some_and(|state| state.until_ms() <= self.clock.now_ms()) {
            passing.remove(table);
        }
        passing.get(table).cloned()
    }

    /// What a passing state answers in place of the engine: `Ok(None)` leaves the operation to it.
    pub(crate) fn before(&self, operation: &str, table: &str) -> Result<Option<String>, DynoxideError> {
        match (self.passing(table), operation) {
            (None, _) | (Some(Passing::Creating { .. }), "DescribeTable") => Ok(None),
            (Some(Passing::Deleting { description, .. }), "DescribeTable") => {
                Ok(Some(json!({ "Table": description }).to_string()))
            }
            (Some(Passing::Creating { .. }), "DeleteTable" | "UpdateTable") => Err(in_use(format!(
                "Attempt to change a resource which is still in use: Table is being created: {table}"
            ))),
            (Some(_), "CreateTable") => Err(in_use(format!("Table already exists: {table}"))),
            (Some(Passing::Deleting { .. }), "DeleteTable" | "UpdateTable") => Err(in_use(format!(
                "Attempt to change a resource which is still in use: Table is being deleted: {table}"
            ))),
            _ => Err(not_found()),
        }
    }

    /// The engine's answer, with the state the table is in.
    pub(crate) fn after(&self, operation: &str, table: &str, answer: String) -> String {
        if self.transition_ms == 0 {
            return answer;
        }
        let until_ms = self.clock.now_ms().saturating_add(self.transition_ms);
        let (member, status) = match operation {
            "CreateTable" => ("TableDescription", "CREATING"),
            "DeleteTable" => ("TableDescription", "DELETING"),
            "DescribeTable" if self.passing(table).is_some() => ("Table", "CREATING"),
            _ => return answer,
        };
        let Ok(mut json) = serde_json::from_str::<Value>(&answer) else { return answer };
        json[member]["TableStatus"] = status.into();
        match operation {
            "CreateTable" => {
                lock(&self.passing).insert(table.to_owned(), Passing::Creating { until_ms });
            }
            "DeleteTable" => {
                let description = json[member].clone();
                lock(&self.passing).insert(table.to_owned(), Passing::Deleting { until_ms, description });
            }
            _ => {}
        }
        json.to_string()
    }
}
