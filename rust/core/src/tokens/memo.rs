//! What pieces of several tokens were made of, remembered per thread.
//!
//! A service says the same names, product codes and half-words all day, and merging one costs as much as ten look-ups.
//! The memory is fixed: 4,096 slots of 32 bytes in each thread that counts, for all encodings; a newer piece takes the
//! place of an older one. It is never shared, so it needs no lock.

use std::cell::RefCell;

use super::merge::Scratch;
use super::table::{ID_BITS, Short};

const SLOTS: usize = 4096;
/// Tokens that fit beside their number into 16 bytes.
pub(super) const MOST: usize = 6;
const COUNT_AT: u32 = 6 * ID_BITS;
/// Where a key says which table it belongs to: above the bytes and the length of the piece.
const TAG_AT: u32 = 120;

thread_local! {
    static MEMO: RefCell<(Memo, Scratch)> = const { RefCell::new((Memo { slots: Vec::new() }, Scratch::new())) };
}

/// Run `work` with this thread's memo and working memory.
pub(super) fn with<T>(work: impl FnOnce(&mut Memo, &mut Scratch) -> T) -> T {
    MEMO.with(|memo| {
        let (memo, scratch) = &mut *memo.borrow_mut();
        if memo.slots.is_empty() {
            memo.slots = vec![Slot { key: 0, ids: 0 }; SLOTS];
        }
        work(memo, scratch)
    })
}

#[derive(Clone, Copy)]
struct Slot {
    key: u128,
    ids: u128,
}

/// Up to 4,096 pieces and their tokens.
pub(super) struct Memo {
    slots: Vec<Slot>,
}

/// Up to six tokens in one number.
#[derive(Clone, Copy)]
pub(super) struct Few(u128);

impl Memo {
    /// The tokens of a piece, when it was the last to be noted in its slot. `tag` is the table's own, from 1.
    #[inline]
    pub(super) fn get(&self, key: Short, hash: u64, tag: u8) -> Option<Few> {
        let slot = self.slots[Self::place(hash)];
        (slot.key == key.0 | u128::from(tag) << TAG_AT).then_some(Few(slot.ids))
    }

    /// Note the tokens of a piece, if they are few.
    #[inline]
    pub(super) fn put(&mut self, key: Short, hash: u64, tag: u8, ids: &[u32]) {
        if ids.len() <= MOST {
            let packed = ids
                .iter()
                .rev()
                .fold(0, |packed, &id| packed << ID_BITS | u128::from(id));
            self.slots[Self::place(hash)] = Slot {
                key: key.0 | u128::from(tag) << TAG_AT,
                ids: packed | (ids.len() as u128) << COUNT_AT,
            };
        }
    }

    /// The low bits: the table of pieces goes by the high ones.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "12 bits are left")]
    fn place(hash: u64) -> usize {
        hash as usize & (SLOTS - 1)
    }
}

impl Few {
    /// The tokens in order, and how many of them there are.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number is 18 bits, their count below 8"
    )]
    pub(super) fn ids(self) -> ([u32; MOST], usize) {
        let mut rest = self.0;
        let ids = [(); MOST].map(|()| {
            let id = rest as u32 & ((1 << ID_BITS) - 1);
            rest >>= ID_BITS;
            id
        });
        (ids, (self.0 >> COUNT_AT) as usize)
    }
}
