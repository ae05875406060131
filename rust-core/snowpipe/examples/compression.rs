//! Size and speed of request bodies by zstd level, for rows like those of the flow.
//!
//! `cargo run -p snowpipe --example compression -- [NDJSON file]`; without a file rows are made up.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

use std::fmt::Write as _;
use std::time::Instant;

/// Uncompressed size of a body.
const BODY: usize = 6 << 20;

fn made_up() -> Vec<u8> {
    let mut rows = String::new();
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let names = ["Anna Berg", "João Silva", "Li Wei", "Mary Smith", "Omar Haddad", "Priya Patel"];
    for n in 0..60_000_u64 {
        let name = names[usize::try_from(random() % 6).unwrap()];
        let _ = writeln!(
            rows,
            "{{\"order_id\":{n},\"customer_name\":\"{name}\",\"order_total\":{}.{:02},\"isPaid\":{},\"items\":[{{\"sku\":\
             \"{:08X}\",\"quantity\":{}}}],\"kinesisMetadata\":{{\"stream\":\"orders\",\"shardId\":\"shardId-000000000003\",\
             \"approximateArrival\":\"2026-01-01T09:12:{:02}.{:03}\",\"partitionKey\":\"{:016x}\",\"sequenceNumber\":\
             \"4959033827149025660855969{:031}\",\"subSequenceNumber\":0,\"shardedSequenceNumber\":\
             \"4959033827149025660855969{:031}00000000000000000000\"}}}}",
            random() % 1000,
            random() % 100,
            random() % 2 == 0,
            random(),
            random() % 9,
            n / 1000 % 60,
            n % 1000,
            random(),
            n * 7919,
            n * 7919
        );
    }
    rows.into_bytes()
}

fn main() {
    let rows = std::env::args().nth(1).map_or_else(made_up, |file| std::fs::read(file).unwrap());
    let body = &rows[..rows.len().min(BODY)];
    println!("{} bytes in a body", body.len());
    println!("level  ratio   MB/s");
    for level in [1, 2, 3, 4, 5, 6, 7, 9, 12] {
        let started = Instant::now();
        let mut rounds = 0_u32;
        let mut size = 0;
        while started.elapsed().as_millis() < 1500 {
            size = zstd::encode_all(body, level).unwrap().len();
            rounds += 1;
        }
        let megabytes = body.len() as f64 * f64::from(rounds) / 1e6;
        let rate = megabytes / started.elapsed().as_secs_f64();
        println!("{level:>5}  {:>5.1}  {rate:>5.0}", body.len() as f64 / size as f64);
    }
}
