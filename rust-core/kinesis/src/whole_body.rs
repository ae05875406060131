//! An answer's body in one piece of memory.
//!
//! The SDK collects the pieces of a body as they come from the network and copies them together at the end: the answer is
//! there twice, and the pieces keep the buffers of the connection, which are larger than they. Here each piece is copied
//! into its place as soon as it comes, and the buffer of the connection is free for the next. The places are used again:
//! memory that is fresh from the system costs more than the copy into it.

use crate::shard::lock;
use aws_sdk_kinesis::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_types::body::SdkBody;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

/// No more is reserved because a header says so: the largest payloads of an answer, and what CBOR and base64 add.
const MOST_RESERVED: usize = 16 << 20;
/// Smaller places are as cheap from the allocator.
const WORTH_KEEPING: usize = 64 << 10;

/// Collects the bodies of answers that tell their length. Not for event streams.
#[derive(Debug)]
pub(crate) struct WholeBodies(Arc<Places>);

/// Memory of bodies, in use or not.
#[derive(Debug)]
struct Places {
    /// Bytes kept at most.
    most: usize,
    kept: Mutex<Vec<Place>>,
}

#[derive(Debug)]
struct Place {
    /// Empty; shares its memory with the records of the body that was in it last, as long as there are any.
    memory: BytesMut,
    size: usize,
}

impl WholeBodies {
    /// Keeps at most `most` bytes for bodies to come.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Places { most, kept: Mutex::default() }))
    }
}

#[dyn_dispatch_hint]
impl Intercept for WholeBodies {
    fn name(&self) -> &'static str {
        "WholeBodies"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let length = response.headers().get("content-length").and_then(|text| text.parse().ok());
        if let Some(length) = length.filter(|length| (1..=MOST_RESERVED).contains(length)) {
            let pieces = Box::pin(std::mem::replace(response.body_mut(), SdkBody::taken()));
            let place = Place { memory: BytesMut::new(), size: 0 };
            let whole = Whole { pieces, length, place, places: Arc::clone(&self.0) };
            *response.body_mut() = SdkBody::from_body_1_x(whole);
        }
        Ok(())
    }
}

impl Places {
    /// An empty place for `length` bytes.
    fn find(&self, length: usize) -> Place {
        let mut kept = lock(&self.kept);
        // The latest first: its memory is likeliest in the processor's cache.
        let found = kept.iter_mut().rposition(|place| {
            place.size >= length && place.size / 4 <= length && place.memory.try_reclaim(length)
        });
        match found {
            Some(index) => kept.remove(index),
            None => Place { memory: BytesMut::with_capacity(length), size: length },
        }
    }

    /// Keeps a place, whose memory may still be in use, instead of the oldest ones.
    fn keep(&self, place: Place) {
        if !(WORTH_KEEPING..=self.most).contains(&place.size) {
            return;
        }
        let mut kept = lock(&self.kept);
        let mut bytes = place.size + kept.iter().map(|place| place.size).sum::<usize>();
        while bytes > self.most && !kept.is_empty() {
            bytes -= kept.remove(0).size;
        }
        kept.push(place);
    }
}

/// A body that yields once.
struct Whole {
    pieces: Pin<Box<SdkBody>>,
    length: usize,
    place: Place,
    places: Arc<Places>,
}

impl Whole {
    fn take(&mut self) -> Bytes {
        let mut place = std::mem::replace(&mut self.place, Place { memory: BytesMut::new(), size: 0 });
        let bytes = place.memory.split().freeze();
        self.places.keep(place);
        bytes
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            match ready!(self.pieces.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    if self.place.size == 0 {
                        if piece.len() >= self.length && piece.len() < WORTH_KEEPING {
                            return Poll::Ready(Some(Ok(Frame::data(piece))));
                        }
                        self.place = self.places.find(self.length);
                    }
                    self.place.memory.extend_from_slice(&piece);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.place.memory.is_empty() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Ok(Frame::data(self.take())))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of `length` bytes, and the place it was in.
    fn fill(places: &Places, length: usize) -> Bytes {
        let mut place = places.find(length);
        place.memory.resize(length, 7);
        let bytes = place.memory.split().freeze();
        places.keep(place);
        bytes
    }

    #[test]
    fn memory_is_used_again_once_no_record_is_in_it() {
        let places = Places { most: 1 << 20, kept: Mutex::default() };
        let first = fill(&places, 200_000);
        let record = first.slice(100..200);
        let address = first.as_ptr();
        drop(first);
        let second = fill(&places, 150_000);
        assert_ne!(second.as_ptr(), address, "a record is in the memory");
        drop(record);
        drop(second);
        let bodies = [fill(&places, 190_000), fill(&places, 100_000)];
        assert!(bodies.iter().any(|body| body.as_ptr() == address));
        assert_eq!(lock(&places.kept).len(), 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let places = Places { most: 500_000, kept: Mutex::default() };
        let bodies: Vec<Bytes> = (0..10).map(|_| fill(&places, 200_000)).collect();
        drop(bodies);
        drop(fill(&places, 600_000));
        assert!(lock(&places.kept).iter().map(|place| place.size).sum::<usize>() <= 500_000);
    }
}
