//! Values of a text from its pieces: number words, units, currencies, dates and hours put together.

use super::lexicon::{Entry, Kind as Class, lexicon};
use super::quantity::{Kind, Literal, Quantity};
use super::split::{CAPITAL, CODE, CONTENT, NUMBER, Piece, Pieces, SENTENCE};
use super::word::{Word, understand};

/// Understand every piece: first as part of a value, then as a word.
pub(super) fn values(
    pieces: &Pieces,
    english: bool,
    words: &mut Vec<Word>,
    quantities: &mut Vec<Quantity>,
    loud: bool,
) {
    let list = &pieces.list;
    let mut reader = Reader { pieces, quantities };
    let mut at = 0;
    while at < list.len() {
        let used = if english { reader.value(at) } else { reader.written(at) };
        for (nth, piece) in list[at..at + used.max(1)].iter().enumerate() {
            let mut word = understand(pieces.of_piece(piece), piece, english, loud);
            if used == 0 && piece.literal.is_some() {
                word.flags = (word.flags | CODE) & !NUMBER;
            }
            if used > 0 {
                // The unit of a number is part of the value; the unit of `a week` stays a word as well.
                let optional = reader.quantities.last().is_some_and(|last| last.optional);
                if !optional || nth == 0 {
                    word.flags = (word.flags | NUMBER) & !CONTENT;
                }
            }
            words.push(word);
        }
        at += used.max(1);
    }
    days_of_months(reader.quantities);
}

/// A number beside a month is its day.
fn days_of_months(quantities: &mut [Quantity]) {
    for at in 0..quantities.len() {
        let here = quantities[at];
        let month = |index: Option<usize>| {
            index.and_then(|index| quantities.get(index)).is_some_and(|one| {
                let gap = if one.start > here.end {
                    one.start - here.end
                } else {
                    here.start.saturating_sub(one.end)
                };
                one.kind == Kind::Month && gap <= 4
            })
        };
        if here.kind == Kind::Plain && here.value <= 31.0 && (month(at.checked_sub(1)) || month(Some(at + 1))) {
            quantities[at].kind = Kind::MonthDay;
        }
    }
}

/// Nouns whose number is a name.
const NUMBERED: &[&str] = &[
    "version",
    "code",
    "error",
    "order",
    "ticket",
    "case",
    "claim",
    "invoice",
    "booking",
    "reference",
    "ref",
    "model",
    "id",
    "account",
    "flight",
    "policy",
    "cheque",
    "article",
    "section",
    "chapter",
    "port",
    "status",
    "release",
    "build",
    "parcel",
    "issue",
    "request",
    "contract",
    "form",
    "line",
    "gate",
    "platform",
    "bus",
    "highway",
    "route",
    "rfc",
];

/// Words before a month that is also another word.
const DATED: &[&str] = &["in", "of", "by", "since", "until", "last", "next", "from", "to", "till"];

/// Months that are something else too.
const UNCLEAR: &[&str] = &["may", "march", "mar", "sec", "dec", "jan", "sep", "apr", "jun"];

struct Reader<'a> {
    pieces: &'a Pieces,
    quantities: &'a mut Vec<Quantity>,
}

impl<'a> Reader<'a> {
    fn piece(&self, at: usize) -> Option<&'a Piece> {
        self.pieces.list.get(at)
    }

    fn text(&self, at: usize) -> &'a str {
        self.piece(at).map_or("", |piece| self.pieces.of_piece(piece))
    }

    fn known(&self, at: usize) -> &'static Entry {
        let tables = lexicon();
        tables.at(self.piece(at).map_or(0, |piece| tables.find(piece.raw)))
    }

    fn literal(&self, at: usize) -> Option<Literal> {
        self.piece(at)?.literal
    }

    /// Note a value that takes some pieces; how many.
    fn put(&mut self, at: usize, pieces: usize, kind: Kind, value: f64, count: f64) -> usize {
        let end = self
            .piece(at + pieces - 1)
            .or(self.piece(at))
            .map_or(0, |piece| piece.end);
        let start = self.piece(at).map_or(0, |piece| piece.start);
        self.quantities.push(Quantity {
            kind,
            value,
            count,
            start,
            end,
            optional: false,
        });
        pieces
    }

    /// The same for one that nobody misses.
    fn put_optional(&mut self, at: usize, pieces: usize, kind: Kind, value: f64) -> usize {
        let taken = self.put(at, pieces, kind, value, 1.0);
        if let Some(last) = self.quantities.last_mut() {
            last.optional = true;
        }
        taken
    }

    /// Only what is written in digits.
    fn written(&mut self, at: usize) -> usize {
        self.literal(at)
            .map_or(0, |literal| self.put(at, 1, literal.kind, literal.value, literal.count))
    }

    /// Read a value that begins at a piece; how many pieces it takes, 0 for none.
    fn value(&mut self, at: usize) -> usize {
        let Some(literal) = self.literal(at) else {
            let known = self.known(at);
            return if known.value { self.spoken(at, known) } else { 0 };
        };
        match literal.kind {
            Kind::Plain if self.is_name(at) => 0,
            Kind::Plain => self.counted(at, literal.value, false),
            // `$5 million`
            Kind::Money(_) if self.known(at + 1).number >= 1000.0 => {
                let value = literal.value * self.known(at + 1).number;
                self.put(at, 2, literal.kind, value, value)
            }
            kind => self.put(at, 1, kind, literal.value, literal.count),
        }
    }

    /// `version 3.10`, `order 55120`, `Python 3.10`: a name in digits.
    fn is_name(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1) else {
            return false;
        };
        let named = || {
            let flags = self.piece(before).map_or(0, |piece| piece.flags);
            (flags & CAPITAL != 0 && flags & SENTENCE == 0)
                || self
                    .known(before)
                    .members
                    .iter()
                    .any(|(class, _)| lexicon().kind(*class) == Class::Name)
        };
        self.known(at + 1).unit.0 == 0
            && (NUMBERED.contains(&self.text(before)) || (self.text(at).contains('.') && named()))
    }

    /// A value in words.
    fn spoken(&mut self, at: usize, known: &Entry) -> usize {
        let letters = self.text(at);
        if known.weekday > 0 {
            return self.put(at, 1, Kind::Weekday, f64::from(known.weekday), 0.0);
        }
        if known.month > 0 && self.is_month(at, letters) {
            return self.put(at, 1, Kind::Month, f64::from(known.month), 0.0);
        }
        // `INR 30,000`, `Rs 500`
        if known.money > 0
            && letters.len() <= 3
            && let Some(literal) = self.literal(at + 1).filter(|literal| literal.kind == Kind::Plain)
        {
            let scale = self.known(at + 2).number;
            let (scale, pieces) = if scale >= 1000.0 { (scale, 3) } else { (1.0, 2) };
            let value = literal.value * scale;
            return self.put(at, pieces, Kind::Money(known.money), value, value);
        }
        match letters {
            "yesterday" => self.put(at, 1, Kind::Relative, -1.0, 0.0),
            "today" | "tonight" => self.put(at, 1, Kind::Relative, 0.0, 0.0),
            "tomorrow" => self.put(at, 1, Kind::Relative, 1.0, 0.0),
            "noon" | "midday" => self.put(at, 1, Kind::Time, 720.0, 0.0),
            "midnight" => self.put(at, 1, Kind::Time, 0.0, 0.0),
            "a" | "an" => match self.known(at + 1).unit {
                (dimension @ 1..=2, factor) if self.text(at + 1).len() > 2 => {
                    self.put_optional(at, 2, Kind::Unit(dimension), factor)
                }
                _ => 0,
            },
            _ if known.number > 0.0 => self.counted(at, known.number, true),
            _ => 0,
        }
    }

    fn is_month(&self, at: usize, letters: &str) -> bool {
        let digits = |index: Option<usize>| index.is_some_and(|index| self.literal(index).is_some());
        let before = at.checked_sub(1);
        let capital = self.piece(at).is_some_and(|piece| piece.flags & CAPITAL != 0);
        !UNCLEAR.contains(&letters)
            || digits(Some(at + 1))
            || digits(before)
            || (capital && before.is_some_and(|before| DATED.contains(&self.text(before))))
    }

    /// Number words that follow one another: `two hundred and five thousand`.
    fn gather(&self, at: usize, first: f64, spoken: bool) -> (f64, usize) {
        let (mut number, mut total, mut count) = (first, 0.0, 1);
        loop {
            let next = self.known(at + count).number;
            if next >= 1000.0 {
                total += number * next;
                number = 0.0;
            } else if next >= 100.0 && number < 100.0 {
                number *= next;
            } else if next > 0.0 && spoken && number >= 20.0 && next < number && number % 10.0 == 0.0 {
                number += next;
            } else if next > 0.0 && spoken && number == 0.0 {
                number = next;
            } else {
                break;
            }
            count += 1;
            let joined = self.text(at + count) == "and" && (number == 0.0 || number >= 100.0);
            if joined && self.known(at + count + 1).number > 0.0 {
                count += 1;
            }
        }
        (total + number, count)
    }

    /// A number with what it counts: money, a measure, an hour, or nothing.
    fn counted(&mut self, at: usize, first: f64, spoken: bool) -> usize {
        let (number, count) = self.gather(at, first, spoken);
        // `one` alone is mostly a pronoun.
        let pronoun = spoken && count == 1 && (number - 1.0).abs() < f64::EPSILON;
        let (next, known) = (self.text(at + count), self.known(at + count));
        if known.money > 0 {
            return self.put(at, count + 1, Kind::Money(known.money), number, number);
        }
        let (dimension, factor) = known.unit;
        if pronoun && dimension == TIMES {
            return 0;
        }
        if dimension != 0 && pronoun {
            return self.put_optional(at, count + 1, Kind::Unit(dimension), factor);
        }
        if dimension != 0 {
            return self.put(at, count + 1, Kind::Unit(dimension), number * factor, number);
        }
        let parted = matches!(next, "a" | "p") && self.text(at + count + 1) == "m";
        if (parted || matches!(next, "am" | "pm")) && (1.0..=12.0).contains(&number) {
            let half = if next.starts_with('p') { 12.0 } else { 0.0 };
            let pieces = count + if parted { 2 } else { 1 };
            return self.put(at, pieces, Kind::Time, (number % 12.0 + half) * 60.0, number);
        }
        if next == "o'clock" {
            return self.put(at, count + 1, Kind::Time, number * 60.0, number);
        }
        if pronoun {
            0
        } else {
            self.put(at, count, Kind::Plain, number, number)
        }
    }
}

/// The unit of `three times`.
const TIMES: u8 = 14;
