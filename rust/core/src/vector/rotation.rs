//! A secret random rotation of any number of dimensions: random signs and Walsh–Hadamard transforms.
//!
//! After it, the signs of a vector's coordinates say where it points, whatever the coordinates meant before. Each round
//! flips signs and transforms the first and the last power-of-two block; where these overlap (the dimensions are no
//! power of two) the rounds mix them. Three rounds are as good as a dense random rotation in practice (Andoni et al.,
//! "Practical and optimal LSH for angular distance", 2015), and cost d·log d instead of d². Cosines are unchanged.

use super::kernels::{Kernel, hadamard};

/// Rounds before the first use of the coordinates.
const ROUNDS: usize = 3;

/// The rotation, and as many further turns as were asked for.
#[derive(Debug)]
pub(super) struct Rotation {
    dimensions: usize,
    /// The largest power of two that the dimensions hold.
    block: usize,
    scale: f32,
    /// One bit for each dimension and round.
    signs: Box<[u64]>,
    kernel: Kernel,
}

impl Rotation {
    /// Draw a rotation with `turns` further rounds behind it, each of which gives a new, independent set of signs.
    pub(super) fn new(dimensions: usize, turns: usize, seed: u64, kernel: Kernel) -> Self {
        let block = if dimensions.is_power_of_two() {
            dimensions
        } else {
            dimensions.next_power_of_two() / 2
        };
        let mut state = seed;
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let scale = (block as f32).sqrt().recip();
        Self {
            dimensions,
            block,
            scale,
            signs: (0..(ROUNDS + turns) * dimensions.div_ceil(64))
                .map(|_| split_mix(&mut state))
                .collect(),
            kernel,
        }
    }

    /// Rotate a vector.
    pub(super) fn turn(&self, vector: &mut [f32]) {
        for round in 0..ROUNDS {
            self.round(vector, round);
        }
    }

    /// Rotate what `turn` has rotated by the further round `number`.
    pub(super) fn turn_further(&self, vector: &mut [f32], number: usize) {
        self.round(vector, ROUNDS + number);
    }

    fn round(&self, vector: &mut [f32], round: usize) {
        let words = self.dimensions.div_ceil(64);
        let signs = &self.signs[round * words..(round + 1) * words];
        for (part, &word) in vector.chunks_mut(64).zip(signs) {
            for (place, value) in part.iter_mut().enumerate() {
                let flip = u32::from(word >> place & 1 == 1) << 31;
                *value = f32::from_bits(value.to_bits() ^ flip);
            }
        }
        self.transform(&mut vector[..self.block]);
        if self.block < self.dimensions {
            self.transform(&mut vector[self.dimensions - self.block..]);
        }
    }

    fn transform(&self, block: &mut [f32]) {
        hadamard(self.kernel, block);
        for value in block {
            *value *= self.scale;
        }
    }

    /// Octets held.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.signs)
    }
}

/// The next number of `SplitMix64` (Steele, Lea, Flood 2014).
pub(super) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}
