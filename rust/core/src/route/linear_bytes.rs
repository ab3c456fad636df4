//! The serialised form of a [`Linear`]: versioned, checksummed, never trusted; 197 KB, or 1 KB where the prior is alone.
//!
//! `RLM` and the version; every number little-endian in the order of the struct's fields; whether the tables follow, and
//! the tables; the first 8 bytes of the BLAKE3 digest of everything before.

use super::linear::{BUCKETS, CURVE, Linear, QUANTILES, Summary};
use super::score::SIZE;
use crate::error::Error;
use crate::frame::{Frame, Reader};

const FRAME: Frame = Frame {
    magic: *b"RLM\x02",
    what: "a routing model",
};

impl Linear {
    /// The model as bytes that [`Linear::from_bytes`] of this version or a later one reads back.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = FRAME.begin(2_048 + 3 * self.weights.len());
        out.extend_from_slice(&self.summary.rows.to_le_bytes());
        for number in self.numbers() {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(u8::from(self.mix > 0.0));
        for weight in &self.weights {
            out.extend_from_slice(&weight.to_le_bytes());
        }
        out.extend_from_slice(&self.rarity);
        FRAME.seal(out)
    }

    /// Read back what [`Linear::to_bytes`] wrote.
    ///
    /// # Errors
    /// `InvalidArgument` when the bytes are cut short, changed, of another version, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        read(&mut FRAME.open(bytes)?)
    }

    fn numbers(&self) -> impl Iterator<Item = &f32> {
        let Summary {
            gain, prior, held_out, ..
        } = &self.summary;
        [gain, prior, held_out, &self.mix, &self.unit]
            .into_iter()
            .chain(&self.prior_norm)
            .chain(&self.words_norm)
            .chain(&self.means)
            .chain(&self.scales)
            .chain(&self.counts)
            .chain(&self.quantiles)
            .chain(&self.losses)
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Linear, Error> {
    let rows = u32::from_le_bytes(reader.take()?);
    let [gain, prior, held_out, mix, unit] = numbers::<5>(reader)?;
    let mut linear = Linear {
        mix,
        unit,
        prior_norm: numbers(reader)?,
        words_norm: numbers(reader)?,
        means: numbers::<SIZE>(reader)?,
        scales: numbers::<SIZE>(reader)?,
        counts: numbers::<SIZE>(reader)?,
        quantiles: numbers::<QUANTILES>(reader)?,
        losses: numbers::<CURVE>(reader)?,
        weights: Vec::new(),
        rarity: Vec::new(),
        summary: Summary {
            rows,
            gain,
            prior,
            held_out,
        },
    };
    let [tables] = reader.take()?;
    if tables == 1 {
        for _ in 0..BUCKETS {
            linear.weights.push(i16::from_le_bytes(reader.take()?));
        }
        linear.rarity = reader.take::<BUCKETS>()?.to_vec();
    }
    let sound = reader.left() == 0
        && tables == u8::from(linear.mix > 0.0)
        && linear.mix <= 1.0
        && linear.quantiles.is_sorted()
        && [linear.prior_norm[1], linear.words_norm[1]]
            .iter()
            .chain(&linear.scales)
            .all(|scale| *scale > 0.0);
    if sound {
        Ok(linear)
    } else {
        Err(reader.corrupt("its figures contradict each other"))
    }
}

fn numbers<const N: usize>(reader: &mut Reader<'_>) -> Result<[f32; N], Error> {
    let mut numbers = [0.0; N];
    for number in &mut numbers {
        *number = f32::from_le_bytes(reader.take()?);
        if !number.is_finite() {
            return Err(reader.corrupt("a figure is not a number"));
        }
    }
    Ok(numbers)
}
