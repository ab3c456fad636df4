//! A question as [`super::extract`] sees it: the words it is made of, and the kind of answer it wants.

use crate::text::calendar::{MONTHS, WEEKDAYS};
use crate::text::split::words;
use crate::text::stem::stem;

/// Words of a question beyond this many are not looked for; no real question has so many of its own.
const MOST_TERMS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Date,
    Number,
    Name,
}

/// What kinds of things a sentence holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Signs {
    date: bool,
    number: bool,
    name: bool,
}

/// The stems of a question's words, without those that any question has.
pub(super) struct Question {
    terms: Vec<Vec<u8>>,
    /// First bytes of the terms: most words of a text are passed over by this alone.
    first: [bool; 256],
    kind: Kind,
}

impl Question {
    pub(super) fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        let all: Vec<&str> = words(&lower).map(|range| &lower[range]).collect();
        let mut terms = stems(all.iter().copied().filter(|word| !EVERYDAY.contains(word)));
        if terms.is_empty() {
            terms = stems(
                all.iter()
                    .copied()
                    .filter(|word| !INSTRUCTIONS.contains(word) && word.len() > 3),
            );
        }
        let mut first = [false; 256];
        for byte in terms.iter().filter_map(|term| term.first()) {
            first[usize::from(*byte)] = true;
        }
        Self {
            terms,
            first,
            kind: kind(&all),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.terms.len()
    }

    /// Call `found(term, exactly)` for each term that a word is, or begins like.
    pub(super) fn look_up(&self, word: &str, buffer: &mut Vec<u8>, mut found: impl FnMut(usize, bool)) {
        let Some(first) = word.bytes().next().map(|byte| byte.to_ascii_lowercase()) else {
            return;
        };
        // Capitals outside ASCII change their bytes when made small: only the slow way can tell.
        if first.is_ascii() && !self.first[usize::from(first)] {
            return;
        }
        buffer.clear();
        if word.is_ascii() {
            buffer.extend(word.bytes().map(|byte| byte.to_ascii_lowercase()));
        } else {
            buffer.extend_from_slice(word.to_lowercase().as_bytes());
        }
        stem(buffer);
        for (index, term) in self.terms.iter().enumerate() {
            if term == buffer {
                found(index, true);
            } else if alike(term, buffer) {
                found(index, false);
            }
        }
    }

    /// Note what kind of thing a word is, as far as the question wants to know.
    pub(super) fn notice(&self, word: &str, opens: bool, signs: &mut Signs) {
        match self.kind {
            Kind::Any => {}
            Kind::Name => signs.name |= !opens && word.starts_with(char::is_uppercase) && word.len() > 1,
            Kind::Number => signs.number |= word.bytes().any(|byte| byte.is_ascii_digit()) || is(word, NUMBERS),
            Kind::Date => {
                let year = word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit());
                signs.date |= year || is(word, &MONTHS) || is(word, &WEEKDAYS) || is(word, DATES);
            }
        }
    }

    pub(super) fn wants(&self, signs: Signs) -> bool {
        match self.kind {
            Kind::Any => false,
            Kind::Date => signs.date,
            Kind::Number => signs.number,
            Kind::Name => signs.name,
        }
    }
}

fn stems<'a>(words: impl Iterator<Item = &'a str>) -> Vec<Vec<u8>> {
    let mut terms: Vec<Vec<u8>> = Vec::new();
    for word in words {
        let mut bytes = word.as_bytes().to_vec();
        stem(&mut bytes);
        if !terms.contains(&bytes) && terms.len() < MOST_TERMS {
            terms.push(bytes);
        }
    }
    terms
}

/// Whether two stems share all but their last few letters.
fn alike(term: &[u8], word: &[u8]) -> bool {
    let shared = if term.len() > 5 { (term.len() - 3).max(4) } else { 4 };
    term.len() >= 5 && word.len() >= shared && term[..shared] == word[..shared]
}

fn is(word: &str, list: &[&str]) -> bool {
    list.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn kind(all: &[&str]) -> Kind {
    let pairs = || all.windows(2).map(|pair| (pair[0], pair[1]));
    let has = |word: &str| all.contains(&word);
    if has("when")
        || pairs().any(|pair| matches!(pair, ("what" | "which", "year" | "date" | "day" | "month" | "century")))
    {
        Kind::Date
    } else if pairs().any(|pair| {
        matches!(
            pair,
            (
                "how",
                "many"
                    | "much"
                    | "long"
                    | "old"
                    | "far"
                    | "tall"
                    | "big"
                    | "large"
                    | "often"
                    | "high"
                    | "deep"
                    | "fast"
            ) | ("what", "percent" | "percentage" | "number" | "amount")
        )
    }) {
        Kind::Number
    } else if has("who") || has("whom") || has("whose") || has("where") {
        Kind::Name
    } else {
        Kind::Any
    }
}

/// What tells a date besides the names of months and days.
const DATES: &[&str] = &["century", "bc", "ad"];

const NUMBERS: &[&str] = &[
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "hundred",
    "hundreds",
    "thousand",
    "thousands",
    "million",
    "billion",
    "dozen",
    "half",
    "third",
    "thirds",
    "quarter",
    "twice",
];

/// Words that say what to do with a text, not what is in it: a question of these alone has no peak.
const INSTRUCTIONS: &[&str] = &[
    "summarize",
    "summarise",
    "summary",
    "document",
    "documents",
    "text",
    "texts",
    "passage",
    "passages",
    "context",
    "article",
    "articles",
    "paragraph",
    "please",
    "tell",
    "explain",
    "describe",
    "list",
    "give",
    "provide",
    "question",
    "answer",
    "following",
    "above",
    "below",
    "based",
    "information",
    "translate",
    "rewrite",
    "write",
    "points",
    "key",
    "main",
    "content",
    "everything",
    "about",
    "overview",
    "with",
    "from",
    "what",
    "which",
    "when",
    "where",
    "does",
    "this",
    "that",
    "these",
    "those",
    "have",
    "will",
    "would",
    "could",
    "should",
    "your",
    "their",
    "there",
    "than",
    "then",
];

/// Words that questions have in common: function words and [`INSTRUCTIONS`]' commonest.
const EVERYDAY: &[&str] = &[
    "a",
    "an",
    "the",
    "of",
    "to",
    "in",
    "on",
    "at",
    "for",
    "from",
    "by",
    "with",
    "and",
    "or",
    "but",
    "is",
    "are",
    "was",
    "were",
    "be",
    "been",
    "being",
    "do",
    "does",
    "did",
    "has",
    "have",
    "had",
    "it",
    "its",
    "this",
    "that",
    "these",
    "those",
    "as",
    "what",
    "which",
    "who",
    "whom",
    "whose",
    "when",
    "where",
    "why",
    "how",
    "many",
    "much",
    "can",
    "could",
    "would",
    "should",
    "will",
    "shall",
    "may",
    "might",
    "i",
    "you",
    "he",
    "she",
    "they",
    "we",
    "me",
    "my",
    "your",
    "his",
    "her",
    "their",
    "our",
    "there",
    "here",
    "not",
    "no",
    "if",
    "then",
    "than",
    "so",
    "such",
    "into",
    "about",
    "over",
    "under",
    "after",
    "before",
    "between",
    "during",
    "s",
    "t",
    "summarize",
    "summarise",
    "summary",
    "document",
    "documents",
    "text",
    "passage",
    "passages",
    "context",
    "article",
    "articles",
    "please",
    "tell",
    "explain",
    "describe",
    "give",
    "provide",
    "question",
    "answer",
    "following",
    "above",
    "below",
    "based",
    "us",
];
