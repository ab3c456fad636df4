//! What an order of rows is worth, when the highest scores go to the stronger model first.

use super::linear::CURVE;

/// The order in which rows go to the stronger model: the highest score first.
fn order(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
    order
}

/// Area under the share of the gain that is recovered, over the share of rows that use the stronger model.
///
/// Source: `RouteLLM` (arXiv 2406.18665), with tied scores as one straight segment and the trapezoid over every row.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a count of rows")]
pub fn apgr(scores: &[f64], gains: &[f32]) -> f64 {
    let order = order(scores);
    let total: f64 = gains.iter().map(|gain| f64::from(*gain)).sum();
    let (mut area, mut recovered, mut at) = (0.0, 0.0, 0);
    while at < order.len() {
        let score = scores[order[at]];
        let end = at
            + order[at..]
                .iter()
                .take_while(|row| scores[**row].total_cmp(&score).is_eq())
                .count();
        let gained: f64 = order[at..end].iter().map(|row| f64::from(gains[*row])).sum();
        area += (recovered + gained / 2.0) * (end - at) as f64;
        recovered += gained;
        at = end;
    }
    area / (total * order.len() as f64)
}

/// What is lost at each hundredth of the stronger model's share: the mean over all rows of the gains forgone, and 1.645
/// standard errors of it, which is an upper bound (95 %, normal).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "kept as f32"
)]
pub(super) fn losses(scores: &[f64], gains: &[f32]) -> [f32; CURVE] {
    let order = order(scores);
    let count = order.len() as f64;
    let mut losses = [0.0; CURVE];
    for (index, loss) in losses.iter_mut().enumerate() {
        let strong = order.len() * index / (CURVE - 1);
        let forgone = order[strong..].iter().map(|row| f64::from(gains[*row]));
        let mean = forgone.clone().sum::<f64>() / count;
        let squares = forgone.map(|gain| gain * gain).sum::<f64>() / count;
        *loss = (mean + 1.645 * ((squares - mean * mean).max(0.0) / count).sqrt()) as f32;
    }
    losses
}
