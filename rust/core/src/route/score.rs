//! The prior: how likely a question is to need the stronger model, before anything is known of the traffic.
//!
//! A weighted sum of `ln(1 + count)`: nine weights, all positive, fixed once and the same for every kind of traffic. The
//! weights are round numbers chosen by sense (length is one, what binds parts together a half each, what is known to help
//! little a tenth) and checked on three public sets; a fit over sets transfers worse than this.

use super::features::Features;

/// The largest number of counts of one kind that matter for [`Part::Craft`]: naming code once says nearly everything.
const CRAFT_ENOUGH: f64 = 3.0;
/// The score of a middling question, and the scale of the logistic curve around it: short questions of a chat score
/// about 3.5, exam questions about 7.5. Only the percentile that is expected before any traffic was seen depends on them.
const MIDDLE: f64 = 5.0;
const SPREAD: f64 = 1.0;

/// The parts of a score.
pub const PARTS: [(&str, f64); 9] = [
    ("length", 1.0),
    ("parts", 0.5),
    ("logic", 0.5),
    ("names", 0.5),
    ("quantities", 0.5),
    ("craft", 3.0),
    ("numbers", 0.1),
    ("marks", 0.1),
    ("repeats", 0.1),
];

/// How many parts a score has.
pub const SIZE: usize = PARTS.len();

/// `ln(1 + count)` of each part, in the order of [`PARTS`].
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "a length beyond 2^53 bytes does not fit a machine"
)]
pub fn logarithms(features: &Features) -> [f64; SIZE] {
    [
        (features.bytes as f64).ln_1p(),
        f64::from(features.parts).ln_1p(),
        f64::from(features.logic).ln_1p(),
        f64::from(features.names).ln_1p(),
        f64::from(features.quantities).ln_1p(),
        f64::from(features.craft).ln_1p().min(CRAFT_ENOUGH.ln()),
        f64::from(features.numbers).ln_1p(),
        f64::from(features.marks).ln_1p(),
        f64::from(features.repeats).ln_1p(),
    ]
}

/// The score of a question from 0 up; higher needs more. None when there is nothing to judge by.
#[must_use]
pub fn prior(features: &Features) -> Option<f64> {
    if features.is_silent() {
        return None;
    }
    let terms = logarithms(features);
    Some(terms.iter().zip(PARTS).map(|(term, (_, weight))| term * weight).sum())
}

/// The share of questions that score lower, before any traffic was seen: a logistic curve.
#[must_use]
pub fn expected_percentile(score: f64) -> f64 {
    1.0 / (1.0 + (-(score - MIDDLE) / SPREAD).exp())
}

/// A place from 0 to 1 for every score, in the order of scores, with room at both ends: `score / (score + middle)`.
#[must_use]
pub fn place(score: f64) -> f64 {
    score / (score + MIDDLE)
}

/// The expected percentile of what lies at a place.
#[must_use]
pub fn expected_below(place: f64) -> f64 {
    expected_percentile(MIDDLE * place / (1.0 - place).max(f64::MIN_POSITIVE))
}

/// A percentile as a number from 1 to 10; the middle, and no percentile at all, is 5.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 1 to 10"
)]
pub fn complexity(percentile: f64) -> u8 {
    (percentile * 10.0).ceil().clamp(1.0, 10.0) as u8
}
