//! Quantiles of a stream within a relative error, in bounded memory, mergeable: `DDSketch`.
//!
//! Source: Masson, Rim, Lee, "`DDSketch`: a fast and fully-mergeable quantile sketch with relative-error guarantees",
//! VLDB 2019. Bin `i` counts the values in `(γ^(i-1), γ^i]` with `γ = (1+α)/(1-α)`; its middle `2γ^i/(γ+1)` is within
//! `α` of every one of them. When more than `max_bins` bins would be needed the lowest are folded into one, so that
//! the upper quantiles, which latencies are judged by, keep the guarantee.
//!
//! Invariants: the first and the last bin are never zero, and a bin's place depends only on the values seen, not on
//! their order. So a merge equals the sketch of the union, bin for bin.

use std::collections::VecDeque;

use crate::error::Error;

/// Smallest and largest relative error that can be asked for.
const ERROR_RANGE: std::ops::RangeInclusive<f64> = 1e-4..=0.5;
/// Smallest and largest number of bins that can be asked for; the upper end bounds a sketch to 512 KiB.
const BINS_RANGE: std::ops::RangeInclusive<u32> = 16..=65_536;
/// A summary of non-negative numbers that answers any quantile within a relative error.
///
/// Count, minimum and maximum are exact; the sum is compensated (Neumaier), so its error is about one rounding.
#[derive(Debug, Clone)]
pub struct Sketch {
    pub(super) relative_error: f64,
    pub(super) max_bins: usize,
    log_gamma: f64,
    pub(super) zeros: u64,
    pub(super) binned: u64,
    pub(super) sum: f64,
    compensation: f64,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    pub(super) first: i32,
    pub(super) bins: VecDeque<u64>,
}

impl Default for Sketch {
    /// Quantiles within 1 %, of at most 2,048 bins.
    fn default() -> Self {
        Self::empty(0.01, 2048)
    }
}

impl Sketch {
    /// An empty sketch whose quantiles are within `relative_error` (0.01 is 1 %) and that keeps at most `max_bins`.
    ///
    /// # Errors
    /// `InvalidArgument` when the error lies outside 0.0001 to 0.5 or the bins outside 16 to 65,536.
    pub fn new(relative_error: f64, max_bins: u32) -> Result<Self, Error> {
        if !ERROR_RANGE.contains(&relative_error) {
            return Err(Error::InvalidArgument(format!(
                "relative_error must be between {} and {}, not {relative_error}",
                ERROR_RANGE.start(),
                ERROR_RANGE.end()
            )));
        }
        if !BINS_RANGE.contains(&max_bins) {
            return Err(Error::InvalidArgument(format!(
                "max_bins must be between {} and {}, not {max_bins}",
                BINS_RANGE.start(),
                BINS_RANGE.end()
            )));
        }
        Ok(Self::empty(relative_error, max_bins))
    }

    fn empty(relative_error: f64, max_bins: u32) -> Self {
        Self {
            relative_error,
            max_bins: max_bins as usize,
            log_gamma: ((1.0 + relative_error) / (1.0 - relative_error)).ln(),
            zeros: 0,
            binned: 0,
            sum: 0.0,
            compensation: 0.0,
            minimum: f64::INFINITY,
            maximum: f64::NEG_INFINITY,
            first: 0,
            bins: VecDeque::new(),
        }
    }

    /// Count one value.
    ///
    /// # Errors
    /// `InvalidArgument` when the value is negative, infinite or not a number; the sketch is then unchanged.
    pub fn add(&mut self, value: f64) -> Result<(), Error> {
        check_value(value)?;
        self.add_checked(value);
        Ok(())
    }

    /// Count every value, or none when one of them is not allowed.
    ///
    /// # Errors
    /// As [`Sketch::add`].
    pub fn add_many(&mut self, values: &[f64]) -> Result<(), Error> {
        for &value in values {
            check_value(value)?;
        }
        for &value in values {
            self.add_checked(value);
        }
        Ok(())
    }

    fn add_checked(&mut self, value: f64) {
        if value == 0.0 {
            self.zeros = self.zeros.saturating_add(1);
        } else {
            let index = self.index(value);
            self.count_at(index, 1);
        }
        self.add_to_sum(value);
        self.minimum = self.minimum.min(value);
        self.maximum = self.maximum.max(value);
    }

    /// Count everything that `other` has counted.
    ///
    /// # Errors
    /// `InvalidArgument` when the two were made with another relative error or another number of bins.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.relative_error.to_bits() != other.relative_error.to_bits() || self.max_bins != other.max_bins {
            return Err(Error::InvalidArgument(format!(
                "sketches merge only when made alike: relative_error {} and {}, max_bins {} and {}",
                self.relative_error, other.relative_error, self.max_bins, other.max_bins
            )));
        }
        // From the highest bin down, so that the window moves up at most once; empty bins would break the invariant.
        for (index, &count) in other.indexed_bins().rev() {
            if count > 0 {
                self.count_at(index, count);
            }
        }
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.add_to_sum(other.sum);
        self.compensation += other.compensation;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        Ok(())
    }

    /// The value below which a share `q` of all values lies, or None when nothing was counted.
    ///
    /// It is the estimate of the element of rank `⌊q·(count-1)⌋` in sorted order; 0 and 1 give the exact ends.
    ///
    /// # Errors
    /// `InvalidArgument` when `q` lies outside 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a rank beyond 2^53 is off by parts in 10^16")]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the rank lies between 0 and count"
    )]
    pub fn quantile(&self, q: f64) -> Result<Option<f64>, Error> {
        if !(0.0..=1.0).contains(&q) {
            return Err(Error::InvalidArgument(format!(
                "a quantile lies between 0 and 1, not {q}"
            )));
        }
        let count = self.count();
        if count == 0 {
            return Ok(None);
        }
        if q >= 1.0 {
            return Ok(Some(self.maximum));
        }
        let rank = (q * (count - 1) as f64) as u64;
        if rank == 0 {
            return Ok(Some(self.minimum));
        }
        let mut below = self.zeros;
        if rank < below {
            return Ok(Some(0.0));
        }
        for (index, &in_bin) in self.indexed_bins() {
            below = below.saturating_add(in_bin);
            if rank < below {
                return Ok(Some(self.middle(index).clamp(self.minimum, self.maximum)));
            }
        }
        Ok(Some(self.maximum))
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.zeros.saturating_add(self.binned)
    }

    /// Their sum; it stops at the largest finite number.
    #[must_use]
    pub fn sum(&self) -> f64 {
        (self.sum + self.compensation).min(f64::MAX)
    }

    /// The smallest value, or None when nothing was counted.
    #[must_use]
    pub fn minimum(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.minimum)
    }

    /// The largest value, or None when nothing was counted.
    #[must_use]
    pub fn maximum(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.maximum)
    }

    /// How many bins are held now; never more than the `max_bins` it was made with.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.bins.len()
    }

    /// The relative error it was made with.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        self.relative_error
    }

    fn indexed_bins(&self) -> impl DoubleEndedIterator<Item = (i32, &u64)> {
        // The range is as long as the bins, so that both ends of the pair move together.
        let end = self
            .first
            .saturating_add_unsigned(u32::try_from(self.bins.len()).unwrap_or(u32::MAX));
        (self.first..end).zip(self.bins.iter())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "|ln(f64)| ≤ 745 and ln γ ≥ 2e-4: the index fits 23 bits"
    )]
    fn index(&self, value: f64) -> i32 {
        (value.ln() / self.log_gamma).ceil() as i32
    }

    /// `2γ^i/(γ+1)`, the value within the relative error of all that bin `index` counts.
    fn middle(&self, index: i32) -> f64 {
        // 2/(γ+1) = 1-α. The halves keep γ^i finite where the product is.
        let half = (f64::from(index) * self.log_gamma / 2.0).exp();
        half * (1.0 - self.relative_error) * half
    }

    fn add_to_sum(&mut self, value: f64) {
        let total = self.sum + value;
        if !total.is_finite() {
            self.sum = f64::MAX;
            self.compensation = 0.0;
            return;
        }
        // Neumaier: what the addition rounded away is kept beside the sum. Both terms are non-negative.
        self.compensation += if self.sum >= value {
            (self.sum - total) + value
        } else {
            (value - total) + self.sum
        };
        self.sum = total;
    }

    /// Add `count` to bin `index`, moving the window up or folding into its lowest bin where the bins run out.
    fn count_at(&mut self, index: i32, count: u64) {
        self.binned = self.binned.saturating_add(count);
        let position = self.position(index);
        if let Some(bin) = self.bins.get_mut(position) {
            *bin = bin.saturating_add(count);
        }
    }

    fn position(&mut self, index: i32) -> usize {
        let Ok(length) = i32::try_from(self.bins.len()) else {
            return 0;
        };
        if length == 0 {
            self.first = index;
            self.bins.push_back(0);
            return 0;
        }
        let limit = i32::try_from(self.max_bins).unwrap_or(i32::MAX);
        let last = self.first + length - 1;
        if index > last {
            self.fold_below(index - limit + 1);
            let wanted = usize::try_from(index - self.first + 1).unwrap_or(1);
            self.bins.resize(wanted, 0);
        } else if index < self.first {
            let lowest = index.max(last - limit + 1);
            for _ in lowest..self.first {
                self.bins.push_front(0);
            }
            self.first = lowest;
        }
        usize::try_from(index - self.first).unwrap_or(0)
    }

    /// Fold every bin under `lowest` into the bin `lowest`, which becomes the first when there was any.
    fn fold_below(&mut self, lowest: i32) {
        let mut folded: u64 = 0;
        let first_before = self.first;
        while self.first < lowest {
            let Some(count) = self.bins.pop_front() else { break };
            folded = folded.saturating_add(count);
            self.first += 1;
        }
        if self.first == first_before {
            return;
        }
        self.first = lowest;
        match self.bins.front_mut() {
            Some(bin) => *bin = bin.saturating_add(folded),
            None => self.bins.push_back(folded),
        }
    }
}

pub(super) fn check_value(value: f64) -> Result<(), Error> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "a sketch counts finite numbers from 0 up, not {value}"
    )))
}
