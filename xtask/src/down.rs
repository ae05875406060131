//! Stops what was left running.

use std::process::ExitCode;
use std::time::Duration;

use nifi_harness::process;

use crate::error::Result;
use crate::place::Place;
use crate::state::State;

const GRACE: Duration = Duration::from_secs(30);

/// Stops NiFi and the local cloud.
pub async fn run(place: &Place) -> Result<ExitCode> {
    if !stop_what_runs(place).await? {
        println!("nothing is running");
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops what was left running; false if nothing was.
pub async fn stop_what_runs(place: &Place) -> Result<bool> {
    let found = State::find(place)?;
    let was_running = found.is_some();
    for running in found.into_iter().flat_map(|state| state.processes) {
        if running.lives() {
            process::stop_detached(running.id, &running.marker, GRACE).await?;
            println!("{} stopped", running.name);
        }
    }
    State::forget(place)?;
    Ok(was_running)
}
