//! A word, understood: its stem, its family, what the tables know of it and where it stands.

use super::hash::{hash, hashes};
use super::lexicon::{Entry, Kind as Class, lexicon};
use super::mark::Mark;
use super::split::{CAPITAL, CLAUSE, CODE, CONTENT, NUMBER, OWNER, Piece, SHOUT};
use super::stem::{british, degree, negated, root, stem};

/// One word, understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// The word as written, in small letters.
    pub(super) raw: u64,
    /// The word without inflection.
    pub(super) stem: u64,
    /// What its family shares.
    pub(super) root: u64,
    /// What it negates by its beginning; 0 for nothing.
    pub(super) base: u64,
    /// Where it stands in the tables; 0 for nowhere.
    pub(super) entry: u32,
    pub(super) start: u16,
    pub(super) end: u16,
    pub(super) flags: u16,
    pub(super) mark: Mark,
    /// The preposition it stands under.
    pub(super) place: Mark,
    /// 1 comparative, 2 superlative.
    pub(super) degree: u8,
    /// Letters.
    pub(super) length: u8,
    /// Without inflection.
    pub(super) plain: bool,
    /// Stands in the tables as it is written.
    pub(super) listed: bool,
    /// Only with an `s` at its end.
    pub(super) plural: bool,
}

impl Word {
    pub(super) fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Is it written in its plain form (`cancel`, not `cancelled`)?
    pub(super) fn stem_is_raw(&self) -> bool {
        self.plain
    }

    pub(super) fn known(&self) -> &'static Entry {
        lexicon().at(self.entry)
    }
}

/// Capitals that make another word of a small one: `IT`, `US`, `WHO`.
fn is_acronym(letters: &str, piece: &Piece, loud: bool) -> bool {
    !loud
        && piece.flags & SHOUT != 0
        && matches!(
            letters,
            "it" | "us"
                | "who"
                | "me"
                | "am"
                | "or"
                | "in"
                | "may"
                | "will"
                | "can"
                | "all"
                | "so"
                | "do"
                | "an"
                | "as"
        )
        && letters != "all"
}

pub(super) fn understand(letters: &str, piece: &Piece, english: bool, loud: bool) -> Word {
    let tables = lexicon();
    let mut word = Word {
        raw: piece.raw,
        stem: piece.raw,
        root: piece.raw,
        base: 0,
        entry: if english { tables.find(piece.raw) } else { 0 },
        start: piece.start,
        end: piece.end,
        flags: piece.flags,
        mark: Mark::None,
        place: Mark::None,
        degree: 0,
        length: u8::try_from(letters.chars().take(255).count()).unwrap_or(255),
        plain: true,
        listed: false,
        plural: false,
    };
    if loud {
        word.flags &= !(CAPITAL | SHOUT);
    }
    if word.is(NUMBER | CODE) {
        return word;
    }
    if letters == "/" {
        word.mark = Mark::Joint;
        return word;
    }
    let entry = word.known();
    let acronym = is_acronym(letters, piece, loud);
    if entry.function && !acronym {
        word.mark = entry.mark;
        return word;
    }
    word.flags |= CONTENT;
    if acronym {
        let us = letters == "us";
        word.stem = if us { const { hash("usa") } } else { !piece.raw };
        word.entry = if us { tables.find(word.stem) } else { 0 };
        return word;
    }
    word.mark = entry.mark;
    if !english {
        return word;
    }
    let mut base = letters.to_owned();
    word.degree = degree(&mut base);
    if word.degree == 0 {
        stem(&mut base);
    }
    word.listed = word.entry != 0;
    word.plain = base == letters;
    word.plural = letters.ends_with('s') && !word.plain;
    if word.entry == 0 {
        word.entry = tables.find(hash(&base));
        // An inflected function word (`makes`, `needed`) is one too.
        if word.known().function && word.degree == 0 {
            word.flags &= !CONTENT;
            word.mark = word.known().mark;
        }
    }
    british(&mut base);
    let short = if base.len() >= 6 {
        base.strip_suffix('e').unwrap_or(&base)
    } else {
        &base
    };
    word.stem = hash(short);
    word.root = hash(root(&base));
    word.base = negated(&base).map_or(0, |rest| {
        hash(if rest.len() >= 6 {
            rest.strip_suffix('e').unwrap_or(rest)
        } else {
            rest
        })
    });
    word
}

/// `more expensive`, `most expensive`: the degree belongs to the adjective.
pub(super) fn degrees(words: &mut [Word]) {
    for at in 1..words.len() {
        let degree = match words[at - 1].mark {
            Mark::More => 1,
            Mark::Most => 2,
            _ => 0,
        };
        let place = const { hashes(["last", "next", "first", "previous", "past"]) }.contains(&words[at].raw);
        if degree > 0 && !place && words[at].is(CONTENT) && !words[at].known().poles.is_empty() {
            words[at].degree = degree;
        }
    }
}

/// Tell every word the preposition that governs it: the nearest before it in its group of words.
pub(super) fn places(words: &mut [Word]) {
    let mut place = Mark::None;
    let mut since = 0_u8;
    for at in 0..words.len() {
        let word = words[at];
        if word.is(CLAUSE) {
            place = Mark::None;
        }
        if at > 0 && words[at - 1].mark == Mark::To && is_verb(&word) {
            // `to change pounds into zloty`: an infinitive, not a place.
            words[at].place = Mark::None;
            place = Mark::None;
        } else if word.mark.places() {
            // `USD/EUR`, `to cancel`: what follows decides, but the direction is kept.
            place = word.mark;
            since = 0;
        } else if word.mark.asks() || word.mark.helps() || word.mark == Mark::Subject {
            place = Mark::None;
        } else if word.is(CONTENT | CODE) {
            words[at].place = place;
            since = since.saturating_add(1);
            if since >= 3 || word.is(OWNER) {
                place = Mark::None;
            }
        }
    }
}

fn is_verb(word: &Word) -> bool {
    const VERBS: [u64; 14] = hashes([
        "convert", "change", "use", "see", "take", "find", "check", "go", "visit", "learn", "travel", "bring", "eat",
        "own",
    ]);
    word.known().action && word.plain || VERBS.contains(&word.raw)
}

/// The classes a word belongs to that are of one kind.
pub(super) fn class_of(word: &Word) -> impl Iterator<Item = (Class, u16, u16)> {
    word.known()
        .members
        .iter()
        .map(|&(class, member)| (lexicon().kind(class), class, member))
}
