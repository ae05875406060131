//! Aggregates: exact sums, and percentiles.

use std::panic::{RefUnwindSafe, UnwindSafe};

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Result};

use super::numbers::{decimal, float};
use super::{arg, failed, int_arg};
use crate::values::{Cell, Decimal, Failure};

pub(super) fn register(connection: &Connection) -> Result<()> {
    add(connection, "sf_sum", 1, Sum { average: None })?;
    // The average's scale depends on the argument's: one function for each.
    for scale in 0..=37 {
        add(connection, &format!("sf_avg_{scale}"), 1, Sum { average: Some(scale) })?;
    }
    add(connection, "sf_min", 1, Extreme { largest: false })?;
    add(connection, "sf_max", 1, Extreme { largest: true })?;
    add(connection, "sf_percentile", 2, Percentile { continuous: true })?;
    add(connection, "sf_percentile_disc", 2, Percentile { continuous: false })?;
    add(connection, "sf_stddev", 2, Spread)?;
    add(connection, "sf_array_agg", 1, Collect)
}

fn add<A, D>(connection: &Connection, name: &str, arity: i32, aggregate: D) -> Result<()>
where
    A: RefUnwindSafe + UnwindSafe,
    D: Aggregate<A, Value> + 'static,
{
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_aggregate_function(name, arity, flags, aggregate)
}

fn number_argument(context: &Context<'_>) -> Option<Decimal> {
    decimal(&arg(context, 0))
}

struct Sum {
    average: Option<u8>,
}

impl Aggregate<(Option<Decimal>, i64), Value> for Sum {
    fn init(&self, _: &mut Context<'_>) -> Result<(Option<Decimal>, i64)> {
        Ok((None, 0))
    }

    fn step(&self, context: &mut Context<'_>, (sum, count): &mut (Option<Decimal>, i64)) -> Result<()> {
        if let Some(number) = number_argument(context) {
            let total = sum.unwrap_or(Decimal::new(0, 0)).add(number);
            *sum = Some(
                total.ok_or_else(|| failed(Failure::new(100_132, "Number out of representable range")))?,
            );
            *count += 1;
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<(Option<Decimal>, i64)>) -> Result<Value> {
        let Some((Some(sum), count)) = state else { return Ok(Value::Null) };
        let result = match self.average {
            None => Some(sum),
            Some(scale) => sum.divide(Decimal::new(i128::from(count), 0), scale),
        };
        let result =
            result.ok_or_else(|| failed(Failure::new(100_132, "Number out of representable range")))?;
        Ok(result.into_cell().into_value())
    }
}

struct Extreme {
    largest: bool,
}

impl Aggregate<Option<Decimal>, Value> for Extreme {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<Decimal>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, best: &mut Option<Decimal>) -> Result<()> {
        if let Some(number) = number_argument(context) {
            let better = best.is_none_or(|best| if self.largest { number > best } else { number < best });
            if better {
                *best = Some(number);
            }
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, best: Option<Option<Decimal>>) -> Result<Value> {
        Ok(best.flatten().map_or(Value::Null, |number| number.into_cell().into_value()))
    }
}

/// `(value, fraction)`; the fraction is the same in every row.
struct Percentile {
    continuous: bool,
}

impl Aggregate<(Vec<f64>, f64), Value> for Percentile {
    fn init(&self, _: &mut Context<'_>) -> Result<(Vec<f64>, f64)> {
        Ok((Vec::new(), 0.0))
    }

    fn step(&self, context: &mut Context<'_>, (values, fraction): &mut (Vec<f64>, f64)) -> Result<()> {
        *fraction = float(context, 1).unwrap_or(0.5).clamp(0.0, 1.0);
        values.extend(float(context, 0));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<(Vec<f64>, f64)>) -> Result<Value> {
        let Some((mut values, fraction)) = state.filter(|(values, _)| !values.is_empty()) else {
            return Ok(Value::Null);
        };
        values.sort_by(f64::total_cmp);
        Ok(Value::Real(percentile(&values, fraction, self.continuous)))
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rank in a list that fits memory"
)]
fn percentile(sorted: &[f64], fraction: f64, continuous: bool) -> f64 {
    let last = sorted.len() - 1;
    if !continuous {
        let rank = (fraction * sorted.len() as f64).ceil() as usize;
        return sorted[rank.saturating_sub(1).min(last)];
    }
    let place = fraction * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above.min(last)] - sorted[below]) * (place - place.floor())
}

/// `(value, sample)`: standard deviation of a sample, or of everything.
struct Spread;

impl Aggregate<(Vec<f64>, bool), Value> for Spread {
    fn init(&self, _: &mut Context<'_>) -> Result<(Vec<f64>, bool)> {
        Ok((Vec::new(), true))
    }

    fn step(&self, context: &mut Context<'_>, (values, sample): &mut (Vec<f64>, bool)) -> Result<()> {
        *sample = int_arg(context, 1) == Some(1);
        values.extend(float(context, 0));
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "a count in a mean")]
    fn finalize(&self, _: &mut Context<'_>, state: Option<(Vec<f64>, bool)>) -> Result<Value> {
        let Some((values, sample)) = state else { return Ok(Value::Null) };
        let count = values.len() as f64;
        let divisor = if sample { count - 1.0 } else { count };
        if divisor <= 0.0 {
            return Ok(Value::Null);
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Ok(Value::Real((squares / divisor).sqrt()))
    }
}

/// Values that are JSON already, as a JSON array.
struct Collect;

impl Aggregate<Vec<String>, Value> for Collect {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, values: &mut Vec<String>) -> Result<()> {
        if let Cell::Text(raw) = arg(context, 0) {
            values.push(raw.into_owned());
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, values: Option<Vec<String>>) -> Result<Value> {
        Ok(Value::Text(format!("[{}]", values.unwrap_or_default().join(","))))
    }
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_between_and_at_values() {
        let values = [1.0, 2.0, 3.0, 4.0];
        for (fraction, continuous, expected) in
            [(0.0, true, 1.0), (0.5, true, 2.5), (1.0, true, 4.0), (0.5, false, 2.0), (0.51, false, 3.0)]
        {
            assert!((percentile(&values, fraction, continuous) - expected).abs() < 1e-9, "{fraction}");
        }
    }
}
