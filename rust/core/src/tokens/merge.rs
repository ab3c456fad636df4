//! Byte-pair merging of a piece that is not one token.
//!
//! The rule of the encodings: as long as two neighbours make a token, merge those that make the lowest one, the leftmost
//! first. A token comes about in one way only (whatever stands around it: nothing crossed its borders, so its inside was
//! merged as if it were alone), so the table needs one pair for each token, and numbers are looked up, not bytes.
//!
//! Short pieces are scanned for the lowest merge; long ones keep their merges in a heap, n log n for a piece of n bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::table::{NEVER, Pairs};

/// Up to so many bytes scanning is faster than a heap.
pub(super) const SCANNED: usize = 48;

/// What merging needs to know of an encoding.
pub(super) struct Merges {
    /// The token of each single byte.
    single: [u32; 256],
    pairs: Pairs,
}

impl Merges {
    pub(super) fn new(single: [u32; 256], pairs: &[(u32, u32)]) -> Self {
        Self {
            single,
            pairs: Pairs::new(pairs),
        }
    }

    /// The tokens of a piece of up to `SCANNED` bytes, and how many they are.
    #[inline]
    pub(super) fn by_scan(&self, piece: &[u8]) -> ([u32; SCANNED], usize) {
        let mut ids = [0; SCANNED];
        // merges[i] is what ids[i] and ids[i + 1] become; the last has nothing to its right.
        let mut merges = [NEVER; SCANNED];
        let mut count = piece.len().min(SCANNED);
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
            ids[at] = lowest;
            ids.copy_within(at + 2..count, at + 1);
            merges.copy_within(at + 1..count, at);
            count -= 1;
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
    pub(super) fn by_heap(&self, piece: &[u8]) -> Vec<u32> {
        let mut chain = Chain::new(piece, &self.single);
        let mut heap: BinaryHeap<Reverse<(u32, usize)>> = (0..piece.len())
            .filter_map(|at| chain.merge_of(at, &self.pairs))
            .collect::<Vec<_>>()
            .into();
        while let Some(Reverse((merge, at))) = heap.pop() {
            // What was pushed before a neighbour changed is no longer so.
            if chain.parts[at].merge != merge {
                continue;
            }
            chain.join(at, merge);
            heap.extend(chain.merge_of(at, &self.pairs));
            if at > 0 {
                heap.extend(chain.merge_of(chain.parts[at].before, &self.pairs));
            }
        }
        let (mut ids, mut at) = (Vec::with_capacity(piece.len() / 2), 0);
        while at < piece.len() {
            ids.push(chain.parts[at].id);
            at = chain.parts[at].after;
        }
        ids
    }
}

/// The parts of a long piece, each at the place of its first byte and knowing its neighbours.
struct Chain {
    parts: Vec<Part>,
}

struct Part {
    id: u32,
    /// What it and its right neighbour become.
    merge: u32,
    before: usize,
    after: usize,
}

impl Chain {
    fn new(piece: &[u8], single: &[u32; 256]) -> Self {
        let part = |(at, &octet): (usize, &u8)| Part {
            id: single[usize::from(octet)],
            merge: NEVER,
            before: at.saturating_sub(1),
            after: at + 1,
        };
        Self {
            parts: piece.iter().enumerate().map(part).collect(),
        }
    }

    /// Note what the part at `at` and its right neighbour become; None when they do not merge.
    fn merge_of(&mut self, at: usize, pairs: &Pairs) -> Option<Reverse<(u32, usize)>> {
        let merge = match self.parts.get(self.parts[at].after) {
            Some(right) => pairs.merged(self.parts[at].id, right.id),
            None => NEVER,
        };
        self.parts[at].merge = merge;
        (merge != NEVER).then_some(Reverse((merge, at)))
    }

    /// Let the part at `at` swallow its right neighbour.
    fn join(&mut self, at: usize, merge: u32) {
        let gone = self.parts[at].after;
        let after = self.parts[gone].after;
        self.parts[gone].merge = NEVER;
        self.parts[at].id = merge;
        self.parts[at].after = after;
        if let Some(right) = self.parts.get_mut(after) {
            right.before = at;
        }
    }
}
