//! Properties of the quantile sketch against exact quantiles of the sorted values.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::float_cmp, reason = "exact figures are compared exactly")]

use proptest::prelude::*;
use resopt_core::stats::sketch::Sketch;

const QUANTILES: [f64; 9] = [0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];

fn filled(relative_error: f64, max_bins: u32, values: &[f64]) -> Sketch {
    let mut sketch = Sketch::new(relative_error, max_bins).unwrap();
    sketch.add_many(values).unwrap();
    sketch
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a handful of values"
)]
fn exact(sorted: &[f64], q: f64) -> f64 {
    sorted[(q * (sorted.len() - 1) as f64) as usize]
}

/// Latencies from a nanosecond to a day, zeros among them.
fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(
        prop_oneof![1 => Just(0.0), 8 => (-9.0..5.0_f64).prop_map(|power| 10.0_f64.powf(power)), 3 => 0.2..0.3_f64],
        1..400,
    )
}

proptest! {
    #[test]
    fn quantiles_are_within_the_relative_error(values in values(), error in 0.001..0.2_f64) {
        // 32,768 bins of at least 0.1 % cover the 14 decades above without folding.
        let sketch = filled(error, 32_768, &values);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for q in QUANTILES {
            let expected = exact(&sorted, q);
            let estimate = sketch.quantile(q).unwrap().unwrap();
            prop_assert!((estimate - expected).abs() <= expected * error * (1.0 + 1e-9), "{q}: {estimate} for {expected}");
        }
        prop_assert_eq!(sketch.count(), values.len() as u64);
        prop_assert_eq!(sketch.minimum(), sorted.first().copied());
        prop_assert_eq!(sketch.maximum(), sorted.last().copied());
        let sum: f64 = sorted.iter().sum();
        prop_assert!((sketch.sum() - sum).abs() <= sum * 1e-12);
    }

    #[test]
    fn merging_is_the_sketch_of_the_union(left in values(), right in values(), bins in 16..200_u32) {
        let mut merged = filled(0.01, bins, &left);
        merged.merge(&filled(0.01, bins, &right)).unwrap();
        let union = filled(0.01, bins, &[left, right].concat());
        for step in 0_i32..=100 {
            let q = f64::from(step) / 100.0;
            prop_assert_eq!(merged.quantile(q).unwrap(), union.quantile(q).unwrap());
        }
        prop_assert_eq!(merged.bins(), union.bins());
        prop_assert_eq!(merged.count(), union.count());
        prop_assert!((merged.sum() - union.sum()).abs() <= union.sum() * 1e-12);
    }

    #[test]
    fn bins_are_bounded_and_the_upper_quantiles_keep_the_error(values in values(), bins in 128..512_u32) {
        let sketch = filled(0.05, bins, &values);
        prop_assert!(sketch.bins() <= bins as usize);
        prop_assert_eq!(sketch.count(), values.len() as u64);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        // 128 bins of 10 % reach five decades below the largest value.
        let (largest, upper) = (exact(&sorted, 1.0), exact(&sorted, 0.95));
        if upper > largest / 1e5 {
            prop_assert!((sketch.quantile(0.95).unwrap().unwrap() - upper).abs() <= upper * 0.05 * (1.0 + 1e-9));
        }
    }

    #[test]
    fn bytes_bring_the_same_sketch_back(values in values(), bins in 16..3000_u32) {
        let sketch = filled(0.02, bins, &values);
        let mut back = Sketch::from_bytes(&sketch.to_bytes()).unwrap();
        prop_assert_eq!(back.to_bytes(), sketch.to_bytes());
        back.merge(&sketch).unwrap();
        prop_assert_eq!(back.count(), 2 * sketch.count());
    }

    #[test]
    fn changed_bytes_are_refused(values in values(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = filled(0.02, 100, &values).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(Sketch::from_bytes(&bytes).is_err());
        bytes[at] ^= flip;
        prop_assert!(Sketch::from_bytes(&bytes[..at]).is_err());
    }

    #[test]
    fn any_bytes_with_a_good_checksum_are_read_or_refused_but_never_break(body in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut bytes = filled(0.02, 100, &[1.0, 2.0]).to_bytes()[..16].to_vec();
        bytes.extend_from_slice(&body);
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(&digest.as_bytes()[..8]);
        if let Ok(mut sketch) = Sketch::from_bytes(&bytes) {
            sketch.add(1.0).unwrap();
            prop_assert!(sketch.quantile(0.5).unwrap().is_some());
        }
    }
}

#[test]
fn an_empty_sketch_has_no_quantiles_and_survives_serialising() {
    let sketch = Sketch::from_bytes(&Sketch::new(0.01, 2048).unwrap().to_bytes()).unwrap();
    assert_eq!(sketch.quantile(0.5).unwrap(), None);
    assert_eq!(
        (sketch.count(), sketch.sum(), sketch.minimum(), sketch.maximum()),
        (0, 0.0, None, None)
    );
}

#[test]
fn refused_values_leave_the_sketch_as_it_was() {
    let mut sketch = filled(0.01, 2048, &[1.0]);
    for bad in [-1e-9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(sketch.add(bad).is_err());
        assert!(sketch.add_many(&[5.0, bad]).is_err());
    }
    assert_eq!((sketch.count(), sketch.maximum()), (1, Some(1.0)));
    sketch.add(-0.0).unwrap();
    assert_eq!(sketch.minimum(), Some(0.0));
}

#[test]
fn the_whole_range_of_floats_fits() {
    let sketch = filled(0.01, 2048, &[f64::MIN_POSITIVE, 5e-324, 1.0, f64::MAX, f64::MAX]);
    assert_eq!(sketch.bins(), 2048);
    assert_eq!(sketch.sum(), f64::MAX);
    let middle = sketch.quantile(0.75).unwrap().unwrap();
    assert!((middle / f64::MAX - 1.0).abs() <= 0.01);
    assert!(Sketch::from_bytes(&sketch.to_bytes()).is_ok());
}

#[test]
fn options_out_of_range_and_unlike_sketches_are_refused() {
    for (error, bins) in [(0.0, 2048), (0.6, 2048), (f64::NAN, 2048), (0.01, 15), (0.01, 65_537)] {
        assert!(Sketch::new(error, bins).is_err());
    }
    let mut sketch = Sketch::new(0.01, 2048).unwrap();
    assert!(sketch.merge(&Sketch::new(0.02, 2048).unwrap()).is_err());
    assert!(sketch.merge(&Sketch::new(0.01, 1024).unwrap()).is_err());
    assert!(sketch.quantile(1.01).is_err());
    assert!(sketch.quantile(f64::NAN).is_err());
}
