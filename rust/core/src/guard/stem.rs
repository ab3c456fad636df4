//! Words without their inflection, so that `charges`, `charging` and `charged` are one word.

use super::hash::hash;
use super::lexicon::tables as lexicon;

fn known(word: &str) -> bool {
    lexicon().find(hash(word)) != 0
}

fn is_vowel(letter: u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

/// Undo an ending that was taken off: a doubled letter, a silent `e`, an `i` for `y`.
fn mend(rest: &mut String) {
    let octets = rest.as_bytes();
    let count = octets.len();
    if known(rest) {
        return;
    }
    if rest.ends_with('i') {
        rest.pop();
        rest.push('y');
        return;
    }
    rest.push('e');
    if known(rest) {
        return;
    }
    rest.pop();
    let octets = rest.as_bytes();
    if count > 2 && octets[count - 1] == octets[count - 2] && !is_vowel(octets[count - 1]) {
        if !matches!(octets[count - 1], b'l' | b's' | b'z' | b'f') || known(&rest[..count - 1]) {
            rest.pop();
        }
        return;
    }
    let groups = octets
        .windows(2)
        .filter(|pair| is_vowel(pair[0]) && !is_vowel(pair[1]))
        .count();
    let silent = match octets[count - 1] {
        b'c' | b'v' | b'z' | b'u' => true,
        b's' => count > 1 && (is_vowel(octets[count - 2]) || matches!(octets[count - 2], b'r' | b'n')),
        b'g' => count > 1 && matches!(octets[count - 2], b'd' | b'r' | b'a' | b'e'),
        b't' => count > 2 && octets[count - 2] == b'a' && groups > 1,
        b'l' => count > 1 && !is_vowel(octets[count - 2]) && octets[count - 2] != b'l',
        b'w' | b'x' | b'y' => false,
        _ => groups == 1 && count > 2 && is_vowel(octets[count - 2]) && !is_vowel(octets[count - 3]),
    };
    if silent {
        rest.push('e');
    }
}

/// Words that end like a superlative and are none.
const NOUNS: [&str; 22] = [
    "request", "interest", "suggest", "harvest", "invest", "protest", "contest", "honest", "forest", "modest",
    "arrest", "digest", "conquest", "inquest", "tempest", "everest", "latest", "pretest", "retest", "unrest",
    "bequest", "manifest",
];

/// The degree of an adjective of the tables (1 more, 2 most); the word becomes its base then.
pub(super) fn degree(word: &mut String) -> u8 {
    if known(word) || !word.is_ascii() {
        return 0;
    }
    if word.len() > 5 && word.ends_with("est") && !NOUNS.contains(&word.as_str()) {
        let mut rest = word[..word.len() - 3].to_owned();
        mend(&mut rest);
        *word = rest;
        return 2;
    }
    for (ending, degree) in [("est", 2), ("er", 1)] {
        if word.len() > ending.len() + 2 && word.ends_with(ending) {
            let mut rest = word[..word.len() - ending.len()].to_owned();
            mend(&mut rest);
            let entry = lexicon().at(lexicon().find(hash(&rest)));
            if !entry.poles.is_empty() && !entry.action {
                *word = rest;
                return degree;
            }
        }
    }
    0
}

/// Take the inflection off a word in small letters.
pub(super) fn stem(word: &mut String) {
    if let Some(base) = lexicon().irregular(hash(word)) {
        base.clone_into(word);
        return;
    }
    if word.len() < 4 || !word.is_ascii() {
        return;
    }
    if word.ends_with('s') {
        plural(word);
    } else if let Some(rest) = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed")) {
        let verb = rest.len() > 2 && rest.bytes().any(is_vowel) || known(rest);
        if verb && !rest.ends_with("ee") && !(known(word) && word.len() < 6) {
            let mut rest = rest.to_owned();
            mend(&mut rest);
            *word = rest;
        }
    }
}

fn plural(word: &mut String) {
    if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return;
    }
    if word.ends_with("ies") && word.len() > 4 {
        word.truncate(word.len() - 3);
        word.push('y');
        return;
    }
    word.pop();
    let hissing = ["sse", "xe", "che", "she", "zze"];
    if hissing.iter().any(|ending| word.ends_with(ending)) && !known(word) {
        word.pop();
    }
}

/// One spelling for `-ise` and `-ize`, `-our` and `-or`.
pub(super) fn british(word: &mut String) {
    if word.len() > 5 {
        if word.ends_with("ise") {
            word.replace_range(word.len() - 2.., "ze");
        } else if word.ends_with("isation") {
            word.replace_range(word.len() - 6.., "zation");
        }
    }
    if word.len() > 4 && word.ends_with("our") {
        word.replace_range(word.len() - 2.., "r");
    }
}

/// What two words of one family share: `activation`, `activate` and `active` have one root.
pub(super) fn root(stem: &str) -> &str {
    const ENDINGS: &[&str] = &[
        "ization", "ability", "ically", "ation", "ition", "ement", "ancy", "ency", "ance", "ence", "ment", "ible",
        "able", "ally", "sion", "tion", "ical", "ion", "ity", "ive", "ate", "ize", "ous", "ful", "ify", "al", "ly",
        "ic", "ist", "ism", "er", "or", "y", "e",
    ];
    if !stem.is_ascii() {
        return stem;
    }
    // Countries and those from there.
    if let Some(rest) = stem
        .strip_suffix("ian")
        .or_else(|| stem.strip_suffix("ia"))
        .filter(|rest| rest.len() >= 3)
    {
        return rest;
    }
    for ending in ENDINGS {
        if let Some(rest) = stem.strip_suffix(ending)
            && rest.len() >= 5
        {
            return rest;
        }
    }
    stem
}

/// What a word with a negative beginning negates: `ineligible` of `eligible`; None for one without.
pub(super) fn negated(stem: &str) -> Option<&str> {
    if stem.len() < 6 || lexicon().is_innocent(hash(stem)) {
        return None;
    }
    for prefix in ["non", "dis", "mis", "un", "in", "im", "ir", "il", "de"] {
        if let Some(rest) = stem.strip_prefix(prefix)
            && rest.len() >= 4
        {
            return Some(rest.trim_start_matches('-'));
        }
    }
    None
}
