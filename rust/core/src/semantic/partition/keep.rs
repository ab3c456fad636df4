//! What a partition keeps over a restart: what was learned and what is barred. Entries are the store's to keep.
//!
//! `RSP` and the version, the length of the calibration (u32), the calibration, the number of dimensions (u32), the
//! barred pairs (f32, little-endian), 8 bytes of the BLAKE3 digest of all before.

use super::{Bars, Calibrator, Partition};
use crate::error::Error;
use crate::frame::{Frame, push_length};

const FRAME: Frame = Frame {
    magic: *b"RSP\x01",
    what: "a partition's",
};

impl Partition {
    /// What was learned and what is barred, versioned and checksummed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let calibration = self.calibrator.to_bytes();
        let mut out = FRAME.begin(calibration.len() + 64);
        push_length(&mut out, calibration.len());
        out.extend_from_slice(&calibration);
        push_length(&mut out, self.index.dimensions());
        self.bars
            .numbers()
            .for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        FRAME.seal(out)
    }

    /// Take over what [`Partition::to_bytes`] wrote, in place of what was learned here.
    ///
    /// # Errors
    /// `InvalidArgument` when the bytes are cut short, changed, of another version, or of a partition with another
    /// embedder or verifier; nothing is changed then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut reader = FRAME.open(bytes)?;
        let length = reader.length()?;
        let calibration = reader.slice(length)?;
        let dimensions = reader.length()?;
        if dimensions != self.index.dimensions() {
            return Err(reader.corrupt("their embedder has other dimensions"));
        }
        let numbers: Vec<f32> = reader
            .slice(reader.left())?
            .as_chunks::<4>()
            .0
            .iter()
            .map(|octets| f32::from_le_bytes(*octets))
            .collect();
        let bars =
            Bars::from_numbers(&numbers, dimensions).ok_or_else(|| reader.corrupt("their pairs are cut short"))?;
        let (alpha, _) = self.calibrator.bounds().0.options();
        self.calibrator = Calibrator::restore(*self.calibrator.policy(), alpha, calibration)?;
        self.bars = bars;
        Ok(())
    }
}
