//! Programs that nobody here wrote judge the local cloud: two other emulators answer the same table of calls, and
//! unchanged AWS SDKs for Python and JavaScript work with it.
//!
//! What they need is installed once, from the registries, into the cache directory; `referees/` has the versions.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "referees/calls.rs"]
mod calls;
#[path = "referees/emulators.rs"]
mod emulators;
#[path = "referees/fan_out.rs"]
mod fan_out;
#[path = "referees/install.rs"]
mod install;
#[path = "referees/languages.rs"]
mod languages;
#[path = "referees/signed.rs"]
mod signed;

use std::collections::BTreeMap;

use calls::{Call, Table};
use local_cloud::{LocalCloud, Options};
use serde::Deserialize;
use signed::Service;

/// One line of `referees/deviations.json`.
#[derive(Deserialize)]
struct Deviation {
    step: String,
    instead: String,
    /// For readers.
    #[serde(rename = "why")]
    _why: String,
}

fn known(referee: &str) -> BTreeMap<String, String> {
    let text = include_str!("../referees/deviations.json");
    let mut all: BTreeMap<String, Vec<Deviation>> = serde_json::from_str(text).expect("deviations.json");
    let list = all.remove(referee).unwrap_or_default();
    list.into_iter().map(|deviation| (deviation.step, deviation.instead)).collect()
}

/// Runs the groups against a referee and compares what differs with what is known to differ.
async fn judge(referee: &str, service: &Service, groups: &[&str]) {
    let differing = Table::read().run(service, groups).await;
    let found: BTreeMap<String, String> =
        differing.iter().map(|call: &Call| (call.step.clone(), call.outcome.clone())).collect();
    let details: Vec<_> =
        differing.iter().map(|call| format!("{}\n    {}", call.step, call.detail)).collect();
    assert_eq!(found, known(referee), "{referee} answered otherwise:\n  {}", details.join("\n  "));
}

fn service(cloud: &LocalCloud) -> Service {
    Service {
        endpoint: cloud.aws_endpoint(),
        region: cloud.region().to_owned(),
        id: cloud.access_key_id().to_owned(),
        secret: cloud.secret_access_key().to_owned(),
    }
}

/// Compares what was seen with what is wanted, apart from what is known to differ.
fn compare(referee: &str, seen: &BTreeMap<&'static str, String>) {
    let known = known(referee);
    let wanted: BTreeMap<&'static str, String> = fan_out::WANTED
        .iter()
        .map(|(step, wanted)| (*step, known.get(*step).map_or(*wanted, String::as_str).to_owned()))
        .collect();
    assert_eq!(seen, &wanted, "{referee}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_cloud_pushes_as_wanted() {
    let cloud = LocalCloud::start(Options::default()).await.expect("local cloud");
    compare("local cloud fan-out", &fan_out::observe(&service(&cloud)).await);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ministack_pushes_as_wanted() {
    let emulator = emulators::ministack().await;
    compare("ministack fan-out", &fan_out::observe(&emulator.service).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_cloud_answers_the_table_of_calls() {
    let cloud = LocalCloud::start(Options::default()).await.expect("local cloud");
    judge("local cloud", &service(&cloud), &["polling", "consumers", "reshard", "security", "table"]).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinesis_mock_answers_the_table_of_calls() {
    let emulator = emulators::kinesis_mock().await;
    judge("kinesis-mock", &emulator.service, &["polling", "consumers", "reshard"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ministack_answers_the_table_of_calls() {
    let emulator = emulators::ministack().await;
    judge("ministack", &emulator.service, &["polling", "consumers", "security", "table"]).await;
}
