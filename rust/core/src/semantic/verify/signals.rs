//! Fifteen comparisons of two texts that the network reads beside their tokens, as `reference.py` defines them.
//!
//! All are symmetric and most lie in 0..1. The rest of the reference's signals (question form, reference, symbol,
//! acronym) were guards only; `guard` has better ones.

use super::network::SIGNALS;
use super::words::{KNOWN, Known, WHAT, each_word, hash};

/// Octets of a text that are compared word by word; what comes later is left out, so that no text costs much.
const READ: usize = 2048;

/// Place of a signal in the array.
pub mod place {
    /// The numbers in the two texts differ.
    pub const NUMBER: usize = 0;
    /// One is negated.
    pub const NEGATION: usize = 1;
    /// Different question words, neither of them "what".
    pub const QUESTION: usize = 2;
    /// `from X to Y` against `from Y to X`.
    pub const DIRECTION: usize = 3;
    /// A word against its opposite.
    pub const OPPOSITE: usize = 4;
    /// Two members of a class that excludes.
    pub const MEMBER: usize = 5;
    /// Both have numbers.
    pub const NUMBERS_BOTH: usize = 6;
    /// The same question word, or none in both.
    pub const QUESTION_SAME: usize = 7;
    /// "What" against another question word.
    pub const QUESTION_WHAT: usize = 8;
    /// Share of shared words that stand in another order.
    pub const ORDER: usize = 9;
    /// Exactly one content word is exchanged.
    pub const ONE_WORD: usize = 10;
    /// The same set of words.
    pub const SAME_WORDS: usize = 11;
    /// The shorter length over the longer.
    pub const LENGTH: usize = 12;
    /// Quarters of content words that only one text has, in the text that has more of them.
    pub const EXTRA: usize = 13;
    /// The same in the text that has fewer.
    pub const EXTRA_MIN: usize = 14;
}

/// A word of a text.
#[derive(Debug, Clone, PartialEq)]
struct Word {
    id: u64,
    traits: u8,
    class: Option<(u8, u8)>,
}

/// The text had not used the word before.
const FRESH: u8 = 1;
const FUNCTION: u8 = 2;
const DIRECTION: u8 = 4;
/// The word has opposites.
const OPPOSED: u8 = 8;

impl Word {
    fn is(&self, of: u8) -> bool {
        self.traits & of != 0
    }
}

/// What the signals need to know of one text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    words: Box<[Word]>,
    question: u8,
    /// Whether there is an odd number of negations.
    negated: bool,
    /// A digest of the sorted numbers; None when there are none.
    numbers: Option<u64>,
}

impl Reading {
    pub(super) fn of(text: &str) -> Self {
        let lowered = beginning(text).to_lowercase();
        let mut words: Vec<Word> = Vec::with_capacity(16);
        let (mut question, mut negations) = (0, 0usize);
        let mut numbers = written_numbers(&lowered);
        let nothing = Known::default();
        each_word(&lowered, |word| {
            let id = hash(word);
            let known = KNOWN.get(&id).unwrap_or(&nothing);
            if question == 0 {
                question = known.question;
            }
            negations += usize::from(known.negation);
            numbers.extend(known.number.map(str::to_owned));
            let traits = [
                (words.iter().all(|before| before.id != id), FRESH),
                (known.function, FUNCTION),
                (known.direction, DIRECTION),
                (!known.opposites.is_empty(), OPPOSED),
            ];
            words.push(Word {
                id,
                traits: traits.into_iter().map(|(holds, of)| u8::from(holds) * of).sum(),
                class: known.class,
            });
        });
        numbers.sort_unstable();
        Self {
            words: words.into(),
            question,
            negated: negations % 2 == 1,
            numbers: (!numbers.is_empty()).then(|| hash(&numbers.join(" "))),
        }
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        size_of_val::<[Word]>(&self.words)
    }

    fn place(&self, id: u64) -> Option<usize> {
        self.words.iter().position(|word| word.id == id)
    }

    fn fresh(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| word.is(FRESH))
    }

    /// Words and the direction word before them.
    fn directed(&self) -> impl Iterator<Item = (u64, u64)> {
        self.words
            .windows(2)
            .filter_map(|pair| pair[0].is(DIRECTION).then_some((pair[0].id, pair[1].id)))
    }

    /// Whether `self` holds all members of the class that `other` has, or the other way round.
    fn members_agree(&self, other: &Self, class: u8) -> bool {
        let has = |text: &Self, member: u8| text.words.iter().any(|word| word.class == Some((class, member)));
        let within = |inner: &Self, outer: &Self| {
            let mut members = inner.words.iter().filter_map(|word| word.class);
            members.all(|(other_class, member)| other_class != class || has(outer, member))
        };
        within(self, other) || within(other, self)
    }
}

/// The first [`READ`] octets, or a few less where they would end inside a character.
fn beginning(text: &str) -> &str {
    let end = (0..=READ.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// The signals of two texts, in the order that the network was trained with.
pub(super) fn compare(a: &Reading, b: &Reading) -> [f32; SIGNALS] {
    let extra = (only(a, b), only(b, a));
    let (more, fewer) = (
        extra.0.content.max(extra.1.content),
        extra.0.content.min(extra.1.content),
    );
    let questions = (a.question, b.question);
    let differ = questions.0 != questions.1;
    let both = questions.0 > 0 && questions.1 > 0;
    let what = questions.0 == WHAT || questions.1 == WHAT;
    let flag = |condition: bool| f32::from(u8::from(condition));
    let quarters = |count: usize| f32::from(u8::try_from(count.min(4)).unwrap_or(4)) / 4.0;
    let mut signals = [0.0; SIGNALS];
    signals[place::NUMBER] = flag(a.numbers != b.numbers);
    signals[place::NEGATION] = flag(a.negated != b.negated);
    signals[place::QUESTION] = flag(differ && both && !what);
    signals[place::DIRECTION] = flag(swapped(a, b));
    signals[place::OPPOSITE] = flag(opposite(a, b));
    signals[place::MEMBER] = flag(excluded(a, b));
    signals[place::NUMBERS_BOTH] = flag(a.numbers.is_some() && b.numbers.is_some());
    signals[place::QUESTION_SAME] = flag(!differ);
    signals[place::QUESTION_WHAT] = flag(differ && both && what);
    signals[place::ORDER] = order(a, b);
    signals[place::ONE_WORD] = flag(more == 1 && fewer == 1);
    signals[place::SAME_WORDS] = flag(extra.0.any + extra.1.any == 0);
    signals[place::LENGTH] = share(
        a.words.len().min(b.words.len()),
        a.words.len().max(b.words.len()).max(1),
    );
    signals[place::EXTRA] = quarters(more);
    signals[place::EXTRA_MIN] = quarters(fewer);
    signals
}

/// How many different words one text has alone.
struct Only {
    any: usize,
    content: usize,
}

fn only(of: &Reading, beside: &Reading) -> Only {
    let alone = of.fresh().filter(|word| beside.place(word.id).is_none());
    alone.fold(Only { any: 0, content: 0 }, |count, word| Only {
        any: count.any + 1,
        content: count.content + usize::from(!word.is(FUNCTION)),
    })
}

fn swapped(a: &Reading, b: &Reading) -> bool {
    let alone = |beside: &Reading, pair: (u64, u64)| {
        beside.place(pair.1).is_some() && beside.directed().all(|other| other != pair)
    };
    a.directed()
        .filter(|&pair| alone(b, pair))
        .any(|(preposition, _)| b.directed().any(|pair| pair.0 == preposition && alone(a, pair)))
}

fn opposite(a: &Reading, b: &Reading) -> bool {
    a.words
        .iter()
        .filter(|word| word.is(OPPOSED) && b.place(word.id).is_none())
        .any(|word| {
            let opposites = KNOWN.get(&word.id).map_or(&[][..], |known| &known.opposites);
            opposites
                .iter()
                .any(|&other| b.place(other).is_some() && a.place(other).is_none())
        })
}

fn excluded(a: &Reading, b: &Reading) -> bool {
    let classes = |text: &Reading| -> Vec<u8> { text.words.iter().filter_map(|word| Some(word.class?.0)).collect() };
    let theirs = classes(b);
    classes(a)
        .into_iter()
        .any(|class| theirs.contains(&class) && !a.members_agree(b, class))
}

/// Share of the pairs of shared content words that stand in another order; places are those of the first use.
fn order(a: &Reading, b: &Reading) -> f32 {
    let content = a.fresh().filter(|word| !word.is(FUNCTION));
    let places: Vec<usize> = content.filter_map(|word| b.place(word.id)).collect();
    let inverted: usize = (0..places.len())
        .map(|i| places[i + 1..].iter().filter(|&&later| places[i] > later).count())
        .sum();
    let pairs = places.len() * places.len().saturating_sub(1) / 2;
    if pairs == 0 { 0.0 } else { share(inverted, pairs) }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts of words in two kilobytes, and a share of them as exact as the network reads it"
)]
fn share(part: usize, whole: usize) -> f32 {
    (part as f64 / whole as f64) as f32
}

/// Numbers in digits, canonical: 1,000 = 1000 = 1k, 3.50 = 3.5; digits inside words count (i7, b2b).
fn written_numbers(lowered: &str) -> Vec<String> {
    let octets = lowered.as_bytes();
    let digit = |at: usize| octets.get(at).is_some_and(u8::is_ascii_digit);
    let mut found = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        if !digit(at) {
            at += 1;
            continue;
        }
        let mut end = at;
        while digit(end) || (matches!(octets.get(end), Some(b',' | b'.')) && digit(end + 1)) {
            end += 1;
        }
        let thousands = lowered[end..]
            .strip_prefix('k')
            .is_some_and(|rest| !rest.chars().next().is_some_and(super::words::is_alphanumeric));
        found.push(canonical(&lowered[at..end], thousands));
        at = end;
    }
    found
}

fn canonical(written: &str, thousands: bool) -> String {
    let mut number = written.replace(',', "");
    let points = number.matches('.').count();
    if thousands && points < 2 {
        number = format!("{:.3}", number.parse::<f64>().unwrap_or(f64::INFINITY) * 1000.0);
    }
    if number.matches('.').count() == 1 {
        number.truncate(number.trim_end_matches('0').trim_end_matches('.').len());
    }
    let significant = number.trim_start_matches('0');
    if significant.is_empty() {
        "0".to_owned()
    } else {
        significant.to_owned()
    }
}
