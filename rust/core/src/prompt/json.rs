//! JSON inside a text: where a value stands, and the same value without the blanks between its parts.

use std::ops::Range;

/// Nesting deeper than this is left alone.
const DEEPEST: usize = 128;

/// The objects and arrays of a text that hold at least one key or two items, outermost only, in order.
///
/// Strict JSON only: `{x}`, `{{x}}` and Python literals are none.
pub(super) fn values(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    // A text of a million opening brackets must not be read a million times.
    let mut work = 4 * bytes.len() + 4096;
    while let Some(step) = bytes[at.min(bytes.len())..]
        .iter()
        .position(|byte| matches!(byte, b'{' | b'['))
    {
        let start = at + step;
        let mut reader = Reader {
            bytes,
            at: start,
            parts: 0,
        };
        let whole = reader.value(0).is_some();
        work = work.saturating_sub(reader.at - start);
        if work == 0 {
            break;
        }
        if whole && reader.parts > 0 {
            found.push(start..reader.at);
            at = reader.at;
        } else {
            at = start + 1;
        }
    }
    found
}

/// A valid JSON text without the blanks outside its strings.
pub(super) fn compact(value: &str) -> String {
    let mut small = String::with_capacity(value.len());
    let (mut inside, mut escaped) = (false, false);
    for character in value.chars() {
        if inside {
            small.push(character);
            inside = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if !matches!(character, ' ' | '\t' | '\n' | '\r') {
            small.push(character);
            inside = character == '"';
        }
    }
    small
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Keys and separated items seen.
    parts: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        self.blanks();
        match self.peek()? {
            b'{' if depth < DEEPEST => self.items(b'}', depth, true),
            b'[' if depth < DEEPEST => self.items(b']', depth, false),
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn items(&mut self, close: u8, depth: usize, keyed: bool) -> Option<()> {
        self.at += 1;
        self.blanks();
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            if keyed {
                self.blanks();
                self.string()?;
                self.blanks();
                self.take(b':')?;
                self.parts += 1;
            }
            self.value(depth + 1)?;
            self.blanks();
            match self.peek()? {
                b',' => self.parts += 1,
                byte if byte == close => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
            self.at += 1;
        }
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                byte if byte < 0x20 => return None,
                _ => self.at += 1,
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        (self.at > start && self.bytes[start..self.at].iter().any(u8::is_ascii_digit)).then_some(())
    }
}
