//! Whether a stretch of text is English: its commonest words tell.

use crate::text::split::words;

/// Words of a stretch that is too short to show its own language: `Please elaborate.`
const BARE: usize = 4;

/// One word in so many must be a common one.
const COMMON_SHARE: usize = 7;

/// Whether a text reads as English: common English words prove it, unless those of other languages are as many.
///
/// `please` and `kindly` prove nothing: people say them in many languages.
pub(super) fn is_english(text: &str) -> bool {
    let found = Found::of(text);
    !found.is_foreign() && found.common > 0 && found.common * COMMON_SHARE >= found.words
}

/// Whether a text has too few words to show its language, and shows no other one: what stands around it tells.
pub(super) fn is_bare(text: &str) -> bool {
    let found = Found::of(text);
    !found.is_foreign() && found.words <= BARE
}

/// Words by what they tell.
#[derive(Default)]
struct Found {
    words: usize,
    /// Those that another language hardly has.
    english: usize,
    /// Those and other common ones of prompts.
    common: usize,
    foreign: usize,
    letters: usize,
    others: usize,
}

impl Found {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        for range in words(text) {
            let word = &text[range];
            let plain = word.bytes().filter(u8::is_ascii_alphabetic).count();
            found.words += 1;
            found.letters += plain;
            found.others += word.chars().filter(|c| c.is_alphabetic() && !c.is_ascii()).count();
            if plain == word.len() && word.len() <= LONGEST {
                let english = listed(ENGLISH, word);
                found.english += usize::from(english);
                found.common += usize::from(english || listed(COMMON, word));
                found.foreign += usize::from(listed(FOREIGN, word));
            }
        }
        found
    }

    fn is_foreign(&self) -> bool {
        self.others * 6 > self.letters + self.others || self.foreign * 2 > self.english.max(1)
    }
}

fn listed(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Letters of the longest word on a list.
const LONGEST: usize = 11;

const ENGLISH: &[&str] = &[
    "the", "and", "of", "to", "is", "that", "you", "your", "for", "with", "this", "it", "are", "be", "not", "what",
    "how", "if", "or", "from", "as", "have", "do", "does", "which", "answer", "my", "can", "would", "should",
];

/// Other common words of English prompts; some of them are words of other languages too.
const COMMON: &[&str] = &[
    "a",
    "an",
    "i",
    "in",
    "on",
    "at",
    "by",
    "me",
    "we",
    "us",
    "our",
    "he",
    "she",
    "they",
    "them",
    "their",
    "its",
    "his",
    "her",
    "was",
    "were",
    "has",
    "had",
    "will",
    "could",
    "must",
    "may",
    "don't",
    "no",
    "never",
    "always",
    "only",
    "all",
    "any",
    "each",
    "every",
    "one",
    "two",
    "three",
    "but",
    "so",
    "than",
    "then",
    "when",
    "where",
    "why",
    "who",
    "there",
    "here",
    "these",
    "those",
    "about",
    "into",
    "out",
    "up",
    "also",
    "more",
    "most",
    "very",
    "just",
    "write",
    "give",
    "make",
    "sure",
    "ensure",
    "use",
    "list",
    "show",
    "tell",
    "say",
    "explain",
    "describe",
    "read",
    "return",
    "provide",
    "sort",
    "find",
    "check",
    "keep",
    "add",
    "remove",
    "summarize",
    "summarise",
    "translate",
    "classify",
    "extract",
    "rewrite",
    "improve",
    "review",
    "fix",
    "create",
    "generate",
    "help",
    "respond",
    "reply",
    "output",
    "question",
    "questions",
    "text",
    "code",
    "email",
    "summary",
    "sentence",
    "sentences",
    "word",
    "words",
    "following",
    "below",
    "above",
    "name",
    "user",
    "time",
    "good",
    "short",
    "new",
    "note",
    "act",
    "thank",
    "thanks",
    "continue",
    "elaborate",
    "stop",
    "wait",
    "try",
    "think",
    "consider",
    "compare",
    "analyze",
    "analyse",
    "identify",
    "calculate",
    "open",
    "close",
    "come",
    "send",
    "call",
    "ask",
    "let",
    "take",
    "go",
    "put",
    "be",
    "hello",
    "hi",
    "hey",
];

/// Common words of other languages that are none in English.
const FOREIGN: &[&str] = &[
    "el", "los", "las", "una", "que", "del", "por", "favor", "para", "con", "como", "es", "est", "le", "les", "des",
    "une", "du", "et", "pour", "dans", "vous", "votre", "que", "qui", "der", "das", "und", "ist", "nicht", "bitte",
    "ein", "eine", "den", "dem", "von", "mit", "sie", "auf", "il", "che", "di", "per", "della", "sono", "non", "um",
    "uma", "dos", "das", "os", "com", "seja", "het", "een", "van", "je", "niet", "zijn", "och", "att", "det", "som",
    "jest", "nie", "na", "w", "z", "si", "o", "e", "y", "la", "en", "se", "ik", "wil", "graag", "meg", "kan",
    // Hindi and Urdu in Latin letters.
    "hai", "hain", "kya", "ki", "ka", "ke", "ko", "mein", "mujhe", "nahi", "nahin", "aur", "kaise", "batao", "karo",
    "bhi", "yeh", "kar", "hota", "bhai", "likh", "yaar", "kripya", // Malay and Indonesian.
    "yang", "untuk", "saya", "dan", "ini", "itu", "tidak", "dengan", "apa", "kamu", "tolong", "bisa", "akan", "boleh",
    "adalah", "dalam", // Tagalog.
    "ang", "ng", "mga", "sa", "ako", "po", "ano", "bang", "ba", "kung", "naman", "lang", "paki", "pwede", "ko", "ito",
    // Pidgin.
    "wetin", "abeg", "dey", "una", "wey", "sabi", "oga", "abi", "dem", "pikin",
];
