//! A sentence as the rules see it: words in small letters and single signs, each with its place in the text.

use std::borrow::Cow;
use std::ops::Range;

use super::protect::Ranges;

/// A word, or one sign that is neither letter nor blank.
#[derive(Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) range: Range<usize>,
    /// In small letters, with straight apostrophes.
    pub(super) lower: Cow<'a, str>,
    pub(super) is_word: bool,
    /// A rule may neither take it away nor replace it.
    pub(super) fixed: bool,
}

impl Lexeme<'_> {
    pub(super) fn is(&self, word: &str) -> bool {
        self.lower == word
    }
}

/// The lexemes of `text[sentence]`. Words written with capitals are names, unless they begin the sentence.
pub(super) fn lexemes<'a>(text: &'a str, sentence: &Range<usize>, protected: &Ranges) -> Vec<Lexeme<'a>> {
    let mut found: Vec<Lexeme<'a>> = Vec::new();
    let mut at = sentence.start;
    let mut opens = true;
    while at < sentence.end {
        let rest = &text[at..sentence.end];
        let Some(first) = rest.chars().next() else { break };
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let length = if first.is_alphanumeric() {
            word_length(rest)
        } else {
            first.len_utf8()
        };
        let range = at..at + length;
        let word = &text[range.clone()];
        found.push(Lexeme {
            lower: lower(word),
            is_word: first.is_alphanumeric(),
            fixed: protected.touch(&range) || is_name(word, opens),
            range,
        });
        opens &= !first.is_alphanumeric();
        at += length;
    }
    found
}

/// Letters and digits, with apostrophes and hyphens between them.
fn word_length(text: &str) -> usize {
    let mut end = 0;
    for (at, character) in text.char_indices() {
        if character.is_alphanumeric() {
            end = at + character.len_utf8();
        } else if !(matches!(character, '\'' | '’' | '-') && at == end) {
            break;
        }
    }
    end
}

fn lower(word: &str) -> Cow<'_, str> {
    if word
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'\'')
    {
        return Cow::Borrowed(word);
    }
    Cow::Owned(word.to_lowercase().replace('’', "'"))
}

fn is_name(word: &str, opens: bool) -> bool {
    let mut characters = word.chars();
    let capital = characters.next().is_some_and(char::is_uppercase);
    let later_capital = characters.any(char::is_uppercase);
    let pronoun = matches!(word, "I" | "I'd" | "I’d" | "I'm" | "I’m" | "I'll" | "I’ll");
    !pronoun && word != "AI" && (later_capital || (capital && !opens))
}
