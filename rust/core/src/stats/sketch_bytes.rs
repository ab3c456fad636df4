//! The serialised form of a [`Sketch`]: versioned, checksummed, never trusted.
//!
//! `RSK` and the version; relative error, maximum of bins, zeros, sum, minimum, maximum, first index, number of bins
//! (all little-endian); one LEB128 count per bin; the first 8 bytes of the BLAKE3 digest of everything before.
//! An empty sketch has minimum and maximum 0.

use crate::error::Error;
use crate::frame::{Frame, Reader, push_length};
use crate::stats::sketch::Sketch;

const FRAME: Frame = Frame {
    magic: *b"RSK\x01",
    what: "a sketch",
};

impl Sketch {
    /// The sketch as bytes that [`Sketch::from_bytes`] of this version or a later one reads back.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = FRAME.begin(72 + 2 * self.bins.len());
        out.extend_from_slice(&self.relative_error.to_le_bytes());
        push_length(&mut out, self.max_bins);
        out.extend_from_slice(&self.zeros.to_le_bytes());
        for number in [self.sum(), self.minimum().unwrap_or(0.0), self.maximum().unwrap_or(0.0)] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.first.to_le_bytes());
        push_length(&mut out, self.bins.len());
        for &count in &self.bins {
            write_varint(&mut out, count);
        }
        FRAME.seal(out)
    }

    /// Read back what [`Sketch::to_bytes`] wrote.
    ///
    /// # Errors
    /// `InvalidArgument` when the bytes are cut short, changed, of another version, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = FRAME.open(bytes)?;
        let sketch = read(&mut reader)?;
        reader.finish()?;
        Ok(sketch)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read(reader: &mut Reader<'_>) -> Result<Sketch, Error> {
    let mut sketch = Sketch::new(f64::from_le_bytes(reader.take()?), u32::from_le_bytes(reader.take()?))?;
    sketch.zeros = u64::from_le_bytes(reader.take()?);
    sketch.sum = f64::from_le_bytes(reader.take()?);
    let minimum = f64::from_le_bytes(reader.take()?);
    let maximum = f64::from_le_bytes(reader.take()?);
    sketch.first = i32::from_le_bytes(reader.take()?);
    let length = reader.length()?;
    if length > sketch.max_bins || length > reader.left() {
        return Err(reader.corrupt("it claims more bins than it may have"));
    }
    for _ in 0..length {
        let count = varint(reader)?;
        sketch.binned = sketch
            .binned
            .checked_add(count)
            .ok_or_else(|| reader.corrupt("its counts overflow"))?;
        sketch.bins.push_back(count);
    }
    if sketch.bins.front() == Some(&0) || sketch.bins.back() == Some(&0) {
        return Err(reader.corrupt("its outer bins are empty"));
    }
    if sketch.count() > 0 {
        sketch.minimum = minimum;
        sketch.maximum = maximum;
    }
    if is_consistent(&sketch, minimum, maximum) {
        Ok(sketch)
    } else {
        Err(reader.corrupt("its figures contradict each other"))
    }
}

fn varint(reader: &mut Reader<'_>) -> Result<u64, Error> {
    let mut value: u64 = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = reader.take()?;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            return Err(reader.corrupt("a count overflows"));
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(reader.corrupt("a count overflows"))
}

/// Whether the figures of a sketch that was read can belong together; indices outside ±2^24 belong to no `f64`.
fn is_consistent(sketch: &Sketch, minimum: f64, maximum: f64) -> bool {
    let finite = [sketch.sum, minimum, maximum]
        .iter()
        .all(|number| number.is_finite() && *number >= 0.0);
    let empty_is_empty = sketch.count() > 0 || (sketch.sum == 0.0 && maximum == 0.0);
    let zeros_show = (sketch.zeros > 0) == (sketch.count() > 0 && minimum == 0.0);
    let bins_show = sketch.bins.is_empty() == (maximum == 0.0);
    finite && minimum <= maximum && empty_is_empty && zeros_show && bins_show && sketch.first.unsigned_abs() < 1 << 24
}
