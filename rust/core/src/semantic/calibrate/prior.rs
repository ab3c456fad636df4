//! The shipped prior: what a candidate's probability is made of before there are labels.
//!
//! The bundled verifier was calibrated on labelled pairs; what is served are the nearest of thousands of stored questions.
//! Among those, by labels and by reading, a pair that leaves no content word over, asks with the same question word and
//! lies close is right more often than the verifier says, and the others less. `benches/fit_prior.py` fits the weights
//! from such candidates, shrunk to the verifier's own calibration, and says what they gain on questions held out.

use super::Basis;
use super::evidence::FEATURES;
use super::regression::Prior;

/// Places of the features, as `Evidence::features` makes them; those between that have no name start at 0.
const CONSTANT: usize = 0;
const LOGIT: usize = 1;
const COSINE: usize = 2;
const QUESTION_SAME: usize = 5;
const LENGTH: usize = 6;
const EXTRA: usize = 7;
const EXTRA_MIN: usize = 8;
const ONE_WORD: usize = 9;
const ORDER: usize = 10;
const HISTORY: usize = 13;
const GROUP: usize = 14;

/// Both bundled: verifier and embedder.
const BUNDLED: [(usize, f64); 9] = [
    (CONSTANT, -0.601),
    (LOGIT, 3.593),
    (COSINE, 0.969),
    (QUESTION_SAME, 0.246),
    (LENGTH, 1.091),
    (EXTRA, -0.120),
    (EXTRA_MIN, -0.547),
    (ONE_WORD, -0.214),
    (ORDER, 0.309),
];
/// The bundled verifier on vectors of the caller's: what their cosine means is for labels to say.
const BUNDLED_VERIFIER: [(usize, f64); 8] = [
    (CONSTANT, -0.569),
    (LOGIT, 4.085),
    (QUESTION_SAME, 0.307),
    (LENGTH, 1.456),
    (EXTRA, -1.045),
    (EXTRA_MIN, -1.251),
    (ONE_WORD, -0.282),
    (ORDER, 0.542),
];
/// A verifier of the caller's: its probability as it is, which `Opinion::with_probability` turned into a logit.
const OWN_VERIFIER: [(usize, f64); 2] = [(CONSTANT, -0.2580), (LOGIT, 4.0 * 0.8948)];
/// No verifier: cosine alone speaks, softly.
const UNVERIFIED: [(usize, f64); 2] = [(CONSTANT, 1.0), (COSINE, 2.0)];

/// Mean and variance that the weights start from.
pub(super) fn prior(basis: Basis) -> Prior {
    let mut prior = Prior {
        mean: [0.0; FEATURES],
        variance: [0.25; FEATURES],
    };
    prior.variance[CONSTANT] = 1.0;
    let means: &[(usize, f64)] = match basis {
        Basis::Bundled => &BUNDLED,
        Basis::BundledVerifier => &BUNDLED_VERIFIER,
        Basis::OwnVerifier => &OWN_VERIFIER,
        Basis::Unverified => &UNVERIFIED,
    };
    for &(at, mean) in means {
        prior.mean[at] = mean;
    }
    prior.mean[HISTORY] = 0.5;
    prior.mean[GROUP] = 0.5;
    if basis == Basis::Unverified {
        (prior.variance[CONSTANT], prior.variance[COSINE]) = (4.0, 1.0);
    }
    prior
}
