//! A position in a shard, and the one decimal number that stands for it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use crate::sequence::{InvalidNumber, SequenceNumber, check_digits, compare, significant};

/// Digits of the sub-sequence in a sharded sequence number: those of the largest 64-bit number.
const SUB_SEQUENCE_DIGITS: usize = 20;

/// Digits a sequence number is padded to in keys that are compared as text.
const SEQUENCE_DIGITS: usize = 64;

/// A place in a shard: the record's sequence number, and the index inside the record when it is a KPL aggregate
/// (0 for a plain record). Order is the order of the shard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the Kinesis record.
    pub sequence: SequenceNumber,
    /// Index of the user record inside the Kinesis record, from 0.
    pub sub_sequence: u64,
}

impl Position {
    /// The position of user record `sub_sequence` inside the Kinesis record `sequence`.
    #[must_use]
    pub fn new(sequence: SequenceNumber, sub_sequence: u64) -> Self {
        Self { sequence, sub_sequence }
    }

    /// The sequence number followed by the sub-sequence in 20 digits: numeric order is the order of the shard.
    #[must_use]
    pub fn sharded(&self) -> ShardedNumber {
        ShardedNumber(format!("{}{:020}", self.sequence.as_str(), self.sub_sequence).into())
    }

    /// `<64 digits>#<20 digits>`: text order is the order of the shard.
    #[must_use]
    pub fn padded(&self) -> String {
        format!("{}#{:020}", self.sequence.padded(SEQUENCE_DIGITS), self.sub_sequence)
    }
}

/// A sharded sequence number, also the form of an offset token: decimal text of any length, ordered as a number.
///
/// The text stays as given; leading zeros do not count in comparisons. A clone shares the text.
#[derive(Clone)]
pub struct ShardedNumber(Arc<str>);

impl ShardedNumber {
    /// Before every position: the `previous` of a shard's first rows.
    pub const ZERO: &str = "0";

    /// The number `0`, before every position of a shard.
    #[must_use]
    pub fn zero() -> Self {
        static ZERO: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(ShardedNumber::ZERO));
        Self(Arc::clone(&ZERO))
    }

    /// Whether this is the number 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        significant(&self.0).is_empty()
    }

    /// The digits as they were given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The position this number stands for, or `None` when it is too short for one, or its sub-sequence does not fit
    /// 64 bits (a token that some other program chose).
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let split = self.0.len().checked_sub(SUB_SEQUENCE_DIGITS)?;
        let (sequence, sub_sequence) = self.0.split_at_checked(split)?;
        Some(Position {
            sequence: SequenceNumber::new(sequence).ok()?,
            sub_sequence: sub_sequence.parse().ok()?,
        })
    }
}

impl Ord for ShardedNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for ShardedNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ShardedNumber {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ShardedNumber {}

impl Hash for ShardedNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        significant(&self.0).hash(state);
    }
}

impl FromStr for ShardedNumber {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_digits(text)?;
        Ok(Self(Arc::from(text)))
    }
}

impl fmt::Display for ShardedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ShardedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(sequence: &str, sub_sequence: u64) -> Position {
        Position::new(sequence.parse().unwrap(), sub_sequence)
    }

    #[test]
    fn a_position_survives_its_number() {
        for sub_sequence in [0, 1, 99, u64::MAX] {
            let original = position("49590338271490256608559692538361571095921575989136588898", sub_sequence);
            let number = original.sharded();
            assert_eq!(number.as_str().len(), 76);
            assert_eq!(number.position(), Some(original));
        }
        assert_eq!(position("7", 2).sharded().as_str(), "700000000000000000002");
    }

    #[test]
    fn foreign_tokens_have_no_position() {
        for text in ["0", "12345678901234567890", "199999999999999999999"] {
            assert_eq!(text.parse::<ShardedNumber>().unwrap().position(), None, "{text}");
        }
    }

    #[test]
    fn zero_is_before_everything() {
        assert!(ShardedNumber::zero() < position("0", 1).sharded());
        assert!(ShardedNumber::zero().is_zero());
        assert!(position("0", 0).sharded().is_zero());
        assert_eq!(ShardedNumber::zero(), "000".parse().unwrap());
        assert!("".parse::<ShardedNumber>().is_err());
        assert!("-1".parse::<ShardedNumber>().is_err());
    }

    #[test]
    fn padded_text_has_the_order_of_positions() {
        let ordered = [position("9", 5), position("10", 0), position("10", 9), position("10", 10)];
        for pair in ordered.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].padded() < pair[1].padded(), "{pair:?}");
        }
        assert_eq!(ordered[0].padded(), format!("{}9#{}5", "0".repeat(63), "0".repeat(19)));
    }
}
