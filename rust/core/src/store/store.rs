//! The store: one state behind one lock.
//!
//! **Nothing foreign runs under the lock.** Keys are digests made before it; weights and tags are computed before it;
//! a value is shared under it by the caller's `share` (which may do no more than raise a reference count) and dropped
//! after it. So no `__eq__`, `__hash__`, `__del__`, callback or garbage collection can ever meet the lock held, and a
//! value whose death calls the store again finds it free. One lock, one monotonic clock, no threads, and a bounded
//! number of expired entries freed per call.

use parking_lot::Mutex;

use super::clock::{Clock, Moment};
use super::counters::Stats;
use super::entries::{Digest, Entry, Origin, Slot};
use super::expiry::NEVER;
use super::state::{Limits, State};
use crate::error::Error;

/// How a value is stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Admission<'a> {
    /// Nanoseconds the value may be served; `None` for ever.
    pub ttl: Option<u64>,
    /// Its share of the byte budget.
    pub weight: u64,
    /// Names by which it can be dropped; a name given twice counts once.
    pub tags: &'a [&'a str],
}

/// A bounded map from digests to opaque values; every method may be called from any thread.
#[derive(Debug)]
pub struct Store<V> {
    state: Mutex<State<V>>,
    limits: Limits,
    clock: Clock,
}

impl<V> Store<V> {
    /// An empty store.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when the limits are outside [`Limits::MAX`] or allow no entry.
    pub fn new(limits: Limits, clock: Clock) -> Result<Self, Error> {
        if limits.entries == 0 || limits.entries > Limits::MAX.entries {
            let message = format!(
                "max_entries must be 1 to {}, not {}",
                Limits::MAX.entries,
                limits.entries
            );
            return Err(Error::InvalidArgument(message));
        }
        if limits.bytes > Limits::MAX.bytes {
            let message = format!("max_bytes must be at most {}, not {}", Limits::MAX.bytes, limits.bytes);
            return Err(Error::InvalidArgument(message));
        }
        Ok(Self {
            state: Mutex::new(State::new(limits)),
            limits,
            clock,
        })
    }

    /// How much the store may hold.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What `share` makes of the live value of `key`; counts a hit or a miss and marks the entry as used.
    #[inline]
    pub fn get<R>(&self, key: &Digest, share: impl FnOnce(&V) -> R) -> Option<R> {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        let moment = self.moment(&state);
        let shared = state.get(key, moment, &mut dead).map(share);
        drop(state);
        shared
    }

    /// As [`Self::get`], but leaves no trace: neither the counters nor the order of use change.
    pub fn peek<R>(&self, key: &Digest, share: impl FnOnce(&V) -> R) -> Option<R> {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        let moment = self.moment(&state);
        let shared = state.peek(key, moment, &mut dead).map(share);
        drop(state);
        shared
    }

    /// What `share` makes of the live value of `key`, with what is known of it; leaves no trace.
    pub fn entry<R>(&self, key: &Digest, share: impl FnOnce(&V) -> R) -> Option<(R, Entry)> {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        let moment = self.clock.moment_at(self.clock.now());
        let shared = state
            .entry(key, moment, &mut dead)
            .map(|(value, entry)| (share(value), entry));
        drop(state);
        shared
    }

    /// Store `value` under `key`, replacing what was there and evicting the least recently used until it fits.
    ///
    /// A value that alone exceeds the byte budget is refused and counted, and what was under the key is dropped all the
    /// same: an old answer is never served in place of the new one. Returns whether the value was stored.
    pub fn set(&self, key: Digest, value: V, admission: Admission<'_>) -> bool {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        let created = self.clock.now();
        let deadline = admission
            .ttl
            .map_or(NEVER, |ttl| created.saturating_add(ttl).min(NEVER - 1));
        let entry = Slot { key, value, deadline };
        let origin = Origin {
            created,
            weight: admission.weight,
        };
        let stored = state.set(entry, origin, admission.tags, &mut dead);
        drop(state);
        stored
    }

    /// Take out the live value of `key`.
    pub fn remove(&self, key: &Digest) -> Option<V> {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        let moment = self.moment(&state);
        let taken = state.remove(key, moment, &mut dead);
        drop(state);
        taken
    }

    /// Drop the entries that carry `tag` and say how many were alive. Takes time in proportion to their number.
    pub fn remove_tagged(&self, tag: &str) -> usize {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        let now = self.now_if_timed(&state);
        let removed = state.remove_tagged(tag, now, &mut dead);
        drop(state);
        removed
    }

    /// How many entries carry `tag`, expired ones that were not freed yet included.
    pub fn tagged(&self, tag: &str) -> usize {
        self.state.lock().tagged(tag)
    }

    /// Drop the entries set more than `age` nanoseconds ago and say how many were alive. Looks at every entry.
    pub fn remove_older(&self, age: u64) -> usize {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        let now = self.clock.now();
        let removed = state.remove_older(age, now, &mut dead);
        drop(state);
        removed
    }

    /// Drop all entries and say how many were held; the counters of what happened go on.
    pub fn clear(&self) -> usize {
        let entries = self.state.lock().take_all();
        entries.len()
    }

    /// Nanoseconds since each live entry was set, in no order. Looks at every entry.
    pub fn ages(&self) -> Vec<u64> {
        let state = self.state.lock();
        state.ages(self.clock.now())
    }

    /// Entries held. Expired ones among them only when more than a few hundred died since the last call.
    pub fn len(&self) -> usize {
        usize::try_from(self.stats().entries).unwrap_or(usize::MAX)
    }

    /// Whether no entry is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counters and sums, all of the same moment.
    pub fn stats(&self) -> Stats {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        let now = self.now_if_timed(&state);
        let counted = state.stats(now, &mut dead);
        drop(state);
        counted
    }

    /// Show every value to `visit`, for a garbage collector; says whether the lock was free to do so.
    ///
    /// Never waits: a collector that waits for a lock held by a thread that waits for the collector stops the process.
    ///
    /// # Errors
    ///
    /// The first error of `visit` ends the visit.
    pub fn try_visit<E>(&self, visit: impl FnMut(&V) -> Result<(), E>) -> Result<bool, E> {
        let Some(state) = self.state.try_lock() else {
            return Ok(false);
        };
        state.values().try_for_each(visit)?;
        Ok(true)
    }

    // Nobody asks what time it is before the first deadline is set.
    #[inline]
    fn moment(&self, state: &State<V>) -> Moment<'_> {
        if state.is_timed() {
            self.clock.moment()
        } else {
            self.clock.moment_at(0)
        }
    }

    fn now_if_timed(&self, state: &State<V>) -> u64 {
        if state.is_timed() { self.clock.now() } else { 0 }
    }
}
