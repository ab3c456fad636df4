//! Text to token ids: BERT's uncased split and greedy `WordPiece`, exactly as the model was made with.
//!
//! Characters are decomposed, marks and controls dropped, letters made small; words end at blanks, punctuation and Han
//! characters, which are words of their own. A word is cut into the longest pieces that the vocabulary has, from the
//! left; one that cannot be cut wholly, or has more than 100 characters, is [`UNKNOWN`]. The Unicode version is 14.0.0
//! whatever the compiler's (see `characters.rs`). `[CLS]` and `[SEP]` are not added, and are not special in text.

use std::sync::OnceLock;

use super::bundle::{CHARACTERS, VOCABULARY, VOCABULARY_SHA256};
use super::characters::{Characters, Read};
use super::vocabulary::{LONGEST, MARGIN, Vocabulary};
use crate::error::Error;

/// The id that stands for a word the vocabulary cannot spell.
pub const UNKNOWN: u32 = 100;
/// How many tokens of a text make its vector.
pub const EMBEDDED_TOKENS: usize = 256;
/// How many tokens of a text the verifier reads.
pub const VERIFIED_TOKENS: usize = 32;
/// The Unicode version that says what letters, marks, blanks and punctuation are.
pub const UNICODE_VERSION: &str = "14.0.0";

/// Characters of the longest word that is cut into pieces.
const WORD: usize = 100;

/// What an ASCII octet does: 0 nothing, 1 ends a word, 2 is a word of its own, else the small letter or digit it is.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut octet = 0u8;
    while octet < 128 {
        table[octet as usize] = match octet {
            b'\t' | b'\n' | b'\r' | b' ' => 1,
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => octet.to_ascii_lowercase(),
            b'!'..=b'~' => 2,
            _ => 0,
        };
        octet += 1;
    }
    table
};

/// The tokeniser's tables, made at the first use.
#[derive(Debug)]
struct Tokeniser {
    vocabulary: Vocabulary,
    characters: Characters,
}

/// The ids of the first `limit` tokens of `text`; reading stops there, however long the text is.
///
/// # Errors
/// `Damaged` when the bundled files are.
pub fn tokenise(text: &str, limit: usize) -> Result<Vec<u32>, Error> {
    static TOKENISER: OnceLock<Result<Tokeniser, Error>> = OnceLock::new();
    let opened = TOKENISER.get_or_init(|| {
        Ok(Tokeniser {
            vocabulary: Vocabulary::open(VOCABULARY, &VOCABULARY_SHA256)?,
            characters: Characters::open(CHARACTERS)?,
        })
    });
    let tokeniser = opened.as_ref().map_err(Clone::clone)?;
    Ok(Reading::new(tokeniser, text, limit).run())
}

/// One text being read.
struct Reading<'a> {
    tokeniser: &'a Tokeniser,
    text: &'a str,
    limit: usize,
    ids: Vec<u32>,
    /// The word in the making, in UTF-8, with room to load a key at its end.
    word: [u8; WORD * 4 + MARGIN],
    octets: usize,
    /// Characters of the word; those beyond [`WORD`] are counted, not kept.
    characters: usize,
}

impl<'a> Reading<'a> {
    fn new(tokeniser: &'a Tokeniser, text: &'a str, limit: usize) -> Self {
        Self {
            tokeniser,
            text,
            limit,
            // A token has about five octets; a long text makes no more tokens than the limit.
            ids: Vec::with_capacity(limit.min(text.len() / 3 + 1)),
            word: [0; WORD * 4 + MARGIN],
            octets: 0,
            characters: 0,
        }
    }

    fn run(mut self) -> Vec<u32> {
        let octets = self.text.as_bytes();
        let mut at = 0;
        while self.ids.len() < self.limit
            && let Some(&octet) = octets.get(at)
        {
            let Some(&small) = ASCII.get(usize::from(octet)) else {
                at += self.beyond_ascii(at);
                continue;
            };
            at += 1;
            match small {
                0 => {}
                1 => self.end_word(),
                2 => self.alone(char::from(octet)),
                _ => self.letter(small),
            }
        }
        self.end_word();
        self.ids.truncate(self.limit);
        self.ids
    }

    #[inline]
    fn letter(&mut self, small: u8) {
        if self.characters < WORD {
            self.word[self.octets] = small;
            self.octets += 1;
        }
        self.characters += 1;
    }

    /// Read the character at `at`; how many octets it has.
    fn beyond_ascii(&mut self, at: usize) -> usize {
        let Some(character) = self.text.get(at..).and_then(|rest| rest.chars().next()) else {
            return 1;
        };
        match self.tokeniser.characters.read(character) {
            Read::Nothing => {}
            Read::Space => self.end_word(),
            Read::One(character, alone) => self.take(character, alone),
            Read::Several(parts, length) => {
                for &(character, alone) in &parts[..length] {
                    self.take(character, alone);
                }
            }
        }
        character.len_utf8()
    }

    fn take(&mut self, character: char, alone: bool) {
        if alone {
            return self.alone(character);
        }
        if self.characters < WORD {
            self.octets += character.encode_utf8(&mut self.word[self.octets..]).len();
        }
        self.characters += 1;
    }

    fn alone(&mut self, character: char) {
        self.end_word();
        let length = character.encode_utf8(&mut self.word).len();
        let id = self.tokeniser.vocabulary.find(&self.word, 0, length);
        self.ids.push(id.unwrap_or(UNKNOWN));
    }

    fn end_word(&mut self) {
        if self.characters == 0 {
            return;
        }
        if self.characters > WORD {
            self.ids.push(UNKNOWN);
        } else {
            self.cut();
        }
        self.octets = 0;
        self.characters = 0;
    }

    /// Add the longest pieces from the left, or [`UNKNOWN`] when some part of the word is in no piece.
    fn cut(&mut self) {
        let before = self.ids.len();
        let mut from = 0;
        while from < self.octets {
            let Some((id, to)) = self.longest(from) else {
                self.ids.truncate(before);
                return self.ids.push(UNKNOWN);
            };
            self.ids.push(id);
            from = to;
        }
    }

    fn longest(&self, from: usize) -> Option<(u32, usize)> {
        (from + 1..=self.octets.min(from + LONGEST)).rev().find_map(|to| {
            let inside = self
                .word
                .get(to)
                .is_some_and(|octet| to < self.octets && octet & 0xC0 == 0x80);
            if inside {
                return None;
            }
            self.tokeniser.vocabulary.find(&self.word, from, to).map(|id| (id, to))
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::{EMBEDDED_TOKENS, UNKNOWN, tokenise};

    fn ids(text: &str) -> Vec<u32> {
        tokenise(text, usize::MAX).unwrap()
    }

    #[test]
    fn words_pieces_and_punctuation() {
        assert_eq!(
            ids("How do I reverse a string in Python?"),
            [2129, 2079, 1045, 7901, 1037, 5164, 1999, 18750, 1029]
        );
        assert_eq!(ids("unaffable"), [14477, 20961, 3468]);
        assert_eq!(ids("  \t\n "), Vec::<u32>::new());
        assert_eq!(ids("Café"), ids("cafe"));
        assert_eq!(ids("Cafe\u{301}"), ids("cafe"));
        assert_eq!(ids("[CLS]"), ids("[ cls ]"));
    }

    #[test]
    fn a_word_is_unknown_beyond_a_hundred_characters() {
        assert_ne!(ids(&"a".repeat(100)), [UNKNOWN]);
        assert_eq!(ids(&"a".repeat(101)), [UNKNOWN]);
        assert_eq!(ids(&"é".repeat(100)), ids(&"e".repeat(100)));
        assert_eq!(ids(&"가".repeat(51)), [UNKNOWN], "two letters each");
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let long = "what is that? ".repeat(100_000);
        let all = ids(&long[..14 * 300]);
        for limit in [0, 1, 5, 32, EMBEDDED_TOKENS] {
            assert_eq!(tokenise(&long, limit).unwrap(), all[..limit]);
        }
    }

    #[test]
    fn hostile_text_is_read_to_the_end() {
        for text in [
            "\u{1F600}",
            "\0",
            "𝔘",
            "\u{10FFFF}",
            "ﷺ",
            "各",
            "\u{1D165}\u{302E}\u{301}",
        ] {
            let long = text.repeat(250_000);
            assert!(tokenise(&long, EMBEDDED_TOKENS).unwrap().len() <= EMBEDDED_TOKENS);
        }
    }
}
