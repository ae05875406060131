//! A data stream in memory. Numbers are assigned and published under one lock; iterators are positions in clear text.

use super::FaultPlan;
use super::fanout::FanOut;
use super::quota::Quotas;
use crate::api::{
    Answer, ConsumerInfo, Fetched, HashKeys, Page, ShardId, ShardInfo, StreamApi, StreamInfo, Subscription,
};
use crate::position::Start;
use crate::shard::lock;
use crate::trouble::{Kind, Service, Trouble};
use bytes::Bytes;
use record::SequenceNumber;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

#[derive(Default)]
struct Shard {
    records: Vec<Fetched>,
    trimmed: usize,
    parents: Vec<ShardId>,
    children: Vec<ShardId>,
    closed: bool,
    keys: Option<HashKeys>,
    /// Listed as open, and its end names no children, although it is closed and has some.
    disguised: bool,
    /// Not listed.
    hidden: bool,
}

pub(crate) struct Data {
    pub(super) fanout: FanOut,
    pub(super) quotas: Quotas,
    exists: bool,
    created: i64,
    shards: BTreeMap<ShardId, Shard>,
    next: u64,
    /// Iterators made before this are expired.
    iterators_from: u64,
    iterators: u64,
    /// Iterators asked for: shard and place.
    opened: Vec<(ShardId, Start)>,
    calls: Vec<(ShardId, Instant)>,
    /// The next answer of this shard names no next iterator although the shard goes on.
    slip: Option<ShardId>,
    began: Instant,
}

/// The stream as one client sees it; clones share it, each with faults of its own.
#[derive(Clone)]
pub(crate) struct FakeStream {
    data: Arc<Mutex<Data>>,
    pub(crate) faults: FaultPlan,
}

/// Wall-clock time at the start of every test.
const EPOCH: i64 = 1_762_000_000_000;

impl FakeStream {
    /// A stream with these shards.
    pub(crate) fn new(shards: &[&str]) -> Self {
        let data = Data {
            fanout: FanOut::default(),
            quotas: Quotas::default(),
            exists: true,
            created: EPOCH - 1_000_000,
            shards: shards.iter().map(|s| (ShardId::from(*s), Shard::default())).collect(),
            next: 1,
            iterators_from: 0,
            iterators: 0,
            opened: Vec::new(),
            calls: Vec::new(),
            slip: None,
            began: Instant::now(),
        };
        Self { data: Arc::new(Mutex::new(data)), faults: FaultPlan::default() }
    }

    pub(crate) fn for_node(&self) -> Self {
        Self { data: self.data.clone(), faults: FaultPlan::default() }
    }

    /// The service's clock.
    pub(crate) fn now_ms(&self) -> i64 {
        now_ms(&lock(&self.data))
    }

    /// Writes `{"n":<number>}` to a shard; gives the number, which is unique in the stream and in order.
    pub(crate) fn put(&self, shard: &str) -> u64 {
        let n = lock(&self.data).next;
        self.put_data(shard, format!("{{\"n\":{n}}}").into())
    }

    /// Writes a payload.
    pub(crate) fn put_data(&self, shard: &str, payload: Bytes) -> u64 {
        let mut data = lock(&self.data);
        let n = data.next;
        data.next += 1;
        let arrival_ms = Some(now_ms(&data));
        let shard = data.shards.get_mut(shard).unwrap();
        assert!(!shard.closed, "a closed shard takes no records");
        let sequence = sequence(n);
        shard.records.push(Fetched {
            sequence,
            partition_key: format!("key-{n}"),
            arrival_ms,
            data: payload,
        });
        n
    }

    /// Closes `parents` and opens `children` below them: a split, a merge, or an end.
    pub(crate) fn reshard(&self, parents: &[&str], children: &[&str]) {
        let mut data = lock(&self.data);
        let ids = |names: &[&str]| names.iter().map(|n| ShardId::from(*n)).collect::<Vec<_>>();
        for parent in parents {
            let shard = data.shards.get_mut(*parent).unwrap();
            (shard.closed, shard.children) = (true, ids(children));
        }
        for child in children {
            data.shards.insert((*child).into(), Shard { parents: ids(parents), ..Shard::default() });
        }
    }

    /// All records so far leave the retention time.
    pub(crate) fn trim(&self, shard: &str) {
        let mut data = lock(&self.data);
        let shard = data.shards.get_mut(shard).unwrap();
        shard.trimmed = shard.records.len();
    }

    /// All iterators made so far are expired.
    pub(crate) fn expire_iterators(&self) {
        let mut data = lock(&self.data);
        data.iterators_from = data.iterators;
    }

    /// Deletes the stream.
    pub(crate) fn delete(&self) {
        lock(&self.data).exists = false;
    }

    /// Creates the stream again under its name, empty.
    pub(crate) fn create(&self, shards: &[&str]) {
        let mut data = lock(&self.data);
        (data.exists, data.created) = (true, now_ms(&data));
        data.shards = shards.iter().map(|s| (ShardId::from(*s), Shard::default())).collect();
    }

    /// A closed shard looks open from now on, as to a reader of an answer that is out of date.
    pub(crate) fn disguise(&self, shard: &str) {
        lock(&self.data).shards.get_mut(shard).unwrap().disguised = true;
    }

    /// A shard is missing in the list, or is back in it.
    pub(crate) fn hide(&self, shard: &str, hidden: bool) {
        lock(&self.data).shards.get_mut(shard).unwrap().hidden = hidden;
    }

    /// The list tells which hash keys go to a shard.
    pub(crate) fn set_keys(&self, shard: &str, keys: HashKeys) {
        lock(&self.data).shards.get_mut(shard).unwrap().keys = Some(keys);
    }

    pub(crate) fn slip(&self, shard: &str) {
        lock(&self.data).slip = Some(shard.into());
    }

    /// Iterators asked for so far.
    pub(crate) fn opened(&self) -> Vec<(ShardId, Start)> {
        lock(&self.data).opened.clone()
    }

    /// GetRecords calls of a shard so far.
    pub(crate) fn calls(&self, shard: &str) -> usize {
        lock(&self.data).calls.iter().filter(|(s, _)| &**s == shard).count()
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Data) -> T) -> T {
        work(&mut lock(&self.data))
    }

    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Data) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let data = self.data.clone();
        self.faults
            .around(Service::Kinesis, operation, move || {
                let mut data = lock(&data);
                if !data.exists {
                    return Err(trouble(operation, Kind::NotFound, "no such stream"));
                }
                work(&mut data)
            })
            .await
    }
}

fn now_ms(data: &Data) -> i64 {
    EPOCH + i64::try_from(data.began.elapsed().as_millis()).unwrap()
}

pub(super) fn trouble(operation: &'static str, kind: Kind, text: &str) -> Trouble {
    Trouble::new(Service::Kinesis, operation, kind, text)
}

/// A number as long as the service's, longer than any integer type.
pub(crate) fn sequence(n: u64) -> SequenceNumber {
    SequenceNumber::new(format!("4959033827149025660855969253836157{n:022}")).unwrap()
}

impl Shard {
    fn named_children(&self) -> Vec<ShardId> {
        if self.disguised { Vec::new() } else { self.children.clone() }
    }
}

impl Data {
    pub(super) fn has(&self, shard: &str) -> bool {
        self.exists && self.shards.contains_key(shard)
    }

    /// Number of the newest record of the stream: what a continuation number looks like on a quiet shard.
    pub(super) fn newest(&self) -> SequenceNumber {
        sequence(self.next - 1)
    }
}

/// Index of the first record from `start` on.
pub(super) fn position(
    data: &mut Data,
    operation: &'static str,
    id: &str,
    start: &Start,
) -> Result<usize, Trouble> {
    data.opened.push((id.into(), start.clone()));
    let now = now_ms(data);
    let shard = data.shards.get(id).ok_or_else(|| trouble(operation, Kind::NotFound, "no such shard"))?;
    let index = match start {
        Start::TrimHorizon => 0,
        Start::AtTimestamp(ms) if *ms > now => {
            return Err(trouble(operation, Kind::Invalid, "timestamp in the future"));
        }
        Start::AtTimestamp(ms) => shard.records.partition_point(|r| r.arrival_ms.unwrap() < *ms),
        Start::At(sequence) => {
            if shard.records.last().is_none_or(|r| r.sequence < *sequence) {
                return Err(trouble(operation, Kind::Invalid, "it did not come from this stream"));
            }
            shard.records.partition_point(|r| r.sequence < *sequence)
        }
        Start::After(sequence) => shard.records.partition_point(|r| r.sequence <= *sequence),
    };
    Ok(index.max(shard.trimmed))
}

/// Records from an index on, whether the shard ends with them, and then its children.
pub(super) fn after(data: &Data, id: &str, index: usize) -> (Vec<Fetched>, bool, Vec<ShardId>) {
    let shard = &data.shards[id];
    let records = shard.records[index.max(shard.trimmed)..].to_vec();
    let end = shard.closed;
    (records, end, if end { shard.named_children() } else { Vec::new() })
}

fn open(data: &mut Data, id: &str, start: &Start) -> Result<String, Trouble> {
    let index = position(data, "GetShardIterator", id, start)?;
    data.iterators += 1;
    Ok(format!("{id}|{index}|{}|{}", data.iterators, data.created))
}

fn page(data: &mut Data, iterator: &str, limit: i32) -> Result<Page, Trouble> {
    const OPERATION: &str = "GetRecords";
    let mut fields = iterator.split('|');
    let id = ShardId::from(fields.next().unwrap());
    let numbers: Vec<u64> = fields.map(|f| f.parse().unwrap()).collect();
    data.calls.push((id.clone(), Instant::now()));
    if numbers[1] <= data.iterators_from {
        return Err(trouble(OPERATION, Kind::ExpiredIterator, "expired"));
    }
    if i64::try_from(numbers[2]).unwrap() != data.created || !data.shards.contains_key(&id) {
        return Err(trouble(OPERATION, Kind::NotFound, "no such shard"));
    }
    let (from, most) = (usize::try_from(numbers[0]).unwrap(), usize::try_from(limit).unwrap());
    if let Some(page) = data.quotas.page(&id, from, most) {
        return page.map(|(page, to)| Page {
            next_iterator: Some(format!("{id}|{to}|{}|{}", numbers[1], numbers[2])),
            ..page
        });
    }
    let slip = data.slip.take_if(|s| *s == id).is_some();
    data.iterators += 1;
    let (number, created) = (data.iterators, data.created);
    let shard = &data.shards[&id];
    let from = from.max(shard.trimmed);
    let to = (from + most).min(shard.records.len());
    let end = shard.closed && to == shard.records.len();
    Ok(Page {
        records: shard.records[from..to].to_vec(),
        next_iterator: (!end && !slip).then(|| format!("{id}|{to}|{number}|{created}")),
        millis_behind: Some(if to < shard.records.len() { 1_000 } else { 0 }),
        children: if end { shard.named_children() } else { Vec::new() },
    })
}

impl StreamApi for FakeStream {
    fn describe(&self) -> Answer<'_, StreamInfo> {
        Box::pin(self.call("describe", |data| {
            Ok(StreamInfo {
                arn: "arn:stream".to_owned(),
                created: data.created,
                readable: true,
                status: "ACTIVE".to_owned(),
                now_ms: now_ms(data),
            })
        }))
    }

    fn list_shards(&self) -> Answer<'_, Vec<ShardInfo>> {
        Box::pin(self.call("list", |data| {
            let info = |(id, shard): (&ShardId, &Shard)| ShardInfo {
                id: id.clone(),
                parents: shard.parents.clone(),
                closed: shard.closed && !shard.disguised,
                ending: (shard.closed && !shard.disguised).then(|| sequence(data.next)),
                keys: shard.keys.clone(),
            };
            Ok(data.shards.iter().filter(|(_, s)| !s.hidden).map(info).collect())
        }))
    }

    fn iterator<'a>(&'a self, shard: &'a str, start: &'a Start) -> Answer<'a, String> {
        Box::pin(self.call("iterator", move |data| open(data, shard, start)))
    }

    fn records<'a>(&'a self, iterator: &'a str, limit: i32) -> Answer<'a, Page> {
        Box::pin(self.call("records", move |data| page(data, iterator, limit)))
    }

    fn consumer<'a>(&'a self, _: &'a str) -> Answer<'a, ConsumerInfo> {
        Box::pin(self.describe_consumer())
    }

    fn register<'a>(&'a self, _: &'a str) -> Answer<'a, ConsumerInfo> {
        Box::pin(self.register_consumer())
    }

    fn deregister<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            self.drop_consumer();
            Ok(())
        })
    }

    fn subscribe<'a>(
        &'a self,
        _: &'a str,
        shard: &'a str,
        start: &'a Start,
        _: u64,
    ) -> Answer<'a, Box<dyn Subscription>> {
        Box::pin(
            async move { Ok(Box::new(self.open_subscription(shard, start).await?) as Box<dyn Subscription>) },
        )
    }
}
