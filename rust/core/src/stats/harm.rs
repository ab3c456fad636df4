//! Evidence that a mean has moved one way, that may be looked at all the time: four bets against its standing still.
//!
//! Three bets are likelihood ratios of a move of a fixed size (Wald's test), most of the capital on one of .7 of what is
//! looked for: a bet below the move that there is wins a little less fast, but much more surely. The fourth is settled
//! at a fixed amount of information, at which a move of the size looked for stands 4.3 standard errors out: until then
//! it is worth what a test made for that one look still promises, after it that test's verdict. It wins where luck has
//! held up the others. Each is a martingale as long as nothing moves, hence so is the sum, and Ville's inequality bounds
//! the chance that it is ever `1/α` by `α`.

/// What is staked on each, and the moves that the first three bet on, in parts of what is looked for.
const MOVES: [(f64, f64); 3] = [(0.07, 0.3), (0.56, 0.7), (0.07, 1.5)];
const ONE_LOOK: f64 = 0.3;
/// The information at which the fourth bet is settled, for a move of 1.
const HORIZON: f64 = 18.5;
/// Standard errors from which that one look rejects, and how likely that is where nothing moves.
const CRITICAL: f64 = 2.432_379_058_584_446;
const LEVEL: f64 = 0.0075;

/// Evidence that a mean has moved one way.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Harm {
    /// Largest log capital of all looks; 0 at first.
    pub evidence: f64,
    /// The fourth bet: 0 open, 1 won, -1 lost.
    pub settled: f64,
}

impl Harm {
    /// Look.
    ///
    /// # Arguments
    /// `moved` is how far the mean stands in the direction looked for, `variance` that of this number, and `spread` the
    /// move looked for.
    pub fn look(&mut self, moved: f64, variance: f64, spread: f64) {
        let (information, score) = (1.0 / variance, moved / variance);
        let mut logs = [0.0; 4];
        for (log, (stake, part)) in logs.iter_mut().zip(MOVES) {
            let size = part * spread;
            *log = stake.ln() + size * score - size * size * information / 2.0;
        }
        logs[3] = ONE_LOOK.ln() + self.one_look(score, information, HORIZON / (spread * spread)).ln();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let capital = most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln();
        self.evidence = self.evidence.max(capital);
    }

    /// What the fourth bet is worth.
    fn one_look(&mut self, score: f64, information: f64, horizon: f64) -> f64 {
        if self.settled == 0.0 && information >= horizon {
            self.settled = if score >= CRITICAL * information.sqrt() {
                1.0
            } else {
                -1.0
            };
        }
        if self.settled == 0.0 {
            normal((score - CRITICAL * horizon.sqrt()) / (horizon - information).sqrt()) / LEVEL
        } else {
            self.settled.max(0.0) / LEVEL
        }
    }
}

/// The standard normal distribution function, to 1e-7 (Abramowitz and Stegun, 26.2.17).
fn normal(x: f64) -> f64 {
    const TERMS: [f64; 5] = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let tail = density * TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::{CRITICAL, LEVEL, normal};

    #[test]
    fn the_normal_distribution_is_right_and_the_level_fits_the_critical_value() {
        for (x, expected) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746),
            (-1.959_964, 0.025),
            (-3.0, 0.001_349_898),
        ] {
            assert!((normal(x) - expected).abs() < 2e-7, "{x}");
        }
        assert!((normal(-CRITICAL) - LEVEL).abs() < 1e-7);
    }
}
