//! A question read once: its words, values and form, small enough to be stored beside the answer.

use super::frame::{Frame, frame};
use super::hash::hash;
use super::language;
use super::quantity::Quantity;
use super::readable::readable;
use super::split::{CAPITAL, CONTENT, MOST_WORDS, Pieces, SENTENCE};
use super::value::values;
use super::word::{Word, degrees, places};

/// A question read once. Comparing two costs a microsecond or two; reading one about five.
///
/// It holds at most 4,096 octets and 320 words of the text; of what follows only a digest, so that two long texts with
/// different ends are never taken for the same.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) text: Box<str>,
    pub(super) words: Box<[Word]>,
    pub(super) quantities: Box<[Quantity]>,
    pub(super) frame: Frame,
    pub(super) language: u8,
    pub(super) title_case: bool,
    pub(super) code: bool,
    /// Digest of what was not read; 0 when all was.
    pub(super) rest: u64,
}

impl Question {
    /// Read a text. Never fails: what cannot be understood is compared letter by letter.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let clean = readable(text);
        let mut pieces = Pieces::of(&clean);
        let cut = text.len() > super::split::LONGEST || pieces.list.len() >= MOST_WORDS;
        let rest = if cut { hash(text) | 1 } else { 0 };
        let language = language::detect(&clean, &pieces.list);
        if language == language::ENGLISH {
            pieces.join_phrases();
        }
        let loud = !clean.bytes().any(|octet| octet.is_ascii_lowercase());
        let mut words = Vec::with_capacity(pieces.list.len());
        let mut quantities = Vec::new();
        values(
            &pieces,
            language == language::ENGLISH,
            &mut words,
            &mut quantities,
            loud,
        );
        degrees(&mut words);
        places(&mut words);
        let title_case = is_title_case(&words);
        let frame = frame(&words, pieces.asked, &clean);
        Self {
            code: is_code(text),
            text: clean.into(),
            words: words.into(),
            quantities: quantities.into(),
            frame,
            language,
            title_case,
            rest,
        }
    }

    /// Does it ask for something to be done, rather than to be told (`cancel my order`, `could you lock the card`)?
    #[must_use]
    pub fn is_action(&self) -> bool {
        self.frame.action
    }

    /// Is it, or does it hold, source code or markup?
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.code
    }

    /// The language as far as it can be told cheaply: `en`, `es`, …, or the name of a script, such as `cyrillic`.
    #[must_use]
    pub fn language(&self) -> &'static str {
        language::name(self.language)
    }

    /// Do only the guards for numbers, codes, names and languages hold, so that the strict profile should decide?
    #[must_use]
    pub fn needs_strict(&self) -> bool {
        self.language != language::ENGLISH || self.rest != 0
    }

    /// How many questions it asks (by question marks and question words at the start of sentences); at least one.
    #[must_use]
    pub fn questions(&self) -> usize {
        usize::from(self.frame.asked.max(1))
    }

    /// Octets that it occupies, itself included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.text.len()
            + size_of_val::<[Word]>(&self.words)
            + size_of_val::<[Quantity]>(&self.quantities)
    }

    pub(super) fn piece(&self, start: u16, end: u16) -> &str {
        self.text.get(usize::from(start)..usize::from(end)).unwrap_or("")
    }

    pub(super) fn of(&self, word: &Word) -> &str {
        self.piece(word.start, word.end)
    }
}

fn is_title_case(words: &[Word]) -> bool {
    let (mut capitals, mut all) = (0, 0);
    for word in words.iter().filter(|word| word.is(CONTENT) && !word.is(SENTENCE)) {
        all += 1;
        capitals += usize::from(word.is(CAPITAL));
    }
    all > 2 && capitals * 10 >= all * 8
}

/// Signs that people's sentences do not hold.
fn is_code(text: &str) -> bool {
    let mut signs = 0;
    for (at, octet) in text.bytes().take(8192).enumerate() {
        match octet {
            b'{' | b'}' | b';' => signs += 2,
            b'`' if text[at..].starts_with("```") => return true,
            b'=' | b'<' | b'>'
                if text
                    .as_bytes()
                    .get(at + 1)
                    .is_some_and(|next| matches!(next, b'=' | b'/' | b'>')) =>
            {
                signs += 3;
            }
            b'(' if text.as_bytes().get(at + 1) == Some(&b')') => signs += 2,
            _ => {}
        }
        if signs >= 6 {
            return true;
        }
    }
    ["def ", "class ", "import ", "SELECT ", "#include", "function "]
        .iter()
        .any(|word| text.starts_with(word) && text.contains(['(', ';', '*', '\n']))
        || text.contains("</")
        || text.starts_with("<?xml")
}
