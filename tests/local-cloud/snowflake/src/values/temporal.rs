//! Dates and times: parsing in Snowflake's AUTO formats, and the fixed-width text they are stored as.

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// A point on the calendar with an optional offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) local: NaiveDateTime,
    pub(crate) offset_minutes: Option<i32>,
}

impl Moment {
    pub(crate) fn utc(self) -> NaiveDateTime {
        self.local - Duration::minutes(i64::from(self.offset_minutes.unwrap_or(0)))
    }

    /// `YYYY-MM-DD HH:MM:SS.fffffffff`, which sorts by time.
    pub(crate) fn stored(local: NaiveDateTime) -> String {
        let time = local.time();
        let (date, nanos) = (local.date(), time.nanosecond() % 1_000_000_000);
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{nanos:09}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }

    /// Stored form of a zoned timestamp: the instant in UTC, then the offset.
    pub(crate) fn stored_zoned(self) -> String {
        let offset = self.offset_minutes.unwrap_or(0);
        let sign = if offset < 0 { '-' } else { '+' };
        format!("{} {sign}{:02}{:02}", Moment::stored(self.utc()), offset.abs() / 60, offset.abs() % 60)
    }

    /// Reads a stored form back.
    pub(crate) fn from_stored(text: &str) -> Option<Moment> {
        let local = parse_date(text.get(..10)?)?.and_time(parse_time(text.get(11..29)?)?);
        let Some(offset) = text.get(30..) else { return Some(Moment { local, offset_minutes: None }) };
        let offset_minutes = parse_offset(offset)?;
        Some(Moment {
            local: local + Duration::minutes(i64::from(offset_minutes)),
            offset_minutes: Some(offset_minutes),
        })
    }

    /// A count since 1970 whose unit follows from its size, as Snowflake reads integers in text.
    pub(crate) fn from_epoch_text(text: &str) -> Option<Moment> {
        let count: i64 = text.parse().ok()?;
        let nanos = match count.unsigned_abs() {
            0..31_536_000_000 => i128::from(count) * 1_000_000_000,
            31_536_000_000..31_536_000_000_000 => i128::from(count) * 1_000_000,
            31_536_000_000_000..31_536_000_000_000_000 => i128::from(count) * 1000,
            _ => i128::from(count),
        };
        Moment::from_epoch_nanos(nanos)
    }

    pub(crate) fn from_epoch_nanos(nanos: i128) -> Option<Moment> {
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
        let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
        let local = chrono::DateTime::from_timestamp(seconds, rest)?.naive_utc();
        (0..=9999).contains(&local.year()).then_some(Moment { local, offset_minutes: None })
    }

    /// Nanoseconds since 1970 of the local time.
    pub(crate) fn epoch_nanos(local: NaiveDateTime) -> i128 {
        let utc = local.and_utc();
        i128::from(utc.timestamp()) * 1_000_000_000 + i128::from(utc.timestamp_subsec_nanos())
    }
}

/// Cuts a fraction of a second to `precision` digits.
pub(crate) fn truncated(local: NaiveDateTime, precision: u8) -> NaiveDateTime {
    let unit = 10_u32.pow(u32::from(9 - precision.min(9)));
    let nanos = local.nanosecond() % 1_000_000_000;
    local.with_nanosecond(nanos - nanos % unit).unwrap_or(local)
}

/// `YYYY-MM-DD`.
pub(crate) fn parse_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(digits(year)?).ok()?, digits(month)?, digits(day)?)
}

/// `HH:MM[:SS[.F…]]`, up to nine fraction digits.
pub(crate) fn parse_time(text: &str) -> Option<NaiveTime> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute, rest) = (parts.next()?, parts.next()?, parts.next().unwrap_or("00"));
    let (second, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    if hour.len() > 2 || minute.len() != 2 || second.len() != 2 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let nanos = digits(fraction)? * 10_u32.pow(9 - u32::try_from(fraction.len()).ok()?);
    NaiveTime::from_hms_nano_opt(digits(hour)?, digits(minute)?, digits(second)?, nanos)
}

/// A date, or a date and time separated by `T` or a space, with or without an offset or `Z`.
pub(crate) fn parse_timestamp(text: &str) -> Option<Moment> {
    let text = text.trim();
    let Some(at) = text.find(['T', 't', ' ']) else {
        return Some(Moment { local: parse_date(text)?.and_time(NaiveTime::MIN), offset_minutes: None });
    };
    let date = parse_date(&text[..at])?;
    let rest = &text[at + 1..];
    let (time, offset_minutes) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (rest[..at].trim_end(), Some(parse_offset(&rest[at..])?)),
        None => (rest, None),
    };
    Some(Moment { local: date.and_time(parse_time(time)?), offset_minutes })
}

fn parse_offset(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let rest: String = text.get(1..)?.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = match rest.len() {
        1 | 2 => (digits(&rest)?, 0),
        4 => (digits(&rest[..2])?, digits(&rest[2..])?),
        _ => return None,
    };
    (hours <= 14 && minutes < 60).then_some(())?;
    Some(sign * i32::try_from(hours * 60 + minutes).ok()?)
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_in_their_usual_forms() {
        for (text, stored) in [
            ("2025-11-05T09:12:15.300", "2025-11-05 09:12:15.300000000"),
            ("2025-11-05 09:12", "2025-11-05 09:12:00.000000000"),
            ("2025-11-05", "2025-11-05 00:00:00.000000000"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31 23:59:59.999999999"),
            ("2025-01-01 00:30:00 +05:30", "2025-01-01 00:30:00.000000000"),
        ] {
            assert_eq!(Moment::stored(parse_timestamp(text).unwrap().local), stored, "{text}");
        }
        let zoned = parse_timestamp("2025-01-01T00:30:00+0530").unwrap();
        assert_eq!(zoned.stored_zoned(), "2024-12-31 19:00:00.000000000 +0530");
        assert_eq!(Moment::from_stored(&zoned.stored_zoned()), Some(zoned));
        for text in [
            "",
            "2025",
            "2025-13-01",
            "2025-11-05T",
            "2025-11-05T25:00:00",
            "yesterday",
            "25-1-1",
            "2025-11-05T1:2:3",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn integers_in_text_take_their_unit_from_their_size() {
        for (text, stored) in [
            ("1762333935", "2025-11-05 09:12:15.000000000"),
            ("1762333935300", "2025-11-05 09:12:15.300000000"),
            ("1762333935300000", "2025-11-05 09:12:15.300000000"),
        ] {
            assert_eq!(Moment::stored(Moment::from_epoch_text(text).unwrap().local), stored, "{text}");
        }
    }
}
