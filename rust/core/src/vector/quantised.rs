//! One octet for each coordinate, with a proven bound: no row is passed over that could be a result.
//!
//! A rotated row `x` is kept as `x̂ = s·c` with whole numbers `c`, and the length `e` of the error `x - x̂`; the query
//! as `q̂` with its own error. By Cauchy and Schwarz `q·x ≤ q̂·x̂ + ‖q̂‖·e + ‖q-q̂‖·‖x‖`: a row whose bound stays under
//! what is asked for cannot reach it. The rotation spreads outliers, so that eight bits lose little.

use super::chunked::Chunked;
use super::kernels::{Kernel, dot, dot_codes};
use super::rotation::Rotation;
use super::signs::CHUNK;

/// Largest code of a row.
const ROW_LEVELS: f32 = 127.0;
/// Largest code of a query: it is widened to 16 bits anyway.
const QUERY_LEVELS: i32 = 2047;
/// Covers the rounding of the rotation, of the bound itself, and of the exact product (each about 1e-6).
const SLACK: f32 = 2e-5;

/// The codes of all rows.
#[derive(Debug)]
pub(super) struct Quantised {
    rotation: Rotation,
    kernel: Kernel,
    dimensions: usize,
    codes: Chunked<i8>,
    /// For each row the scale of its codes and the length of its error.
    scales: Chunked<[f32; 2]>,
}

/// What a search needs to know of its query.
#[derive(Debug)]
pub(super) struct CodeQuery {
    codes: Vec<i16>,
    scale: f32,
    /// `‖q̂‖`.
    length: f32,
    /// `‖q-q̂‖`.
    error: f32,
}

impl Quantised {
    /// No rows yet.
    pub(super) fn new(dimensions: usize, seed: u64, kernel: Kernel) -> Self {
        Self {
            rotation: Rotation::new(dimensions, 0, seed, kernel),
            kernel,
            dimensions,
            codes: Chunked::new(dimensions, CHUNK),
            scales: Chunked::new(1, CHUNK),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the scale makes every code fit")]
    fn encode(&self, unit: &[f32]) -> (Vec<i8>, [f32; 2]) {
        let (codes, scale, error) = self.round(unit, ROW_LEVELS);
        (codes.iter().map(|&code| code as i8).collect(), [scale, error])
    }

    /// Rotate, and round to whole numbers of at most `levels`: the numbers, the scale and the length of the error.
    fn round(&self, unit: &[f32], levels: f32) -> (Vec<f32>, f32, f32) {
        let mut vector = unit.to_vec();
        self.rotation.turn(&mut vector);
        let largest = vector.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = largest / levels;
        let mut square = 0.0f32;
        for value in &mut vector {
            let code = (*value / scale).round().clamp(-levels, levels);
            let error = *value - code * scale;
            square += error * error;
            *value = code;
        }
        (vector, scale, square.sqrt())
    }

    /// Add a row at the end.
    pub(super) fn push(&mut self, unit: &[f32]) {
        let (codes, scale) = self.encode(unit);
        self.codes.push(&codes);
        self.scales.push(&[scale]);
    }

    /// Put another vector in the place of a row.
    pub(super) fn set(&mut self, row: usize, unit: &[f32]) {
        let (codes, scale) = self.encode(unit);
        self.codes.row_mut(row).copy_from_slice(&codes);
        self.scales.row_mut(row)[0] = scale;
    }

    /// Put the last row in the place of `row` and drop it from its own.
    pub(super) fn swap_remove(&mut self, row: usize) {
        self.codes.swap_remove(row);
        self.scales.swap_remove(row);
    }

    /// What a search for `unit` looks for.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "levels and codes have 12 bits"
    )]
    pub(super) fn query(&self, unit: &[f32]) -> CodeQuery {
        // A sum of `dimensions` products must fit 31 bits.
        let fitting = i32::MAX / 128 / i32::try_from(self.dimensions).unwrap_or(i32::MAX);
        let (codes, scale, error) = self.round(unit, QUERY_LEVELS.min(fitting) as f32);
        CodeQuery {
            length: dot(self.kernel, &codes, &codes).sqrt() * scale,
            codes: codes.iter().map(|&code| code as i16).collect(),
            scale,
            error,
        }
    }

    /// Push an upper bound of the cosine and the number of each row of `chunk` that may reach `threshold`.
    #[expect(clippy::cast_precision_loss, reason = "the slack covers it")]
    pub(super) fn candidates(&self, query: &CodeQuery, chunk: usize, threshold: f32, out: &mut Vec<(f32, usize)>) {
        let scales = self.scales.chunk(chunk);
        let mut products = [0i32; CHUNK];
        dot_codes(self.kernel, self.codes.chunk(chunk), &query.codes, &mut products);
        let margin = query.error + SLACK;
        for (row, (&[scale, error], &product)) in scales.iter().zip(&products).enumerate() {
            let bound = query.scale * scale * product as f32 + query.length * error + margin;
            if bound >= threshold {
                out.push((bound, chunk * CHUNK + row));
            }
        }
    }

    /// Octets held.
    pub(super) fn bytes(&self) -> usize {
        self.codes.bytes() + self.scales.bytes() + self.rotation.bytes()
    }

    /// Octets of one row.
    pub(super) fn bytes_per_row(dimensions: usize) -> usize {
        dimensions + size_of::<[f32; 2]>()
    }
}
