//! One octet for each coordinate, with a proven bound: no row is passed over that could be a result.
//!
//! A rotated row `x` is kept as `x̂ = s·c` with whole numbers `c`, and the length `e` of the error `x - x̂`; the query
//! as `q̂` with its own error. By Cauchy and Schwarz `q·x ≤ q̂·x̂ + ‖q̂‖·e + ‖q-q̂‖·‖x‖`: a row whose bound stays under
//! what is asked for cannot reach it. The rotation spreads outliers, so that eight bits lose little.

use super::chunked::Chunked;
use super::kernels::{BLOCK, Kernel, dot, dot_codes, reaching};
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
    rows: usize,
    /// Codes of [`BLOCK`] rows, interleaved by two dimensions.
    blocks: Chunked<i8>,
    /// For each row, to whole blocks, the scale of its codes and the length of its error.
    scales: Chunked<f32>,
    errors: Chunked<f32>,
}

/// What a search needs to know of its query.
#[derive(Debug)]
pub(super) struct CodeQuery {
    codes: Vec<[i16; 2]>,
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
            rows: 0,
            blocks: Chunked::new(dimensions.next_multiple_of(2) * BLOCK, CHUNK / BLOCK),
            scales: Chunked::new(BLOCK, CHUNK / BLOCK),
            errors: Chunked::new(BLOCK, CHUNK / BLOCK),
        }
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
        if self.rows.is_multiple_of(BLOCK) {
            self.blocks.push(&vec![0; self.dimensions.next_multiple_of(2) * BLOCK]);
            // A place without a row has a bound that reaches nothing.
            self.scales.push(&[0.0; BLOCK]);
            self.errors.push(&[f32::NEG_INFINITY; BLOCK]);
        }
        self.rows += 1;
        self.set(self.rows - 1, unit);
    }

    /// Put another vector in the place of a row.
    #[expect(clippy::cast_possible_truncation, reason = "the scale makes every code fit")]
    pub(super) fn set(&mut self, row: usize, unit: &[f32]) {
        let (codes, scale, error) = self.round(unit, ROW_LEVELS);
        let (block, lane) = (row / BLOCK, row % BLOCK);
        let pairs = self.blocks.row_mut(block).chunks_exact_mut(BLOCK * 2);
        for (pair, codes) in pairs.zip(codes.chunks(2)) {
            for (place, &code) in pair[lane * 2..].iter_mut().zip(codes) {
                *place = code as i8;
            }
        }
        self.scales.row_mut(block)[lane] = scale;
        self.errors.row_mut(block)[lane] = error;
    }

    /// Put the last row in the place of `row` and drop it from its own.
    pub(super) fn swap_remove(&mut self, row: usize) {
        let last = self.rows - 1;
        let (from, place) = (last / BLOCK, last % BLOCK);
        let (to, lane) = (row / BLOCK, row % BLOCK);
        let codes: Vec<[i8; 2]> = self
            .blocks
            .row(from)
            .chunks_exact(BLOCK * 2)
            .map(|pair| [pair[place * 2], pair[place * 2 + 1]])
            .collect();
        for (pair, codes) in self.blocks.row_mut(to).chunks_exact_mut(BLOCK * 2).zip(codes) {
            pair[lane * 2..lane * 2 + 2].copy_from_slice(&codes);
        }
        self.scales.row_mut(to)[lane] = self.scales.row(from)[place];
        self.errors.row_mut(to)[lane] = self.errors.row(from)[place];
        self.errors.row_mut(from)[place] = f32::NEG_INFINITY;
        self.rows = last;
        if last.is_multiple_of(BLOCK) {
            self.blocks.pop();
            self.scales.pop();
            self.errors.pop();
        }
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
            codes: codes
                .chunks(2)
                .map(|pair| [pair[0] as i16, pair.get(1).map_or(0, |&code| code as i16)])
                .collect(),
            scale,
            error,
        }
    }

    /// Push an upper bound of the cosine and the number of each row of `chunk` that may reach `threshold`.
    pub(super) fn candidates(&self, query: &CodeQuery, chunk: usize, threshold: f32, out: &mut Vec<(f32, usize)>) {
        let mut products = [0i32; CHUNK];
        dot_codes(self.kernel, self.blocks.chunk(chunk), &query.codes, &mut products);
        let from = out.len();
        reaching(
            self.kernel,
            &products,
            self.scales.chunk(chunk),
            self.errors.chunk(chunk),
            [query.scale, query.length, query.error + SLACK],
            threshold,
            out,
        );
        for (_, row) in &mut out[from..] {
            *row += chunk * CHUNK;
        }
    }

    /// Octets held.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.bytes() + self.scales.bytes() + self.errors.bytes() + self.rotation.bytes()
    }

    /// Octets of one row.
    pub(super) fn bytes_per_row(dimensions: usize) -> usize {
        dimensions.next_multiple_of(2) + 2 * size_of::<f32>()
    }
}
