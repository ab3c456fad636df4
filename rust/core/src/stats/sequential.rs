//! Tests that stay valid however often one looks: the mixture sequential probability ratio test of two means, a test
//! that a mean has fallen below a floor, and the evidence that two arms were not filled in the ratio asked for.
//!
//! A fixed-horizon test looked at 50 times raises a false alarm in a third of all experiments. What is here bounds the
//! chance that it *ever* does, so that a rollout may be watched after every answer and stopped at once.

use super::harm::Harm;
use crate::error::Error;

/// Numbers in a saved [`SequentialTest`].
pub const TEST_STATE: usize = 12;

/// Numbers in a saved [`Floor`] before those of its bets.
const FLOOR_HEAD: usize = 4;
/// Numbers that one bet of a [`Floor`] is saved in.
const BET: usize = 5;
/// Observations between two new bets of a [`Floor`].
const RESTART: u64 = 50;
/// Bets held at most; the poorest is dropped, which can only delay an alarm.
const MOST_BETS: usize = 64;
/// The share of its capital that a bet may lose at once.
const BOLDNESS: f64 = 0.5;

/// Count, mean and sum of squared deviations of a stream (Welford).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// How many values.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// Sum of squared deviations from the mean.
    pub squares: f64,
}

impl Moments {
    /// Count one value.
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        let from_old = value - self.mean;
        self.mean += from_old / self.count;
        self.squares += from_old * (value - self.mean);
    }

    /// The variance of the mean; `prior` is the sum of squares of one made-up value, so that it is never zero.
    fn variance_of_mean(&self, prior: f64) -> f64 {
        (self.squares + prior) / (self.count + 1.0) / self.count
    }
}

/// Whether the mean of a second arm differs from that of a first, or, paired, whether a mean differs from zero.
///
/// Source: Johari, Pekelis, Walsh, "Always Valid Inference", 2015, and Johari et al., KDD 2017. With a difference `d` of
/// variance `v` and a normal prior of deviation `τ` over the true difference, the likelihood ratio
/// `Λ = √(v/(v+τ²)) · exp(τ²d² / (2v(v+τ²)))` exceeds `1/α` at any look with probability at most `α` when there is no
/// difference. For equal arms of `n` it is the published form with `V = n·v`. Variances are estimated, so this holds
/// from `warm_up` values per arm on.
#[derive(Debug, Clone, PartialEq)]
pub struct SequentialTest {
    spread: f64,
    warm_up: f64,
    paired: bool,
    arms: [Moments; 2],
    /// Largest log Λ of all looks.
    evidence: f64,
    /// Evidence that the second mean is lower, and higher.
    harm: [Harm; 2],
}

impl SequentialTest {
    /// A test tuned to differences of about `spread` (τ).
    ///
    /// # Errors
    /// `spread` is not a positive number.
    pub fn new(spread: f64, warm_up: u32, paired: bool) -> Result<Self, Error> {
        if !(spread > 0.0 && spread.is_finite()) {
            return Err(refused(format!("spread must be a number above 0, not {spread}")));
        }
        Ok(Self {
            spread,
            warm_up: f64::from(warm_up.max(2)),
            paired,
            arms: [Moments::default(); 2],
            evidence: 0.0,
            harm: [Harm::default(); 2],
        })
    }

    /// Count one value of the first arm (false) or the second (true), and look. Paired, a value is a difference and
    /// belongs to the second arm.
    ///
    /// # Errors
    /// The value is not finite, or of a first arm that a paired test has not.
    pub fn add(&mut self, second: bool, value: f64) -> Result<(), Error> {
        if !value.is_finite() {
            return Err(refused(format!("a value must be a finite number, not {value}")));
        }
        if self.paired && !second {
            return Err(refused("a paired test has no first arm: add differences".to_owned()));
        }
        self.arms[usize::from(second)].add(value);
        if self.ready() {
            self.evidence = self.evidence.max(self.log_ratio());
            let (variance, difference, spread) = (self.variance(), self.difference(), self.spread);
            let [lower, higher] = &mut self.harm;
            lower.look(-difference, variance, spread);
            higher.look(difference, variance, spread);
        }
        Ok(())
    }

    /// Whether both arms have as many values as the test needs.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.arms[1].count >= self.warm_up && (self.paired || self.arms[0].count >= self.warm_up)
    }

    /// Mean of the second arm minus that of the first; of a paired test the mean difference.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.arms[1].mean - self.arms[0].mean
    }

    /// The arms' moments.
    #[must_use]
    pub fn arms(&self) -> [Moments; 2] {
        self.arms
    }

    /// Always-valid p-value that there is no difference: the least of all looks.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        (-self.evidence).exp().min(1.0)
    }

    /// Always-valid p-value that the second mean is not lower (false), or not higher (true), than the first: by the
    /// bets of [`Harm`], which see a move of `spread` sooner than the two-sided test.
    #[must_use]
    pub fn p_one_sided(&self, higher: bool) -> f64 {
        (-self.harm[usize::from(higher)].evidence).exp().min(1.0)
    }

    /// The difference plus and minus this holds the true one, at all looks together, with probability `1 - alpha`.
    ///
    /// Infinite before the arms have what the test needs.
    ///
    /// # Errors
    /// `alpha` lies outside 0 to 1.
    pub fn radius(&self, alpha: f64) -> Result<f64, Error> {
        if !(alpha > 0.0 && alpha < 1.0) {
            return Err(refused(format!("alpha must lie between 0 and 1, not {alpha}")));
        }
        if !self.ready() {
            return Ok(f64::INFINITY);
        }
        let (variance, prior) = (self.variance(), self.spread * self.spread);
        let wide = variance + prior;
        Ok((variance * wide / prior * (2.0 * -alpha.ln() + (wide / variance).ln())).sqrt())
    }

    /// The test as numbers, see [`TEST_STATE`].
    #[must_use]
    pub fn state(&self) -> [f64; TEST_STATE] {
        let ([first, second], [lower, higher]) = (self.arms, self.harm);
        [
            first.count,
            first.mean,
            first.squares,
            second.count,
            second.mean,
            second.squares,
            self.evidence,
            lower.evidence,
            lower.settled,
            higher.evidence,
            higher.settled,
            self.spread,
        ]
    }

    /// Continue from what `state` gave.
    ///
    /// # Errors
    /// The numbers are no state.
    pub fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        let fits = state.len() == TEST_STATE
            && state.iter().all(|number| number.is_finite())
            && [0, 2, 3, 5, 6, 7, 9].iter().all(|&place| state[place] >= 0.0)
            && [8, 10].iter().all(|&place| [-1.0, 0.0, 1.0].contains(&state[place]))
            && (state[11] - self.spread).abs() < f64::EPSILON;
        if !fits {
            let wanted = format!("{TEST_STATE} finite numbers, of a test of the same spread, make the state of a test");
            return Err(refused(wanted));
        }
        let arm = |at: usize| Moments {
            count: state[at],
            mean: state[at + 1],
            squares: state[at + 2],
        };
        self.arms = [arm(0), arm(3)];
        self.evidence = state[6];
        let harm = |at: usize| Harm {
            evidence: state[at],
            settled: state[at + 1],
        };
        self.harm = [harm(7), harm(9)];
        Ok(())
    }

    fn variance(&self) -> f64 {
        let prior = 4.0 * self.spread * self.spread;
        let second = self.arms[1].variance_of_mean(prior);
        if self.paired {
            second
        } else {
            second + self.arms[0].variance_of_mean(prior)
        }
    }

    fn log_ratio(&self) -> f64 {
        let (variance, prior, difference) = (self.variance(), self.spread * self.spread, self.difference());
        let wide = variance + prior;
        0.5 * (variance / wide).ln() + prior * difference * difference / (2.0 * variance * wide)
    }
}

/// One bet that the mean lies below the floor, begun at some observation.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bet {
    log_weight: f64,
    log_capital: f64,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Bet {
    /// Stake what the past advises, then see the value.
    fn settle(&mut self, floor: f64, value: f64) {
        // One made-up value at the floor, and a variance of a quarter, keep the first stakes small.
        let mean = (self.sum + floor) / (self.count + 1.0);
        let variance = (self.squares + 0.25) / (self.count + 1.0);
        let edge = floor - mean;
        let stake = (edge / (variance + edge * edge)).clamp(0.0, BOLDNESS / (1.0 - floor));
        self.log_capital += (stake * (floor - value)).ln_1p();
        self.count += 1.0;
        self.sum += value;
        self.squares += (value - mean) * (value - mean);
    }

    fn log_worth(&self) -> f64 {
        self.log_weight + self.log_capital
    }
}

/// Whether the mean of values between 0 and 1 has fallen below a floor, watched without end.
///
/// Bets against the floor with predictable stakes: the capital is a supermartingale while the mean is at or above the
/// floor, whatever the distribution, so it ever reaches `1/α` with probability at most `α` (Ville; Waudby-Smith and
/// Ramdas, "Estimating means of bounded random variables by betting", 2024). A new bet begins every 50 observations
/// with weight `6/(π²k²)`, so that a fall after a long good time is seen about as soon as one at the beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Floor {
    minimum: f64,
    begun: u64,
    count: u64,
    sum: f64,
    evidence: f64,
    bets: Vec<Bet>,
}

impl Floor {
    /// Watch over a mean that is to stay at or above `floor`.
    ///
    /// # Errors
    /// `floor` lies outside 0 to 1, or at either end.
    pub fn new(floor: f64) -> Result<Self, Error> {
        if !(floor > 0.0 && floor < 1.0) {
            return Err(refused(format!("minimum must lie between 0 and 1, not {floor}")));
        }
        Ok(Self {
            minimum: floor,
            begun: 0,
            count: 0,
            sum: 0.0,
            evidence: 0.0,
            bets: Vec::new(),
        })
    }

    /// Count one value.
    ///
    /// # Errors
    /// It lies outside 0 to 1.
    pub fn add(&mut self, value: f64) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&value) {
            return Err(refused(format!("a score must lie between 0 and 1, not {value}")));
        }
        if self.count.is_multiple_of(RESTART) {
            self.begin();
        }
        for bet in &mut self.bets {
            bet.settle(self.minimum, value);
        }
        self.count += 1;
        self.sum += value;
        let worth: f64 = self.bets.iter().map(|bet| bet.log_worth().exp()).sum();
        self.evidence = self.evidence.max(worth.ln());
        Ok(())
    }

    /// Values counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Always-valid p-value that the mean has never been below the floor.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        (-self.evidence).exp()
    }

    /// The watch as numbers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn state(&self) -> Vec<f64> {
        let mut state = vec![self.begun as f64, self.count as f64, self.sum, self.evidence];
        for bet in &self.bets {
            state.extend([bet.log_weight, bet.log_capital, bet.count, bet.sum, bet.squares]);
        }
        state
    }

    /// Continue from what `state` gave.
    ///
    /// # Errors
    /// The numbers are no state.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be at least 0; casts saturate"
    )]
    pub fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        let bets = state.len().saturating_sub(FLOOR_HEAD);
        let fits = state.len() >= FLOOR_HEAD
            && bets.is_multiple_of(BET)
            && bets / BET <= MOST_BETS
            && state.iter().all(|number| number.is_finite())
            && state[..FLOOR_HEAD].iter().all(|&number| number >= 0.0);
        if !fits {
            return Err(refused(
                "these numbers are not the state of a watch over a mean".to_owned(),
            ));
        }
        self.begun = state[0] as u64;
        self.count = state[1] as u64;
        self.sum = state[2];
        self.evidence = state[3];
        self.bets = state[FLOOR_HEAD..]
            .chunks_exact(BET)
            .map(|bet| Bet {
                log_weight: bet[0],
                log_capital: bet[1],
                count: bet[2],
                sum: bet[3],
                squares: bet[4],
            })
            .collect();
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "bets stay far below 2^53")]
    fn begin(&mut self) {
        if self.bets.len() >= MOST_BETS {
            let poorest = (0..self.bets.len())
                .min_by(|&one, &other| self.bets[one].log_worth().total_cmp(&self.bets[other].log_worth()));
            if let Some(poorest) = poorest {
                self.bets.swap_remove(poorest);
            }
        }
        self.begun += 1;
        let share = 6.0 / (std::f64::consts::PI * self.begun as f64).powi(2);
        self.bets.push(Bet {
            log_weight: share.ln(),
            log_capital: 0.0,
            count: 0.0,
            sum: 0.0,
            squares: 0.0,
        });
    }
}

/// Log Bayes factor that units were not put into the second arm with probability `share`; above `ln(1/α)` at any look
/// with probability at most `α` when they were.
///
/// Source: Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data", `NeurIPS` 2022, with a Beta prior worth
/// `concentration` units around `share`.
///
/// # Errors
/// `share` lies outside 0 to 1, or `concentration` is not positive.
#[expect(clippy::cast_precision_loss, reason = "counts of people stay far below 2^53")]
pub fn ratio_evidence(first: u64, second: u64, share: f64, concentration: f64) -> Result<f64, Error> {
    if !(share > 0.0 && share < 1.0) {
        return Err(refused(format!("share must lie between 0 and 1, not {share}")));
    }
    if !(concentration > 0.0 && concentration.is_finite()) {
        return Err(refused(format!(
            "concentration must be a number above 0, not {concentration}"
        )));
    }
    let (first, second) = (first as f64, second as f64);
    let (prior_second, prior_first) = (concentration * share, concentration * (1.0 - share));
    let beta = |one: f64, other: f64| ln_gamma(one) + ln_gamma(other) - ln_gamma(one + other);
    Ok(beta(prior_second + second, prior_first + first)
        - beta(prior_second, prior_first)
        - second * share.ln()
        - first * (1.0 - share).ln())
}

/// The logarithm of the gamma function of a positive number: Stirling's series, after shifting to where it is exact to
/// 1e-14.
fn ln_gamma(argument: f64) -> f64 {
    let (mut at, mut shift) = (argument, 0.0);
    while at < 20.0 {
        shift += at.ln();
        at += 1.0;
    }
    let square = 1.0 / (at * at);
    let series = (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0))) / at;
    (at - 0.5) * at.ln() - at + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}

fn refused(message: String) -> Error {
    Error::InvalidArgument(message)
}

#[cfg(test)]
mod tests {
    use super::ln_gamma;

    #[test]
    fn ln_gamma_matches_factorials_and_a_half() {
        let mut factorial: f64 = 1.0;
        for number in 1..40 {
            assert!((ln_gamma(f64::from(number)) - factorial.ln()).abs() <= 1e-11 * factorial.ln().max(1.0));
            factorial *= f64::from(number);
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-13);
    }
}
