//! Request bodies: plain, gzip or zstd.

use std::io::Read;

use bytes::Bytes;

/// Decoded size at which a body is refused as hostile.
const MOST_DECODED: u64 = 512 * 1024 * 1024;

/// Why a body cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// `Content-Encoding` is not plain, gzip or zstd.
    Encoding(String),
    /// The bytes are not what the encoding says.
    Corrupt,
    /// Too large once decoded.
    TooLarge,
}

/// Decodes a body by its `Content-Encoding`.
pub(crate) fn decode(body: Bytes, encoding: &str) -> Result<Bytes, BodyError> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(body),
        "gzip" => read(flate2::read::MultiGzDecoder::new(&body[..])),
        "zstd" => read(zstd::Decoder::with_buffer(&body[..]).map_err(|_| BodyError::Corrupt)?),
        other => Err(BodyError::Encoding(other.to_owned())),
    }
}

fn read(decoder: impl Read) -> Result<Bytes, BodyError> {
    let mut decoded = Vec::new();
    let read = decoder.take(MOST_DECODED + 1).read_to_end(&mut decoded).map_err(|_| BodyError::Corrupt)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MOST_DECODED {
        return Err(BodyError::TooLarge);
    }
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn each_encoding_decodes_and_garbage_does_not() {
        let rows = Bytes::from_static(b"{\"a\":1}\n{\"a\":2}\n");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&rows).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&rows[..], 1).unwrap();
        // Two frames in a row are one stream, as a client makes them that compresses chunk by chunk.
        let twice = [zstd.clone(), zstd.clone()].concat();
        for (body, encoding, expected) in [
            (rows.to_vec(), "", rows.to_vec()),
            (gzip, "gzip", rows.to_vec()),
            (zstd, "ZSTD", rows.to_vec()),
            (twice, "zstd", rows.repeat(2)),
        ] {
            assert_eq!(decode(body.into(), encoding).unwrap(), expected, "{encoding}");
        }
        assert_eq!(decode(rows.clone(), "zstd"), Err(BodyError::Corrupt));
        assert_eq!(decode(rows.clone(), "gzip"), Err(BodyError::Corrupt));
        assert_eq!(decode(rows, "br"), Err(BodyError::Encoding("br".into())));
    }
}
