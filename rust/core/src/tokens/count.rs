//! An encoding: text to tokens and back, and how many there are.

use std::sync::OnceLock;

use super::memo::{self, Memo};
use super::merge::{Merges, Scratch};
use super::pretoken::{self, Pattern, Reader};
use super::ranks::{self, Packed, Ranks};
use super::special::{self, Special};
use super::table::{Pieces, Short};
use crate::error::Error;

/// The tables of a set of ranks, made once per process.
struct Tables {
    ranks: Ranks,
    pieces: Pieces,
    merges: Merges,
    /// Tells the pieces of one table from those of another in the memo.
    tag: u8,
}

impl Tables {
    fn new(packed: &Packed, tag: u8) -> Result<Self, Error> {
        let ranks = Ranks::unpack(packed)?;
        Ok(Self {
            pieces: Pieces::new(&ranks),
            merges: Merges::new(&ranks),
            ranks,
            tag,
        })
    }

    fn o200k() -> Result<&'static Self, Error> {
        static TABLES: OnceLock<Result<Tables, Error>> = OnceLock::new();
        TABLES
            .get_or_init(|| Self::new(&ranks::O200K, 1))
            .as_ref()
            .map_err(Error::clone)
    }

    fn cl100k() -> Result<&'static Self, Error> {
        static TABLES: OnceLock<Result<Tables, Error>> = OnceLock::new();
        TABLES
            .get_or_init(|| Self::new(&ranks::CL100K, 2))
            .as_ref()
            .map_err(Error::clone)
    }

    /// Give each piece's tokens and its end to `take`, until it says stop.
    #[inline]
    fn walk<P: Pattern>(
        &self,
        text: &str,
        memo: &mut Memo,
        scratch: &mut Scratch,
        mut take: impl FnMut(&[u32], usize) -> bool,
    ) {
        let reader = Reader::new(text);
        let text = text.as_bytes();
        let mut start = 0;
        while start < text.len() {
            let end = P::end(reader, start);
            let go_on = match Short::new(text, start, end) {
                Some(key) => {
                    let hash = key.hash();
                    if let Some(id) = self.pieces.short(key, hash) {
                        take(&[id], end)
                    } else if let Some(few) = memo.get(key, hash, self.tag) {
                        let (ids, count) = few.ids();
                        take(&ids[..count], end)
                    } else {
                        let (ids, count) = self.merges.encode_short(&text[start..end]);
                        memo.put(key, hash, self.tag, &ids[..count]);
                        take(&ids[..count], end)
                    }
                }
                None => take(self.merges.encode(&self.ranks, &text[start..end], scratch), end),
            };
            if !go_on {
                return;
            }
            start = end;
        }
    }
}

/// A published encoding; its tables are made when it is first asked for and shared by all threads.
#[derive(Clone, Copy)]
pub struct Encoding {
    name: &'static str,
    tables: &'static Tables,
    special: Special,
    o200k: bool,
}

impl Encoding {
    /// The names that [`Encoding::get`] knows.
    pub const NAMES: [&'static str; 3] = ["o200k_base", "cl100k_base", "o200k_harmony"];

    /// The encoding of this name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for another name; [`Error::Damaged`] when the tables that came with the library fail
    /// their check.
    pub fn get(name: &str) -> Result<Self, Error> {
        let encoding = |name, tables, special, o200k| Self {
            name,
            tables,
            special,
            o200k,
        };
        match name {
            "o200k_base" => Ok(encoding(
                Self::NAMES[0],
                Tables::o200k()?,
                Special::new(special::O200K, false),
                true,
            )),
            "cl100k_base" => Ok(encoding(
                Self::NAMES[1],
                Tables::cl100k()?,
                Special::new(special::CL100K, false),
                false,
            )),
            "o200k_harmony" => Ok(encoding(
                Self::NAMES[2],
                Tables::o200k()?,
                Special::new(special::HARMONY, true),
                true,
            )),
            _ => Err(Error::InvalidArgument(format!(
                "{name:?} is no encoding of resopt: it has {}",
                Self::NAMES.join(", ")
            ))),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn walk(&self, text: &str, take: impl FnMut(&[u32], usize) -> bool) {
        memo::with(|memo, scratch| {
            if self.o200k {
                self.tables.walk::<pretoken::O200k>(text, memo, scratch, take);
            } else {
                self.tables.walk::<pretoken::Cl100k>(text, memo, scratch, take);
            }
        });
    }

    /// How many tokens a text has, what looks like a special token taken as text.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        let mut count = 0;
        self.walk(text, |ids, _| {
            count += ids.len();
            true
        });
        count
    }

    /// The tokens of a text, what looks like a special token taken as text.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        self.encode_into(text, &mut tokens);
        tokens
    }

    fn encode_into(&self, text: &str, tokens: &mut Vec<u32>) {
        self.walk(text, |ids, _| {
            tokens.extend_from_slice(ids);
            true
        });
    }

    /// The tokens of a text in which special tokens are what they say.
    ///
    /// The text between two of them is encoded as if it stood alone, as tiktoken does.
    #[must_use]
    pub fn encode_with_special(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        let mut rest = text;
        while let Some((at, length, id)) = self.special.first(rest) {
            self.encode_into(&rest[..at], &mut tokens);
            tokens.push(id);
            rest = &rest[at + length..];
        }
        self.encode_into(rest, &mut tokens);
        tokens
    }

    /// Whether a text has at most `limit` tokens; reads no further than needed.
    #[must_use]
    pub fn fits(&self, text: &str, limit: usize) -> bool {
        // A token is at least a byte, and at most the longest one.
        if text.len() <= limit {
            return true;
        }
        if text.len().div_ceil(self.tables.ranks.longest()) > limit {
            return false;
        }
        let mut count = 0;
        self.walk(text, |ids, _| {
            count += ids.len();
            count <= limit
        });
        count <= limit
    }

    /// The longest beginning of a text that is found to have at most `limit` tokens.
    ///
    /// It ends where a token ends, moved back to a whole character. A text that is cut may split in another way at its
    /// new end, so the beginning is counted again, and cut shorter if it has too many.
    #[must_use]
    pub fn truncate<'t>(&self, text: &'t str, limit: usize) -> &'t str {
        if text.len() <= limit {
            return text;
        }
        let (mut count, mut end, mut whole) = (0, 0, true);
        self.walk(text, |ids, piece_end| {
            let room = limit - count;
            if ids.len() > room {
                end += ids[..room]
                    .iter()
                    .map(|&id| self.tables.ranks.length(id))
                    .sum::<usize>();
                whole = false;
                return false;
            }
            count += ids.len();
            end = piece_end;
            true
        });
        if whole {
            return text;
        }
        loop {
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            if self.fits(&text[..end], limit) {
                return &text[..end];
            }
            // Never at 0: the empty text fits.
            end -= 1;
        }
    }

    /// The bytes of tokens; they may end, or begin, inside a character.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a number that is no token of this encoding.
    pub fn decode(&self, tokens: &[u32]) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(tokens.len() * 5);
        for &id in tokens {
            if let Some(token) = self.tables.ranks.token(id) {
                bytes.extend_from_slice(token);
            } else if let Some(name) = self.special.text(id) {
                bytes.extend_from_slice(name.as_bytes());
            } else {
                return Err(Error::InvalidArgument(format!(
                    "{id} is no token of {}: it has {} ordinary tokens and {} special ones",
                    self.name,
                    self.tables.ranks.len(),
                    self.special.all().len()
                )));
            }
        }
        Ok(bytes)
    }

    /// The ordinary tokens in the order of their numbers.
    pub fn tokens(&self) -> impl Iterator<Item = &'static [u8]> + use<> {
        self.tables.ranks.tokens()
    }

    /// The special tokens and their numbers, in order.
    #[must_use]
    pub fn special_tokens(&self) -> Vec<(String, u32)> {
        self.special.all()
    }
}
