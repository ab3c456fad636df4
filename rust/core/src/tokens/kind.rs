//! What sort of text a text is, as far as tokenizers differ on it.
//!
//! Tokenizers of other vendors take 1.0 to 1.1 tokens for each of `o200k_base` in English prose, 0.9 in JSON, and up to 4
//! in other scripts: one ratio for all texts is wrong for most. Four classes are told apart by counting characters.

/// A class of texts within which the ratio of two tokenizers varies little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextClass {
    /// Words in ASCII letters: English, mostly.
    Prose,
    /// Program code, JSON, markup, tables: signs between the words.
    Code,
    /// Chinese, Japanese and Korean.
    Cjk,
    /// Any other language, emoji.
    Other,
}

/// Bytes that are looked at: a long text says what it is at its beginning.
const LOOKED_AT: usize = 8192;

impl TextClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Prose, Self::Code, Self::Cjk, Self::Other];

    /// The class of a text, from its first 8 KB: CJK from three characters in ten, other from one letter in fifty beyond
    /// ASCII, code from one sign in twelve characters; blanks do not count.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let (mut all, mut signs, mut cjk, mut beyond) = (0u32, 0u32, 0u32, 0u32);
        for (_, character) in text.char_indices().take_while(|&(at, _)| at < LOOKED_AT) {
            match character {
                ' ' | '\t' | '\n' | '\r' => continue,
                '{' | '}' | '[' | ']' | '(' | ')' | '<' | '>' | '=' | '"' | ':' | ';' | '_' | '/' | '\\' | '|'
                | '*' | '#' | '+' | '&' | '$' | '`' | '@' => signs += 1,
                '\u{1100}'..='\u{11FF}'
                | '\u{2E80}'..='\u{9FFF}'
                | '\u{AC00}'..='\u{D7FF}'
                | '\u{F900}'..='\u{FAFF}'
                | '\u{FF00}'..='\u{FFEF}'
                | '\u{20000}'..='\u{3FFFF}' => cjk += 1,
                _ if !character.is_ascii() && (character.is_alphabetic() || character >= '\u{1F000}') => beyond += 1,
                _ => {}
            }
            all += 1;
        }
        if cjk * 10 >= all * 3 && cjk > 0 {
            Self::Cjk
        } else if (beyond + cjk) * 50 >= all && beyond + cjk > 0 {
            Self::Other
        } else if signs * 12 >= all && signs > 0 {
            Self::Code
        } else {
            Self::Prose
        }
    }

    /// Its name: `prose`, `code`, `cjk`, `other`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prose => "prose",
            Self::Code => "code",
            Self::Cjk => "cjk",
            Self::Other => "other",
        }
    }
}
