//! Which probability a candidate needs, so that the stream of served answers keeps its budget.
//!
//! The share of wrong answers above a floor is estimated from two sides. How many candidates come, and how likely each
//! is right, is known for *every* recent question: the mean of `1 - p` above the floor. Whether these probabilities
//! tell the truth is known for the labelled few: observed over predicted wrong answers there, each label weighted by
//! one over its sampling rate, because misses are labelled more often than hits. That ratio is shrunk to 1 by
//! [`PRIOR_WRONG`] answers and raised by [`CAUTION`] standard errors; estimate times ratio has to stay below the goal.
//! Probabilities are those at the time of the question, never of a fit to its own label.

use std::collections::VecDeque;

/// Recent best candidates that are remembered.
const RECENT: usize = 4000;
/// Labels that are remembered.
const LABELS: usize = 3000;
/// Wrong answers that the shrinkage of the ratio to 1 weighs.
const PRIOR_WRONG: f64 = 3.0;
/// Standard errors (of the logarithm) that the ratio is raised by.
const CAUTION: f64 = 1.0;
/// Best candidates that must lie above a floor before it is judged.
const FEWEST: usize = 20;
/// Floors to choose from, from strict to broad. Below one half an answer is more likely wrong than right.
const FLOORS: [f32; 22] = [
    0.998, 0.995, 0.99, 0.985, 0.98, 0.97, 0.96, 0.95, 0.94, 0.92, 0.90, 0.87, 0.85, 0.82, 0.80, 0.75, 0.70, 0.65,
    0.60, 0.57, 0.53, 0.50,
];
/// The floor that nothing reaches.
pub const CLOSED: f32 = 1.01;

/// A label of a best candidate, with the probability it had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Label {
    pub(super) probability: f32,
    pub(super) right: bool,
    /// One over the rate that such a label is sampled with.
    pub(super) weight: f32,
}

/// Recent questions and recent labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Window {
    pub(super) recent: VecDeque<f32>,
    pub(super) labels: VecDeque<Label>,
}

impl Window {
    /// Remember the best candidate of a question.
    pub(super) fn see(&mut self, probability: f32) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(probability);
    }

    /// Remember a label.
    pub(super) fn label(&mut self, label: Label) {
        if self.labels.len() >= LABELS {
            self.labels.pop_front();
        }
        self.labels.push_back(label);
    }

    /// The broadest floor whose share of wrong answers is estimated to stay below `goal`, and that estimate; `CLOSED`
    /// when there is none.
    pub(super) fn choose(&self, goal: f64) -> (f32, f64) {
        let mut recent: Vec<f32> = self.recent.iter().copied().collect();
        recent.sort_by(|a, b| b.total_cmp(a));
        let mut chosen = (CLOSED, 0.0);
        let (mut above, mut predicted) = (0, 0.0);
        for floor in FLOORS {
            while let Some(&probability) = recent.get(above).filter(|&&probability| probability >= floor) {
                predicted += 1.0 - f64::from(probability);
                above += 1;
            }
            if above < FEWEST {
                continue;
            }
            let estimate = predicted / count(above) * self.ratio(floor);
            if estimate <= goal {
                chosen = (floor, estimate);
            }
        }
        chosen
    }

    /// Observed over predicted wrong answers above a floor, shrunk and raised.
    fn ratio(&self, floor: f32) -> f64 {
        let (mut weight, mut squares, mut observed, mut predicted) = (0.0, 0.0, 0.0, 0.0);
        for label in self.labels.iter().filter(|label| label.probability >= floor) {
            let share = f64::from(label.weight);
            weight += share;
            squares += share * share;
            observed += share * f64::from(u8::from(!label.right));
            predicted += share * (1.0 - f64::from(label.probability));
        }
        // Sums in units of labels that all weigh the same (Kish's effective number).
        let unit = if squares > 0.0 { weight / squares } else { 0.0 };
        let (observed, predicted) = (observed * unit + PRIOR_WRONG, predicted * unit + PRIOR_WRONG);
        observed / predicted * (CAUTION / observed.sqrt()).exp()
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most some thousands")]
fn count(number: usize) -> f64 {
    number as f64
}
