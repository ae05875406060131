//! CPU time of the calling thread.

use std::time::Duration;

/// Time this thread spent on a processor (Linux only: `/proc/thread-self/schedstat`, first field, nanoseconds).
pub fn thread_cpu() -> super::Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("empty schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}
