//! The language of a text, as far as its letters and small words tell.

use super::lexicon::{TONGUES, lexicon};
use super::split::Piece;

pub(super) const ENGLISH: u8 = 0;
const SCRIPTS: [&str; 10] = [
    "cyrillic",
    "greek",
    "arabic",
    "hebrew",
    "devanagari",
    "kana",
    "hangul",
    "han",
    "thai",
    "other",
];

fn script(character: char) -> Option<usize> {
    Some(match u32::from(character) {
        0..=0x24f | 0x1e00..=0x1eff => return None,
        0x400..=0x52f => 0,
        0x370..=0x3ff | 0x1f00..=0x1fff => 1,
        0x600..=0x6ff | 0x750..=0x77f => 2,
        0x590..=0x5ff => 3,
        0x900..=0x97f => 4,
        0x3040..=0x30ff => 5,
        0xac00..=0xd7af | 0x1100..=0x11ff => 6,
        0x4e00..=0x9fff | 0x3400..=0x4dbf => 7,
        0xe00..=0xe7f => 8,
        _ => 9,
    })
}

/// 0 for English, then the others of `TONGUES`, then `SCRIPTS`. A text that gives no sign is taken for English.
pub(super) fn detect(text: &str, pieces: &[Piece]) -> u8 {
    if !text.is_ascii() {
        let mut counts = [0_usize; SCRIPTS.len()];
        let mut latin = 0;
        for character in text.chars().filter(|character| character.is_alphabetic()).take(400) {
            match script(character) {
                Some(at) => counts[at] += 1,
                None => latin += 1,
            }
        }
        // Japanese mixes kana with han: the kana tell.
        if counts[5] > 0 {
            counts[5] += counts[7];
        }
        let (at, most) = counts
            .iter()
            .copied()
            .enumerate()
            .max_by_key(|(_, count)| *count)
            .unwrap_or((0, 0));
        if most > latin {
            return u8::try_from(TONGUES.len() + at).unwrap_or(u8::MAX);
        }
    }
    let mut votes = [0_u16; TONGUES.len()];
    for piece in pieces.iter().take(40) {
        let bits = lexicon().tongue(piece.raw);
        for (at, votes) in votes.iter_mut().enumerate() {
            *votes += u16::from(bits >> at & 1);
        }
    }
    let (best, count) = votes
        .iter()
        .copied()
        .enumerate()
        .skip(1)
        .max_by_key(|(_, count)| *count)
        .unwrap_or((0, 0));
    if count >= 2 && count > votes[0] {
        u8::try_from(best).unwrap_or(0)
    } else {
        ENGLISH
    }
}

pub(super) fn name(language: u8) -> &'static str {
    let at = usize::from(language);
    TONGUES
        .get(at)
        .or_else(|| SCRIPTS.get(at.wrapping_sub(TONGUES.len())))
        .copied()
        .unwrap_or("other")
}
