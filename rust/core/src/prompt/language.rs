//! Whether a stretch of text is English: its commonest words tell.

use crate::text::split::words;

/// Whether a text reads as English. One without any common word is taken for English when it is ASCII and short: the
/// rules match English words only, so they find nothing in it.
pub(super) fn is_english(text: &str) -> bool {
    let (mut english, mut foreign, mut letters, mut others) = (0usize, 0usize, 0usize, 0usize);
    for range in words(text) {
        let word = &text[range];
        let plain = word.bytes().filter(u8::is_ascii_alphabetic).count();
        letters += plain;
        others += word.chars().filter(|c| c.is_alphabetic() && !c.is_ascii()).count();
        if plain == word.len() && word.len() <= 6 {
            english += usize::from(listed(ENGLISH, word));
            foreign += usize::from(listed(FOREIGN, word));
        }
    }
    others * 6 <= letters + others && foreign * 2 <= english.max(1)
}

fn listed(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

const ENGLISH: &[&str] = &[
    "the", "and", "of", "to", "is", "that", "you", "your", "for", "with", "this", "it", "are", "be", "not", "please",
    "what", "how", "if", "or", "from", "as", "have", "do", "does", "which", "answer", "my", "can", "would", "should",
];

/// Common words of other languages of Europe that are none in English.
const FOREIGN: &[&str] = &[
    "el", "los", "las", "una", "que", "del", "por", "favor", "para", "con", "como", "es", "est", "le", "les", "des",
    "une", "du", "et", "pour", "dans", "vous", "votre", "que", "qui", "der", "das", "und", "ist", "nicht", "bitte",
    "ein", "eine", "den", "dem", "von", "mit", "sie", "auf", "il", "che", "di", "per", "della", "sono", "non", "um",
    "uma", "dos", "das", "os", "com", "seja", "het", "een", "van", "je", "niet", "zijn", "och", "att", "det", "som",
    "jest", "nie", "na", "w", "z", "si", "o", "e", "y", "la", "en", "se",
];
