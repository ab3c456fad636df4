//! The reviewed English tables, read once into one map from a word to all that is known of it.

use std::hash::BuildHasherDefault;
use std::sync::LazyLock;

use hashbrown::{HashMap, HashSet};

use super::hash::{Identity, hash};
use super::mark::{MARKS, Mark};
use super::unit::{MONEY, NUMBERS, UNITS, month, weekday};
use crate::text::calendar::{MONTHS, WEEKDAYS};

type Map<V> = HashMap<u64, V, BuildHasherDefault<Identity>>;

/// What a class of names that exclude one another is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Date,
    Currency,
    Unit,
    Language,
    Name,
    Qualifier,
    Ordinal,
}

/// All that is known of a word.
#[derive(Clone, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a word")]
pub(super) struct Entry {
    /// Synonym groups, from 1.
    pub(super) groups: Vec<u16>,
    /// Axes of opposites, from 1; negative on the right side.
    pub(super) poles: Vec<i16>,
    /// (class, member).
    pub(super) members: Vec<(u16, u16)>,
    pub(super) function: bool,
    pub(super) action: bool,
    pub(super) person: bool,
    pub(super) mark: Mark,
    /// What a number word counts; 0 for other words.
    pub(super) number: f64,
    /// Currency, month and day of the week, each from 1.
    pub(super) money: u8,
    pub(super) month: u8,
    pub(super) weekday: u8,
    /// It may begin a value: only then is that looked into.
    pub(super) value: bool,
    /// Dimension (from 1) and factor of a unit; (0, 0) for other words.
    pub(super) unit: (u8, f64),
}

/// Several words read as others.
#[derive(Clone)]
pub(super) struct Phrase {
    /// Hashes of all words but the first.
    pub(super) rest: Vec<u64>,
    pub(super) becomes: Vec<&'static str>,
}

/// The tables.
#[derive(Clone)]
pub(super) struct Lexicon {
    words: Map<u32>,
    entries: Vec<Entry>,
    /// Every word of the tables, until its plain form was looked up.
    spelled: Vec<(&'static str, u32)>,
    kinds: Vec<Kind>,
    phrases: Map<Vec<Phrase>>,
    irregular: Map<&'static str>,
    innocent: HashSet<u64, BuildHasherDefault<Identity>>,
    tongues: Map<u8>,
}

/// Languages told apart by their small words, in the order of the bits of `tongue`.
pub(super) const TONGUES: [&str; 7] = ["en", "es", "fr", "de", "it", "pt", "nl"];

static TABLES: LazyLock<Lexicon> = LazyLock::new(Lexicon::read);
static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::inherit);

/// The tables as they are written; what takes inflections off asks these.
pub(super) fn tables() -> &'static Lexicon {
    &TABLES
}

/// The tables, read at the first call (about a millisecond).
pub(super) fn lexicon() -> &'static Lexicon {
    &LEXICON
}

fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn number(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

impl Lexicon {
    fn read() -> Self {
        let mut all = Self {
            words: Map::default(),
            entries: vec![Entry::default()],
            spelled: Vec::new(),
            kinds: Vec::new(),
            phrases: Map::default(),
            irregular: Map::default(),
            innocent: HashSet::default(),
            tongues: Map::default(),
        };
        for word in lines(include_str!("english/function.txt")).flat_map(str::split_whitespace) {
            all.entry(word).function = true;
        }
        for (word, mark) in MARKS {
            let entry = all.entry(word);
            (entry.mark, entry.function) = (*mark, true);
        }
        for (word, value) in NUMBERS {
            all.entry(word).number = *value;
        }
        for (dimension, factor, words) in UNITS {
            for word in words.split(' ') {
                all.entry(word).unit = (*dimension, *factor);
            }
        }
        for (group, line) in lines(include_str!("english/synonyms.txt")).enumerate() {
            for word in line.split_whitespace() {
                all.entry(word).groups.push(number(group + 1));
            }
        }
        all.read_values();
        all.read_opposites();
        all.read_classes();
        for word in lines(include_str!("english/people.txt")).flat_map(str::split_whitespace) {
            all.entry(word).person = true;
        }
        for word in lines(include_str!("english/actions.txt")).flat_map(str::split_whitespace) {
            all.entry(word).action = true;
        }
        all.read_forms();
        all
    }

    fn read_values(&mut self) {
        const SHORT_OR_MANY: [&str; 17] = [
            "sept",
            "mon",
            "tue",
            "tues",
            "wed",
            "thu",
            "thur",
            "thurs",
            "fri",
            "mondays",
            "tuesdays",
            "wednesdays",
            "thursdays",
            "fridays",
            "saturdays",
            "sundays",
            "tonight",
        ];
        for (word, currency) in MONEY {
            let entry = self.entry(word);
            (entry.money, entry.value) = (*currency, true);
        }
        let months = MONTHS.into_iter().flat_map(|month| [month, &month[..3]]);
        for word in months.chain(WEEKDAYS).chain(SHORT_OR_MANY) {
            let entry = self.entry(word);
            entry.month = month(word).unwrap_or(0);
            entry.weekday = weekday(word).unwrap_or(0);
        }
        for word in [
            "yesterday",
            "today",
            "tomorrow",
            "noon",
            "midday",
            "midnight",
            "a",
            "an",
        ] {
            self.entry(word).value = true;
        }
        for entry in &mut self.entries {
            entry.value |= entry.month > 0 || entry.weekday > 0 || entry.number > 0.0;
        }
    }

    /// The tables where a listed inflection (`symptoms`) also has what its plain form has.
    fn inherit() -> Self {
        let mut all = tables().clone();
        for (form, index) in &tables().spelled {
            let mut base = (*form).to_owned();
            super::stem::stem(&mut base);
            let at = all.find(hash(&base));
            if at == 0 || at == *index || all.at(at).function || all.at(*index).function {
                continue;
            }
            let plain = all.at(at).clone();
            let entry = &mut all.entries[*index as usize];
            entry.groups.extend(plain.groups);
            entry.poles.extend(plain.poles);
            entry.members.extend(plain.members);
        }
        all.spelled = Vec::new();
        all
    }

    fn read_opposites(&mut self) {
        for (axis, line) in lines(include_str!("english/opposites.txt")).enumerate() {
            let axis = i16::try_from(axis + 1).unwrap_or(i16::MAX);
            if let Some((left, right)) = line.split_once('/') {
                for word in left.split_whitespace() {
                    self.entry(word).poles.push(axis);
                }
                for word in right.split_whitespace() {
                    self.entry(word).poles.push(-axis);
                }
            }
        }
    }

    fn read_classes(&mut self) {
        for line in lines(include_str!("english/classes.txt")) {
            let Some((name, members)) = line.split_once(':') else {
                continue;
            };
            let class = number(self.kinds.len());
            self.kinds.push(match name {
                "date" => Kind::Date,
                "currency" => Kind::Currency,
                "unit" => Kind::Unit,
                "language" => Kind::Language,
                "name" => Kind::Name,
                "ordinal" => Kind::Ordinal,
                _ => Kind::Qualifier,
            });
            for (member, names) in members.split_whitespace().enumerate() {
                for word in names.split(',') {
                    self.entry(word).members.push((class, number(member)));
                }
            }
        }
    }

    fn read_forms(&mut self) {
        for pair in lines(include_str!("english/irregular.txt")).flat_map(str::split_whitespace) {
            if let Some((form, base)) = pair.split_once('=') {
                self.irregular.insert(hash(form), base);
            }
        }
        for word in lines(include_str!("english/prefixes.txt")).flat_map(str::split_whitespace) {
            self.innocent.insert(hash(word));
        }
        for line in lines(include_str!("english/tongues.txt")) {
            if let Some((name, words)) = line.split_once(": ") {
                let bit = TONGUES.iter().position(|tongue| *tongue == name).unwrap_or(0);
                for word in words.split_whitespace() {
                    *self.tongues.entry(hash(word)).or_default() |= 1 << bit;
                }
            }
        }
        for line in lines(include_str!("english/phrases.txt")) {
            if let Some((phrase, word)) = line.split_once(" = ") {
                let mut hashes = phrase.split_whitespace().map(hash);
                if let Some(first) = hashes.next() {
                    self.phrases.entry(first).or_default().push(Phrase {
                        rest: hashes.collect(),
                        becomes: word.split_whitespace().collect(),
                    });
                }
            }
        }
        for phrases in self.phrases.values_mut() {
            phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.rest.len()));
        }
    }

    fn entry(&mut self, word: &'static str) -> &mut Entry {
        let next = u32::try_from(self.entries.len()).unwrap_or(0);
        let at = *self.words.entry(hash(word)).or_insert(next);
        if at == next {
            self.entries.push(Entry::default());
            self.spelled.push((word, at));
        }
        &mut self.entries[at as usize]
    }

    /// Where a word stands in the tables; 0 when it does not.
    pub(super) fn find(&self, hash: u64) -> u32 {
        self.words.get(&hash).copied().unwrap_or(0)
    }

    /// What is known of the word found there; nothing for 0.
    pub(super) fn at(&self, index: u32) -> &Entry {
        self.entries.get(index as usize).unwrap_or(&self.entries[0])
    }

    pub(super) fn kind(&self, class: u16) -> Kind {
        self.kinds.get(usize::from(class)).copied().unwrap_or(Kind::Qualifier)
    }

    pub(super) fn phrases(&self, first: u64) -> &[Phrase] {
        self.phrases.get(&first).map_or(&[], Vec::as_slice)
    }

    pub(super) fn irregular(&self, form: u64) -> Option<&'static str> {
        self.irregular.get(&form).copied()
    }

    pub(super) fn is_innocent(&self, word: u64) -> bool {
        self.innocent.contains(&word)
    }

    /// Bits of `TONGUES` in which the word is a small one.
    pub(super) fn tongue(&self, word: u64) -> u8 {
        self.tongues.get(&word).copied().unwrap_or(0)
    }
}
