//! Every kernel against the baseline, loop by loop, with what an index never meets by chance.

use super::{BLOCK, GROUP, Kernel, dot, dot_codes, hadamard, near, reaching};

/// Numbers that differ: xorshift.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[expect(clippy::cast_precision_loss, reason = "any numbers will do")]
fn floats(count: usize, seed: u64) -> Vec<f32> {
    let mut next = random(seed);
    (0..count).map(|_| (next() >> 40) as f32 / 8e6 - 1.0).collect()
}

fn octets(count: usize, seed: u64) -> Vec<i8> {
    let mut next = random(seed);
    (0..count).map(|_| next().to_le_bytes()[3].cast_signed()).collect()
}

/// What each kernel makes of a loop; all must be what the first makes.
fn assert_equal<T: PartialEq + std::fmt::Debug>(run: impl Fn(Kernel) -> T) {
    let wanted = run(Kernel::Baseline);
    for kernel in Kernel::available() {
        assert_eq!(run(kernel), wanted, "{kernel:?}");
    }
}

#[test]
fn dot_products_have_the_same_bits() {
    for length in [0, 1, 31, 32, 33, 100, 128, 255, 384, 1536] {
        let (left, right) = (floats(length, 3), floats(length, 5));
        assert_equal(|kernel| dot(kernel, &left, &right).to_bits());
    }
}

#[test]
fn distances_are_the_same_up_to_every_bit() {
    for words in [1, 2, 4, 6, 31, 32, 70] {
        let mut next = random(7);
        let mut groups: Vec<u64> = (0..GROUP * words * 5).map(|_| next()).collect();
        let query: Vec<u64> = (0..words).map(|_| next()).collect();
        // A row that is the query, and one that differs in every bit.
        for (word, &wanted) in query.iter().enumerate() {
            groups[word * GROUP + 1] = wanted;
            groups[word * GROUP + 6] = !wanted;
        }
        let bits = u32::try_from(words * 64).unwrap_or(u32::MAX);
        for most in [0, bits / 2, bits - 1, bits] {
            let found = |kernel| {
                let mut found = Vec::new();
                near(kernel, &groups, &query, most, &mut found);
                found
            };
            assert_equal(found);
            let rows = found(Kernel::Baseline);
            assert!(rows.contains(&(1 << 32)), "the query itself");
            assert_eq!(rows.contains(&(6 << 32 | u64::from(bits))), most == bits);
        }
    }
}

#[test]
fn bounds_have_the_same_bits() {
    let rows = 6 * BLOCK;
    let mut next = random(9);
    let products: Vec<i32> = (0..rows)
        .map(|_| i32::try_from(next() >> 38).unwrap_or(0) - (1 << 25))
        .collect();
    let (scales, mut errors) = (floats(rows, 11), floats(rows, 13));
    errors[7] = f32::NAN;
    errors[20] = f32::INFINITY;
    for threshold in [-1e9, 0.0, 3e6, f32::INFINITY] {
        assert_equal(|kernel| {
            let mut found = Vec::new();
            reaching(
                kernel,
                &products,
                &scales,
                &errors,
                [0.3, 1.7, -0.2],
                threshold,
                &mut found,
            );
            found
                .into_iter()
                .map(|(bound, row)| (bound.to_bits(), row))
                .collect::<Vec<_>>()
        });
    }
}

#[test]
fn transforms_have_the_same_bits() {
    for length in [1, 2, 4, 8, 64, 512] {
        assert_equal(|kernel| {
            let mut values = floats(length, 15);
            hadamard(kernel, &mut values);
            values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        });
    }
}

#[test]
fn products_of_codes_are_the_same_up_to_the_largest() {
    for pairs in [1, 2, 33, 192] {
        let mut blocks = octets(3 * BLOCK * 2 * pairs, 17);
        blocks[..2 * BLOCK].fill(i8::MIN);
        let codes = octets(2 * pairs, 19);
        let mut query: Vec<[i16; 2]> = codes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| pair.map(i16::from))
            .collect();
        query[0] = [i16::MIN + 1, i16::MAX];
        assert_equal(|kernel| {
            let mut products = [0; 3 * BLOCK];
            dot_codes(kernel, &blocks, &query, &mut products);
            products
        });
    }
}
