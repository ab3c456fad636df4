//! The sequential tests keep their promises on simulated traffic, and are exact where a formula can be checked by hand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]

use resopt_core::stats::sequential::{Floor, SequentialTest, ratio_evidence};

/// Numbers that look random and are the same everywhere (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = ((mixed ^ (mixed >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0;
        unit
    }

    fn coin(&mut self, probability: f64) -> f64 {
        f64::from(u8::from(self.next() < probability))
    }
}

const RUNS: u32 = 400;

#[test]
fn the_ratio_and_the_interval_are_the_published_formulas() {
    let mut test = SequentialTest::new(0.5, 8, false).unwrap();
    for place in 0..8 {
        test.add(false, f64::from(u8::from(place != 0))).unwrap();
        test.add(true, f64::from(u8::from(place == 0))).unwrap();
    }
    // Both arms have a sum of squares of 8 · 1/8 · 7/8 and n = 8; the prior adds 4τ² = 1 and one value.
    let (tau2, difference) = (0.25_f64, -0.75_f64);
    let v = 2.0 * (0.875 + 1.0) / 9.0 / 8.0;
    let ratio = (v / (v + tau2)).sqrt() * (tau2 * difference * difference / (2.0 * v * (v + tau2))).exp();
    assert!(ratio > 5.0);
    assert!((test.p_value() - 1.0 / ratio).abs() < 1e-12);
    // The bets on moves of .15, .35 and .75, and the one that is settled where a move of .5 is 4.3 errors out: at once,
    // and won.
    let (score, information) = (0.75 / v, 1.0 / v);
    let bets = [(0.07, 0.15_f64), (0.56, 0.35), (0.07, 0.75)]
        .map(|(stake, size)| stake * (size * score - size * size * information / 2.0).exp());
    let late = if information >= 18.5 / 0.25 {
        panic!("not yet")
    } else {
        1.0 / test.p_one_sided(false)
    };
    let open = late - bets.iter().sum::<f64>();
    assert!(open > 0.0 && open <= 0.3 / 0.0075, "{open}");
    assert!((test.p_one_sided(true) - 1.0).abs() < 1e-12);
    assert!((test.difference() - difference).abs() < 1e-12);
    // At the level of its p-value the interval just reaches zero.
    assert!((test.radius(1.0 / ratio).unwrap() - 0.75).abs() < 1e-12);
}

#[test]
fn the_interval_leaves_zero_exactly_when_the_ratio_rejects() {
    let mut chance = Chance(5);
    let mut test = SequentialTest::new(0.15, 100, false).unwrap();
    for _ in 0..3000 {
        test.add(false, chance.coin(0.8)).unwrap();
        test.add(true, chance.coin(0.72)).unwrap();
        let outside = test.difference().abs() > test.radius(0.05).unwrap();
        if outside {
            assert!(test.p_value() <= 0.05 + 1e-12);
            return;
        }
        assert!(test.p_value() > 0.05);
    }
    panic!("a drop of eight points was never seen");
}

#[test]
fn looking_after_every_pair_raises_few_false_alarms() {
    let mut alarms = 0;
    for run in 0..RUNS {
        let mut chance = Chance(u64::from(run) << 20);
        let mut test = SequentialTest::new(0.15, 100, false).unwrap();
        for _ in 0..3000 {
            test.add(false, chance.coin(0.8)).unwrap();
            test.add(true, chance.coin(0.8)).unwrap();
        }
        alarms += u32::from(test.p_value() <= 0.05);
    }
    assert!(alarms <= RUNS / 20, "{alarms} of {RUNS}");
}

#[test]
fn paired_differences_are_tested_against_zero() {
    let mut chance = Chance(9);
    let mut test = SequentialTest::new(0.1, 50, true).unwrap();
    assert!(test.add(false, 0.0).is_err());
    for _ in 0..2000 {
        test.add(true, chance.coin(0.05) - chance.coin(0.10)).unwrap();
    }
    assert!(test.p_one_sided(false) < 0.025, "{}", test.p_one_sided(false));
    assert!(test.p_one_sided(true) > 0.4);
    let (low, high) = (
        test.difference() - test.radius(0.05).unwrap(),
        test.difference() + test.radius(0.05).unwrap(),
    );
    assert!(low < -0.05 && -0.05 < high);
}

#[test]
fn a_saved_test_goes_on_as_if_nothing_had_happened() {
    let mut chance = Chance(3);
    let mut whole = SequentialTest::new(0.15, 100, false).unwrap();
    let mut floor = Floor::new(0.8).unwrap();
    for _ in 0..250 {
        whole.add(false, chance.coin(0.8)).unwrap();
        whole.add(true, chance.coin(0.7)).unwrap();
        floor.add(chance.coin(0.75)).unwrap();
    }
    let mut restored = SequentialTest::new(0.15, 100, false).unwrap();
    restored.restore(&whole.state()).unwrap();
    assert_eq!(restored, whole);
    let mut watch = Floor::new(0.8).unwrap();
    watch.restore(&floor.state()).unwrap();
    assert_eq!(watch, floor);
    assert!(restored.restore(&[1.0; 3]).is_err());
    assert!(restored.restore(&[f64::NAN; 12]).is_err());
    assert!(watch.restore(&[1.0; 6]).is_err());
    assert!(watch.restore(&[-1.0; 4]).is_err());
}

#[test]
fn a_mean_at_the_floor_raises_few_alarms_and_a_fall_after_a_good_time_is_seen() {
    let mut alarms = 0;
    let mut delays = Vec::new();
    for run in 0..RUNS {
        let mut chance = Chance(0xABCD + (u64::from(run) << 24));
        let mut steady = Floor::new(0.9).unwrap();
        for _ in 0..3000 {
            steady.add(chance.coin(0.9)).unwrap();
        }
        alarms += u32::from(steady.p_value() <= 0.05);
        let mut falling = Floor::new(0.9).unwrap();
        for _ in 0..1000 {
            falling.add(chance.coin(0.96)).unwrap();
        }
        assert!(falling.p_value() > 0.05);
        let mut delay = 0;
        while falling.p_value() > 0.05 {
            falling.add(chance.coin(0.75)).unwrap();
            delay += 1;
        }
        delays.push(delay);
    }
    delays.sort_unstable();
    assert!(alarms <= RUNS / 20, "{alarms} of {RUNS}");
    let (median, late) = (delays[delays.len() / 2], delays[delays.len() * 95 / 100]);
    assert!(median <= 200 && late <= 350, "median {median}, 95 % {late}");
}

#[test]
fn a_ratio_off_by_four_points_is_noticed_and_the_right_one_is_not() {
    let alarm = 1000_f64.ln();
    assert!(ratio_evidence(4_800, 5_200, 0.5, 100.0).unwrap() > alarm - 3.0);
    assert!(ratio_evidence(4_600, 5_400, 0.5, 100.0).unwrap() > alarm);
    assert!(ratio_evidence(5_000, 5_000, 0.5, 100.0).unwrap() < 0.0);
    assert!((ratio_evidence(0, 0, 0.5, 100.0).unwrap()).abs() < 1e-9);
    let mut alarms = 0;
    for run in 0..RUNS {
        let mut chance = Chance(77 + (u64::from(run) << 24));
        let (mut first, mut second, mut alarmed) = (0, 0, false);
        for _ in 0..2000 {
            if chance.next() < 0.3 {
                second += 1;
            } else {
                first += 1;
            }
            alarmed |= ratio_evidence(first, second, 0.3, 100.0).unwrap() > 100_f64.ln();
        }
        alarms += u32::from(alarmed);
    }
    assert!(alarms <= RUNS / 50, "{alarms} of {RUNS}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(SequentialTest::new(0.0, 1, false).is_err());
    assert!(Floor::new(1.0).is_err());
    assert!(Floor::new(0.5).unwrap().add(f64::NAN).is_err());
    assert!(ratio_evidence(1, 1, 1.0, 1.0).is_err());
    assert!(ratio_evidence(1, 1, 0.5, 0.0).is_err());
    let mut test = SequentialTest::new(0.1, 1, false).unwrap();
    assert!(test.add(true, f64::INFINITY).is_err());
    assert!(test.radius(0.0).is_err());
    assert!(test.radius(0.5).unwrap().is_infinite());
}
