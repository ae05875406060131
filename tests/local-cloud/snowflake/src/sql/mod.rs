//! SQL as a Snowflake user writes it.

mod result;

pub use result::{Column, ResultSet, SqlError};
