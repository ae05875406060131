//! Whole sources on a stream and a table in memory, in paused time.

mod fan_out;
mod interop;
mod leases;
mod listing;
mod migration;
mod odd;
mod output;
mod pacing;
mod positions;
mod seats;
mod takeover;
mod troubles;

use std::time::Duration;

pub(crate) const SOON: Duration = Duration::from_secs(15);

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
