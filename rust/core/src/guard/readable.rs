//! A text made fit for reading, and chunks of it that are no words.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::split::LONGEST;

/// The text to read: normalised (NFKC) without invisible characters, and not longer than `LONGEST`.
pub(super) fn readable(text: &str) -> Cow<'_, str> {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut clean: String = text
        .chars()
        .filter(|&c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{ad}' | '\u{feff}' | '\u{2060}'..='\u{2064}' | '\u{202a}'..='\u{202e}'))
        .nfkc()
        .map(|c| match c {
            '\u{2019}' | '\u{2018}' | '\u{201b}' | '\u{2bc}' => '\'',
            '\u{201c}' | '\u{201d}' | '\u{ab}' | '\u{bb}' => '"',
            '\u{2010}'..='\u{2012}' | '\u{2212}' => '-',
            other => digit(other),
        })
        .collect();
    if clean.len() > LONGEST {
        let mut end = LONGEST;
        while !clean.is_char_boundary(end) {
            end -= 1;
        }
        clean.truncate(end);
    }
    Cow::Owned(clean)
}

/// Digits of other scripts as ASCII, so that they are values too.
fn digit(character: char) -> char {
    const ZEROS: [u32; 12] = [
        0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0,
    ];
    ZEROS
        .iter()
        .find_map(|zero| (u32::from(character)).checked_sub(*zero).filter(|value| *value < 10))
        .and_then(|value| char::from_digit(value, 10))
        .unwrap_or(character)
}

/// An address, a path, an option, a name with an underscore or dots inside.
pub(super) fn is_code(open: &str) -> bool {
    let dotted = || {
        open.split_once('.').is_some_and(|(left, right)| {
            left.chars().filter(|c| c.is_alphabetic()).count() > 1
                && right.starts_with(|c: char| c.is_lowercase())
                && right.len() > 1
        })
    };
    open.contains("://")
        || open.starts_with("www.")
        || open.contains('_')
        || open.contains("::")
        || open.ends_with("()")
        || open.contains('@')
        || (open.starts_with("--") && open.len() > 3)
        || (open.starts_with(['/', '~']) && open.len() > 2)
        || open.starts_with("./")
        || (open.contains('.') && dotted())
}
