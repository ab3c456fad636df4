//! Deadlines: an indexed 4-ary min-heap, so that the next entry to die is always at hand.
//!
//! Every slot knows its place in the heap, so an overwritten or removed entry leaves nothing behind (a heap with lazy
//! deletion grows with every overwrite). Deadlines and slots lie in two arrays: four children share half a cache line.
//! With one time to live for all, deadlines arrive in order and an insert is one comparison. Slots without a deadline
//! are not in the heap, and until the first deadline the heap holds no memory at all.

/// The deadline of an entry that never expires.
pub(crate) const NEVER: u64 = u64::MAX;

const ABSENT: u32 = u32::MAX;
const CHILDREN: usize = 4;

/// Slots by deadline.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    deadlines: Vec<u64>,
    slots: Vec<u32>,
    // Place of each slot in the heap; shorter than the slots while the last of them have no deadline.
    places: Vec<u32>,
}

impl Expiry {
    /// Whether no slot has a deadline: then nobody needs to ask the clock.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }

    /// The slot that dies first, if its deadline has come.
    #[inline]
    pub(crate) fn due(&self, now: u64) -> Option<u32> {
        match self.deadlines.first() {
            Some(&deadline) if deadline <= now => self.slots.first().copied(),
            _ => None,
        }
    }

    /// Give `slot`, which must not be in the heap, a deadline; [`NEVER`] is none.
    #[inline]
    pub(crate) fn insert(&mut self, slot: u32, deadline: u64) {
        if deadline == NEVER {
            return;
        }
        if self.places.len() <= slot as usize {
            self.places.resize(slot as usize + 1, ABSENT);
        }
        self.deadlines.push(deadline);
        self.slots.push(slot);
        self.rise(self.deadlines.len() - 1, deadline, slot);
    }

    /// Take `slot` out of the heap, if it is in it.
    pub(crate) fn remove(&mut self, slot: u32) {
        let place = self.place(slot);
        if place == ABSENT {
            return;
        }
        self.places[slot as usize] = ABSENT;
        let (Some(deadline), Some(moved)) = (self.deadlines.pop(), self.slots.pop()) else {
            return;
        };
        if moved != slot {
            let place = place as usize;
            if deadline < self.deadlines[place] {
                self.rise(place, deadline, moved);
            } else {
                self.sink(place, deadline, moved);
            }
        }
        shrink(&mut self.deadlines);
        shrink(&mut self.slots);
    }

    /// Let the last slot `last` be known as `hole`, which must have been removed; `hole == last` forgets the slot.
    pub(crate) fn relocate(&mut self, last: u32, hole: u32) {
        let place = self.place(last);
        self.places.truncate(last as usize);
        shrink(&mut self.places);
        if place != ABSENT && last != hole {
            self.slots[place as usize] = hole;
            if self.places.len() <= hole as usize {
                self.places.resize(hole as usize + 1, ABSENT);
            }
            self.places[hole as usize] = place;
        }
    }

    #[inline]
    fn place(&self, slot: u32) -> u32 {
        self.places.get(slot as usize).copied().unwrap_or(ABSENT)
    }

    #[inline]
    fn rise(&mut self, mut place: usize, deadline: u64, slot: u32) {
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if self.deadlines[parent] <= deadline {
                break;
            }
            self.put(place, self.deadlines[parent], self.slots[parent]);
            place = parent;
        }
        self.put(place, deadline, slot);
    }

    fn sink(&mut self, mut place: usize, deadline: u64, slot: u32) {
        loop {
            let first = place * CHILDREN + 1;
            let children = first..self.deadlines.len().min(first + CHILDREN);
            let Some(child) = children.min_by_key(|&child| self.deadlines[child]) else {
                break;
            };
            if self.deadlines[child] >= deadline {
                break;
            }
            self.put(place, self.deadlines[child], self.slots[child]);
            place = child;
        }
        self.put(place, deadline, slot);
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a heap place is below the number of slots, which are u32"
    )]
    fn put(&mut self, place: usize, deadline: u64, slot: u32) {
        self.deadlines[place] = deadline;
        self.slots[place] = slot;
        self.places[slot as usize] = place as u32;
    }
}

/// Give memory back once three quarters of it are unused: amortised, a few copies per removal.
fn shrink<T>(array: &mut Vec<T>) {
    if array.len() < array.capacity() / 4 {
        array.shrink_to(array.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(expiry: &Expiry) {
        for place in 1..expiry.deadlines.len() {
            assert!(
                expiry.deadlines[(place - 1) / CHILDREN] <= expiry.deadlines[place],
                "heap order at {place}"
            );
        }
        for (place, &slot) in expiry.slots.iter().enumerate() {
            assert_eq!(expiry.places[slot as usize] as usize, place);
        }
    }

    proptest! {
        #[test]
        fn slots_come_out_by_deadline(deadlines in prop::collection::vec(0_u64..50, 0..80), removed in prop::collection::vec(0_u32..80, 0..40)) {
            let mut expiry = Expiry::default();
            for (slot, &deadline) in (0_u32..).zip(&deadlines) {
                expiry.insert(slot, deadline);
                check(&expiry);
            }
            let mut expected = deadlines.clone();
            for slot in removed {
                if expiry.place(slot) != ABSENT {
                    let at = expected.iter().position(|&deadline| deadline == deadlines[slot as usize]).unwrap_or(0);
                    expected.swap_remove(at);
                }
                expiry.remove(slot);
                check(&expiry);
            }
            expected.sort_unstable();
            let mut seen = Vec::new();
            while let Some(slot) = expiry.due(NEVER - 1) {
                seen.push(deadlines[slot as usize]);
                expiry.remove(slot);
                check(&expiry);
            }
            prop_assert_eq!(seen, expected);
            prop_assert!(expiry.is_empty());
        }
    }

    #[test]
    fn a_slot_without_deadline_costs_nothing() {
        let mut expiry = Expiry::default();
        expiry.insert(1_000_000, NEVER);
        assert_eq!(expiry.places.capacity(), 0);
        expiry.relocate(1_000_000, 3);
        assert_eq!(expiry.places.capacity(), 0);
    }

    #[test]
    fn a_relocated_slot_keeps_its_deadline() {
        let mut expiry = Expiry::default();
        for slot in 0..10 {
            expiry.insert(slot, 100 - u64::from(slot));
        }
        expiry.remove(2);
        expiry.relocate(9, 2);
        check(&expiry);
        assert_eq!(
            expiry.due(91),
            Some(2),
            "slot 9 had the first deadline and is slot 2 now"
        );
        assert_eq!(expiry.due(90), None);
    }
}
