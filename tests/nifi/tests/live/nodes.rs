//! Two NiFi instances share a stream, an application name and a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nifi_harness::producer::bad_among;
use nifi_harness::rest::wait_for;
use nifi_harness::{AssembleOptions, Connector, Nifi, NifiHome, NifiOptions, Settings, audit};

use crate::faults::put_until;
use crate::runner::{Outcome, Verdict, ensure};
use crate::world::{World, environment, flow, nar};

const ARRIVAL: Duration = Duration::from_secs(120);
/// A dead node's leases last half a minute, its heartbeat 40 s.
const TAKE_OVER: Duration = Duration::from_secs(100);
const STOP: Duration = Duration::from_secs(15);

/// One node dies with FlowFiles in its queue, the other takes its shards and reads on from the checkpoint, the first
/// comes back and takes shards again: the oldest rows of a shard are then in the first node's queue, younger ones in the
/// second's, the youngest in the first's again. Every row is there once, in the order of its shard.
pub async fn a_dead_node_s_queue_is_waited_for(world: Arc<World>) -> Outcome {
    let (settings, producer) = world.prepare("nodes", 4).await?;
    let first = world.run_flow(&settings).await?;
    let second_nifi = second_nifi(&world).await?;
    let second = Connector::import(second_nifi.rest(), &flow()).await?;
    second.configure_and_start(&settings.parameters(&world.endpoints)?).await?;
    let enough = Arc::new(AtomicBool::new(false));
    let putting = tokio::spawn(put_until(producer, Arc::clone(&enough)));
    let before = wait_for_owners(&world, &settings, 2).await?;
    world.wait_for_rows(&settings, 1000, ARRIVAL).await?;

    first.rest.schedule_processor(&first.publisher, "STOPPED").await?;
    wait_for("FlowFiles in the first node's queue", Duration::from_secs(30), || async {
        Ok((first.rest.queued(&first.group).await?.flow_files_queued >= 10).then_some(()))
    })
    .await?;
    let mut nifi = world.nifi.write().await;
    // With its publisher stopped, as it must come up again.
    wait_for("the flow on disk", Duration::from_secs(20), || async {
        let stored = nifi.stored_flow().unwrap_or_default();
        Ok((stored.contains(&settings.stream) && stored.matches("\"RUNNING\"").count() == 1).then_some(()))
    })
    .await?;
    nifi.kill().await?;
    let survivors = wait_for_owners(&world, &settings, 1).await?;
    let survivor = survivors.values().next().cloned().unwrap_or_default();
    let orphans: Vec<&String> =
        before.iter().filter(|(_, o)| **o != survivor).map(|(shard, _)| shard).collect();
    ensure!(!orphans.is_empty(), "the killed node had no shard: {before:?}");
    held_back(&world, &settings, &second, &orphans).await?;

    nifi.restart().await?;
    drop(nifi);
    wait_for_owners(&world, &settings, 2).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    held_back(&world, &settings, &second, &orphans).await?;
    enough.store(true, Ordering::Relaxed);
    let ledger = putting.await??;
    first.rest.schedule_processor(&first.publisher, "RUNNING").await?;
    let records = u64::try_from(ledger.len())?;
    world.wait_for_rows(&settings, records - bad_among(records), ARRIVAL).await?;
    first.stop(STOP).await?;
    second.stop(STOP).await?;
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "{audit:?}");
    let violations = world.cloud.snowflake().violations();
    ensure!(violations.is_empty(), "{violations:?}");
    first.remove().await?;
    second_nifi.stop().await?;
    Ok(Verdict::Passed)
}

async fn second_nifi(world: &World) -> Result<Nifi, Box<dyn std::error::Error + Send + Sync>> {
    let home = NifiHome::assemble(&AssembleOptions::new(&world.jdk.home), &|line| println!("{line}"))?;
    let mut options = NifiOptions::new(world.folder("second-node"), &world.jdk.home);
    options.nars = vec![nar()?];
    options.env = environment(&world.endpoints);
    Ok(Nifi::start(&home, options).await?)
}

/// Waits until all four shards are leased by this many nodes, and says which by whom.
async fn wait_for_owners(
    world: &World,
    settings: &Settings,
    nodes: usize,
) -> Result<BTreeMap<String, String>, nifi_harness::Error> {
    wait_for(&format!("the shards leased by {nodes} node(s)"), TAKE_OVER, || async {
        let rows = world.cloud.dynamodb().items(&settings.application).unwrap_or_default();
        let text = |row: &serde_json::Value, name: &str| row[name]["S"].as_str().map(str::to_owned);
        let owned: BTreeMap<String, String> = rows
            .iter()
            .filter_map(|row| Some((text(row, "shardId")?, text(row, "leaseOwner")?)))
            .filter(|(shard, _)| shard.starts_with("shardId-"))
            .collect();
        let owners: BTreeSet<&String> = owned.values().collect();
        Ok((owned.len() == 4 && owners.len() == nodes).then_some(owned.clone()))
    })
    .await
}

/// Nothing of these shards passes what is missing in front, while their FlowFiles wait in the second node's queue.
async fn held_back(world: &World, settings: &Settings, second: &Connector, shards: &[&String]) -> Outcome {
    wait_for("FlowFiles held in the second node's queue", Duration::from_secs(30), || async {
        Ok((second.rest.queued(&second.group).await?.flow_files_queued >= 2).then_some(()))
    })
    .await?;
    let list = shards.iter().map(|shard| format!("'{shard}'")).collect::<Vec<_>>().join(", ");
    let statement = format!(
        "SELECT COUNT(*) FROM {} WHERE kinesisMetadata:shardId::VARCHAR IN ({list})",
        settings.full_table()
    );
    let rows = world.sql.query(&statement).await?.number();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let later = world.sql.query(&statement).await?.number();
    ensure!(rows == later, "rows of {list} passed the gap: {rows}, then {later}");
    Ok(Verdict::Passed)
}
