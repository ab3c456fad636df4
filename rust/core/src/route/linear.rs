//! A linear model of the user's own labels: hashed words and pairs of words, the counts of the prior, ridge regression.
//!
//! It predicts what a question gains from the stronger model. Words tell kinds of questions apart that counts cannot, but
//! only for the traffic that the labels come from; so it is mixed with the prior by what held-out rows say, down to not
//! at all. One pass over the text, two small tables, no allocation that grows with the text beyond [`MOST_GRAMS`].

use super::features::Features;
use super::score::{self, SIZE};

/// Buckets that words and pairs are hashed into.
pub(super) const BUCKETS: usize = 1 << 16;
/// Words and pairs of one text that are looked at.
pub(super) const MOST_GRAMS: usize = 4_096;
/// Points of the table that turns a score into a percentile.
pub(super) const QUANTILES: usize = 65;
/// Points of the curve of what is lost by using the weaker model.
pub(super) const CURVE: usize = 101;

/// A model that was fitted; see the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Share of the words' model in the score, 0 (the prior alone) to 1.
    pub(super) mix: f32,
    pub(super) means: [f32; SIZE],
    pub(super) scales: [f32; SIZE],
    pub(super) counts: [f32; SIZE],
    /// Centre and spread of the prior and of the words' model on the rows, so that they mix as equals.
    pub(super) prior_norm: [f32; 2],
    pub(super) words_norm: [f32; 2],
    /// Weight of a bucket, in units of `unit`; empty when `mix` is 0.
    pub(super) weights: Vec<i16>,
    pub(super) unit: f32,
    /// Inverse document frequency of a bucket, in 16ths; empty when `mix` is 0.
    pub(super) rarity: Vec<u8>,
    /// Scores of held-out rows at evenly spaced percentiles.
    pub(super) quantiles: [f32; QUANTILES],
    /// Mean quality lost when the share `i / 100` of the rows uses the stronger model, as an upper bound (95 %).
    pub(super) losses: [f32; CURVE],
    pub(super) summary: Summary,
}

/// What a fit found out on held-out rows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Rows it was fitted on.
    pub rows: u32,
    /// Mean gain of the stronger model.
    pub gain: f32,
    /// APGR of the prior on the rows.
    pub prior: f32,
    /// APGR of the mixed score on held-out rows.
    pub held_out: f32,
}

impl Linear {
    /// The score of a question, after which `beyond` bytes come that are not at hand; higher gains more. None when there is
    /// nothing to judge by.
    #[must_use]
    pub fn score(&self, text: &str, beyond: u64) -> Option<f64> {
        if self.mix <= 0.0 {
            return score::prior(&Features::of(text, beyond)).map(|prior| self.blend(prior, 0.0));
        }
        let mut grams = Vec::with_capacity(256);
        let features = read_grams(text, beyond, &mut grams);
        let prior = score::prior(&features)?;
        Some(self.blend(prior, self.of_words(&features, &grams)))
    }

    /// The share of held-out rows that score lower.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "there are 65")]
    pub fn percentile(&self, score: f64) -> f64 {
        let above = self.quantiles.partition_point(|point| f64::from(*point) < score);
        if above == 0 {
            return 0.0;
        }
        let Some(upper) = self.quantiles.get(above) else {
            return 1.0;
        };
        let lower = f64::from(self.quantiles[above - 1]);
        let width = f64::from(*upper) - lower;
        let inside = if width > 0.0 { (score - lower) / width } else { 0.5 };
        (above as f64 - 1.0 + inside) / (QUANTILES - 1) as f64
    }

    /// A place from 0 to 1 for every score, in the order of scores: the logistic curve, because scores have spread 1.
    #[must_use]
    pub fn place(score: f64) -> f64 {
        1.0 / (1.0 + (-score).exp())
    }

    /// The expected percentile of what lies at a place.
    #[must_use]
    pub fn expected_below(&self, place: f64) -> f64 {
        let place = place.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
        self.percentile((place / (1.0 - place)).ln())
    }

    /// Share of the words' model in the score; 0 when held-out rows say that the prior alone is as good.
    #[must_use]
    pub fn mix(&self) -> f64 {
        f64::from(self.mix)
    }

    /// What the fit found out.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Mean quality lost at each hundredth of the share of the stronger model, as an upper bound (95 %).
    #[must_use]
    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    pub(super) fn blend(&self, prior: f64, words: f64) -> f64 {
        let mix = f64::from(self.mix);
        let norm = |value: f64, [centre, spread]: [f32; 2]| (value - f64::from(centre)) / f64::from(spread);
        (1.0 - mix) * norm(prior, self.prior_norm) + mix * norm(words, self.words_norm)
    }

    fn of_words(&self, features: &Features, grams: &[u16]) -> f64 {
        let terms = score::logarithms(features);
        let mut sum = 0.0;
        for (index, term) in terms.iter().enumerate() {
            let scaled = (term - f64::from(self.means[index])) / f64::from(self.scales[index]);
            sum += scaled * f64::from(self.counts[index]);
        }
        let (mut weighted, mut squares) = (0.0_f32, 0.0_f32);
        for &gram in grams {
            let rarity = self
                .rarity
                .get(gram as usize)
                .map_or(0.0, |step| f32::from(*step) / 16.0);
            let weight = self.weights.get(gram as usize).map_or(0.0, |weight| f32::from(*weight));
            weighted += weight * rarity;
            squares += rarity * rarity;
        }
        if squares > 0.0 {
            sum += f64::from(weighted * self.unit / squares.sqrt());
        }
        sum
    }
}

/// The buckets of the words of a text and of the pairs that follow each other, and its counts.
pub(super) fn read_grams(text: &str, beyond: u64, grams: &mut Vec<u16>) -> Features {
    let mut before: u32 = 0;
    Features::with_words(text, beyond, |words| {
        for &word in words {
            if grams.len() + 2 > MOST_GRAMS {
                return;
            }
            grams.push(bucket(word));
            if before != 0 {
                grams.push(bucket(before.rotate_left(13) ^ word.wrapping_mul(0x85eb_ca6b)));
            }
            before = word;
        }
    })
}

/// The bucket of a hash: the finaliser of murmur3, whose upper half is well mixed.
fn bucket(hash: u32) -> u16 {
    let mut mixed = hash ^ (hash >> 16);
    mixed = mixed.wrapping_mul(0x7feb_352d);
    mixed ^= mixed >> 15;
    mixed = mixed.wrapping_mul(0x846c_a68b);
    (mixed >> 16) as u16
}
