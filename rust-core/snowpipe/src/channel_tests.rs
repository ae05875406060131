use std::sync::mpsc;
use std::thread;

use super::*;
use crate::machine::Token;

const UPLOAD: Id = 1;
/// Far beyond the deadline of a test.
const PATIENCE: Duration = Duration::from_secs(600);
const DEADLINE: Duration = Duration::from_secs(20);

/// A line that does not compress.
fn noise(state: &mut u64) -> Vec<u8> {
    let mut line = b"{\"t\":\"".to_vec();
    line.extend((0..100_000).map(|_| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b'0' + (*state >> 60) as u8
    }));
    line.extend(b"\"}\n");
    line
}

/// A channel that nobody empties, with as much as it may hold.
fn full_channel() -> Channel {
    let pipe = PipePath { database: "D".to_owned(), schema: "S".to_owned(), pipe: "P".to_owned() };
    // Nobody listens.
    let (events, _) = tokio::sync::mpsc::unbounded_channel();
    let channel = Channel::new(pipe, "c".to_owned(), None, events, &Compressors::new(1), "");
    let token: Token = "1".parse().unwrap();
    let job =
        Job { upload: UPLOAD, start: token.clone(), end: token.clone(), floor: None, before: token, size: 0 };
    channel.start(job, None);
    let mut state = 1;
    while channel.write(UPLOAD, &noise(&mut state), Duration::ZERO).is_ok() {}
    channel
}

#[test]
fn a_body_that_is_asked_for_follows_what_was_closed_before() {
    let (events, mut told) = tokio::sync::mpsc::unbounded_channel();
    let pipe = PipePath { database: "D".to_owned(), schema: "S".to_owned(), pipe: "P".to_owned() };
    let channel = Channel::new(pipe, "c".to_owned(), None, events, &Compressors::new(1), "");
    let ready = Arc::default();
    for upload in 1..=3 {
        let token: Token = upload.to_string().parse().unwrap();
        let (start, end, before) = (token.clone(), token, Token::zero());
        channel.start(Job { upload, start, end, floor: None, before, size: 4 << 20 }, None);
        let rows = b"{\"a\":\"bcdefghijklmnopqrstuvwxyz\"}\n".repeat((4 << 20) / 36);
        channel.write(upload, &rows, PATIENCE).unwrap();
        channel.finish(upload, &Cell::new(String::new(), 0, (Arc::clone(&ready), upload)));
    }
    channel.seal();
    let mut order = Vec::new();
    while let Ok(event) = told.try_recv() {
        order.push(match event {
            Event::Cut { body } => format!("body {} to {}", body.id, body.last),
            Event::Finished { upload, .. } => format!("end of {upload}"),
            other => format!("{other:?}"),
        });
    }
    let wanted = ["end of 1", "body 1 to 1", "end of 2", "body 2 to 2", "end of 3", "body 3 to 3"];
    assert_eq!(order, wanted);
}

#[test]
fn a_stop_that_is_near_sends_waiting_writers_back() {
    let channel = full_channel();
    let (told, answers) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| told.send(channel.write(UPLOAD, b"{}\n", PATIENCE)));
        assert!(answers.recv_timeout(Duration::from_millis(50)).is_err(), "it waits for room");
        channel.hurry();
        let answer = answers.recv_timeout(DEADLINE);
        // Lets the writer go in any case, so that the test ends.
        channel.close();
        assert!(matches!(answer, Ok(Err(SinkError::Congested(UPLOAD, _)))), "{answer:?}");
    });
}

/// Compressed sizes of the bodies that rows that hardly compress come to.
fn body_sizes(
    channel: &Channel,
    told: &mut tokio::sync::mpsc::UnboundedReceiver<Event>,
    upload: Id,
) -> Vec<u64> {
    let token: Token = upload.to_string().parse().unwrap();
    let (start, end, before) = (token.clone(), token, Token::zero());
    channel.start(Job { upload, start, end, floor: None, before, size: 0 }, None);
    let mut state = upload;
    for _ in 0..60 {
        channel.write(upload, &noise(&mut state), PATIENCE).unwrap();
    }
    channel.finish(upload, &Cell::new(String::new(), 0, (Arc::default(), upload)));
    channel.seal();
    let mut sizes = Vec::new();
    while let Ok(event) = told.try_recv() {
        if let Event::Cut { body } = event {
            channel.drop_body(body.id);
            sizes.push(body.size);
        }
    }
    sizes
}

#[test]
fn after_an_append_that_did_not_get_through_bodies_are_smaller() {
    let (events, mut told) = tokio::sync::mpsc::unbounded_channel();
    let pipe = PipePath { database: "D".to_owned(), schema: "S".to_owned(), pipe: "P".to_owned() };
    let channel = Channel::new(pipe, "c".to_owned(), None, events, &Compressors::new(1), "");
    let before = body_sizes(&channel, &mut told, 1);
    let largest = *before.iter().max().unwrap();
    assert!(largest > 2_000_000, "{before:?}");
    channel.too_slow(usize::try_from(largest).unwrap(), 20_000_000);
    let after = body_sizes(&channel, &mut told, 2);
    assert!(after.iter().all(|size| *size <= largest / 2 + 1_000), "{before:?} {after:?}");
}
