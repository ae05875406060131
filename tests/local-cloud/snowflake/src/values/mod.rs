//! Values: exact decimals, dates and times, JSON, and the rules that turn a JSON value into a column's value.

mod cast;
mod cell;
mod convert;
mod decimal;
mod display;
mod json;
mod temporal;

pub(crate) use cast::{cast, moment, to_json};
pub(crate) use cell::{Cell, Failure};
pub(crate) use convert::{Origin, convert};
pub(crate) use decimal::Decimal;
pub(crate) use display::{api_text, display, number_text};
pub(crate) use json::{Kind, canonical, element, elements, kind, member, members};
pub(crate) use temporal::Moment;
