//! *Terminate*: NiFi discards a processor without stopping it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nifi_harness::producer::bad_among;
use nifi_harness::rest::wait_for;
use nifi_harness::{Connector, audit};

use crate::faults::put_until;
use crate::runner::{Outcome, Verdict, ensure};
use crate::world::World;

const ARRIVAL: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(15);
/// How often each processor is to be caught with threads.
const CAUGHT: usize = 2;
/// How long that may take.
const CATCHING: Duration = Duration::from_secs(90);

/// Both processors are terminated again and again while records flow. What they had comes back: every row is stored once,
/// the queue runs empty, and the leases are free for the next start.
pub async fn terminated_under_load_nothing_is_lost_or_repeated(world: Arc<World>) -> Outcome {
    let (settings, producer) = world.prepare("terminated", 2).await?;
    let connector = world.run_flow(&settings).await?;
    let enough = Arc::new(AtomicBool::new(false));
    let putting = tokio::spawn(put_until(producer, Arc::clone(&enough)));
    world.wait_for_rows(&settings, 500, ARRIVAL).await?;
    let caught = terminate_both(&world, &connector).await;
    world.cloud.snowflake_network().refuse(false);
    enough.store(true, Ordering::Relaxed);
    let ledger = putting.await??;
    caught?;

    let records = u64::try_from(ledger.len())?;
    world.wait_for_rows(&settings, records - bad_among(records), ARRIVAL).await?;
    wait_for("an empty queue", ARRIVAL, || async {
        Ok((connector.rest.queued(&connector.group).await?.flow_files_queued == 0).then_some(()))
    })
    .await?;
    connector.stop(STOP).await?;
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "{audit:?}");
    let rows = world.cloud.dynamodb().items(&settings.application)?;
    let leased: Vec<_> = rows.iter().filter(|row| row.get("leaseOwner").is_some()).collect();
    ensure!(leased.is_empty(), "leases that nobody reads under: {leased:?}");
    connector.remove().await?;
    Ok(Verdict::Passed)
}

/// A processor can also be stopped by the time its threads are to be given up.
async fn terminate_both(
    world: &World,
    connector: &Connector,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let deadline = Instant::now() + CATCHING;
    let ids = [&connector.publisher, &connector.consumer];
    loop {
        keep_under_way(world, connector).await?;
        for id in ids {
            connector.rest.terminate_processor(id).await?;
        }
        world.cloud.snowflake_network().refuse(false);
        let caught = [terminations(world, ids[0]).await?, terminations(world, ids[1]).await?];
        connector.rest.start_group(&connector.group).await?;
        if caught.iter().all(|times| *times >= CAUGHT) {
            return Ok(());
        }
        ensure_in_time(deadline, caught)?;
        let reads = connector.rest.counter(&connector.consumer, "Records Consumed").await?;
        wait_for("records that flow again", ARRIVAL, || async {
            let now = connector.rest.counter(&connector.consumer, "Records Consumed").await?;
            Ok((now > reads).then_some(()))
        })
        .await?;
    }
}

/// FlowFiles that the publisher has begun and cannot end. NiFi itself rolls back what the last tasks began, as long as it
/// knows of it: it forgets with the next collection of garbage.
async fn keep_under_way(
    world: &World,
    connector: &Connector,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    world.cloud.snowflake_network().refuse(true);
    wait_for("FlowFiles under way", ARRIVAL, || async {
        Ok((connector.rest.queued(&connector.group).await?.flow_files_queued >= 20).then_some(()))
    })
    .await?;
    let process = world.nifi.read().await.process_id().to_string();
    let collected = Command::new(world.jdk.home.join("bin/jcmd")).args([&process, "GC.run"]).output()?;
    ensure!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
    Ok(())
}

fn ensure_in_time(
    deadline: Instant,
    caught: [usize; 2],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ensure!(Instant::now() < deadline, "terminated with threads only {caught:?} times");
    Ok(())
}

/// How often NiFi terminated a processor that had threads.
async fn terminations(world: &World, id: &str) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
    let log = std::fs::read_to_string(world.nifi.read().await.log())?;
    Ok(log.lines().filter(|line| line.contains("Successfully terminated") && line.contains(id)).count())
}
