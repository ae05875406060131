use super::*;
use crate::budget::Budget;
use crate::draft::Content;
use proptest::prelude::*;
use record::SequenceNumber;

fn at(n: u64) -> Position {
    Position::new(SequenceNumber::new(n.to_string()).unwrap(), 0)
}

fn fresh() -> Flow {
    Flow::new(Mark { done: None, last_row: ShardedNumber::zero() })
}

fn content(bytes: usize, failed: bool) -> Content {
    if failed {
        Content::Alone { payload: vec![0; bytes].into(), reject: Some("no object".into()) }
    } else {
        Content::Joined(vec![0; bytes])
    }
}

fn draft(n: u64, failed: bool, whole: bool) -> Draft {
    Draft {
        content: content(10, failed),
        records: 1,
        first: at(n),
        last: at(n),
        covers: at(n),
        whole,
        enclosed: 0,
        partition_key: String::new(),
        arrival_ms: None,
        behind_ms: None,
        since: Instant::now(),
        permit: Budget::new(1).nothing(),
    }
}

fn push(flow: &mut Flow, numbers: &[u64]) {
    let generation = flow.generation();
    assert!(flow.push(generation, numbers.iter().map(|n| draft(*n, false, true)).collect(), None));
}

fn frontier(flow: &Flow) -> Option<Position> {
    flow.frontier().done.clone().map(|d| d.position)
}

#[test]
fn the_second_commit_does_not_move_past_the_first() {
    let mut flow = fresh();
    push(&mut flow, &[1, 2]);
    flow.take(10, 1).unwrap();
    flow.take(11, 1).unwrap();
    assert_eq!(flow.settle(11, true), Settled::Waiting);
    assert_eq!((frontier(&flow), flow.unsaved()), (None, None));
    assert_eq!(flow.settle(10, true), Settled::Advanced);
    assert_eq!(frontier(&flow), Some(at(2)));
}

#[test]
fn a_rollback_voids_what_came_after_it_and_keeps_what_came_before() {
    let mut flow = fresh();
    push(&mut flow, &[1, 2, 3, 4]);
    for batch in 10..13 {
        flow.take(batch, 1).unwrap();
    }
    let generation = flow.generation();
    assert_eq!(flow.settle(11, false), Settled::Rewound);
    assert!(!flow.push(generation, vec![draft(5, false, true)], None), "pages of the old course are refused");
    assert_eq!(flow.buffered(), 0);
    // The void batch commits all the same: NiFi has it, we do not count on it.
    assert_eq!(flow.settle(12, true), Settled::Void);
    assert_eq!(flow.settle(12, false), Settled::Void);
    let (_, mark) = flow.restart();
    assert_eq!(mark.done, Some(Done::whole(at(1))), "reading goes on behind the batch that is still open");
    assert_eq!(mark.last_row, at(1).sharded());
    assert_eq!(flow.settle(10, true), Settled::Advanced);
    assert_eq!(frontier(&flow), Some(at(1)));
}

#[test]
fn the_end_counts_only_when_all_is_committed() {
    let mut flow = fresh();
    push(&mut flow, &[1]);
    let generation = flow.generation();
    assert!(flow.push_end(generation, vec!["child".into()]));
    assert_eq!(flow.unsaved(), None);
    flow.take(10, 1).unwrap();
    assert_eq!(flow.settle(10, false), Settled::Rewound);
    assert!(!flow.complete(), "the last page is read again");
    push(&mut flow, &[1]);
    let generation = flow.generation();
    assert!(flow.push_end(generation, vec!["child".into()]));
    flow.take(11, 1).unwrap();
    flow.settle(11, true);
    let checkpoint = flow.unsaved().unwrap();
    assert!(checkpoint.ended);
    assert_eq!(checkpoint.children, ["child".into()]);
    assert!(!flow.is_finished());
    flow.saved(&checkpoint);
    assert!(flow.is_finished());
    assert_eq!(flow.unsaved(), None);
}

#[test]
fn a_stop_before_the_last_batch_leaves_the_end_open() {
    for handed_out in [false, true] {
        let mut flow = fresh();
        push(&mut flow, &[1, 2]);
        let generation = flow.generation();
        flow.push_end(generation, Vec::new());
        flow.take(10, 1).unwrap();
        if handed_out {
            flow.take(11, 1).unwrap();
            flow.settle(10, true);
            flow.void();
        } else {
            flow.stop();
            flow.settle(10, true);
        }
        let checkpoint = flow.unsaved().unwrap();
        assert_eq!((checkpoint.done, checkpoint.ended), (Some(Done::whole(at(1))), false), "{handed_out}");
    }
}

#[test]
fn an_empty_shard_ends_without_a_position() {
    let mut flow = fresh();
    let generation = flow.generation();
    flow.push_end(generation, Vec::new());
    let checkpoint = flow.unsaved().unwrap();
    assert_eq!((checkpoint.done, checkpoint.ended), (None, true));
}

#[test]
fn records_without_content_move_the_frontier_in_their_turn() {
    let mut flow = fresh();
    assert!(flow.push(0, Vec::new(), Some(at(1))));
    assert_eq!(frontier(&flow), Some(at(1)));
    push(&mut flow, &[2]);
    assert!(flow.push(0, Vec::new(), Some(at(3))));
    flow.take(10, 1).unwrap();
    assert!(flow.push(0, Vec::new(), Some(at(4))));
    assert_eq!(frontier(&flow), Some(at(1)));
    flow.settle(10, true);
    assert_eq!(frontier(&flow), Some(at(4)));
    assert_eq!(flow.frontier().last_row, at(2).sharded());
}

#[test]
fn a_batch_does_not_end_inside_a_record() {
    let mut flow = fresh();
    let drafts =
        vec![draft(1, false, false), draft(1, true, false), draft(1, false, true), draft(2, false, true)];
    assert!(flow.push(0, drafts, None));
    assert_eq!(flow.take(10, 1).unwrap().len(), 3);
    assert_eq!(flow.take(11, 1).unwrap().len(), 1);
    assert!(flow.push(0, vec![draft(3, true, false)], None));
    assert!(flow.take(12, 1).is_none());
}

#[test]
fn a_batch_has_a_bounded_number_of_parts() {
    let mut flow = fresh();
    let drafts = (1..=12_500).map(|n| draft(n, true, true)).collect();
    assert!(flow.push(0, drafts, None));
    let counts: Vec<usize> = (10..13).map(|b| flow.take(b, 1 << 20).unwrap().len()).collect();
    assert_eq!(counts, [5_000, 5_000, 2_500]);
}

#[test]
fn previous_names_rows_only() {
    let mut flow = fresh();
    let drafts =
        vec![draft(1, true, true), draft(2, false, true), draft(3, true, true), draft(4, false, true)];
    assert!(flow.push(0, drafts, None));
    let previous: Vec<_> = flow.take(10, 1_000).unwrap().into_iter().map(|(_, p)| p).collect();
    let (zero, two) = (ShardedNumber::zero(), at(2).sharded());
    assert_eq!(previous, [zero.clone(), zero, two.clone(), two]);
    flow.settle(10, true);
    assert_eq!(flow.frontier().last_row, at(4).sharded());
}

/// Steps: 0 read a page, 1 hand out, 2 commit one, 3 roll one back, 4 the reader dies.
fn play(steps: &[(u8, usize)]) -> (Flow, Vec<u64>) {
    let mut flow = fresh();
    let (mut generation, mut next) = (flow.generation(), 1u64);
    let mut open: Vec<(u64, Vec<u64>)> = Vec::new();
    let mut delivered: Vec<u64> = Vec::new();
    let mut batch = 0;
    for (step, choice) in steps {
        if flow.generation() != generation {
            let (g, mark) = flow.restart();
            generation = g;
            next = mark.done.map_or(1, |d| d.position.sequence.as_str().parse::<u64>().unwrap() + 1);
        }
        match step {
            0 => {
                let numbers: Vec<u64> = (next..next + *choice as u64 % 4).collect();
                next += numbers.len() as u64;
                let tail = flow.take_tail(generation, 25);
                let more = numbers.iter().map(|n| draft(*n, n % 5 == 0, true));
                assert!(flow.push(generation, tail.into_iter().chain(more).collect(), None));
            }
            1 => {
                batch += 1;
                if let Some(parts) = flow.take(batch, 1 + choice % 30) {
                    let numbers = parts.iter().map(|(d, _)| d.last.sequence.as_str().parse().unwrap());
                    open.push((batch, numbers.collect()));
                }
            }
            2 | 3 if !open.is_empty() => {
                let (id, numbers) = open.remove(choice % open.len());
                let committed = *step == 2;
                if committed {
                    delivered.extend(&numbers);
                }
                flow.settle(id, committed);
            }
            4 => {
                flow.restart();
            }
            _ => {}
        }
        let done = flow.frontier().done.clone().map_or(0, |d| d.position.sequence.as_str().parse().unwrap());
        for n in 1..=done {
            assert!(delivered.contains(&n), "{n} was passed and not delivered");
        }
    }
    (flow, delivered)
}

proptest! {
    #[test]
    fn nothing_is_passed_that_was_not_delivered(steps in proptest::collection::vec((0u8..5, 0usize..100), 0..200)) {
        play(&steps);
    }

    #[test]
    fn without_rollbacks_everything_is_delivered_once(steps in proptest::collection::vec((0u8..3, 0usize..100), 0..200)) {
        let (_, mut delivered) = play(&steps);
        let count = delivered.len();
        delivered.sort_unstable();
        delivered.dedup();
        prop_assert_eq!(delivered.len(), count);
    }
}
