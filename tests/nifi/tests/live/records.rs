//! Records through the whole connector.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nifi_harness::audit;
use nifi_harness::producer::bad_among;
use nifi_harness::rest::wait_for;

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::World;

const ARRIVAL: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(10);

/// The demo on a small scale, and what NiFi tells of it.
pub async fn every_record_arrives_once_and_verify_agrees(world: Arc<World>) -> Outcome {
    const RECORDS: u64 = 3000;
    let (settings, producer) = world.prepare("once", 2).await?;
    let connector = world.import(&settings).await?;
    let rest = &connector.rest;
    rest.set_parameters(&connector.context, &settings.parameters(&world.endpoints)?).await?;
    for id in [&connector.consumer, &connector.publisher] {
        let findings = rest.verify_processor(id).await?;
        ensure!(
            findings.iter().any(|f| f.outcome == "SUCCESSFUL"),
            "verify found nothing good: {findings:?}"
        );
        ensure!(findings.iter().all(|f| f.outcome != "FAILED"), "verify found trouble: {findings:?}");
    }
    let begun = Instant::now();
    rest.start_group(&connector.group).await?;
    ensure!(begun.elapsed() < Duration::from_secs(5), "starting took {:?}", begun.elapsed());
    let ledger = producer.put(0, RECORDS).await?;
    world.wait_for_rows(&settings, RECORDS - bad_among(RECORDS), ARRIVAL).await?;
    wait_for("parse failures", Duration::from_secs(20), || async {
        Ok((connector.parse_failures().await? >= bad_among(RECORDS)).then_some(()))
    })
    .await?;

    let received = rest.provenance(&connector.consumer, 20).await?;
    let from = format!("kinesis://{}/shardId-", settings.stream);
    ensure!(
        received.iter().any(|e| e.event_type == "RECEIVE" && e.transit_uri.starts_with(&from)),
        "{received:?}"
    );
    let sent = rest.provenance(&connector.publisher, 20).await?;
    ensure!(sent.iter().any(|e| e.event_type == "SEND" && !e.transit_uri.is_empty()), "{sent:?}");

    connector.stop(STOP).await?;
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "{audit:?}");
    let failures = connector.parse_failures().await?;
    ensure!(failures == bad_among(RECORDS), "{failures} parse failures instead of {}", bad_among(RECORDS));
    let said = connector.bulletin_texts().await?;
    ensure!(!said.iter().any(|text| text.starts_with("ERROR")), "bulletins without trouble: {said:?}");
    connector.remove().await?;
    Ok(Verdict::Passed)
}

/// A user stops and starts the group while records come in.
pub async fn stop_and_start_lose_and_repeat_nothing(world: Arc<World>) -> Outcome {
    const RECORDS: u64 = 4000;
    let (settings, producer) = world.prepare("restarted", 2).await?;
    let connector = world.run_flow(&settings).await?;
    let put = tokio::spawn(async move { producer.put(0, RECORDS).await });
    for part in 1..=3 {
        world.wait_for_rows(&settings, part * RECORDS / 8, ARRIVAL).await?;
        let begun = Instant::now();
        connector.stop(STOP).await?;
        ensure!(begun.elapsed() < STOP, "stop took {:?}", begun.elapsed());
        connector.rest.start_group(&connector.group).await?;
    }
    let ledger = put.await??;
    world.wait_for_rows(&settings, RECORDS - bad_among(RECORDS), ARRIVAL).await?;
    connector.stop(STOP).await?;
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "{audit:?}");
    connector.remove().await?;
    Ok(Verdict::Passed)
}
