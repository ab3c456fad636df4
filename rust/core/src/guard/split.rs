//! A text cut into words in small letters, numbers and codes.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::hash::hash;
use super::lexicon::lexicon;
use super::quantity::{Kind, Literal, literal};
use super::readable::is_code;

/// Octets of a text that are read; what follows is only digested.
pub(super) const LONGEST: usize = 4096;
/// Words of a text that are read.
pub(super) const MOST_WORDS: usize = 320;

/// The word begins with a capital.
pub(super) const CAPITAL: u16 = 1;
/// All of it, at least two letters, is capitals.
pub(super) const SHOUT: u16 = 2;
/// A code: letters and digits, an address, a path.
pub(super) const CODE: u16 = 4;
/// A number, or the unit of one.
pub(super) const NUMBER: u16 = 8;
/// The first word of a clause.
pub(super) const CLAUSE: u16 = 16;
/// The first word of a sentence.
pub(super) const SENTENCE: u16 = 32;
/// Had `'s`.
pub(super) const OWNER: u16 = 64;
/// Carries content: not a function word and not a number.
pub(super) const CONTENT: u16 = 128;

/// A word before it is understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) raw: u64,
    /// Its small letters in `Pieces::letters`.
    pub(super) letters: (u32, u32),
    pub(super) start: u16,
    pub(super) end: u16,
    pub(super) flags: u16,
    pub(super) literal: Option<Literal>,
}

/// All pieces of a text.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) list: Vec<Piece>,
    pub(super) letters: String,
    /// Sentences that end in a question mark.
    pub(super) asked: u8,
    next: u16,
}

const OPENING: &[char] = &['(', '[', '{', '"', '\'', '<', '*', '`', '¿', '¡', '“', '_'];

impl Pieces {
    /// Cut a text that `readable` made.
    pub(super) fn of(text: &str) -> Self {
        let mut pieces = Self {
            list: Vec::with_capacity(text.len() / 4 + 4),
            letters: String::with_capacity(text.len() + 16),
            asked: 0,
            next: CLAUSE | SENTENCE,
        };
        let mut start = 0;
        for chunk in text.split_inclusive(char::is_whitespace) {
            let at = start;
            start += chunk.len();
            if pieces.list.len() >= MOST_WORDS {
                break;
            }
            pieces.chunk(chunk.trim_end(), at);
        }
        pieces
    }

    fn chunk(&mut self, chunk: &str, at: usize) {
        if chunk.is_empty() {
            return;
        }
        let body = chunk.trim_start_matches(OPENING);
        let at = at + (chunk.len() - body.len());
        let open = body
            .trim_end_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '%' | '+' | '#' | '$' | '€' | '£' | '¢')));
        let closing = &body[open.len()..];
        let open = if closing.starts_with("()") {
            &body[..open.len() + 2]
        } else {
            open
        };
        if open.is_empty() {
            match body {
                "->" | "→" | "=>" | "-->" => self.word("to", at, at + body.len(), 0),
                "&" => self.word("and", at, at + body.len(), 0),
                _ => self.next |= CLAUSE,
            }
        } else if open.bytes().any(|octet| octet.is_ascii_digit()) {
            self.with_digits(open, at);
        } else if open.len() > 2 && open.split('.').all(|part| part.len() == 1) {
            // `U.S.`, `e.g.`: one word.
            self.written(&open.replace('.', ""), at, 0);
        } else if is_code(open) {
            self.code(open, at);
        } else {
            self.letters_only(open, at, 0);
        }
        if closing.contains('?') {
            self.asked = self.asked.saturating_add(1);
        }
        if closing.contains(['.', '!', '?']) {
            self.next = CLAUSE | SENTENCE;
        } else if closing.contains([',', ';', ':', '–', '—', ')']) {
            self.next |= CLAUSE;
        }
    }

    fn with_digits(&mut self, open: &str, at: usize) {
        let lower = open.to_lowercase();
        // `5M` is five million, `5m` five metres; `10K` ten thousand in any case.
        // Generations of a network are names: `4G` is no four grams.
        if open.len() == 2 && open.ends_with('G') {
            return self.word(&lower, at, at + open.len(), CAPITAL);
        }
        let value = match lower.strip_suffix('m') {
            Some(body) if open.ends_with('M') && body.bytes().all(|c| c.is_ascii_digit() || c == b'.') => literal(body)
                .map(|one| Literal {
                    value: one.value * 1e6,
                    count: one.value * 1e6,
                    ..one
                }),
            _ => literal(&lower),
        };
        if let Some(value) = value {
            return self.push(&lower, at, at + open.len(), NUMBER, Some(value));
        }
        if let Some((left, right)) = lower.split_once(['-', '–'])
            && let Some(first) = literal(left)
            && left.len() <= 6
        {
            let split = at + left.len();
            let after = split + lower[left.len()..].chars().next().map_or(1, char::len_utf8);
            if let Some(second) = literal(right).filter(|_| right.len() <= 6) {
                self.push(left, at, split, NUMBER, Some(first));
                return self.push(right, after, at + open.len(), NUMBER, Some(second));
            }
            if right.chars().all(|c| c.is_alphabetic() || c == '-') && right.len() > 2 && open.len() == lower.len() {
                self.push(left, at, split, NUMBER, Some(first));
                return self.letters_only(&open[after - at..], after, 0);
            }
        }
        if let Some((left, right)) = lower.split_once('/')
            && let (Some(first), Some(second)) = (literal(left), literal(right))
            && second.kind == Kind::Plain
            && second.value > 0.0
        {
            let value = first.value / second.value;
            let fraction = Literal {
                kind: first.kind,
                value,
                count: value,
            };
            return self.push(&lower, at, at + open.len(), NUMBER, Some(fraction));
        }
        self.code(open, at);
    }

    fn code(&mut self, open: &str, at: usize) {
        let bare: String = open
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '/' | '@' | ':' | '%'))
            .collect();
        let bare = if bare.is_empty() { open.to_lowercase() } else { bare };
        self.push(&bare, at, at + open.len(), CODE, None);
    }

    /// A chunk without digits: words between hyphens, slashes and dots.
    fn letters_only(&mut self, open: &str, at: usize, flags: u16) {
        let mut start = None;
        let mut slash = false;
        for (here, character) in open.char_indices().chain([(open.len(), ' ')]) {
            let inside = start.is_some() && character == '\'' && open[here + 1..].starts_with(char::is_alphabetic);
            let signed =
                start.is_some() && matches!(character, '+' | '#') && !open[here..].contains(char::is_alphabetic);
            // `non-resident` is one word, as `nonresident` is.
            let prefix = character == '-' && start.is_some_and(|from| open[from..here].eq_ignore_ascii_case("non"));
            if character.is_alphanumeric() || is_combining_mark(character) || inside || signed || prefix {
                start.get_or_insert(here);
            } else {
                if let Some(from) = start.take() {
                    if slash {
                        self.word("/", at + from - 1, at + from, 0);
                    }
                    self.written(&open[from..here], at + from, flags);
                    slash = false;
                }
                slash |= character == '/';
            }
        }
    }

    /// One word as written, with its capitals and apostrophes.
    fn written(&mut self, word: &str, at: usize, flags: u16) {
        let end = at + word.len();
        let mut flags = flags;
        let mut capitals = word.chars().filter(|c| c.is_alphabetic()).peekable();
        if capitals.peek().is_some_and(|c| c.is_uppercase()) {
            flags |= CAPITAL;
            if word.chars().filter(|c| c.is_alphabetic()).nth(1).is_some() && capitals.all(char::is_uppercase) {
                flags |= SHOUT;
            }
        }
        let from = self.letters.len();
        if word.is_ascii() {
            self.letters.extend(
                word.bytes()
                    .filter(|octet| *octet != b'-')
                    .map(|octet| char::from(octet.to_ascii_lowercase())),
            );
        } else {
            let letters = word
                .nfd()
                .filter(|c| !matches!(c, '\u{300}'..='\u{36f}'))
                .flat_map(char::to_lowercase);
            self.letters.extend(letters);
        }
        self.apostrophes(from, at, end, flags);
    }

    /// The word in `letters[from..]`, with what an apostrophe joined to it cut off.
    fn apostrophes(&mut self, from: usize, at: usize, end: usize, flags: u16) {
        const BARE: [&str; 16] = [
            "dont", "doesnt", "didnt", "isnt", "arent", "wasnt", "werent", "hasnt", "havent", "hadnt", "couldnt",
            "wouldnt", "shouldnt", "mustnt", "neednt", "aint",
        ];
        let word = &self.letters[from..];
        let (keep, then): (usize, &str) = if let Some(stem) = word.strip_suffix("n't") {
            (stem.len(), "not")
        } else if BARE.contains(&word) {
            (word.len() - 2, "not")
        } else if let Some((stem, tail)) = word.rsplit_once('\'') {
            let asks = matches!(
                stem,
                "what" | "who" | "where" | "how" | "when" | "why" | "that" | "it" | "there" | "here" | "he" | "she"
            );
            match tail {
                "s" if asks => (stem.len(), "is"),
                "s" => (stem.len(), "'s"),
                "re" => (stem.len(), "are"),
                "ll" => (stem.len(), "will"),
                "ve" => (stem.len(), "have"),
                "d" => (stem.len(), "would"),
                "m" => (stem.len(), "am"),
                _ => (word.len(), ""),
            }
        } else {
            (word.len(), "")
        };
        if then.is_empty() && word.len() == keep {
            return self.finish(from, at, end, flags);
        }
        let base = match &self.letters[from..] {
            "can't" => "can".to_owned(),
            "won't" | "wont" => "will".to_owned(),
            "shan't" => "shall".to_owned(),
            other => other[..keep].to_owned(),
        };
        self.letters.truncate(from);
        let owner = if then == "'s" { OWNER } else { 0 };
        self.word(&base, at, end, flags | owner);
        if owner == 0 {
            self.word(then, at, end, 0);
        }
    }

    fn word(&mut self, word: &str, start: usize, end: usize, flags: u16) {
        let from = self.letters.len();
        self.letters.push_str(word);
        self.finish(from, start, end, flags);
    }

    fn push(&mut self, word: &str, start: usize, end: usize, flags: u16, literal: Option<Literal>) {
        self.word(word, start, end, flags);
        if let Some(last) = self.list.last_mut() {
            last.literal = literal;
        }
    }

    fn finish(&mut self, from: usize, start: usize, end: usize, flags: u16) {
        let place = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        let flags = flags | std::mem::take(&mut self.next);
        let to = self.letters.len();
        self.list.push(Piece {
            raw: hash(&self.letters[from..to]),
            letters: (u32::try_from(from).unwrap_or(0), u32::try_from(to).unwrap_or(0)),
            start: place(start),
            end: place(end),
            flags,
            literal: None,
        });
    }

    /// The small letters of a piece.
    pub(super) fn of_piece(&self, piece: &Piece) -> &str {
        &self.letters[piece.letters.0 as usize..piece.letters.1 as usize]
    }

    /// Read several words as one where the tables say so.
    pub(super) fn join_phrases(&mut self) {
        let tables = lexicon();
        let mut at = 0;
        while at < self.list.len() {
            let list = &self.list;
            let found = tables.phrases(list[at].raw).iter().find(|phrase| {
                list.len() - at > phrase.rest.len()
                    && phrase.rest.iter().zip(&list[at + 1..]).all(|(hash, piece)| {
                        (piece.raw == *hash || base(piece) == *hash) && piece.flags & SENTENCE == 0
                    })
            });
            if let Some(phrase) = found {
                let (count, start, flags) = (phrase.rest.len() + 1, list[at].start, list[at].flags);
                let end = list[at + count - 1].end;
                let mut made = Vec::with_capacity(phrase.becomes.len());
                for word in &phrase.becomes {
                    let from = u32::try_from(self.letters.len()).unwrap_or(0);
                    self.letters.push_str(word);
                    let to = u32::try_from(self.letters.len()).unwrap_or(0);
                    let flags = if made.is_empty() { flags & !(CAPITAL | SHOUT) } else { 0 };
                    let literal = word.parse().ok().map(|value| Literal {
                        kind: Kind::Plain,
                        value,
                        count: value,
                    });
                    let number = if literal.is_some() { NUMBER } else { 0 };
                    made.push(Piece {
                        raw: hash(word),
                        letters: (from, to),
                        start,
                        end,
                        flags: flags | number,
                        literal,
                    });
                }
                let step = made.len();
                self.list.splice(at..at + count, made);
                at += step;
            } else {
                at += 1;
            }
        }
    }
}

/// A plural or past form inside a phrase: only what the irregular table knows, to stay cheap.
fn base(piece: &Piece) -> u64 {
    lexicon().irregular(piece.raw).map_or(piece.raw, hash)
}
