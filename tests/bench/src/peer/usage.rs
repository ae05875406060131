//! What this process used, and what it prints of it.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Outcome;

/// What a peer measured of itself.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Records or rows.
    pub records: u64,
    /// Bytes of their payload.
    pub bytes: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Time of all threads on a processor, user and system.
    pub cpu_seconds: f64,
}

/// The beginning of a measurement.
pub struct Usage {
    begun: Instant,
    cpu: Duration,
}

impl Usage {
    /// Starts to measure.
    pub fn begin() -> Outcome<Self> {
        Ok(Self { begun: Instant::now(), cpu: cpu()? })
    }

    /// Ends it.
    pub fn end(&self, records: u64, bytes: u64) -> Outcome<Measured> {
        let cpu_seconds = (cpu()? - self.cpu).as_secs_f64();
        Ok(Measured { records, bytes, seconds: self.begun.elapsed().as_secs_f64(), cpu_seconds })
    }
}

/// Prints one line of JSON.
pub fn print(value: &impl Serialize) -> Outcome<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// Time of this process's threads on a processor, the ended ones included: fields 14 and 15 of `/proc/self/stat`, in
/// hundredths of a second on Linux.
fn cpu() -> Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(Duration::from_millis(10 * ticks.sum::<Result<u64, _>>()?))
}
