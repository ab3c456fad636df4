//! From bytes to tokens: whole pieces, and pairs that merge.
//!
//! Nine pieces in ten are one token, so the first question asked of a piece is whether it is. A token of up to 13 bytes
//! lies in one 16-byte slot with its length and number: the answer costs one line of the cache and one comparison. Merges
//! lie in 8-byte slots, three numbers of 18 bits. Both are open tables, at most half full (three quarters for merges),
//! read far more often than a processor's cache can hold them: a slot that is small beats a hash that is good.

use super::ranks::Ranks;

/// The longest piece that fits into a slot.
pub(super) const SHORT: usize = 13;
/// Bits of a token's number: both published tables have fewer than 2^18 tokens.
pub(super) const ID_BITS: u32 = 18;

const LENGTH_AT: u32 = 104;
const ID_AT: u32 = 108;
const KEY: u128 = (1 << ID_AT) - 1;
const NO_PAIR: u64 = u64::MAX;

/// A piece of up to 13 bytes as a number: its bytes, and its length above them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Short(pub(super) u128);

impl Short {
    /// The piece `text[start..end]`, if it is short enough.
    #[inline]
    pub(super) fn new(text: &[u8], start: usize, end: usize) -> Option<Self> {
        let length = end - start;
        if length > SHORT {
            return None;
        }
        let word = if let Some(Ok(bytes)) = text.get(start..start + 16).map(<[u8; 16]>::try_from) {
            u128::from_le_bytes(bytes) & !(u128::MAX << (8 * length))
        } else {
            let mut bytes = [0; 16];
            bytes[..length].copy_from_slice(&text[start..end]);
            u128::from_le_bytes(bytes)
        };
        Some(Self(word | (length as u128) << LENGTH_AT))
    }

    /// A hash of it: one multiplication, its two halves folded together.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "halves are taken on purpose")]
    pub(super) fn hash(self) -> u64 {
        let (low, high) = (self.0 as u64, (self.0 >> 64) as u64);
        let product = u128::from(low ^ 0x9E37_79B9_7F4A_7C15) * u128::from(high ^ 0xD1B5_4A32_D192_ED03);
        product as u64 ^ (product >> 64) as u64
    }
}

/// The tokens of up to 13 bytes.
pub(super) struct Pieces {
    slots: Box<[u128]>,
    shift: u32,
}

impl Pieces {
    pub(super) fn new(ranks: &Ranks) -> Self {
        let short = ranks.tokens().filter(|token| token.len() <= SHORT).count();
        let size = (short * 2).next_power_of_two();
        let mut pieces = Self {
            slots: vec![0; size].into_boxed_slice(),
            shift: 64 - size.trailing_zeros(),
        };
        for (id, token) in (0u32..).zip(ranks.tokens()) {
            if let Some(key) = Short::new(token, 0, token.len()) {
                let mut at = pieces.home(key.hash());
                while pieces.slots[at] != 0 {
                    at = (at + 1) & (size - 1);
                }
                pieces.slots[at] = key.0 | u128::from(id) << ID_AT;
            }
        }
        pieces
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the slots were allocated: their number is a usize"
    )]
    fn home(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// The token that a short piece is; `hash` is that of the key.
    #[inline]
    pub(super) fn short(&self, key: Short, hash: u64) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at & mask];
            if slot & KEY == key.0 {
                return Some((slot >> ID_AT) as u32);
            }
            if slot == 0 {
                return None;
            }
            at += 1;
        }
    }
}

/// All merges: which token two tokens side by side become.
pub(super) struct Pairs {
    slots: Box<[u64]>,
    shift: u32,
}

impl Pairs {
    pub(super) fn new(pairs: &[(u32, u32)]) -> Self {
        let size = (pairs.len() * 4 / 3).next_power_of_two();
        let mut table = Self {
            slots: vec![NO_PAIR; size].into_boxed_slice(),
            shift: 64 - size.trailing_zeros(),
        };
        for (id, &(left, right)) in (256u64..).zip(pairs) {
            let key = pair_key(left, right);
            let mut at = table.home(key);
            while table.slots[at] != NO_PAIR {
                at = (at + 1) & (size - 1);
            }
            table.slots[at] = key | id << (2 * ID_BITS);
        }
        table
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the slots were allocated: their number is a usize"
    )]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }

    /// The token that `left` and `right` become, or [`NEVER`].
    #[inline]
    pub(super) fn merged(&self, left: u32, right: u32) -> u32 {
        let key = pair_key(left, right);
        let mask = self.slots.len() - 1;
        let mut at = self.home(key);
        loop {
            let slot = self.slots[at & mask];
            if slot & ((1 << (2 * ID_BITS)) - 1) == key {
                return (slot >> (2 * ID_BITS)) as u32;
            }
            if slot == NO_PAIR {
                return NEVER;
            }
            at += 1;
        }
    }
}

/// What two tokens become that do not merge: higher than any token.
pub(super) const NEVER: u32 = u32::MAX;

#[inline]
fn pair_key(left: u32, right: u32) -> u64 {
    u64::from(left) | u64::from(right) << ID_BITS
}
