//! Sequence numbers: 56 decimal digits, increasing within a shard and from a shard to its children.

use std::fmt;

const CHUNK: u128 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;

/// How many decimal digits every number has, as on AWS.
pub(crate) const DIGITS: usize = 56;

/// A sequence number as 186 bits: version 2, creation time of the shard (ms), index in the shard, arrival (s), shard.
///
/// The service promises nothing about the parts; they make it possible to tell a number of another stream or
/// shard from one that may be used, which the service does too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number {
    high: u64,
    index: u64,
    low: u64,
}

impl Number {
    pub(crate) fn new(created_ms: i64, index: u64, arrival_ms: i64, shard: u32) -> Self {
        let created = u64::try_from(created_ms).unwrap_or(0) & 0xffff_ffff_ffff;
        let seconds = u64::try_from(arrival_ms / 1000).unwrap_or(0) & 0xffff_ffff;
        Self { high: (2 << 56) | (created << 8), index, low: (seconds << 32) | u64::from(shard) }
    }

    /// The creation time of the shard this number was made for.
    pub(crate) fn created_ms(self) -> i64 {
        i64::try_from((self.high >> 8) & 0xffff_ffff_ffff).unwrap_or(0)
    }

    pub(crate) fn shard(self) -> u32 {
        u32::try_from(self.low & 0xffff_ffff).unwrap_or(0)
    }

    pub(crate) fn text(self) -> [u8; DIGITS] {
        let mut limbs = [self.high, self.index, self.low];
        let mut out = [b'0'; DIGITS];
        let mut end = DIGITS;
        while end > 0 {
            let mut chunk = divide(&mut limbs);
            let start = end.saturating_sub(CHUNK_DIGITS);
            for digit in out[start..end].iter_mut().rev() {
                *digit = b'0' + u8::try_from(chunk % 10).unwrap_or(0);
                chunk /= 10;
            }
            end = start;
        }
        out
    }

    /// Reads decimal text; `None` for anything that this service cannot have issued.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != DIGITS || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut limbs = [0u64; 3];
        for digit in text.bytes() {
            let mut carry = u128::from(digit - b'0');
            for limb in limbs.iter_mut().rev() {
                let sum = u128::from(*limb) * 10 + carry;
                *limb = u64::try_from(sum & u128::from(u64::MAX)).unwrap_or(0);
                carry = sum >> 64;
            }
        }
        (limbs[0] >> 56 == 2).then_some(Self { high: limbs[0], index: limbs[1], low: limbs[2] })
    }
}

/// Divides the 192-bit number by 10^19 in place and gives the remainder.
fn divide(limbs: &mut [u64; 3]) -> u64 {
    let mut remainder = 0u128;
    for limb in limbs {
        let part = (remainder << 64) | u128::from(*limb);
        *limb = u64::try_from(part / CHUNK).unwrap_or(0);
        remainder = part % CHUNK;
    }
    u64::try_from(remainder).unwrap_or(0)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_56_digits_keeps_the_order_and_reads_back() {
        let created = 1_763_900_000_123;
        let mut last = String::new();
        for index in [0, 1, 9, 10, 11, 1 << 20, u64::MAX] {
            for arrival in [created, created + 5_000] {
                let number = Number::new(created, index, arrival, 7);
                let text = number.to_string();
                assert_eq!(text.len(), DIGITS);
                assert!(text > last, "{text} after {last}");
                assert_eq!(Number::parse(&text), Some(number));
                assert_eq!((number.created_ms(), number.shard()), (created, 7));
                last = text;
            }
        }
        assert!(Number::new(created + 1, 0, created + 1, 0).to_string() > last, "a later shard sorts after");
    }

    #[test]
    fn foreign_text_is_refused() {
        for text in
            ["", "0", "123", "x".repeat(56).as_str(), "1".repeat(56).as_str(), "9".repeat(56).as_str()]
        {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
