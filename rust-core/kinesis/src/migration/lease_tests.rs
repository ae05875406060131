use super::*;

fn stream() -> StreamInfo {
    StreamInfo {
        arn: "arn:aws:kinesis:us-west-2:123456789012:stream/orders".into(),
        created: 1_700_000_000_123,
        readable: true,
        status: "ACTIVE".into(),
        now_ms: 1_762_000_000_000,
    }
}

fn shard(id: &str, closed: bool, parents: &[&str]) -> ShardInfo {
    let parents = parents.iter().map(|p| (*p).into()).collect();
    let ending = closed.then(|| SequenceNumber::new("999").unwrap());
    ShardInfo { id: id.into(), parents, closed, ending, keys: None }
}

fn lease(key: &str, checkpoint: &str, sub: u64) -> Lease {
    Lease {
        key: key.into(),
        checkpoint: Some(checkpoint.into()),
        sub_sequence: Some(sub),
        ..Lease::default()
    }
}

fn translated(checkpoint: &str, sub: u64, closed: bool, initial: InitialPosition) -> ShardRow {
    let (stream, shards) = (stream(), [shard("shardId-0", closed, &[])]);
    let sorted = sort(vec![lease("shardId-0", checkpoint, sub)], &stream);
    rows(&sorted.ours, &Frame { stream: &stream, shards: &shards, initial })["shardId-0"].clone()
}

#[test]
fn positions_resume_exactly_where_the_library_would() {
    let oldest = InitialPosition::TrimHorizon;
    for (checkpoint, sub, shown) in [
        ("4959033827149025660855969253836157", 0, "4959033827149025660855969253836157"),
        ("4959033827149025660855969253836000", 3, "4959033827149025660855969253835999"),
        ("10000", 1, "9999"),
        ("1", 1, "0"),
    ] {
        let row = translated(checkpoint, sub, false, oldest);
        let done = row.done().unwrap();
        assert_eq!((done.position.sequence.as_str(), done.position.sub_sequence), (checkpoint, sub));
        assert!(done.within_record, "the rest of an aggregate is read");
        assert_eq!(row.sequence.unwrap().as_str(), shown, "what others see");
        assert_eq!((row.ended, row.created), (false, Some(stream().created)));
    }
}

#[test]
fn words_become_beginnings_and_ends() {
    let at = InitialPosition::AtTimestamp(77);
    let oldest = InitialPosition::TrimHorizon;
    let anchor = |checkpoint, initial| translated(checkpoint, 0, false, initial).anchor;
    assert_eq!(anchor("TRIM_HORIZON", InitialPosition::Latest), Some(Anchor::TrimHorizon));
    assert_eq!(anchor("LATEST", oldest), Some(Anchor::Latest(stream().now_ms)));
    assert_eq!(anchor("AT_TIMESTAMP", at), Some(Anchor::AtTimestamp(77)));
    assert_eq!(anchor("AT_TIMESTAMP", oldest), Some(Anchor::TrimHorizon), "rather again than never");
    let ended = translated("SHARD_END", 0, true, oldest);
    assert!(ended.ended && ended.sequence.unwrap().as_str() == "999");
    let reopened = translated("SHARD_END", 0, false, oldest);
    assert_eq!(
        (reopened.ended, reopened.anchor),
        (false, Some(Anchor::TrimHorizon)),
        "an open shard has no end"
    );
}

#[test]
fn leases_of_others_are_told_apart() {
    let stream = stream();
    let of = |key: &str, entity: Option<&str>| {
        Lease { entity: entity.map(str::to_owned), ..lease(key, "1", 0) }.whose(&stream)
    };
    let ours = || Whose::Ours("shardId-7".into());
    assert_eq!(of("shardId-7", None), ours());
    assert_eq!(of("shardId-7", Some("LEASE")), ours());
    assert_eq!(of("123456789012:orders:1700000000:shardId-7", None), ours());
    assert_eq!(of("123456789012:orders:1600000000:shardId-7", None), Whose::Earlier);
    for other in ["123456789012:payments:1700000000:shardId-7", "210987654321:orders:1700000000:shardId-7"] {
        assert!(matches!(of(other, None), Whose::Other(_)), "{other}");
    }
    assert!(matches!(of("something", None), Whose::Other(_)));
    for entity in ["LEADER", "CLIENT_VERSION_MIGRATION", "TABLE_MIGRATION", "STREAM", "WORKER_METRIC_STATS"] {
        assert_eq!(of("shardId-7", Some(entity)), Whose::NoLease);
    }
}

#[test]
fn finished_shards_whose_leases_were_cleaned_up_are_not_read_again() {
    let stream = stream();
    let shards = [
        shard("shardId-0", true, &[]),
        shard("shardId-1", true, &["shardId-0"]),
        shard("shardId-2", true, &["shardId-0"]),
        shard("shardId-3", false, &["shardId-1", "shardId-2"]),
        shard("shardId-4", true, &[]),
        shard("shardId-5", false, &["shardId-3"]),
    ];
    let sorted = sort(vec![lease("shardId-2", "5", 0), lease("shardId-3", "7", 0)], &stream);
    let frame = Frame { stream: &stream, shards: &shards, initial: InitialPosition::TrimHorizon };
    let rows = rows(&sorted.ours, &frame);
    let ended: Vec<&str> = rows.iter().filter(|(_, r)| r.ended).map(|(id, _)| &**id).collect();
    assert_eq!(ended, ["shardId-0", "shardId-1"], "ancestors of what has a lease, and nothing else");
    assert_eq!(rows.len(), 4);
}
