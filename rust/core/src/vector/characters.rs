//! What the tokeniser reads in place of a character: decomposed, without marks, in small letters.
//!
//! The answers are frozen at Unicode 14.0.0, the version the model was made with (`models/make_characters.py` says
//! why): a character that Unicode got later is read as nothing, as are controls and private characters.

use super::bundle::{self, little_u16, little_u32};
use crate::error::Error;

const PAGES: usize = 0x1100;
const PAGE: usize = 256;
const SEQUENCE: usize = 3;
/// Set in a sequence's element that stands alone.
const ALONE_BIT: u32 = 1 << 31;

/// Hangul decomposes by arithmetic: The Unicode Standard, section 3.12.
const SYLLABLES: u32 = 0xAC00;
const LEADING: u32 = 0x1100;
const VOWEL: u32 = 0x1161;
const TRAILING: u32 = 0x11A7;
const VOWELS: u32 = 21;
const TRAILINGS: u32 = 28;

/// What one character becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing: a mark, a control, an unassigned code point.
    Nothing,
    /// The end of a word.
    Space,
    /// One character: whether it stands alone, as punctuation and Han characters do, or continues a word.
    One(char, bool),
    /// Up to three of them.
    Several([(char, bool); SEQUENCE], usize),
}

/// The table of all code points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Characters {
    index: &'static [u8],
    pages: &'static [u8],
    sequences: &'static [u8],
}

impl Characters {
    /// Open and check the bundled table.
    pub(super) fn open(file: &'static [u8]) -> Result<Self, Error> {
        let ([pages, sequences, ..], payload) = bundle::open(file, b"RSPTCHAR")?;
        let ends = PAGES + pages as usize * PAGE * 2;
        let whole = ends + sequences as usize * SEQUENCE * 4;
        if payload.len() != whole {
            return Err(bundle::damaged("RSPTCHAR", "is not as long as its header says"));
        }
        Ok(Self {
            index: &payload[..PAGES],
            pages: &payload[PAGES..ends],
            sequences: &payload[ends..],
        })
    }

    /// What `character` becomes.
    pub(super) fn read(self, character: char) -> Read {
        let code = character as usize;
        let page = usize::from(self.index.get(code / PAGE).copied().unwrap_or(0));
        match little_u16(self.pages, (page * PAGE + code % PAGE) * 2) {
            0 => Read::Nothing,
            1 => Read::Space,
            2 => Read::One(character, false),
            3 => Read::One(character, true),
            4 => syllable(character),
            number => self.sequence(usize::from(number) - 5),
        }
    }

    fn sequence(self, number: usize) -> Read {
        let mut read = [('\0', false); SEQUENCE];
        let mut length = 0;
        for (place, slot) in read.iter_mut().enumerate() {
            let element = little_u32(self.sequences, (number * SEQUENCE + place) * 4);
            match char::from_u32(element & !ALONE_BIT) {
                Some(character) if element != 0 => *slot = (character, element & ALONE_BIT != 0),
                _ => break,
            }
            length += 1;
        }
        match length {
            1 => Read::One(read[0].0, read[0].1),
            _ => Read::Several(read, length),
        }
    }
}

fn syllable(character: char) -> Read {
    let number = (character as u32).saturating_sub(SYLLABLES);
    let part = |code: u32| (char::from_u32(code).unwrap_or(character), false);
    let trailing = number % TRAILINGS;
    let parts = [
        part(LEADING + number / (VOWELS * TRAILINGS)),
        part(VOWEL + number / TRAILINGS % VOWELS),
        part(TRAILING + trailing),
    ];
    Read::Several(parts, if trailing == 0 { 2 } else { SEQUENCE })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::bundle::CHARACTERS;
    use super::{Characters, Read};

    #[test]
    fn one_character_of_each_kind() {
        let table = Characters::open(CHARACTERS).unwrap();
        assert_eq!(table.read('a'), Read::One('a', false));
        assert_eq!(table.read('A'), Read::One('a', false));
        assert_eq!(table.read('É'), Read::One('e', false));
        assert_eq!(table.read('İ'), Read::One('i', false));
        assert_eq!(table.read('$'), Read::One('$', true));
        assert_eq!(table.read('。'), Read::One('。', true));
        assert_eq!(table.read('中'), Read::One('中', true));
        assert_eq!(table.read('\u{F900}'), Read::One('\u{8C48}', true));
        assert_eq!(table.read('\u{37E}'), Read::One(';', true));
        for space in ['\t', '\n', '\r', ' ', '\u{A0}', '\u{2028}', '\u{3000}'] {
            assert_eq!(table.read(space), Read::Space, "{space:?}");
        }
        for nothing in [
            '\0', '\u{B}', '\u{1C}', '\u{301}', '\u{AD}', '\u{FFFD}', '\u{E000}', '\u{378}',
        ] {
            assert_eq!(table.read(nothing), Read::Nothing, "{nothing:?}");
        }
        assert_eq!(
            table.read('각'),
            Read::Several([('\u{1100}', false), ('\u{1161}', false), ('\u{11A8}', false)], 3)
        );
        assert!(matches!(table.read('가'), Read::Several(_, 2)));
    }

    #[test]
    fn a_file_of_another_length_is_refused() {
        assert!(Characters::open(&CHARACTERS[..CHARACTERS.len() - 12]).is_err());
    }
}
