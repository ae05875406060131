//! The zstd frame of the open body.

use super::Assembler;
use super::compressors::Compressor;

impl Assembler {
    pub(super) fn compress(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (compressor, out) = self.frame()?;
        compressor.write(bytes, out)
    }

    pub(super) fn finish_frame(&mut self) -> Result<(), String> {
        let (compressor, out) = self.frame()?;
        compressor.finish(out)
    }

    fn frame(&mut self) -> Result<(&mut Compressor, &mut Vec<u8>), String> {
        let compressor = match self.compressor.take() {
            Some(compressor) => compressor,
            None => self.compressors.take()?,
        };
        Ok((self.compressor.insert(compressor), &mut self.out))
    }
}
