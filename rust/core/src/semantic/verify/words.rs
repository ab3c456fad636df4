//! What the network was trained to know about words: function words, opposites, classes whose members exclude each other.
//!
//! These lists are part of the trained network, as its weights are, and change only with them. The guards have lists of
//! their own (`guard`), which grow with every trap that somebody reports.

use std::collections::HashMap;
use std::sync::LazyLock;

const FUNCTION: &str = "a an the of in on at to for from by with and or is are was were be been am do does did i you he \
    she it we they my your his her its our their me us them this that these those there as if so can could should would \
    will shall may might must have has had what which who how why when where please thanks thank hi hello any some s t \
    re ve ll d m";
const NEGATIONS: &str = "not no never without cannot none nor neither nobody nothing unable dont doesnt isnt cant wont \
    didnt arent shouldnt wouldnt couldnt wasnt werent hasnt havent";
const DIRECTIONS: &str = "from to into than over before after by";
const QUESTIONS: [(&str, u8); 9] = [
    ("who", 1),
    ("whom", 1),
    ("whose", 1),
    ("when", 2),
    ("where", 3),
    ("why", 4),
    ("how", 5),
    ("what", WHAT),
    ("which", WHAT),
];
/// The question "what" or "which", which the others do not contradict.
pub(super) const WHAT: u8 = 6;
const NUMBERS: &str = "two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10 eleven=11 twelve=12 thirteen=13 \
    fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18 nineteen=19 twenty=20 thirty=30 forty=40 fifty=50 \
    sixty=60 seventy=70 eighty=80 ninety=90 hundred=100 thousand=1000 million=1000000";
/// Pairs of opposites, `left/right`.
const OPPOSITES: &str = include_str!("opposites.txt");
/// A class a line; its members are separated by blanks, other names of one member by commas.
const CLASSES: &str = include_str!("classes.txt");

/// All that is known of a word.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) function: bool,
    pub(super) negation: bool,
    pub(super) direction: bool,
    /// Who 1, when 2, where 3, why 4, how 5, what 6; 0 for no question word.
    pub(super) question: u8,
    /// The number that the word names, in digits.
    pub(super) number: Option<&'static str>,
    /// Class and member.
    pub(super) class: Option<(u8, u8)>,
    /// Words that mean the opposite, as [`hash`].
    pub(super) opposites: Vec<u64>,
}

/// The words that mean something to the network, by [`hash`].
pub(super) static KNOWN: LazyLock<HashMap<u64, Known>> = LazyLock::new(|| {
    let mut known: HashMap<u64, Known> = HashMap::new();
    for word in FUNCTION.split_whitespace() {
        known.entry(hash(word)).or_default().function = true;
    }
    for word in NEGATIONS.split_whitespace() {
        known.entry(hash(word)).or_default().negation = true;
    }
    for word in DIRECTIONS.split_whitespace() {
        known.entry(hash(word)).or_default().direction = true;
    }
    for (word, question) in QUESTIONS {
        known.entry(hash(word)).or_default().question = question;
    }
    for (word, number) in NUMBERS.split_whitespace().filter_map(|pair| pair.split_once('=')) {
        known.entry(hash(word)).or_default().number = Some(number);
    }
    for (left, right) in OPPOSITES.split_whitespace().filter_map(|pair| pair.split_once('/')) {
        known.entry(hash(left)).or_default().opposites.push(hash(right));
        known.entry(hash(right)).or_default().opposites.push(hash(left));
    }
    for (class, line) in (0u8..).zip(CLASSES.lines()) {
        for (member, names) in (0u8..).zip(line.split_whitespace()) {
            for name in names.split(',') {
                known
                    .entry(hash(name))
                    .or_default()
                    .class
                    .get_or_insert((class, member));
            }
        }
    }
    known
});

/// A word as a number (FNV-1a, mixed). Words that collide look alike to the signals and nothing else.
pub(super) fn hash(word: &str) -> u64 {
    let sum = word.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |state, octet| {
        (state ^ u64::from(octet)).wrapping_mul(0x0100_0000_01B3)
    });
    let mixed = (sum ^ (sum >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

/// Short forms and the words they stand for.
const CONTRACTIONS: [(&str, [&str; 2]); 18] = [
    ("can't", ["can", "not"]),
    ("cannot", ["can", "not"]),
    ("won't", ["will", "not"]),
    ("shan't", ["shall", "not"]),
    ("what's", ["what", "is"]),
    ("who's", ["who", "is"]),
    ("how's", ["how", "is"]),
    ("where's", ["where", "is"]),
    ("it's", ["it", "is"]),
    ("i'm", ["i", "am"]),
    ("i've", ["i", "have"]),
    ("i'd", ["i", "would"]),
    ("you're", ["you", "are"]),
    ("they're", ["they", "are"]),
    ("we're", ["we", "are"]),
    ("that's", ["that", "is"]),
    ("there's", ["there", "is"]),
    ("let's", ["let", "us"]),
];

/// Give `each` the words of a lower-cased text: runs of letters and digits with apostrophes kept inside and `+`, `#`
/// kept at the end (c++, c#), short forms written out.
pub(super) fn each_word(lowered: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut characters = lowered.chars().map(straight).chain([' ']).peekable();
    while let Some(character) = characters.next() {
        let inside = characters.peek().is_some_and(|&next| is_alphanumeric(next));
        let kept = is_alphanumeric(character)
            || match (character, word.chars().next_back()) {
                ('\'', Some(_)) => inside,
                ('+' | '#', Some(last)) => !inside && !is_digit(last),
                _ => false,
            };
        if kept {
            word.push(character);
        } else if !word.is_empty() {
            end_word(&word, &mut each);
            word.clear();
        }
    }
}

fn end_word(word: &str, each: &mut impl FnMut(&str)) {
    if !word.contains('\'') && word != "cannot" {
        return each(word);
    }
    if let Some((_, parts)) = CONTRACTIONS.iter().find(|(short, _)| *short == word) {
        for part in parts {
            each(part);
        }
    } else if let Some(verb) = word.strip_suffix("n't") {
        if !verb.is_empty() {
            each(verb);
        }
        each("not");
    } else if let Some(noun) = word.strip_suffix("'s") {
        each(noun);
    } else {
        each(&word.replace('\'', ""));
    }
}

fn straight(character: char) -> char {
    if character == '\u{2019}' { '\'' } else { character }
}

/// Python's `isdigit`: a numeric character that is neither a fraction nor a Roman number.
fn is_digit(character: char) -> bool {
    character.is_numeric() && !matches!(character, '\u{BC}'..='\u{BE}' | '\u{2150}'..='\u{218B}')
}

/// Python's `isalnum`, but for letters that are marks or symbols, which Unicode calls alphabetic and Python does not.
pub(super) fn is_alphanumeric(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric();
    }
    character.is_alphanumeric()
        && !unicode_normalization::char::is_combining_mark(character)
        && !matches!(character, '\u{24B6}'..='\u{24E9}' | '\u{1F130}'..='\u{1F189}')
}
