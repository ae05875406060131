use proptest::prelude::*;

use super::*;

fn token(n: u64) -> Token {
    n.to_string().parse().unwrap()
}

fn job(upload: Id, start: u64, end: u64, floor: Option<u64>) -> Job {
    let (floor, before) = (floor.map(token), token(start - 1));
    Job { upload, start: token(start), end: token(end), size: 0, floor, before }
}

fn row(n: u64, length: usize, noise: bool) -> String {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let text: String = (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let letter = (state >> 58) as u8;
            if noise { char::from(b'0' + letter) } else { 'a' }
        })
        .filter(|c| *c != '\\' && *c != '"')
        .collect();
    format!("{{\"n\":\"{n}\",\"t\":\"{text}\"}}\n")
}

/// Writes in pieces and closes everything.
fn bodies(assembler: &mut Assembler, job: Job, content: &[u8], piece: usize) -> (Counts, Vec<Sealed>) {
    assembler.start(job);
    let mut sealed = Vec::new();
    for piece in content.chunks(piece) {
        sealed.extend(assembler.write(piece).unwrap());
    }
    let finished = assembler.finish().unwrap();
    let counts = finished.counts;
    sealed.extend(finished.sealed);
    sealed.extend(assembler.seal().unwrap());
    (counts, sealed)
}

fn content(sealed: &[Sealed]) -> String {
    let bytes = sealed.iter().flat_map(|s| zstd::decode_all(s.bytes.as_ref()).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn bodies_hold_exactly_the_rows_above_the_floor(
        lengths in prop::collection::vec((0usize..300_000, any::<bool>()), 1..60),
        piece in prop::sample::select(vec![1_000usize, 7_919, 65_536, 262_144]),
        floor in 0u64..70,
        last_line_feed in any::<bool>(),
    ) {
        let rows: Vec<String> =
            lengths.iter().zip(1..).map(|((length, noise), n)| row(n, *length, *noise)).collect();
        let count = rows.len() as u64;
        let mut input = rows.concat();
        if !last_line_feed {
            input.pop();
        }
        let mut assembler = Assembler::new(Compressors::new(1), "/n");
        let floor = (floor > 0 && floor < count).then_some(floor);
        let (counts, sealed) = bodies(&mut assembler, job(1, 1, count, floor), input.as_bytes(), piece);
        let skipped = floor.unwrap_or(0);
        prop_assert_eq!(counts, Counts { sent: count - skipped, skipped, refused: 0 });
        prop_assert_eq!(content(&sealed), rows[usize::try_from(skipped).unwrap()..].concat());
        let mut next = skipped + 1;
        for one in &sealed {
            prop_assert!(one.bytes.len() <= COMPRESSED_LIMIT);
            let text = content(std::slice::from_ref(one));
            prop_assert_eq!(one.body.raw, text.len() as u64);
            let lines = text.lines().count() as u64;
            prop_assert_eq!(&one.body.first, &token(next));
            next += lines;
            prop_assert_eq!(&one.body.last, &token(next - 1));
        }
    }
}

#[test]
fn small_uploads_share_a_body_until_it_is_asked_for() {
    let mut assembler = Assembler::new(Compressors::new(3), "/n");
    for n in 1..=5 {
        assembler.start(job(n, n, n, None));
        assert!(assembler.write(row(n, 10, false).as_bytes()).unwrap().is_empty());
        assembler.finish().unwrap();
    }
    assembler.start(job(6, 6, 6, None));
    let sealed = assembler.seal().unwrap().unwrap();
    assert_eq!((sealed.body.first, sealed.body.last), (token(1), token(5)));
    assembler.write(row(6, 10, false).as_bytes()).unwrap();
    assert!(assembler.seal().unwrap().is_none(), "an upload in the middle is not cut off");
    assembler.finish().unwrap();
    let sealed = assembler.seal().unwrap().unwrap();
    assert_eq!((sealed.body.first, sealed.body.last), (token(6), token(6)));
}

#[test]
fn only_the_row_that_fits_nowhere_is_left_out() {
    for (length, noise, refused) in [(5_500_000, true, 1), (9_000_000, false, 0), (17_000_000, false, 1)] {
        let mut assembler = Assembler::new(Compressors::new(1), "/n");
        let input = [row(1, 10, false), row(2, length, noise), row(3, 10, false)].concat();
        let (counts, sealed) = bodies(&mut assembler, job(1, 1, 3, None), input.as_bytes(), 65_536);
        assert_eq!((counts.sent, counts.refused), (3 - refused, refused), "{length}");
        assert!(sealed.iter().all(|s| s.bytes.len() <= COMPRESSED_LIMIT));
        assert_eq!(content(&sealed).lines().count() as u64, 3 - refused);
        assert_eq!(sealed.last().unwrap().body.last, token(3));
    }
}

#[test]
fn a_row_without_token_is_named_when_its_token_is_needed() {
    let mut assembler = Assembler::new(Compressors::new(1), "/n");
    assembler.start(job(1, 1, 9, Some(3)));
    let error = assembler.write(b"{\"n\":1}\n{\"x\":2}\n").unwrap_err();
    assert!(error.starts_with("row 2: "), "{error}");
}

#[test]
fn without_row_tokens_only_the_end_of_an_upload_is_a_token() {
    let mut assembler = Assembler::new(Compressors::new(1), "");
    let input: String = (1..=40).map(|n| row(n, 300_000, true)).collect();
    let (counts, sealed) = bodies(&mut assembler, job(1, 70, 70, None), input.as_bytes(), 65_536);
    assert_eq!(counts.sent, 40);
    assert!(sealed.len() > 1);
    let (last, others) = sealed.split_last().unwrap();
    assert_eq!(last.body.last, token(70));
    assert!(others.iter().all(|s| s.body.last == token(69) && s.body.first == token(69)));
    assert!(sealed.iter().all(|s| s.body.reach == token(70)));
}

#[test]
fn without_row_tokens_a_body_reaches_to_the_upload_it_is_closed_in() {
    let mut assembler = Assembler::new(Compressors::new(1), "");
    assembler.start(job(1, 70, 70, None));
    assert!(assembler.write(row(1, 10, false).as_bytes()).unwrap().is_empty());
    assembler.finish().unwrap();
    let mut next = job(2, 80, 80, None);
    next.before = token(70);
    let input: String = (1..=20).map(|n| row(n, 300_000, true)).collect();
    let (_, sealed) = bodies(&mut assembler, next, input.as_bytes(), 65_536);
    let tokens = |body: &Body| [&body.first, &body.last, &body.reach].map(Clone::clone);
    assert_eq!(tokens(&sealed[0].body), [token(70), token(70), token(80)]);
    for part in assembler.split(&sealed[0].body, &sealed[0].bytes).unwrap() {
        assert_eq!(part.body.reach, token(80));
    }
}

#[test]
fn a_body_is_split_at_a_row() {
    let mut assembler = Assembler::new(Compressors::new(1), "/n");
    let input: String = (1..=9).map(|n| row(n, 100, true)).collect();
    let (_, sealed) = bodies(&mut assembler, job(1, 1, 9, None), input.as_bytes(), 100);
    let parts = assembler.split(&sealed[0].body, &sealed[0].bytes).unwrap();
    assert_eq!(content(&parts), input);
    assert_eq!((&parts[0].body.first, &parts[1].body.last), (&token(1), &token(9)));
    assert!(parts[0].body.last < parts[1].body.first);
    assert!(parts.iter().all(|part| part.body.reach == part.body.last));
    let (_, single) = bodies(&mut assembler, job(2, 10, 10, None), row(10, 100, true).as_bytes(), 100);
    assert!(assembler.split(&single[0].body, &single[0].bytes).unwrap().is_empty());
}

#[test]
fn a_discarded_body_leaves_no_trace() {
    let mut assembler = Assembler::new(Compressors::new(1), "/n");
    assembler.start(job(1, 1, 5, None));
    assembler.write(row(1, 1000, true).as_bytes()).unwrap();
    assembler.discard();
    assert!(assembler.write(row(2, 10, false).as_bytes()).unwrap().is_empty());
    let (counts, sealed) = bodies(&mut assembler, job(2, 7, 7, None), row(7, 10, false).as_bytes(), 5);
    assert_eq!(counts.sent, 1);
    assert_eq!(content(&sealed), row(7, 10, false));
}

#[test]
fn the_layout_says_where_the_rows_of_each_body_are() {
    let mut assembler = Assembler::new(Compressors::new(1), "/n");
    let lengths = [10, 3_000_000, 5_500_000, 20, 2_500_000, 17_000_000, 30];
    let rows: Vec<String> =
        lengths.iter().zip(1..).map(|(length, n)| row(n, *length, *length < 10_000_000)).collect();
    let input = rows.concat();
    assembler.start(job(1, 1, 7, None));
    let mut sealed = Vec::new();
    for piece in input.as_bytes().chunks(70_001) {
        sealed.extend(assembler.write(piece).unwrap());
    }
    let finished = assembler.finish().unwrap();
    let text = |offset: u64, length: u64| {
        let (start, length) = (usize::try_from(offset).unwrap(), usize::try_from(length).unwrap());
        input[start..start + length].to_owned()
    };
    let layout = finished.layout;
    let refused: Vec<(String, Option<Token>)> =
        layout.refused.iter().map(|r| (text(r.offset, r.length), r.token.clone())).collect();
    assert!(refused == [(rows[2].clone(), Some(token(3))), (rows[5].clone(), None)]);
    let found: String = layout.runs.iter().map(|run| text(run.offset, run.length)).collect();
    assert!(found == [0, 1, 3, 4, 6].map(|at| rows[at].clone()).concat());
    assert_eq!(layout.runs.iter().map(|run| run.rows).sum::<u64>(), 5);
    assert_eq!(layout.runs.last().unwrap().last, token(7));
    assert!(layout.runs.windows(2).all(|pair| pair[0].last <= pair[1].last));
}

#[test]
fn a_row_that_was_refused_is_found_again_when_the_channel_has_passed_it() {
    let mut assembler = Assembler::new(Compressors::new(1), "/n");
    let input = [row(1, 10, false), row(2, 5_500_000, true), row(3, 10, false), row(4, 10, false)].concat();
    let (counts, _) = bodies(&mut assembler, job(1, 1, 4, Some(3)), input.as_bytes(), 65_536);
    assert_eq!((counts.sent, counts.skipped, counts.refused), (1, 2, 1));
}

#[test]
fn a_row_that_fits_nowhere_leaves_the_open_body_as_it_is() {
    for pointer in ["/n", ""] {
        let mut assembler = Assembler::new(Compressors::new(1), pointer);
        let good: String = (1..=8).map(|n| row(n, 100, true)).collect();
        let input = good.clone() + &row(9, 6_000_000, true);
        let (counts, sealed) = bodies(&mut assembler, job(1, 1, 9, None), input.as_bytes(), 65_536);
        assert_eq!((counts.sent, counts.refused, sealed.len()), (8, 1, 1), "{pointer}");
        assert_eq!((content(&sealed), &sealed[0].body.last), (good, &token(9)), "{pointer}");
    }
}

#[test]
fn rows_whose_tokens_were_not_announced_are_not_trusted() {
    let refusal = |pointer: &str, job: Job, rows: u64, length: usize| {
        let mut assembler = Assembler::new(Compressors::new(1), pointer);
        assembler.start(job);
        let content: String = (1..=rows).map(|n| row(n, length, true)).collect();
        let written =
            content.as_bytes().chunks(65_536).try_for_each(|piece| assembler.write(piece).map(drop));
        written.and_then(|()| assembler.finish().map(drop)).unwrap_err()
    };
    // A pointer to another number: trimmed by it, every row would be left out.
    let trimmed = refusal("/n", job(1, 500, 560, Some(520)), 9, 100);
    assert!(trimmed.starts_with("row 1: /n is 1, but the FlowFile's rows go from 500 to 560"), "{trimmed}");
    for (job, rows, length) in [
        // In one body, and in several, whose tokens the channel would move to.
        (job(1, 500, 560, None), 9, 100),
        (job(1, 500, 560, None), 80, 300_000),
        (job(1, 1, 8, None), 9, 100),
        (job(1, 1, 8, Some(3)), 9, 100),
    ] {
        let text = refusal("/n", job, rows, length);
        assert!(text.contains("check Offset Token Record Pointer"), "{text}");
    }
}

#[test]
fn what_the_channel_has_passed_is_looked_at_for_rows_that_fit_nowhere_and_nothing_is_sent() {
    // It fits with a higher level, which may be set since the row was refused.
    let chunk = row(2, 3_000_000, true);
    let large = format!("{{\"n\":2,\"t\":\"{chunk}{chunk}\"}}", chunk = chunk.replace(['"', '\n'], ""));
    let input = format!("{}{large}\nno JSON\n{}", row(1, 10, false), row(4, 10, false));
    for (pointer, level) in [("/n", 1), ("", 1), ("/n", 12)] {
        let mut assembler = Assembler::new(Compressors::new(level), pointer);
        let (counts, sealed) = bodies(&mut assembler, job(1, 1, 3, Some(3)), input.as_bytes(), 65_536);
        assert_eq!(counts, Counts { sent: 0, skipped: 3, refused: 1 }, "{pointer} {level}");
        assert!(sealed.is_empty());
    }
}

#[test]
fn a_row_that_repeats_itself_only_far_apart_is_measured_as_it_would_be_sent() {
    // Twenty times the same 300 kB: next to nothing where all of it is looked at, 4.5 MB as a stream makes it.
    let chunk = row(7, 300_000, true).replace(['"', '\n'], "");
    let input = format!("{{\"n\":1,\"t\":\"{}\"}}\n{}", chunk.repeat(20), row(2, 10, false));
    let mut assembler = Assembler::new(Compressors::new(1), "/n");
    let (counts, sealed) = bodies(&mut assembler, job(1, 1, 2, None), input.as_bytes(), 65_536);
    assert_eq!(counts, Counts { sent: 1, skipped: 0, refused: 1 });
    assert!(sealed.iter().all(|one| one.bytes.len() <= COMPRESSED_LIMIT));
    assert_eq!(content(&sealed), row(2, 10, false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn halves_hold_the_rows_of_the_whole_and_their_tokens_meet(
        lengths in prop::collection::vec((0usize..60_000, any::<bool>()), 2..30),
        empty_lines in prop::collection::vec(0usize..30, 0..4),
        tracked in any::<bool>(),
    ) {
        let rows: Vec<String> = lengths.iter().zip(1..).map(|((length, noise), n)| row(n, *length, *noise)).collect();
        let mut lines = rows.clone();
        for at in empty_lines {
            lines.insert(at.min(lines.len()), "\n".to_owned());
        }
        let count = rows.len() as u64;
        let mut assembler = Assembler::new(Compressors::new(1), if tracked { "/n" } else { "" });
        let (_, sealed) = bodies(&mut assembler, job(1, 1, count, None), lines.concat().as_bytes(), 65_536);
        prop_assert_eq!(sealed.len(), 1);
        let parts = assembler.split(&sealed[0].body, &sealed[0].bytes).unwrap();
        prop_assert_eq!(parts.len(), 2);
        let rows_of = |parts: &[Sealed]| content(parts).lines().filter(|l| !l.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let (first, second) = (rows_of(&parts[..1]), rows_of(&parts[1..]));
        prop_assert!(!first.is_empty() && !second.is_empty());
        prop_assert_eq!(first.len() + second.len(), rows.len());
        prop_assert_eq!(content(&parts), content(&sealed));
        prop_assert_eq!(parts[0].body.raw + parts[1].body.raw, sealed[0].body.raw);
        let ends = [&parts[0].body.first, &parts[0].body.last, &parts[1].body.first, &parts[1].body.last];
        let middle = first.len() as u64;
        match tracked {
            true => prop_assert_eq!(ends.map(Clone::clone), [1, middle, middle + 1, count].map(token)),
            false => prop_assert_eq!(ends.map(Clone::clone), [token(0), token(0), token(1), token(count)]),
        }
        prop_assert!(parts[0].body.raw <= sealed[0].body.raw / 2 || first.len() == 1);
    }
}
