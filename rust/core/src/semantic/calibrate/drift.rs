//! Notices that answers stopped fitting: a running test that what was predicted still happens.
//!
//! Each label multiplies the evidence by how much likelier it is if a share [`LOST`] of the fitting answers no longer
//! fits than if the predictions hold (with room for [`ROOM`] times more wrong answers than predicted). The evidence of
//! all possible beginnings of the change is added up (Shiryaev-Roberts e-detector: Shin, Ramdas, Rinaldo, "E-detectors",
//! 2023): while the predictions hold, a false alarm comes once in [`ALARM`] labels or later on average, however
//! the labels were chosen. Misses speak too, so that a change is noticed before many wrong answers were served.

/// Share of fitting answers that the test assumes to be lost.
const LOST: f64 = 0.12;
/// How many times more wrong answers than predicted are no alarm, and how many more besides.
const ROOM: f64 = 1.25;
const SLACK: f64 = 0.005;
/// Evidence that raises the alarm.
const ALARM: f64 = 1000.0;
/// Evidence from which the namespace aims lower already.
const SUSPICION: f64 = 100.0;
/// Candidates less likely than this say little about whether answers stopped fitting.
const LEAST: f64 = 0.5;

/// The sum of evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Drift {
    pub(super) evidence: f64,
}

impl Drift {
    /// Whether there is reason to be careful, short of an alarm.
    pub(super) fn suspects(self) -> bool {
        self.evidence >= SUSPICION
    }

    /// Count a label of a candidate that was predicted right with `probability`; whether that raises the alarm.
    pub(super) fn label(&mut self, probability: f64, right: bool) -> bool {
        if probability < LEAST {
            return false;
        }
        let wrong = ((1.0 - probability) * ROOM + SLACK).min(1.0);
        let lost = wrong + (1.0 - wrong) * LOST;
        let ratio = if right {
            (1.0 - lost) / (1.0 - wrong)
        } else {
            lost / wrong
        };
        self.evidence = (self.evidence + 1.0) * ratio;
        self.evidence >= ALARM
    }
}
