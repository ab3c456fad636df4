//! What calibration learns from: how two questions differ, short of a veto.

use super::align::align;
use super::frame::Ask;
use super::question::Question;
use super::split::CONTENT;
use super::terms::partners;

/// How far apart two questions are, by words.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signals {
    /// Words of content of the left question that the right one has neither as such nor as a synonym.
    pub unmatched_left: u16,
    /// The same for the right question.
    pub unmatched_right: u16,
    /// Words of content matched by a relative, a synonym or a slip of the pen instead of themselves.
    pub renamed: u16,
    /// Words of content that both have.
    pub shared: u16,
    /// Both ask for the same (who, when, how long, …).
    pub same_question: bool,
    /// Share of pairs of shared words that stand in the same order, 0 to 1; 1 for fewer than two.
    pub order: f32,
    /// Words of the shorter for each of the longer, 0 to 1.
    pub length: f32,
    /// Both hold values, and their number is the same.
    pub values: bool,
    /// One of them is not English, or was not read to its end: only some guards hold, decide by the strict profile.
    pub needs_strict: bool,
}

/// Compare without refusing.
#[must_use]
pub fn signals(left: &Question, right: &Question) -> Signals {
    let aligned = align(left, right);
    let shared: Vec<usize> = partners(&aligned)
        .filter(|&(i, _)| left.words[i].is(CONTENT))
        .map(|(_, j)| j)
        .take(64)
        .collect();
    let mut ordered = 0_u16;
    let mut all = 0_u16;
    for (nth, first) in shared.iter().enumerate() {
        for second in &shared[nth + 1..] {
            all += 1;
            ordered += u16::from(first < second);
        }
    }
    let count = |only: &[u16]| u16::try_from(only.len()).unwrap_or(u16::MAX);
    let size = |question: &Question| f32::from(u16::try_from(question.words.len()).unwrap_or(u16::MAX));
    let (a, b) = (size(left), size(right));
    Signals {
        unmatched_left: count(&aligned.only_left),
        unmatched_right: count(&aligned.only_right),
        renamed: aligned.renamed,
        shared: aligned.shared,
        same_question: left.frame.ask == right.frame.ask && left.frame.ask != Ask::Action,
        order: if all == 0 {
            1.0
        } else {
            f32::from(ordered) / f32::from(all)
        },
        length: if a.max(b) == 0.0 { 1.0 } else { a.min(b) / a.max(b) },
        values: !left.quantities.is_empty() && left.quantities.len() == right.quantities.len(),
        needs_strict: left.needs_strict() || right.needs_strict(),
    }
}
