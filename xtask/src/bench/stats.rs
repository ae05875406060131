//! Medians, spreads and percentiles. Few repetitions give no distribution, so the spread is the range.

use serde::Serialize;

/// What several repetitions of one measurement gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one, or the mean of the two middle ones.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of at least one value; zeros of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) =
            (values.first().copied().unwrap_or_default(), values.last().copied().unwrap_or_default());
        let middle = values.len() / 2;
        let upper = values.get(middle).copied().unwrap_or_default();
        let lower = middle.checked_sub(1).and_then(|index| values.get(index)).copied().unwrap_or(upper);
        let median = if values.len().is_multiple_of(2) { f64::midpoint(lower, upper) } else { upper };
        Self { median, low, high }
    }

    /// The middle with the range, `1.2 [1.0–1.5]`.
    pub fn shown(&self, decimals: usize) -> String {
        let Self { median, low, high } = self;
        format!("{median:.decimals$} [{low:.decimals$}–{high:.decimals$}]")
    }
}

/// The value that `part` of a hundred values do not exceed; one that occurred. `NaN` of none.
pub fn percentile(values: &[f64], part: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() * part).div_ceil(100).saturating_sub(1);
    values.get(rank).copied().unwrap_or(f64::NAN)
}

/// A count as a number to calculate with: counts of a measurement are far below 2^53.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_range() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]), Spread { median: 2.5, low: 1.0, high: 4.0 });
        assert_eq!(Spread::of([7.0]), Spread { median: 7.0, low: 7.0, high: 7.0 });
        assert_eq!(Spread::of([1.0, 2.25]).shown(1), "1.6 [1.0–2.2]");
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(
            [percentile(&values, 50), percentile(&values, 99), percentile(&values, 100)],
            [100.0, 198.0, 200.0]
        );
        assert!(percentile(&[], 50).is_nan());
    }
}
