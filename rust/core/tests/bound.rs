//! The bounds of audited hits hold at every moment, and are tight where they can be.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "a failed unwrap is a failed test, and figures are made from small counts"
)]

use proptest::prelude::*;
use resopt_core::stats::bound::Bound;

/// A small generator, so that the simulations are the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Serve hits that are wrong with `wrong(hit)` and audited with `rate(hit)`; whether a bound ever failed.
fn failed(seed: u64, hits: u32, wrong: impl Fn(u32) -> f64, rate: impl Fn(u32) -> f64) -> (bool, bool) {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    (0..16).for_each(|_| {
        chance.next();
    });
    let mut bound = Bound::new(0.05, 0.05).unwrap();
    let (mut truth, mut above, mut below) = (0u32, false, false);
    for hit in 0..hits {
        let (is_wrong, rate) = (chance.next() < wrong(hit), rate(hit));
        truth += u32::from(is_wrong);
        let audited = chance.next() < rate;
        bound.serve(rate, audited).unwrap();
        if audited {
            bound.label(rate, is_wrong).unwrap();
        }
        if hit % 25 == 24 {
            let share = f64::from(truth) / f64::from(hit + 1);
            above |= share > bound.upper() + 1e-12;
            below |= share < bound.lower() - 1e-12;
        }
    }
    (above, below)
}

#[test]
fn both_bounds_hold_at_every_moment_whatever_the_stream_does() {
    type Stream = fn(u32) -> f64;
    let cases: [(Stream, Stream); 4] = [
        (|_| 0.03, |_| 0.05),
        (|hit| if hit < 1500 { 0.01 } else { 0.3 }, |_| 0.2),
        (
            |hit| if hit % 3 == 0 { 0.2 } else { 0.0 },
            |hit| if hit % 3 == 0 { 0.05 } else { 0.5 },
        ),
        (|_| 0.5, |_| 0.1),
    ];
    for (number, (wrong, rate)) in cases.into_iter().enumerate() {
        let runs = 200;
        let results: Vec<(bool, bool)> = (0..runs).map(|seed| failed(seed * 7 + 1, 3000, wrong, rate)).collect();
        let (above, below) = (
            results.iter().filter(|result| result.0).count(),
            results.iter().filter(|result| result.1).count(),
        );
        // At most 5 % may ever fail: 10 of 200, and 19 has a chance below 1 in 1,000.
        assert!(
            above < 19 && below < 19,
            "case {number}: {above} above, {below} below of {runs}"
        );
    }
}

#[test]
fn looking_at_everything_gives_nearly_the_exact_share() {
    let mut bound = Bound::new(0.05, 1.0).unwrap();
    for hit in 0..2000 {
        bound.serve(1.0, true).unwrap();
        bound.label(1.0, hit % 20 == 0).unwrap();
    }
    assert!((0.05..0.052).contains(&bound.upper()), "{}", bound.upper());
    assert!((0.049..=0.05).contains(&bound.lower()), "{}", bound.lower());
    assert_eq!(bound.estimate(), Some(0.05));
}

#[test]
fn the_upper_bound_of_a_clean_stream_is_that_of_its_labels() {
    let mut bound = Bound::new(0.05, 0.05).unwrap();
    for hit in 0..4000 {
        bound.serve(0.05, hit % 20 == 0).unwrap();
        if hit % 20 == 0 {
            bound.label(0.05, false).unwrap();
        }
    }
    // 200 labels, none wrong: 3.0 / 200 with one look, and a little more for looking always.
    assert!((0.015..0.026).contains(&bound.upper()), "{}", bound.upper());
    assert_eq!(bound.lower(), 0.0);
}

#[test]
fn what_nobody_could_see_and_what_is_not_finished_counts_as_wrong() {
    let mut bound = Bound::new(0.05, 0.05).unwrap();
    assert_eq!((bound.upper(), bound.lower(), bound.estimate()), (1.0, 0.0, None));
    for _ in 0..100 {
        bound.serve(0.0, false).unwrap();
    }
    assert_eq!(bound.upper(), 1.0);
    let mut bound = Bound::new(0.05, 0.5).unwrap();
    for _ in 0..1000 {
        bound.serve(0.5, true).unwrap();
        bound.label(0.5, false).unwrap();
    }
    let clean = bound.upper();
    for _ in 0..50 {
        bound.serve(0.5, true).unwrap();
    }
    assert_eq!(bound.pending(), 50);
    assert!(bound.upper() > 0.05 && clean < 0.02);
    for _ in 0..50 {
        bound.label(0.5, false).unwrap();
    }
    assert!(bound.upper() < 0.02);
    assert!(
        bound
            .label(0.5, false)
            .unwrap_err()
            .to_string()
            .contains("no audit is pending")
    );
}

#[test]
fn bad_numbers_are_refused_and_change_nothing() {
    for (alpha, rate) in [
        (0.0, 0.1),
        (0.9, 0.1),
        (f64::NAN, 0.1),
        (0.05, 0.0),
        (0.05, 1.1),
        (0.05, f64::NAN),
    ] {
        assert!(Bound::new(alpha, rate).is_err(), "{alpha} {rate}");
    }
    let mut bound = Bound::new(0.05, 0.1).unwrap();
    let before = bound.clone();
    for rate in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(bound.serve(rate, false).is_err() && bound.label(rate, true).is_err());
    }
    assert!(bound.serve(0.0, true).is_err());
    assert_eq!(bound, before);
}

proptest! {
    #[test]
    fn the_bounds_stay_in_order(
        hits in prop::collection::vec((0.05f64..=1.0, any::<bool>(), any::<bool>(), any::<bool>()), 0..200)
    ) {
        let mut bound = Bound::new(0.1, 0.05).unwrap();
        for (rate, audited, labelled, wrong) in hits {
            bound.serve(rate, audited).unwrap();
            if audited && labelled {
                bound.label(rate, wrong).unwrap();
            }
        }
        prop_assert!(bound.lower() <= bound.upper());
        if let Some(estimate) = bound.estimate() {
            prop_assert!((0.0..=1.0).contains(&estimate));
        }
        prop_assert!((0.0..=1.0).contains(&bound.upper()));
    }
}
