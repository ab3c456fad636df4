//! Calibrated probabilities and the error budget of one namespace.
//!
//! Cold, a namespace serves at its profile's point. Labels come from audits of a random share of hits and of misses that
//! had a candidate: each moves a small regression ([`regression`]), which turns all that is known of a candidate into
//! the probability that its answer fits. From [`WARM`] labels on, the floor on that probability is the broadest whose
//! estimated share of wrong answers stays below the budget ([`floor`]). Three things watch over it: the bounds of
//! `stats::bound` (what is certain about the answers served), a lower bound above the budget, and a detector of drift
//! ([`drift`]). Either of the last two makes the namespace retreat: it serves nothing, forgets what it had learned,
//! and comes back by a ramp once enough new labels say so.
//!
//! What is promised: the bound holds whatever happens, if audits are tossed and judged honestly. That the budget is kept
//! is not promised but aimed at, from estimates with margins; the bound says whether it was.

mod bytes;
mod drift;
mod evidence;
mod floor;
mod policy;
mod prior;
mod regression;

use drift::Drift;
pub use evidence::{Evidence, FEATURES, History};
pub use floor::CLOSED;
use floor::{Label, Window};
pub use policy::{Basis, Figures, Lesson, Policy, Profile, Standing, Verdict};
use regression::Regression;

use super::verify::place;
use crate::error::Error;
use crate::stats::bound::Bound;

/// Calibrated probability below which nothing is served cold: the first labels may say that the profile is wrong here.
const COLD_LEAST: f32 = 0.8;
/// Labels of best candidates after which local evidence decides.
pub const WARM: usize = 60;
/// Share of the budget that the floor aims at: the rest is for what estimates miss.
const AIM: f64 = 0.7;
/// New labels before a namespace comes back from its first retreat; doubled by each further one, up to eight times.
const RETURN: usize = 150;
/// Labels over which the aim rises from half to whole after a retreat.
const RAMP: f64 = 600.0;
/// Labels, and questions, after which the floor is chosen anew.
const LABELS_PER_CHOICE: u32 = 8;
const QUESTIONS_PER_CHOICE: u32 = 128;

/// The calibration of one namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrator {
    policy: Policy,
    regression: Regression,
    window: Window,
    drift: Drift,
    /// All hits ever served.
    life: Bound,
    /// Hits since the last retreat.
    epoch: Bound,
    standing: Standing,
    floor: f32,
    expected_wrong: f64,
    retreats: u32,
    /// Labels since the last retreat, or since the beginning.
    labels: u64,
    until_choice: (u32, u32),
}

impl Calibrator {
    /// A namespace without labels. `alpha` is the probability that a bound is ever wrong.
    ///
    /// # Errors
    /// `InvalidArgument` when a share or `alpha` is out of range.
    pub fn new(policy: Policy, alpha: f64) -> Result<Self, Error> {
        policy.check()?;
        let bound = Bound::new(alpha, policy.audit_rate.clamp(1e-4, 1.0))?;
        Ok(Self {
            policy,
            regression: Regression::new(prior::prior(policy.basis)),
            window: Window::default(),
            drift: Drift::default(),
            life: bound.clone(),
            epoch: bound,
            standing: Standing::Cold,
            floor: CLOSED,
            expected_wrong: 0.0,
            retreats: 0,
            labels: 0,
            until_choice: (LABELS_PER_CHOICE, QUESTIONS_PER_CHOICE),
        })
    }

    /// What the namespace may do.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Figures for metrics.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            standing: self.standing,
            floor: self.floor,
            expected_wrong: self.expected_wrong,
            labels: self.window.labels.len(),
            retreats: self.retreats,
        }
    }

    /// Bounds over all hits ever served, and over those since the last retreat.
    #[must_use]
    pub fn bounds(&self) -> (&Bound, &Bound) {
        (&self.life, &self.epoch)
    }

    /// The probability that a candidate's answer fits.
    #[expect(clippy::cast_possible_truncation, reason = "a probability")]
    #[must_use]
    pub fn probability(&self, evidence: &Evidence) -> f32 {
        self.regression.predict(&evidence.features()) as f32
    }

    /// What to do with the best candidate; `strict` where only the strict profile may serve it.
    #[must_use]
    pub fn verdict(&self, best: &Evidence, probability: f32, strict: bool) -> Verdict {
        let profile = if strict { Profile::Strict } else { self.policy.profile };
        let serves = match self.standing {
            Standing::Cold => (!self.policy.is_verified() || probability >= COLD_LEAST) && self.cold(best, profile),
            Standing::Warm => probability >= self.floor && (profile != Profile::Strict || alike(best)),
            Standing::Drifted | Standing::Overspent => false,
        };
        match self.policy.profile {
            _ if !serves => Verdict::Miss,
            Profile::Eager => Verdict::Rewrite,
            Profile::Strict | Profile::Balanced => Verdict::Serve,
        }
    }

    /// Whether the profile serves a candidate by the shipped prior, which a few labels do not move.
    fn cold(&self, best: &Evidence, profile: Profile) -> bool {
        if !self.policy.is_verified() {
            return best.cosine >= self.policy.similarity_threshold && (profile != Profile::Strict || alike(best));
        }
        let probability = self.regression.shipped(&best.features());
        match profile {
            Profile::Strict => probability >= 0.97 && alike(best),
            Profile::Balanced => probability >= 0.95,
            Profile::Eager => probability >= 0.90,
        }
    }

    /// Remember that a question had a best candidate.
    pub fn see(&mut self, probability: f32) {
        self.window.see(probability);
        self.until_choice.1 = self.until_choice.1.saturating_sub(1);
        if self.until_choice.1 == 0 {
            self.choose();
        }
    }

    /// Count a hit and whether the toss for its audit, made at the policy's rate, came up.
    ///
    /// # Errors
    /// `InvalidArgument` when an audit came up although the rate is 0.
    pub fn serve(&mut self, audited: bool) -> Result<(), Error> {
        self.life.serve(self.policy.audit_rate, audited)?;
        self.epoch.serve(self.policy.audit_rate, audited)
    }

    /// Learn a label.
    pub fn learn(&mut self, lesson: &Lesson) {
        // Praise that nobody sampled comes from whoever is pleased: it proves nothing.
        if lesson.rate.is_none() && lesson.right {
            return;
        }
        self.regression.learn(&lesson.evidence.features(), lesson.right);
        let Some(rate) = lesson.rate.filter(|&rate| lesson.best && rate > 0.0) else {
            return;
        };
        if lesson.served {
            // A label that no audit waits for (twice the same, or after a restart) changes no bound.
            let _ = self.life.label(self.policy.audit_rate, !lesson.right);
        }
        if lesson.retreats != self.retreats {
            return;
        }
        if lesson.served {
            let _ = self.epoch.label(self.policy.audit_rate, !lesson.right);
        }
        self.labels += 1;
        #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more digits")]
        self.window.label(Label {
            probability: lesson.probability,
            right: lesson.right,
            weight: rate.recip() as f32,
        });
        let drifted = self.drift.label(f64::from(lesson.probability), lesson.right);
        if drifted && matches!(self.standing, Standing::Warm | Standing::Cold) {
            return self.retreat(Standing::Drifted);
        }
        if self.standing == Standing::Warm && self.epoch.lower() > self.policy.max_wrong {
            return self.retreat(Standing::Overspent);
        }
        self.until_choice.0 = self.until_choice.0.saturating_sub(1);
        if self.until_choice.0 == 0 {
            self.choose();
        }
    }

    /// Serve nothing and forget what was learned, until enough new labels have come.
    fn retreat(&mut self, standing: Standing) {
        self.standing = standing;
        self.floor = CLOSED;
        self.expected_wrong = 0.0;
        self.retreats += 1;
        self.labels = 0;
        self.regression.forget();
        self.window = Window::default();
        self.drift = Drift::default();
        let (alpha, least_rate) = self.epoch.options();
        if let Ok(bound) = Bound::new(alpha, least_rate) {
            self.epoch = bound;
        }
    }

    fn choose(&mut self) {
        self.until_choice = (LABELS_PER_CHOICE, QUESTIONS_PER_CHOICE);
        let needed = match self.standing {
            Standing::Cold => WARM,
            Standing::Warm => 0,
            Standing::Drifted | Standing::Overspent => RETURN << (self.retreats.saturating_sub(1)).min(3),
        };
        if self.window.labels.len() < needed {
            return;
        }
        if self.standing != Standing::Warm {
            self.drift = Drift::default();
            self.standing = Standing::Warm;
        }
        let care = if self.drift.suspects() { 0.5 } else { 1.0 };
        (self.floor, self.expected_wrong) = self.window.choose(self.policy.max_wrong * AIM * care * self.ramp());
    }

    /// From one half to 1 after a retreat.
    #[expect(clippy::cast_precision_loss, reason = "counts of labels")]
    fn ramp(&self) -> f64 {
        if self.retreats == 0 {
            return 1.0;
        }
        0.5 + 0.5 * (self.labels as f64 / RAMP).min(1.0)
    }
}

/// Whether no content word is unmatched and the question word is the same.
fn alike(best: &Evidence) -> bool {
    let signals = &best.opinion.signals;
    signals[place::EXTRA] <= 0.0 && signals[place::QUESTION_SAME] > 0.0
}
