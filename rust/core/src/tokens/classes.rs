//! Which class of the published patterns a character is in: `\p{Lu}` and its kin, numbers, blanks, the rest.
//!
//! The Unicode version is part of an encoding: a character that becomes a letter in a later version would be split in
//! another way. The ranges in `ranges.rs` are those of the `regex-syntax` crate, which tiktoken uses as well, and a test
//! holds them against it; they do not follow the crate by themselves.

use std::sync::OnceLock;

use super::ranges::RANGES;

/// `\p{Lu}` and `\p{Lt}`.
pub(super) const UPPER: u8 = 1;
/// `\p{Ll}`.
pub(super) const LOWER: u8 = 1 << 1;
/// `\p{Lm}` and `\p{Lo}`: letters without case.
pub(super) const CASELESS: u8 = 1 << 2;
/// `\p{M}`.
pub(super) const MARK: u8 = 1 << 3;
/// `\p{N}`.
pub(super) const NUMBER: u8 = 1 << 4;
/// `\s` other than CR and LF.
pub(super) const BLANK: u8 = 1 << 5;
/// CR and LF.
pub(super) const NEWLINE: u8 = 1 << 6;
/// Everything else: marks of punctuation, symbols, control characters, what is not assigned.
pub(super) const OTHER: u8 = 1 << 7;
/// `\p{L}`.
pub(super) const LETTER: u8 = UPPER | LOWER | CASELESS;
/// `\s`.
pub(super) const SPACE: u8 = BLANK | NEWLINE;

const BLOCK: usize = 128;
const BLOCKS: usize = 0x11_0000 / BLOCK;

/// Classes of all characters: equal blocks of 128 are kept once, 50 KB in all.
pub(super) struct Classes {
    block_of: Box<[u16]>,
    blocks: Vec<[u8; BLOCK]>,
}

impl Classes {
    /// The one table of the process, made when first asked for.
    pub(super) fn get() -> &'static Self {
        static CLASSES: OnceLock<Classes> = OnceLock::new();
        CLASSES.get_or_init(Self::new)
    }

    fn new() -> Self {
        let mut blocks: Vec<[u8; BLOCK]> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        let mut ranges = RANGES.iter().copied().peekable();
        let mut class = OTHER;
        let block_of = (0..BLOCKS)
            .map(|number| {
                let mut block = [0; BLOCK];
                for (code, slot) in (number * BLOCK..).zip(&mut block) {
                    while let Some((_, next)) = ranges.next_if(|(start, _)| *start as usize <= code) {
                        class = next;
                    }
                    *slot = class;
                }
                *seen.entry(block).or_insert_with(|| {
                    blocks.push(block);
                    u16::try_from(blocks.len() - 1).unwrap_or(u16::MAX)
                })
            })
            .collect();
        Self { block_of, blocks }
    }

    /// The class of a code point; what no text can hold is `OTHER`.
    #[inline]
    pub(super) fn of(&self, code: u32) -> u8 {
        let code = code as usize;
        let Some(&block) = self.block_of.get(code / BLOCK) else {
            return OTHER;
        };
        self.blocks[block as usize][code % BLOCK]
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::fmt::Write;

    use regex_syntax::hir::{Class, HirKind};

    use super::*;

    /// Every code point and its class, by the crate that tiktoken's patterns are read with.
    fn by_regex_syntax() -> Vec<u8> {
        let mut classes = vec![OTHER; 0x11_0000];
        for (pattern, class) in [
            (r"[\p{Lu}\p{Lt}]", UPPER),
            (r"\p{Ll}", LOWER),
            (r"[\p{Lm}\p{Lo}]", CASELESS),
            (r"\p{M}", MARK),
            (r"\p{N}", NUMBER),
            (r"\s", BLANK),
            (r"[\r\n]", NEWLINE),
        ] {
            let parsed = regex_syntax::parse(pattern).unwrap();
            let HirKind::Class(Class::Unicode(ranges)) = parsed.kind() else {
                unreachable!("{pattern} is a class of characters");
            };
            for range in ranges.ranges() {
                for code in range.start() as u32..=range.end() as u32 {
                    let slot = &mut classes[code as usize];
                    assert!(*slot == OTHER || class == NEWLINE, "classes overlap");
                    *slot = class;
                }
            }
        }
        classes
    }

    /// `RESOPT_WRITE_CLASSES=1 cargo test -p resopt-core classes` writes the ranges anew, for another Unicode version.
    #[test]
    fn every_code_point_has_the_class_that_the_regex_crate_gives_it() {
        let expected = by_regex_syntax();
        if std::env::var_os("RESOPT_WRITE_CLASSES").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tokens/ranges.rs");
            std::fs::write(path, written(&expected)).unwrap();
            return;
        }
        let classes = Classes::get();
        for (code, class) in (0u32..).zip(expected) {
            assert_eq!(classes.of(code), class, "U+{code:04X}");
        }
        assert_eq!(classes.of(u32::MAX), OTHER);
    }

    fn written(classes: &[u8]) -> String {
        let mut text = String::from(
            "//! Where a run of characters of one class begins, and its bit in `classes.rs`; Unicode 16.0.0.\n\
             //!\n//! Written by the test in `classes.rs`.\n\n\
             /// First code point and class of each run, in order.\n#[rustfmt::skip]\n\
             pub(super) static RANGES: &[(u32, u8)] = &[",
        );
        let (mut last, mut column) = (0, 120);
        for (code, &class) in classes.iter().enumerate() {
            if class == last {
                continue;
            }
            last = class;
            let entry = format!("({code:#x}, {class}),");
            if column + entry.len() + 1 > 120 {
                text.push_str("\n   ");
                column = 3;
            }
            write!(text, " {entry}").unwrap();
            column += entry.len() + 1;
        }
        text + "\n];\n"
    }
}
