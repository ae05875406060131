//! The zstd frame of the open body.

use zstd::stream::raw::{InBuffer, Operation, OutBuffer};

use super::{Assembler, PIECE};

impl Assembler {
    pub(super) fn compress(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut input = InBuffer::around(bytes);
        while input.pos() < bytes.len() {
            self.out.reserve(PIECE);
            let pos = self.out.len();
            let mut output = OutBuffer::around_pos(&mut self.out, pos);
            self.encoder.run(&mut input, &mut output).map_err(|error| format!("compression: {error}"))?;
        }
        Ok(())
    }

    /// Pushes out what the compressor holds back; returns the size of the body so far.
    pub(super) fn flushed(&mut self) -> Result<usize, String> {
        loop {
            self.out.reserve(PIECE);
            let pos = self.out.len();
            let mut output = OutBuffer::around_pos(&mut self.out, pos);
            if self.encoder.flush(&mut output).map_err(|error| format!("compression: {error}"))? == 0 {
                return Ok(self.out.len() + 16);
            }
        }
    }

    pub(super) fn finish_frame(&mut self) -> Result<(), String> {
        loop {
            self.out.reserve(PIECE);
            let pos = self.out.len();
            let mut output = OutBuffer::around_pos(&mut self.out, pos);
            if self.encoder.finish(&mut output, true).map_err(|error| format!("compression: {error}"))? == 0 {
                return Ok(());
            }
        }
    }
}
