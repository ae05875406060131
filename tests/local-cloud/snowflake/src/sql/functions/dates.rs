//! Dates and times.

use chrono::{Datelike, Days, Duration, Months, NaiveDateTime, NaiveTime, Timelike};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Result};

use super::casts::data_type;
use super::{arg, int_arg, scalar, text_arg};
use crate::catalog::{DataType, Zone};
use crate::clock::Clock;
use crate::values::{Cell, Failure, Moment, cast, moment};

type Answer = std::result::Result<Cell<'static>, Failure>;

pub(super) fn register(connection: &Connection, clock: &Clock) -> Result<()> {
    let clock = clock.clone();
    // Not deterministic, unlike everything else here.
    connection.create_scalar_function("sf_now", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        Ok(Moment::stored(clock.now_utc()))
    })?;
    // sf_datediff(part, a, type of a, b, type of b)
    scalar(connection, "sf_datediff", 5, datediff)?;
    // sf_dateadd(part, n, x, type of x)
    scalar(connection, "sf_dateadd", 4, dateadd)?;
    // sf_date_trunc(part, x, type of x)
    scalar(connection, "sf_date_trunc", 3, date_trunc)?;
    // sf_date_part(part, x, type of x)
    scalar(connection, "sf_date_part", 3, date_part)?;
    // sf_to_char(x, type of x, format)
    scalar(connection, "sf_to_char", 3, to_char)?;
    // sf_from_epoch(n, scale, target type)
    scalar(connection, "sf_from_epoch", 3, from_epoch)
}

/// Units in the order of their length, by every name Snowflake knows them.
fn unit(part: &str) -> std::result::Result<&'static str, Failure> {
    Ok(match part.trim_matches('\'').to_ascii_lowercase().as_str() {
        "year" | "y" | "yy" | "yyy" | "yyyy" | "yr" | "years" | "yrs" => "year",
        "quarter" | "q" | "qtr" | "qtrs" | "quarters" => "quarter",
        "month" | "mm" | "mon" | "mons" | "months" => "month",
        "week" | "w" | "wk" | "weekofyear" | "woy" | "wy" | "weeks" => "week",
        "day" | "d" | "dd" | "days" | "dayofmonth" => "day",
        "hour" | "h" | "hh" | "hr" | "hours" | "hrs" => "hour",
        "minute" | "m" | "mi" | "min" | "minutes" | "mins" => "minute",
        "second" | "s" | "sec" | "seconds" | "secs" => "second",
        "millisecond" | "ms" | "msec" | "milliseconds" => "millisecond",
        "microsecond" | "us" | "usec" | "microseconds" => "microsecond",
        "nanosecond" | "ns" | "nsec" | "nanosec" | "nsecond" | "nanoseconds" | "nanosecs" | "nseconds" => {
            "nanosecond"
        }
        "epoch_second" | "epoch" | "epoch_seconds" => "epoch_second",
        "epoch_millisecond" | "epoch_milliseconds" => "epoch_millisecond",
        "epoch_microsecond" | "epoch_microseconds" => "epoch_microsecond",
        "epoch_nanosecond" | "epoch_nanoseconds" => "epoch_nanosecond",
        "dayofweek" | "weekday" | "dow" | "dw" => "dayofweek",
        "dayofweekiso" | "dowiso" => "dayofweekiso",
        "dayofyear" | "yearday" | "doy" | "dy" => "dayofyear",
        other => return Err(Failure::new(1007, format!("'{other}' is not a valid date/time component"))),
    })
}

fn unit_arg(context: &Context<'_>) -> std::result::Result<&'static str, Failure> {
    unit(&text_arg(context, 0).unwrap_or_default())
}

fn moment_arg(
    context: &Context<'_>,
    value: usize,
    type_at: i32,
) -> std::result::Result<Option<Moment>, Failure> {
    let cell = arg(context, value);
    if cell == Cell::Null {
        return Ok(None);
    }
    let from = data_type(context, type_at)?;
    let moment = moment(&cell, &from);
    moment.map(Some).ok_or_else(|| {
        let shown = crate::values::display(&cell, &from).unwrap_or_default();
        Failure::not_recognized(100_035, "Timestamp", &shown)
    })
}

fn nanos_of(unit: &str) -> Option<i128> {
    Some(match unit {
        "nanosecond" => 1,
        "microsecond" => 1000,
        "millisecond" => 1_000_000,
        "second" => 1_000_000_000,
        "minute" => 60_000_000_000,
        "hour" => 3_600_000_000_000,
        "day" => 86_400_000_000_000,
        _ => return None,
    })
}

/// Boundaries of the unit crossed between the two, as Snowflake counts.
fn datediff(context: &Context<'_>) -> Answer {
    let unit = unit_arg(context)?;
    let (Some(a), Some(b)) = (moment_arg(context, 1, 2)?, moment_arg(context, 3, 4)?) else {
        return Ok(Cell::Null);
    };
    let zoned = a.offset_minutes.is_some() || b.offset_minutes.is_some();
    let (a, b) = if zoned { (a.utc(), b.utc()) } else { (a.local, b.local) };
    let count = |at: NaiveDateTime| -> i128 {
        let (year, month) = (i128::from(at.year()), i128::from(at.month0()));
        match (unit, nanos_of(unit)) {
            (_, Some(nanos)) => Moment::epoch_nanos(at).div_euclid(nanos),
            ("year", _) => year,
            ("quarter", _) => year * 4 + month / 3,
            ("month", _) => year * 12 + month,
            // Weeks begin on Monday; 1970-01-01 was a Thursday.
            _ => (Moment::epoch_nanos(at).div_euclid(86_400_000_000_000) + 3).div_euclid(7),
        }
    };
    Ok(i64::try_from(count(b) - count(a)).map_or(Cell::Null, Cell::Int))
}

fn dateadd(context: &Context<'_>) -> Answer {
    let unit = unit_arg(context)?;
    let Some(count) = int_arg(context, 1) else { return Ok(Cell::Null) };
    let Some(moment) = moment_arg(context, 2, 3)? else { return Ok(Cell::Null) };
    let from = data_type(context, 3)?;
    let overflow = || Failure::new(100_135, "Date or time out of range");
    let months = |each: i64| -> Option<NaiveDateTime> {
        let total = count.checked_mul(each)?;
        let months = Months::new(u32::try_from(total.unsigned_abs()).ok()?);
        if total < 0 {
            moment.local.checked_sub_months(months)
        } else {
            moment.local.checked_add_months(months)
        }
    };
    let local = match unit {
        "year" => months(12),
        "quarter" => months(3),
        "month" => months(1),
        "week" => days(moment.local, count.checked_mul(7).ok_or_else(overflow)?),
        "day" => days(moment.local, count),
        unit => {
            let nanos =
                nanos_of(unit).ok_or_else(|| Failure::new(1007, format!("'{unit}' cannot be added")))?;
            let total = i128::from(count) * nanos;
            let seconds = i64::try_from(total.div_euclid(1_000_000_000)).map_err(|_| overflow())?;
            let rest = i64::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0);
            Duration::try_seconds(seconds)
                .and_then(|seconds| moment.local.checked_add_signed(seconds + Duration::nanoseconds(rest)))
        }
    };
    let local = local.ok_or_else(overflow)?;
    // A date stays one unless hours or less are added.
    let to = match (&*from, nanos_of(unit)) {
        (DataType::Date, Some(nanos)) if nanos < 86_400_000_000_000 => DataType::NTZ,
        (DataType::Varchar(_) | DataType::Variant, _) => DataType::NTZ,
        (other, _) => other.clone(),
    };
    store(Moment { local, ..moment }, &to)
}

fn days(at: NaiveDateTime, count: i64) -> Option<NaiveDateTime> {
    let days = Days::new(count.unsigned_abs());
    if count < 0 { at.checked_sub_days(days) } else { at.checked_add_days(days) }
}

fn store(moment: Moment, to: &DataType) -> Answer {
    let cell = match moment.offset_minutes {
        Some(_) => Cell::Text(moment.stored_zoned().into()),
        None => Cell::Text(Moment::stored(moment.local).into()),
    };
    let zone = if moment.offset_minutes.is_some() { Zone::Stored } else { Zone::None };
    Ok(cast(cell, &DataType::Timestamp(zone, 9), to, true)?.into_owned())
}

fn date_trunc(context: &Context<'_>) -> Answer {
    let unit = unit_arg(context)?;
    let Some(moment) = moment_arg(context, 1, 2)? else { return Ok(Cell::Null) };
    let from = data_type(context, 2)?;
    let (date, time) = (moment.local.date(), moment.local.time());
    let first = |month: u32| date.with_day(1).and_then(|date| date.with_month(month)).unwrap_or(date);
    let date_only = |date: chrono::NaiveDate| date.and_time(NaiveTime::MIN);
    let local = match unit {
        "year" => date_only(first(1)),
        "quarter" => date_only(first(date.month0() / 3 * 3 + 1)),
        "month" => date_only(first(date.month())),
        "week" => date_only(date - Days::new(u64::from(date.weekday().num_days_from_monday()))),
        "day" => date_only(date),
        unit => {
            let nanos =
                nanos_of(unit).ok_or_else(|| Failure::new(1007, format!("cannot truncate to '{unit}'")))?;
            let of_day = Moment::epoch_nanos(chrono::NaiveDate::default().and_time(time));
            let rest = i64::try_from(of_day.rem_euclid(nanos)).unwrap_or(0);
            moment.local - Duration::nanoseconds(rest)
        }
    };
    let to = if matches!(&*from, DataType::Varchar(_) | DataType::Variant) {
        DataType::NTZ
    } else {
        (*from).clone()
    };
    store(Moment { local, ..moment }, &to)
}

fn date_part(context: &Context<'_>) -> Answer {
    let unit = unit_arg(context)?;
    let Some(moment) = moment_arg(context, 1, 2)? else { return Ok(Cell::Null) };
    let at = moment.local;
    let epoch = |nanos: i128| i64::try_from(Moment::epoch_nanos(moment.utc()).div_euclid(nanos)).unwrap_or(0);
    let value = match unit {
        "year" => i64::from(at.year()),
        "quarter" => i64::from(at.month0() / 3 + 1),
        "month" => i64::from(at.month()),
        "week" => i64::from(at.iso_week().week()),
        "day" => i64::from(at.day()),
        "hour" => i64::from(at.hour()),
        "minute" => i64::from(at.minute()),
        "second" => i64::from(at.second()),
        "millisecond" => i64::from(at.nanosecond() / 1_000_000),
        "microsecond" => i64::from(at.nanosecond() / 1000),
        "nanosecond" => i64::from(at.nanosecond()),
        "epoch_second" => epoch(1_000_000_000),
        "epoch_millisecond" => epoch(1_000_000),
        "epoch_microsecond" => epoch(1000),
        "epoch_nanosecond" => epoch(1),
        "dayofweek" => i64::from(at.weekday().num_days_from_sunday()),
        "dayofweekiso" => i64::from(at.weekday().number_from_monday()),
        _ => i64::from(at.ordinal()),
    };
    Ok(Cell::Int(value))
}

/// Formats with Snowflake's format elements.
fn to_char(context: &Context<'_>) -> Answer {
    let Some(moment) = moment_arg(context, 0, 1)? else { return Ok(Cell::Null) };
    let Some(format) = text_arg(context, 2) else { return Ok(Cell::Null) };
    let at = moment.local;
    let mut out = String::new();
    let mut rest = format.as_str();
    'next: while let Some(first) = rest.chars().next() {
        let nanos = format!("{:09}", at.nanosecond());
        let offset = moment.offset_minutes.unwrap_or(0);
        let elements: [(&str, String); 17] = [
            ("YYYY", format!("{:04}", at.year())),
            ("YY", format!("{:02}", at.year() % 100)),
            ("MMMM", at.format("%B").to_string()),
            ("MON", at.format("%b").to_string()),
            ("MM", format!("{:02}", at.month())),
            ("DD", format!("{:02}", at.day())),
            ("DY", at.format("%a").to_string()),
            ("HH24", format!("{:02}", at.hour())),
            ("HH12", format!("{:02}", at.hour12().1)),
            ("MI", format!("{:02}", at.minute())),
            ("SS", format!("{:02}", at.second())),
            ("FF3", nanos[..3].to_owned()),
            ("FF6", nanos[..6].to_owned()),
            ("FF9", nanos.clone()),
            ("FF", nanos),
            ("TZH", format!("{}{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 60)),
            ("TZM", format!("{:02}", offset.abs() % 60)),
        ];
        if let Some(quoted) = rest.strip_prefix('"')
            && let Some(end) = quoted.find('"')
        {
            out.push_str(&quoted[..end]);
            rest = &quoted[end + 1..];
            continue;
        }
        for (element, value) in &elements {
            if rest.get(..element.len()).is_some_and(|head| head.eq_ignore_ascii_case(element)) {
                out.push_str(value);
                rest = &rest[element.len()..];
                continue 'next;
            }
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    Ok(Cell::Text(out.into()))
}

fn from_epoch(context: &Context<'_>) -> Answer {
    let value = arg(context, 0);
    let Some(number) = super::numbers::decimal(&value) else { return Ok(Cell::Null) };
    let scale = u8::try_from(int_arg(context, 1).unwrap_or(0).clamp(0, 9)).unwrap_or(0);
    let nanos = number.unscaled_at(9).map(|nanos| nanos / 10_i128.pow(u32::from(scale)));
    let moment = nanos.and_then(Moment::from_epoch_nanos);
    let moment = moment.ok_or_else(|| Failure::not_recognized(100_035, "Timestamp", &number.to_string()))?;
    let to = data_type(context, 2)?;
    store(moment, &to)
}
