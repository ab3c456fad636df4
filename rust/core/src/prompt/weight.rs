//! Where a phrase that is filler elsewhere says something: `how to please her`, `not very important`, `the word please`.

use super::lexeme::Lexeme;
use super::phrases::may_be_verb;

/// What a sentence holds that gives weight to phrases behind it, found once: asking at each phrase costs the square.
pub(super) struct Weights {
    /// The first lexeme behind which words are named rather than used: `the words …`, `begin with …`, `he says …`.
    mention: usize,
    /// The first word that carries a condition.
    condition: usize,
}

impl Weights {
    pub(super) fn of(lexemes: &[Lexeme<'_>]) -> Self {
        let place = |found: Option<usize>| found.unwrap_or(usize::MAX);
        Self {
            mention: place((0..lexemes.len()).find(|at| mentions(lexemes, *at))),
            condition: place(lexemes.iter().position(|lexeme| named(CONDITIONS, lexeme))),
        }
    }

    /// Whether the phrase of these words, which stands at `at`, says something there; `begins` when nothing but what is
    /// taken away stands before it.
    pub(super) fn weigh(&self, words: &[&str], instead: &str, lexemes: &[Lexeme<'_>], at: usize, begins: bool) -> bool {
        let before = at.checked_sub(1).map(|place| &lexemes[place]);
        let next = lexemes.get(at + words.len());
        let denied = before.is_some_and(|word| word.is("not") || word.lower.ends_with("n't"));
        if !begins && self.mention < at
            || (!instead.is_empty() && cut_short(words, next, begins))
            || compound(words, next)
        {
            return true;
        }
        match words {
            ["please"] if begins => !opens(&lexemes[at], next),
            ["please"] => denied || !is_wish(lexemes, at),
            ["kindly"] => {
                let parted = before.is_some_and(|word| word.is(",") || named(ADVERBS, word));
                !(begins || parted) || next.is_some_and(|next| named(KIND, next))
            }
            [first, _] if DEGREES.contains(first) => denied || self.condition < at,
            [.., "help", "me" | "us"] | [.., "help", "me" | "us", "to"] => {
                // What only the asker can do: `help me understand recursion`.
                next.is_some_and(|verb| named(OWN, verb))
            }
            _ => false,
        }
    }
}

fn named(list: &[&str], lexeme: &Lexeme<'_>) -> bool {
    list.contains(&lexeme.lower.as_ref())
}

/// Whether words are spoken of behind this lexeme.
fn mentions(lexemes: &[Lexeme<'_>], at: usize) -> bool {
    let word = &lexemes[at];
    let before = at.checked_sub(1).map(|place| &lexemes[place]);
    let next = lexemes.get(at + 1);
    let after = |list| before.is_some_and(|word| named(list, word));
    let ahead = |list| next.is_some_and(|word| named(list, word));
    named(SAYS, word)
        || named(NAMES, word) && (after(POINTERS) || ahead(&["like", "such", "as", ":"]))
        || named(&["polite", "rude", "formal", "natural"], word) && after(&["more", "less", "how"])
        || named(&["difference", "meaning"], word) && ahead(&["between", "of"])
        || word.is("with")
            && lexemes[at.saturating_sub(REACH)..at]
                .iter()
                .any(|word| named(BEGINNERS, word))
}

/// Lexemes between `begin` and its `with`.
const REACH: usize = 6;

/// Whether a phrase that leads on to something has nothing behind it: then it is spoken of, not used.
fn cut_short(words: &[&str], next: Option<&Lexeme<'_>>, begins: bool) -> bool {
    matches!(words, [_, .., "that" | "to"])
        && next.is_none_or(|next| named(&[".", "!", "?"], next) || !begins && named(&[",", ";"], next))
}

/// Whether the last word of a phrase belongs to the next one: `at this point in time series …`.
fn compound(words: &[&str], next: Option<&Lexeme<'_>>) -> bool {
    words.len() > 2
        && next.is_some_and(|next| match words.last() {
            Some(&"time") => named(&["series", "zone", "zones", "slot", "slots"], next),
            Some(&"fact") => named(&["check", "checks", "checking", "checker", "finding", "sheet"], next),
            _ => false,
        })
}

/// Whether `please` begins an order; `next` may be a name, a number or code.
fn opens(please: &Lexeme<'_>, next: Option<&Lexeme<'_>>) -> bool {
    let touches = next.is_some_and(|next| next.range.start == please.range.end);
    !next.is_some_and(|next| touches && !next.is(",") || named(COPULAS, next))
}

/// Whether the `please` inside a sentence or at its end is a wish: at the end, behind a comma, or before an order.
fn is_wish(lexemes: &[Lexeme<'_>], at: usize) -> bool {
    let (before, please) = (&lexemes[at - 1], &lexemes[at]);
    let next = lexemes.get(at + 1);
    let ends = next.is_none_or(|next| named(&[".", "!", "?"], next));
    let order = next.is_some_and(may_be_verb);
    if before.is_word {
        let object = named(PLEASERS, before) || named(TAKERS, before) || at < 2;
        // `… and please sign it`: what takes an object is an order.
        let takes = lexemes.get(at + 2).is_some_and(|object| named(OBJECTS, object));
        return if ends {
            !object
        } else {
            order && (named(ADVERBS, before) || before.is("and") && takes)
        };
    }
    if before.range.end == please.range.start && !named(&["(", "—", "–"], before) {
        return false;
    }
    // `just, really, please`: the last of several words.
    let listed = before.is(",") && at > 2 && lexemes[at - 3].is(",");
    let parted = named(&[",", ";", ":", "-", "–", "—", "("], before);
    !listed && (ends || parted && (order || next.is_some_and(|next| next.is(","))))
}

/// Behind these, `please` is a verb.
const PLEASERS: &[&str] = &[
    "to", "i", "we", "you", "they", "he", "she", "it", "who", "that", "which", "will", "would", "can", "cannot",
    "could", "must", "should", "may", "might", "shall", "does", "did", "always", "never",
];

/// Behind these, `please` is a word that is spoken of, or one of several things.
const TAKERS: &[&str] = &[
    "and", "or", "nor", "with", "of", "as", "than", "from", "the", "a", "an", "every", "each", "this", "no", "any",
    "word", "words", "phrase", "term", "say", "says", "said", "write", "writes", "type", "types", "add", "use",
    "using", "reply", "respond", "answer", "output", "print", "like", "contain", "contains", "include", "includes",
    "if",
];

/// Between these and an order, `please` and `kindly` are politeness.
const ADVERBS: &[&str] = &[
    "then",
    "now",
    "so",
    "but",
    "also",
    "finally",
    "next",
    "first",
    "below",
    "above",
    "again",
    "otherwise",
    "instead",
    "here",
    "else",
    "therefore",
    "thus",
    "afterwards",
];

/// What may stand behind the verb of an order.
const OBJECTS: &[&str] = &[
    "the", "a", "an", "it", "them", "me", "us", "your", "my", "not", "this", "these", "all", "each", "any", "only",
    "feedback", "whether", "that",
];

/// Behind `kindly` these make a person of it: `kindly old men`.
const KIND: &[&str] = &[
    "old", "man", "men", "woman", "women", "people", "person", "words", "face", "faces", "smile", "eyes", "soul",
];

const COPULAS: &[&str] = &["is", "was", "are", "were", "and", "or", "means", "sounds"];

const SAYS: &[&str] = &[
    "say",
    "says",
    "said",
    "saying",
    "writes",
    "wrote",
    "typed",
    "types",
    "spelled",
    "pronounce",
    "pronounced",
];

const NAMES: &[&str] = &[
    "word", "words", "phrase", "phrases", "term", "terms", "wording", "idiom", "idioms",
];

const POINTERS: &[&str] = &[
    "the",
    "these",
    "those",
    "this",
    "filler",
    "following",
    "polite",
    "called",
];

const BEGINNERS: &[&str] = &[
    "begin",
    "begins",
    "beginning",
    "start",
    "starts",
    "starting",
    "end",
    "ends",
    "ending",
    "open",
    "opens",
    "close",
    "closes",
    "replace",
    "replaced",
];

const DEGREES: &[&str] = &["very", "really", "quite", "extremely", "highly", "absolutely", "truly"];

const CONDITIONS: &[&str] = &["if", "unless", "when", "whenever", "only", "how", "until", "too"];

const OWN: &[&str] = &[
    "understand",
    "learn",
    "practise",
    "practice",
    "prepare",
    "remember",
    "memorise",
    "memorize",
    "study",
    "revise",
    "feel",
    "pass",
    "become",
    "get",
    "stay",
    "stop",
    "quit",
    "sleep",
    "lose",
    "gain",
    "grow",
    "cope",
    "relax",
    "know",
    "see",
    "be",
    "win",
    "choose",
    "think",
    "train",
    "exercise",
    "eat",
    "save",
    "earn",
    "apply",
    "speak",
    "read",
    "buy",
    "sell",
    "move",
];
