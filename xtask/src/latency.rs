//! The latency of rows, as a user measures it: by the time of the commit that Snowflake keeps with a row.

use std::collections::HashMap;

use nifi_harness::producer::Sent;
use nifi_harness::{Settings, Shape, SqlClient};
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

/// The statement that measures, where the table's kind permits it.
pub fn statement(settings: &Settings) -> Option<String> {
    let (table, shape) = (settings.full_table(), settings.shape);
    if !shape.has_row_timestamp() {
        return None;
    }
    Some(if shape.has_metadata() {
        format!(
            "SELECT DATEDIFF('millisecond', (kinesisMetadata:approximateArrival::STRING || 'Z')::TIMESTAMP_LTZ, \
             METADATA$ROW_LAST_COMMIT_TIME) AS latency FROM {table}"
        )
    } else {
        // Only the producer knows when such a record arrived.
        format!(
            "SELECT {}, DATEDIFF('millisecond', '1970-01-01T00:00:00Z'::TIMESTAMP_LTZ, METADATA$ROW_LAST_COMMIT_TIME) \
             AS committed FROM {table}",
            shape.id()
        )
    })
}

/// Measures all rows of the table; `None` where the table has no time of the commit.
pub async fn measure(sql: &SqlClient, settings: &Settings, ledger: &[Sent]) -> Result<Option<Latency>> {
    let Some(statement) = statement(settings) else { return Ok(None) };
    let answer = sql.query(&statement).await?;
    let number = |value: Option<&Option<String>>| value?.as_deref()?.parse::<i64>().ok();
    let rows = answer.rows.iter();
    if settings.shape.has_metadata() {
        return Ok(Some(percentiles(rows.filter_map(|row| number(row.first())).collect())));
    }
    let put: HashMap<i64, i64> =
        ledger.iter().filter_map(|sent| Some((i64::try_from(sent.id).ok()?, sent.put_between.0))).collect();
    let late = rows.filter_map(|row| Some(number(row.get(1))? - put.get(&number(row.first())?)?));
    Ok(Some(percentiles(late.collect())))
}

/// From when to when it was measured, or why it was not.
pub fn remark(shape: Shape) -> &'static str {
    match shape {
        Shape::Interactive => "an interactive table has no row timestamp",
        Shape::CustomPipe => "from the producer's request to the commit",
        _ => "from the arrival in Kinesis to the commit",
    }
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
