//! Counts of what a question is made of, in one pass over its bytes.
//!
//! Every count only grows when a sentence is added, and every weight of the prior is positive: so a longer question never
//! scores lower. The work is bounded: of a longer text the first [`SCANNED`] bytes are read and the rest counts as length.
//! Clauses that speak to a router (`use the powerful model`) are left out as if they were not there.

use super::words::{self, HASH_START, hash_byte, known, steers};

/// Bytes that are read; of what follows only the number counts.
pub const SCANNED: usize = 16_384;
/// Words of a clause that are held until it is known whether the clause counts; a longer clause counts.
const CLAUSE: usize = 64;
/// Bits of the set of words seen: at 100 words, one in a hundred is taken for a repetition wrongly.
const SEEN_BITS: u32 = 13;

/// What a text is made of. All counts are of the clauses that ask something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// Length in UTF-8 bytes: a character of a script that packs more meaning into it is more bytes.
    pub bytes: u64,
    /// Runs of letters.
    pub words: u32,
    /// Commas, semicolons and colons: how many parts there are to keep apart.
    pub parts: u32,
    /// Words that tie parts together: if, unless, not, only, than, …
    pub logic: u32,
    /// Words that begin with a capital letter: names, and beginnings of sentences.
    pub names: u32,
    /// Words of quantity: half, each, per, total, …
    pub quantities: u32,
    /// Numbers in figures.
    pub numbers: u32,
    /// Marks of mathematics and code.
    pub marks: u32,
    /// Words that occurred before.
    pub repeats: u32,
    /// Words of the trades that small models are weak in: code and proofs.
    pub craft: u32,
    /// Clauses left out because they speak to a router.
    pub steering: u32,
}

impl Features {
    /// Read a text, after which `beyond` bytes come that are not at hand.
    #[must_use]
    pub fn of(text: &str, beyond: u64) -> Self {
        Self::with_words(text, beyond, |_| ())
    }

    /// Read a text and hand over the hashes of its words, lower-case, a clause at a time.
    pub fn with_words(text: &str, beyond: u64, heard: impl FnMut(&[u32])) -> Self {
        let mut scan = Scan::new(heard);
        let bytes = text.as_bytes();
        let read = &bytes[..bytes.len().min(SCANNED)];
        scan.read(read);
        let unread = (bytes.len() - read.len()) as u64;
        scan.total.bytes = scan.total.bytes.saturating_add(unread).saturating_add(beyond);
        scan.total
    }

    /// Whether there is nothing in it to judge by: no word and no number.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.words == 0 && self.numbers == 0
    }

    fn add(&mut self, clause: &Self) {
        self.bytes += clause.bytes;
        self.words += clause.words;
        self.parts += clause.parts;
        self.logic += clause.logic;
        self.names += clause.names;
        self.quantities += clause.quantities;
        self.numbers += clause.numbers;
        self.marks += clause.marks;
        self.craft += clause.craft;
    }
}

/// What a byte may be; a character beyond ASCII is taken for a letter, but for the marks in [`wide`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Small,
    Capital,
    Digit,
    Wide,
    Part,
    Stop,
    Mark,
    Other,
}

const KINDS: [Kind; 256] = kinds();

const fn kinds() -> [Kind; 256] {
    let mut table = [Kind::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' => Kind::Small,
            b'A'..=b'Z' => Kind::Capital,
            b'0'..=b'9' => Kind::Digit,
            b',' | b';' | b':' => Kind::Part,
            b'.' | b'!' | b'?' | b'\n' | b'\r' => Kind::Stop,
            b'=' | b'+' | b'*' | b'/' | b'^' | b'<' | b'>' | b'|' | b'~' | b'\\' | b'$' | b'{' | b'}' | b'[' | b']'
            | b'_' | b'`' => Kind::Mark,
            b' ' | b'\t' => Kind::Blank,
            0x80..=0xff => Kind::Wide,
            _ => Kind::Other,
        };
        byte += 1;
    }
    table
}

/// The kind and the length of a character beyond ASCII that begins `rest`.
fn wide(rest: &[u8]) -> (Kind, usize) {
    let kind = match rest {
        [0xe2, 0x80, 0x98 | 0x99, ..] => Kind::Other,
        [0xe2, 0x88 | 0x89 | 0x8a | 0x8b, _, ..] | [0xc3, 0x97 | 0xb7, ..] | [0xc2, 0xb1, ..] => Kind::Mark,
        [0xe3, 0x80, 0x81, ..] | [0xef, 0xbc, 0x8c | 0x9a | 0x9b, ..] | [0xd8, 0x8c | 0x9b, ..] => Kind::Part,
        [0xe3, 0x80, 0x82, ..] | [0xef, 0xbc, 0x81 | 0x9f, ..] | [0xd8, 0x9f, ..] | [0xe0, 0xa5, 0xa4, ..] => {
            Kind::Stop
        }
        [0xe2, 0x80, _, ..] | [0xf0, 0x9f, ..] | [0xe3, 0x80, _, ..] | [0xc2, _, ..] => Kind::Other,
        _ => Kind::Wide,
    };
    let length = match rest.first() {
        Some(0xf0..) => 4,
        Some(0xe0..) => 3,
        Some(0xc0..) => 2,
        _ => 1,
    };
    (kind, length.min(rest.len()))
}

struct Scan<F> {
    total: Features,
    clause: Features,
    /// Kinds of words in this clause.
    kinds: u16,
    held: [u32; CLAUSE],
    holding: usize,
    /// Whether part of this clause was counted already, because it is a long one.
    counted: bool,
    seen: [u64; 1 << (SEEN_BITS - 6)],
    heard: F,
}

impl<F: FnMut(&[u32])> Scan<F> {
    fn new(heard: F) -> Self {
        Self {
            total: Features::default(),
            clause: Features::default(),
            kinds: 0,
            held: [0; CLAUSE],
            holding: 0,
            counted: false,
            seen: [0; 1 << (SEEN_BITS - 6)],
            heard,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let rest = &bytes[at..];
            let (kind, length) = match KINDS[byte as usize] {
                Kind::Wide => wide(rest),
                kind => (kind, 1),
            };
            let length = match kind {
                Kind::Small | Kind::Capital | Kind::Wide => self.word(rest, kind == Kind::Capital),
                Kind::Digit => self.number(rest),
                _ => length,
            };
            self.clause.bytes += length as u64;
            at += length;
            match kind {
                Kind::Mark => self.clause.marks += 1,
                Kind::Part => {
                    self.clause.parts += 1;
                    self.close();
                }
                Kind::Stop => self.close(),
                _ => {}
            }
        }
        self.close();
    }

    /// Count the word that begins here; its length in bytes.
    fn word(&mut self, rest: &[u8], capital: bool) -> usize {
        let mut hash = HASH_START;
        let mut at = 0;
        while let Some(&byte) = rest.get(at) {
            let length = match KINDS[byte as usize] {
                Kind::Small | Kind::Digit => 1,
                Kind::Capital => {
                    hash = hash_byte(hash, byte | 0x20);
                    at += 1;
                    continue;
                }
                Kind::Wide => match wide(&rest[at..]) {
                    (Kind::Wide, length) => length,
                    _ => break,
                },
                _ => break,
            };
            for &byte in &rest[at..at + length] {
                hash = hash_byte(hash, byte);
            }
            at += length;
        }
        let kind = known(hash);
        self.kinds |= kind;
        self.clause.words += 1;
        self.clause.names += u32::from(capital);
        self.clause.logic += u32::from(kind & words::LOGIC != 0);
        self.clause.quantities += u32::from(kind & words::QUANTITY != 0);
        self.clause.craft += u32::from(kind & words::CRAFT != 0);
        self.hold(hash);
        at.max(1)
    }

    /// Count the number that begins here, with its decimal and thousands marks; its length in bytes.
    fn number(&mut self, rest: &[u8]) -> usize {
        let mut hash = HASH_START;
        let mut at = 0;
        while let Some(&byte) = rest.get(at) {
            let goes_on = byte.is_ascii_digit()
                || (matches!(byte, b'.' | b',') && rest.get(at + 1).is_some_and(u8::is_ascii_digit));
            if !goes_on {
                break;
            }
            hash = hash_byte(hash, byte);
            at += 1;
        }
        self.clause.numbers += 1;
        self.hold(hash);
        at.max(1)
    }

    fn hold(&mut self, hash: u32) {
        if self.holding == CLAUSE {
            self.count();
            self.counted = true;
        }
        self.held[self.holding] = hash;
        self.holding += 1;
    }

    /// The end of a clause: it counts, unless it speaks to a router.
    fn close(&mut self) {
        if steers(self.kinds) && !self.counted {
            self.total.steering += 1;
            self.clause = Features::default();
            self.holding = 0;
        } else {
            self.count();
        }
        self.kinds = 0;
        self.counted = false;
    }

    fn count(&mut self) {
        for &hash in &self.held[..self.holding] {
            // The upper bits of FNV-1a are the better mixed ones.
            let bit = hash.wrapping_mul(0x9e37_79b1) >> (32 - SEEN_BITS);
            let word = &mut self.seen[(bit >> 6) as usize];
            self.total.repeats += u32::from(*word >> (bit & 63) & 1 == 1);
            *word |= 1 << (bit & 63);
        }
        (self.heard)(&self.held[..self.holding]);
        self.total.add(&self.clause);
        self.clause = Features::default();
        self.holding = 0;
    }
}
