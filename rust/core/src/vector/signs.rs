//! One bit for each coordinate: which rows can plausibly be near, found by counting differing bits.
//!
//! After a random rotation, the signs of a coordinate differ between two vectors at angle θ with probability θ/π
//! (Charikar, STOC 2002). Of `m` bits about `m·θ/π` differ, with a binomial spread; so `h` differing bits leave an
//! angle under `π·p` implausible, where `p` is the lower end of the Wilson interval of `h/m` at [`DEVIATIONS`] standard
//! deviations. That gives every row an upper estimate of its cosine, and only rows whose estimate reaches what is asked
//! for are computed exactly. A neighbour exactly at the limit is missed with probability about 3e-7 (over the draw of
//! the rotation, which callers do not know), one above the limit with far less.
//!
//! Embeddings often share a large common part, which makes all of them look near. The signs are therefore taken of the
//! vectors less the mean `μ` of the first rows, and `q·x = (q-μ)·(x-μ) + q·μ + x·μ - μ·μ` leads back: the estimate
//! holds for any `μ`, a good one only leaves fewer rows to compute. The mean is never moved again: later rows that are
//! far from it cost time, not correctness.

use super::chunked::Chunked;
use super::kernels::{GROUP, Kernel, dot, near};
use super::rotation::Rotation;

/// Rows of a chunk.
pub(super) const CHUNK: usize = 1024;
/// Fewer bits than this tell too little: short vectors get several signs for each coordinate, of further rotations.
const FEWEST_BITS: usize = 256;
/// Standard deviations between what is expected and what is passed over; 5 leave 2.9e-7.
const DEVIATIONS: f64 = 5.0;
/// Covers the rounding of the estimate itself.
const SLACK: f32 = 1e-4;

/// The sign codes of all rows.
#[derive(Debug)]
pub(super) struct Signs {
    rotation: Rotation,
    kernel: Kernel,
    dimensions: usize,
    words: usize,
    mean: Box<[f32]>,
    /// `μ·μ`.
    mean_square: f32,
    /// Words of eight rows, interleaved.
    groups: Chunked<u64>,
    /// For each row `x·μ` and `‖x-μ‖`.
    centred: Chunked<[f32; 2]>,
    /// For each chunk, between which numbers every `x·μ` lies.
    ranges: Vec<[f32; 2]>,
    /// The largest plausible cosine by differing bits.
    plausible: Box<[f32]>,
}

/// What a search needs to know of its query.
#[derive(Debug)]
pub(super) struct SignQuery {
    code: Vec<u64>,
    /// `q·μ`.
    along: f32,
    /// `‖q-μ‖`.
    length: f32,
}

impl Signs {
    /// No rows yet; `mean` has as many numbers as the vectors.
    pub(super) fn new(mean: Box<[f32]>, seed: u64, kernel: Kernel) -> Self {
        let dimensions = mean.len();
        let turns = FEWEST_BITS.div_ceil(dimensions);
        let words = (turns * dimensions).div_ceil(64);
        Self {
            rotation: Rotation::new(dimensions, turns - 1, seed, kernel),
            kernel,
            dimensions,
            words,
            mean_square: dot(kernel, &mean, &mean),
            mean,
            groups: Chunked::new(words * GROUP, CHUNK / GROUP),
            centred: Chunked::new(1, CHUNK),
            ranges: Vec::new(),
            plausible: plausible(turns * dimensions),
        }
    }

    /// The code of a unit vector, `x·μ` and `‖x-μ‖`.
    fn encode(&self, unit: &[f32]) -> SignQuery {
        let mut vector: Vec<f32> = unit.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let length = dot(self.kernel, &vector, &vector).sqrt();
        self.rotation.turn(&mut vector);
        let mut code = vec![0u64; self.words];
        let turns = self.plausible.len() / self.dimensions;
        for turn in 0..turns {
            if turn > 0 {
                self.rotation.turn_further(&mut vector, turn - 1);
            }
            let from = turn * self.dimensions;
            if from.is_multiple_of(64) {
                for (part, word) in vector.chunks(64).zip(&mut code[from / 64..]) {
                    *word |= signs_of(part);
                }
            } else {
                for (bit, value) in (from..).zip(&vector) {
                    code[bit / 64] |= u64::from(value.is_sign_negative()) << (bit % 64);
                }
            }
        }
        SignQuery {
            code,
            along: dot(self.kernel, unit, &self.mean),
            length,
        }
    }

    /// Add a row at the end.
    pub(super) fn push(&mut self, unit: &[f32]) {
        let row = self.centred.rows();
        if row.is_multiple_of(GROUP) {
            self.groups.push(&vec![0; self.words * GROUP]);
        }
        self.centred.push(&[[0.0; 2]]);
        if row / CHUNK == self.ranges.len() {
            self.ranges.push([f32::INFINITY, f32::NEG_INFINITY]);
        }
        self.set(row, unit);
    }

    /// Put another vector in the place of a row.
    pub(super) fn set(&mut self, row: usize, unit: &[f32]) {
        let SignQuery { code, along, length } = self.encode(unit);
        self.write(row, &code, [along, length]);
    }

    fn write(&mut self, row: usize, code: &[u64], centred: [f32; 2]) {
        let group = self.groups.row_mut(row / GROUP);
        for (words, &word) in group.chunks_exact_mut(GROUP).zip(code) {
            words[row % GROUP] = word;
        }
        self.centred.row_mut(row)[0] = centred;
        let range = &mut self.ranges[row / CHUNK];
        *range = [range[0].min(centred[0]), range[1].max(centred[0])];
    }

    /// Put the last row in the place of `row` and drop it from its own.
    pub(super) fn swap_remove(&mut self, row: usize) {
        let last = self.centred.rows() - 1;
        if row != last {
            let group = self.groups.row(last / GROUP);
            let code: Vec<u64> = group.chunks_exact(GROUP).map(|words| words[last % GROUP]).collect();
            let centred = self.centred.row(last)[0];
            self.write(row, &code, centred);
        }
        self.centred.pop();
        if last.is_multiple_of(GROUP) {
            self.groups.pop();
        }
        if last.is_multiple_of(CHUNK) {
            self.ranges.truncate(last / CHUNK);
        }
    }

    /// What a search for `unit` looks for.
    pub(super) fn query(&self, unit: &[f32]) -> SignQuery {
        self.encode(unit)
    }

    /// Push an upper estimate of the cosine and the number of each row of `chunk` that may reach `threshold`.
    pub(super) fn candidates(
        &self,
        query: &SignQuery,
        chunk: usize,
        threshold: f32,
        scratch: &mut Vec<u64>,
        out: &mut Vec<(f32, usize)>,
    ) {
        let threshold = threshold - SLACK;
        let reach = |&cosine: &f32| self.ceiling(query, cosine, self.ranges[chunk]) >= threshold;
        let Some(most) = self.plausible.partition_point(reach).checked_sub(1) else {
            return;
        };
        scratch.clear();
        near(
            self.kernel,
            self.groups.chunk(chunk),
            &query.code,
            u32::try_from(most).unwrap_or(u32::MAX),
            scratch,
        );
        let rows = self.centred.chunk(chunk);
        for &found in scratch.iter() {
            let (row, bits) = ((found >> 32) as usize, (found & 0xFFFF_FFFF) as usize);
            // The last group may be filled only in part.
            let Some(&[along, length]) = rows.get(row) else { return };
            let estimate = self.plausible[bits] * query.length * length + along + query.along - self.mean_square;
            if estimate >= threshold {
                out.push((estimate + SLACK, chunk * CHUNK + row));
            }
        }
    }

    /// The largest estimate that any row can have whose `x·μ` lies in `range` and whose centred cosine is `cosine`.
    ///
    /// With `a = x·μ` the centred length is `√(1+μ·μ-2a)`, and `s·√(1+μ·μ-2a) + a` has its only maximum where the root
    /// equals `s`; for negative `s` it grows with `a`.
    fn ceiling(&self, query: &SignQuery, cosine: f32, range: [f32; 2]) -> f32 {
        let scaled = cosine * query.length;
        let whole = 1.0 + self.mean_square;
        let at = if scaled > 0.0 {
            ((whole - scaled * scaled) / 2.0).max(range[0]).min(range[1])
        } else {
            range[1]
        };
        scaled * (whole - 2.0 * at).max(0.0).sqrt() + at + query.along - self.mean_square
    }

    /// Octets held.
    pub(super) fn bytes(&self) -> usize {
        self.groups.bytes()
            + self.centred.bytes()
            + self.rotation.bytes()
            + size_of_val(&*self.mean)
            + size_of_val(&*self.plausible)
            + self.ranges.capacity() * size_of::<[f32; 2]>()
    }

    /// Octets of one row.
    pub(super) fn bytes_per_row(dimensions: usize) -> usize {
        (FEWEST_BITS.div_ceil(dimensions) * dimensions).div_ceil(64) * 8 + size_of::<[f32; 2]>()
    }
}

/// Bit `i` says that number `i` of at most 64 is negative.
fn signs_of(part: &[f32]) -> u64 {
    part.iter()
        .enumerate()
        .fold(0, |word, (bit, value)| word | u64::from(value.to_bits() >> 31) << bit)
}

/// For each number of differing bits of `bits`, the largest cosine that is not implausible.
#[expect(clippy::cast_precision_loss, reason = "bits are far fewer than 2^52")]
#[expect(clippy::cast_possible_truncation, reason = "a cosine fits")]
fn plausible(bits: usize) -> Box<[f32]> {
    let total = bits as f64;
    let weight = DEVIATIONS * DEVIATIONS / total;
    (0..=bits)
        .map(|differing| {
            let share = differing as f64 / total;
            // The lower end of Wilson's interval: the smallest p with share - p ≤ z·√(p(1-p)/bits).
            let spread = (weight * share * (1.0 - share) + weight * weight / 4.0).sqrt();
            let lowest = (share + weight / 2.0 - spread) / (1.0 + weight);
            (lowest.max(0.0) * std::f64::consts::PI).cos() as f32
        })
        .collect()
}
