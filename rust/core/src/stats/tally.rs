//! Sums over requests: money and tokens exactly, latencies as sketches.

use super::sketch::{Sketch, check_value};
use crate::error::Error;

/// The five counts of tokens that a usage has, in the order of its fields.
pub type Tokens = [i128; 5];

/// What one request adds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    /// Cost, baseline and what was avoided, in picodollars; `None` when one of them is unknown.
    pub money: Option<[i128; 3]>,
    /// Tokens that were billed.
    pub billed: Tokens,
    /// Tokens that were not.
    pub avoided: Tokens,
    /// Seconds from call to answer.
    pub latency: f64,
    /// Seconds the call upstream took.
    pub baseline_latency: f64,
}

/// The sums of the requests that were counted together.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many there were.
    pub requests: u64,
    /// How many of them had a price that is unknown; their money is in no sum.
    pub unknown: u64,
    /// Cost, baseline and what was avoided, in picodollars.
    pub money: [i128; 3],
    /// Tokens that were billed.
    pub billed: Tokens,
    /// Tokens that were not.
    pub avoided: Tokens,
    /// Seconds from call to answer.
    pub latency: Sketch,
    /// Seconds the call upstream took.
    pub baseline_latency: Sketch,
}

impl Tally {
    /// Count one request.
    ///
    /// # Errors
    /// `InvalidArgument` when a latency is negative, infinite or not a number; nothing is counted then.
    pub fn count(&mut self, one: &Counted) -> Result<(), Error> {
        check_value(one.baseline_latency)?;
        self.latency.add(one.latency)?;
        self.baseline_latency.add(one.baseline_latency)?;
        self.requests += 1;
        match &one.money {
            Some(money) => add(&mut self.money, money),
            None => self.unknown += 1,
        }
        add(&mut self.billed, &one.billed);
        add(&mut self.avoided, &one.avoided);
        Ok(())
    }

    /// Count everything that `other` has counted.
    ///
    /// # Errors
    /// `InvalidArgument` when the sketches were made with other options.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.latency.merge(&other.latency)?;
        self.baseline_latency.merge(&other.baseline_latency)?;
        self.requests += other.requests;
        self.unknown += other.unknown;
        add(&mut self.money, &other.money);
        add(&mut self.billed, &other.billed);
        add(&mut self.avoided, &other.avoided);
        Ok(())
    }
}

/// Add each to each. No sum of real requests comes near the ends of 128 bits.
fn add<const N: usize>(sums: &mut [i128; N], more: &[i128; N]) {
    for (sum, one) in sums.iter_mut().zip(more) {
        *sum = sum.saturating_add(*one);
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, Tally};

    #[test]
    fn a_tally_is_the_sum_of_its_parts() -> Result<(), crate::error::Error> {
        let (mut whole, mut left, mut right) = (Tally::default(), Tally::default(), Tally::default());
        for number in 0..100_i128 {
            let one = Counted {
                money: (number % 7 != 0).then_some([number, 3 * number, 2 * number]),
                billed: [number, 1, 2, 3, 4],
                avoided: [0, 0, 0, number, 0],
                latency: 0.5,
                baseline_latency: 1.0 + f64::from(u8::try_from(number).unwrap_or_default()),
            };
            whole.count(&one)?;
            if number % 3 == 0 { &mut left } else { &mut right }.count(&one)?;
        }
        left.merge(&right)?;
        assert_eq!((left.requests, left.unknown), (100, 15));
        assert_eq!(
            (left.money, left.billed, left.avoided),
            (whole.money, whole.billed, whole.avoided)
        );
        assert_eq!(whole.money[0] + whole.money[2], whole.money[1]);
        assert_eq!(whole.billed, [4950, 100, 200, 300, 400]);
        assert_eq!(
            left.baseline_latency.quantile(0.5)?,
            whole.baseline_latency.quantile(0.5)?
        );
        Ok(())
    }

    #[test]
    fn what_cannot_be_counted_changes_nothing() {
        let mut tally = Tally::default();
        for (latency, baseline_latency) in [(f64::NAN, 1.0), (1.0, -1.0), (f64::INFINITY, 1.0)] {
            let one = Counted {
                latency,
                baseline_latency,
                ..Counted::default()
            };
            assert!(tally.count(&one).is_err());
        }
        assert_eq!(
            (tally.requests, tally.latency.count(), tally.baseline_latency.count()),
            (0, 0, 0)
        );
    }

    #[test]
    fn sums_end_at_the_ends_of_128_bits() -> Result<(), crate::error::Error> {
        let mut tally = Tally::default();
        let one = Counted {
            money: Some([i128::MAX, i128::MIN, 0]),
            ..Counted::default()
        };
        tally.count(&one)?;
        tally.count(&one)?;
        assert_eq!(tally.money, [i128::MAX, i128::MIN, 0]);
        Ok(())
    }
}
