//! The published ranks: carried as merges, checked, and spread into bytes when first used.
//!
//! `rust/core/ranks/pack.py` says what a packed file looks like and why. Two hashes are checked before anything is
//! counted: that of the packed file, and that of the file `OpenAI` publishes, which is written again from the merges. A
//! table that differs in one byte is an error, never a wrong count.

use sha2::{Digest, Sha256};

use crate::error::Error;

/// The single bytes: the first tokens of both tables.
pub(super) const SINGLE: usize = 256;
const MAGIC: &[u8] = b"RSMG\x01";

/// A packed file and what it must be.
pub(super) struct Packed {
    /// Name of the table, for messages.
    pub(super) name: &'static str,
    /// The file itself.
    pub(super) bytes: &'static [u8],
    /// SHA-256 of this file.
    pub(super) own_hash: &'static str,
    /// SHA-256 of the published `.tiktoken` file.
    pub(super) published_hash: &'static str,
}

/// `o200k_base`; the published hash is the one in tiktoken's `openai_public.py`.
pub(super) const O200K: Packed = Packed {
    name: "o200k_base",
    bytes: include_bytes!("../../ranks/o200k_base.merges"),
    own_hash: "fb9ee739f2fef282f2a58a9e1541ef269a8f073eff94f677fe32238dc5070c77",
    published_hash: "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
};

/// `cl100k_base`; the published hash is the one in tiktoken's `openai_public.py`.
pub(super) const CL100K: Packed = Packed {
    name: "cl100k_base",
    bytes: include_bytes!("../../ranks/cl100k_base.merges"),
    own_hash: "d4b045f836ec413f2215d82c4614b3bee241af54bc51d140bc4926443b851f84",
    published_hash: "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
};

/// The tokens of a table: their bytes, and the pairs they are merged from.
pub(super) struct Ranks {
    /// The bytes of all tokens, in the order of their numbers.
    bytes: Box<[u8]>,
    /// Where each token ends in `bytes`; one more than there are tokens, the first is 0.
    ends: Box<[u32]>,
    /// The two halves of each token after the 256 single bytes.
    pub(super) pairs: Vec<(u32, u32)>,
    /// Bytes of the longest token.
    longest: usize,
}

impl Ranks {
    /// Unpack a file and check it.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the file is not the one that was packed.
    pub(super) fn unpack(packed: &Packed) -> Result<Self, Error> {
        if hex(&Sha256::digest(packed.bytes)) != packed.own_hash {
            return Err(corrupt(packed));
        }
        let ranks = Self::read(packed.bytes).ok_or_else(|| corrupt(packed))?;
        if ranks.published_hash() != packed.published_hash {
            return Err(corrupt(packed));
        }
        Ok(ranks)
    }

    fn read(file: &[u8]) -> Option<Self> {
        let body = file.strip_prefix(MAGIC)?;
        let (&width, body) = body.split_first()?;
        let (count, body) = body.split_first_chunk::<4>()?;
        let (single, packed) = body.split_at_checked(SINGLE)?;
        let count = u32::from_le_bytes(*count) as usize;
        let mut ranks = Self::of_single_bytes(single, count);
        let mut numbers = Numbers { packed, at: 0, width };
        let mut bytes = std::mem::take(&mut ranks.bytes).into_vec();
        let mut ends = std::mem::take(&mut ranks.ends).into_vec();
        for number in SINGLE..count {
            let (left, right) = (numbers.next()?, numbers.next()?);
            for half in [left, right] {
                if half as usize >= number {
                    return None;
                }
                bytes.extend_from_within(ends[half as usize] as usize..ends[half as usize + 1] as usize);
            }
            let start = *ends.last()? as usize;
            ranks.longest = ranks.longest.max(bytes.len() - start);
            ends.push(u32::try_from(bytes.len()).ok()?);
            ranks.pairs.push((left, right));
        }
        ranks.bytes = bytes.into_boxed_slice();
        ranks.ends = ends.into_boxed_slice();
        Some(ranks)
    }

    fn of_single_bytes(single: &[u8], count: usize) -> Self {
        let mut ends = Vec::with_capacity(count + 1);
        ends.extend(0u32..=256);
        let mut bytes = Vec::with_capacity(count * 8);
        bytes.extend_from_slice(single);
        Self {
            bytes: bytes.into_boxed_slice(),
            ends: ends.into_boxed_slice(),
            pairs: Vec::with_capacity(count.saturating_sub(SINGLE)),
            longest: 1,
        }
    }

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len() - 1
    }

    /// The bytes of a token, or None when there is none of this number.
    #[inline]
    pub(super) fn token(&self, id: u32) -> Option<&[u8]> {
        let start = *self.ends.get(id as usize)? as usize;
        let end = *self.ends.get(id as usize + 1)? as usize;
        Some(&self.bytes[start..end])
    }

    /// Bytes of the longest token.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Bytes of a token of this table.
    #[inline]
    pub(super) fn length(&self, id: u32) -> usize {
        (self.ends[id as usize + 1] - self.ends[id as usize]) as usize
    }

    /// The two tokens that a token of this table is merged from; None for a single byte.
    #[inline]
    pub(super) fn halves(&self, id: u32) -> Option<(u32, u32)> {
        self.pairs.get((id as usize).checked_sub(SINGLE)?).copied()
    }

    /// The bytes of all tokens in order.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &[u8]> {
        self.ends
            .windows(2)
            .map(|ends| &self.bytes[ends[0] as usize..ends[1] as usize])
    }

    /// SHA-256 of the `.tiktoken` file of these tokens: base64, a space, the number, a line feed, for each.
    fn published_hash(&self) -> String {
        let mut hash = Sha256::new();
        let mut lines = Vec::with_capacity(1 << 16);
        for (number, token) in self.tokens().enumerate() {
            write_base64(token, &mut lines);
            lines.push(b' ');
            write_decimal(number, &mut lines);
            lines.push(b'\n');
            if lines.len() > (1 << 15) {
                hash.update(&lines);
                lines.clear();
            }
        }
        hash.update(&lines);
        hex(&hash.finalize())
    }
}

/// Numbers of `width` bits each, lowest bit first.
struct Numbers<'a> {
    packed: &'a [u8],
    at: usize,
    width: u8,
}

impl Numbers<'_> {
    fn next(&mut self) -> Option<u32> {
        let first = self.at / 8;
        let mut word = [0; 8];
        let available = self.packed.get(first..)?;
        let taken = available.len().min(8);
        word[..taken].copy_from_slice(&available[..taken]);
        let shifted = u64::from_le_bytes(word) >> (self.at % 8);
        self.at += usize::from(self.width);
        if self.at > self.packed.len() * 8 {
            return None;
        }
        u32::try_from(shifted & ((1u64 << self.width) - 1)).ok()
    }
}

fn corrupt(packed: &Packed) -> Error {
    Error::Damaged(format!(
        "the token table {} that came with resopt is damaged: no count would be right. Install resopt again",
        packed.name
    ))
}

fn hex(digest: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    digest
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=three.len()].copy_from_slice(three);
        let word = u32::from_be_bytes(word);
        let mut four = [18, 12, 6, 0].map(|shift| DIGITS[(word >> shift) as usize & 63]);
        for pad in &mut four[three.len() + 1..] {
            *pad = b'=';
        }
        out.extend_from_slice(&four);
    }
}

fn write_decimal(number: usize, out: &mut Vec<u8>) {
    let from = out.len();
    let mut rest = number;
    loop {
        #[expect(clippy::cast_possible_truncation, reason = "a digit")]
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out[from..].reverse();
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const HEAD: usize = 10;

    #[test]
    fn both_tables_are_the_published_ones() {
        for (packed, tokens) in [(&O200K, 199_998), (&CL100K, 100_256)] {
            let ranks = Ranks::unpack(packed).unwrap();
            assert_eq!(ranks.len(), tokens);
            assert_eq!(ranks.published_hash(), packed.published_hash);
        }
    }

    #[test]
    fn one_flipped_bit_is_an_error_wherever_it_is() {
        for at in [0, 5, 6, 12, 300, 5_000, CL100K.bytes.len() - 1] {
            let mut bytes = CL100K.bytes.to_vec();
            bytes[at] ^= 4;
            let damaged = Packed {
                bytes: bytes.leak(),
                ..CL100K
            };
            let message = Ranks::unpack(&damaged).err().unwrap().to_string();
            assert!(message.contains("cl100k_base") && message.contains("Install resopt again"));
        }
        let cut = Packed {
            bytes: &CL100K.bytes[..1000],
            ..CL100K
        };
        assert!(Ranks::unpack(&cut).is_err());
    }

    #[test]
    fn merges_that_do_not_give_the_published_file_are_an_error_though_their_own_hash_fits() {
        let mut bytes = CL100K.bytes.to_vec();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        let bytes: &'static [u8] = bytes.leak();
        let hash: &'static str = hex(&Sha256::digest(bytes)).leak();
        let other = Packed {
            bytes,
            own_hash: hash,
            ..CL100K
        };
        assert!(Ranks::unpack(&other).is_err());
    }

    #[test]
    fn a_file_that_is_cut_or_points_forward_is_not_read() {
        for end in [0, 4, 8, 100, HEAD + SINGLE + 1] {
            assert!(Ranks::read(&CL100K.bytes[..end]).is_none());
        }
        let mut bytes = CL100K.bytes[..HEAD + SINGLE + 5].to_vec();
        bytes[6..10].copy_from_slice(&257u32.to_le_bytes());
        assert_eq!(Ranks::read(&bytes).unwrap().len(), 257);
        bytes[HEAD + SINGLE] = 0xFF;
        bytes[HEAD + SINGLE + 1] = 0xFF;
        assert!(Ranks::read(&bytes).is_none());
    }
}
