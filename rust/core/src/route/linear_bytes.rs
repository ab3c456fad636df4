//! The serialised form of a [`Linear`]: versioned, checksummed, never trusted; 197 KB, or 1 KB where the prior is alone.
//!
//! `RLM` and the version; every number little-endian in the order of the struct's fields; whether the tables follow, and
//! the tables; the first 8 bytes of the BLAKE3 digest of everything before.

use super::linear::{BUCKETS, CURVE, Linear, QUANTILES, Summary};
use super::score::SIZE;
use crate::error::Error;

const MAGIC: [u8; 4] = *b"RLM\x01";
const CHECKSUM: usize = 8;

impl Linear {
    /// The model as bytes that [`Linear::from_bytes`] of this version or a later one reads back.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2_048 + 3 * self.weights.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.summary.rows.to_le_bytes());
        for number in self.numbers() {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(u8::from(self.mix > 0.0));
        for weight in &self.weights {
            out.extend_from_slice(&weight.to_le_bytes());
        }
        out.extend_from_slice(&self.rarity);
        let digest = checksum(&out);
        out.extend_from_slice(&digest);
        out
    }

    /// Read back what [`Linear::to_bytes`] wrote.
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
                "this routing model was written as version {version}; this release reads version {}",
                MAGIC[3]
            )));
        }
        if *digest != checksum(content) {
            return Err(corrupt("its checksum is wrong"));
        }
        Reader(rest).linear()
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

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let digest = blake3::hash(content);
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&digest.as_bytes()[..CHECKSUM]);
    short
}

fn corrupt(why: &str) -> Error {
    Error::InvalidArgument(format!("these bytes are not a routing model: {why}"))
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn linear(mut self) -> Result<Linear, Error> {
        let rows = u32::from_le_bytes(self.take()?);
        let [gain, prior, held_out, mix, unit] = self.numbers::<5>()?;
        let mut linear = Linear {
            mix,
            unit,
            prior_norm: self.numbers()?,
            words_norm: self.numbers()?,
            means: self.numbers::<SIZE>()?,
            scales: self.numbers::<SIZE>()?,
            counts: self.numbers::<SIZE>()?,
            quantiles: self.numbers::<QUANTILES>()?,
            losses: self.numbers::<CURVE>()?,
            weights: Vec::new(),
            rarity: Vec::new(),
            summary: Summary {
                rows,
                gain,
                prior,
                held_out,
            },
        };
        let [tables] = self.take()?;
        if tables == 1 {
            for _ in 0..BUCKETS {
                linear.weights.push(i16::from_le_bytes(self.take()?));
            }
            linear.rarity = self.take::<BUCKETS>()?.to_vec();
        }
        let sound = self.0.is_empty()
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
            Err(corrupt("its figures contradict each other"))
        }
    }

    fn numbers<const N: usize>(&mut self) -> Result<[f32; N], Error> {
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = f32::from_le_bytes(self.take()?);
            if !number.is_finite() {
                return Err(corrupt("a figure is not a number"));
            }
        }
        Ok(numbers)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or_else(|| corrupt("it is cut short"))?;
        self.0 = rest;
        Ok(*head)
    }
}
