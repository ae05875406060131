//! A careless client and a careful server: whatever is reopened, repeated or raced, each row is stored once, in order.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use local_snowflake::{Limits, Options};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::client::World;

const T: &str = "T-STREAMING";
/// Rows of each channel.
const ROWS: u64 = 400;

/// Sends rows 1..=ROWS of one channel, with reopenings and repetitions at random places.
async fn client(world: Arc<World>, channel: String, mut random: StdRng) {
    'open: loop {
        let opened = world.open(T, &channel).await;
        let committed = opened.json()["channel_status"]["last_committed_offset_token"]
            .as_str()
            .map_or(0, |t| t.parse().unwrap());
        let mut token = opened.next();
        let mut next: u64 = committed + 1;
        while next <= ROWS {
            let end = (next + random.random_range(0..20)).min(ROWS);
            let rows: String = (next..=end).map(|n| format!("{{\"c\":\"{channel}\",\"n\":{n}}}\n")).collect();
            let offsets = (next.to_string(), end.to_string());
            let reply = world.append(T, &channel, &token, (&offsets.0, &offsets.1), &rows).await;
            if reply.status != StatusCode::OK {
                continue 'open;
            }
            if random.random_bool(0.3) {
                let again = world.append(T, &channel, &token, (&offsets.0, &offsets.1), &rows).await;
                assert_eq!(again.next(), reply.next(), "a repetition gets the same token");
            }
            token = reply.next();
            next = end + 1;
            if random.random_bool(0.1) {
                continue 'open;
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(0..4))).await;
        }
        for _ in 0..1000 {
            let status = world.status(T, &channel).await;
            if status["last_committed_offset_token"].as_str() == Some("400") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{channel} never committed its last row");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_row_once_and_in_order() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let limits = Limits { rates: false, ..Limits::default() };
    let options = Options { limits, commit_delay: Duration::from_millis(3), ..Options::default() };
    let world = Arc::new(World::with(options).await);
    world.sql("CREATE TABLE t (c VARCHAR, n INT) ENABLE_SCHEMA_EVOLUTION = TRUE");
    let clients: Vec<_> = (0..6)
        .map(|channel| {
            let random = StdRng::seed_from_u64(seed.wrapping_add(channel));
            tokio::spawn(client(world.clone(), format!("c{channel}"), random))
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(world.snowflake.violations(), Vec::<String>::new(), "seed {seed}");
    for channel in 0..6 {
        let rows = world.table(&format!("SELECT n FROM t WHERE c = 'c{channel}'"));
        let expected: Vec<String> = (1..=ROWS).map(|n| n.to_string()).collect();
        assert_eq!(rows, expected, "channel {channel}, seed {seed}");
    }
}
