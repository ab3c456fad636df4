//! How many of the served answers were wrong, at most and at least, when only a random few were looked at.
//!
//! Every hit is audited with a probability `q` that is known before the toss; an audited hit is labelled right or wrong.
//! The bounds hold *at every moment at once* with the confidence asked for, whatever the traffic, the policy or the
//! drift: the hits' being right or wrong is taken as given, and the only chance is in the tosses (design-based).
//!
//! For one hit with `x` = 1 if wrong, toss `t` and `η > 0`: `E exp(-η t x) = 1 - x q (1 - e^-η)`. With
//! `η(q, g) = -ln(1 - (1 - e^-g) / q)` this is `exp(-g x)`, so `exp(g Σx - Σ η t x)` is a martingale with mean 1, for
//! any mixture of rates `q > 1 - e^-g`. By Ville's inequality it stays below `1/α` for ever with probability `1 - α`;
//! the largest `Σx` that keeps it there is the upper bound. The lower bound is the same with the signs turned:
//! `a(q, h) = ln(1 + (e^h - 1) / q)`. One `g` would be tight at one count only, so a mixture over a grid is used
//! (Robbins; Howard, Ramdas, `McAuliffe`, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
//! Annals of Statistics 2021, for the method of mixtures). At `q = 1` both bounds are close to the exact count.
//!
//! Two things are assumed: the toss is independent of whether the answer is right, and the label is the truth. A hit
//! whose audit was tossed but not finished counts as wrong, so that slow or lost audits never flatter.

use crate::error::Error;

/// Members of the mixture.
const MEMBERS: usize = 12;
/// Least and greatest `η` of the mixture at the least rate: tight at hundreds of wrong answers, and at none.
const RANGE: (f64, f64) = (0.06, 6.0);
/// Halvings when a bound is solved for: below one hit in 2^48.
const HALVINGS: u32 = 48;

/// Counts of a stream of audited hits, from which both bounds follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    alpha: f64,
    least_rate: f64,
    hits: u64,
    /// Hits with a rate below the least: nobody could have looked at them, so they count as wrong.
    unseen: u64,
    labelled: u64,
    wrong: u64,
    weighted_wrong: f64,
    /// Audits tossed and not finished, by what they would add if wrong.
    pending: u64,
    /// The exponents `g` (and `h`) of the mixture.
    exponents: [f64; MEMBERS],
    /// `Σ η(q, g)` over labelled wrong and pending hits, for each member of the mixture.
    falls: [f64; MEMBERS],
    /// `Σ a(q, h)` over labelled wrong hits.
    rises: [f64; MEMBERS],
}

impl Bound {
    /// No hits yet. `alpha` is the probability that a bound is ever wrong (0.05 is 95 % confidence), `least_rate` the
    /// smallest audit probability that counts; the bounds are tightest when it is the one in use.
    ///
    /// # Errors
    /// `InvalidArgument` when `alpha` lies outside 0.0001 to 0.5 or `least_rate` outside 0.0001 to 1.
    pub fn new(alpha: f64, least_rate: f64) -> Result<Self, Error> {
        if !(1e-4..=0.5).contains(&alpha) {
            return Err(Error::InvalidArgument(format!(
                "alpha must be between 0.0001 and 0.5, not {alpha}"
            )));
        }
        if !(1e-4..=1.0).contains(&least_rate) {
            return Err(Error::InvalidArgument(format!(
                "least_rate must be between 0.0001 and 1, not {least_rate}"
            )));
        }
        Ok(Self {
            alpha,
            least_rate,
            hits: 0,
            unseen: 0,
            labelled: 0,
            wrong: 0,
            weighted_wrong: 0.0,
            pending: 0,
            exponents: exponents(least_rate),
            falls: [0.0; MEMBERS],
            rises: [0.0; MEMBERS],
        })
    }

    /// Count a hit that was served, and whether the toss of its audit, made with probability `rate`, came up.
    ///
    /// # Errors
    /// `InvalidArgument` when `rate` is no probability, or the toss came up although it is 0.
    pub fn serve(&mut self, rate: f64, audited: bool) -> Result<(), Error> {
        check_rate(rate)?;
        if audited && rate == 0.0 {
            return Err(Error::InvalidArgument(
                "a hit with audit probability 0 cannot be audited".to_owned(),
            ));
        }
        self.hits += 1;
        if rate < self.least_rate {
            self.unseen += 1;
        } else if audited {
            self.pending += 1;
            self.fall(rate, 1.0);
        }
        Ok(())
    }

    /// Count the label of a hit that was served with its audit tossed; an audit that failed is best counted wrong.
    ///
    /// # Errors
    /// `InvalidArgument` when `rate` is no probability or no audit is pending.
    pub fn label(&mut self, rate: f64, wrong: bool) -> Result<(), Error> {
        check_rate(rate)?;
        if rate < self.least_rate {
            return Ok(()); // counted as wrong already
        }
        if self.pending == 0 {
            return Err(Error::InvalidArgument(
                "no audit is pending: each audited hit is labelled once".to_owned(),
            ));
        }
        self.pending -= 1;
        self.labelled += 1;
        if wrong {
            self.wrong += 1;
            self.weighted_wrong += 1.0 / rate;
            for (rise, exponent) in self.rises.iter_mut().zip(self.exponents) {
                *rise += (exponent.exp_m1() / rate).ln_1p();
            }
        } else {
            self.fall(rate, -1.0);
        }
        Ok(())
    }

    fn fall(&mut self, rate: f64, sign: f64) {
        for (fall, exponent) in self.falls.iter_mut().zip(self.exponents) {
            *fall -= sign * ((-exponent).exp_m1() / rate).ln_1p();
        }
    }

    /// How many numbers [`Bound::numbers`] gives.
    pub const NUMBERS: usize = 8 + 2 * MEMBERS;

    /// Everything counted, as numbers to keep; counts are exact below 2^53.
    #[must_use]
    pub fn numbers(&self) -> [f64; Self::NUMBERS] {
        let mut numbers = [0.0; Self::NUMBERS];
        numbers[..8].copy_from_slice(&[
            self.alpha,
            self.least_rate,
            count(self.hits),
            count(self.unseen),
            count(self.labelled),
            count(self.wrong),
            count(self.pending),
            self.weighted_wrong,
        ]);
        numbers[8..8 + MEMBERS].copy_from_slice(&self.falls);
        numbers[8 + MEMBERS..].copy_from_slice(&self.rises);
        numbers
    }

    /// Read back what [`Bound::numbers`] gave.
    ///
    /// # Errors
    /// `InvalidArgument` when the numbers contradict each other.
    pub fn from_numbers(numbers: &[f64; Self::NUMBERS]) -> Result<Self, Error> {
        let mut bound = Self::new(numbers[0], numbers[1])?;
        let counts = [
            &mut bound.hits,
            &mut bound.unseen,
            &mut bound.labelled,
            &mut bound.wrong,
            &mut bound.pending,
        ];
        for (place, &number) in counts.into_iter().zip(&numbers[2..7]) {
            *place = whole(number)?;
        }
        bound.weighted_wrong = numbers[7];
        bound.falls.copy_from_slice(&numbers[8..8 + MEMBERS]);
        bound.rises.copy_from_slice(&numbers[8 + MEMBERS..]);
        let seen = bound
            .labelled
            .saturating_add(bound.pending)
            .saturating_add(bound.unseen);
        let finite = numbers.iter().all(|number| number.is_finite());
        if seen > bound.hits || bound.wrong > bound.labelled || !finite {
            return Err(Error::InvalidArgument(
                "the counts of a bound contradict each other".to_owned(),
            ));
        }
        Ok(bound)
    }

    /// The probability of a failure and the least audit rate that it was made with.
    #[must_use]
    pub fn options(&self) -> (f64, f64) {
        (self.alpha, self.least_rate)
    }

    /// Hits served.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Hits labelled.
    #[must_use]
    pub fn labelled(&self) -> u64 {
        self.labelled
    }

    /// Hits labelled wrong.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.wrong
    }

    /// Audits that are not finished; they count as wrong in [`Bound::upper`].
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// The estimated wrong share of the hits (each label weighs one over its rate); None before the first label.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        (self.labelled > 0).then(|| (self.weighted_wrong / count(self.hits)).min(1.0))
    }

    /// A share that the wrong hits do not exceed; 1 while nothing is known.
    #[must_use]
    pub fn upper(&self) -> f64 {
        if self.hits == 0 {
            return 1.0;
        }
        let seen = count(self.hits - self.unseen);
        let limit = -self.alpha.ln();
        let exceeds =
            |total: f64| mixture(std::array::from_fn(|at| self.exponents[at] * total - self.falls[at])) >= limit;
        // The number of wrong hits is whole.
        let total = (solve(seen, exceeds) + 1e-6).floor().max(count(self.wrong));
        ((total + count(self.unseen)) / count(self.hits)).min(1.0)
    }

    /// A share that the wrong hits reach at least.
    #[must_use]
    pub fn lower(&self) -> f64 {
        if self.hits == 0 {
            return 0.0;
        }
        let limit = -self.alpha.ln();
        let possible =
            |total: f64| mixture(std::array::from_fn(|at| self.rises[at] - self.exponents[at] * total)) < limit;
        let total = (solve(count(self.hits), possible) - 1e-6).ceil().max(count(self.wrong));
        total / count(self.hits)
    }
}

/// The exponents of the mixture: those at which `η` at the least rate runs through [`RANGE`] by equal factors.
fn exponents(least_rate: f64) -> [f64; MEMBERS] {
    let factor = (RANGE.1 / RANGE.0).powf(1.0 / count(MEMBERS as u64 - 1));
    let mut eta = RANGE.0 / factor;
    std::array::from_fn(|_| {
        eta *= factor;
        -(least_rate * (-eta).exp_m1()).ln_1p()
    })
}

/// The logarithm of the mean of `exp(term)` over the mixture.
fn mixture(terms: [f64; MEMBERS]) -> f64 {
    let highest = terms.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = terms.into_iter().map(|term| (term - highest).exp()).sum();
    highest + (sum / count(MEMBERS as u64)).ln()
}

/// Where `holds` becomes true between 0 and `end`; `end` when it never does.
fn solve(end: f64, holds: impl Fn(f64) -> bool) -> f64 {
    if holds(0.0) {
        return 0.0;
    }
    if !holds(end) {
        return end;
    }
    let (mut low, mut high) = (0.0, end);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}

fn check_rate(rate: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&rate) {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "an audit probability lies between 0 and 1, not at {rate}"
    )))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and from 0 to 2^53, which was just checked"
)]
fn whole(number: f64) -> Result<u64, Error> {
    if number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number) {
        return Ok(number as u64);
    }
    Err(Error::InvalidArgument(format!("{number} is not a count of hits")))
}

#[expect(clippy::cast_precision_loss, reason = "counts of hits stay far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}
