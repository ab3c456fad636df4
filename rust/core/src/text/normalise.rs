//! Two spellings of one text: lossless for keys of anything, folded for matching questions.
//!
//! *Lossless* turns CRLF into LF and nothing else. *Folded* is for one short line that somebody typed: NFKC, full case
//! folding, blanks folded to single spaces and trimmed, closing `.?!` dropped. Folding serves keys only; the text that
//! is sent is never touched.
//!
//! The recipe is Python's `" ".join(unicodedata.normalize("NFKC", text).casefold().split())`, character for character
//! (for characters that Python's Unicode version knows), so its blanks are Python's: `White_Space` of Unicode and the
//! four information separators U+001C to U+001F. On top of it, [`fold`] keeps the capitals of words like `US` and
//! drops closing marks. Folding what is folded changes nothing, but for rare marks that case folding frees from their
//! letter (`İ` with a cedilla); such a pair misses, it is never mistaken.

use std::borrow::Cow;

use super::closing;
use super::fold::Folded;

/// Versions of the Unicode data behind NFKC and case folding; part of every folded key.
pub const UNICODE_VERSION: [u8; 6] = {
    let (normal, folding) = (unicode_normalization::UNICODE_VERSION, caseless::UNICODE_VERSION);
    [
        normal.0,
        normal.1,
        normal.2,
        folding.0.to_le_bytes()[0],
        folding.1.to_le_bytes()[0],
        folding.2.to_le_bytes()[0],
    ]
};

/// A question is at most this many characters long; longer text is a document.
pub const QUESTION_CHARACTERS: usize = 512;

/// Whether Python's `str.split()` splits at this character.
#[must_use]
pub fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1C}'..='\u{1F}')
}

/// `text` (UTF-8, surrogates allowed) with CRLF as LF.
#[must_use]
pub fn lossless(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\r', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut lines = Vec::with_capacity(text.len());
    for (index, &octet) in text.iter().enumerate() {
        if octet != b'\r' || text.get(index + 1) != Some(&b'\n') {
            lines.push(octet);
        }
    }
    Cow::Owned(lines)
}

/// Whether `text` is one line that somebody asks, in which case and blanks carry no meaning.
///
/// Not so: nothing at all, several lines, a code fence, braces, more than [`QUESTION_CHARACTERS`], and raised or
/// lowered figures (`2³` is not `23`, which NFKC makes of it).
#[must_use]
pub fn is_plain_question(text: &str) -> bool {
    let text = text.trim_matches(is_blank);
    // A character is at most 4 octets, so that huge text is not looked at.
    if text.is_empty() || text.len() > 4 * QUESTION_CHARACTERS {
        return false;
    }
    let (mut high, mut special) = (0u8, 0u8);
    for &octet in text.as_bytes() {
        high |= octet;
        special |= u8::from(matches!(octet, b'{' | b'}' | b'`' | b'\n'..=b'\r' | 0x1C..=0x1E));
    }
    if special != 0 && text.contains(|character| matches!(character, '{' | '}' | '\n'..='\r' | '\u{1C}'..='\u{1E}')) {
        return false;
    }
    if special != 0 && text.contains("```") {
        return false;
    }
    if high < 0x80 {
        text.len() <= QUESTION_CHARACTERS
    } else {
        is_plain_beyond_ascii(text)
    }
}

fn is_plain_beyond_ascii(text: &str) -> bool {
    let mut characters = 0;
    for character in text.chars() {
        characters += 1;
        let line_break = matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}');
        let raised_or_lowered = matches!(character, '²' | '³' | '¹' | '\u{2070}'..='\u{209C}');
        if line_break || raised_or_lowered {
            return false;
        }
    }
    characters <= QUESTION_CHARACTERS
}

/// Append the question of `text`: folded, capitals kept where they make another word, closing marks dropped.
pub fn fold_into(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    Folded::write(text, out, true);
    let end = start + closing::without_marks(&out[start..]).len();
    out.truncate(end);
}

/// What [`fold_into`] appends, as a string.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut out = Vec::new();
    fold_into(text, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The recipe alone: NFKC, case folding, blanks folded and trimmed.
#[must_use]
pub fn fold_unicode(text: &str) -> String {
    let mut out = Vec::new();
    Folded::write(text, &mut out, false);
    String::from_utf8(out).unwrap_or_default()
}
