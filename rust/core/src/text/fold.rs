//! Folding itself: as much of the text as possible is copied whole, the rest character by character.
//!
//! ASCII without blanks to fold is one copy in small letters. In other text, pieces that normalise by themselves are
//! looked up (`alone.rs`); only pieces of several characters go through the normalisation crates. Where a word of
//! `capitals.rs` turns up, words are followed one by one.

use std::ops::Range;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::alone::{Alone, alone};
use super::capitals;
use super::normalise::is_blank;

/// What one look over text and its copy in small letters tells.
struct Seen {
    ascii: bool,
    /// Two spaces side by side, or a control character: it may be a blank.
    collapse: bool,
    /// Two capitals side by side.
    capitals: bool,
}

/// One pass without branches, so that it becomes vector instructions.
fn look(text: &[u8], small: &[u8]) -> Seen {
    let (mut high, mut low, mut spaces, mut capitals) = (0u8, 0xFFu8, 0u8, 0u8);
    let next = text
        .get(1..)
        .unwrap_or_default()
        .iter()
        .zip(small.get(1..).unwrap_or_default());
    for ((&octet, &small), (&next, &next_small)) in text.iter().zip(small).zip(next) {
        high |= octet;
        low = low.min(octet);
        // No two octets from the space upwards are a space when put together, but two spaces.
        spaces |= u8::from(octet | next == b' ');
        capitals |= (octet ^ small) & (next ^ next_small);
    }
    if let Some(&last) = text.last() {
        high |= last;
        low = low.min(last);
    }
    Seen {
        ascii: high < 0x80,
        collapse: spaces != 0 || low < b' ',
        capitals: capitals != 0,
    }
}

/// Folded text in the making, appended to `out`.
pub(super) struct Folded<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    /// Where the word being written begins, and whether all of it was capitals; None between words.
    word: Option<(usize, bool)>,
    /// Words that keep their capitals if the text has a small letter.
    kept: Vec<Range<usize>>,
    /// A small letter was seen.
    small: bool,
    /// A capital beyond ASCII was seen that is one of ASCII after NFKC.
    styled: bool,
}

impl<'a> Folded<'a> {
    /// Append the folding of `text` to `out`, with or without the rule of `capitals.rs`.
    pub(super) fn write(text: &str, out: &'a mut Vec<u8>, keep_capitals: bool) {
        let text = text.trim_matches(is_blank);
        let start = out.len();
        out.extend_from_slice(text.as_bytes());
        out[start..].make_ascii_lowercase();
        let seen = look(text.as_bytes(), &out[start..]);
        let capitals = keep_capitals && seen.capitals && capitals::occur(text.as_bytes());
        if seen.ascii && !seen.collapse && !capitals {
            return;
        }
        out.truncate(start);
        let mut folded = Folded {
            out,
            start,
            word: None,
            kept: Vec::new(),
            small: false,
            styled: false,
        };
        if capitals {
            folded.following_words(text);
        } else {
            folded.pieces::<false>(text, !seen.collapse);
            if keep_capitals && folded.styled {
                folded.out.truncate(start);
                folded.following_words(text);
            }
        }
        if folded.ends_blank() {
            folded.out.pop();
        }
    }

    fn following_words(&mut self, text: &str) {
        self.pieces::<true>(text, false);
        self.end_word();
        if self.small {
            for word in &self.kept {
                self.out[word.clone()].make_ascii_uppercase();
            }
        }
    }

    /// Text in pieces that normalise by themselves: a character and those that join it, mostly none.
    ///
    /// With `runs`, ASCII between them is copied as a whole: it must hold no blanks to fold.
    fn pieces<const FOLLOW: bool>(&mut self, text: &str, runs: bool) {
        let mut rest = text.chars();
        let mut ahead = None;
        loop {
            if runs {
                let free = free_run(rest.as_str().as_bytes());
                if free > 0 {
                    self.ascii_run(&rest.as_str().as_bytes()[..free]);
                    rest = rest.as_str()[free..].chars();
                    ahead = None;
                }
            }
            let piece = rest.as_str();
            let Some(first) = rest.next() else { return };
            let entry = ahead.take().unwrap_or_else(|| alone(first));
            let mut lone = true;
            let mut after = rest.clone();
            while let Some(character) = after.next() {
                let next = alone(character);
                if next.begins() {
                    ahead = Some(next);
                    break;
                }
                lone = false;
                rest = after.clone();
            }
            match entry.result() {
                Some(result) if lone => self.entry::<FOLLOW>(entry, result, first.is_ascii()),
                _ => self.work_out::<FOLLOW>(&piece[..piece.len() - rest.as_str().len()]),
            }
        }
    }

    fn ascii_run(&mut self, run: &[u8]) {
        // Only the run's border can meet a blank outside it.
        let run = if run[0] == b' ' && (self.out.len() == self.start || self.ends_blank()) {
            &run[1..]
        } else {
            run
        };
        let from = self.out.len();
        self.out.extend_from_slice(run);
        self.out[from..].make_ascii_lowercase();
    }

    #[inline]
    fn entry<const FOLLOW: bool>(&mut self, entry: Alone, result: &[u8], ascii: bool) {
        if entry.is_blank() {
            return self.blank::<FOLLOW>();
        }
        if FOLLOW {
            self.small |= entry.is_small();
            self.follow(entry.is_word(), entry.is_capital());
        } else {
            self.styled |= entry.is_capital() && !ascii;
        }
        self.out.extend_from_slice(result);
    }

    /// A piece of several characters, or one whose folding is long: in full, by the crates.
    fn work_out<const FOLLOW: bool>(&mut self, piece: &str) {
        for normal in piece.nfkc() {
            self.small |= normal.is_lowercase();
            self.styled |= normal.is_ascii_uppercase() && !piece.contains(normal);
            for folded in std::iter::once(normal).default_case_fold() {
                if is_blank(folded) {
                    self.blank::<FOLLOW>();
                    continue;
                }
                if FOLLOW {
                    self.follow(folded.is_alphanumeric(), normal.is_ascii_uppercase());
                }
                self.out.extend_from_slice(folded.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }

    fn blank<const FOLLOW: bool>(&mut self) {
        if FOLLOW {
            self.end_word();
        }
        if self.out.len() > self.start && !self.ends_blank() {
            self.out.push(b' ');
        }
    }

    fn ends_blank(&self) -> bool {
        self.out[self.start..].last() == Some(&b' ')
    }

    fn follow(&mut self, word: bool, capital: bool) {
        match (&mut self.word, word) {
            (Some((_, capitals)), true) => *capitals &= capital,
            (None, true) => self.word = Some((self.out.len(), capital)),
            (_, false) => self.end_word(),
        }
    }

    fn end_word(&mut self) {
        if let Some((from, true)) = self.word.take()
            && capitals::is_other_word(&self.out[from..])
        {
            self.kept.push(from..self.out.len());
        }
    }
}

/// Octets of ASCII at the start that nothing can join: the last one before other text may be joined by it.
fn free_run(octets: &[u8]) -> usize {
    match octets.iter().position(|&octet| octet >= 0x80) {
        Some(run) => run.saturating_sub(1),
        None => octets.len(),
    }
}
