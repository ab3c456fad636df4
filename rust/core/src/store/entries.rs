//! The entries themselves: a dense array of slots and the index that finds a slot by key.
//!
//! A slot is half a cache line when the value is a pointer. The hash is a quarter of the key, which is a digest
//! already, so nothing is hashed twice and no key is stored twice.

use std::sync::Arc;

use super::index::Index;

/// A 128-bit digest of whatever the value answers. Equal digests mean equal questions.
pub type Digest = [u8; 16];

/// What is known of a live entry besides its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Nanoseconds since the value was set.
    pub age: u64,
    /// Nanoseconds until it expires; `None` when it never does.
    pub remaining: Option<u64>,
    /// How often it was found since it was set.
    pub hits: u32,
    /// Its share of the byte budget.
    pub weight: u64,
    /// Its tags, in the order given.
    pub tags: Vec<Arc<str>>,
}

/// What every lookup reads of an entry. The alignment keeps it within one cache line.
#[derive(Debug)]
#[repr(C, align(32))]
pub(crate) struct Slot<V> {
    pub(crate) key: Digest,
    pub(crate) value: V,
    pub(crate) deadline: u64,
}

/// What a lookup does not read, kept apart so that what it does read is dense.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) created: u64,
    pub(crate) weight: u64,
}

/// Entries for which memory is not worth giving back.
const SMALL: usize = 64;

/// All slots, without gaps, and where to find them.
#[derive(Debug)]
pub(crate) struct Entries<V> {
    slots: Vec<Slot<V>>,
    origins: Vec<Origin>,
    index: Index,
}

impl<V> Entries<V> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            origins: Vec::new(),
            index: Index::new(),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Slot<V>, &Origin)> {
        self.slots.iter().zip(&self.origins)
    }

    #[inline]
    pub(crate) fn find(&self, key: &Digest) -> Option<u32> {
        self.index.find(hash(key), |slot| self.slots[slot as usize].key == *key)
    }

    #[inline]
    pub(crate) fn slot(&self, slot: u32) -> &Slot<V> {
        &self.slots[slot as usize]
    }

    #[inline]
    pub(crate) fn origin(&self, slot: u32) -> Origin {
        self.origins[slot as usize]
    }

    /// Add an entry under a key that is not there; its slot is the next new one.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the store limits the number of entries to u32"
    )]
    pub(crate) fn push(&mut self, entry: Slot<V>, origin: Origin) -> u32 {
        let slot = self.slots.len() as u32;
        let hash = hash(&entry.key);
        self.slots.push(entry);
        self.origins.push(origin);
        self.index.insert(hash, slot);
        slot
    }

    /// Put an entry in the place of the one in `slot`, whose value is returned.
    pub(crate) fn replace(&mut self, slot: u32, entry: Slot<V>, origin: Origin) -> V {
        let key = entry.key;
        let moves = self.slots[slot as usize].key != key;
        if moves {
            self.unlist(slot);
        }
        let old = std::mem::replace(&mut self.slots[slot as usize], entry);
        self.origins[slot as usize] = origin;
        if moves {
            self.index.insert(hash(&key), slot);
        }
        old.value
    }

    /// Take the entry out of `slot` and let the last one move in; `None` when there is no such slot.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the store limits the number of entries to u32"
    )]
    pub(crate) fn swap_remove(&mut self, slot: u32) -> Option<(V, Origin)> {
        if slot as usize >= self.slots.len() {
            return None;
        }
        self.unlist(slot);
        let last = (self.slots.len() - 1) as u32;
        if last != slot {
            let moved = hash(&self.slots[last as usize].key);
            self.index.relocate(moved, last, slot);
        }
        let taken = self.slots.swap_remove(slot as usize);
        let origin = self.origins.swap_remove(slot as usize);
        self.shrink();
        Some((taken.value, origin))
    }

    fn unlist(&mut self, slot: u32) {
        let key = hash(&self.slots[slot as usize].key);
        self.index.remove(key, slot);
    }

    // Memory follows the live entries down as it followed them up: amortised, a few moves per removal.
    fn shrink(&mut self) {
        let live = self.slots.len();
        if live < self.slots.capacity() / 4 {
            self.slots.shrink_to((live * 2).max(SMALL));
            self.origins.shrink_to((live * 2).max(SMALL));
        }
    }
}

/// A quarter of a digest: as good a hash as any.
#[inline]
fn hash(key: &Digest) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| key[byte]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_slots_are_one_cache_line() {
        assert_eq!(size_of::<Slot<usize>>(), 32);
    }
}
