//! Which uploads a count of rejected rows is charged to.

use super::*;

fn t(n: u64) -> Token {
    n.to_string().parse().unwrap()
}

fn range(start: u64, end: u64) -> Range {
    Range { start: t(start), end: t(end) }
}

fn status(row_errors: u64, bound: Option<u64>) -> ChannelStatus {
    ChannelStatus {
        row_errors,
        last_error_bound: bound.map(|n| n.to_string()),
        last_error_message: Some("bad number".into()),
        ..ChannelStatus::default()
    }
}

fn appends(bodies: &[Range]) -> Vec<Append> {
    let append = |range: &Range| Append {
        start: range.start.clone(),
        token: range.end.clone(),
        reach: range.end.clone(),
    };
    bodies.iter().map(append).collect()
}

fn done(window: &[(Id, Range)], bodies: &[Range]) -> Candidates {
    Candidates { done: window.to_vec(), bodies: appends(bodies), ..Candidates::default() }
}

fn charged(errors: &mut RowErrors, status: &ChannelStatus, window: &[(Id, Range)]) -> Vec<Id> {
    let bodies: Vec<Range> = window.iter().map(|(_, r)| r.clone()).collect();
    let charges = errors.charge(status, &done(window, &bodies), Some(&t(1000)));
    charges.uploads.iter().map(|(id, _)| *id).collect()
}

#[test]
fn one_rejection_is_charged_to_the_append_that_holds_it() {
    let window = [(1, range(1, 10)), (2, range(11, 20)), (3, range(21, 30))];
    for (count, bound, expected) in [
        (7, Some(15), vec![]),
        (8, Some(20), vec![2]),
        (8, Some(15), vec![1, 2]),
        (9, Some(20), vec![1, 2]),
        (8, None, vec![1, 2, 3]),
    ] {
        let mut errors = RowErrors::default();
        errors.baseline(&status(7, None));
        assert_eq!(charged(&mut errors, &status(count, bound), &window), expected, "{count} {bound:?}");
    }
}

#[test]
fn a_rejection_counted_while_its_upload_was_half_committed_is_charged_at_its_end() {
    let mut errors = RowErrors::default();
    errors.baseline(&status(0, None));
    let begun = Candidates {
        begun: vec![range(1, 30)],
        bodies: appends(&[range(1, 10)]),
        more: true,
        ..Candidates::default()
    };
    let charges = errors.charge(&status(1, Some(10)), &begun, Some(&t(10)));
    assert_eq!(charges, Charges::default());
    let charges =
        errors.charge(&status(2, Some(30)), &done(&[(1, range(1, 30))], &[range(11, 30)]), Some(&t(30)));
    let (upload, rejected) = &charges.uploads[0];
    assert_eq!((*upload, rejected.count), (1, 2));
    assert_eq!(rejected.ranges, [(t(1), t(10)), (t(11), t(30))]);
}

#[test]
fn a_shared_body_makes_all_its_uploads_suspects() {
    let mut errors = RowErrors::default();
    errors.baseline(&status(0, None));
    let window = [(1, range(1, 10)), (2, range(11, 20)), (3, range(21, 30))];
    let bodies = [range(1, 20), range(21, 30)];
    let charges = errors.charge(&status(1, Some(20)), &done(&window, &bodies), Some(&t(30)));
    assert_eq!(charges.uploads.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_is_shared_is_counted_once() {
    let mut errors = RowErrors::default();
    errors.baseline(&status(0, None));
    let window = [(1, range(1, 10)), (2, range(11, 20)), (3, range(21, 30))];
    let charges = errors.charge(&status(4, None), &done(&window, &[range(1, 30)]), Some(&t(30)));
    let counts: Vec<u64> = charges.uploads.iter().map(|(_, rejected)| rejected.count).collect();
    assert_eq!(counts, [4, 0, 0]);
    assert!(charges.uploads[2].1.message.contains("rejected 4 row(s)"), "{charges:?}");
    // Come again, because NiFi did not keep what was told: the same.
    let again = |start, end| errors.known(&t(start), &t(end)).unwrap().count;
    assert_eq!((again(1, 10), again(11, 20)), (4, 0));
}

#[test]
fn a_count_that_runs_ahead_of_the_commit_waits_for_it() {
    let mut errors = RowErrors::default();
    errors.baseline(&status(0, None));
    let more = Candidates { more: true, ..Candidates::default() };
    let early = errors.charge(&status(1, Some(20)), &more, Some(&t(10)));
    assert_eq!(early, Charges::default());
    assert_eq!(charged(&mut errors, &status(1, Some(20)), &[(5, range(11, 20))]), [5]);
}

#[test]
fn a_count_that_runs_ahead_is_charged_to_what_is_under_way_too() {
    for (count, expected) in [(1, vec![2]), (2, vec![1, 2])] {
        let mut errors = RowErrors::default();
        errors.baseline(&status(0, None));
        let first = Candidates {
            begun: vec![range(11, 20)],
            more: true,
            ..done(&[(1, range(1, 10))], &[range(1, 10)])
        };
        let second = done(&[(2, range(11, 20))], &[range(11, 20)]);
        let mut charged = Vec::new();
        for (candidates, committed) in [(&first, 10), (&second, 20)] {
            let charges = errors.charge(&status(count, Some(20)), candidates, Some(&t(committed)));
            charged.extend(charges.uploads.into_iter().map(|(id, _)| id));
        }
        assert_eq!(charged, expected, "{count} rejected");
    }
}

#[test]
fn rejections_of_an_upload_that_was_abandoned_are_told_when_it_comes_again() {
    let mut errors = RowErrors::default();
    errors.baseline(&status(0, None));
    // Of the rows from 11 on nobody is known now.
    let bodies = [range(1, 10), range(11, 20)];
    let charges = errors.charge(&status(2, Some(20)), &done(&[(1, range(1, 10))], &bodies), Some(&t(20)));
    assert_eq!((charges.uploads.len(), charges.stray), (1, 0));
    assert!(errors.known(&t(11), &t(20)).is_some());
    assert!(errors.known(&t(21), &t(30)).is_none());
}

#[test]
fn rejections_of_others_are_stray_and_remembered() {
    let mut errors = RowErrors::default();
    errors.baseline(&status(0, None));
    let charges = errors.charge(&status(2, Some(20)), &Candidates::default(), Some(&t(20)));
    assert_eq!(charges.stray, 2);
    assert!(errors.known(&t(15), &t(25)).is_some());
    assert!(errors.known(&t(1), &t(5)).is_none());
}

#[test]
fn reports_lie_next_to_each_other_and_hold_what_was_counted() {
    let mut errors = RowErrors::default();
    errors.charge(&status(7, None), &Candidates::default(), Some(&t(10)));
    let mut report = |count, window: &[(Id, Range)], committed| {
        let charges = errors.charge(&status(count, None), &done(window, &[]), Some(&t(committed)));
        charges.uploads.first().map(|(_, rejected)| rejected.reports.clone())
    };
    let told = |count, after, upto, charged| {
        let (after, upto) = (Some(t(after)), Some(t(upto)));
        Some(vec![(Report { count, after, upto, extent: Extent::Exact }, charged)])
    };
    assert_eq!(report(9, &[(1, range(11, 20)), (2, range(21, 30))], 30), told(2, 10, 30, 2));
    assert_eq!(report(9, &[(3, range(31, 40))], 40), None);
    assert_eq!(report(10, &[(4, range(41, 50))], 50), told(1, 40, 50, 1));
    assert_eq!(report(10, &[(2, range(21, 30))], 50), told(2, 10, 30, 0), "come again, charged to another");
}

#[test]
fn a_new_channel_counts_from_its_own_beginning() {
    let mut errors = RowErrors::default();
    errors.baseline(&status(9, None));
    assert!(charged(&mut errors, &status(0, None), &[(1, range(1, 2))]).is_empty());
    assert_eq!(charged(&mut errors, &status(1, None), &[(1, range(1, 2))]), [1]);
}
