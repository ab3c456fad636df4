//! The vector index against a naive list, on every kernel, through churn, and with vectors nobody should send.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;
use resopt_core::vector::index::{Index, IndexOptions};
use resopt_core::vector::kernels::Kernel;

/// `SplitMix64`, so that the tests need no crate and repeat themselves.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// About normal: the sum of four uniform numbers.
    fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.share() - 0.5).sum::<f32>() * 1.732
    }

    fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.normal()).collect()
    }

    /// A vector whose cosine with the unit vector of `centre` is about `cosine`.
    fn near(&mut self, centre: &[f32], cosine: f32) -> Vec<f32> {
        let other = unit(&self.vector(centre.len()));
        let across = (1.0 - cosine * cosine).sqrt();
        unit(centre)
            .iter()
            .zip(other)
            .map(|(along, away)| along * cosine + away * across)
            .collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "coordinates of a unit vector")]
fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|&value| (f64::from(value) / length) as f32).collect()
}

/// The naive reference: a list, looked at whole, in binary64.
#[derive(Default)]
struct Naive(Vec<(u64, Vec<f32>)>);

impl Naive {
    fn insert(&mut self, id: u64, vector: &[f32]) -> bool {
        let new = !self.remove(id);
        self.0.push((id, unit(vector)));
        new
    }

    fn remove(&mut self, id: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|(other, _)| *other != id);
        self.0.len() < before
    }

    fn cosines(&self, vector: &[f32]) -> Vec<(u64, f64)> {
        let wanted = unit(vector);
        let product = |row: &[f32]| {
            row.iter()
                .zip(&wanted)
                .map(|(&left, &right)| f64::from(left) * f64::from(right))
                .sum()
        };
        let mut found: Vec<(u64, f64)> = self.0.iter().map(|(id, row)| (*id, product(row))).collect();
        found.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        found
    }
}

/// The index's answer is the reference's, up to rounding: the same cosines in the same order, each for an id that has it.
fn assert_agrees(index: &Index, naive: &Naive, query: &[f32], k: usize, floor: f32) {
    const ROUNDING: f64 = 3e-6;
    let found = index.search(query, k, floor).unwrap();
    let wanted = naive.cosines(query);
    let reaching = |slack: f64| {
        wanted
            .iter()
            .filter(|(_, cosine)| *cosine >= f64::from(floor) + slack)
            .count()
            .min(k)
    };
    assert!(
        (reaching(ROUNDING)..=reaching(-ROUNDING)).contains(&found.len()),
        "{} found, {} wanted at {floor}, {} rows",
        found.len(),
        reaching(0.0),
        index.len()
    );
    for ((id, cosine), (_, best)) in found.iter().zip(&wanted) {
        assert!(
            (f64::from(*cosine) - best).abs() < ROUNDING,
            "{cosine} is not the next best {best}"
        );
        let own = wanted.iter().find(|(other, _)| other == id).unwrap().1;
        assert!(
            (f64::from(*cosine) - own).abs() < ROUNDING,
            "{cosine} is not the cosine {own} of {id}"
        );
    }
    for pair in found.windows(2) {
        assert!(
            pair[0].1 > pair[1].1 || (pair[0].1 >= pair[1].1 && pair[0].0 < pair[1].0),
            "{pair:?}"
        );
    }
    assert_eq!(index.len(), naive.0.len());
}

/// Random inserts, replacements, removals and searches; `common` is a part that all vectors share.
fn compare(dimensions: usize, exact: bool, common: f32, capacity: usize, operations: usize, seed: u64) {
    let mut random = Random(seed);
    let options = IndexOptions {
        exact,
        seed: Some(seed),
        kernel: None,
    };
    let (mut index, mut naive) = (Index::new(dimensions, options).unwrap(), Naive::default());
    let shared = unit(&random.vector(dimensions));
    let fresh = |random: &mut Random, naive: &Naive| {
        let mut vector = unit(&random.vector(dimensions));
        if !naive.0.is_empty() && random.below(3) == 0 {
            let centre = &naive.0[random.below(naive.0.len())].1;
            let cosine = 0.7 + 0.3 * random.share();
            vector = random.near(centre, cosine);
        }
        for (value, part) in vector.iter_mut().zip(&shared) {
            *value += common * part;
        }
        vector
    };
    let searches = operations / 20;
    for operation in 0..operations {
        let id = random.next() % (capacity as u64 * 3 / 2);
        match random.below(10) {
            0..6 if naive.0.len() < capacity => {
                let vector = fresh(&mut random, &naive);
                assert_eq!(index.insert(id, &vector).unwrap(), naive.insert(id, &vector));
            }
            0..9 => assert_eq!(index.remove(id), naive.remove(id)),
            _ if operation % (operations / searches).max(1) < 2 => {
                let query = fresh(&mut random, &naive);
                let floor = [f32::NEG_INFINITY, 0.5, 0.85, 0.95][random.below(4)];
                assert_agrees(&index, &naive, &query, [1, 4, 30][random.below(3)], floor);
            }
            _ => assert_eq!(index.contains(id), naive.0.iter().any(|(other, _)| *other == id)),
        }
    }
    for (id, vector) in &naive.0 {
        assert_eq!(index.get(*id).unwrap().len(), vector.len());
    }
    let filled = index.bytes();
    index.clear();
    assert!(index.is_empty() && index.bytes() <= filled);
    assert_eq!(index.search(&shared, 1, -1.0).unwrap(), []);
}

#[test]
fn random_operations_agree_with_a_list() {
    for exact in [false, true] {
        compare(3, exact, 0.0, 300, 4_000, 1);
        compare(64, exact, 0.0, 900, 8_000, 2);
        compare(100, exact, 0.5, 900, 8_000, 3);
        compare(128, exact, 0.0, 1_500, 15_000, 4);
        compare(256, exact, 2.0, 1_500, 15_000, 5);
    }
}

#[test]
#[ignore = "a million operations: minutes"]
fn a_million_operations_agree_with_a_list() {
    for (round, (dimensions, common)) in [(64, 0.0), (128, 0.5), (256, 0.0), (100, 2.0)].into_iter().enumerate() {
        for exact in [false, true] {
            compare(dimensions, exact, common, 2_500, 125_000, 100 + round as u64);
        }
    }
}

/// Fill, replace everything three times over, first in first out, and look for near copies of what is left.
fn churn(dimensions: usize, capacity: usize, exact: bool, common: f32) {
    let mut random = Random(9);
    let options = IndexOptions {
        exact,
        ..IndexOptions::default()
    };
    let mut index = Index::new(dimensions, options).unwrap();
    let shared = unit(&random.vector(dimensions));
    let mut rows: Vec<Vec<f32>> = Vec::new();
    for number in 0..capacity * 4 {
        let mut vector = unit(&random.vector(dimensions));
        vector
            .iter_mut()
            .zip(&shared)
            .for_each(|(value, part)| *value += common * part);
        index.insert(number as u64, &vector).unwrap();
        rows.push(unit(&vector));
        if number >= capacity {
            assert!(index.remove((number - capacity) as u64));
        }
    }
    assert_eq!(index.len(), capacity);
    for _ in 0..400 {
        let number = capacity * 3 + random.below(capacity);
        let cosine = 0.86 + 0.13 * random.share();
        let query = random.near(&rows[number], cosine);
        let found = index.search(&query, 1, 0.85).unwrap();
        let wanted: f32 = unit(&query)
            .iter()
            .zip(&rows[number])
            .map(|(left, right)| left * right)
            .sum();
        if wanted > 0.850_01 {
            assert!(
                found.first().is_some_and(|&(_, cosine)| cosine > wanted - 1e-5),
                "lost one at {wanted}"
            );
        }
    }
}

#[test]
fn churn_of_three_times_the_capacity_loses_nothing() {
    churn(256, 3_000, false, 0.0);
    churn(100, 2_000, false, 1.0);
    churn(128, 2_000, true, 0.0);
}

#[test]
fn every_kernel_gives_the_same_bits() {
    let kernels = Kernel::available();
    #[cfg(target_arch = "aarch64")]
    assert!(kernels.contains(&Kernel::Neon));
    for (dimensions, exact) in [
        (64, false),
        (100, true),
        (100, false),
        (256, false),
        (256, true),
        (384, false),
        (7, false),
    ] {
        let mut answers = Vec::new();
        for &kernel in &kernels {
            let mut random = Random(11);
            let options = IndexOptions {
                exact,
                seed: Some(5),
                kernel: Some(kernel),
            };
            let mut index = Index::new(dimensions, options).unwrap();
            let rows: Vec<Vec<f32>> = (0..1500).map(|_| random.vector(dimensions)).collect();
            for (id, row) in (0..).zip(&rows) {
                index.insert(id, row).unwrap();
            }
            let mut found = Vec::new();
            for row in &rows[..60] {
                let query = random.near(row, 0.8);
                for (k, floor) in [(5, -1.0), (1, 0.7), (3, 0.85)] {
                    let answer = index.search(&query, k, floor).unwrap();
                    found.extend(answer.into_iter().map(|(id, cosine)| (id, cosine.to_bits())));
                }
            }
            answers.push(found);
        }
        assert!(
            answers.iter().all(|answer| answer == &answers[0]),
            "{dimensions} {exact} on {kernels:?}"
        );
        assert!(answers[0].len() > 300);
    }
}

#[test]
fn equal_vectors_come_in_the_order_of_their_ids() {
    for (dimensions, exact) in [(16, false), (128, false), (128, true)] {
        let mut random = Random(3);
        let options = IndexOptions {
            exact,
            ..IndexOptions::default()
        };
        let mut index = Index::new(dimensions, options).unwrap();
        let same = random.vector(dimensions);
        let mut ids: Vec<u64> = (0..700).collect();
        for place in (1..ids.len()).rev() {
            ids.swap(place, random.below(place + 1));
        }
        for &id in &ids {
            let vector = if id % 2 == 0 {
                same.clone()
            } else {
                random.vector(dimensions)
            };
            index.insert(id, &vector).unwrap();
        }
        for &id in ids.iter().filter(|&&id| id % 6 == 0) {
            index.remove(id);
        }
        let found = index.search(&same, 5, 0.99).unwrap();
        let numbers: Vec<u64> = found.iter().map(|&(id, _)| id).collect();
        assert_eq!(numbers, [2, 4, 8, 10, 14]);
    }
}

#[test]
fn only_the_direction_counts_however_large_or_small() {
    let mut index = Index::new(4, IndexOptions::default()).unwrap();
    index.insert(1, &[3e38, 3e38, 0.0, 0.0]).unwrap();
    index.insert(2, &[0.0, 0.0, 1e-44, 0.0]).unwrap();
    assert_eq!(index.search(&[1e-40, 1e-40, 0.0, 0.0], 1, 0.999).unwrap()[0].0, 1);
    assert_eq!(index.search(&[0.0, 0.0, 7.0, 0.0], 4, 0.5).unwrap(), [(2, 1.0)]);
    assert_eq!(
        index.search(&[0.0, 0.0, -7.0, 0.0], 4, -1.0).unwrap().last(),
        Some(&(2, -1.0))
    );
}

#[test]
fn vectors_that_are_none_are_refused_and_change_nothing() {
    let mut index = Index::new(3, IndexOptions::default()).unwrap();
    index.insert(7, &[1.0, 0.0, 0.0]).unwrap();
    for (vector, word) in [
        (&[1.0, f32::NAN, 0.0][..], "finite"),
        (&[f32::INFINITY, 0.0, 0.0], "finite"),
        (&[0.0, 0.0, 0.0], "zeros"),
        (&[-0.0, 0.0, 0.0], "zeros"),
        (&[1.0, 2.0], "3 numbers"),
        (&[], "3 numbers"),
        (&[1.0; 4], "has 4"),
    ] {
        for error in [
            index.insert(7, vector).unwrap_err(),
            index.search(vector, 1, 0.0).unwrap_err(),
        ] {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    assert_eq!(index.get(7), Some(&[1.0, 0.0, 0.0][..]));
    assert!(index.search(&[1.0, 0.0, 0.0], 0, 0.0).is_err());
    assert!(index.search(&[1.0, 0.0, 0.0], 1, f32::NAN).is_err());
    assert_eq!(index.search(&[1.0, 0.0, 0.0], usize::MAX, -1.0).unwrap(), [(7, 1.0)]);
    for dimensions in [0, 65_537] {
        assert!(Index::new(dimensions, IndexOptions::default()).is_err());
    }
}

#[test]
fn bytes_are_what_entries_take() {
    for exact in [false, true] {
        let options = IndexOptions {
            exact,
            ..IndexOptions::default()
        };
        let mut index = Index::new(384, options).unwrap();
        assert!(index.bytes() < 400);
        let mut random = Random(4);
        for id in 0..20_000 {
            index.insert(id, &random.vector(384)).unwrap();
        }
        let each = index.bytes() / index.len();
        let said = index.bytes_per_entry();
        assert!(each.abs_diff(said) * 20 < said, "{each} held for each, {said} said");
        for id in 0..20_000 {
            index.remove(id);
        }
        assert!(index.bytes() < 4_000_000, "{}", index.bytes());
        index.clear();
        assert!(index.bytes() < 400);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_bits_are_a_vector_or_an_error(
        rows in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..6), 1..40),
        k in 0usize..5,
        floor in any::<u32>(),
    ) {
        let mut index = Index::new(4, IndexOptions::default()).unwrap();
        for (id, row) in (0..).zip(&rows) {
            let vector: Vec<f32> = row.iter().map(|&bits| f32::from_bits(bits)).collect();
            let good = vector.len() == 4 && vector.iter().all(|value| value.is_finite())
                && vector.iter().any(|&value| value != 0.0);
            prop_assert_eq!(index.insert(id, &vector).is_ok(), good);
            if let Ok(found) = index.search(&vector, k, f32::from_bits(floor)) {
                prop_assert!(found.iter().all(|(_, cosine)| cosine.is_finite()));
            }
        }
    }
}
