//! What was decided about a question and why, as data.

use super::super::calibrate::{Calibrator, Evidence, Standing, Verdict};
use crate::error::Error;
use crate::guard::Reason;

/// A near neighbour that could have answered.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The entry.
    pub id: u64,
    /// Cosine of the two questions.
    pub cosine: f32,
    /// Why the guards refuse it.
    pub reasons: Vec<Reason>,
    /// Whether a complaint barred this pair.
    pub barred: bool,
    /// All that the calibration reads.
    pub evidence: Evidence,
    /// Whether a verifier gave the opinion in the evidence.
    pub verified: bool,
    /// Whether only the strict profile may serve it: another language, or a text not read to its end.
    pub strict: bool,
    /// The calibrated probability that its answer fits; None where nothing says so.
    pub probability: Option<f32>,
}

impl Candidate {
    /// Whether it may not be served whatever its probability.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.barred || !self.reasons.is_empty()
    }
}

/// What to do with a question.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Near neighbours, the nearest first.
    pub candidates: Vec<Candidate>,
    /// Place of the candidate that the decision fell on; None when all are refused or there are none.
    pub best: Option<usize>,
    /// What to do.
    pub verdict: Verdict,
    /// Whether the toss asks for a label.
    pub audited: bool,
    /// The probability of that toss.
    pub rate: f64,
    /// Why the namespace serves what it serves.
    pub standing: Standing,
    /// The probability needed, when warm.
    pub floor: f32,
    /// Retreats of the namespace before this decision.
    pub(super) retreats: u32,
}

impl Decision {
    pub(super) fn nothing(calibrator: &Calibrator) -> Self {
        let figures = calibrator.figures();
        Self {
            candidates: Vec::new(),
            best: None,
            verdict: Verdict::Miss,
            audited: false,
            rate: 0.0,
            standing: figures.standing,
            floor: figures.floor,
            retreats: figures.retreats,
        }
    }

    /// Take over the probabilities of a verifier that is not ours.
    pub(super) fn adopt(&mut self, own: &[Option<f32>]) -> Result<(), Error> {
        let valid = own
            .iter()
            .flatten()
            .all(|probability| (0.0..=1.0).contains(probability));
        if own.len() != self.candidates.len() || !valid {
            return Err(Error::InvalidArgument(format!(
                "a verifier gives a probability from 0 to 1 or None for each of the {} candidates",
                self.candidates.len()
            )));
        }
        for (candidate, probability) in self.candidates.iter_mut().zip(own) {
            candidate.verified = probability.is_some();
            if let Some(probability) = probability {
                candidate.evidence.opinion = candidate.evidence.opinion.with_probability(*probability);
            }
        }
        Ok(())
    }

    /// Give the candidates their probabilities, and decide on the likeliest that nothing refuses.
    pub(super) fn choose(&mut self, calibrator: &Calibrator, verified: bool) {
        for candidate in &mut self.candidates {
            let known = candidate.verified || !verified;
            candidate.probability = known.then(|| calibrator.probability(&candidate.evidence));
        }
        let open = self
            .candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| !candidate.refused());
        let likeliest = open
            .filter_map(|(at, candidate)| Some((at, candidate.probability?)))
            .max_by(|one, other| one.1.total_cmp(&other.1).then(other.0.cmp(&one.0)));
        self.best = likeliest.map(|(at, _)| at);
        if let Some((at, probability)) = likeliest {
            let best = &self.candidates[at];
            self.verdict = calibrator.verdict(&best.evidence, probability, best.strict);
            self.rate = match self.verdict {
                Verdict::Miss => calibrator.policy().miss_rate,
                Verdict::Serve | Verdict::Rewrite => calibrator.policy().audit_rate,
            };
        }
    }

    pub(super) fn best_probability(&self) -> Option<f32> {
        self.candidates.get(self.best?)?.probability
    }

    pub(super) fn find(&self, id: u64) -> Result<(usize, &Candidate), Error> {
        let mut candidates = self.candidates.iter().enumerate();
        candidates
            .find(|(_, candidate)| candidate.id == id)
            .ok_or_else(|| Error::InvalidArgument(format!("entry {id} was no candidate of this decision")))
    }
}
