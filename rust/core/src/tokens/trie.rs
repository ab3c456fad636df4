//! The longest token that a text begins with, and the next shorter one.
//!
//! A trie over all tokens, its edges in one open table of 8-byte slots: node, byte and child in one number. The automata
//! that answer the same question for a whole text at once take ten times the memory, and seconds to build.

use super::ranks::{Ranks, SINGLE};

const CHILD_BITS: u32 = 24;
const CHILD: u64 = (1 << CHILD_BITS) - 1;
const NO_EDGE: u64 = u64::MAX;
/// What stands for "no token".
pub(super) const NONE: u32 = u32::MAX;

/// All tokens by their beginnings.
pub(super) struct Trie {
    slots: Box<[u64]>,
    shift: u32,
    /// The node of each single byte: they are tokens, so a longest token there always is.
    roots: [u32; SINGLE],
    /// The longest token that each node's bytes begin with.
    longest: Vec<u32>,
    /// The longest token that is a beginning of each token, without being it.
    shorter: Vec<u32>,
}

impl Trie {
    pub(super) fn new(ranks: &Ranks) -> Self {
        // The published tables have two nodes a token: their edges fill four tenths of this.
        let size = (ranks.len() * 4).next_power_of_two();
        let mut trie = Self {
            slots: vec![NO_EDGE; size].into_boxed_slice(),
            shift: 64 - size.trailing_zeros(),
            roots: [0; SINGLE],
            longest: Vec::with_capacity(ranks.len() * 5 / 2),
            shorter: vec![NONE; ranks.len()],
        };
        let mut parents = Vec::with_capacity(ranks.len() * 5 / 2);
        let mut node_of = Vec::with_capacity(ranks.len());
        for (id, token) in (0u32..).zip(ranks.tokens().take(SINGLE)) {
            trie.roots[usize::from(token[0])] = id;
            trie.longest.push(id);
            parents.push(NONE);
            node_of.push(id);
        }
        for (id, &(left, right)) in (256u32..).zip(&ranks.pairs) {
            let mut node = node_of[left as usize];
            for &octet in ranks.token(right).unwrap_or_default() {
                node = trie.grow(node, octet, &mut parents);
            }
            trie.longest[node as usize] = id;
            node_of.push(node);
        }
        trie.inherit(&parents, &node_of);
        trie
    }

    /// The child of `node` by `octet`, made if need be.
    #[expect(clippy::cast_possible_truncation, reason = "nodes are fewer than 2^24")]
    fn grow(&mut self, node: u32, octet: u8, parents: &mut Vec<u32>) -> u32 {
        let (child, at) = self.find(node, octet);
        if let Some(child) = child {
            return child;
        }
        let child = self.longest.len() as u32;
        self.slots[at] = edge(node, octet) | u64::from(child);
        self.longest.push(NONE);
        parents.push(node);
        child
    }

    /// Let nodes that are no token know the longest one on the way to them. A parent is older than its children.
    fn inherit(&mut self, parents: &[u32], node_of: &[u32]) {
        for (node, &parent) in parents.iter().enumerate() {
            if self.longest[node] == NONE {
                self.longest[node] = self.longest[parent as usize];
            }
        }
        for (shorter, &node) in self.shorter.iter_mut().zip(node_of) {
            if let Some(&above) = self.longest.get(parents[node as usize] as usize) {
                *shorter = above;
            }
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "24 bits are left")]
    fn find(&self, node: u32, octet: u8) -> (Option<u32>, usize) {
        let key = edge(node, octet);
        let mask = self.slots.len() - 1;
        let mut at = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize;
        loop {
            let slot = self.slots[at & mask];
            if slot & !CHILD == key {
                return (Some((slot & CHILD) as u32), at & mask);
            }
            if slot == NO_EDGE {
                return (None, at & mask);
            }
            at += 1;
        }
    }

    /// The longest token that `text` begins with; [`NONE`] only for the empty text.
    #[inline]
    pub(super) fn longest(&self, text: &[u8]) -> u32 {
        let Some((&first, rest)) = text.split_first() else {
            return NONE;
        };
        let mut node = self.roots[usize::from(first)];
        for &octet in rest {
            match self.find(node, octet).0 {
                Some(child) => node = child,
                None => break,
            }
        }
        self.longest[node as usize]
    }

    /// The next shorter token that a token begins with, or [`NONE`].
    #[inline]
    pub(super) fn shorter(&self, id: u32) -> u32 {
        self.shorter[id as usize]
    }
}

#[inline]
fn edge(node: u32, octet: u8) -> u64 {
    (u64::from(node) << 8 | u64::from(octet)) << CHILD_BITS
}
