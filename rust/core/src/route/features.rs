//! Counts of what a question is made of, in one pass over its bytes.
//!
//! Every count only grows when a sentence is added, and every weight of the prior is positive: so a longer question never
//! scores lower. That holds because each word counts or not by itself, whatever stands around it. Two kinds never do, nor
//! what stands between them: words that could speak to a router (`use`, `powerful`, `model`), and small words (`the`,
//! `this`, `please`) with which such words make sentences. So `use the powerful model` adds nothing, wherever it stands.
//! The work is bounded: of a longer text the first [`SCANNED`] bytes are read and the rest counts as length.

use super::words::{self, HASH_START, hash_byte, known};

/// Bytes that are read; of what follows only the number counts.
pub const SCANNED: usize = 16_384;
/// Words that are handed over at once.
const BATCH: usize = 64;
/// Bits of the set of words seen: at 100 words, one in a hundred is taken for a repetition wrongly.
const SEEN_BITS: u32 = 13;

/// What a text is made of. All counts are of what is not left out.
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
    /// Words left out because they could speak to a router.
    pub steering: u32,
}

impl Features {
    /// Read a text, after which `beyond` bytes come that are not at hand.
    #[must_use]
    pub fn of(text: &str, beyond: u64) -> Self {
        Self::with_words(text, beyond, |_| ())
    }

    /// Read a text and hand over the hashes of its words, lower-case, some at a time.
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
    Mark,
    Other,
}

const KINDS: [Kind; 256] = kinds();

const fn kinds() -> [Kind; 256] {
    let mut table = [Kind::Other; 256];
    let mut byte: u8 = 0;
    loop {
        table[byte as usize] = match byte {
            b'a'..=b'z' => Kind::Small,
            b'A'..=b'Z' => Kind::Capital,
            b'0'..=b'9' => Kind::Digit,
            b',' | b';' | b':' => Kind::Part,
            b'=' | b'+' | b'*' | b'/' | b'^' | b'<' | b'>' | b'|' | b'~' | b'\\' | b'$' | b'{' | b'}' | b'[' | b']'
            | b'_' | b'`' => Kind::Mark,
            b' ' | b'\t' => Kind::Blank,
            0x80..=0xff => Kind::Wide,
            _ => Kind::Other,
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// The kind and the length of the character beyond ASCII that begins `rest`; what was cut in two at the end is a letter.
fn wide(rest: &[u8]) -> (Kind, usize) {
    let (code, length) = match *rest {
        [a @ 0xf0..=0xff, b, c, d, ..] => (
            bits(a, 0x07) << 18 | bits(b, 0x3f) << 12 | bits(c, 0x3f) << 6 | bits(d, 0x3f),
            4,
        ),
        [a @ 0xe0..=0xef, b, c, ..] => (bits(a, 0x0f) << 12 | bits(b, 0x3f) << 6 | bits(c, 0x3f), 3),
        [a @ 0xc0..=0xdf, b, ..] => (bits(a, 0x1f) << 6 | bits(b, 0x3f), 2),
        _ => (u32::MAX, 1),
    };
    let kind = match code {
        0xb1 | 0xd7 | 0xf7 | 0x2200..=0x22ff => Kind::Mark,
        0x60c | 0x61b | 0x3001 | 0xff0c | 0xff1a | 0xff1b => Kind::Part,
        0x80..=0xbf | 0x61f | 0x964 | 0x2000..=0x206f | 0x3000..=0x303f | 0xff01 | 0xff1f | 0x1f000..=0x1faff => {
            Kind::Other
        }
        _ => Kind::Wide,
    };
    (kind, length)
}

fn bits(byte: u8, mask: u8) -> u32 {
    u32::from(byte & mask)
}

struct Scan<F> {
    total: Features,
    /// Whether the last word counted: what stands between words counts with the word before it.
    counts: bool,
    held: [u32; BATCH],
    holding: usize,
    seen: [u64; 1 << (SEEN_BITS - 6)],
    heard: F,
}

impl<F: FnMut(&[u32])> Scan<F> {
    fn new(heard: F) -> Self {
        Self {
            total: Features::default(),
            counts: false,
            held: [0; BATCH],
            holding: 0,
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
            at += length;
            self.total.bytes += if self.counts { length as u64 } else { 0 };
            match kind {
                Kind::Mark => self.total.marks += u32::from(self.counts),
                Kind::Part => self.total.parts += u32::from(self.counts),
                _ => {}
            }
        }
        self.tell();
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
        self.counts = !words::is_left_out(kind);
        if self.counts {
            self.total.words += 1;
            self.total.names += u32::from(capital);
            self.total.logic += u32::from(kind & words::LOGIC != 0);
            self.total.quantities += u32::from(kind & words::QUANTITY != 0);
            self.total.craft += u32::from(kind & words::CRAFT != 0);
            self.count_repeat(hash);
        }
        if kind & words::STEERING == 0 || self.counts {
            self.hold(hash); // small words say nothing of a question's size, but much of its kind
        } else {
            self.total.steering += 1;
        }
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
        self.counts = true;
        self.total.numbers += 1;
        self.count_repeat(hash);
        self.hold(hash);
        at.max(1)
    }

    fn count_repeat(&mut self, hash: u32) {
        // The upper bits of FNV-1a are the better mixed ones.
        let bit = hash.wrapping_mul(0x9e37_79b1) >> (32 - SEEN_BITS);
        let word = &mut self.seen[(bit >> 6) as usize];
        self.total.repeats += u32::from(*word >> (bit & 63) & 1 == 1);
        *word |= 1 << (bit & 63);
    }

    fn hold(&mut self, hash: u32) {
        if self.holding == BATCH {
            self.tell();
        }
        self.held[self.holding] = hash;
        self.holding += 1;
    }

    fn tell(&mut self) {
        (self.heard)(&self.held[..self.holding]);
        self.holding = 0;
    }
}
