use super::*;
use crate::budget::Budget;
use crate::config::OutputStrategy;
use record::SequenceNumber;

fn shaper(full: usize) -> Shaper {
    Shaper {
        stream: "orders".into(),
        shard: "s0".into(),
        strategy: ProcessingStrategy::Record,
        output: OutputStrategy::UseValue,
        format: ArrivalFormat::Iso,
        full,
        keys: None,
    }
}

fn fetched(n: u64, data: impl Into<Bytes>) -> Fetched {
    Fetched {
        sequence: SequenceNumber::new(n.to_string()).unwrap(),
        partition_key: format!("key-{n}"),
        arrival_ms: Some(n.try_into().unwrap()),
        data: data.into(),
    }
}

/// Shapes all of a page.
async fn whole_page(
    shaper: &Shaper,
    records: Vec<Fetched>,
    behind: Option<i64>,
    tail: Option<Draft>,
    drop_through: Option<&Position>,
    mut permit: Permit,
) -> Shaped {
    let mut records = records.into_iter();
    let shaped = shaper.shape(&mut records, behind, tail, drop_through, &mut permit, 0).await;
    assert_eq!((records.len(), permit.bytes()), (0, 0));
    shaped
}

async fn shape(full: usize, records: Vec<Fetched>, drop_through: Option<&Position>) -> Shaped {
    let budget = Budget::new(1 << 30);
    let permit = budget.acquire(1_000).await;
    let shaped = whole_page(&shaper(full), records, Some(7), None, drop_through, permit).await;
    let held: usize = shaped.drafts.iter().map(|d| d.permit.bytes()).sum();
    assert_eq!(budget.used(), held);
    assert!(held >= shaped.drafts.iter().map(|d| d.content.footprint()).sum());
    shaped
}

fn view(shaped: &Shaped) -> Vec<(bool, u64, String, String, bool)> {
    let draft = |d: &Draft| {
        let (first, last) = (d.first.sharded().to_string(), d.last.sharded().to_string());
        let cut = |t: String| format!("{}.{}", &t[..t.len() - 20], t[t.len() - 1..].to_owned());
        (d.is_success(), d.records, cut(first), cut(last), d.whole)
    };
    shaped.drafts.iter().map(draft).collect()
}

fn seen(rows: bool, records: u64, first: &str, last: &str, whole: bool) -> (bool, u64, String, String, bool) {
    (rows, records, first.into(), last.into(), whole)
}

fn text(draft: &Draft) -> String {
    let Content::Joined(bytes) = &draft.content else { panic!("alone") };
    String::from_utf8(bytes.clone()).unwrap()
}

fn payload(draft: &Draft) -> &[u8] {
    let Content::Alone { payload, reject: None } = &draft.content else { panic!("not alone") };
    payload
}

/// An aggregate out of payloads, written by hand from the format's description.
fn aggregate(payloads: &[&str]) -> Bytes {
    fn field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag);
        let mut length = bytes.len();
        while length >= 128 {
            out.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend_from_slice(bytes);
    }
    let mut message = Vec::new();
    field(0x0A, b"inner", &mut message);
    for payload in payloads {
        let mut record = vec![0x08, 0x00];
        field(0x1A, payload.as_bytes(), &mut record);
        field(0x1A, &record, &mut message);
    }
    let digest = <md5::Md5 as md5::Digest>::digest(&message);
    [&[0xF3, 0x89, 0x9A, 0xC2], message.as_slice(), digest.as_slice()].concat().into()
}

#[tokio::test]
async fn failures_are_alone_and_do_not_cut_the_rows() {
    let records = vec![
        fetched(1, ""),
        fetched(2, "{\"a\":1}"),
        fetched(3, "[]"),
        fetched(4, "{\"a\":2}"),
        fetched(5, "{\"a\":3}"),
        fetched(6, "{} {}"),
    ];
    let shaped = shape(1_000, records, None).await;
    assert_eq!(
        view(&shaped),
        [
            seen(false, 1, "1.0", "1.0", true),
            seen(false, 1, "3.0", "3.0", false),
            seen(false, 1, "6.0", "6.0", false),
            seen(true, 3, "2.0", "5.0", true),
        ]
    );
    let rows = &shaped.drafts[3];
    assert_eq!(text(rows), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    assert_eq!((rows.partition_key.as_str(), rows.arrival_ms), ("key-5", Some(5)));
    assert_eq!(rows.covers.sequence.as_str(), "6", "what is enclosed is done when the rows are");
    assert_eq!((shaped.silent, shaped.read.map(|p| p.sequence.to_string())), (None, Some("6".into())));
}

#[tokio::test]
async fn one_bad_payload_among_ten_thousand_is_two_flow_files() {
    let records =
        (1..=10_000).map(|n| fetched(n, if n == 5_000 { "{\"n\":" } else { "{\"n\":1}" })).collect();
    let shaped = shape(10_000_000, records, None).await;
    assert_eq!(
        view(&shaped),
        [seen(false, 1, "5000.0", "5000.0", false), seen(true, 9_999, "1.0", "10000.0", true)]
    );
}

#[tokio::test]
async fn rows_enclose_a_bounded_number_of_failures() {
    let records = (1..=5_000).map(|n| fetched(n, if n % 2 == 0 { "x" } else { "{}" })).collect();
    let shaped = shape(10_000_000, records, None).await;
    let ends: Vec<usize> = (1..).zip(&shaped.drafts).filter(|(_, d)| d.whole).map(|(n, _)| n).collect();
    assert_eq!(ends, [1_001, 2_002, 2_503]);
}

#[tokio::test]
async fn aggregates_are_taken_apart_and_stay_together() {
    let records =
        vec![fetched(1, aggregate(&["{\"a\":1}", "{\"a\":2}"])), fetched(2, aggregate(&["{}", "x", "{}"]))];
    let shaped = shape(1, records.clone(), None).await;
    assert_eq!(
        view(&shaped),
        [
            seen(true, 2, "1.0", "1.1", true),
            seen(false, 1, "2.1", "2.1", false),
            seen(true, 2, "2.0", "2.2", true),
        ]
    );
    assert_eq!(shaped.drafts[0].partition_key, "inner");
    let drop_through = Position::new(SequenceNumber::new("2").unwrap(), 1);
    let rest = shape(1, records, Some(&drop_through)).await;
    assert_eq!(view(&rest), [seen(true, 1, "2.2", "2.2", true)]);
}

/// Payloads of any bytes: text without a brace, nothing, no text at all, a line feed, an aggregate.
fn anything() -> Vec<Fetched> {
    vec![
        fetched(1, "plain"),
        fetched(2, ""),
        fetched(3, &b"\xff\x00"[..]),
        fetched(4, "a\nb"),
        fetched(5, aggregate(&["{}", "inner"])),
    ]
}

#[tokio::test]
async fn joined_payloads_have_a_separator_between_them_and_none_at_the_end() {
    let payloads: [&[u8]; 6] = [b"plain", b"", b"\xff\x00", b"a\nb", b"{}", b"inner"];
    for between in ["\n", "\u{1F600}, ", ""] {
        let mut shaper = shaper(1_000);
        shaper.strategy = match between {
            "\n" => ProcessingStrategy::LineDelimited,
            other => ProcessingStrategy::Demarcator(other.as_bytes().into()),
        };
        let permit = Budget::new(1 << 20).acquire(1).await;
        let shaped = whole_page(&shaper, anything(), None, None, None, permit).await;
        assert_eq!(view(&shaped), [seen(true, 6, "1.0", "5.1", true)]);
        let wanted = payloads.join(between.as_bytes());
        let Content::Joined(got) = &shaped.drafts[0].content else { panic!() };
        assert_eq!(*got, wanted);
        // The next page goes on in the same FlowFile, with the separator in front.
        let (tail, permit) = (shaped.drafts.into_iter().next(), Budget::new(1 << 20).acquire(1).await);
        let more = whole_page(&shaper, vec![fetched(6, "more")], None, tail, None, permit).await;
        let Content::Joined(longer) = &more.drafts[0].content else { panic!() };
        assert_eq!(*longer, [&wanted, between.as_bytes(), b"more"].concat());
        assert_eq!(more.drafts.len(), 1);
    }
}

#[tokio::test]
async fn a_flow_file_for_each_record_keeps_its_own_position_and_key() {
    let mut shaper = shaper(1);
    shaper.strategy = ProcessingStrategy::FlowFile;
    let budget = Budget::new(1 << 20);
    let permit = budget.acquire(1).await;
    let shaped = whole_page(&shaper, anything(), Some(3), None, None, permit).await;
    assert_eq!(
        view(&shaped),
        [
            seen(true, 1, "1.0", "1.0", true),
            seen(true, 1, "2.0", "2.0", true),
            seen(true, 1, "3.0", "3.0", true),
            seen(true, 1, "4.0", "4.0", true),
            seen(true, 1, "5.0", "5.0", false),
            seen(true, 1, "5.1", "5.1", true),
        ]
    );
    let keys: Vec<&str> = shaped.drafts.iter().map(|d| d.partition_key.as_str()).collect();
    assert_eq!(keys, ["key-1", "key-2", "key-3", "key-4", "inner", "inner"]);
    let bytes: Vec<&[u8]> = shaped.drafts.iter().map(payload).collect();
    assert_eq!(bytes, [&b"plain"[..], b"", b"\xff\x00", b"a\nb", b"{}", b"inner"]);
    drop(shaped);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn an_aggregate_of_nothing_moves_the_position() {
    let shaped = shape(1, vec![fetched(1, "{}"), fetched(2, aggregate(&[]))], None).await;
    assert_eq!(shaped.drafts.len(), 1);
    assert_eq!(shaped.silent.unwrap().sequence.as_str(), "2");
    let shaped = shape(1, vec![fetched(2, aggregate(&[]))], None).await;
    assert!(shaped.drafts.is_empty());
    assert_eq!(shaped.silent.unwrap().sequence.as_str(), "2");
}

#[tokio::test]
async fn rows_are_added_to_what_waits() {
    let budget = Budget::new(1 << 20);
    let shaper = shaper(1_000);
    let permit = budget.acquire(100).await;
    let first = whole_page(&shaper, vec![fetched(1, "{}")], None, None, None, permit).await;
    let tail = first.drafts.into_iter().next();
    let permit = budget.acquire(100).await;
    let second =
        whole_page(&shaper, vec![fetched(2, "{}"), fetched(3, "{}")], None, tail, None, permit).await;
    assert_eq!(view(&second), [seen(true, 3, "1.0", "3.0", true)]);
    let held: usize = second.drafts.iter().map(|d| d.permit.bytes()).sum();
    assert_eq!(budget.used(), held);
    drop(second);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn output_strategies() {
    let mut shaper = shaper(1_000);
    let mut texts = Vec::new();
    for output in [OutputStrategy::UseValue, OutputStrategy::InjectMetadata, OutputStrategy::UseWrapper] {
        shaper.output = output;
        let permit = Budget::new(1_000).acquire(1).await;
        let shaped = whole_page(&shaper, vec![fetched(9, "{\"a\":1}")], None, None, None, permit).await;
        texts.push(text(&shaped.drafts[0]));
    }
    assert_eq!(texts[0], "{\"a\":1}\n");
    assert!(texts[1].starts_with("{\"a\":1,\"kinesisMetadata\":{\"stream\":\"orders\""), "{}", texts[1]);
    assert!(texts[2].starts_with("{\"kinesisMetadata\":{") && texts[2].ends_with(",\"value\":{\"a\":1}}\n"));
}

#[tokio::test]
async fn aggregates_that_outgrow_the_budget_are_shaped_a_few_at_a_time() {
    let budget = Budget::new(4 << 20);
    let mut shaper = shaper(1 << 20);
    shaper.output = OutputStrategy::UseWrapper;
    let one = aggregate(&vec!["{}"; 5_000]);
    let page = 20 * one.len();
    let mut records = (1..=20).map(|n| fetched(n, one.clone())).collect::<Vec<_>>().into_iter();
    let mut permit = budget.acquire(2 * page).await;
    let (mut rows, mut rounds, mut last) = (0, 0, None);
    while records.len() > 0 {
        let shaped = shaper.shape(&mut records, None, None, None, &mut permit, page).await;
        let used = budget.used();
        assert!(used <= (4 << 20) + (5 << 20), "{used} bytes in round {rounds}");
        assert_eq!(permit.bytes() > 0, records.len() > 0, "the page is accounted for as long as it is held");
        assert!(shaped.drafts.last().is_some_and(|d| d.whole), "a round ends behind a record");
        assert!(last < shaped.read, "in order");
        rows += shaped.drafts.iter().map(|d| d.records).sum::<u64>();
        (last, rounds) = (shaped.read, rounds + 1);
    }
    assert_eq!(rows, 100_000);
    assert!(rounds > 3, "{rounds} rounds");
    drop(permit);
    assert_eq!(budget.used(), 0);
}
