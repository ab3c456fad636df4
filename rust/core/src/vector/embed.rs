//! Token ids to one unit vector: the sum of the table's rows. Microseconds, and blind to the order of words.
//!
//! The table holds, for each token, 128 small integers and one scale (see `models/MODEL_CARD.md`). It stays where the
//! binary has it; only the scales are unpacked at the first use.

use std::sync::OnceLock;

use super::bundle::{self, little_u16};
use super::vocabulary::TOKENS;
use super::wordpiece::{EMBEDDED_TOKENS, UNKNOWN, tokenise};
use crate::error::Error;

/// Numbers in a vector of the bundled table.
pub const DIMENSIONS: usize = 128;
/// Names the bundled table and its tokeniser wherever vectors are kept: those of two names never meet.
pub const NAME: &str = "resopt-static-1";
/// A sum this short has no direction.
const SHORTEST: f32 = 1e-9;

/// A row for every token.
#[derive(Debug)]
pub struct Table {
    codes: &'static [[u8; DIMENSIONS]],
    scales: Box<[f32]>,
}

impl Table {
    /// The bundled table, checked at the first call, which takes some milliseconds.
    ///
    /// # Errors
    /// `Damaged` when it is not what was built in.
    pub fn bundled() -> Result<&'static Self, Error> {
        static TABLE: OnceLock<Result<Table, Error>> = OnceLock::new();
        TABLE
            .get_or_init(|| Self::open(bundle::TABLE))
            .as_ref()
            .map_err(Clone::clone)
    }

    fn open(file: &'static [u8]) -> Result<Self, Error> {
        let ([rows, columns, bits, ..], payload) = bundle::open(file, b"RSPTTABL")?;
        let (codes, _) = payload.as_chunks::<DIMENSIONS>();
        let tokens = TOKENS as usize;
        let octets = tokens * DIMENSIONS;
        if (rows, columns as usize, bits) != (TOKENS, DIMENSIONS, 16) || payload.len() != octets + tokens * 2 {
            return Err(bundle::damaged("RSPTTABL", "has other dimensions than the vocabulary"));
        }
        Ok(Self {
            codes: &codes[..tokens],
            scales: (0..tokens)
                .map(|row| half(little_u16(payload, octets + row * 2)))
                .collect(),
        })
    }

    /// The row of a token: codes, and the scale that they are multiplied by. An id that is none has [`UNKNOWN`]'s.
    #[must_use]
    pub fn row(&self, id: u32) -> ([i8; DIMENSIONS], f32) {
        let (codes, scale) = self.stored(id);
        (codes.map(u8::cast_signed), scale)
    }

    fn stored(&self, id: u32) -> (&'static [u8; DIMENSIONS], f32) {
        let id = if id < TOKENS { id } else { UNKNOWN } as usize;
        (&self.codes[id], self.scales[id])
    }

    /// The unit vector of a text's first [`EMBEDDED_TOKENS`] tokens; None when the vocabulary knows none of them.
    ///
    /// Without that rule any two texts in a script that the vocabulary lacks would have one direction, that of
    /// [`UNKNOWN`], and cosine 1.
    #[must_use]
    pub fn embed(&self, ids: &[u32]) -> Option<[f32; DIMENSIONS]> {
        let ids = &ids[..ids.len().min(EMBEDDED_TOKENS)];
        if ids.iter().all(|&id| id == UNKNOWN || id >= TOKENS) {
            return None;
        }
        let mut sum = [0.0f32; DIMENSIONS];
        for &id in ids {
            let (codes, scale) = self.stored(id);
            for (total, &code) in sum.iter_mut().zip(codes) {
                *total += f32::from(code.cast_signed()) * scale;
            }
        }
        let length = norm(&sum);
        (length > SHORTEST).then(|| sum.map(|value| value / length))
    }

    /// [`Table::embed`] of a text.
    ///
    /// # Errors
    /// `Damaged` when the bundled files are.
    pub fn embed_text(&self, text: &str) -> Result<Option<[f32; DIMENSIONS]>, Error> {
        Ok(self.embed(&tokenise(text, EMBEDDED_TOKENS)?))
    }
}

/// Euclidean length, added up in lanes: fast, and as exact as a pairwise sum.
fn norm(vector: &[f32; DIMENSIONS]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for chunk in vector.chunks_exact(16) {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value * value;
        }
    }
    lanes.iter().sum::<f32>().sqrt()
}

/// The number that 16 bits of IEEE 754 binary16 stand for.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 0x1F, u32::from(bits) & 0x3FF);
    let magnitude = match exponent {
        // Subnormal: fraction · 2^-24, exact in binary32.
        0 => return f32::from_bits(sign | (f32::from(bits & 0x3FF) * 2f32.powi(-24)).to_bits()),
        0x1F => 0xFF << 23 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::bundle::{TABLE, VERIFIER};
    use super::{DIMENSIONS, TOKENS, Table, UNKNOWN, half};

    #[test]
    fn halves_are_unpacked_exactly() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x0001, 5.960_464_5e-8),
            (0x03FF, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7BFF, 65504.0),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(half(bits).to_bits(), f32::to_bits(value), "{bits:#06x}");
        }
        assert!(half(0x7C00).is_infinite() && half(0x7E00).is_nan());
    }

    #[test]
    fn a_text_without_known_tokens_has_no_vector() {
        let table = Table::bundled().unwrap();
        assert_eq!(table.embed(&[]), None);
        assert_eq!(table.embed(&[UNKNOWN, UNKNOWN]), None);
        assert_eq!(table.embed(&[TOKENS, u32::MAX]), None);
        assert_eq!(table.embed_text("").unwrap(), None);
        assert_eq!(table.embed_text("ក្រុម").unwrap(), None);
        assert!(table.embed_text("what ក្រុម").unwrap().is_some());
    }

    #[test]
    fn only_the_first_tokens_count() {
        let table = Table::bundled().unwrap();
        let ids: Vec<u32> = (1000..1400).collect();
        assert_eq!(table.embed(&ids), table.embed(&ids[..256]));
        let vector = table.embed(&ids).unwrap();
        let length: f32 = vector.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-6);
        assert_eq!(vector.len(), DIMENSIONS);
        assert_eq!(table.row(TOKENS), table.row(UNKNOWN));
    }

    #[test]
    fn another_file_is_refused() {
        assert!(Table::open(VERIFIER).is_err());
        assert!(Table::open(&TABLE[..TABLE.len() - 2]).is_err());
    }
}
