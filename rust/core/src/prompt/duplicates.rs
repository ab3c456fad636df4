//! The same instruction given twice, in the same words or in others that the guards take for the same.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::ops::Range;

use super::edit::Edit;
use super::layout;
use super::light::{Sentence, spoken, without};
use super::protect::Protected;
use super::repeats::{Scope, Steps, scopes};
use crate::guard::instruction::Instruction;

/// A sentence of more words says too much to be said twice, and reading it costs.
const MOST_WORDS: usize = 60;

/// In texts of more sentences only those are read that have all their words in common: pairs are too many.
const MOST_SENTENCES: usize = 1_000;

/// Instructions that another one is compared with, the nearest ones: with all of them, many would cost their square.
const MOST_SEEN: usize = 500;

/// Letters by which words are taken for the same before anything is read.
const HEAD: usize = 4;

/// An instruction and where it holds.
struct Given {
    instruction: Instruction,
    range: Range<usize>,
    scope: Scope,
}

impl Given {
    /// Does it say and hold wherever `later` does?
    fn covers(&self, later: &Self) -> bool {
        self.scope.covers(later.scope) && later.instruction.restates(&self.instruction)
    }
}

/// Take away each sentence that asks for what an earlier one asks for and that holds nowhere else.
///
/// Statements, numbered steps, questions, labels and sentences with quotes, digits, ids or placeholders are kept: whoever repeats
/// those may mean it. So may whoever gives a step of a procedure again after another one.
pub(super) fn edits(text: &str, protected: &Protected) -> Vec<Edit> {
    if layout::counts(text) {
        return Vec::new();
    }
    let spoken = spoken(text, &protected.words);
    let alike = alike(&spoken);
    let steps = LazyCell::new(|| Steps::of(text, &spoken));
    let mut seen: Vec<Given> = Vec::new();
    let mut all = Vec::new();
    for ((group, sentence), mut scope) in spoken.iter().enumerate().zip(scopes(text, &spoken)) {
        let words = &text[sentence.range.clone()];
        let Some(instruction) = alike[group].then(|| read(words, sentence, protected)).flatten() else {
            continue;
        };
        scope.case = scope.case.filter(|_| !instruction.is_general());
        let given = Given {
            range: sentence.range.clone(),
            scope,
            instruction,
        };
        // The last one tells: what stands between it and this one is all that was to be done in the meantime.
        match seen.iter().rev().take(MOST_SEEN).find(|one| one.covers(&given)) {
            Some(last) if !steps.repeat(&last.range, &given.range) => {
                all.push(without(text, sentence, &spoken, "duplicate instruction", group));
            }
            _ => seen.push(given),
        }
    }
    all
}

/// Which sentences share enough of their words with another one to be worth reading: that costs as much as all the rest.
fn alike(spoken: &[Sentence<'_>]) -> Vec<bool> {
    let heads: Vec<Vec<&[u8]>> = spoken.iter().map(heads).collect();
    let mut found = vec![false; spoken.len()];
    if heads.len() > MOST_SENTENCES {
        let mut counts: HashMap<&[&[u8]], usize> = HashMap::new();
        for heads in &heads {
            *counts.entry(heads).or_default() += 1;
        }
        return heads.iter().map(|heads| counts[heads.as_slice()] > 1).collect();
    }
    for later in 1..heads.len() {
        for earlier in 0..later {
            let few = heads[earlier].len().min(heads[later].len());
            let shared = || {
                heads[earlier]
                    .iter()
                    .filter(|head| heads[later].binary_search(head).is_ok())
                    .count()
            };
            if !(found[later] && found[earlier]) && shared() * 2 >= few.max(1) {
                (found[later], found[earlier]) = (true, true);
            }
        }
    }
    found
}

/// How the longer words of a sentence begin, sorted: endings apart, two that say the same have half of them in common.
fn heads<'a>(sentence: &'a Sentence<'_>) -> Vec<&'a [u8]> {
    let mut heads: Vec<&[u8]> = sentence
        .lexemes
        .iter()
        .filter(|lexeme| lexeme.is_word && lexeme.lower.len() >= HEAD)
        .map(|lexeme| &lexeme.lower.as_bytes()[..HEAD])
        .collect();
    heads.sort_unstable();
    heads.dedup();
    heads
}

fn read(words: &str, sentence: &Sentence<'_>, protected: &Protected) -> Option<Instruction> {
    let odd = protected.words.touch(&sentence.range)
        || sentence.stretch.numbered
        || !(words.ends_with(['.', '!']) || sentence.stretch.item && words.ends_with(char::is_alphanumeric))
        || sentence.lexemes.len() > MOST_WORDS;
    (!odd).then(|| Instruction::read(words)).flatten()
}
