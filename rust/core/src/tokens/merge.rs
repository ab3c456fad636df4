//! Byte-pair merging of a piece, in linear time.
//!
//! The rule of the encodings: as long as two neighbours make a token, merge those that make the lowest one, the leftmost
//! first. What comes out can be told without merging (published with the `bpe` crate: "So many tokens, so little time",
//! github.blog, 2024): a sequence of tokens is the encoding of its bytes exactly when every two neighbours are the
//! encoding of theirs, so tokens are taken from the left, the longest first, and a token that cannot stand after the
//! last is replaced by the next shorter one, or the last is taken back. The last token before each byte is unique: a place
//! that was given up need never be tried again, so each is tried once for each token that may end there.
//!
//! Pieces of a few bytes are merged as the rule says: looking for the lowest of a dozen merges is faster than a trie that
//! the processor's cache does not hold.
//!
//! The crate itself is not used: it finds the longest tokens by three automata, which for `o200k_base` take 86 MB and
//! 1.8 s to build from ranks (version 0.2.3, measured). A trie does as well here ([`super::trie`]).

use super::ranks::{Ranks, SINGLE};
use super::table::{NEVER, Pairs, SHORT};
use super::trie::{NONE, Trie};

/// What is kept of the working memory of a thread between pieces, in numbers.
const KEPT: usize = 1 << 14;

/// What merging needs to know of an encoding.
pub(super) struct Merges {
    /// The token of each single byte.
    single: [u32; SINGLE],
    pairs: Pairs,
    trie: Trie,
}

/// Working memory, used again from piece to piece.
pub(super) struct Scratch {
    tokens: Vec<u32>,
    /// A bit for each place in the piece that no token may end at.
    given_up: Vec<u64>,
}

impl Scratch {
    pub(super) const fn new() -> Self {
        Self {
            tokens: Vec::new(),
            given_up: Vec::new(),
        }
    }

    fn start(&mut self, length: usize) {
        self.tokens.clear();
        self.given_up.clear();
        if length < KEPT {
            self.tokens.shrink_to(KEPT);
            self.given_up.shrink_to(KEPT);
        }
        self.given_up.resize(length / 64 + 1, 0);
    }

    #[inline]
    fn is_open(&self, place: usize) -> bool {
        self.given_up[place / 64] >> (place % 64) & 1 == 0
    }

    #[inline]
    fn give_up(&mut self, place: usize) {
        self.given_up[place / 64] |= 1 << (place % 64);
    }
}

impl Merges {
    pub(super) fn new(ranks: &Ranks) -> Self {
        let mut single = [0; SINGLE];
        for (id, token) in (0u32..).zip(ranks.tokens().take(SINGLE)) {
            single[usize::from(token[0])] = id;
        }
        Self {
            single,
            pairs: Pairs::new(&ranks.pairs),
            trie: Trie::new(ranks),
        }
    }

    /// The tokens of a piece of up to 13 bytes, and how many they are.
    #[inline]
    pub(super) fn encode_short(&self, piece: &[u8]) -> ([u32; SHORT], usize) {
        let mut ids = [0; SHORT];
        // merges[at] is what ids[at] and ids[at + 1] become; the last has nothing to its right.
        let mut merges = [NEVER; SHORT];
        let mut count = piece.len().min(SHORT);
        for (id, &octet) in ids.iter_mut().zip(piece) {
            *id = self.single[usize::from(octet)];
        }
        for at in 1..count {
            merges[at - 1] = self.pairs.merged(ids[at - 1], ids[at]);
        }
        while count > 1 {
            let (mut lowest, mut at) = (NEVER, 0);
            for (here, &merge) in merges[..count - 1].iter().enumerate() {
                if merge < lowest {
                    (lowest, at) = (merge, here);
                }
            }
            if lowest == NEVER {
                break;
            }
            ids.copy_within(at + 2..count, at + 1);
            merges.copy_within(at + 1..count, at);
            count -= 1;
            ids[at] = lowest;
            merges[at] = if at + 1 < count {
                self.pairs.merged(lowest, ids[at + 1])
            } else {
                NEVER
            };
            if at > 0 {
                merges[at - 1] = self.pairs.merged(ids[at - 1], lowest);
            }
        }
        (ids, count)
    }

    /// The tokens of a piece of any length.
    pub(super) fn encode<'s>(&self, ranks: &Ranks, piece: &[u8], scratch: &'s mut Scratch) -> &'s [u32] {
        scratch.start(piece.len());
        let mut place = 0;
        let mut token = self.trie.longest(piece);
        while token != NONE {
            let last = scratch.tokens.last().copied();
            let end = place + ranks.length(token);
            if scratch.is_open(end) && last.is_none_or(|last| self.stand_together(ranks, last, token)) {
                scratch.tokens.push(token);
                place = end;
                token = self.trie.longest(&piece[end..]);
                continue;
            }
            token = self.trie.shorter(token);
            if token == NONE {
                // Nothing fits after the last token: no token may end here.
                scratch.give_up(place);
                scratch.tokens.pop();
                token = last.unwrap_or(NONE);
                place -= last.map_or(0, |last| ranks.length(last));
            }
        }
        &scratch.tokens
    }

    /// Whether two tokens side by side are what their bytes are encoded as.
    ///
    /// Their merges are taken back from the last to the first. In the state before each, the neighbours at the border
    /// must not be a pair that would have been merged earlier: one of a lower token, or of the same further left.
    #[inline]
    fn stand_together(&self, ranks: &Ranks, mut left: u32, mut right: u32) -> bool {
        let mut before = NEVER;
        loop {
            if self.pairs.merged(left, right) < before {
                return false;
            }
            // Of two equal tokens the left one was made first.
            if left > right {
                let Some((_, half)) = ranks.halves(left) else {
                    return true;
                };
                before = left;
                left = half;
            } else {
                let Some((half, _)) = ranks.halves(right) else {
                    return true;
                };
                before = right + 1;
                right = half;
            }
        }
    }
}

const _: () = assert!(SINGLE == 256, "tokens from 256 on have halves");
