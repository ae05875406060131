//! Publishes single rows at random times and prints how long each waits for its append and for its success.
//!
//! `cargo run -p snowpipe --example sink_trickle -- [rows a minute] [seconds] [milliseconds from an append to its commit]`
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::{World, content};

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn percentile(values: &mut [i64], part: usize) -> i64 {
    values.sort_unstable();
    values.get((values.len() * part).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0)
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>().unwrap());
    let rows_a_minute = numbers.next().unwrap_or(600);
    let seconds = numbers.next().unwrap_or(20);
    let commit = numbers.next().unwrap_or(0);
    let world = Arc::new(World::with(Duration::from_millis(commit.into()), &[]).await);
    world.publish(1, 1, 0).await;
    let before = world.sink.status()["statusCalls"].as_u64().unwrap();
    let mut rows = Vec::new();
    let mean = 60.0 / f64::from(rows_a_minute);
    for n in 2..2 + u64::from(rows_a_minute * seconds / 60) {
        // Exponential with fixed quantiles in a scattered order: the same for every run.
        #[allow(clippy::cast_precision_loss, reason = "a number below a thousand")]
        let quantile = ((n * 619) % 1000) as f64 / 1000.0 + 0.0005;
        tokio::time::sleep(Duration::from_secs_f64(-mean * (1.0 - quantile).ln())).await;
        let (world, ready) = (Arc::clone(&world), now_ms());
        rows.push(tokio::spawn(async move {
            let upload = world.begin(&world.sink, n, n, n - 1);
            support::drive(&world.sink, upload, content(n, n)).await;
            (n, ready, now_ms())
        }));
    }
    let mut done = Vec::new();
    for row in rows {
        done.push(row.await.unwrap());
    }
    let calls = world.sink.status()["statusCalls"].as_u64().unwrap() - before;
    let appends = world.snowflake().journal().appends();
    let number = |token: &Option<String>| token.as_deref().and_then(|text| text.parse::<u64>().ok());
    let (mut append_delays, mut success_delays) = (Vec::new(), Vec::new());
    for (n, ready, success) in done {
        let of_row =
            appends.iter().find(|append| number(&append.start) <= Some(n) && number(&append.end) >= Some(n));
        let arrived = of_row.unwrap().at_ms;
        append_delays.push(arrived - ready);
        success_delays.push(success - arrived - i64::from(commit));
    }
    let length = f64::from(seconds);
    #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
    let rate = calls as f64 / length;
    println!(
        "append p50 {} ms, p99 {} ms; visible commit to success p50 {} ms, p99 {} ms; about {rate:.2} status calls/s",
        percentile(&mut append_delays, 50),
        percentile(&mut append_delays, 99),
        percentile(&mut success_delays, 50),
        percentile(&mut success_delays, 99),
    );
}
