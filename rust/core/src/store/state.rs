//! Everything that lies under the store's lock: entries, order of use, deadlines, tags, budgets and counters as one.
//!
//! Between two calls always: every slot is in the table and in the recency list once, in the expiry heap exactly when it
//! has a deadline, and the weights add up to `stats.bytes`, which is within the budget. No value is dropped in here: what
//! goes is pushed to the caller's `dead` and dies after the lock is released.

use super::clock::Moment;
use super::counters::Stats;
use super::entries::{Digest, Entries, Entry, Origin, Slot};
use super::expiry::{Expiry, NEVER};
use super::recency::Recency;
use super::tags::Tags;

/// Expired entries freed by any one call on the way: enough to outrun a stream of inserts, too few to be felt.
const SWEEP: usize = 8;

/// Expired entries freed before counting, so that small stores never count the dead.
const SWEEP_TO_COUNT: usize = 512;

/// How much a store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries at most; at least 1.
    pub entries: u32,
    /// Sum of weights at most.
    pub bytes: u64,
}

impl Limits {
    /// The largest limits there are: slots are numbered with 32 bits, and two weights must add up within 64.
    pub const MAX: Self = Self {
        entries: u32::MAX - 1,
        bytes: i64::MAX as u64,
    };
}

/// The state behind the lock.
#[derive(Debug)]
pub(crate) struct State<V> {
    limits: Limits,
    entries: Entries<V>,
    recency: Recency,
    expiry: Expiry,
    tags: Tags,
    stats: Stats,
}

impl<V> State<V> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Entries::new(),
            recency: Recency::new(),
            expiry: Expiry::default(),
            tags: Tags::default(),
            stats: Stats::default(),
        }
    }

    /// Whether any entry has a deadline: if not, calls that need no creation time need no clock.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        !self.expiry.is_empty()
    }

    /// The live entry of `key`, counted and marked as used.
    #[inline]
    pub(crate) fn get(&mut self, key: &Digest, moment: Moment<'_>, dead: &mut Vec<V>) -> Option<&V> {
        let Some(slot) = self.find(key, moment, dead) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        self.recency.touch(slot);
        Some(&self.entries.slot(slot).value)
    }

    /// The live entry of `key`, without counting or marking it.
    pub(crate) fn peek(&mut self, key: &Digest, moment: Moment<'_>, dead: &mut Vec<V>) -> Option<&V> {
        let slot = self.find(key, moment, dead)?;
        Some(&self.entries.slot(slot).value)
    }

    /// The live entry of `key` and what is known of it, without counting or marking it.
    pub(crate) fn entry(&mut self, key: &Digest, moment: Moment<'_>, dead: &mut Vec<V>) -> Option<(&V, Entry)> {
        let slot = self.find(key, moment, dead)?;
        let tags = self.tags.names(slot);
        let now = moment.rough();
        let (found, origin) = (self.entries.slot(slot), self.entries.origin(slot));
        let entry = Entry {
            age: now.saturating_sub(origin.created),
            remaining: (found.deadline != NEVER).then(|| found.deadline.saturating_sub(now)),
            hits: self.recency.touches(slot),
            weight: origin.weight,
            tags,
        };
        Some((&found.value, entry))
    }

    /// Store `entry`; what was under its key is gone in any case. Whether it was stored: it is not when it alone is
    /// over the byte budget.
    pub(crate) fn set(&mut self, entry: Slot<V>, origin: Origin, tags: &[&str], dead: &mut Vec<V>) -> bool {
        self.sweep(origin.created, SWEEP, dead);
        let present = self.entries.find(&entry.key);
        if origin.weight > self.limits.bytes {
            if let Some(slot) = present {
                self.discard(slot, dead);
            }
            self.stats.refused += 1;
            dead.push(entry.value);
            return false;
        }
        let deadline = entry.deadline;
        let slot = match present {
            Some(slot) => self.replace(slot, entry, origin, dead),
            None => self.insert(entry, origin, dead),
        };
        self.stats.bytes += origin.weight;
        self.expiry.insert(slot, deadline);
        self.tags.insert(slot, tags);
        // Only an overwrite by something heavier gets here over budget; the entry itself is the newest and fits alone.
        while self.stats.bytes > self.limits.bytes {
            let Some(oldest) = self.recency.oldest() else { break };
            self.discard(oldest, dead);
            self.stats.evictions += 1;
        }
        true
    }

    /// Take out the entry of `key`; an expired one is freed, but not given.
    pub(crate) fn remove(&mut self, key: &Digest, moment: Moment<'_>, dead: &mut Vec<V>) -> Option<V> {
        let slot = self.find(key, moment, dead)?;
        self.take(slot)
    }

    /// Drop every entry that carries `tag`; how many of them were alive.
    pub(crate) fn remove_tagged(&mut self, tag: &str, now: u64, dead: &mut Vec<V>) -> usize {
        let mut slots = self.tags.members(tag);
        // From the back: the entry that moves into a hole comes from behind all that are still to go.
        slots.sort_unstable_by(|left, right| right.cmp(left));
        slots
            .into_iter()
            .filter(|&slot| self.remove_counted(slot, now, dead))
            .count()
    }

    /// How many entries carry `tag`, dead or alive.
    pub(crate) fn tagged(&self, tag: &str) -> usize {
        self.tags.count(tag)
    }

    /// Drop every entry set more than `age` nanoseconds ago; how many of them were alive.
    pub(crate) fn remove_older(&mut self, age: u64, now: u64, dead: &mut Vec<V>) -> usize {
        let old: Vec<u32> = (0_u32..)
            .zip(self.entries.iter())
            .filter(|(_, (_, origin))| now.saturating_sub(origin.created) > age)
            .map(|(slot, _)| slot)
            .collect();
        old.into_iter()
            .rev()
            .filter(|&slot| self.remove_counted(slot, now, dead))
            .count()
    }

    /// Nanoseconds since each live entry was set, in no order.
    pub(crate) fn ages(&self, now: u64) -> Vec<u64> {
        let live = self.entries.iter().filter(|(slot, _)| slot.deadline > now);
        live.map(|(_, origin)| now.saturating_sub(origin.created)).collect()
    }

    /// Give everything away, with nothing left; the counters of what happened go on.
    pub(crate) fn take_all(&mut self) -> Entries<V> {
        let Self {
            limits, entries, stats, ..
        } = std::mem::replace(self, Self::new(self.limits));
        debug_assert_eq!(limits, self.limits);
        self.stats = Stats { bytes: 0, ..stats };
        entries
    }

    /// Counters, after freeing some of the dead.
    pub(crate) fn stats(&mut self, now: u64, dead: &mut Vec<V>) -> Stats {
        self.sweep(now, SWEEP_TO_COUNT, dead);
        Stats {
            entries: self.entries.len() as u64,
            ..self.stats
        }
    }

    /// Every value held.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(slot, _)| &slot.value)
    }

    // Every lookup passes here: it frees a few of the dead, and never finds one.
    #[inline]
    fn find(&mut self, key: &Digest, moment: Moment<'_>, dead: &mut Vec<V>) -> Option<u32> {
        self.sweep(moment.rough(), SWEEP, dead);
        let slot = self.entries.find(key)?;
        if moment.has_reached(self.entries.slot(slot).deadline) {
            self.discard(slot, dead);
            self.stats.expirations += 1;
            return None;
        }
        Some(slot)
    }

    fn sweep(&mut self, now: u64, limit: usize, dead: &mut Vec<V>) {
        for _ in 0..limit {
            let Some(slot) = self.expiry.due(now) else { break };
            self.discard(slot, dead);
            self.stats.expirations += 1;
        }
    }

    // Put an entry with a new key where the budgets leave room; the last to be evicted leaves its slot to it.
    fn insert(&mut self, entry: Slot<V>, origin: Origin, dead: &mut Vec<V>) -> u32 {
        while self.is_full(self.entries.len(), self.stats.bytes, origin.weight) {
            let Some(oldest) = self.recency.oldest() else { break };
            self.stats.evictions += 1;
            let left = self.stats.bytes - self.entries.origin(oldest).weight;
            if !self.is_full(self.entries.len() - 1, left, origin.weight) {
                return self.replace(oldest, entry, origin, dead);
            }
            self.discard(oldest, dead);
        }
        let slot = self.entries.push(entry, origin);
        self.recency.insert(slot);
        slot
    }

    // Put an entry, under the same key or another, where one is; without deadline, tags and weight as yet.
    fn replace(&mut self, slot: u32, entry: Slot<V>, origin: Origin, dead: &mut Vec<V>) -> u32 {
        self.expiry.remove(slot);
        self.tags.remove(slot);
        self.recency.remove(slot);
        self.recency.insert(slot);
        self.stats.bytes -= self.entries.origin(slot).weight;
        dead.push(self.entries.replace(slot, entry, origin));
        slot
    }

    fn is_full(&self, entries: usize, bytes: u64, weight: u64) -> bool {
        entries >= self.limits.entries as usize || bytes + weight > self.limits.bytes
    }

    fn remove_counted(&mut self, slot: u32, now: u64, dead: &mut Vec<V>) -> bool {
        let alive = self.entries.slot(slot).deadline > now;
        if !alive {
            self.stats.expirations += 1;
        }
        self.discard(slot, dead);
        alive
    }

    fn discard(&mut self, slot: u32, dead: &mut Vec<V>) {
        dead.extend(self.take(slot));
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the limits keep the number of entries within u32"
    )]
    fn take(&mut self, slot: u32) -> Option<V> {
        let last = (self.entries.len() as u32).checked_sub(1)?;
        self.expiry.remove(slot);
        self.tags.remove(slot);
        self.recency.remove(slot);
        self.expiry.relocate(last, slot);
        self.tags.relocate(last, slot);
        self.recency.relocate(last, slot);
        let (value, origin) = self.entries.swap_remove(slot)?;
        self.stats.bytes -= origin.weight;
        Some(value)
    }
}
