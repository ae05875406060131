//! The latency of rows, as a user measures it: by the time of the commit that Snowflake keeps with a row.

use nifi_harness::{Settings, SqlClient};
use serde::Serialize;

use crate::error::Result;

/// Milliseconds from the arrival of a record in Kinesis to the commit of its row in Snowflake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of the rows are faster.
    pub p50: i64,
    /// One in a hundred is slower.
    pub p99: i64,
    /// The slowest.
    pub max: i64,
}

/// The statement, with the table's name to be put in.
pub fn statement(table: &str) -> String {
    format!(
        "SELECT DATEDIFF('millisecond', kinesisMetadata:approximateArrival::TIMESTAMP_NTZ, \
         METADATA$ROW_LAST_COMMIT_TIME) AS latency FROM {table}"
    )
}

/// Measures all rows of the table.
pub async fn measure(sql: &SqlClient, settings: &Settings) -> Result<Latency> {
    let answer = sql.query(&statement(&settings.full_table())).await?;
    let values = answer.rows.iter().filter_map(|row| row.first()?.as_deref()?.parse().ok());
    Ok(percentiles(values.collect()))
}

fn percentiles(mut values: Vec<i64>) -> Latency {
    values.sort_unstable();
    let at = |part: usize| {
        let rank = (values.len() * part).div_ceil(100).saturating_sub(1);
        values.get(rank).copied().unwrap_or(0)
    };
    Latency { p50: at(50), p99: at(99), max: at(100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(percentiles((1..=200).rev().collect()), Latency { p50: 100, p99: 198, max: 200 });
        assert_eq!(percentiles(vec![7]), Latency { p50: 7, p99: 7, max: 7 });
        assert_eq!(percentiles(Vec::new()), Latency::default());
    }
}
