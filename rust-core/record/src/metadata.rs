//! The seven fields that say where a row came from, and their exact text.

use std::io::{self, Write};

/// First-level key of a row under which its metadata stands; Snowflake's column `KINESISMETADATA`.
pub const METADATA_KEY: &str = "kinesisMetadata";

const MILLIS_PER_DAY: i64 = 86_400_000;

/// How `approximateArrival` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArrivalFormat {
    /// Text such as `2025-11-05T09:12:15.300`: UTC, milliseconds, no zone.
    #[default]
    Iso,
    /// A number: milliseconds since 1970-01-01T00:00:00Z.
    EpochMillis,
}

/// Where a user record came from. `sharded_sequence_number` is made of the two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// Name of the stream.
    pub stream: &'a str,
    /// For example `shardId-000000000001`.
    pub shard_id: &'a str,
    /// When the record entered the stream, in milliseconds since 1970; left out of the row when the service gave none.
    pub approximate_arrival_ms: Option<i64>,
    /// The producer's partition key, of the user record inside an aggregate.
    pub partition_key: &'a str,
    /// Number of the Kinesis record in the shard, in digits.
    pub sequence_number: &'a str,
    /// Index inside an aggregate, 0 for a plain record.
    pub sub_sequence_number: u64,
}

impl Metadata<'_> {
    /// Appends `"kinesisMetadata":{…}`, without any line break.
    pub(crate) fn append_member(&self, format: ArrivalFormat, out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(b"\"");
        out.extend_from_slice(METADATA_KEY.as_bytes());
        out.extend_from_slice(b"\":{\"stream\":");
        append_text(self.stream, out)?;
        out.extend_from_slice(b",\"shardId\":");
        append_text(self.shard_id, out)?;
        if let Some(millis) = self.approximate_arrival_ms {
            out.extend_from_slice(b",\"approximateArrival\":");
            append_arrival(millis, format, out)?;
        }
        out.extend_from_slice(b",\"partitionKey\":");
        append_text(self.partition_key, out)?;
        // The formatting machinery would be a good part of a row's cost, and almost every index is 0.
        let number = self.sequence_number.as_bytes();
        out.extend_from_slice(b",\"sequenceNumber\":\"");
        out.extend_from_slice(number);
        out.extend_from_slice(b"\",\"subSequenceNumber\":");
        write!(out, "{}", self.sub_sequence_number)?;
        out.extend_from_slice(b",\"shardedSequenceNumber\":\"");
        out.extend_from_slice(number);
        append_padded(self.sub_sequence_number, &mut [b'0'; 20], out);
        out.extend_from_slice(b"\"}");
        Ok(())
    }
}

fn append_text(text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

fn append_arrival(millis: i64, format: ArrivalFormat, out: &mut Vec<u8>) -> io::Result<()> {
    if format == ArrivalFormat::EpochMillis {
        return write!(out, "{millis}");
    }
    let (year, month, day) = civil(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    if !(0..=9_999).contains(&year) {
        return write!(out, "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}\"");
    }
    for (before, value, zeros) in [
        (b'"', year, &mut [b'0'; 4][..]),
        (b'-', month, &mut [b'0'; 2]),
        (b'-', day, &mut [b'0'; 2]),
        (b'T', hour, &mut [b'0'; 2]),
        (b':', minute, &mut [b'0'; 2]),
        (b':', second, &mut [b'0'; 2]),
        (b'.', milli, &mut [b'0'; 3]),
    ] {
        out.push(before);
        append_padded(value.unsigned_abs(), zeros, out);
    }
    out.push(b'"');
    Ok(())
}

/// Appends `value` in as many digits as there are `zeros`, which are enough.
fn append_padded(mut value: u64, zeros: &mut [u8], out: &mut Vec<u8>) {
    for digit in zeros.iter_mut().rev() {
        if value == 0 {
            break;
        }
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
    out.extend_from_slice(zeros);
}

/// Year, month and day in the proleptic Gregorian calendar of a day counted from 1970-01-01.
/// Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(millis: i64, format: ArrivalFormat) -> String {
        let mut out = Vec::new();
        append_arrival(millis, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn arrival_is_utc_with_milliseconds() {
        let cases = [
            (1_762_333_935_300, "2025-11-05T09:12:15.300"),
            (0, "1970-01-01T00:00:00.000"),
            (-1, "1969-12-31T23:59:59.999"),
            (951_782_400_000, "2000-02-29T00:00:00.000"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000"),
        ];
        for (millis, text) in cases {
            assert_eq!(arrival(millis, ArrivalFormat::Iso), format!("\"{text}\""));
            assert_eq!(arrival(millis, ArrivalFormat::EpochMillis), millis.to_string());
        }
    }

    #[test]
    fn extreme_instants_are_written_without_overflow() {
        for millis in [i64::MIN, i64::MAX] {
            assert!(arrival(millis, ArrivalFormat::Iso).len() > 20);
        }
    }

    #[test]
    fn texts_are_escaped_and_an_absent_arrival_is_left_out() {
        let metadata = Metadata {
            stream: "s",
            shard_id: "shardId-000000000001",
            approximate_arrival_ms: None,
            partition_key: "k\"\n\u{0}\u{1F600}",
            sequence_number: "12345",
            sub_sequence_number: 2,
        };
        let mut out = Vec::new();
        metadata.append_member(ArrivalFormat::Iso, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"kinesisMetadata\":{\"stream\":\"s\",\"shardId\":\"shardId-000000000001\",\
             \"partitionKey\":\"k\\\"\\n\\u0000\u{1F600}\",\"sequenceNumber\":\"12345\",\"subSequenceNumber\":2,\
             \"shardedSequenceNumber\":\"1234500000000000000000002\"}"
        );
    }
}
