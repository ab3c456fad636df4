//! A naive reference of the store and the comparison of both, shared by the property test and the fuzz target.
//!
//! The reference keeps entries in a plain list, oldest use first, and does everything by looking at all of them.

use resopt_core::store::clock::{Clock, ManualClock};
use resopt_core::store::{Admission, Digest, Limits, Stats, Store};

/// One call; what its numbers mean depends on the kind.
pub(crate) type Operation = [u8; 5];

const TAGS: [&str; 4] = ["red", "green", "blue", "kb:42"];

struct Reference {
    limits: Limits,
    // Least recently used first.
    entries: Vec<Held>,
    stats: Stats,
}

#[derive(Debug, Clone)]
struct Held {
    key: Digest,
    value: u64,
    created: u64,
    deadline: Option<u64>,
    weight: u64,
    hits: u32,
    tags: Vec<&'static str>,
}

impl Reference {
    fn bytes(&self) -> u64 {
        self.entries.iter().map(|held| held.weight).sum()
    }

    fn expire(&mut self, now: u64) {
        let before = self.entries.len();
        self.entries
            .retain(|held| held.deadline.is_none_or(|deadline| deadline > now));
        self.stats.expirations += (before - self.entries.len()) as u64;
    }

    fn position(&self, key: Digest) -> Option<usize> {
        self.entries.iter().position(|held| held.key == key)
    }

    fn get(&mut self, key: Digest) -> Option<u64> {
        let Some(position) = self.position(key) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        let mut held = self.entries.remove(position);
        held.hits += 1;
        let value = held.value;
        self.entries.push(held);
        Some(value)
    }

    fn set(&mut self, held: Held) -> bool {
        self.entries.retain(|other| other.key != held.key);
        if held.weight > self.limits.bytes {
            self.stats.refused += 1;
            return false;
        }
        self.entries.push(held);
        while self.entries.len() > self.limits.entries as usize || self.bytes() > self.limits.bytes {
            self.entries.remove(0);
            self.stats.evictions += 1;
        }
        true
    }

    fn drop_where(&mut self, condition: impl Fn(&Held) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(|held| !condition(held));
        before - self.entries.len()
    }
}

fn key(number: u8) -> Digest {
    // Few different first bytes, so that keys share their hash and only the rest tells them apart.
    let mut key = [number % 3; 16];
    key[15] = number;
    key
}

fn tags(bits: u8) -> Vec<&'static str> {
    TAGS.iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, &name)| name)
        .collect()
}

/// Run `operations` on a store and on the reference under the same manual clock, comparing everything after each.
pub(crate) fn compare(max_entries: u32, max_bytes: u64, operations: &[Operation]) {
    let limits = Limits {
        entries: max_entries,
        bytes: max_bytes,
    };
    let clock = ManualClock::default();
    let store = Store::new(limits, Clock::Manual(clock.clone())).unwrap();
    let mut reference = Reference {
        limits,
        entries: Vec::new(),
        stats: Stats::default(),
    };
    for (serial, &operation) in (0_u64..).zip(operations) {
        reference.expire(clock.now());
        // Any call frees the eight dead that a small store can hold; a larger one must be made to by counting.
        if max_entries > 8 {
            assert_eq!(store.len(), reference.entries.len(), "length before {operation:?}");
        }
        apply(&store, &mut reference, &clock, serial, operation);
        agree(&store, &mut reference, clock.now());
    }
}

fn apply(store: &Store<u64>, reference: &mut Reference, clock: &ManualClock, serial: u64, operation: Operation) {
    let [kind, name, weight, ttl, bits] = operation;
    let (key, now) = (key(name % 24), clock.now());
    match kind % 16 {
        0..=4 => {
            let tags = tags(bits);
            let ttl = (ttl % 4 != 0).then(|| u64::from(ttl % 16));
            let weight = u64::from(weight);
            let held = Held {
                key,
                value: serial,
                created: now,
                deadline: ttl.map(|ttl| now + ttl),
                weight,
                hits: 0,
                tags,
            };
            let admission = Admission {
                ttl,
                weight,
                tags: &held.tags.clone(),
            };
            assert_eq!(store.set(key, serial, admission), reference.set(held));
        }
        5..=8 => assert_eq!(store.get(&key, |&value| value), reference.get(key)),
        9 => {
            let expected = reference
                .position(key)
                .map(|position| reference.entries[position].value);
            assert_eq!(store.peek(&key, |&value| value), expected);
        }
        10 => {
            let expected = reference
                .position(key)
                .map(|position| reference.entries.remove(position).value);
            assert_eq!(store.remove(&key), expected);
        }
        11 => {
            let tag = TAGS[usize::from(bits) % TAGS.len()];
            assert_eq!(
                store.remove_tagged(tag),
                reference.drop_where(|held| held.tags.contains(&tag))
            );
        }
        12 => {
            let age = u64::from(ttl);
            assert_eq!(
                store.remove_older(age),
                reference.drop_where(|held| now - held.created > age)
            );
        }
        13 if bits == 0 => {
            assert_eq!(store.clear(), reference.entries.len());
            reference.entries.clear();
        }
        _ => clock.advance(u64::from(ttl % 8)),
    }
}

fn agree(store: &Store<u64>, reference: &mut Reference, now: u64) {
    reference.expire(now);
    let expected = Stats {
        entries: reference.entries.len() as u64,
        bytes: reference.bytes(),
        ..reference.stats
    };
    assert_eq!(store.stats(), expected);
    assert!(expected.bytes <= reference.limits.bytes);
    for held in &reference.entries {
        let (value, entry) = store.entry(&held.key, |&value| value).unwrap();
        assert_eq!(value, held.value);
        assert_eq!(entry.age, now - held.created);
        assert_eq!(entry.remaining, held.deadline.map(|deadline| deadline - now));
        assert_eq!((entry.hits, entry.weight), (held.hits, held.weight));
        assert_eq!(entry.tags.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), held.tags);
    }
    let mut ages: Vec<u64> = reference.entries.iter().map(|held| now - held.created).collect();
    let mut store_ages = store.ages();
    ages.sort_unstable();
    store_ages.sort_unstable();
    assert_eq!(store_ages, ages);
}
