//! A few records from a few shards, looked at and forgotten.

use super::LIMIT;
use crate::api::{Fetched, ShardInfo, StreamApi};
use crate::core::within;
use crate::position::Start;
use crate::trouble::{Service, Trouble};
use record::{ArrivalFormat, Expanded, append_row, deaggregate};

/// Shards looked into.
const SHARDS: usize = 4;
/// Records asked for at a time: a record may have a mebibyte or ten.
const RECORDS: i32 = 25;
/// Answers taken of one shard: those far behind the newest record may be empty.
const PAGES: usize = 3;

/// What was found.
#[derive(Default)]
pub(super) struct Sample {
    pub(super) shards: usize,
    /// User records, those inside of aggregates counted one by one.
    pub(super) records: usize,
    /// Of them, those that are one JSON object.
    pub(super) objects: usize,
    /// Why the first of the others is none; holds nothing of the record.
    pub(super) first_reject: Option<String>,
}

/// Reads from the oldest record on. Reading has no effect on positions; it only counts as a few calls.
pub(super) async fn take(api: &dyn StreamApi, shards: &[ShardInfo]) -> Result<Sample, Trouble> {
    let mut sample = Sample::default();
    // Open shards first; closed ones have the older records.
    let open = shards.iter().filter(|s| !s.closed);
    for shard in open.chain(shards.iter().filter(|s| s.closed)).take(SHARDS) {
        let start = Start::TrimHorizon;
        let mut iterator =
            Some(within(LIMIT, Service::Kinesis, "GetShardIterator", api.iterator(&shard.id, &start)).await?);
        sample.shards += 1;
        for _ in 0..PAGES {
            let Some(at) = iterator.take() else { break };
            let page = within(LIMIT, Service::Kinesis, "GetRecords", api.records(&at, RECORDS)).await?;
            let found = !page.records.is_empty();
            page.records.into_iter().for_each(|record| sample.look_at(record));
            iterator = page.next_iterator.filter(|_| !found && page.millis_behind.unwrap_or(0) > 0);
        }
    }
    Ok(sample)
}

impl Sample {
    fn look_at(&mut self, record: Fetched) {
        match deaggregate(record.data) {
            Expanded::Plain(data) => self.judge(&data),
            Expanded::Aggregate(users) => users.iter().for_each(|user| self.judge(&user.data)),
        }
    }

    fn judge(&mut self, payload: &[u8]) {
        self.records += 1;
        match append_row(payload, None, ArrivalFormat::Iso, &mut Vec::new()) {
            Ok(()) => self.objects += 1,
            Err(reject) => self.first_reject = self.first_reject.take().or(Some(reject.to_string())),
        }
    }
}
