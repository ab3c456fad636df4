//! What a partition keeps over a restart: what was learned and what is barred. Entries are the store's to keep.
//!
//! `RSP` and the version, the length of the calibration (u32), the calibration, the number of dimensions (u32), the
//! barred pairs (f32, little-endian), 8 bytes of the BLAKE3 digest of all before.

use super::{Bars, Calibrator, Partition};
use crate::error::Error;

const MAGIC: [u8; 4] = *b"RSP\x01";
const CHECKSUM: usize = 8;

impl Partition {
    /// What was learned and what is barred, versioned and checksummed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let calibration = self.calibrator.to_bytes();
        let mut out = MAGIC.to_vec();
        write_length(&mut out, calibration.len());
        out.extend_from_slice(&calibration);
        write_length(&mut out, self.index.dimensions());
        self.bars
            .numbers()
            .for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        let digest = checksum(&out);
        out.extend_from_slice(&digest);
        out
    }

    /// Take over what [`Partition::to_bytes`] wrote, in place of what was learned here.
    ///
    /// # Errors
    /// `InvalidArgument` when the bytes are cut short, changed, of another version, or of a partition with another
    /// embedder or verifier; nothing is changed then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (content, digest) = bytes
            .split_last_chunk::<CHECKSUM>()
            .ok_or_else(|| corrupt("they are too short"))?;
        let rest = content
            .strip_prefix(&MAGIC)
            .ok_or_else(|| corrupt("they do not begin like one of this version"))?;
        if *digest != checksum(content) {
            return Err(corrupt("their checksum is wrong"));
        }
        let (length, rest) = read_length(rest)?;
        let (calibration, rest) = rest
            .split_at_checked(length)
            .ok_or_else(|| corrupt("they are cut short"))?;
        let (dimensions, rest) = read_length(rest)?;
        if dimensions != self.index.dimensions() {
            return Err(corrupt("their embedder has other dimensions"));
        }
        let numbers: Vec<f32> = rest
            .as_chunks::<4>()
            .0
            .iter()
            .map(|octets| f32::from_le_bytes(*octets))
            .collect();
        let bars = Bars::from_numbers(&numbers, dimensions).ok_or_else(|| corrupt("their pairs are cut short"))?;
        let (alpha, _) = self.calibrator.bounds().0.options();
        self.calibrator = Calibrator::restore(*self.calibrator.policy(), alpha, calibration)?;
        self.bars = bars;
        Ok(())
    }
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn read_length(octets: &[u8]) -> Result<(usize, &[u8]), Error> {
    let (length, rest) = octets
        .split_first_chunk::<4>()
        .ok_or_else(|| corrupt("they are cut short"))?;
    Ok((u32::from_le_bytes(*length) as usize, rest))
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let digest = blake3::hash(content);
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&digest.as_bytes()[..CHECKSUM]);
    short
}

fn corrupt(why: &str) -> Error {
    Error::InvalidArgument(format!("these bytes are not a partition's: {why}"))
}
