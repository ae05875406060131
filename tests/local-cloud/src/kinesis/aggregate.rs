//! Records as the Kinesis Producer Library packs them.

use bytes::Bytes;
use md5::{Digest as _, Md5};

/// First bytes of an aggregate.
const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// Packs user records, each with its partition key, into the payload of one Kinesis record: magic bytes, an
/// `AggregatedRecord` in Protocol Buffers, MD5 of it
/// (<https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>).
#[must_use]
pub fn kpl_aggregate<'a>(records: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Bytes {
    let mut keys: Vec<&str> = Vec::new();
    let mut packed = Vec::new();
    for (key, data) in records {
        let at = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            keys.push(key);
            keys.len() - 1
        });
        let mut record = vec![0x08];
        varint(&mut record, at as u64);
        field(&mut record, 0x1a, data);
        field(&mut packed, 0x1a, &record);
    }
    let mut message = Vec::with_capacity(packed.len() + 64);
    for key in keys {
        field(&mut message, 0x0a, key.as_bytes());
    }
    message.extend_from_slice(&packed);
    let mut out = Vec::with_capacity(message.len() + 20);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&message);
    out.extend_from_slice(&Md5::digest(&message));
    Bytes::from(out)
}

/// A length-delimited field under its tag byte.
fn field(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregate_has_the_published_layout() {
        let bytes = kpl_aggregate([("a", b"1".as_slice()), ("b", b"2"), ("a", b"3")]);
        let message =
            b"\x0a\x01a\x0a\x01b\x1a\x05\x08\x00\x1a\x011\x1a\x05\x08\x01\x1a\x012\x1a\x05\x08\x00\x1a\x013";
        assert_eq!(bytes[..4], MAGIC);
        assert_eq!(&bytes[4..bytes.len() - 16], message);
        assert_eq!(bytes[bytes.len() - 16..], Md5::digest(message)[..]);
    }
}
