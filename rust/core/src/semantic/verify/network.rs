//! The token-alignment network: layers, alignment and logit. Its definition is `reference.py` beside the model card.
//!
//! Shapes: T tokens (at most 32), D = 128 table columns, K = 64 states a token, S = 15 signals. All arithmetic is f32.
//! Each text is encoded alone: unit rows [T, D], a projection of (row, log norm) to [T, K], a window of three to
//! [T, K]. A pair is compared by aligning every token softly with the other text's tokens. The part of the comparison
//! that knows one text only is worked out when the text is encoded, which takes a quarter off every comparison.
//!
//! Weights are kept as [in][out], so that the inner loop runs over outputs and the compiler makes SIMD of it without
//! any reordering of sums; inputs that are zero after a rectifier are skipped.

use super::layer::{Layer, Reader};
use crate::error::Error;
use crate::vector::bundle;
use crate::vector::embed::{DIMENSIONS, Table};

/// States a token.
pub(super) const STATES: usize = 64;
/// Units of the last hidden layer.
const HIDDEN: usize = 64;
/// Signals that the network reads besides the tokens.
pub const SIGNALS: usize = 15;
/// The norm below which a row has no direction.
const SHORTEST: f32 = 1e-6;

/// One text as it is stored: 138 octets a token, 1.7 KB for twelve.
///
/// States keep 16 bits beside one scale a token: the error, 8e-6 of the largest state, moves no probability by 1e-4.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tokens {
    ids: Box<[u32]>,
    /// One over the length of each token's row.
    inverse: Box<[f32]>,
    states: Box<[[u16; STATES]]>,
    scales: Box<[f32]>,
}

impl Tokens {
    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        self.ids.len() * (size_of::<u32>() + 2 * size_of::<f32>() + size_of::<[u16; STATES]>())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A text unpacked for comparing: its states, and its own share of the compare layer.
#[derive(Debug, Clone)]
pub(super) struct Unpacked<'a> {
    codes: Vec<[i8; DIMENSIONS]>,
    inverse: &'a [f32],
    states: Vec<[f32; STATES]>,
    /// The compare layer's bias and its share of the text's own states.
    own: Vec<[f32; STATES]>,
}

/// The bundled network.
#[derive(Debug)]
pub(super) struct Network {
    beta: f32,
    median: f32,
    /// Platt calibration: slope and offset of the logit.
    pub(super) platt: (f32, f32),
    project: Layer<STATES>,
    context: Layer<STATES>,
    compare: Layer<STATES>,
    hidden: Layer<HIDDEN>,
    output: Layer<1>,
}

impl Network {
    /// Read the weights of a file with the layout of the model card.
    ///
    /// # Errors
    /// `Damaged` when it has another checksum, kind or size.
    pub(super) fn open(file: &[u8]) -> Result<Self, Error> {
        let (dimensions, payload) = bundle::open(file, b"RSPTVERI")?;
        let known = [DIMENSIONS, STATES, HIDDEN, SIGNALS, 8];
        if dimensions.iter().map(|&size| size as usize).ne(known) {
            return Err(bundle::damaged(
                "RSPTVERI",
                "has other dimensions than this release reads",
            ));
        }
        let mut reader = Reader { octets: payload };
        let [beta, median, slope, offset] = [reader.float()?, reader.float()?, reader.float()?, reader.float()?];
        let network = Self {
            beta,
            median,
            platt: (slope, offset),
            project: reader.layer(DIMENSIONS + 1)?,
            context: reader.layer(3 * STATES)?,
            compare: reader.layer(4 * STATES)?,
            hidden: reader.layer(4 * STATES + SIGNALS)?,
            output: reader.layer(HIDDEN)?,
        };
        if reader.octets.is_empty() {
            Ok(network)
        } else {
            Err(bundle::damaged("RSPTVERI", "is longer than its layers"))
        }
    }

    /// Encode a text of at most 32 token ids.
    pub(super) fn encode(&self, table: &Table, ids: &[u32]) -> Tokens {
        let mut inverse = Vec::with_capacity(ids.len());
        let mut projected = Vec::with_capacity(ids.len());
        for &id in ids {
            let (codes, scale) = table.row(id);
            let row = codes.map(f32::from);
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            let unit = length.max(SHORTEST).recip();
            let log_norm = (length * scale / self.median).ln_1p();
            let mut state = self.project.bias;
            self.project.add(&mut state, 0, &row.map(|value| value * unit));
            self.project.add(&mut state, DIMENSIONS, &[log_norm]);
            projected.push(state.map(|value| value.max(0.0)));
            inverse.push(unit);
        }
        let (states, scales) = (0..projected.len())
            .map(|at| pack(&self.window(&projected, at)))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        Tokens {
            ids: ids.into(),
            inverse: inverse.into(),
            states: states.into(),
            scales: scales.into(),
        }
    }

    /// The state at `at` from the window of three; before the first and after the last token are zeros, adding nothing.
    fn window(&self, projected: &[[f32; STATES]], at: usize) -> [f32; STATES] {
        let mut state = self.context.bias;
        for (offset, neighbour) in [at.wrapping_sub(1), at, at + 1].into_iter().enumerate() {
            if let Some(neighbour) = projected.get(neighbour) {
                self.context.add(&mut state, offset * STATES, neighbour);
            }
        }
        state.map(|value| value.max(0.0))
    }

    /// Unpack a text for comparing it with any number of others.
    pub(super) fn unpack<'a>(&self, table: &Table, tokens: &'a Tokens) -> Unpacked<'a> {
        let states: Vec<[f32; STATES]> = tokens
            .states
            .iter()
            .zip(&tokens.scales)
            .map(|(packed, &scale)| packed.map(|value| f32::from(value) * scale))
            .collect();
        let own = states
            .iter()
            .map(|state| {
                let mut sum = self.compare.bias;
                self.compare.add(&mut sum, 0, state);
                sum
            })
            .collect();
        Unpacked {
            codes: tokens.ids.iter().map(|&id| table.row(id).0).collect(),
            inverse: &tokens.inverse,
            states,
            own,
        }
    }

    /// The logit before calibration; both texts have at least one token.
    pub(super) fn score(&self, a: &Unpacked<'_>, b: &Unpacked<'_>, signals: &[f32; SIGNALS]) -> f32 {
        let width = b.codes.len().max(1);
        let mut similarity = vec![0.0f32; a.codes.len() * width];
        for ((row, &inverse), line) in a.codes.iter().zip(a.inverse).zip(similarity.chunks_exact_mut(width)) {
            for ((other, &theirs), cell) in b.codes.iter().zip(b.inverse).zip(line) {
                *cell = dot(row, other) * inverse * theirs;
            }
        }
        let left = self.aligned(a, b, |i, j| similarity[i * width + j]);
        let right = self.aligned(b, a, |i, j| similarity[j * width + i]);
        let mut hidden = self.hidden.bias;
        // The two sides enter as their sum and their distance, so that swapping the texts changes nothing.
        let sum: [f32; 2 * STATES] = std::array::from_fn(|i| left[i] + right[i]);
        let distance: [f32; 2 * STATES] = std::array::from_fn(|i| (left[i] - right[i]).abs());
        self.hidden.add(&mut hidden, 0, &sum);
        self.hidden.add(&mut hidden, 2 * STATES, &distance);
        self.hidden.add(&mut hidden, 4 * STATES, signals);
        let mut logit = self.output.bias;
        self.output.add(&mut logit, 0, &hidden.map(|value| value.max(0.0)));
        logit[0]
    }

    /// Every token of `left` beside its soft alignment in `right`: the sum, then the maximum over the tokens.
    #[inline]
    fn aligned(
        &self,
        left: &Unpacked<'_>,
        right: &Unpacked<'_>,
        similarity: impl Fn(usize, usize) -> f32,
    ) -> [f32; 2 * STATES] {
        let (mut sum, mut maximum) = ([0.0f32; STATES], [f32::NEG_INFINITY; STATES]);
        let mut weights = [0.0f32; crate::vector::wordpiece::VERIFIED_TOKENS];
        for (i, (state, own)) in left.states.iter().zip(&left.own).enumerate() {
            let weights = &mut weights[..right.states.len()];
            let mut highest = f32::NEG_INFINITY;
            for (j, weight) in weights.iter_mut().enumerate() {
                *weight = similarity(i, j);
                highest = highest.max(*weight);
            }
            let mut total = 0.0;
            for weight in weights.iter_mut() {
                *weight = (self.beta * (*weight - highest)).exp();
                total += *weight;
            }
            let mut other = [0.0f32; STATES];
            for (&weight, theirs) in weights.iter().zip(&right.states) {
                let share = weight / total;
                for (value, &part) in other.iter_mut().zip(theirs) {
                    *value += share * part;
                }
            }
            let mut value = *own;
            let distance: [f32; STATES] = std::array::from_fn(|k| (state[k] - other[k]).abs());
            let product: [f32; STATES] = std::array::from_fn(|k| state[k] * other[k]);
            self.compare.add(&mut value, STATES, &other);
            self.compare.add(&mut value, 2 * STATES, &distance);
            self.compare.add(&mut value, 3 * STATES, &product);
            for (k, value) in value.into_iter().enumerate() {
                let value = value.max(0.0);
                sum[k] += value;
                maximum[k] = maximum[k].max(value);
            }
        }
        let mut both = [0.0; 2 * STATES];
        both[..STATES].copy_from_slice(&sum);
        both[STATES..].copy_from_slice(&maximum);
        both
    }
}

/// Inner product of two rows of codes: exact, a sum of whole numbers below 2^21.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "the sum is below 2^24")]
fn dot(a: &[i8; DIMENSIONS], b: &[i8; DIMENSIONS]) -> f32 {
    let sum: i32 = a
        .iter()
        .zip(b)
        .map(|(&x, &y)| i32::from(i16::from(x) * i16::from(y)))
        .sum();
    sum as f32
}

/// A state in 16 bits beside its scale; states are never negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the largest, from 0 to 65,535"
)]
fn pack(state: &[f32; STATES]) -> ([u16; STATES], f32) {
    let largest = state.iter().copied().fold(0.0f32, f32::max);
    if largest <= 0.0 {
        return ([0; STATES], 0.0);
    }
    let steps = f32::from(u16::MAX) / largest;
    (
        state.map(|value| (value * steps).round() as u16),
        largest / f32::from(u16::MAX),
    )
}
