//! Splits and merges of a stream, by the AWS SDK, as its owner does them.

use std::time::Duration;

use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::types::Shard;

use crate::producer::Producer;
use crate::rest::wait_for;
use crate::{Error, Result};

impl Producer {
    /// Splits one open shard in the middle; `pick` chooses which. Returns when the stream is active again, with words
    /// that say what was done.
    pub async fn split(&self, pick: usize) -> Result<String> {
        let open = self.open_shards().await?;
        let wide: Vec<_> = open.iter().filter(|(_, start, end)| end > start).collect();
        let Some((shard, start, end)) = wide.get(pick % wide.len().max(1)) else {
            return Err(Error::Unexpected("no shard can be split".to_owned()));
        };
        let middle = start + (end - start) / 2 + 1;
        let id = shard.shard_id();
        let request = self.client().split_shard().stream_name(self.stream()).shard_to_split(id);
        let done = request.new_starting_hash_key(middle.to_string()).send().await;
        done.map_err(|error| self.failed("splitting", &DisplayErrorContext(&error)))?;
        self.active().await?;
        Ok(format!("split {id}"))
    }

    /// Merges two open neighbours; `pick` chooses which. Returns when the stream is active again, with words that say
    /// what was done.
    pub async fn merge(&self, pick: usize) -> Result<String> {
        let open = self.open_shards().await?;
        let pairs: Vec<_> = open.windows(2).collect();
        let Some([(one, ..), (other, ..)]) = pairs.get(pick % pairs.len().max(1)) else {
            return Err(Error::Unexpected("one shard cannot be merged".to_owned()));
        };
        let (one, other) = (one.shard_id(), other.shard_id());
        let request = self.client().merge_shards().stream_name(self.stream());
        let done = request.shard_to_merge(one).adjacent_shard_to_merge(other).send().await;
        done.map_err(|error| self.failed("merging", &DisplayErrorContext(&error)))?;
        self.active().await?;
        Ok(format!("merged {one} and {other}"))
    }

    /// How many shards are written to, and how many there are with the closed ones.
    pub async fn count_shards(&self) -> Result<(usize, usize)> {
        let all = self.shards().await?;
        Ok((all.iter().filter(|shard| is_open(shard)).count(), all.len()))
    }

    /// Open shards with their first and last hash key, in the order of these.
    async fn open_shards(&self) -> Result<Vec<(Shard, u128, u128)>> {
        let all = self.shards().await?;
        let mut open = Vec::new();
        for shard in all.into_iter().filter(is_open) {
            let range = shard.hash_key_range();
            let start = range.and_then(|range| range.starting_hash_key().parse().ok());
            let end = range.and_then(|range| range.ending_hash_key().parse().ok());
            if let (Some(start), Some(end)) = (start, end) {
                open.push((shard, start, end));
            }
        }
        open.sort_by_key(|(_, start, _)| *start);
        Ok(open)
    }

    async fn shards(&self) -> Result<Vec<Shard>> {
        let mut shards = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let request = self.client().list_shards();
            let request = match &next {
                Some(token) => request.next_token(token),
                None => request.stream_name(self.stream()),
            };
            let page = request.send().await;
            let page =
                page.map_err(|error| self.failed("listing the shards of", &DisplayErrorContext(&error)))?;
            shards.extend(page.shards().iter().cloned());
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(shards);
            }
        }
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> Error {
        Error::Unexpected(format!("{what} stream {}: {error}", self.stream()))
    }

    /// Waits until the stream is active.
    pub(crate) async fn active(&self) -> Result<()> {
        let what = format!("stream {} being active", self.stream());
        wait_for(&what, Duration::from_secs(60), || async {
            let described = self.client().describe_stream_summary().stream_name(self.stream()).send().await;
            let described =
                described.map_err(|error| self.failed("describing", &DisplayErrorContext(&error)))?;
            let summary = described.stream_description_summary();
            Ok(summary.is_some_and(|summary| summary.stream_status().as_str() == "ACTIVE").then_some(()))
        })
        .await
    }
}

fn is_open(shard: &Shard) -> bool {
    shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_none())
}
