//! NUMBER: up to 38 digits, exact, rounded half away from zero.

use std::cmp::Ordering;
use std::fmt;

use super::cell::Cell;

/// Most digits of a NUMBER.
pub(crate) const MAX_DIGITS: usize = 38;
const LIMIT: i128 = 10_i128.pow(38);

/// A decimal number: `unscaled / 10^scale`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    unscaled: i128,
    scale: u8,
}

/// Why text is not a NUMBER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    NotANumber,
    OutOfRange,
}

impl Decimal {
    pub(crate) fn new(unscaled: i128, scale: u8) -> Self {
        Decimal { unscaled, scale }
    }

    /// Parses a number and rounds it to `scale` fraction digits.
    pub(crate) fn parse_scaled(text: &str, scale: u8) -> Result<Self, NumberError> {
        let parts = Parts::read(text)?;
        parts.rounded(scale)
    }

    /// Parses a number with the fraction digits it has, as many as fit 38 digits.
    pub(crate) fn parse(text: &str) -> Result<Self, NumberError> {
        let parts = Parts::read(text)?;
        let wanted = u8::try_from((-parts.exponent).clamp(0, 37)).unwrap_or(0);
        let integer_digits = parts.digits.len().saturating_sub(usize::from(wanted));
        let room = u8::try_from(MAX_DIGITS.saturating_sub(integer_digits)).unwrap_or(0);
        Ok(parts.rounded(wanted.min(room))?.normalized())
    }

    /// The same number with exactly `scale` fraction digits; `None` when it has more than 38 digits then.
    pub(crate) fn rescaled(self, scale: u8) -> Option<Self> {
        let unscaled = if scale >= self.scale {
            self.unscaled.checked_mul(10_i128.checked_pow(u32::from(scale - self.scale))?)?
        } else {
            let divisor = 10_i128.checked_pow(u32::from(self.scale - scale))?;
            let (quotient, rest) = (self.unscaled / divisor, self.unscaled % divisor);
            let up = rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2);
            quotient + if up { self.unscaled.signum() } else { 0 }
        };
        (unscaled.abs() < LIMIT).then_some(Decimal { unscaled, scale })
    }

    /// Whether it has at most `precision - scale` digits before the point, once it has `scale` digits after it.
    pub(crate) fn fits(self, precision: u8, scale: u8) -> bool {
        self.rescaled(scale).is_some_and(|number| {
            10_i128.checked_pow(u32::from(precision)).is_none_or(|limit| number.unscaled.abs() < limit)
        })
    }

    /// Without trailing zeros after the point.
    pub(crate) fn normalized(mut self) -> Self {
        while self.scale > 0 && self.unscaled % 10 == 0 {
            self.unscaled /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The stored form: an integer when it is one of 64 bits, else canonical text.
    pub(crate) fn into_cell(self) -> Cell<'static> {
        let number = self.normalized();
        match i64::try_from(number.unscaled) {
            Ok(value) if number.scale == 0 => Cell::Int(value),
            _ => Cell::Text(number.to_string().into()),
        }
    }

    pub(crate) fn scale(self) -> u8 {
        self.scale
    }

    /// The digits as an integer when written with `scale` fraction digits.
    pub(crate) fn unscaled_at(self, scale: u8) -> Option<i128> {
        self.rescaled(scale).map(|number| number.unscaled)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.unscaled == 0
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let sum = self.rescaled(scale)?.unscaled.checked_add(other.rescaled(scale)?.unscaled)?;
        Decimal { unscaled: sum, scale }.in_range()
    }

    pub(crate) fn negated(self) -> Self {
        Decimal { unscaled: -self.unscaled, scale: self.scale }
    }

    pub(crate) fn multiply(self, other: Self) -> Option<Self> {
        let (a, b) = (self.normalized(), other.normalized());
        Decimal { unscaled: a.unscaled.checked_mul(b.unscaled)?, scale: a.scale.checked_add(b.scale)? }
            .in_range()
    }

    /// Quotient with `scale` fraction digits, rounded half away from zero; `None` on overflow or a zero divisor.
    pub(crate) fn divide(self, other: Self, scale: u8) -> Option<Self> {
        let (a, b) = (self.normalized(), other.normalized());
        let shift = i32::from(scale) + 1 + i32::from(b.scale) - i32::from(a.scale);
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        let numerator = if shift >= 0 { a.unscaled.checked_mul(power)? } else { a.unscaled / power };
        let quotient = numerator.checked_div(b.unscaled)?;
        Decimal { unscaled: quotient, scale: scale + 1 }.rescaled(scale)
    }

    /// Cut, not rounded, to `scale` fraction digits.
    pub(crate) fn truncated(self, scale: u8) -> Self {
        if scale >= self.scale {
            return self;
        }
        let divisor = 10_i128.pow(u32::from(self.scale - scale));
        Decimal { unscaled: self.unscaled / divisor, scale }
    }

    /// Rounded to `digits` after the point (before it when negative): `mode` 0 half away from zero, -1 down, 1 up,
    /// 2 towards zero.
    pub(crate) fn rounded_to(self, digits: i64, mode: i64) -> Option<Self> {
        let number = self.normalized();
        let shift = i64::from(number.scale) - digits;
        if shift <= 0 {
            return Some(number);
        }
        let divisor = 10_i128.checked_pow(u32::try_from(shift).ok()?)?;
        let (whole, rest) = (number.unscaled.div_euclid(divisor), number.unscaled.rem_euclid(divisor));
        let up = match mode {
            -1 => false,
            1 => rest > 0,
            2 => number.unscaled < 0 && rest > 0,
            _ => rest * 2 > divisor || (rest * 2 == divisor && number.unscaled >= 0),
        };
        let whole = whole + i128::from(up);
        match u8::try_from(digits) {
            Ok(scale) => Decimal { unscaled: whole, scale }.in_range(),
            Err(_) => {
                let power = 10_i128.checked_pow(u32::try_from(-digits).ok()?)?;
                Decimal { unscaled: whole.checked_mul(power)?, scale: 0 }.in_range()
            }
        }
    }

    /// Bytes that sort like the numbers: the sign, then the number with all 37 fraction digits, complemented below
    /// zero.
    pub(crate) fn sortable(self) -> Vec<u8> {
        let text = self.normalized().to_string();
        let magnitude = text.trim_start_matches('-');
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let digits = format!("{whole:0>39}{fraction:0<37}");
        if text.starts_with('-') {
            std::iter::once(1).chain(digits.bytes().map(|digit| b'9' - digit + b'0')).collect()
        } else {
            std::iter::once(2).chain(digits.bytes()).collect()
        }
    }

    fn in_range(self) -> Option<Self> {
        (self.unscaled.abs() < LIMIT).then_some(self)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.normalized(), other.normalized());
        let split = |n: Decimal| {
            let divisor = 10_i128.pow(u32::from(n.scale));
            (n.unscaled.div_euclid(divisor), n.unscaled.rem_euclid(divisor))
        };
        let ((whole_a, rest_a), (whole_b, rest_b)) = (split(a), split(b));
        whole_a.cmp(&whole_b).then_with(|| {
            // Below 1 both: compare as digits after the point, which is text of the same length.
            let digits = |rest: i128, scale: u8| format!("{rest:0>width$}", width = usize::from(scale));
            let (a, b) = (digits(rest_a, a.scale), digits(rest_b, b.scale));
            let width = a.len().max(b.len());
            format!("{a:0<width$}").cmp(&format!("{b:0<width$}"))
        })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.unscaled.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        if scale == 0 { write!(out, "{sign}{whole}") } else { write!(out, "{sign}{whole}.{fraction}") }
    }
}

/// A number as written: `digits * 10^exponent`, digits without leading zeros.
struct Parts {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Parts {
    fn read(text: &str) -> Result<Self, NumberError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], rest[at + 1..].parse::<i32>().map_err(|_| NumberError::NotANumber)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = Vec::with_capacity(mantissa.len());
        digits.extend_from_slice(whole.as_bytes());
        digits.extend_from_slice(fraction.as_bytes());
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(NumberError::NotANumber);
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        let fraction = i64::try_from(fraction.len()).map_err(|_| NumberError::OutOfRange)?;
        Ok(Parts { negative, digits, exponent: i64::from(exponent) - fraction })
    }

    fn rounded(&self, scale: u8) -> Result<Decimal, NumberError> {
        let shift = self.exponent + i64::from(scale);
        let mut digits = self.digits.clone();
        let mut up = false;
        if !digits.is_empty() && shift >= 0 {
            let zeros = usize::try_from(shift).map_err(|_| NumberError::OutOfRange)?;
            if digits.len() + zeros > MAX_DIGITS {
                return Err(NumberError::OutOfRange);
            }
            digits.resize(digits.len() + zeros, b'0');
        } else if shift < 0 {
            let dropped = usize::try_from(-shift).unwrap_or(usize::MAX);
            up = dropped <= digits.len()
                && digits.get(digits.len() - dropped).is_some_and(|digit| *digit >= b'5');
            digits.truncate(digits.len().saturating_sub(dropped));
        }
        if digits.len() > MAX_DIGITS {
            return Err(NumberError::OutOfRange);
        }
        let value =
            digits.iter().fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0')) + i128::from(up);
        if value >= LIMIT {
            return Err(NumberError::OutOfRange);
        }
        Ok(Decimal { unscaled: if self.negative { -value } else { value }, scale })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_rounds_and_prints_exactly() {
        for (text, scale, printed) in [
            ("0", 0, "0"),
            ("-0.0", 2, "0.00"),
            ("12345678901234567890123456789012345678", 0, "12345678901234567890123456789012345678"),
            ("0.12345678901234567890123456789012345678", 37, "0.1234567890123456789012345678901234568"),
            ("1e3", 0, "1000"),
            ("1.5", 0, "2"),
            ("-1.5", 0, "-2"),
            ("2.445", 2, "2.45"),
            ("1e-400000000", 2, "0.00"),
            (".5", 1, "0.5"),
            ("+7", 0, "7"),
        ] {
            assert_eq!(Decimal::parse_scaled(text, scale).unwrap().to_string(), printed, "{text}");
        }
        for text in ["", "-", ".", "abc", "1e", "0x10", "1 2", "NaN"] {
            assert_eq!(Decimal::parse_scaled(text, 0), Err(NumberError::NotANumber), "{text}");
        }
        for text in ["1e38", "123456789012345678901234567890123456789", "1e2000000000"] {
            assert_eq!(Decimal::parse_scaled(text, 0), Err(NumberError::OutOfRange), "{text}");
        }
    }

    #[test]
    fn orders_and_computes() {
        let number = |text| Decimal::parse(text).unwrap();
        let ascending = ["-10", "-1.5", "-1.25", "0", "0.001", "0.01", "1", "1.0000000000000000001", "99"];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
        assert_eq!(number("1.50"), number("1.5"));
        assert_eq!(number("0.1").add(number("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(number("1.1").multiply(number("-3")).unwrap().to_string(), "-3.3");
        assert_eq!(number("2").divide(number("3"), 6).unwrap().to_string(), "0.666667");
        assert!(number("1").divide(number("0"), 6).is_none());
        assert!(number("99").fits(2, 0) && !number("100").fits(2, 0) && !number("10").fits(3, 2));
    }
}
