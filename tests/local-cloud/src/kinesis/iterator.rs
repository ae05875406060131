//! Shard iterators: opaque text that says where to go on reading, valid for five minutes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long an iterator may be used, as on AWS.
pub(crate) const LIFE_MS: i64 = 300_000;

/// A place in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Iterator {
    pub(crate) stream: String,
    /// Tells a stream from a later one of the same name.
    pub(crate) stream_created_ms: i64,
    pub(crate) shard: u32,
    pub(crate) ordinal: u64,
    pub(crate) issued_ms: i64,
}

impl Iterator {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = vec![1u8];
        bytes.extend_from_slice(&self.stream_created_ms.to_be_bytes());
        bytes.extend_from_slice(&self.shard.to_be_bytes());
        bytes.extend_from_slice(&self.ordinal.to_be_bytes());
        bytes.extend_from_slice(&self.issued_ms.to_be_bytes());
        bytes.extend_from_slice(self.stream.as_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body).to_be_bytes() != *sum {
            return None;
        }
        let (version, rest) = body.split_first()?;
        let (created, rest) = rest.split_first_chunk::<8>()?;
        let (shard, rest) = rest.split_first_chunk::<4>()?;
        let (ordinal, rest) = rest.split_first_chunk::<8>()?;
        let (issued, stream) = rest.split_first_chunk::<8>()?;
        (*version == 1).then_some(())?;
        Some(Self {
            stream: String::from_utf8(stream.to_vec()).ok()?,
            stream_created_ms: i64::from_be_bytes(*created),
            shard: u32::from_be_bytes(*shard),
            ordinal: u64::from_be_bytes(*ordinal),
            issued_ms: i64::from_be_bytes(*issued),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_changed_text() {
        let iterator = Iterator {
            stream: "orders".into(),
            stream_created_ms: 17,
            shard: 3,
            ordinal: 1 << 40,
            issued_ms: 99,
        };
        let text = iterator.encode();
        assert_eq!(Iterator::decode(&text), Some(iterator));
        assert_eq!(Iterator::decode(&text[1..]), None);
        assert_eq!(Iterator::decode("invalid"), None);
        assert_eq!(Iterator::decode(""), None);
    }
}
