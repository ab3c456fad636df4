//! Which sentences of some passages a question is about: BM25 over sentences and passages, neighbours, kinds of answer.
//!
//! A sentence scores by its own match, by that of its passage, by its neighbours' and by whether it holds the kind of
//! thing that is asked for (a date for *when*, a number for *how many*, a name for *who* and *where*). The best are kept
//! within a budget, in their original order. Two figures say whether the choice means anything, see [`Extraction`]; the
//! caller leaves the text alone when they are low.
//!
//! BM25: Robertson and Zaragoza, *The Probabilistic Relevance Framework* (2009), with the non-negative inverse document
//! frequency ln(1 + (N − n + ½)/(n + ½)).

use std::ops::Range;

use super::question::{Question, Signs};
use crate::text::split::{sentences, word_count, words};

const SATURATION: f64 = 1.2;
const LENGTH_SHARE: f64 = 0.4;
const NEIGHBOUR_WEIGHT: f64 = 0.3;
const PASSAGE_WEIGHT: f64 = 1.0;
const KIND_WEIGHT: f64 = 0.15;
const FIRST_WEIGHT: f64 = 0.1;

/// A sentence: its passage, its bytes there and its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Index of the passage.
    pub passage: usize,
    /// Bytes of the passage.
    pub range: Range<usize>,
    /// Words, or whatever the budget is counted in.
    pub price: usize,
}

/// What was chosen, and how clear the choice was.
#[derive(Debug, Clone, PartialEq)]
pub struct Extraction {
    /// The sentences kept, in their original order.
    pub kept: Vec<Sentence>,
    /// Price of all sentences.
    pub total: usize,
    /// Share of all sentences' match with the question that the kept ones hold; 0 when nothing matches. A text that is
    /// about the question everywhere has little more of it in the kept part than elsewhere.
    pub mass: f64,
    /// Share of the question's own words that occur in the passage that matches best; 0 for a question without any.
    pub coverage: f64,
}

impl Extraction {
    /// Whether the kept part stands out: enough of the question is found, and most of the match lies in what is kept.
    ///
    /// `mass` must be at least 0.45 and 1.25 times the share that an even spread would give: with half of the text kept,
    /// half of the match says nothing.
    #[must_use]
    pub fn has_peak(&self) -> bool {
        let kept: usize = self.kept.iter().map(|sentence| sentence.price).sum();
        let share = ratio(kept, self.total);
        self.coverage >= 0.25 && self.mass >= (1.25 * share).clamp(0.45, 0.95)
    }
}

impl Extraction {
    /// What is kept of one passage, as text: sentences that stood together keep the blanks between them, others are
    /// parted by a blank, or by the line feeds that stood somewhere between them.
    #[must_use]
    pub fn text(&self, passage: usize, original: &str) -> String {
        let mut text = String::new();
        let mut last: Option<&Sentence> = None;
        for sentence in self.kept.iter().filter(|sentence| sentence.passage == passage) {
            if let Some(before) = last {
                let between = &original[before.range.end..sentence.range.start];
                text.push_str(if between.trim().is_empty() {
                    between
                } else {
                    gap(between)
                });
            }
            text.push_str(&original[sentence.range.clone()]);
            last = Some(sentence);
        }
        text
    }
}

fn gap(left_out: &str) -> &'static str {
    if left_out.contains("\n\n") {
        "\n\n"
    } else if left_out.contains('\n') {
        "\n"
    } else {
        " "
    }
}

/// What may be kept.
pub enum Budget<'a> {
    /// A share of the words, between 0 and 1.
    Share(f64),
    /// A number of units, as the function counts them for a sentence.
    Units(usize, &'a dyn Fn(&str) -> usize),
}

/// Choose the sentences of `passages` that `question` is about, within a budget.
#[must_use]
pub fn extract(passages: &[&str], question: &str, budget: &Budget<'_>) -> Extraction {
    let mut all = Vec::new();
    for (passage, text) in passages.iter().enumerate() {
        all.extend(sentences(text).into_iter().map(|range| {
            let sentence = &text[range.clone()];
            let price = match budget {
                Budget::Share(_) => word_count(sentence),
                Budget::Units(_, count) => count(sentence),
            };
            Sentence { passage, range, price }
        }));
    }
    let total: usize = all.iter().map(|sentence| sentence.price).sum();
    let allowed = match budget {
        Budget::Share(share) => share_of(total, *share),
        Budget::Units(units, _) => *units,
    };
    let question = Question::new(question);
    let matched = Matched::new(passages, &all, &question);
    let scores = matched.scores(&all, passages.len(), &question);
    let kept = choose(&all, &scores.sentence, allowed);
    let sum: f64 = scores.own.iter().sum();
    let held: f64 = kept.iter().map(|index| scores.own[*index]).sum();
    Extraction {
        mass: if sum > 0.0 { held / sum } else { 0.0 },
        coverage: matched.coverage(&all, passages.len()),
        kept: kept.into_iter().map(|index| all[index].clone()).collect(),
        total,
    }
}

/// Indices of the best sentences that fit, in their original order.
fn choose(all: &[Sentence], scores: &[f64], allowed: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let mut left = allowed;
    let mut kept: Vec<usize> = order
        .into_iter()
        .filter(|index| {
            let fits = all[*index].price <= left;
            left -= if fits { all[*index].price } else { 0 };
            fits
        })
        .collect();
    kept.sort_unstable();
    kept
}

/// How often each word of the question occurs in each sentence, and what kinds of things the sentence holds.
struct Matched {
    terms: usize,
    counts: Vec<u32>,
    lengths: Vec<u32>,
    signs: Vec<Signs>,
}

struct Scores {
    own: Vec<f64>,
    sentence: Vec<f64>,
}

impl Matched {
    fn new(passages: &[&str], all: &[Sentence], question: &Question) -> Self {
        let terms = question.len();
        let mut exact = vec![0u32; all.len() * terms];
        let mut similar = vec![0u32; all.len() * terms];
        let mut lengths = Vec::with_capacity(all.len());
        let mut signs = Vec::with_capacity(all.len());
        let mut buffer = Vec::with_capacity(32);
        for (index, sentence) in all.iter().enumerate() {
            let text = &passages[sentence.passage][sentence.range.clone()];
            let mut found = Signs::default();
            let mut length = 0;
            for word in words(text) {
                question.notice(&text[word.clone()], length == 0, &mut found);
                length += 1;
                question.look_up(&text[word], &mut buffer, |term, is_exact| {
                    let counts = if is_exact { &mut exact } else { &mut similar };
                    counts[index * terms + term] += 1;
                });
            }
            lengths.push(length);
            signs.push(found);
        }
        // A word that occurs nowhere may stand there in another form: `septicemia`, `septicemic`.
        for term in 0..terms {
            if (0..all.len()).all(|index| exact[index * terms + term] == 0) {
                (0..all.len()).for_each(|index| exact[index * terms + term] = similar[index * terms + term]);
            }
        }
        Self {
            terms,
            counts: exact,
            lengths,
            signs,
        }
    }

    fn scores(&self, all: &[Sentence], passages: usize, question: &Question) -> Scores {
        let own = bm25(&self.counts, &self.lengths, self.terms);
        let (passage_counts, passage_lengths) = self.by_passage(all, passages);
        let of_passage = bm25(&passage_counts, &passage_lengths, self.terms);
        let (best, best_passage) = (peak(&own), peak(&of_passage));
        let part = |index: usize| own.get(index).map_or(0.0, |score| score / best);
        let same = |a: usize, b: usize| all.get(b).is_some_and(|other| other.passage == all[a].passage);
        let sentence = (0..all.len())
            .map(|index| {
                let passage = of_passage[all[index].passage] / best_passage;
                let first = index == 0 || !same(index, index - 1);
                let before = if first { 0.0 } else { part(index - 1) };
                let after = if same(index, index + 1) { part(index + 1) } else { 0.0 };
                let kind = if question.wants(self.signs[index]) {
                    KIND_WEIGHT
                } else {
                    0.0
                };
                let lead = if first { FIRST_WEIGHT } else { 0.0 };
                part(index) + NEIGHBOUR_WEIGHT * (before + after) + passage * (PASSAGE_WEIGHT + kind + lead)
            })
            .collect();
        Scores { own, sentence }
    }

    fn by_passage(&self, all: &[Sentence], passages: usize) -> (Vec<u32>, Vec<u32>) {
        let mut counts = vec![0; passages * self.terms];
        let mut lengths = vec![0; passages];
        for (index, sentence) in all.iter().enumerate() {
            lengths[sentence.passage] += self.lengths[index];
            for term in 0..self.terms {
                counts[sentence.passage * self.terms + term] += self.counts[index * self.terms + term];
            }
        }
        (counts, lengths)
    }

    fn coverage(&self, all: &[Sentence], passages: usize) -> f64 {
        let (counts, _) = self.by_passage(all, passages);
        let best = counts
            .chunks_exact(self.terms.max(1))
            .map(|row| row.iter().filter(|count| **count > 0).count())
            .max();
        if self.terms == 0 {
            0.0
        } else {
            ratio(best.unwrap_or(0), self.terms)
        }
    }
}

/// The BM25 score of each of the units whose term counts are given row by row.
fn bm25(counts: &[u32], lengths: &[u32], terms: usize) -> Vec<f64> {
    let units = lengths.len();
    let average = f64::max(
        lengths.iter().map(|length| f64::from(*length)).sum::<f64>() / as_f64(units.max(1)),
        1.0,
    );
    let weights: Vec<f64> = (0..terms)
        .map(|term| {
            let with = as_f64((0..units).filter(|unit| counts[unit * terms + term] > 0).count());
            (1.0 + (as_f64(units) - with + 0.5) / (with + 0.5)).ln()
        })
        .collect();
    (0..units)
        .map(|unit| {
            let long = SATURATION * (1.0 - LENGTH_SHARE + LENGTH_SHARE * f64::from(lengths[unit]) / average);
            let row = &counts[unit * terms..(unit + 1) * terms];
            row.iter()
                .zip(&weights)
                .filter(|(count, _)| **count > 0)
                .map(|(count, weight)| weight * f64::from(*count) * (SATURATION + 1.0) / (f64::from(*count) + long))
                .sum()
        })
        .collect()
}

/// The highest score, or 1 where nothing scored: it is only divided by.
fn peak(scores: &[f64]) -> f64 {
    let highest = scores.iter().copied().fold(0.0, f64::max);
    if highest > 0.0 { highest } else { 1.0 }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { as_f64(part) / as_f64(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "counts of words: far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the share is clamped to 0..=1, so the product is between 0 and `total`"
)]
fn share_of(total: usize, share: f64) -> usize {
    (as_f64(total) * share.clamp(0.0, 1.0)) as usize
}
