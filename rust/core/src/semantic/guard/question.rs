//! A question read once: its words, values and form, small enough to be stored beside the answer.

use super::frame::{Frame, frame};
use super::language;
use super::lexicon::{Entry, Kind as Class, hash, lexicon};
use super::mark::Mark;
use super::quantity::{Kind, Quantity};
use super::split::{CAPITAL, CLAUSE, CODE, CONTENT, MOST_WORDS, NUMBER, OWNER, Piece, Pieces, SENTENCE, SHOUT, readable};
use super::stem::{degree, negated, root, stem};
use super::unit::{MONEY, month, weekday};

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

/// A question read once. Comparing two costs a microsecond or two; reading one about five.
///
/// It holds at most 4,096 octets and 320 words of the text; of what follows only a digest, so that two long texts with
/// different ends are never taken for the same.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) text: Box<str>,
    pub(super) words: Box<[Word]>,
    pub(super) quantities: Box<[Quantity]>,
    pub(super) frame: Frame,
    pub(super) language: u8,
    pub(super) title_case: bool,
    pub(super) code: bool,
    /// Digest of what was not read; 0 when all was.
    pub(super) rest: u64,
}

impl Question {
    /// Read a text. Never fails: what cannot be understood is compared letter by letter.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let clean = readable(text);
        let mut pieces = Pieces::of(&clean);
        let cut = text.len() > super::split::LONGEST || pieces.list.len() >= MOST_WORDS;
        let rest = if cut { hash(text) | 1 } else { 0 };
        let language = language::detect(&clean, &pieces.list);
        if language == language::ENGLISH {
            pieces.join_phrases();
        }
        let loud = !clean.bytes().any(|octet| octet.is_ascii_lowercase());
        let mut words = Vec::with_capacity(pieces.list.len());
        let mut quantities = Vec::new();
        values(&pieces, language == language::ENGLISH, &mut words, &mut quantities, loud);
        degrees(&mut words);
        places(&mut words);
        let title_case = is_title_case(&words);
        let frame = frame(&words, pieces.asked, &clean);
        Self {
            code: is_code(text),
            text: clean.into(),
            words: words.into(),
            quantities: quantities.into(),
            frame,
            language,
            title_case,
            rest,
        }
    }

    /// Does it ask for something to be done, rather than to be told (`cancel my order`, `could you lock the card`)?
    #[must_use]
    pub fn is_action(&self) -> bool {
        self.frame.action
    }

    /// Is it, or does it hold, source code or markup?
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.code
    }

    /// The language as far as it can be told cheaply: `en`, `es`, …, or the name of a script, such as `cyrillic`.
    #[must_use]
    pub fn language(&self) -> &'static str {
        language::name(self.language)
    }

    /// Do only the guards for numbers, codes, names and languages hold, so that the strict profile should decide?
    #[must_use]
    pub fn needs_strict(&self) -> bool {
        self.language != language::ENGLISH || self.rest != 0
    }

    /// How many questions it asks (by question marks and question words at the start of sentences); at least one.
    #[must_use]
    pub fn questions(&self) -> usize {
        usize::from(self.frame.asked.max(1))
    }

    /// Octets that it occupies, itself included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.text.len()
            + size_of_val::<[Word]>(&self.words)
            + size_of_val::<[Quantity]>(&self.quantities)
    }

    pub(super) fn piece(&self, start: u16, end: u16) -> &str {
        self.text.get(usize::from(start)..usize::from(end)).unwrap_or("")
    }

    pub(super) fn of(&self, word: &Word) -> &str {
        self.piece(word.start, word.end)
    }
}

/// Understand every piece: first as part of a value, then as a word.
fn values(pieces: &Pieces, english: bool, words: &mut Vec<Word>, quantities: &mut Vec<Quantity>, loud: bool) {
    let list = &pieces.list;
    let mut at = 0;
    while at < list.len() {
        let used = if english { value(pieces, at, quantities) } else { written_value(&list[at], quantities) };
        for (nth, piece) in list[at..at + used.max(1)].iter().enumerate() {
            let mut word = understand(pieces.of_piece(piece), piece, english, loud);
            if used > 0 {
                // The unit of a number is part of the value; the unit of `a week` stays a word as well.
                let optional = quantities.last().is_some_and(|last| last.optional);
                if !optional || nth == 0 {
                    word.flags = (word.flags | NUMBER) & !CONTENT;
                }
            }
            words.push(word);
        }
        at += used.max(1);
    }
}

fn written_value(piece: &Piece, quantities: &mut Vec<Quantity>) -> usize {
    piece.literal.map_or(0, |literal| {
        quantities.push(Quantity {
            kind: literal.kind,
            value: literal.value,
            start: piece.start,
            end: piece.end,
            optional: false,
        });
        1
    })
}

/// Read a value that begins at a piece; how many pieces it takes, 0 for none.
fn value(pieces: &Pieces, at: usize, quantities: &mut Vec<Quantity>) -> usize {
    let list = &pieces.list;
    let tables = lexicon();
    let entry = |index: usize| list.get(index).map(|piece| tables.at(tables.find(piece.raw)));
    let text = |index: usize| list.get(index).map_or("", |piece| pieces.of_piece(piece));
    let first = &list[at];
    let letters = text(at);
    let mut put = |kind, value, count: usize, optional| {
        quantities.push(Quantity { kind, value, start: first.start, end: list[at + count - 1].end, optional });
        count
    };
    if first.literal.is_none() {
        if let Some(day) = weekday(letters) {
            return put(Kind::Weekday, f64::from(day), 1, false);
        }
        if let Some(month) = month(letters) {
            let near = |index: Option<usize>| index.is_some_and(|index| list.get(index).is_some_and(|piece| piece.literal.is_some()));
            let before = at.checked_sub(1).map_or("", text);
            let dated = matches!(before, "in" | "of" | "by" | "since" | "until" | "last" | "next" | "from" | "to" | "till");
            let clear = !matches!(letters, "may" | "march" | "mar" | "sec" | "dec" | "jan" | "sep" | "apr" | "jun");
            if clear || near(Some(at + 1)) || near(at.checked_sub(1)) || (dated && first.flags & CAPITAL != 0) {
                return put(Kind::Month, f64::from(month), 1, false);
            }
        }
        match letters {
            "yesterday" => return put(Kind::Relative, -1.0, 1, false),
            "today" | "tonight" => return put(Kind::Relative, 0.0, 1, false),
            "tomorrow" => return put(Kind::Relative, 1.0, 1, false),
            "noon" | "midday" => return put(Kind::Time, 720.0, 1, false),
            "midnight" => return put(Kind::Time, 0.0, 1, false),
            "a" | "an" => {
                return match entry(at + 1).map(|entry| entry.unit) {
                    Some((dimension @ 1..=2, factor)) if text(at + 1).len() > 2 => {
                        put(Kind::Unit(dimension), factor, 2, true)
                    }
                    _ => 0,
                };
            }
            _ => {}
        }
    }
    let (mut number, mut count) = match first.literal {
        Some(literal) if literal.kind != Kind::Plain => match literal.kind {
            // `$5 million`
            Kind::Money(_) if entry(at + 1).is_some_and(|entry| entry.number >= 1000.0) => {
                return put(literal.kind, literal.value * entry(at + 1).map_or(1.0, |entry| entry.number), 2, false);
            }
            kind => return put(kind, literal.value, 1, false),
        },
        Some(literal) => (literal.value, 1),
        None => match entry(at).map(|entry| entry.number) {
            Some(number) if number > 0.0 => (number, 1),
            _ => return 0,
        },
    };
    let one = first.literal.is_none() && (number - 1.0).abs() < f64::EPSILON;
    let mut total = 0.0;
    while let Some(next) = entry(at + count).map(|entry| entry.number).filter(|next| *next > 0.0) {
        if next >= 1000.0 {
            total += number * next;
            number = 0.0;
        } else if next == 100.0 && number < 100.0 {
            number *= next;
        } else if number >= 20.0 && next < number && number % 10.0 == 0.0 && first.literal.is_none() {
            number += next;
        } else if number == 0.0 && first.literal.is_none() {
            number = next;
        } else {
            break;
        }
        count += 1;
        if text(at + count) == "and" && (number == 0.0 || number >= 100.0) && entry(at + count + 1).is_some_and(|e| e.number > 0.0)
        {
            count += 1;
        }
    }
    let number = total + number;
    let alone = one && count == 1;
    let next = text(at + count);
    let unit = entry(at + count).map_or((0, 0.0), |entry| entry.unit);
    if let Some((_, currency)) = MONEY.iter().find(|(name, _)| *name == next) {
        return put(Kind::Money(*currency), number, count + 1, false);
    }
    if unit.0 != 0 && !(unit.0 == 14 && alone) {
        return put(Kind::Unit(unit.0), number * unit.1, count + 1, alone);
    }
    let clock = matches!(next, "am" | "pm") || (matches!(next, "a" | "p") && text(at + count + 1) == "m");
    if clock && (1.0..=12.0).contains(&number) {
        let half = if next.starts_with('p') { 12.0 } else { 0.0 };
        let taken = if next.len() == 1 { 2 } else { 1 };
        return put(Kind::Time, (number % 12.0 + half) * 60.0, count + taken, false);
    }
    if next == "o'clock" {
        return put(Kind::Time, number * 60.0, count + 1, false);
    }
    if alone { 0 } else { put(Kind::Plain, number, count, false) }
}

/// Capitals that make another word of a small one: `IT`, `US`, `WHO`.
fn is_acronym(letters: &str, piece: &Piece, loud: bool) -> bool {
    !loud && piece.flags & SHOUT != 0 && matches!(letters, "it" | "us" | "who" | "me" | "am" | "or" | "in" | "may" | "will" | "can" | "all" | "so" | "do" | "an" | "as")
        && letters != "all"
}

fn understand(letters: &str, piece: &Piece, english: bool, loud: bool) -> Word {
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
        word.stem = hash("usa").wrapping_mul(u64::from(letters == "us")) | (piece.raw << 1 | 1) * u64::from(letters != "us");
        word.entry = if letters == "us" { tables.find(hash("usa")) } else { 0 };
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
    word.plain = base == letters;
    if word.entry == 0 {
        word.entry = tables.find(hash(&base));
        // An inflected function word (`makes`, `needed`) is one too.
        if word.known().function && word.degree == 0 {
            word.flags &= !CONTENT;
            word.mark = word.known().mark;
        }
    }
    let short = if base.len() >= 6 { base.strip_suffix('e').unwrap_or(&base) } else { &base };
    word.stem = hash(short);
    word.root = hash(root(&base));
    word.base = negated(&base).map_or(0, |rest| {
        hash(if rest.len() >= 6 { rest.strip_suffix('e').unwrap_or(rest) } else { rest })
    });
    word
}

/// `more expensive`, `most expensive`: the degree belongs to the adjective.
fn degrees(words: &mut [Word]) {
    for at in 1..words.len() {
        let degree = match words[at - 1].mark {
            Mark::More => 1,
            Mark::Most => 2,
            _ => 0,
        };
        if degree > 0 && words[at].is(CONTENT) && !words[at].known().poles.is_empty() {
            words[at].degree = degree;
        }
    }
}

/// Tell every word the preposition that governs it: the nearest before it in its group of words.
fn places(words: &mut [Word]) {
    let mut place = Mark::None;
    let mut since = 0_u8;
    for at in 0..words.len() {
        let word = words[at];
        if word.is(CLAUSE) {
            place = Mark::None;
        }
        if word.mark.places() {
            // `USD/EUR`, `to cancel`: what follows decides, but the direction is kept.
            place = word.mark;
            since = 0;
        } else if word.mark.asks() || word.mark.helps() || word.mark == Mark::Subject {
            place = Mark::None;
        } else if word.is(CONTENT | CODE) {
            words[at].place = place;
            since += 1;
            if since >= 3 || word.is(OWNER) {
                place = Mark::None;
            }
        }
    }
}

fn is_title_case(words: &[Word]) -> bool {
    let (mut capitals, mut all) = (0, 0);
    for word in words.iter().filter(|word| word.is(CONTENT) && !word.is(SENTENCE)) {
        all += 1;
        capitals += usize::from(word.is(CAPITAL));
    }
    all > 2 && capitals * 10 >= all * 8
}

/// Signs that people's sentences do not hold.
fn is_code(text: &str) -> bool {
    let mut signs = 0;
    for (at, octet) in text.bytes().take(8192).enumerate() {
        match octet {
            b'{' | b'}' | b';' => signs += 2,
            b'`' if text[at..].starts_with("```") => return true,
            b'=' | b'<' | b'>' if text.as_bytes().get(at + 1).is_some_and(|next| matches!(next, b'=' | b'/' | b'>')) => {
                signs += 3;
            }
            b'(' if text.as_bytes().get(at + 1) == Some(&b')') => signs += 2,
            _ => {}
        }
        if signs >= 6 {
            return true;
        }
    }
    ["def ", "class ", "import ", "SELECT ", "#include", "function "]
        .iter()
        .any(|word| text.starts_with(word) && text.contains(['(', ';', '*', '\n']))
        || text.contains("</")
        || text.starts_with("<?xml")
}

/// The classes a word belongs to that are of one kind.
pub(super) fn class_of(word: &Word) -> impl Iterator<Item = (Class, u16, u16)> {
    word.known().members.iter().map(|&(class, member)| (lexicon().kind(class), class, member))
}
