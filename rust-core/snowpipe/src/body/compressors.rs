//! Compressors. Each holds a megabyte or more, so only open bodies have one.

use std::sync::{Arc, Mutex, OnceLock};

use zstd::zstd_safe::{CCtx, CParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective, get_error_name};

use super::PIECE;
use crate::actor::lock;

/// Memory of compressors that wait for a body.
const IDLE: usize = 4 << 20;
/// Log2 of the bytes in which zstd looks for repetitions. Rows repeat what is in the rows just before them: with 128 KiB
/// bodies are up to 5 % larger at level 1, up to 2 % at 2 and 3 and no larger from 5 on, and up to there made a tenth to two
/// fifths faster than with zstd's own 512 KiB and more (docs/performance.md). The stream's buffer is a window and a block
/// long, and until a window has passed since it was begun anew, zstd looks into two places for each match.
const WINDOW_LOG: u32 = 17;
/// What a compressor is taken to hold when none could be made.
const UNKNOWN: usize = 2 << 20;

/// The compressors of a sink, all of one level.
#[derive(Debug)]
pub(crate) struct Compressors {
    level: i32,
    size: OnceLock<usize>,
    idle: Mutex<Vec<Compressor>>,
}

impl Compressors {
    pub(crate) fn new(level: i32) -> Arc<Self> {
        Arc::new(Self { level, size: OnceLock::new(), idle: Mutex::default() })
    }

    /// Level of zstd.
    pub(super) fn level(&self) -> i32 {
        self.level
    }

    /// Memory that a compressor holds from its first row on, in bytes.
    pub(crate) fn size(&self) -> usize {
        *self.size.get_or_init(|| {
            let measured = || {
                let mut compressor = Compressor::new(self.level)?;
                let mut out = Vec::new();
                compressor.write(b"\n", &mut out)?;
                compressor.flush(&mut out)?;
                let size = compressor.0.sizeof();
                self.give(compressor);
                Ok::<_, String>(size)
            };
            measured().unwrap_or(UNKNOWN)
        })
    }

    /// One that has begun no frame.
    pub(super) fn take(&self) -> Result<Compressor, String> {
        let idle = lock(&self.idle).pop();
        idle.map_or_else(|| Compressor::new(self.level), Ok)
    }

    /// Takes one back; a frame that it has begun is forgotten.
    pub(super) fn give(&self, mut compressor: Compressor) {
        if compressor.0.reset(ResetDirective::SessionOnly).is_err() {
            return;
        }
        let size = compressor.0.sizeof();
        let mut idle = lock(&self.idle);
        if (idle.len() + 1) * size <= IDLE {
            idle.push(compressor);
        }
    }
}

/// Makes zstd frames.
pub(super) struct Compressor(CCtx<'static>);

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

impl Compressor {
    pub(super) fn new(level: i32) -> Result<Self, String> {
        let mut context = CCtx::try_create().ok_or("compression: there is no memory for it")?;
        context.set_parameter(CParameter::CompressionLevel(level)).map_err(named)?;
        context.set_parameter(CParameter::WindowLog(WINDOW_LOG)).map_err(named)?;
        Ok(Self(context))
    }

    /// Compresses `bytes` to the end of `out`, but for what is held back.
    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            append(out, |output| self.0.compress_stream(output, &mut input))?;
        }
        Ok(())
    }

    /// Pushes out what is held back.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        while append(out, |output| self.0.flush_stream(output))? > 0 {}
        Ok(())
    }

    /// Ends the frame; the next row begins another one.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        while append(out, |output| self.0.end_stream(output))? > 0 {}
        Ok(())
    }
}

fn append(
    out: &mut Vec<u8>,
    step: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> Result<usize, ErrorCode>,
) -> Result<usize, String> {
    out.reserve(PIECE);
    let pos = out.len();
    step(&mut OutBuffer::around_pos(out, pos)).map_err(named)
}

fn named(code: ErrorCode) -> String {
    format!("compression: {}", get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_begun_frame_is_forgotten_and_the_compressor_used_again() {
        let compressors = Compressors::new(1);
        let mut one = compressors.take().unwrap();
        one.write(b"gone", &mut Vec::new()).unwrap();
        compressors.give(one);
        let mut again = compressors.take().unwrap();
        let mut out = Vec::new();
        again.write(b"kept", &mut out).unwrap();
        again.finish(&mut out).unwrap();
        again.write(b", twice", &mut out).unwrap();
        again.finish(&mut out).unwrap();
        assert_eq!(zstd::decode_all(&out[..]).unwrap(), b"kept, twice");
    }

    #[test]
    fn what_a_compressor_holds_is_known_and_few_are_kept() {
        for level in [1, 3, 12] {
            let compressors = Compressors::new(level);
            let size = compressors.size();
            assert!(size > 512 << 10, "level {level}: {size}");
            let many: Vec<_> = (0..8).map(|_| compressors.take().unwrap()).collect();
            for mut compressor in many {
                compressor.write(&[b'x'; 4 << 20], &mut Vec::new()).unwrap();
                assert_eq!(compressor.0.sizeof(), size, "level {level}");
                compressors.give(compressor);
            }
            assert!(lock(&compressors.idle).len() * size <= IDLE, "level {level}");
        }
    }
}
