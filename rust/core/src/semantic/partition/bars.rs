//! Pairs that must never meet again: a reported wrong answer bars both phrasings' neighbourhoods for good.

use std::collections::VecDeque;

/// Pairs remembered; of more, the oldest are let go.
const MOST: usize = 1024;
/// Cosine from which a question lies in the neighbourhood of a barred phrasing.
const NEAR: f32 = 0.92;

/// The unit vectors of a question and of the entry that it is barred from.
type Pair = (Box<[f32]>, Box<[f32]>);

/// Barred pairs as unit vectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bars {
    pairs: VecDeque<Pair>,
}

impl Bars {
    /// Bar a question from an entry's question, in both directions.
    pub(super) fn add(&mut self, question: &[f32], entry: &[f32]) {
        if self.pairs.len() >= MOST {
            self.pairs.pop_front();
        }
        self.pairs.push_back((question.into(), entry.into()));
    }

    /// The phrasings that a question is barred from by lying near their counterparts.
    pub(super) fn against<'a>(&'a self, question: &[f32]) -> Vec<&'a [f32]> {
        let mut phrasings = Vec::new();
        for (one, other) in &self.pairs {
            if dot(question, one) >= NEAR {
                phrasings.push(&**other);
            }
            if dot(question, other) >= NEAR {
                phrasings.push(&**one);
            }
        }
        phrasings
    }

    /// Whether an entry's question lies near one of the phrasings.
    pub(super) fn hold(phrasings: &[&[f32]], entry: &[f32]) -> bool {
        phrasings.iter().any(|phrasing| dot(phrasing, entry) >= NEAR)
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn octets(&self) -> usize {
        self.pairs
            .iter()
            .map(|(one, other)| 4 * (one.len() + other.len()))
            .sum()
    }

    /// All numbers of all pairs, for keeping.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f32> {
        self.pairs
            .iter()
            .flat_map(|(one, other)| one.iter().chain(other.iter()).copied())
    }

    /// Read back what [`Bars::numbers`] gave; None when they are no whole pairs of finite vectors.
    pub(super) fn from_numbers(numbers: &[f32], dimensions: usize) -> Option<Self> {
        let chunks = numbers.chunks_exact(2 * dimensions);
        let whole = chunks.remainder().is_empty() && numbers.iter().all(|number| number.is_finite());
        whole.then(|| {
            let mut bars = Self::default();
            chunks.for_each(|chunk| bars.add(&chunk[..dimensions], &chunk[dimensions..]));
            bars
        })
    }
}

/// Inner product in lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let ((left, left_rest), (right, right_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in left.iter().zip(right) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}
