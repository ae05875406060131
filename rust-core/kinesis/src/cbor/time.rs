//! Times as the rest of the crate counts them.

use aws_smithy_types::DateTime;

/// Milliseconds since 1970, the nearest, of a time that the SDK read.
///
/// The stock JSON protocol reads times as binary fractions of a second: 1762333935.307 arrives some 80 ns short, and
/// `DateTime::to_millis`, which truncates, would then give another millisecond than CBOR does for the same record.
pub fn epoch_millis(time: &DateTime) -> i64 {
    let millis = (i64::from(time.subsec_nanos()) + 500_000) / 1_000_000;
    time.secs().saturating_mul(1_000).saturating_add(millis)
}
