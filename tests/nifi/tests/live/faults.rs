//! Nothing is lost and nothing is there twice, whatever dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use local_cloud::CutPlan;
use nifi_harness::audit;
use nifi_harness::producer::{Producer, Sent, bad_among, record};
use nifi_harness::rest::wait_for;
use nifi_harness::soak::{self, Mix, SoakOptions};
use nifi_harness::{AssembleOptions, NifiHome};

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::{World, flow, nar};

const ARRIVAL: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(15);

/// Connections to every service die at random for half a minute. Records are put past the network, so that the ledger
/// is certain.
pub async fn connections_cut_at_random_for_half_a_minute(world: Arc<World>) -> Outcome {
    let seed = seed();
    let (settings, _producer) = world.prepare("cut", 4).await?;
    let connector = world.run_flow(&settings).await?;
    let networks = [world.cloud.aws_network(), world.cloud.snowflake_network()];
    for (network, seed) in networks.iter().zip(seed..) {
        network.plan_cuts(Some(CutPlan { seed, probability: 0.5, bytes: 0..300_000 }));
    }
    let begun = Instant::now();
    let mut ledger = Vec::new();
    let mut outcome = Ok(());
    while begun.elapsed() < Duration::from_secs(30) {
        outcome = put_directly(&world, &settings.stream, &mut ledger, 100);
        if outcome.is_err() {
            break;
        }
        // Connections that were opened before the plan, and those that it spares, die too.
        networks.iter().for_each(|network| {
            network.cut_all();
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    networks.iter().for_each(|network| network.plan_cuts(None));
    outcome?;
    let records = u64::try_from(ledger.len())?;
    world.wait_for_rows(&settings, records - bad_among(records), ARRIVAL).await?;
    connector.stop(STOP).await?;
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "seed {seed}: {audit:?}");
    connector.remove().await?;
    Ok(Verdict::Passed)
}

fn put_directly(
    world: &World,
    stream: &str,
    ledger: &mut Vec<Sent>,
    records: u64,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for _ in 0..records {
        let id = u64::try_from(ledger.len())?;
        let (partition_key, payload, good) = record(id);
        let before = now_ms();
        let receipt = world.cloud.kinesis().put(stream, &partition_key, payload)?;
        ledger.push(Sent {
            id,
            good,
            partition_key,
            shard_id: receipt.shard_id,
            sequence_number: receipt.sequence_number,
            put_between: (before, now_ms()),
        });
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// SIGKILL while records are read, queued and sent.
pub async fn killed_three_times_in_mid_flow(world: Arc<World>) -> Outcome {
    const MORE_ROWS: u64 = 2000;
    let (settings, producer) = world.prepare("killed", 2).await?;
    let connector = world.run_flow(&settings).await?;
    let enough = Arc::new(AtomicBool::new(false));
    let putting = tokio::spawn(put_until(producer, Arc::clone(&enough)));
    for kill in 1..=3 {
        let rows = world.rows(&settings).await? + MORE_ROWS;
        world.wait_for_rows(&settings, rows, ARRIVAL).await?;
        let mut nifi = world.nifi.write().await;
        wait_for("the flow on disk", Duration::from_secs(20), || async {
            let stored = nifi.stored_flow().unwrap_or_default();
            Ok(stored.contains(&settings.stream).then_some(()))
        })
        .await?;
        nifi.kill().await?;
        println!("  kill {kill} at {} rows", world.rows(&settings).await?);
        nifi.restart().await?;
    }
    enough.store(true, Ordering::Relaxed);
    let ledger = putting.await??;
    let records = u64::try_from(ledger.len())?;
    world.wait_for_rows(&settings, records - bad_among(records), ARRIVAL).await?;
    connector.stop(STOP).await?;
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "{audit:?}");
    connector.remove().await?;
    Ok(Verdict::Passed)
}

/// SIGKILL at any moment, soon after the start as well, while calls are carried out whose answers are lost: creations of
/// tables, leases, heartbeats, checkpoints, logins, openings of channels, appends.
pub async fn killed_anywhere_between_ambiguous_answers(world: Arc<World>) -> Outcome {
    let options = SoakOptions {
        folder: world.folder("killed-anywhere"),
        home: NifiHome::assemble(&AssembleOptions::new(&world.jdk.home), &|line| println!("{line}"))?,
        java_home: world.jdk.home.clone(),
        nar: nar()?,
        flow: flow(),
        lasting: Duration::from_secs(60),
        seed: seed(),
        nodes: 1,
        mix: Mix::Kills,
        consumer_type: "SHARED_THROUGHPUT".to_owned(),
    };
    let outcome = soak::run(&options, &|line| println!("  {line}")).await?;
    ensure!(outcome.findings.is_clean(), "{outcome:#?}");
    ensure!(outcome.kills >= 1, "{outcome:#?}");
    Ok(Verdict::Passed)
}

/// Where random numbers begin: `SHARDFLOW_SEED`, or the clock.
fn seed() -> u64 {
    let given = std::env::var("SHARDFLOW_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs()));
    println!("  SHARDFLOW_SEED={seed}");
    seed
}

/// Puts some hundred records a second until it is told that there are enough.
pub async fn put_until(producer: Producer, enough: Arc<AtomicBool>) -> nifi_harness::Result<Vec<Sent>> {
    const STEP: u64 = 400;
    let mut ledger = Vec::new();
    for step in 0.. {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        ledger.extend(producer.put(step * STEP, (step + 1) * STEP).await?);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    Ok(ledger)
}
