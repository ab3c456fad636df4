//! The stream: one encoding per value, no encoding begins another, and memory that does not grow with the value.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use resopt_core::key::{Calendar, Key, KeySpace, KeyStream, NotANumber, SHORT_TEXT};

fn key(write: impl FnOnce(&mut KeyStream)) -> Key {
    let mut stream = KeyStream::default();
    stream.begin(&KeySpace::new("test", None));
    write(&mut stream);
    stream.finish()
}

fn float(value: f64) -> Key {
    key(|stream| stream.float(value).unwrap())
}

/// Two's complement of an `i128` in more octets than it needs.
fn padded(value: i128, padding: usize) -> Vec<u8> {
    let mut octets = value.to_le_bytes().to_vec();
    octets.extend(std::iter::repeat_n(if value < 0 { 0xFF } else { 0 }, padding));
    octets
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_integer_is_written_one_way(value: i64, padding in 0usize..20) {
        let small = key(|stream| stream.integer(value));
        let big = key(|stream| stream.big_integer(&padded(i128::from(value), padding)));
        prop_assert_eq!(small, big);
    }

    #[test]
    fn integers_differ(left: i128, right: i128) {
        let keys = [left, right].map(|value| key(|stream| stream.big_integer(&padded(value, 0))));
        prop_assert_eq!(left == right, keys[0] == keys[1]);
    }

    #[test]
    fn a_float_without_fraction_is_its_integer(value in -(1i128 << 100)..(1i128 << 100)) {
        #[expect(clippy::cast_precision_loss, reason = "the float is what is tested")]
        let rounded = value as f64;
        #[expect(clippy::cast_possible_truncation, reason = "below 2^101")]
        let exact = rounded as i128;
        prop_assert_eq!(float(rounded), key(|stream| stream.big_integer(&padded(exact, 0))));
    }

    #[test]
    fn floats_differ(left: f64, right: f64) {
        prop_assume!(!left.is_nan() && !right.is_nan());
        #[expect(clippy::float_cmp, reason = "equality is the point")]
        let equal = left == right;
        prop_assert_eq!(equal, float(left) == float(right));
    }

    #[test]
    fn decimals_are_equal_as_numbers(digits in prop::collection::vec(0u8..10, 0..12), zeros in 0usize..4, exponent in -50i64..50) {
        let mut longer = vec![0; zeros];
        longer.extend(&digits);
        longer.extend(vec![0; zeros]);
        let plain = key(|stream| stream.decimal(false, &digits, exponent));
        let padded = key(|stream| stream.decimal(false, &longer, exponent - i64::try_from(zeros).unwrap()));
        prop_assert_eq!(plain, padded);
        let negative = key(|stream| stream.decimal(true, &digits, exponent));
        prop_assert_eq!(negative == plain, digits.iter().all(|&digit| digit == 0));
    }

    #[test]
    fn moving_a_border_changes_the_key(text in "[a-z]{2,20}", at in 1usize..20) {
        let at = at.min(text.len() - 1);
        let split = |border: usize| key(|stream| {
            stream.sequence(2);
            stream.text(&text.as_bytes()[..border]);
            stream.text(&text.as_bytes()[border..]);
        });
        prop_assert_ne!(split(at), split(at - 1));
    }
}

#[test]
fn kinds_of_values_never_meet() {
    let keys = [
        key(KeyStream::none),
        key(|stream| stream.boolean(false)),
        key(|stream| stream.boolean(true)),
        key(|stream| stream.integer(0)),
        key(|stream| stream.integer(1)),
        key(|stream| stream.text(b"")),
        key(|stream| stream.text(b"1")),
        key(|stream| stream.bytes(b"")),
        key(|stream| stream.bytes(b"1")),
        key(|stream| stream.sequence(0)),
        key(|stream| stream.mapping(0)),
        key(|stream| stream.record(b"", 0)),
        key(|stream| stream.decimal(false, &[1], 0)),
        key(|stream| stream.infinite_decimal(false)),
        key(|stream| stream.infinite_decimal(true)),
        key(|stream| stream.calendar(Calendar::Time, false, "")),
        key(|stream| stream.calendar(Calendar::Time, true, "")),
        key(|stream| stream.calendar(Calendar::DateTime, false, "")),
        key(|stream| stream.uuid([0; 16])),
        key(|stream| stream.folded("1")),
        float(0.5),
        float(f64::INFINITY),
        float(f64::NEG_INFINITY),
        float(f64::MAX),
        float(f64::MIN_POSITIVE),
    ];
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
}

#[test]
fn floats_have_their_exact_integers() {
    assert_eq!(float(-0.0), key(|stream| stream.integer(0)));
    assert_eq!(
        float(2f64.powi(63)),
        key(|stream| stream.big_integer(&padded(1 << 63, 0)))
    );
    assert_eq!(float(-(2f64.powi(63))), key(|stream| stream.integer(i64::MIN)));
    let mut octets = [0; 129];
    octets[122..128].fill(0xFF);
    octets[121] = 0b1111_1000;
    assert_eq!(float(f64::MAX), key(|stream| stream.big_integer(&octets)));
    assert_eq!(KeyStream::default().float(f64::NAN), Err(NotANumber));
}

#[test]
fn spaces_are_apart() {
    let spaces = [
        ("", None),
        ("a", None),
        ("a", Some(&b"x"[..])),
        ("a", Some(&b"y"[..])),
        ("", Some(&b"x"[..])),
    ];
    let keys: std::collections::BTreeSet<_> = spaces
        .iter()
        .map(|(namespace, secret)| {
            let mut stream = KeyStream::default();
            stream.begin(&KeySpace::new(namespace, *secret));
            stream.integer(1);
            stream.finish()
        })
        .collect();
    assert_eq!(keys.len(), spaces.len());
}

#[test]
fn a_question_is_its_folding() {
    let question = |text: &'static str| key(|stream| stream.folded(text));
    assert_eq!(question("What is  Python?"), question("what is python"));
    assert_ne!(question("what is the US?"), question("what is the us?"));
    assert_eq!(
        key(|stream| stream.lossless(b"a\r\n")),
        key(|stream| stream.text(b"a\n"))
    );
}

#[test]
fn a_short_text_has_the_key_that_the_stream_gives_it() {
    let space = KeySpace::new("test", None);
    let text = [b'x'; SHORT_TEXT + 1];
    for length in 0..=SHORT_TEXT {
        let written = key(|stream| stream.text(&text[..length]));
        assert_eq!(space.short_text(&text[..length]), Some(written), "{length} octets");
    }
    assert_eq!(space.short_text(&text), None);
}
