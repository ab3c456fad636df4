//! The vocabulary as a hash table that is laid out once and never grows.
//!
//! Open addressing over 2^16 places for 30,522 tokens, an id beside 16 bits of its hash: most places looked at hold
//! the wanted token. A `##` in front of a token says that it continues a word; it is part of the key, not of the text.

use super::bundle;
use crate::error::Error;

/// How many tokens the bundled vocabulary has.
pub(super) const TOKENS: u32 = 30_522;
/// Octets of the longest token that the bundled vocabulary has, without `##`; checked when it is opened.
pub(super) const LONGEST: usize = 18;
/// Octets that must be readable behind a word, so that a key can be loaded whole.
pub(super) const MARGIN: usize = 24;

const BITS: u32 = 16;
const PLACES: usize = 1 << BITS;
/// An empty place; no token has this id.
const EMPTY: u32 = u32::MAX;

/// Tokens by text, and text by token.
#[derive(Debug)]
pub(super) struct Vocabulary {
    text: &'static [u8],
    /// Where the text of each token begins in `text`, `##` left out.
    starts: Box<[u32]>,
    lengths: Box<[u8]>,
    /// Upper half: bits of the hash; lower half: the id.
    places: Box<[u32]>,
}

impl Vocabulary {
    /// Lay out a vocabulary with one token a line.
    pub(super) fn open(file: &'static str, sha256: &[u8; 32]) -> Result<Self, Error> {
        bundle::check("vocab.txt", file.as_bytes(), sha256)?;
        let mut vocabulary = Self {
            text: file.as_bytes(),
            starts: Box::default(),
            lengths: Box::default(),
            places: vec![EMPTY; PLACES].into_boxed_slice(),
        };
        let (mut starts, mut lengths) = (Vec::with_capacity(1 << 15), Vec::with_capacity(1 << 15));
        let mut at = 0;
        for (line, id) in file.split_terminator('\n').zip(0u32..) {
            let (token, continues) = match line.strip_prefix("##") {
                Some(rest) if !rest.is_empty() => (rest, true),
                _ => (line, false),
            };
            let too_long = || bundle::damaged("vocab.txt", "holds a token that is too long");
            let length = u8::try_from(token.len()).map_err(|_| too_long())?;
            if token.len() > LONGEST || id as usize >= PLACES / 2 {
                return Err(too_long());
            }
            starts.push(at + u32::from(continues) * 2);
            lengths.push(length);
            at += u32::try_from(line.len()).map_err(|_| too_long())? + 1;
            vocabulary.place(token.as_bytes(), continues, id);
        }
        if starts.len() != TOKENS as usize {
            return Err(bundle::damaged("vocab.txt", "has another number of tokens"));
        }
        vocabulary.starts = starts.into_boxed_slice();
        vocabulary.lengths = lengths.into_boxed_slice();
        Ok(vocabulary)
    }

    fn place(&mut self, token: &[u8], continues: bool, id: u32) {
        let mut padded = [0; LONGEST + MARGIN];
        padded[..token.len()].copy_from_slice(token);
        let hash = hash(&padded, token.len(), continues);
        let mut place = first_place(hash);
        while self.places[place] != EMPTY {
            place = (place + 1) % PLACES;
        }
        self.places[place] = tag(hash) | id;
    }

    /// The id of the token `word[from..to]`; `word` is readable [`MARGIN`] octets beyond `to`.
    pub(super) fn find(&self, word: &[u8], from: usize, to: usize) -> Option<u32> {
        let length = to - from;
        if length == 0 || length > LONGEST {
            return None;
        }
        let continues = from > 0;
        let hash = hash(word.get(from..)?, length, continues);
        let mut place = first_place(hash);
        loop {
            let found = self.places[place];
            if found == EMPTY {
                return None;
            }
            if found & 0xFFFF_0000 == tag(hash) && self.is(found & 0xFFFF, continues, &word[from..to]) {
                return Some(found & 0xFFFF);
            }
            place = (place + 1) % PLACES;
        }
    }

    fn is(&self, id: u32, continues: bool, word: &[u8]) -> bool {
        let start = self.starts[id as usize] as usize;
        // A token that continues has its `##` in front; the text of one that does not begins a line.
        let marked = start >= 2 && &self.text[start - 2..start] == b"##";
        usize::from(self.lengths[id as usize]) == word.len()
            && &self.text[start..start + word.len()] == word
            && marked == continues
    }
}

/// Of the first `length` octets; `octets` holds at least [`MARGIN`], and what lies behind the word does not count.
fn hash(octets: &[u8], length: usize, continues: bool) -> u64 {
    let load = |at: usize| {
        let word = octets
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |chunk| u64::from_le_bytes(*chunk));
        match length.saturating_sub(at) {
            0 => 0,
            rest @ 1..=7 => word & (u64::MAX >> (64 - 8 * rest)),
            _ => word,
        }
    };
    let seed = (length as u64) << 1 | u64::from(continues);
    let first = mix(load(0) ^ 0x9E37_79B9_7F4A_7C15, load(8) ^ seed ^ 0xD6E8_FEB8_6659_FD93);
    mix(first ^ load(16), 0xA076_1D64_78BD_642F)
}

fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded
}

fn first_place(hash: u64) -> usize {
    (hash >> (64 - BITS)) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
fn tag(hash: u64) -> u32 {
    (hash as u32) << 16
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::bundle::{VOCABULARY, VOCABULARY_SHA256};
    use super::{MARGIN, Vocabulary};

    #[test]
    fn every_token_is_found_and_nothing_else() {
        let vocabulary = Vocabulary::open(VOCABULARY, &VOCABULARY_SHA256).unwrap();
        for (id, line) in VOCABULARY.lines().enumerate() {
            let continued = line.strip_prefix("##").filter(|rest| !rest.is_empty());
            let mut word = [b"x", continued.unwrap_or(line).as_bytes()].concat();
            let end = word.len();
            word.extend([0xFF; MARGIN]);
            let (here, from) = if continued.is_some() {
                (&word[..], 1)
            } else {
                (&word[1..], 0)
            };
            let to = end - 1 + from;
            assert_eq!(vocabulary.find(here, from, to), u32::try_from(id).ok(), "{line}");
        }
        let mut nothing = b"qqqqzzzz".to_vec();
        nothing.extend([0; MARGIN]);
        assert_eq!(vocabulary.find(&nothing, 0, 8), None);
        assert_eq!(vocabulary.find(&nothing, 0, 0), None);
    }

    #[test]
    fn a_changed_vocabulary_is_refused() {
        assert!(Vocabulary::open("a\nb\n", &VOCABULARY_SHA256).is_err());
    }
}
