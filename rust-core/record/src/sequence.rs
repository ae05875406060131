//! Sequence numbers: decimal text that is ordered as a number of any size.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Text that is not a decimal number of an acceptable length.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidNumber {
    /// There are no digits.
    #[error("a sequence number has no digits")]
    Empty,
    /// Something else than `0` to `9` stands at this byte.
    #[error("a sequence number has something else than a digit at byte {0}")]
    NotADigit(usize),
    /// More digits than the service's documentation allows.
    #[error("a sequence number has {0} digits, more than {max}", max = SequenceNumber::MAX_DIGITS)]
    TooLong(usize),
}

/// The number Kinesis gives to a record of a shard: 56 digits today, up to 129 by the API's pattern
/// `0|([1-9]\d{0,128})`.
///
/// The text stays as given; comparison and hash are those of the number, so leading zeros do not count.
/// A clone shares the text.
#[derive(Clone)]
pub struct SequenceNumber(Arc<str>);

impl SequenceNumber {
    /// The most digits a sequence number can have, after the pattern in the Kinesis API reference.
    pub const MAX_DIGITS: usize = 129;

    /// Checks and keeps `text`.
    ///
    /// # Errors
    /// When `text` is empty, has something else than ASCII digits, or more than [`Self::MAX_DIGITS`] of them.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidNumber> {
        let text = text.as_ref();
        if text.len() > Self::MAX_DIGITS {
            return Err(InvalidNumber::TooLong(text.len()));
        }
        check_digits(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The digits as they were given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number padded with zeros on the left to `width` digits: text order is then numeric order.
    /// A longer number is returned whole.
    #[must_use]
    pub fn padded(&self, width: usize) -> String {
        format!("{:0>width$}", significant(&self.0))
    }
}

/// Fails unless `text` is one or more ASCII digits.
pub(crate) fn check_digits(text: &str) -> Result<(), InvalidNumber> {
    if text.is_empty() {
        return Err(InvalidNumber::Empty);
    }
    match text.bytes().position(|byte| !byte.is_ascii_digit()) {
        Some(at) => Err(InvalidNumber::NotADigit(at)),
        None => Ok(()),
    }
}

/// The digits without leading zeros; empty for zero.
pub(crate) fn significant(digits: &str) -> &str {
    digits.trim_start_matches('0')
}

/// Numeric order of two decimal texts: more significant digits are larger, equally many compare as text.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (significant(left), significant(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SequenceNumber {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SequenceNumber {}

impl Hash for SequenceNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        significant(&self.0).hash(state);
    }
}

impl FromStr for SequenceNumber {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for SequenceNumber {
    type Error = InvalidNumber;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl AsRef<str> for SequenceNumber {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> SequenceNumber {
        SequenceNumber::new(text).unwrap()
    }

    #[test]
    fn order_is_numeric_whatever_the_length() {
        let ordered = ["0", "9", "10", "99", "49590338271490256608559692538361571095921575989136588898"];
        for pair in ordered.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn leading_zeros_are_kept_but_do_not_count() {
        assert_eq!(number("0042"), number("42"));
        assert_eq!(number("0042").as_str(), "0042");
        assert_eq!(number("000"), number("0"));
        assert_eq!(number("0042").padded(6), "000042");
        assert_eq!(number("123").padded(2), "123");
    }

    #[test]
    fn only_digits_are_numbers() {
        assert_eq!(SequenceNumber::new("").unwrap_err(), InvalidNumber::Empty);
        assert_eq!(SequenceNumber::new("1-").unwrap_err(), InvalidNumber::NotADigit(1));
        assert_eq!(SequenceNumber::new("٣").unwrap_err(), InvalidNumber::NotADigit(0));
        assert_eq!(SequenceNumber::new("TRIM_HORIZON").unwrap_err(), InvalidNumber::NotADigit(0));
        assert_eq!(SequenceNumber::new("1".repeat(130)).unwrap_err(), InvalidNumber::TooLong(130));
        assert!(SequenceNumber::new("1".repeat(129)).is_ok());
    }
}
