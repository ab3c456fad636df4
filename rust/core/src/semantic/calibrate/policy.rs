//! What a namespace may do, and what is said of a question, a label and the namespace.

use super::evidence::Evidence;
use crate::error::Error;

/// How careful a namespace is before it has labels of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `p >= .97`, no content word unmatched, the same question word; the last two also when warm.
    Strict,
    /// `p >= .95`.
    Balanced,
    /// `p >= .90`, and never served as it is: the answer is rewritten for the new question.
    Eager,
}

/// Whose cosines and opinions a candidate's probability is made of, which says what it starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The bundled embedder's and the bundled verifier's.
    Bundled,
    /// An unknown embedder's and the bundled verifier's.
    BundledVerifier,
    /// Any embedder's and the opinion of the caller's verifier.
    OwnVerifier,
    /// Any embedder's, and nobody's opinion.
    Unverified,
}

/// What a namespace may do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The point it serves at when cold.
    pub profile: Profile,
    /// The budget: share of served answers that may be wrong.
    pub max_wrong: f64,
    /// Floor on the cosine where there is no verifier.
    pub similarity_threshold: f32,
    /// What a candidate's probability is made of.
    pub basis: Basis,
    /// Share of hits that are audited, and of misses with a candidate that are labelled.
    pub audit_rate: f64,
    /// Share of misses with a candidate that are labelled.
    pub miss_rate: f64,
}

impl Policy {
    /// Whether a verifier gives an opinion.
    pub(super) fn is_verified(&self) -> bool {
        self.basis != Basis::Unverified
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        for (name, value) in [
            ("max_wrong_hits", self.max_wrong),
            ("similarity_threshold", f64::from(self.similarity_threshold)),
            ("audit_rate", self.audit_rate),
            ("miss_rate", self.miss_rate),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::InvalidArgument(format!(
                    "{name} must be between 0 and 1, not {value}"
                )));
            }
        }
        if self.max_wrong == 0.0 {
            return Err(Error::InvalidArgument(
                "max_wrong_hits must be above 0: nobody can promise that no answer is ever wrong".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Why a namespace serves what it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Too few labels: the profile's point.
    Cold,
    /// The floor comes from local labels.
    Warm,
    /// Nothing is served: answers had stopped fitting.
    Drifted,
    /// Nothing is served: the budget is certainly overspent.
    Overspent,
}

/// What to do with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Give the stored answer.
    Serve,
    /// Have the stored answer rewritten for this question.
    Rewrite,
    /// Ask the model.
    Miss,
}

/// A label of a candidate, and how it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lesson {
    /// What spoke for the candidate at the time of the question.
    pub evidence: Evidence,
    /// Its probability then.
    pub probability: f32,
    /// Whether its answer fits.
    pub right: bool,
    /// Whether it was the best candidate, on which the decision fell.
    pub best: bool,
    /// Whether its answer was served.
    pub served: bool,
    /// Retreats of the namespace before the question: what was predicted before one is not held against what came after.
    pub retreats: u32,
    /// The rate at which such a candidate is labelled; None for a complaint or praise that nobody sampled.
    pub rate: Option<f64>,
}

/// Figures of a namespace, for metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Why it serves what it serves.
    pub standing: Standing,
    /// The probability that a candidate needs; [`CLOSED`] when nothing is served.
    pub floor: f32,
    /// The estimated share of wrong answers at that floor.
    pub expected_wrong: f64,
    /// Labels of best candidates in the window.
    pub labels: usize,
    /// How often the namespace retreated.
    pub retreats: u32,
}
