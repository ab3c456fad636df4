//! The same instruction given twice, in the same words or in others that differ only by what says nothing.

use std::collections::HashSet;

use super::edit::Edit;
use super::light::{Sentence, spoken, without};
use super::protect::Protected;
use crate::text::stem::stem;

/// An instruction of fewer words of its own is too short to be sure about.
const LEAST_WORDS: usize = 3;

/// Take away each sentence that says what an earlier one says. Sentences with numbers, quotes, placeholders or negations
/// are kept: whoever repeats those may mean it.
pub(super) fn edits(text: &str, protected: &Protected) -> Vec<Edit> {
    let spoken = spoken(text, &protected.words);
    let mut seen: HashSet<Vec<Vec<u8>>> = HashSet::new();
    let mut all = Vec::new();
    for (group, sentence) in spoken.iter().enumerate() {
        let Some(key) = meaning(text, sentence, protected) else {
            continue;
        };
        if !seen.insert(key) {
            all.push(without(text, sentence, &spoken, "duplicate instruction", group));
        }
    }
    all
}

/// The words that matter, in their order and without their endings.
fn meaning(text: &str, sentence: &Sentence<'_>, protected: &Protected) -> Option<Vec<Vec<u8>>> {
    if protected.words.touch(&sentence.range)
        || sentence.stretch.numbered
        || text[sentence.range.clone()].ends_with([':', '?'])
    {
        return None;
    }
    let mut key = Vec::new();
    for lexeme in sentence.lexemes.iter().filter(|lexeme| lexeme.is_word) {
        let word = lexeme.lower.as_ref();
        if NEGATIONS.contains(&word) || word.ends_with("n't") {
            return None;
        }
        if !SAYS_NOTHING.contains(&word) {
            let mut bytes = word.as_bytes().to_vec();
            stem(&mut bytes);
            key.push(bytes);
        }
    }
    (key.len() >= LEAST_WORDS).then_some(key)
}

const NEGATIONS: &[&str] = &[
    "not", "no", "never", "none", "nor", "neither", "without", "except", "unless", "cannot", "nothing", "nobody",
    "avoid", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
];

const SAYS_NOTHING: &[&str] = &[
    "please",
    "kindly",
    "make",
    "sure",
    "ensure",
    "that",
    "you",
    "your",
    "to",
    "be",
    "the",
    "a",
    "an",
    "it",
    "is",
    "are",
    "remember",
    "very",
    "really",
    "important",
    "essential",
    "crucial",
    "also",
    "note",
    "keep",
    "in",
    "mind",
    "of",
    "and",
];
