//! Where words and sentences begin and end: one pass over the bytes, no regular expression.
//!
//! A full stop ends a sentence when a blank and something other than a small letter follow, unless what stands before
//! it is an initial (`W. Haydon Burns`), an abbreviation (`St. Albans`) or the number of a list item. Abbreviations that
//! may also end a sentence (`U.S.`, `Inc.`) do so before a word that usually begins one (`The`, `In`, …).

use std::ops::Range;

/// The sentences of a text, in order, without the blanks around them; nothing but blanks lies between two of them.
///
/// A line feed ends one too, unless the next line goes on with a small letter: list items, table rows and log lines are
/// units of their own, hard-wrapped prose is not.
#[must_use]
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len() / 80 + 1);
    let (mut start, mut at) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\n' => {
                if !continues(&text[at + 1..]) {
                    push(text, start..at, &mut found);
                    start = at + 1;
                }
                at += 1;
            }
            b'.' | b'!' | b'?' => {
                let after = end_of_stop(text, at);
                if bytes.get(after).is_some_and(u8::is_ascii_whitespace) && ends_sentence(text, start, at, after) {
                    push(text, start..after, &mut found);
                    start = after;
                }
                at = after;
            }
            0xE3 | 0xEF if text[at..].starts_with(['。', '！', '？']) => {
                at += 3;
                push(text, start..at, &mut found);
                start = at;
            }
            _ => at += 1,
        }
    }
    push(text, start..bytes.len(), &mut found);
    found
}

fn push(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let whole = &text[range.clone()];
    let trimmed = whole.trim_start();
    let start = range.end - trimmed.len();
    let end = start + trimmed.trim_end().len();
    if start < end {
        found.push(start..end);
    }
}

/// Whether the text behind a line feed goes on with the sentence before it.
fn continues(rest: &str) -> bool {
    rest.trim_start_matches([' ', '\t'])
        .chars()
        .next()
        .is_some_and(char::is_lowercase)
}

/// The end of a run of stops with the quotes and brackets that close behind it.
fn end_of_stop(text: &str, at: usize) -> usize {
    let rest = text[at..].trim_start_matches(['.', '!', '?']);
    let rest = rest.trim_start_matches(['"', '\'', ')', ']', '”', '’', '»']);
    text.len() - rest.len()
}

fn ends_sentence(text: &str, start: usize, stop: usize, after: usize) -> bool {
    let rest = text[after..].trim_start_matches([' ', '\t', '\r']);
    if rest.starts_with('\n') {
        return true; // the line feed decides
    }
    let next = rest.trim_start_matches(['"', '\'', '(', '[', '“', '‘', '«']);
    if next.is_empty() || next.starts_with(char::is_lowercase) {
        return false;
    }
    if text.as_bytes()[stop] != b'.' || text[stop + 1..].starts_with('.') {
        return true;
    }
    let before = &text[start..stop];
    let word_start = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-'))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[word_start..];
    if before[..word_start].trim().is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) && word.len() <= 3 {
        return false; // the number of a list item
    }
    let initial = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_uppercase()) && word != "I";
    if initial {
        return false;
    }
    let dotted = word.len() >= 3 && word.split('.').all(|part| part.len() == 1);
    if dotted || MAY_END.iter().any(|known| word.eq_ignore_ascii_case(known)) {
        return begins_sentence(next);
    }
    !NEVER_END.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn begins_sentence(text: &str) -> bool {
    let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    STARTERS.contains(&word)
}

/// Abbreviations behind which a sentence goes on.
const NEVER_END: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "gen", "col", "lt", "capt", "sgt", "rev", "hon", "gov", "sen", "rep",
    "pres", "vs", "vol", "ed", "eds", "pp", "fig", "figs", "eq", "ca", "cf", "approx", "dept", "est", "mt", "ft", "eg",
    "ie", "jan", "feb", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "messrs", "univ", "bros",
    "art",
];

/// Abbreviations that may stand at the end of a sentence.
const MAY_END: &[&str] = &["inc", "ltd", "co", "corp", "etc", "jr", "sr", "al", "ph.d", "no"];

/// Words that, capitalised, usually begin a sentence.
const STARTERS: &[&str] = &[
    "The", "A", "An", "In", "On", "At", "It", "He", "She", "They", "We", "This", "That", "These", "Those", "However",
    "But", "And", "For", "From", "As", "By", "When", "While", "After", "Before", "If", "There", "His", "Her", "Its",
    "Their", "With", "Since", "During", "Although", "Some", "Many", "You", "Your", "Please", "What", "Who", "How",
    "To",
];

/// The words of a text: runs of letters and digits; every Chinese or Japanese character is a word of its own.
pub fn words(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let byte = *bytes.get(at)?;
            if byte.is_ascii_alphanumeric() {
                break;
            }
            if byte.is_ascii() {
                at += 1;
                continue;
            }
            let first = text[at..].chars().next()?;
            if is_ideograph(first) {
                let start = at;
                at += first.len_utf8();
                return Some(start..at);
            }
            if first.is_alphanumeric() {
                break;
            }
            at += first.len_utf8();
        }
        let start = at;
        while let Some(byte) = bytes.get(at) {
            if byte.is_ascii_alphanumeric() {
                at += 1;
                continue;
            }
            if byte.is_ascii() {
                break;
            }
            let next = text[at..].chars().next()?;
            if !next.is_alphanumeric() || is_ideograph(next) {
                break;
            }
            at += next.len_utf8();
        }
        Some(start..at)
    })
}

/// Whether a character of a script without blanks between words stands for about a word.
#[must_use]
pub fn is_ideograph(character: char) -> bool {
    matches!(u32::from(character), 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF)
}

/// How many words a text has as people count: stretches between blanks, and every ideograph.
#[must_use]
pub fn word_count(text: &str) -> usize {
    let (mut count, mut inside) = (0, false);
    if text.is_ascii() {
        for byte in text.bytes() {
            let blank = byte.is_ascii_whitespace() || byte == 0x0B;
            count += usize::from(!blank && !inside);
            inside = !blank;
        }
        return count;
    }
    for character in text.chars() {
        let ideograph = is_ideograph(character);
        let blank = character.is_whitespace() || ideograph;
        count += usize::from(ideograph || (!blank && !inside));
        inside = !blank;
    }
    count
}
