//! Values: exact decimals, dates and times, JSON, and the rules that turn a JSON value into a column's value.

mod cell;
mod convert;
mod decimal;
mod json;
mod temporal;

pub(crate) use cell::{Cell, Failure};
pub(crate) use convert::{Origin, convert};
pub(crate) use decimal::Decimal;
pub(crate) use json::{Kind, canonical, element, kind, member, members, text_of};
pub(crate) use temporal::{Moment, parse_date, parse_time, parse_timestamp};
