//! FlowFile content as it comes: plain NDJSON, or compressed with zstd or gzip, told by its first bytes.

use std::io::Write as _;

use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Decompressed bytes handed on at once.
const OUTPUT: usize = 128 << 10;
/// Compressed bytes taken at once, so that a small input cannot become a huge buffer.
const GZIP_INPUT: usize = 4 << 10;

/// Decodes the content of one upload piece by piece.
pub(crate) enum Inflate {
    /// Too few bytes to tell.
    Unknown(Vec<u8>),
    Plain,
    Zstd {
        decoder: Box<Decoder<'static>>,
        open: bool,
    },
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Default for Inflate {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

impl Inflate {
    /// Takes `bytes` and hands decoded pieces to `take`.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        if let Self::Unknown(begun) = self {
            begun.extend_from_slice(bytes);
            if begun.len() < ZSTD.len() {
                return Ok(());
            }
            let begun = std::mem::take(begun);
            self.recognise(&begun)?;
            return self.decode(&begun, take);
        }
        self.decode(bytes, take)
    }

    fn recognise(&mut self, begun: &[u8]) -> Result<(), String> {
        *self = if begun.starts_with(&ZSTD) {
            let decoder = Decoder::new().map_err(|error| format!("zstd: {error}"))?;
            Self::Zstd { decoder: Box::new(decoder), open: true }
        } else if begun.starts_with(&GZIP) {
            Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
        } else {
            Self::Plain
        };
        Ok(())
    }

    fn decode(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        match self {
            Self::Unknown(_) => Ok(()),
            Self::Plain => take(bytes),
            Self::Zstd { decoder, open } => {
                let mut buffer = vec![0; OUTPUT];
                let mut input = InBuffer::around(bytes);
                loop {
                    let mut output = OutBuffer::around(buffer.as_mut_slice());
                    let hint = decoder
                        .run(&mut input, &mut output)
                        .map_err(|error| format!("the content is damaged zstd: {error}"))?;
                    *open = hint != 0;
                    let (written, full) = (output.pos(), output.pos() == OUTPUT);
                    take(buffer.get(..written).unwrap_or_default())?;
                    if input.pos() == bytes.len() && !full {
                        return Ok(());
                    }
                }
            }
            Self::Gzip(decoder) => {
                for piece in bytes.chunks(GZIP_INPUT) {
                    decoder
                        .write_all(piece)
                        .map_err(|error| format!("the content is damaged gzip: {error}"))?;
                    let decoded = std::mem::take(decoder.get_mut());
                    take(&decoded)?;
                }
                Ok(())
            }
        }
    }

    /// Whether content that goes on with `bytes` is compressed, as far as it can be told.
    pub(crate) fn unpacks(&self, bytes: &[u8]) -> bool {
        let Self::Unknown(begun) = self else { return !self.is_plain() };
        let first: Vec<u8> = begun.iter().chain(bytes).take(ZSTD.len()).copied().collect();
        first.starts_with(&ZSTD) || first.starts_with(&GZIP)
    }

    /// Whether the content is what it says, byte for byte.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain | Self::Unknown(_))
    }

    /// Ends the content.
    pub(crate) fn finish(
        &mut self,
        take: &mut impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        match std::mem::replace(self, Self::Plain) {
            Self::Unknown(begun) => take(&begun),
            Self::Plain => Ok(()),
            Self::Zstd { open: true, .. } => Err("the content is incomplete zstd".to_owned()),
            Self::Zstd { .. } => Ok(()),
            Self::Gzip(decoder) => {
                let rest =
                    decoder.finish().map_err(|error| format!("the content is incomplete gzip: {error}"))?;
                take(&rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(content: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let mut inflate = Inflate::default();
        let mut out = Vec::new();
        let mut take = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        for piece in content.chunks(piece) {
            inflate.write(piece, &mut take)?;
        }
        inflate.finish(&mut take)?;
        Ok(out)
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_form_gives_the_same_rows() {
        let plain: Vec<u8> = (0..50_000).flat_map(|n| format!("{{\"n\":{n}}}\n").into_bytes()).collect();
        let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
        let frames =
            [zstd::encode_all(&plain[..9], 3).unwrap(), zstd::encode_all(&plain[9..], 3).unwrap()].concat();
        let members = [gzip(&plain[..9]), gzip(&plain[9..])].concat();
        for content in [plain.clone(), zstd, frames, gzip(&plain), members] {
            for piece in [1, 7, 4096, 1 << 20] {
                assert!(decoded(&content, piece).unwrap() == plain, "{piece}");
            }
        }
        assert_eq!(decoded(b"{}", 1).unwrap(), b"{}");
        assert_eq!(decoded(b"", 1).unwrap(), b"");
    }

    #[test]
    fn damaged_content_is_named() {
        let rows = b"{\"n\":1}\n".repeat(1000);
        for content in [zstd::encode_all(rows.as_slice(), 3).unwrap(), gzip(&rows)] {
            assert!(decoded(&content[..content.len() - 3], 100).is_err());
        }
    }
}
