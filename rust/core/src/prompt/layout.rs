//! Where blanks and lines say something: prompts that speak of them, tables, boards, records; and prompts that count.

use std::ops::Range;

use super::protect::lines;

/// For each line, whether its blanks may be meant: a missing cell, a free seat, a field of a record.
///
/// That is told by the block, which is the lines between two blank ones. Tables keep their gaps: a gap of any width is
/// one token, and where each cell stands says which column it is in.
pub(super) fn meant(text: &str, every: &[Range<usize>]) -> Vec<bool> {
    let mut found = Vec::with_capacity(every.len());
    for block in every.split_inclusive(|line| text[line.clone()].trim().is_empty()) {
        let rows: Vec<&str> = block
            .iter()
            .map(|line| &text[line.clone()])
            .filter(|row| has_gap(row))
            .collect();
        let prose = rows.iter().all(|row| is_prose(row)) && (rows.len() < 2 || has_full_stop(&rows));
        found.extend(block.iter().map(|_| !prose));
    }
    found
}

/// Whether every line ends as a sentence does: paragraphs, not rows.
fn has_full_stop(rows: &[&str]) -> bool {
    rows.iter().all(|row| row.trim_end().ends_with(['.', '!', '?']))
}

/// Whether a line has a gap inside: two blanks or more, or a tab; two behind a full stop are a way of typing.
fn has_gap(line: &str) -> bool {
    let line = line.trim();
    line.contains('\t')
        || line.match_indices("  ").any(|(at, _)| {
            let wide = line[at..].starts_with("   ");
            wide || !line[..at].ends_with(['.', '!', '?', ' '])
        })
}

/// Whether a line reads as a sentence: words in small letters, most of them.
pub(super) fn is_prose(line: &str) -> bool {
    let (mut all, mut words) = (0, 0);
    for part in line.split_whitespace() {
        let word = part.trim_matches(|c: char| c.is_ascii_punctuation());
        let mut letters = word.chars();
        let first = letters.next();
        let plain = first.is_some_and(char::is_alphabetic)
            && letters.all(|c| c.is_alphabetic() && !c.is_uppercase() || matches!(c, '\'' | '’' | '-'));
        all += 1;
        words += usize::from(plain && (word.len() > 1 || matches!(word, "a" | "A" | "I")));
    }
    words > 2 && words * 3 >= all * 2
}

/// Whether a line of one repeated sign is the frame of a picture rather than a rule between parts.
pub(super) fn is_frame(text: &str, every: &[Range<usize>], index: usize) -> bool {
    let sign = text[every[index].clone()].chars().next();
    let beside = [index.checked_sub(1), Some(index + 1)];
    beside
        .into_iter()
        .flatten()
        .filter_map(|at| every.get(at))
        .any(|line| text[line.clone()].chars().next() == sign && sign.is_some())
}

/// Whether a prompt speaks of blanks, lines or places, or shows a picture made of signs: then all of them stay.
pub(super) fn matters(text: &str) -> bool {
    let lower = text.to_lowercase();
    let bytes = lower.as_bytes();
    let starts = |at: usize| at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
    LAYOUTS
        .iter()
        .any(|word| lower.match_indices(word).any(|(at, _)| starts(at)))
        || ["column ", "columns "].iter().any(|word| {
            lower
                .match_indices(word)
                .any(|(at, _)| bytes.get(at + word.len()).is_some_and(u8::is_ascii_digit))
        })
}

/// Whether a prompt asks how often something stands in it, or adds up what does: then what is repeated says something.
pub(super) fn counts(text: &str) -> bool {
    let mut before = String::new();
    for line in lines(text) {
        for word in text[line]
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            let word = word.to_lowercase();
            let asked = before == "how" && matches!(word.as_str(), "many" | "much" | "often");
            if asked || COUNTS.contains(&word.as_str()) {
                return true;
            }
            before = word;
        }
    }
    false
}

const COUNTS: &[&str] = &[
    "count",
    "counts",
    "counting",
    "sum",
    "sums",
    "total",
    "totals",
    "average",
    "mean",
    "median",
    "tally",
    "frequency",
    "frequencies",
    "occurrence",
    "occurrences",
    "occurs",
    "occur",
    "duplicate",
    "duplicates",
    "repeated",
    "repetitions",
    "unique",
    "distinct",
    "histogram",
];

const LAYOUTS: &[&str] = &[
    "spacing",
    "spaces",
    "whitespace",
    "white space",
    "white-space",
    "blank line",
    "empty line",
    "line break",
    "double blank",
    "double space",
    "indent",
    "line number",
    "which line",
    "what line",
    "verbatim",
    "format exactly",
    "exactly as it is",
    "exactly as they are",
    "character for character",
    "byte for byte",
    "layout",
    "aligned",
    "alignment",
    "fixed-width",
    "fixed width",
    "monospace",
    "ascii",
    "maze",
    "board:",
    "grid:",
    "tic-tac-toe",
    "sudoku",
    "chess",
    "crossword",
    "seating",
    "haiku:",
    "poem:",
    "hard break",
];
