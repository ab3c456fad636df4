//! Text into pieces, as the published patterns split it, without a regular expression.
//!
//! No merge crosses a piece's border, so the pieces decide every count. The patterns (tiktoken, `openai_public.py`) are
//! followed alternative by alternative, with the backtracking that a regular expression would do worked out by hand; each
//! function says which alternative it is. ASCII goes by a table of 256 classes and, in words, eight bytes at a time;
//! other characters by the tables of `classes.rs`.

use super::classes::{BLANK, CASELESS, Classes, LETTER, LOWER, MARK, NEWLINE, NUMBER, OTHER, SPACE, UPPER};

/// What may follow the first lower-case letter of a word in `o200k_base`.
const LOWERED: u8 = LOWER | CASELESS | MARK;
/// What may stand before it.
const RAISED: u8 = UPPER | CASELESS | MARK;
/// Marks of a byte that only the tables for other characters know.
const BEYOND: u8 = 0;

const ASCII: [u8; 256] = {
    let mut classes = [BEYOND; 256];
    let mut octet = 0u8;
    while octet < 128 {
        classes[octet as usize] = match octet {
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => NUMBER,
            b'\r' | b'\n' => NEWLINE,
            b' ' | b'\t' | 0x0B | 0x0C => BLANK,
            _ => OTHER,
        };
        octet += 1;
    }
    classes
};

/// A text and the tables to read it with.
#[derive(Clone, Copy)]
pub(super) struct Reader<'t> {
    /// The whole text, valid UTF-8.
    text: &'t [u8],
    classes: &'static Classes,
}

/// A published pattern.
pub(super) trait Pattern {
    /// Where the piece ends that begins at `start`, which is before the end of the text.
    fn end(reader: Reader<'_>, start: usize) -> usize;
}

/// The pattern of `o200k_base` and `o200k_harmony`.
pub(super) enum O200k {}

/// The pattern of `cl100k_base`.
pub(super) enum Cl100k {}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text: text.as_bytes(),
            classes: Classes::get(),
        }
    }

    /// Class of the character at `at` and the bytes it takes; class 0 at the end of the text.
    #[inline]
    fn class(self, at: usize) -> (u8, usize) {
        let Some(&octet) = self.text.get(at) else { return (0, 0) };
        let class = ASCII[usize::from(octet)];
        if class == BEYOND {
            self.beyond(at, octet)
        } else {
            (class, 1)
        }
    }

    #[inline(never)]
    fn beyond(self, at: usize, first: u8) -> (u8, usize) {
        let after = |offset: usize| u32::from(self.text.get(at + offset).copied().unwrap_or_default() & 0x3F);
        let first = u32::from(first);
        let (code, width) = match first {
            0xF0.. => ((first & 0x07) << 18 | after(1) << 12 | after(2) << 6 | after(3), 4),
            0xE0.. => ((first & 0x0F) << 12 | after(1) << 6 | after(2), 3),
            _ => ((first & 0x1F) << 6 | after(1), 2),
        };
        (self.classes.of(code), width)
    }

    /// Where characters of `classes` that begin at `at` end.
    #[inline]
    fn run(self, mut at: usize, classes: u8) -> usize {
        loop {
            let (class, width) = self.class(at);
            if class & classes == 0 {
                return at;
            }
            at += width;
        }
    }

    /// Where ASCII letters from `first` on (`a` or `A`: its case alone) that begin at `at` end, eight bytes at a time.
    #[inline]
    fn ascii_letters(self, mut at: usize, first: u8) -> usize {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = ONES * 0x80;
        while let Some(Ok(eight)) = self.text.get(at..at + 8).map(<[u8; 8]>::try_from) {
            let word = u64::from_le_bytes(eight);
            let low = word & !HIGH;
            // The high bit of each byte: at least `first`; beyond the 26th letter.
            let reached = low + ONES * u64::from(0x80 - first);
            let passed = low + ONES * u64::from(0x80 - first - 26);
            let letters = reached & !passed & !word & HIGH;
            if letters != HIGH {
                return at + ((letters ^ HIGH).trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        while self.text.get(at).is_some_and(|octet| octet.wrapping_sub(first) < 26) {
            at += 1;
        }
        at
    }

    /// Up to three numbers: `\p{N}{1,3}`.
    #[inline]
    fn numbers(self, start: usize) -> usize {
        let mut at = start;
        for _ in 0..3 {
            let (class, width) = self.class(at);
            if class != NUMBER {
                break;
            }
            at += width;
        }
        at
    }

    /// What is no letter, number or blank, from `at`, and the `trailing` bytes after it.
    #[inline]
    fn signs(self, at: usize, trailing: &[u8]) -> usize {
        let mut end = self.run(at, MARK | OTHER);
        while self.text.get(end).is_some_and(|octet| trailing.contains(octet)) {
            end += 1;
        }
        end
    }

    /// The end of a run of blanks, and the end of its last line break (0 without one).
    #[inline]
    fn blanks(self, start: usize) -> (usize, usize) {
        let (mut at, mut broken) = (start, 0);
        loop {
            let (class, width) = self.class(at);
            if class & SPACE == 0 {
                return (at, broken);
            }
            at += width;
            if class == NEWLINE {
                broken = at;
            }
        }
    }

    /// `\s+(?!\S)|\s+` for a run that ends at `end`: all of it at the end of the text, else all but its last character.
    #[inline]
    fn before_last_blank(self, start: usize, end: usize) -> usize {
        if end == self.text.len() {
            return end;
        }
        let mut last = end - 1;
        while self.text[last] & 0xC0 == 0x80 {
            last -= 1;
        }
        if last == start { end } else { last }
    }

    /// The end of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at `at`, or `at`. The long s (U+017F) folds to s.
    #[inline]
    fn contraction(self, at: usize) -> usize {
        if self.text.get(at) != Some(&b'\'') {
            return at;
        }
        let (first, second) = (self.text.get(at + 1), self.text.get(at + 2));
        match (first.map(u8::to_ascii_lowercase), second.map(u8::to_ascii_lowercase)) {
            (Some(b's' | b't' | b'm' | b'd'), _) => at + 2,
            (Some(b'r' | b'v'), Some(b'e')) | (Some(b'l'), Some(b'l')) | (Some(0xC5), _)
                if first != Some(&0xC5) || second == Some(&0xBF) =>
            {
                at + 3
            }
            _ => at,
        }
    }
}

impl O200k {
    /// The first two alternatives without prefix and contraction, from a letter or mark at `at`.
    ///
    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`: when no lower-case letter follows the first run, it
    /// is given back up to its last character that may also be in the second. Where there is none, the other alternative
    /// takes the run as it is: then the second value is true.
    #[inline]
    fn word(reader: Reader<'_>, at: usize) -> (usize, bool) {
        let mut at = reader.ascii_letters(at, b'A');
        let mut caseless = 0;
        loop {
            let (class, width) = reader.class(at);
            if class & RAISED == 0 {
                break;
            }
            at += width;
            if class != UPPER {
                caseless = at;
            }
        }
        let lower = reader.ascii_letters(at, b'a');
        let end = reader.run(lower, LOWERED);
        if end > at {
            (end, false)
        } else if caseless > 0 {
            (caseless, false)
        } else {
            (at, true)
        }
    }
}

impl Pattern for O200k {
    #[inline]
    fn end(reader: Reader<'_>, start: usize) -> usize {
        let (first, width) = reader.class(start);
        if first & LETTER != 0 {
            return reader.contraction(Self::word(reader, start).0);
        }
        let next = start + width;
        if first == NUMBER {
            return reader.numbers(start);
        }
        if first & (BLANK | OTHER | MARK) != 0 {
            // `[^\r\n\p{L}\p{N}]?` before a word.
            let (second, _) = reader.class(next);
            if second & (LETTER | MARK) != 0 {
                let (end, capitals) = Self::word(reader, next);
                // A mark before capitals: the first alternative matches it alone, before the second is tried.
                let end = if capitals && first == MARK { next } else { end };
                return reader.contraction(end);
            }
            if first == MARK {
                return reader.contraction(next);
            }
            if first == OTHER {
                return reader.signs(next, b"\r\n/");
            }
            if second == OTHER && reader.text[start] == b' ' {
                return reader.signs(next, b"\r\n/");
            }
        }
        let (end, broken) = reader.blanks(start);
        if broken > 0 {
            return broken;
        }
        reader.before_last_blank(start, end)
    }
}

impl Pattern for Cl100k {
    #[inline]
    fn end(reader: Reader<'_>, start: usize) -> usize {
        let (first, width) = reader.class(start);
        let word = |at| {
            let at = reader.ascii_letters(at, b'a');
            reader.run(at, LETTER)
        };
        if first & LETTER != 0 {
            return word(start);
        }
        let next = start + width;
        if first == NUMBER {
            return reader.numbers(start);
        }
        if first & (BLANK | OTHER | MARK) != 0 {
            let contracted = reader.contraction(start);
            if contracted > start {
                return contracted;
            }
            // `[^\r\n\p{L}\p{N}]?+\p{L}++`
            let (second, _) = reader.class(next);
            if second & LETTER != 0 {
                return word(next);
            }
            if first & (OTHER | MARK) != 0 {
                return reader.signs(next, b"\r\n");
            }
            if second & (OTHER | MARK) != 0 && reader.text[start] == b' ' {
                return reader.signs(next, b"\r\n");
            }
        }
        let (end, broken) = reader.blanks(start);
        // `\s++$` comes before `\s*[\r\n]`.
        if broken > 0 && end < reader.text.len() {
            return broken;
        }
        reader.before_last_blank(start, end)
    }
}
