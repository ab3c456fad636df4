//! Words as numbers.

use std::hash::Hasher;

/// Keys are hashes already.
#[derive(Default)]
pub(super) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A word as a number. Not keyed: a collision made on purpose could only make two words look alike to the guards, and
/// the verifier, which reads the letters, comes after them.
pub(super) const fn hash(word: &str) -> u64 {
    let octets = word.as_bytes();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ (octets.len() as u64).wrapping_mul(0xA24B_AED4_963E_E407);
    let mut at = 0;
    while at < octets.len() {
        let mut chunk = 0_u64;
        let mut nth = 0;
        while nth < 8 && at + nth < octets.len() {
            chunk |= (octets[at + nth] as u64) << (8 * nth);
            nth += 1;
        }
        let mixed = ((state ^ chunk) as u128) * 0xD6E8_FEB8_6659_FD93_u128;
        #[expect(clippy::cast_possible_truncation, reason = "both halves of the product are folded")]
        {
            state = (mixed as u64) ^ ((mixed >> 64) as u64);
        }
        at += 8;
    }
    state ^ (state >> 29)
}

/// Several words as numbers, made when this is compiled.
pub(super) const fn hashes<const COUNT: usize>(words: [&str; COUNT]) -> [u64; COUNT] {
    let mut all = [0; COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = hash(words[at]);
        at += 1;
    }
    all
}
