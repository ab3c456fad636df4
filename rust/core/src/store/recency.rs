//! The order of use: an exact LRU list threaded through one compact array.
//!
//! Twelve bytes per slot, apart from the entries, so that moving an entry to the front touches little memory. The list
//! is a ring through a sentinel at index 0 (slot `s` sits at `s + 1`), so no link is ever absent and nothing branches.
//! This is the only file that knows the eviction policy.

/// Slots from most to least recently used.
#[derive(Debug)]
pub(crate) struct Recency {
    links: Vec<Link>,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
    touches: u32,
}

const SENTINEL: u32 = 0;

const LOOSE: Link = Link {
    newer: SENTINEL,
    older: SENTINEL,
    touches: 0,
};

impl Recency {
    pub(crate) fn new() -> Self {
        Self { links: vec![LOOSE] }
    }

    /// Put `slot`, which must not be in the list, at the front; the array grows when it is the next new slot.
    #[inline]
    pub(crate) fn insert(&mut self, slot: u32) {
        if slot as usize + 1 == self.links.len() {
            self.links.push(LOOSE);
        }
        self.link_front(slot + 1, 0);
    }

    /// Count a use of `slot` and move it to the front.
    #[inline]
    pub(crate) fn touch(&mut self, slot: u32) {
        let node = slot + 1;
        let link = &mut self.links[node as usize];
        link.touches = link.touches.saturating_add(1);
        let touches = link.touches;
        if self.links[SENTINEL as usize].older != node {
            self.unlink(node);
            self.link_front(node, touches);
        }
    }

    /// How often `slot` was touched since it was inserted.
    #[inline]
    pub(crate) fn touches(&self, slot: u32) -> u32 {
        self.links[slot as usize + 1].touches
    }

    /// Take `slot` out of the list. Its place in the array stays until it is used again or [`Self::relocate`]d over.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) {
        self.unlink(slot + 1);
    }

    /// The least recently used slot.
    #[inline]
    pub(crate) fn oldest(&self) -> Option<u32> {
        self.links[SENTINEL as usize].newer.checked_sub(1)
    }

    /// Give the place of the removed slot `hole` to the last slot `last`, and shorten the array.
    ///
    /// `hole == last` only shortens the array.
    pub(crate) fn relocate(&mut self, last: u32, hole: u32) {
        if last != hole {
            let link = self.links[last as usize + 1];
            self.links[hole as usize + 1] = link;
            self.links[link.newer as usize].older = hole + 1;
            self.links[link.older as usize].newer = hole + 1;
        }
        self.links.pop();
        if self.links.len() < self.links.capacity() / 4 {
            self.links.shrink_to(self.links.len() * 2);
        }
    }

    #[inline]
    fn unlink(&mut self, node: u32) {
        let Link { newer, older, .. } = self.links[node as usize];
        self.links[newer as usize].older = older;
        self.links[older as usize].newer = newer;
    }

    // The sentinel stands between the newest (`sentinel.older`) and the oldest (`sentinel.newer`).
    #[inline]
    fn link_front(&mut self, node: u32, touches: u32) {
        let front = self.links[SENTINEL as usize].older;
        self.links[node as usize] = Link {
            newer: SENTINEL,
            older: front,
            touches,
        };
        self.links[front as usize].newer = node;
        self.links[SENTINEL as usize].older = node;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oldest_first(recency: &Recency) -> Vec<u32> {
        let mut order = Vec::new();
        let mut node = recency.links[0].newer;
        while node != SENTINEL {
            order.push(node - 1);
            node = recency.links[node as usize].newer;
        }
        order
    }

    #[test]
    fn order_survives_touching_removing_and_relocating() {
        let mut recency = Recency::new();
        assert_eq!(recency.oldest(), None);
        for slot in 0..5 {
            recency.insert(slot);
        }
        recency.touch(1);
        recency.touch(1);
        assert_eq!(oldest_first(&recency), [0, 2, 3, 4, 1]);
        assert_eq!((recency.touches(1), recency.touches(2)), (2, 0));
        recency.remove(2);
        recency.relocate(4, 2);
        assert_eq!(
            oldest_first(&recency),
            [0, 3, 2, 1],
            "slot 4 lives on as slot 2, in its old rank"
        );
        recency.remove(3);
        recency.relocate(3, 3);
        recency.insert(3);
        assert_eq!(oldest_first(&recency), [0, 2, 1, 3]);
        assert_eq!(recency.oldest(), Some(0));
    }
}
