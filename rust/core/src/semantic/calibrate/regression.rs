//! Logistic regression that starts at a shipped prior and moves a little with every label: a Gaussian belief over the
//! weights, updated by one Newton step a label (an extended Kalman filter, or "assumed density" online Bayes).
//!
//! Shrinkage is the prior itself: without labels the prediction is the prior's, and a weight that no label speaks about
//! stays where it was shipped. Each update costs `FEATURES²` multiplications, a quarter of a microsecond. Old labels
//! fade: after each the belief is widened by one part in [`MEMORY`], never beyond the prior's width.

use super::evidence::FEATURES;

/// How many labels the belief remembers, about.
const MEMORY: f64 = 2000.0;
/// Least curvature that a label counts with, so that one surprise cannot move everything.
const LEAST_CURVATURE: f64 = 1e-3;
/// Largest magnitude of a predicted logit.
const LARGEST_LOGIT: f64 = 12.0;

/// Mean and variance that each weight starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prior {
    pub(super) mean: [f64; FEATURES],
    pub(super) variance: [f64; FEATURES],
}

/// A belief over the weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Regression {
    pub(super) mean: [f64; FEATURES],
    pub(super) covariance: [[f64; FEATURES]; FEATURES],
    prior: Prior,
}

impl Regression {
    pub(super) fn new(prior: Prior) -> Self {
        let mut covariance = [[0.0; FEATURES]; FEATURES];
        for (at, row) in covariance.iter_mut().enumerate() {
            row[at] = prior.variance[at];
        }
        Self {
            mean: prior.mean,
            covariance,
            prior,
        }
    }

    /// The probability that the answer fits.
    pub(super) fn predict(&self, features: &[f64; FEATURES]) -> f64 {
        probability(&self.mean, features)
    }

    /// The same by the shipped prior, whatever was learned since.
    pub(super) fn shipped(&self, features: &[f64; FEATURES]) -> f64 {
        probability(&self.prior.mean, features)
    }

    /// Learn one label.
    pub(super) fn learn(&mut self, features: &[f64; FEATURES], right: bool) {
        let probability = self.predict(features);
        let curvature = (probability * (1.0 - probability)).max(LEAST_CURVATURE);
        let spread = self
            .covariance
            .map(|row| row.iter().zip(features).map(|(a, b)| a * b).sum::<f64>());
        let variance: f64 = spread.iter().zip(features).map(|(a, b)| a * b).sum();
        let scale = 1.0 / (1.0 + curvature * variance);
        let surprise = f64::from(u8::from(right)) - probability;
        for at in 0..FEATURES {
            for other in 0..FEATURES {
                self.covariance[at][other] -= curvature * scale * spread[at] * spread[other];
            }
            self.mean[at] += scale * surprise * spread[at];
        }
        self.fade();
    }

    /// Widen the belief a little, in directions where it is narrower than the prior.
    fn fade(&mut self) {
        // One factor a feature on both sides keeps the matrix a covariance.
        let factors: [f64; FEATURES] = std::array::from_fn(|at| {
            let widened = 1.0 + 0.5 / MEMORY;
            if self.covariance[at][at] * widened * widened <= self.prior.variance[at] {
                widened
            } else {
                1.0
            }
        });
        for (row, factor) in self.covariance.iter_mut().zip(factors) {
            for (value, other) in row.iter_mut().zip(factors) {
                *value *= factor * other;
            }
        }
    }

    /// Forget every label.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.prior);
    }
}

fn probability(weights: &[f64; FEATURES], features: &[f64; FEATURES]) -> f64 {
    let logit: f64 = weights.iter().zip(features).map(|(weight, value)| weight * value).sum();
    1.0 / (1.0 + (-logit.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)).exp())
}
