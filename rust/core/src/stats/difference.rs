//! Where the difference of two means of bounded values lies, at every moment at once, however rare what is counted is.
//!
//! The first values of both arms make a pair, then the second ones, and so on. The difference `d` of a pair lies
//! between -1 and 1, and its mean is the difference of the means. Against "the mean is at most `m`" one may bet a fixed
//! part of the capital: with `f` between 0 and 1, `1 - f + f (1+d)/(1+m)` is never negative and at most 1 on average,
//! so that the product over all pairs stays below `1/α` for ever with probability `1 - α` (Ville). What a product, mixed
//! over a grid of `f`, has reached `1/α` against is ruled out (Waudby-Smith and Ramdas, "Estimating means of bounded
//! random variables by betting", 2024; mixtures of fixed stakes as in Cover's universal portfolio). Nothing is estimated
//! and no normal law is called on: it holds from the first pair on, for errors of one in a thousand too.
//!
//! The products need only how often each `d` was seen. One between two cells is shared out between them: the logarithm
//! is concave, so this never flatters. Values of whole, half or quarter points fall on cells and lose nothing.

use std::collections::VecDeque;

use crate::error::Error;

/// Differences told apart: from -1 to 1 in steps of a twentieth.
const CELLS: usize = 41;
const PER_POINT: f64 = 20.0;
/// Stakes of the mixture, and the least and the greatest of them: tight at a million pairs, and at a hundred ties.
const MEMBERS: usize = 12;
const STAKES: (f64, f64) = (0.004, 0.99);
/// Values of one arm that wait for the other; further ones are not used.
const WAITING: usize = 1_024;
/// Values of the larger arm that are compared with one of the smaller, at most.
const MOST_PER_BLOCK: f64 = 20.0;
/// Halvings when an end is solved for.
const HALVINGS: u32 = 40;
/// Numbers in a saved state before those that wait.
const HEAD: usize = 7 + CELLS;

/// Values of one arm that are not a whole block yet.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Block {
    count: f64,
    sum: f64,
}

/// The difference of the means of two arms, or the mean of differences of pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanDifference {
    /// Values of each arm that are taken together; none of the first where whole differences are added.
    sizes: [f64; 2],
    open: [Block; 2],
    /// Blocks of one arm that wait for the other's.
    waiting: VecDeque<f64>,
    second_waits: bool,
    /// How often each difference was seen.
    cells: [f64; CELLS],
}

impl MeanDifference {
    /// Two arms, the second of which gets about `share` of all values; where they are unequal, several values of the
    /// larger are compared with each of the smaller.
    ///
    /// # Errors
    /// `share` lies outside 0 to 1, or at either end.
    pub fn new(share: f64) -> Result<Self, Error> {
        if !(share > 0.0 && share < 1.0) {
            return Err(refused(format!("share must lie between 0 and 1, not {share}")));
        }
        let size = |own: f64| (own / (1.0 - own)).round().clamp(1.0, MOST_PER_BLOCK);
        Ok(Self::of([size(1.0 - share), size(share)]))
    }

    /// Differences of pairs, added as they are.
    #[must_use]
    pub fn paired() -> Self {
        Self::of([0.0, 1.0])
    }

    fn of(sizes: [f64; 2]) -> Self {
        Self {
            sizes,
            open: [Block::default(); 2],
            waiting: VecDeque::new(),
            second_waits: false,
            cells: [0.0; CELLS],
        }
    }

    fn is_paired(&self) -> bool {
        self.sizes[0] == 0.0
    }

    /// Count one value, 0 to 1, of the first arm (false) or the second (true). Paired, a value is a difference, -1 to
    /// 1, and belongs to the second arm.
    ///
    /// # Errors
    /// The value lies outside, or is of a first arm that there is not.
    pub fn add(&mut self, second: bool, value: f64) -> Result<(), Error> {
        let least = if self.is_paired() { -1.0 } else { 0.0 };
        if !(least..=1.0).contains(&value) {
            return Err(refused(format!(
                "a value must lie between {least} and 1, not at {value}"
            )));
        }
        if self.is_paired() {
            if !second {
                return Err(refused("paired, there is no first arm: add differences".to_owned()));
            }
            self.see(value);
            return Ok(());
        }
        let arm = usize::from(second);
        let block = &mut self.open[arm];
        block.count += 1.0;
        block.sum += value;
        if block.count >= self.sizes[arm] {
            let mean = (block.sum / block.count).clamp(0.0, 1.0);
            *block = Block::default();
            self.meet(second, mean);
        }
        Ok(())
    }

    /// Pair a block with the one that has waited longest, or let it wait.
    fn meet(&mut self, second: bool, mean: f64) {
        if self.waiting.is_empty() || self.second_waits == second {
            if self.waiting.len() < WAITING {
                self.second_waits = second;
                self.waiting.push_back(mean);
            }
        } else if let Some(other) = self.waiting.pop_front() {
            self.see(if second { mean - other } else { other - mean });
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 40, as the difference lies between -1 and 1"
    )]
    fn see(&mut self, difference: f64) {
        let place = ((difference + 1.0) * PER_POINT).clamp(0.0, last());
        let below = (place.floor() as usize).min(CELLS - 2);
        let part = place - place.floor().min(last() - 1.0);
        self.cells[below] += 1.0 - part;
        self.cells[below + 1] += part;
    }

    /// The log capital of the bets that the true difference is more than `above`: at least `ln(1/α)` at any time with
    /// probability at most `α` when it is not.
    #[must_use]
    pub fn evidence(&self, above: f64) -> f64 {
        self.capital(above, false)
    }

    /// Where the true difference lies, at all times together, with probability `1 - alpha`.
    ///
    /// # Errors
    /// `alpha` lies outside 0 to 1.
    pub fn interval(&self, alpha: f64) -> Result<(f64, f64), Error> {
        if !(alpha > 0.0 && alpha < 1.0) {
            return Err(refused(format!("alpha must lie between 0 and 1, not {alpha}")));
        }
        let limit = (2.0 / alpha).ln();
        Ok((self.end(limit, false), -self.end(limit, true)))
    }

    /// The largest `m` that the bets rule the mean, or with `mirrored` that of the negative values, out at or below.
    fn end(&self, limit: f64, mirrored: bool) -> f64 {
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            // Capital falls as `m` rises: each `(1+d)/(1+m)` does.
            if self.capital(middle, mirrored) >= limit {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn capital(&self, mean: f64, mirrored: bool) -> f64 {
        let mut seen = [(0.0, 0.0); CELLS];
        let mut kinds = 0;
        let mut steps: f64 = 0.0;
        for place in 0..CELLS {
            let count = self.cells[if mirrored { CELLS - 1 - place } else { place }];
            if count > 0.0 {
                seen[kinds] = (count, steps / PER_POINT / (1.0 + mean));
                kinds += 1;
            }
            steps += 1.0;
        }
        let factor = (STAKES.1 / STAKES.0).powf(1.0 / 11.0);
        let mut stake = STAKES.0 / factor;
        let logs: [f64; MEMBERS] = std::array::from_fn(|_| {
            stake *= factor;
            seen[..kinds]
                .iter()
                .map(|(count, ratio)| count * (1.0 - stake + stake * ratio).ln())
                .sum()
        });
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
        most + (sum / 12.0).ln()
    }

    /// All of it as numbers.
    #[must_use]
    pub fn state(&self) -> Vec<f64> {
        let [first, second] = self.open;
        let mut state = vec![
            self.sizes[0],
            self.sizes[1],
            first.count,
            first.sum,
            second.count,
            second.sum,
        ];
        state.push(f64::from(u8::from(self.second_waits)));
        state.extend(self.cells);
        state.extend(&self.waiting);
        state
    }

    /// Continue from what `state` gave.
    ///
    /// # Errors
    /// The numbers are no state of what was made alike.
    pub fn restore(&mut self, state: &[f64]) -> Result<(), Error> {
        let within = |count: f64, sum: f64, size: f64| {
            count.fract() == 0.0 && (0.0..=size).contains(&count) && (0.0..=count).contains(&sum)
        };
        let fits = (HEAD..=HEAD + WAITING).contains(&state.len())
            && state.iter().all(|number| number.is_finite() && *number >= 0.0)
            && state[..2]
                .iter()
                .zip(self.sizes)
                .all(|(saved, own)| saved.total_cmp(&own).is_eq())
            && within(state[2], state[3], self.sizes[0])
            && within(state[4], state[5], self.sizes[1])
            && [0.0, 1.0].contains(&state[6])
            && state[HEAD..].iter().all(|&mean| mean <= 1.0);
        if !fits {
            return Err(refused(
                "these numbers are not the state of a mean difference".to_owned(),
            ));
        }
        let block = |at: usize| Block {
            count: state[at],
            sum: state[at + 1],
        };
        self.open = [block(2), block(4)];
        self.second_waits = state[6] > 0.0;
        self.cells.copy_from_slice(&state[7..HEAD]);
        self.waiting = state[HEAD..].iter().copied().collect();
        Ok(())
    }
}

/// The place of the last cell.
fn last() -> f64 {
    2.0 * PER_POINT
}

fn refused(message: String) -> Error {
    Error::InvalidArgument(message)
}
