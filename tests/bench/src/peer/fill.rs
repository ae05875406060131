//! Fills the page cache, as on a machine that has been in use for a while: what is written then goes into memory taken
//! from pages that nobody needs. A virtual machine that reports free memory to its host (virtio's free page reporting)
//! gets it back at first touch, within seconds of its being freed, which costs ten times the copy that touches it.
//! Without this, a measurement of what writes files is mostly one of the host.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Outcome;
use super::usage::print;

/// Options of `fill`.
#[derive(Args)]
pub struct Options {
    /// A file that takes no space on the disk and is made when it is absent.
    #[arg(long)]
    file: PathBuf,
}

/// Reads a sparse file as large as the memory.
pub fn run(options: &Options) -> Outcome<()> {
    let bytes = memory()?;
    let file = File::options().create(true).truncate(false).write(true).open(&options.file)?;
    file.set_len(bytes)?;
    drop(file);
    let mut file = io::BufReader::with_capacity(1 << 20, File::open(&options.file)?);
    let read = io::copy(&mut file, &mut io::sink())?;
    print(&json!({ "megabytes": read >> 20 }))
}

/// Bytes of memory: `MemTotal` of `/proc/meminfo`.
fn memory() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).ok_or("no MemTotal")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes << 10)
}
