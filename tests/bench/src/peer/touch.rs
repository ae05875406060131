//! Touches memory that nobody uses and gives it back. A virtual machine gets memory from its host at first touch, which
//! costs ten times the copy that touches it; on a machine that has been in use for a while all memory was touched. Without
//! this, a measurement on a machine that has just been started is mostly one of its host.

use clap::Args;
use serde_json::json;

use super::Outcome;
use super::usage::print;

const PAGE: usize = 4_096;
const PIECE: usize = 64 << 20;

/// Options of `touch`.
#[derive(Args)]
pub struct Options {
    /// Megabytes that are not touched.
    #[arg(long, default_value_t = 4_096)]
    leave: usize,
    /// Megabytes that are touched at most.
    #[arg(long, default_value_t = 12_288)]
    most: usize,
}

/// Touches once.
pub fn run(options: &Options) -> Outcome<()> {
    let megabytes = available()?.saturating_sub(options.leave).min(options.most);
    let mut pieces = Vec::new();
    for _ in 0..(megabytes << 20) / PIECE {
        let mut piece = vec![0_u8; PIECE];
        piece.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        pieces.push(std::hint::black_box(piece));
    }
    drop(pieces);
    print(&json!({ "megabytes": megabytes }))
}

/// Megabytes that programs could have: `MemAvailable` of `/proc/meminfo`.
fn available() -> Outcome<usize> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).ok_or("no MemAvailable")?;
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1_024)
}
