//! What a system left running needs to be found again, and what its user needs to know.

use std::path::PathBuf;

use nifi_harness::process;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, io};
use crate::place::Place;
use crate::report;

/// A process left running, with a text of its command line by which it is recognised.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// What it is, for people.
    pub name: String,
    /// Process id.
    pub id: u32,
    /// Part of its command line.
    pub marker: String,
}

impl Running {
    /// Whether it still runs.
    pub fn lives(&self) -> bool {
        process::is_running(self.id, &self.marker)
    }
}

/// Names, addresses and keys of a running system.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields' names are those of the report and of the flow's parameters")]
pub struct Facts {
    pub aws_endpoint: String,
    pub aws_region: String,
    pub aws_access_key_id: String,
    pub aws_secret_access_key: String,
    pub stream: String,
    pub application: String,
    pub snowflake_url: String,
    pub snowflake_ca_file: String,
    pub snowflake_account: String,
    pub snowflake_user: String,
    pub snowflake_role: String,
    pub snowflake_private_key_file: String,
    pub database: String,
    pub schema: String,
    pub table: String,
    pub nifi_url: String,
    pub page_url: String,
    pub process_group_id: String,
}

/// A system left running.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Its processes, in the order in which to stop them.
    pub processes: Vec<Running>,
    /// What its user needs to know; absent while it is being started.
    pub facts: Option<Facts>,
}

impl State {
    fn file(place: &Place) -> PathBuf {
        place.runs().join("running.json")
    }

    /// The system that was left running, if any of its processes lives.
    pub fn find(place: &Place) -> Result<Option<Self>> {
        let file = Self::file(place);
        let Ok(text) = std::fs::read(&file) else { return Ok(None) };
        let state: Self = serde_json::from_slice(&text)
            .map_err(|error| Error::Other(format!("{} is damaged ({error})", file.display())))?;
        Ok(state.processes.iter().any(Running::lives).then_some(state))
    }

    /// Remembers it.
    pub fn save(&self, place: &Place) -> Result<()> {
        report::write(self, &Self::file(place))
    }

    /// Forgets it.
    pub fn forget(place: &Place) -> Result<()> {
        let file = Self::file(place);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io(format!("removing {}", file.display()))(error))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses to start a second system beside one that runs.
pub fn refuse_if_running(place: &Place) -> Result<()> {
    let Some(state) = State::find(place)? else { return Ok(()) };
    let nifi = state.facts.map(|facts| format!(": {}", facts.nifi_url)).unwrap_or_default();
    Err(Error::Other(format!("a system is already running{nifi}; stop it with ./dev down")))
}
