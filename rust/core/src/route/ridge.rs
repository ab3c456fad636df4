//! Ridge regression on sparse rows, by conjugate gradients.

use super::linear::BUCKETS;
use super::score::SIZE;

/// Ridge penalty beside rows of length one.
const PENALTY: f32 = 1.0;
const STEPS: usize = 30;

/// One row: buckets with their values, and the counts, scaled.
pub(super) struct Row {
    pub(super) grams: Vec<(u16, f32)>,
    pub(super) counts: [f32; SIZE],
}

/// What is solved for.
pub(super) struct Solution {
    pub(super) grams: Vec<f32>,
    pub(super) counts: [f32; SIZE],
}

impl Solution {
    fn zero() -> Self {
        Self {
            grams: vec![0.0; BUCKETS],
            counts: [0.0; SIZE],
        }
    }

    /// What it predicts for a row, less the mean.
    pub(super) fn of(&self, row: &Row) -> f32 {
        let grams: f32 = row
            .grams
            .iter()
            .map(|(gram, value)| self.grams[*gram as usize] * value)
            .sum();
        let counts: f32 = row
            .counts
            .iter()
            .zip(&self.counts)
            .map(|(value, weight)| value * weight)
            .sum();
        grams + counts
    }

    /// Add `factor` times a row.
    fn add_row(&mut self, row: &Row, factor: f32) {
        for (gram, value) in &row.grams {
            self.grams[*gram as usize] += value * factor;
        }
        for (weight, value) in self.counts.iter_mut().zip(&row.counts) {
            *weight += value * factor;
        }
    }

    fn numbers(&self) -> impl Iterator<Item = &f32> {
        self.grams.iter().chain(&self.counts)
    }

    fn numbers_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        self.grams.iter_mut().chain(&mut self.counts)
    }

    fn squared(&self) -> f64 {
        self.numbers()
            .map(|number| f64::from(*number) * f64::from(*number))
            .sum()
    }
}

/// Ridge regression on the rows `chosen` by conjugate gradients on the normal equations (CGLS).
#[expect(clippy::cast_possible_truncation, reason = "steps are kept as f32")]
pub(super) fn solve(rows: &[Row], chosen: &[usize], gains: &[f32], mean: f32) -> Solution {
    let mut solution = Solution::zero();
    let mut residual = Solution::zero();
    for &row in chosen {
        residual.add_row(&rows[row], gains[row] - mean);
    }
    let mut direction = Solution::zero();
    let mut before = 1.0;
    let mut squared = residual.squared();
    let enough = squared * 1e-8;
    for step in 0..STEPS {
        if squared <= enough {
            break;
        }
        let turn = if step == 0 { 0.0 } else { (squared / before) as f32 };
        for (direction, residual) in direction.numbers_mut().zip(residual.numbers()) {
            *direction = residual + turn * *direction;
        }
        let mut image = Solution::zero();
        let mut length = f64::from(PENALTY) * direction.squared();
        for &row in chosen {
            let value = direction.of(&rows[row]);
            length += f64::from(value) * f64::from(value);
            image.add_row(&rows[row], value);
        }
        let stride = (squared / length) as f32;
        for (number, direction) in solution.numbers_mut().zip(direction.numbers()) {
            *number += stride * direction;
        }
        for ((residual, image), direction) in residual.numbers_mut().zip(image.numbers()).zip(direction.numbers()) {
            *residual -= stride * (image + PENALTY * direction);
        }
        before = squared;
        squared = residual.squared();
    }
    solution
}
