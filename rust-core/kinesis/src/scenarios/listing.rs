//! Lists of shards that are odd, late, incomplete, or do not come.

use super::{SOON, seconds};
use crate::fake::{Fault, Node, Rig, numbers, until};
use crate::{Level, Message};

const TYPES: [&str; 2] = ["SHARED_THROUGHPUT", "ENHANCED_FAN_OUT"];

fn troubles(node: &Node) -> Vec<String> {
    let said: Vec<Message> = node.source.messages();
    said.into_iter().filter(|m| m.level != Level::Info).map(|m| m.text).collect()
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_looks_open_is_drained_before_its_children_and_then_ends() {
    for consumer_type in TYPES {
        let rig = Rig::new(&["s0"]);
        let node = rig.node("a", &[("Consumer Type", consumer_type)]);
        let mut wanted = vec![rig.stream.put("s0")];
        let held_back = node.next(SOON).await.unwrap();
        rig.stream.reshard(&["s0"], &["s1", "s2"]);
        rig.stream.disguise("s0");
        let children = [rig.stream.put("s1"), rig.stream.put("s2")];
        assert!(node.next(seconds(120)).await.is_none(), "{consumer_type}: the parent is not drained");
        assert_eq!(numbers(&held_back.parts[0]), wanted);
        node.source.settle(held_back.id, true).unwrap();
        let consumer = node.consume();
        consumer.until(&children, seconds(30)).await;
        wanted.extend(children);
        until("its end is stored", SOON, || rig.table.shard("s0").ended).await;
        let opened = || rig.stream.opened().iter().filter(|(shard, _)| &**shard == "s0").count();
        let before = opened();
        wanted.push(rig.stream.put("s1"));
        tokio::time::sleep(seconds(120)).await;
        assert_eq!(
            (opened(), consumer.got()),
            (before, wanted[1..].to_vec()),
            "{consumer_type}: nothing twice"
        );
        let listings = node.stream.faults.calls("list");
        assert!(listings <= 60, "{consumer_type}: {listings} listings in four minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hole_in_the_list_is_told_when_it_stays() {
    let half = 1 << 127;
    let rig = Rig::new(&["s0", "s1"]);
    rig.stream.set_keys("s0", 0..=half - 1);
    rig.stream.set_keys("s1", half..=u128::MAX);
    let node = rig.node("a", &[]);
    until("it reads", SOON, || node.reads().len() == 2).await;
    rig.stream.reshard(&["s1"], &["s2", "s3"]);
    rig.stream.set_keys("s2", half..=half + 9);
    rig.stream.set_keys("s3", half + 10..=u128::MAX);
    for child in ["s2", "s3"] {
        rig.stream.hide(child, true);
    }
    tokio::time::sleep(seconds(55)).await;
    assert_eq!(troubles(&node), Vec::<String>::new(), "children come late");
    rig.stream.hide("s3", false);
    tokio::time::sleep(seconds(30)).await;
    let said = troubles(&node);
    assert!(said.len() == 1 && said[0].contains(&format!("hash keys {half} to {}.", half + 9)), "{said:?}");
    assert!(said[0].contains("\"orders\"") && said[0].contains("kinesis:ListShards"), "{said:?}");
    rig.stream.hide("s2", false);
    tokio::time::sleep(seconds(30)).await;
    troubles(&node);
    node.consume().until(&["s0", "s2", "s3"].map(|s| rig.stream.put(s)), SOON).await;
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(troubles(&node), Vec::<String>::new(), "it is closed");
}

/// Reading goes on meanwhile, where it runs already.
#[tokio::test(start_paused = true)]
async fn calls_that_are_never_answered_are_noticed_told_and_repeated() {
    let cases = [
        ("list", "kinesis:ListShards", 0),
        ("describe", "kinesis:DescribeStream", 0),
        ("consumer", "kinesis:DescribeStreamConsumer", 1),
        ("register", "kinesis:RegisterStreamConsumer", 1),
    ];
    for (operation, action, consumer_type) in cases {
        let rig = Rig::new(&["s0"]);
        let node = rig.node("a", &[("Consumer Type", TYPES[consumer_type])]);
        node.stream.faults.always(operation, Some(Fault::Hang));
        tokio::time::sleep(seconds(30)).await;
        let said = troubles(&node);
        let words = ["cannot be reached", action, "no answer within"];
        let clear = said.iter().any(|text| words.iter().all(|word| text.contains(word)));
        assert!(clear, "{operation}: {said:?}");
        assert!(said.len() <= 2, "{operation}: {said:?}");
        assert!(node.stream.faults.calls(operation) >= 2, "{operation} is tried again");
        node.stream.faults.always(operation, None);
        node.consume().until(&[rig.stream.put("s0")], seconds(40)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_hangs_while_records_are_read_holds_nothing_up() {
    for operation in ["list", "describe"] {
        let rig = Rig::new(&["s0"]);
        let node = rig.node("a", &[]);
        let consumer = node.consume();
        consumer.until(&[rig.stream.put("s0")], SOON).await;
        node.stream.faults.always(operation, Some(Fault::Hang));
        for _ in 0..120 {
            consumer.until(&[rig.stream.put("s0")], seconds(2)).await;
            tokio::time::sleep(seconds(1)).await;
        }
        let told = |text: &String| text.contains("no answer within 15 s");
        assert!(consumer.said().iter().any(told), "{operation}: {:?}", consumer.said());
        rig.stream.reshard(&["s0"], &["s1"]);
        let wanted = [rig.stream.put("s1")];
        node.stream.faults.always(operation, None);
        consumer.until(&wanted, seconds(60)).await;
        assert_eq!(rig.table.shard("s1").counter, Some(1));
    }
}
