//! Fitting a [`Linear`], and what held-out rows say of the result.
//!
//! The rows are cut into three parts by the hash of their text, so that a question asked twice is in one part. Each part
//! is scored by a model of the two others. How much of the words' model goes into the score is what ranks those held-out
//! scores best; when none does better than the prior by more than chance would, the prior stays alone.

use super::curve::{apgr, losses};
use super::linear::{BUCKETS, CURVE, Linear, QUANTILES, Summary, read_grams};
use super::ridge::{Row, Solution, solve};
use super::score::{self, SIZE};
use crate::error::Error;

const FOLDS: u32 = 3;
/// How strongly a count weighs beside the words of a row.
const COUNTS: f32 = 0.3;
const MIXES: [f32; 4] = [0.25, 0.5, 0.75, 1.0];
/// Rows under which nothing can be said.
const FEWEST: usize = 50;

impl Linear {
    /// Fit to the questions `texts` and what each gained from the stronger model (its quality less the weaker one's).
    ///
    /// # Errors
    /// `InvalidArgument` when there are fewer than 50 rows, when the two differ in length, when a gain is not a number
    /// from -1 to 1, or when the stronger model gains nothing on the whole.
    pub fn fit(texts: &[&str], gains: &[f32]) -> Result<Self, Error> {
        let mean = check(texts, gains)?;
        let mut linear = Self::unfitted();
        let mut rows = Vec::with_capacity(texts.len());
        let mut priors = Vec::with_capacity(texts.len());
        for text in texts {
            let mut grams = Vec::new();
            let features = read_grams(text, 0, &mut grams);
            priors.push(score::prior(&features).unwrap_or(0.0));
            rows.push((grams, score::logarithms(&features)));
        }
        let rarity = rarities(&rows);
        linear.set_scales(&rows);
        let rows: Vec<Row> = rows
            .iter()
            .map(|(grams, terms)| linear.row(grams, terms, &rarity))
            .collect();
        linear.prior_norm = norm(&priors);
        let folds: Vec<u32> = texts.iter().map(|text| fold(text)).collect();
        let held_out = held_out(&rows, &folds, gains, mean);
        linear.words_norm = norm(&held_out);
        linear.choose_mix(&priors, &held_out, gains, mean);
        if linear.mix > 0.0 {
            let all: Vec<usize> = (0..rows.len()).collect();
            linear.keep(&solve(&rows, &all, gains, mean), &rarity);
        }
        Ok(linear)
    }

    fn unfitted() -> Self {
        Self {
            mix: 0.0,
            means: [0.0; SIZE],
            scales: [1.0; SIZE],
            counts: [0.0; SIZE],
            prior_norm: [0.0, 1.0],
            words_norm: [0.0, 1.0],
            weights: Vec::new(),
            unit: 1.0,
            rarity: Vec::new(),
            quantiles: [0.0; QUANTILES],
            losses: [0.0; CURVE],
            summary: Summary::default(),
        }
    }

    fn set_scales(&mut self, rows: &[(Vec<u16>, [f64; SIZE])]) {
        for index in 0..SIZE {
            let column: Vec<f64> = rows.iter().map(|(_, terms)| terms[index]).collect();
            let [mean, scale] = norm(&column);
            self.means[index] = mean;
            self.scales[index] = scale / COUNTS;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "weights are kept as f32")]
    fn row(&self, grams: &[u16], terms: &[f64; SIZE], rarity: &[u8]) -> Row {
        let mut counts = [0.0; SIZE];
        for index in 0..SIZE {
            counts[index] = (terms[index] as f32 - self.means[index]) / self.scales[index];
        }
        let values = grams.iter().map(|gram| f32::from(rarity[*gram as usize]) / 16.0);
        let squares: f32 = values.clone().map(|value| value * value).sum();
        let length = if squares > 0.0 { squares.sqrt() } else { 1.0 };
        let grams = grams.iter().copied().zip(values.map(|value| value / length)).collect();
        Row { grams, counts }
    }

    /// Choose how much of the words' model goes in, and say what the mixed score does on held-out rows.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "kept as f32"
    )]
    fn choose_mix(&mut self, priors: &[f64], words: &[f64], gains: &[f32], mean: f32) {
        let rank = |linear: &Self| {
            let scores: Vec<f64> = priors
                .iter()
                .zip(words)
                .map(|(prior, words)| linear.blend(*prior, *words))
                .collect();
            (apgr(&scores, gains), scores)
        };
        let (prior, mut scores) = rank(self);
        let mut best = prior;
        // APGR of a random order has this standard deviation; half of it is what a mix has to be better by.
        let spread = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f32>() / gains.len() as f32;
        let chance = f64::from(spread.sqrt() / mean) / (12.0 * gains.len() as f64).sqrt();
        let mut chosen = 0.0;
        for mix in MIXES {
            self.mix = mix;
            let (held_out, mixed) = rank(self);
            if held_out > best.max(prior + chance / 2.0) {
                (best, scores, chosen) = (held_out, mixed, mix);
            }
        }
        self.mix = chosen;
        self.summary = Summary {
            rows: u32::try_from(gains.len()).unwrap_or(u32::MAX),
            gain: mean,
            prior: prior as f32,
            held_out: best as f32,
        };
        self.losses = losses(&scores, gains);
        scores.sort_by(f64::total_cmp);
        for (index, point) in self.quantiles.iter_mut().enumerate() {
            *point = scores[(scores.len() - 1) * index / (QUANTILES - 1)] as f32;
        }
    }

    /// Keep the weights in 16 bits: the rounding is a thousandth of the largest.
    #[expect(clippy::cast_possible_truncation, reason = "scaled to fit")]
    fn keep(&mut self, solution: &Solution, rarity: &[u8]) {
        let largest = solution
            .grams
            .iter()
            .fold(0.0_f32, |most, weight| most.max(weight.abs()));
        self.unit = if largest > 0.0 {
            largest / f32::from(i16::MAX)
        } else {
            1.0
        };
        self.weights = solution
            .grams
            .iter()
            .map(|weight| (weight / self.unit).round() as i16)
            .collect();
        self.counts = solution.counts;
        self.rarity = rarity.to_vec();
    }
}

fn check(texts: &[&str], gains: &[f32]) -> Result<f32, Error> {
    let problem = |message: String| Err(Error::InvalidArgument(message));
    if texts.len() != gains.len() {
        return problem(format!("{} texts but {} gains", texts.len(), gains.len()));
    }
    if texts.len() < FEWEST {
        return problem(format!("a fit needs at least {FEWEST} rows, not {}", texts.len()));
    }
    if let Some(gain) = gains.iter().find(|gain| !(-1.0..=1.0).contains(*gain)) {
        return problem(format!("qualities must lie between 0 and 1; one row gains {gain}"));
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
    let mean = gains.iter().sum::<f32>() / gains.len() as f32;
    if mean <= 0.0 {
        return problem(format!(
            "on these rows the stronger model gains {mean:.4} on average: there is nothing to route for"
        ));
    }
    Ok(mean)
}

/// Which part a text is in.
fn fold(text: &str) -> u32 {
    let digest = blake3::hash(text.as_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    u32::from_le_bytes([a, b, c, d]) % FOLDS
}

/// Smoothed inverse document frequency of each bucket, in 16ths: `ln((1 + n) / (1 + rows with it)) + 1`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "at most 15 and positive"
)]
fn rarities(rows: &[(Vec<u16>, [f64; SIZE])]) -> Vec<u8> {
    let mut found = vec![0_u32; BUCKETS];
    let mut last = vec![u32::MAX; BUCKETS];
    for (number, (grams, _)) in (0_u32..).zip(rows) {
        for &gram in grams {
            let gram = gram as usize;
            if last[gram] != number {
                last[gram] = number;
                found[gram] += 1;
            }
        }
    }
    let all = 1.0 + rows.len() as f32;
    found
        .iter()
        .map(|count| (((all / (1.0 + *count as f32)).ln() + 1.0) * 16.0).round().min(255.0) as u8)
        .collect()
}

/// Mean and standard deviation; 1 where there is no spread.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "kept as f32"
)]
fn norm(values: &[f64]) -> [f32; 2] {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    [mean as f32, if spread > 1e-9 { spread as f32 } else { 1.0 }]
}

/// The scores of each part by a model of the others.
fn held_out(rows: &[Row], folds: &[u32], gains: &[f32], mean: f32) -> Vec<f64> {
    let mut scores = vec![0.0; rows.len()];
    for part in 0..FOLDS {
        let (inside, outside): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|row| folds[*row] == part);
        let solution = solve(rows, &outside, gains, mean);
        for row in inside {
            scores[row] = f64::from(solution.of(&rows[row]));
        }
    }
    scores
}
