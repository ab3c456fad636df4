//! Which tier a score belongs to, so that every tier gets the share of the traffic it was promised.
//!
//! Two parts. A histogram of the traffic's own scores turns a score into a percentile; it forgets slowly, and begins as if
//! [`BEGINNING`] requests of the expected kind had been seen. A counter per cut then corrects the cut by what the tiers
//! above have had too much or too little of: percentiles alone are binomial (at 500 requests and a share of one half their
//! share is off by 2.2 points in one case of three), and say nothing of traffic that changes.
//!
//! The bound: a request goes above cut `i` only while `excess < share · tolerance`, and below it only while
//! `excess > -(1 - share) · tolerance`. So after `n` requests the share above each cut is off by at most
//! `(tolerance + 1) / n` with `tolerance = max(8, 0.015 n)`: under 2 points from 500 requests on, whatever comes.

use crate::error::Error;

/// Steps of the histogram; a percentile is interpolated inside a step.
const STEPS: usize = 512;
/// Requests of the expected kind that it begins with.
const BEGINNING: f64 = 50.0;
/// Requests after which one counts half.
const HALF_LIFE: f64 = 2_048.0;
/// The weight of a request at which all weights are scaled down.
const HEAVY: f64 = 1e9;
/// Requests that a share may be off by before percentiles count for nothing, and the same as a share of all requests.
const TOLERANCE: f64 = 8.0;
const TOLERANCE_SHARE: f64 = 0.015;
/// A percentile is never quite 0 or 1, so that a cut there is out of reach.
const EDGE: f64 = 1e-9;
/// Most tiers there can be.
const MOST_TIERS: usize = 16;

/// How far a request leans to the cheap or the able side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lean {
    /// Percentile `p` counts as `p²`: fewer requests go up.
    Fast,
    /// As the shares say.
    #[default]
    Balanced,
    /// Percentile `p` counts as `1 - (1 - p)²`: more requests go up.
    Accurate,
}

impl Lean {
    fn apply(self, percentile: f64) -> f64 {
        match self {
            Self::Fast => percentile * percentile,
            Self::Balanced => percentile,
            Self::Accurate => 1.0 - (1.0 - percentile) * (1.0 - percentile),
        }
    }
}

/// The cuts between tiers and what the traffic has been like.
#[derive(Debug, Clone)]
pub struct Cuts {
    /// Weights of the steps, as a binary indexed tree: sums of a prefix in nine steps.
    tree: Vec<f64>,
    steps: Vec<f64>,
    total: f64,
    weight: f64,
    growth: f64,
    /// Share of requests above each cut; falls from cut to cut.
    shares: Vec<f64>,
    excess: Vec<f64>,
    counted: u64,
    /// Requests that each tier got.
    taken: Vec<u64>,
}

impl Cuts {
    /// Cuts for tiers that get these shares, the cheapest first, and traffic of which `expected` says what share lies
    /// below a place from 0 to 1.
    ///
    /// # Errors
    /// `InvalidArgument` when there are no tiers or more than 16, or the shares are negative or do not add up to 1.
    pub fn new(shares: &[f64], expected: impl Fn(f64) -> f64) -> Result<Self, Error> {
        let mut cuts = Self {
            tree: vec![0.0; STEPS + 1],
            steps: vec![0.0; STEPS],
            total: 0.0,
            weight: 1.0,
            growth: (std::f64::consts::LN_2 / HALF_LIFE).exp(),
            shares: Vec::new(),
            excess: Vec::new(),
            counted: 0,
            taken: Vec::new(),
        };
        cuts.set_shares(shares)?;
        let mut below = 0.0;
        for step in 0..STEPS {
            #[expect(clippy::cast_precision_loss, reason = "at most 512")]
            let end = if step + 1 == STEPS {
                1.0
            } else {
                expected((step + 1) as f64 / STEPS as f64)
            };
            cuts.add(step, BEGINNING * (end - below).max(0.0));
            below = end.max(below);
        }
        Ok(cuts)
    }

    /// Promise the tiers other shares; what was off before is forgotten when the number of tiers changes.
    ///
    /// # Errors
    /// As for [`Cuts::new`].
    pub fn set_shares(&mut self, shares: &[f64]) -> Result<(), Error> {
        check_shares(shares)?;
        let above: Vec<f64> = (1..shares.len())
            .map(|tier| shares[tier..].iter().sum::<f64>().clamp(0.0, 1.0))
            .map(|share| if share > 1.0 - EDGE { 1.0 } else { share })
            .collect();
        if shares.len() != self.taken.len() {
            self.excess = vec![0.0; above.len()];
            self.taken = vec![0; shares.len()];
        }
        self.shares = above;
        Ok(())
    }

    /// The share of the traffic that scores lower than what lies at `position`, a place from 0 to 1.
    #[must_use]
    pub fn percentile(&self, position: f64) -> f64 {
        let (step, inside) = place(position);
        let below = self.sum_below(step) + self.steps[step] * inside;
        (below / self.total).clamp(EDGE, 1.0 - EDGE)
    }

    /// The tier for a percentile; 0 is the cheapest.
    #[must_use]
    pub fn tier(&self, percentile: f64, lean: Lean) -> usize {
        let percentile = lean.apply(percentile);
        self.climb(|_| percentile)
    }

    /// The tier of a question that there is nothing to judge by: `middle`, as far as the shares allow it.
    ///
    /// Two tiers have none in the middle: there it stands in the middle of the traffic, so that it goes to the able tier
    /// only where that gets half of the requests or more.
    #[must_use]
    pub fn tier_of_silence(&self, middle: usize) -> usize {
        if self.shares.len() < 2 {
            return self.climb(|_| 0.5);
        }
        self.climb(|cut| if cut < middle { 1.0 - EDGE } else { EDGE })
    }

    /// How many cuts in a row a request passes, of which `percentile` says how high it stands at each.
    #[expect(clippy::cast_precision_loss, reason = "a count beyond 2^53 is off by parts in 10^16")]
    fn climb(&self, percentile: impl Fn(usize) -> f64) -> usize {
        let tolerance = TOLERANCE.max(TOLERANCE_SHARE * self.counted as f64);
        let mut tier = 0;
        for (share, excess) in self.shares.iter().zip(&self.excess) {
            if percentile(tier) < 1.0 - share + excess / tolerance || *share <= 0.0 {
                break;
            }
            tier += 1;
        }
        tier
    }

    /// Remember a request's score and the tier it got; the cuts answer only for those where they were `free` to choose.
    pub fn count(&mut self, position: Option<f64>, tier: usize, free: bool) {
        if let Some(taken) = self.taken.get_mut(tier) {
            *taken = taken.saturating_add(1);
        }
        if let Some(position) = position {
            let (step, _) = place(position);
            self.add(step, self.weight);
            self.weight *= self.growth;
            if self.weight > HEAVY {
                self.lighten();
            }
        }
        if free {
            self.counted = self.counted.saturating_add(1);
            for (cut, (share, excess)) in self.shares.iter().zip(&mut self.excess).enumerate() {
                *excess += f64::from(u8::from(tier > cut)) - share;
            }
        }
    }

    /// Requests that each tier got.
    #[must_use]
    pub fn taken(&self) -> &[u64] {
        &self.taken
    }

    /// Requests for which the cuts were free to choose.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// What [`Cuts::restore`] brings back: the steps' weights relative to the newest request's, and the excess per cut.
    #[must_use]
    pub fn state(&self) -> (Vec<f64>, Vec<f64>, u64) {
        let steps = self.steps.iter().map(|step| step / self.weight).collect();
        (steps, self.excess.clone(), self.counted)
    }

    /// Bring back a state.
    ///
    /// # Errors
    /// `InvalidArgument` when it does not fit: another number of steps or tiers, or numbers that are none.
    pub fn restore(&mut self, steps: &[f64], excess: &[f64], counted: u64) -> Result<(), Error> {
        let total: f64 = steps.iter().sum();
        let sound = steps.len() == STEPS
            && excess.len() == self.excess.len()
            && steps.iter().all(|step| *step >= 0.0)
            && total.is_finite()
            && total > 0.0
            && excess.iter().all(|number| number.is_finite());
        if !sound {
            return Err(Error::InvalidArgument(
                "this state of cuts does not fit: it belongs to other tiers, or was changed".to_owned(),
            ));
        }
        self.tree.fill(0.0);
        self.steps.fill(0.0);
        self.total = 0.0;
        self.weight = 1.0;
        for (step, &weight) in steps.iter().enumerate() {
            self.add(step, weight);
        }
        self.excess.copy_from_slice(excess);
        self.counted = counted;
        Ok(())
    }

    fn add(&mut self, step: usize, weight: f64) {
        self.steps[step] += weight;
        self.total += weight;
        let mut at = step + 1;
        while at <= STEPS {
            self.tree[at] += weight;
            at += at & at.wrapping_neg();
        }
    }

    fn sum_below(&self, step: usize) -> f64 {
        let mut sum = 0.0;
        let mut at = step;
        while at > 0 {
            sum += self.tree[at];
            at &= at - 1;
        }
        sum
    }

    /// Count everything in the weight of the newest request; the sums are made afresh, so that errors do not pile up.
    fn lighten(&mut self) {
        let steps: Vec<f64> = self.steps.iter().map(|step| step / self.weight).collect();
        self.tree.fill(0.0);
        self.steps.fill(0.0);
        self.total = 0.0;
        self.weight = 1.0;
        for (step, weight) in steps.into_iter().enumerate() {
            self.add(step, weight);
        }
    }
}

/// The step of a position, and how far inside it.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0 to 512"
)]
fn place(position: f64) -> (usize, f64) {
    let scaled = if position.is_nan() {
        0.5
    } else {
        position.clamp(0.0, 1.0)
    } * STEPS as f64;
    let step = (scaled as usize).min(STEPS - 1);
    (step, (scaled - step as f64).clamp(0.0, 1.0))
}

fn check_shares(shares: &[f64]) -> Result<(), Error> {
    if shares.is_empty() || shares.len() > MOST_TIERS {
        return Err(Error::InvalidArgument(format!(
            "a router has 1 to {MOST_TIERS} tiers, not {}",
            shares.len()
        )));
    }
    let sum: f64 = shares.iter().sum();
    if shares.iter().any(|share| !(0.0..=1.0).contains(share)) || (sum - 1.0).abs() > 1e-6 {
        return Err(Error::InvalidArgument(format!(
            "the shares of the tiers must lie between 0 and 1 and add up to 1, not {shares:?}"
        )));
    }
    Ok(())
}
