//! The store against a naive reference, under many threads, and when everything dies at once.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use resopt_core::store::clock::{Clock, ManualClock};
use resopt_core::store::{Admission, Digest, Limits, Store};

const SECOND: u64 = 1_000_000_000;

fn key(number: u64) -> Digest {
    (u128::from(number) << 64 | u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))).to_le_bytes()
}

fn store<V>(entries: u32) -> (Store<V>, ManualClock) {
    let clock = ManualClock::default();
    (
        Store::new(Limits { entries, ..Limits::MAX }, Clock::Manual(clock.clone())).unwrap(),
        clock,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_store_does_what_the_reference_does(
        max_entries in 1_u32..20,
        max_bytes in prop_oneof![Just(i64::MAX as u64), 0_u64..1500],
        operations in prop::collection::vec(any::<[u8; 5]>(), 0..200),
    ) {
        model::compare(max_entries, max_bytes, &operations);
    }
}

#[test]
fn limits_outside_the_range_are_errors() {
    let clock = Clock::monotonic();
    assert!(
        Store::<u8>::new(
            Limits {
                entries: 0,
                ..Limits::MAX
            },
            clock.clone()
        )
        .is_err()
    );
    assert!(
        Store::<u8>::new(
            Limits {
                entries: u32::MAX,
                ..Limits::MAX
            },
            clock.clone()
        )
        .is_err()
    );
    assert!(
        Store::<u8>::new(
            Limits {
                bytes: u64::MAX,
                ..Limits::MAX
            },
            clock.clone()
        )
        .is_err()
    );
    assert!(Store::<u8>::new(Limits::MAX, clock).is_ok());
}

#[test]
fn a_huge_time_to_live_is_not_a_wrap_around() {
    let (store, clock) = store(4);
    clock.advance(SECOND);
    store.set(
        key(1),
        1,
        Admission {
            ttl: Some(u64::MAX),
            ..Admission::default()
        },
    );
    clock.advance(u64::MAX / 2);
    assert_eq!(store.get(&key(1), |&value| value), Some(1));
}

#[test]
fn the_dead_are_counted_as_expired_however_they_are_found() {
    // The comparison with the reference frees the dead before each call; here a call meets them.
    let (store, clock) = store(100);
    for number in 0..30 {
        let ttl = (number >= 10).then_some(SECOND);
        let admission = Admission {
            ttl,
            tags: &["tag"],
            ..Admission::default()
        };
        store.set(key(number), number, admission);
    }
    clock.advance(SECOND);
    assert_eq!(store.ages(), [SECOND; 10], "only the living have an age");
    assert_eq!(store.remove(&key(29)), None);
    assert!(
        store.tagged("tag") > 20,
        "a few were freed on the way, and most are still there"
    );
    assert_eq!(store.remove_tagged("tag"), 10);
    let stats = store.stats();
    assert_eq!((stats.expirations, stats.entries), (20, 0));
}

#[test]
fn every_call_frees_a_few_of_the_dead_and_no_more() {
    let (store, clock) = store(200_000);
    for number in 0..100_000 {
        store.set(
            key(number),
            number,
            Admission {
                ttl: Some(SECOND),
                weight: 3,
                tags: &[],
            },
        );
    }
    clock.advance(SECOND);
    assert_eq!(
        store.get(&key(50_000), |&value| value),
        None,
        "dead at its deadline, swept or not"
    );
    let mut held = 100_000 - 9;
    let mut calls = 0;
    while held > 0 {
        store.set(key(1_000_000), 0, Admission::default());
        let stats = store.stats();
        let freed = held - (stats.entries - 1);
        assert!(freed <= 8 + 512, "{freed} entries freed by one set and one count");
        assert_eq!(stats.bytes, (stats.entries - 1) * 3);
        held -= freed;
        calls += 1;
    }
    assert!(calls < 100_000 / 512 + 2);
    assert_eq!(store.stats().expirations, 100_000);
}

/// Counts its living copies; the store must never make or leak one.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(living: &Arc<AtomicUsize>) -> Self {
        living.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(living))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn every_value_that_goes_is_dropped_once() {
    let living = Arc::new(AtomicUsize::new(0));
    let (store, clock) = store(50);
    for round in 0..1000_u64 {
        let ttl = (round % 3 == 0).then_some(5);
        let tag = format!("tag {}", round % 7);
        store.set(
            key(round % 80),
            Counted::new(&living),
            Admission {
                ttl,
                weight: 1,
                tags: &[&tag],
            },
        );
        if round % 10 == 0 {
            clock.advance(1);
            store.remove(&key(round % 13));
            store.remove_tagged("tag 3");
        }
        assert_eq!(living.load(Ordering::SeqCst), store.len());
    }
    store.clear();
    assert_eq!(living.load(Ordering::SeqCst), 0);
    store.set(key(1), Counted::new(&living), Admission::default());
    drop(store);
    assert_eq!(living.load(Ordering::SeqCst), 0);
}

/// A value whose death calls the store again.
struct Reentrant(Arc<Store<Option<Reentrant>>>);

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.0.set(key(999), None, Admission::default());
        self.0.get(&key(1), |_| ());
        self.0.stats();
    }
}

#[test]
fn a_value_may_use_the_store_as_it_dies() {
    let clock = ManualClock::default();
    let limits = Limits { entries: 2, bytes: 100 };
    let store = Arc::new(Store::new(limits, Clock::Manual(clock.clone())).unwrap());
    let value = || Some(Reentrant(Arc::clone(&store)));
    let set = |number, ttl, weight, tags: &[&str]| store.set(key(number), value(), Admission { ttl, weight, tags });
    assert!(set(1, None, 1, &[]));
    assert!(set(1, None, 1, &[]), "overwriting drops the first value");
    assert!(set(2, None, 1, &["tag"]));
    assert!(set(3, None, 1, &["tag"]), "evicting drops another");
    assert!(!set(3, None, 101, &[]), "refusing drops the value given");
    assert!(set(4, Some(1), 1, &[]));
    clock.advance(1);
    assert!(store.get(&key(4), |_| ()).is_none(), "expiring");
    assert!(set(5, None, 1, &["tag"]));
    assert_eq!(store.remove_tagged("tag"), 1);
    assert!(set(6, None, 1, &[]));
    assert!(store.remove(&key(6)).is_some());
    assert!(set(7, None, 1, &[]));
    store.clear();
    assert_eq!(store.len(), 1, "what the last dying value set");
}

#[test]
fn thirty_two_threads_leave_it_consistent() {
    let store = Arc::new(
        Store::new(
            Limits {
                entries: 500,
                bytes: 40_000,
            },
            Clock::monotonic(),
        )
        .unwrap(),
    );
    std::thread::scope(|scope| {
        for thread in 0..32_u64 {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                let mut random = thread + 1;
                for _ in 0..3000 {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let number = random % 1000;
                    let tag = format!("tag {}", number % 10);
                    let ttl = (number % 2 == 0).then_some(20_000);
                    match random >> 20 & 15 {
                        0..=5 => {
                            let admission = Admission {
                                ttl,
                                weight: number % 200,
                                tags: &[&tag],
                            };
                            store.set(key(number), number, admission);
                        }
                        6 => drop(store.remove(&key(number))),
                        7 if number < 20 => drop(store.remove_tagged(&tag)),
                        _ => {
                            if let Some(found) = store.get(&key(number), |&value| value) {
                                assert_eq!(found, number, "a value under another's key");
                            }
                        }
                    }
                }
            });
        }
    });
    std::thread::sleep(std::time::Duration::from_millis(1));
    let stats = store.stats();
    let weights: u64 = (0..1000)
        .filter_map(|number| store.entry(&key(number), |_| ()))
        .map(|((), entry)| entry.weight)
        .sum();
    assert_eq!(stats.bytes, weights);
    assert_eq!(store.len(), store.ages().len());
    assert!(stats.entries <= 500 && stats.bytes <= 40_000);
    assert!(stats.hits > 0 && stats.evictions > 0 && stats.expirations > 0);
}

#[test]
fn a_tag_costs_what_it_holds_and_its_entries_leave_in_any_order() {
    let (store, _) = store(10_000);
    for number in 0..10_000 {
        let tags: &[&str] = if number % 100 == 0 {
            &["rare", "common"]
        } else {
            &["common"]
        };
        store.set(
            key(number),
            number,
            Admission {
                tags,
                ..Admission::default()
            },
        );
    }
    assert_eq!(store.remove_tagged("rare"), 100);
    assert_eq!(store.remove_tagged("rare"), 0);
    for number in 0..10_000 {
        assert_eq!(
            store.peek(&key(number), |&value| value),
            (number % 100 != 0).then_some(number)
        );
    }
    assert_eq!(store.remove_tagged("common"), 9_900);
    assert!(store.is_empty());
}
