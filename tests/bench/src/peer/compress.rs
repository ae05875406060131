//! Size and speed of request bodies by level of zstd, for three kinds of rows.

use std::io::Write;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Outcome;
use super::rows::{log_lines, payloads, readings, rows};
use super::usage::print;

/// Megabytes of a body before compression.
const BODY: usize = 6;
/// Log2 of the window, the connector's.
const WINDOW_LOG: u32 = 17;
const LEVELS: [i32; 8] = [-5, -1, 1, 2, 3, 5, 7, 9];
const LEAST: Duration = Duration::from_millis(250);

#[derive(Serialize)]
struct Measured {
    kind: &'static str,
    level: i32,
    /// Uncompressed to compressed.
    ratio: f64,
    mb_per_second: f64,
}

/// Compresses on one thread and prints a list.
pub fn run() -> Outcome<()> {
    let kinds = [("orders", payloads(650)), ("sensor readings", readings()), ("log lines", log_lines())];
    let mut measured = Vec::new();
    for (kind, payloads) in kinds {
        let body = rows(&payloads, BODY)?;
        for level in LEVELS {
            measured.push(one(kind, level, &body)?);
        }
    }
    print(&measured)
}

fn one(kind: &'static str, level: i32, body: &[u8]) -> Outcome<Measured> {
    let begun = Instant::now();
    let (mut rounds, mut size) = (0_u32, 0);
    while begun.elapsed() < LEAST {
        let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
        encoder.window_log(WINDOW_LOG)?;
        encoder.write_all(body)?;
        size = encoder.finish()?.len();
        rounds += 1;
    }
    let (raw, packed) = (f64::from(u32::try_from(body.len())?), f64::from(u32::try_from(size)?));
    let mb_per_second = raw * f64::from(rounds) / 1e6 / begun.elapsed().as_secs_f64();
    Ok(Measured { kind, level, ratio: raw / packed, mb_per_second })
}
