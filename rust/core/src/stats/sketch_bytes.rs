//! The serialised form of a [`Sketch`]: versioned, checksummed, never trusted.
//!
//! `RSK` and the version; relative error, maximum of bins, zeros, sum, minimum, maximum, first index, number of bins
//! (all little-endian); one LEB128 count per bin; the first 8 bytes of the BLAKE3 digest of everything before.
//! An empty sketch has minimum and maximum 0.

use crate::error::Error;
use crate::stats::sketch::Sketch;

const MAGIC: [u8; 4] = *b"RSK\x01";
const CHECKSUM: usize = 8;

impl Sketch {
    /// The sketch as bytes that [`Sketch::from_bytes`] of this version or a later one reads back.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + CHECKSUM + 2 * self.bins.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.relative_error.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.max_bins).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&self.zeros.to_le_bytes());
        for number in [self.sum(), self.minimum().unwrap_or(0.0), self.maximum().unwrap_or(0.0)] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.bins.len()).unwrap_or(u32::MAX).to_le_bytes());
        for &count in &self.bins {
            write_varint(&mut out, count);
        }
        let digest = checksum(&out);
        out.extend_from_slice(&digest);
        out
    }

    /// Read back what [`Sketch::to_bytes`] wrote.
    ///
    /// # Errors
    /// `InvalidArgument` when the bytes are cut short, changed, of another version, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (content, digest) = bytes
            .split_last_chunk::<CHECKSUM>()
            .ok_or_else(|| corrupt("it is too short"))?;
        let rest = content
            .strip_prefix(&MAGIC[..3])
            .ok_or_else(|| corrupt("it does not begin like one"))?;
        let (&version, rest) = rest.split_first().ok_or_else(|| corrupt("it is too short"))?;
        if version != MAGIC[3] {
            return Err(Error::InvalidArgument(format!(
                "this sketch was written as version {version}; this release reads version {}",
                MAGIC[3]
            )));
        }
        if *digest != checksum(content) {
            return Err(corrupt("its checksum is wrong"));
        }
        let mut reader = Reader(rest);
        let sketch = reader.sketch()?;
        if !reader.0.is_empty() {
            return Err(corrupt("bytes are left over"));
        }
        Ok(sketch)
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let digest = blake3::hash(content);
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&digest.as_bytes()[..CHECKSUM]);
    short
}

fn corrupt(why: &str) -> Error {
    Error::InvalidArgument(format!("these bytes are not a sketch: {why}"))
}

#[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn sketch(&mut self) -> Result<Sketch, Error> {
        let mut sketch = Sketch::new(f64::from_le_bytes(self.take()?), u32::from_le_bytes(self.take()?))?;
        sketch.zeros = u64::from_le_bytes(self.take()?);
        sketch.sum = f64::from_le_bytes(self.take()?);
        let minimum = f64::from_le_bytes(self.take()?);
        let maximum = f64::from_le_bytes(self.take()?);
        sketch.first = i32::from_le_bytes(self.take()?);
        let length = u32::from_le_bytes(self.take()?) as usize;
        if length > sketch.max_bins || length > self.0.len() {
            return Err(corrupt("it claims more bins than it may have"));
        }
        for _ in 0..length {
            let count = self.varint()?;
            sketch.binned = sketch
                .binned
                .checked_add(count)
                .ok_or_else(|| corrupt("its counts overflow"))?;
            sketch.bins.push_back(count);
        }
        if sketch.bins.front() == Some(&0) || sketch.bins.back() == Some(&0) {
            return Err(corrupt("its outer bins are empty"));
        }
        if sketch.count() > 0 {
            sketch.minimum = minimum;
            sketch.maximum = maximum;
        }
        if is_consistent(&sketch, minimum, maximum) {
            Ok(sketch)
        } else {
            Err(corrupt("its figures contradict each other"))
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or_else(|| corrupt("it is cut short"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(corrupt("a count overflows"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(corrupt("a count overflows"))
    }
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
