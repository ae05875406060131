//! Records of a Kinesis shard as rows of a table: positions, KPL aggregates, NDJSON rows with their metadata.
//!
//! Everything here is pure: no I/O, no clock, no async. The bytes of a producer are only ever copied or sliced, never
//! parsed into values and written again, so that numbers, escapes, key order and duplicate keys survive.

mod aggregate;
mod lines;
mod metadata;
mod object;
mod row;
mod sequence;
mod sharded;
mod skim;
mod token;

pub use aggregate::{Expanded, UserRecord, deaggregate};
pub use lines::{Lines, lines};
pub use metadata::{ArrivalFormat, METADATA_KEY, Metadata};
pub use row::{Reject, append_row, append_wrapped};
pub use sequence::{InvalidNumber, SequenceNumber};
pub use sharded::{Position, ShardedNumber};
pub use token::{TokenError, row_token};
