//! Phrases and what they become: the small language that the tables are written in, compiled at first use.
//!
//! `in order to => to` replaces three words by one; `please => ` takes one away. A part may have alternatives
//! (`would|could`) and be optional (`that?`). `^` in front: only where a sentence begins; `$` at the end: only where it
//! ends. After the last part: `>base` only before a verb in its basic form, `>noun` before a word that may be one, as far as
//! that can be told, `>number` before digits; `!of|to` only before a word that is none of these.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lexeme::Lexeme;
use super::phrase_tables::{LIGHT, NOT_BASE_VERBS, STRONG};
use super::weight::Weights;

/// What a phrase is replaced by, and where it may stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phrase {
    pub(super) instead: &'static str,
    pub(super) rule: &'static str,
    before: Before,
    /// Words that may not follow, as the table has them; where some are named, a word must.
    not_before: &'static str,
    /// `to` is one of its words: what follows is in the infinitive.
    pub(super) infinitive: bool,
    place: Place,
}

impl Phrase {
    /// Whether an order follows.
    pub(super) fn before_verb(&self) -> bool {
        self.before == Before::Verb
    }

    /// Whether it may stand before this lexeme, or at the end of its sentence.
    fn fits_before(&self, next: Option<&Lexeme<'_>>) -> bool {
        let fits = match self.before {
            Before::Anything => true,
            Before::Verb => next.is_some_and(may_be_verb),
            Before::Noun => next.is_some_and(|next| !next.fixed && is_open(next)),
            Before::Number => next.is_some_and(|next| next.lower.starts_with(|c: char| c.is_ascii_digit())),
        };
        let named = |next: &Lexeme<'_>| self.not_before.split('|').any(|word| next.is(word));
        fits && (self.not_before.is_empty() || next.is_some_and(|next| next.is_word && !named(next)))
    }
}

/// What must follow a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Anything,
    Verb,
    Noun,
    Number,
}

/// Where in its sentence a phrase may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    Beginning,
    End,
}

type Sequences = Vec<(Vec<&'static str>, Phrase)>;

/// Word sequences by their first two words (the second is empty where there is only one), longest first.
pub(super) struct Table(HashMap<&'static str, HashMap<&'static str, Sequences>>);

pub(super) static LIGHT_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&[LIGHT]));
pub(super) static STRONG_TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&[LIGHT, STRONG]));

impl Table {
    fn new(lists: &[&[(&'static str, &'static str)]]) -> Self {
        let mut table: HashMap<&'static str, HashMap<&'static str, Sequences>> = HashMap::new();
        for (rule, lines) in lists.iter().copied().flatten() {
            for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let (pattern, instead) = line.split_once("=>").unwrap_or((line, ""));
                let mut phrase = Phrase {
                    instead: instead.trim(),
                    rule,
                    before: Before::Anything,
                    not_before: "",
                    infinitive: false,
                    place: Place::Anywhere,
                };
                for words in expand(pattern, &mut phrase) {
                    if let Some(first) = words.first() {
                        let phrase = Phrase {
                            infinitive: words.contains(&"to"),
                            ..phrase
                        };
                        let second = words.get(1).copied().unwrap_or_default();
                        let sequences = table.entry(first).or_default().entry(second).or_default();
                        sequences.push((words, phrase));
                    }
                }
            }
        }
        for phrases in table.values_mut().flat_map(HashMap::values_mut) {
            phrases.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
        }
        Self(table)
    }

    /// The longest phrase that stands at `at`, and how many lexemes it takes.
    pub(super) fn find(
        &self,
        lexemes: &[Lexeme<'_>],
        weights: &Weights,
        at: usize,
        begins: bool,
    ) -> Option<(Phrase, usize)> {
        let first = self.0.get(lexemes.get(at)?.lower.as_ref())?;
        let second = lexemes.get(at + 1).and_then(|next| first.get(next.lower.as_ref()));
        let candidates = second.into_iter().flatten().chain(first.get("").into_iter().flatten());
        candidates.into_iter().find_map(|(words, phrase)| {
            let place = lexemes.get(at..at + words.len())?;
            let same = place
                .iter()
                .zip(words)
                .all(|(lexeme, word)| !lexeme.fixed && lexeme.is(word));
            let next = lexemes.get(at + words.len());
            let fits = (phrase.place != Place::Beginning || begins)
                && (phrase.place != Place::End || next.is_none_or(|lexeme| matches!(lexeme.lower.as_ref(), "." | "!")))
                && phrase.fits_before(next);
            // `Note that A and that B` needs its head.
            let headed = words.last() == Some(&"that") && pair_follows(lexemes, at + words.len(), "that");
            (same && fits && !headed && !weights.weigh(words, phrase.instead, lexemes, at, begins))
                .then_some((*phrase, words.len()))
        })
    }
}

/// Lexemes in which the second half of a pair is looked for; without a limit a hostile sentence costs its square.
const LONGEST_HEAD: usize = 200;

/// Whether `and` or `or` with this word behind it follows in the sentence.
fn pair_follows(lexemes: &[Lexeme<'_>], from: usize, word: &str) -> bool {
    let rest = lexemes
        .get(from..lexemes.len().min(from + LONGEST_HEAD))
        .unwrap_or_default();
    rest.windows(2)
        .any(|pair| (pair[0].is("and") || pair[0].is("or")) && pair[1].is(word))
}

/// Whether a word may be a verb in its basic form, or an adverb before one: what an order begins with.
pub(super) fn may_be_verb(lexeme: &Lexeme<'_>) -> bool {
    let word = lexeme.lower.as_ref();
    let inflected = word.ends_with("ing") || (word.ends_with("ed") && word != "need");
    !lexeme.fixed && !inflected && is_open(lexeme)
}

/// Whether a word is none of the small ones, with which a noun or verb never begins.
fn is_open(lexeme: &Lexeme<'_>) -> bool {
    lexeme.is_word && !NOT_BASE_VERBS.contains(&lexeme.lower.as_ref())
}

fn expand(pattern: &'static str, phrase: &mut Phrase) -> Vec<Vec<&'static str>> {
    let mut all: Vec<Vec<&'static str>> = vec![Vec::new()];
    for part in pattern.split_whitespace() {
        match part {
            "^" => phrase.place = Place::Beginning,
            "$" => phrase.place = Place::End,
            ">base" => phrase.before = Before::Verb,
            ">noun" => phrase.before = Before::Noun,
            ">number" => phrase.before = Before::Number,
            _ if part.starts_with('!') => phrase.not_before = &part[1..],
            _ => {
                let (choices, optional) = part.strip_suffix('?').map_or((part, false), |choices| (choices, true));
                let mut longer = if optional { all.clone() } else { Vec::new() };
                for choice in choices.split('|') {
                    longer.extend(all.iter().map(|words| {
                        let mut words = words.clone();
                        words.push(choice);
                        words
                    }));
                }
                all = longer;
            }
        }
    }
    all
}
