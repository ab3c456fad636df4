//! What speaks for and against a candidate, as the numbers that the regression reads.

use crate::semantic::verify::{Opinion, place};

/// Numbers the regression reads.
pub const FEATURES: usize = 15;

/// Everything known of a candidate that bears on whether its answer fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Cosine of the two questions.
    pub cosine: f32,
    /// The best candidate's cosine.
    pub best: f32,
    /// The last near neighbour's cosine: how crowded the place is.
    pub last: f32,
    /// What the verifier says, or only its word comparisons (`logit` 0) where there is none.
    pub opinion: Opinion,
    /// How much the other near neighbours agree: the weight of those with the same answer.
    pub agreeing: f32,
    /// The weight of those with another answer, or with none known to be the same.
    pub dissenting: f32,
    /// The candidate's own labels.
    pub history: History,
    /// Labels of all entries with the same answer.
    pub group: History,
}

impl Evidence {
    /// The numbers that the regression reads; `prior.rs` names their places.
    pub(super) fn features(&self) -> [f64; FEATURES] {
        let signals = &self.opinion.signals;
        [
            1.0,
            f64::from(self.opinion.logit.clamp(-8.0, 8.0)) / 4.0,
            f64::from((self.cosine - 0.9).max(-0.4)) * 10.0,
            f64::from(self.best - self.cosine) * 10.0,
            f64::from(self.best - self.last - 0.15) * 10.0,
            f64::from(signals[place::QUESTION_SAME]),
            f64::from(signals[place::LENGTH]) - 0.7,
            f64::from(signals[place::EXTRA]),
            f64::from(signals[place::EXTRA_MIN]),
            f64::from(signals[place::ONE_WORD]),
            f64::from(signals[place::ORDER]),
            f64::from(self.agreeing).ln_1p(),
            f64::from(self.dissenting).ln_1p(),
            self.history.balance(),
            self.group.balance(),
        ]
    }
}

/// Right and wrong labels, fading.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct History {
    /// Labels that said right.
    pub right: f32,
    /// Labels that said wrong.
    pub wrong: f32,
}

impl History {
    /// What a label leaves of those before it.
    const KEPT: f32 = 0.9;

    /// Count a label.
    pub fn add(&mut self, right: bool) {
        self.right = self.right * Self::KEPT + f32::from(u8::from(right));
        self.wrong = self.wrong * Self::KEPT + f32::from(u8::from(!right));
    }

    /// From -3 to 1: a wrong answer weighs three right ones, and few labels weigh little.
    fn balance(self) -> f64 {
        f64::from((self.right - 3.0 * self.wrong) / (2.0 + self.right + self.wrong))
    }
}
