//! What becomes of a character that stands alone: NFKC and case folding, looked up instead of computed.
//!
//! Normalising looks at neighbours only where a character may join the one before it. Text is therefore cut before
//! every character that never does ([`Alone::begins`]), and a piece of one character is the same everywhere: it is
//! computed once by the crates that own the Unicode data and kept in a page of 256 characters. Pages are made when
//! first asked for; pages that folding leaves as they are (Han, Hangul, unassigned planes) hold nothing, so that even
//! text with every character there is costs under 1 MB.

use std::sync::OnceLock;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, is_nfc_quick};

/// Octets that fit an entry.
const ROOM: usize = 6;

/// The character may join or move before the character in front of it.
const JOINS: u8 = 1;
/// The result does not fit, is empty or holds a blank among other characters: it must be worked out.
const WORK_OUT: u8 = 2;
/// The result is one blank.
const BLANK: u8 = 4;
/// NFKC alone gives one ASCII capital letter.
const CAPITAL: u8 = 8;
/// NFKC alone gives something with a small letter.
const SMALL: u8 = 16;
/// The result is of letters and digits only.
const WORD: u8 = 32;

/// The folding of one character by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Alone {
    octets: [u8; ROOM],
    length: u8,
    marks: u8,
}

impl Alone {
    /// Whether text may be cut before this character: nothing in it joins what stands before.
    pub(super) fn begins(self) -> bool {
        self.marks & JOINS == 0
    }

    /// The result, where it is short and holds no blank; one blank counts.
    pub(super) fn result(&self) -> Option<&[u8]> {
        if self.marks & WORK_OUT == 0 {
            Some(&self.octets[..usize::from(self.length)])
        } else {
            None
        }
    }

    /// Whether the result is one blank.
    pub(super) fn is_blank(self) -> bool {
        self.marks & BLANK != 0
    }

    /// Whether the character is an ASCII capital letter, in whatever width or style.
    pub(super) fn is_capital(self) -> bool {
        self.marks & CAPITAL != 0
    }

    /// Whether the character is a small letter, so that text with it is not wholly in capitals.
    pub(super) fn is_small(self) -> bool {
        self.marks & SMALL != 0
    }

    /// Whether the result belongs to a word.
    pub(super) fn is_word(self) -> bool {
        self.marks & WORD != 0
    }
}

enum Page {
    /// Every character of the page stays what it is, and all have these marks.
    Unchanged(u8),
    Entries(Box<[Alone; 256]>),
}

static PAGES: [OnceLock<Page>; 0x1100] = [const { OnceLock::new() }; 0x1100];

/// The folding of `character` by itself.
pub(super) fn alone(character: char) -> Alone {
    let code = character as usize;
    match PAGES[code >> 8].get_or_init(|| page(code >> 8)) {
        Page::Entries(entries) => entries[code & 0xFF],
        Page::Unchanged(marks) => unchanged(character, *marks),
    }
}

fn unchanged(character: char, marks: u8) -> Alone {
    let mut octets = [0; ROOM];
    let length = character.encode_utf8(&mut octets).len().to_le_bytes()[0];
    Alone { octets, length, marks }
}

fn page(number: usize) -> Page {
    let mut entries = Box::new([Alone::default(); 256]);
    let mut same = true;
    for (offset, entry) in entries.iter_mut().enumerate() {
        // A page of surrogates is never asked for: they are no characters.
        let Some(character) = u32::try_from(number << 8 | offset).ok().and_then(char::from_u32) else {
            continue;
        };
        *entry = work_out(character);
        same &= entry.octets == unchanged(character, 0).octets;
    }
    let marks = entries[0].marks;
    same &= entries.iter().all(|entry| entry.marks == marks);
    if same {
        Page::Unchanged(marks)
    } else {
        Page::Entries(entries)
    }
}

fn work_out(character: char) -> Alone {
    let mut entry = Alone::default();
    let normal: String = std::iter::once(character).nfkc().collect();
    let folded: String = normal.chars().default_case_fold().collect();
    if joins(character) {
        entry.marks |= JOINS;
    }
    let blanks = folded.chars().filter(|&part| super::normalise::is_blank(part)).count();
    if blanks == 1 && folded.chars().count() == 1 {
        // Every blank is written as a space.
        entry.marks |= BLANK;
        entry.octets[0] = b' ';
        entry.length = 1;
        return entry;
    }
    if normal.len() == 1 && normal.as_bytes()[0].is_ascii_uppercase() {
        entry.marks |= CAPITAL;
    }
    if normal.chars().any(char::is_lowercase) {
        entry.marks |= SMALL;
    }
    if folded.chars().all(char::is_alphanumeric) {
        entry.marks |= WORD;
    }
    if blanks > 0 || folded.is_empty() || folded.len() > ROOM {
        entry.marks |= WORK_OUT;
    } else {
        entry.octets[..folded.len()].copy_from_slice(folded.as_bytes());
        entry.length = folded.len().to_le_bytes()[0];
    }
    entry
}

/// Whether a character, or the first of those it decomposes to, can compose with or move before the one in front.
fn joins(character: char) -> bool {
    let Some(first) = std::iter::once(character).nfkd().next() else {
        return true;
    };
    canonical_combining_class(first) != 0
        || canonical_combining_class(character) != 0
        || is_nfc_quick(std::iter::once(first)) == IsNormalized::Maybe
        || is_nfc_quick(std::iter::once(character)) == IsNormalized::Maybe
}
