//! The table that finds a slot by key: open addressing over one array, so that a lookup waits for memory once.
//!
//! A bucket holds 32 bits of the key's hash beside the slot. A general table keeps its control bytes apart from what they
//! describe, which is a second, dependent trip to memory before the slot is known; in a cache that is larger than the
//! processor's, trips to memory are what a lookup costs. Probing is linear, eight buckets to a line; removal shifts back,
//! so nothing is ever left to be skipped; growing and removing read the buckets only, never the slots.

/// Buckets of the smallest table.
const SMALLEST: usize = 8;

/// Where slots are found. Which of two keys with equal hashes a slot belongs to, only its owner can tell.
#[derive(Debug)]
pub(crate) struct Index {
    // Hash in the upper half, slot + 1 in the lower; 0 is empty. The length is a power of two, or zero.
    buckets: Vec<u64>,
    listed: usize,
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self {
            buckets: Vec::new(),
            listed: 0,
        }
    }

    /// The slot listed under `hash` that `is_it`.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        loop {
            let bucket = *self.buckets.get(at)?;
            let slot = slot_of(bucket)?;
            if hash_of(bucket) == hash && is_it(slot) {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }

    /// List `slot`, which must not be listed, under `hash`.
    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        if self.listed >= self.buckets.len() / 8 * 7 {
            self.resize((self.buckets.len() * 2).max(SMALLEST));
        }
        self.listed += 1;
        self.put(bucket(hash, slot));
    }

    /// Say that what is listed under `hash` as `slot` is now in slot `moved`.
    pub(crate) fn relocate(&mut self, hash: u32, slot: u32, moved: u32) {
        if let Some(at) = self.place(hash, slot) {
            self.buckets[at] = bucket(hash, moved);
        }
    }

    /// Strike `slot`, listed under `hash`.
    pub(crate) fn remove(&mut self, hash: u32, slot: u32) {
        let Some(mut gap) = self.place(hash, slot) else { return };
        let mask = self.buckets.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let bucket = self.buckets[at];
            if bucket == 0 {
                break;
            }
            // It may move into the gap unless it would then sit before its home.
            let home = hash_of(bucket) as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.buckets[gap] = bucket;
                gap = at;
            }
        }
        self.buckets[gap] = 0;
        self.listed -= 1;
        if self.listed < self.buckets.len() / 8 && self.buckets.len() > SMALLEST {
            self.resize(self.buckets.len() / 4);
        }
    }

    fn place(&self, hash: u32, slot: u32) -> Option<usize> {
        let sought = bucket(hash, slot);
        let mask = self.buckets.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        loop {
            match *self.buckets.get(at)? {
                0 => return None,
                found if found == sought => return Some(at),
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn put(&mut self, bucket: u64) {
        let mask = self.buckets.len() - 1;
        let mut at = hash_of(bucket) as usize & mask;
        while self.buckets[at] != 0 {
            at = (at + 1) & mask;
        }
        self.buckets[at] = bucket;
    }

    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.buckets, vec![0; size]);
        for bucket in old.into_iter().filter(|&bucket| bucket != 0) {
            self.put(bucket);
        }
    }
}

#[inline]
fn bucket(hash: u32, slot: u32) -> u64 {
    u64::from(hash) << 32 | (u64::from(slot) + 1)
}

#[inline]
fn hash_of(bucket: u64) -> u32 {
    (bucket >> 32) as u32
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn slot_of(bucket: u64) -> Option<u32> {
    (bucket as u32).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few hashes, all near the end of the table: long runs that wrap around, and equal hashes of unlike slots.
        #[test]
        fn finds_what_is_listed_and_nothing_else(steps in prop::collection::vec((0_u32..40, any::<bool>()), 0..200)) {
            let hash = |slot: u32| (slot % 5).wrapping_sub(3);
            let mut index = Index::new();
            let mut listed = std::collections::BTreeSet::new();
            for (slot, add) in steps {
                if !add {
                    index.remove(hash(slot), slot);
                    listed.remove(&slot);
                } else if listed.insert(slot) {
                    index.insert(hash(slot), slot);
                }
                for slot in 0..40 {
                    let found = index.find(hash(slot), |candidate| candidate == slot);
                    prop_assert_eq!(found, listed.contains(&slot).then_some(slot));
                }
                prop_assert_eq!(index.listed, listed.len());
                prop_assert!(index.buckets.len() <= (8 * listed.len()).max(64), "memory follows the entries down");
            }
        }
    }

    #[test]
    fn a_slot_that_moved_is_found_where_it_is() {
        let mut index = Index::new();
        index.insert(7, 0);
        index.insert(7, 1);
        index.relocate(7, 1, 5);
        assert_eq!(index.find(7, |slot| slot != 0), Some(5));
        index.remove(7, 0);
        assert_eq!(index.find(7, |_| true), Some(5));
    }
}
