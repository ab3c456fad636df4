//! The writer of the grammar in `key.rs`.

use super::{Key, KeySpace};
use crate::text::normalise;

/// Bytes gathered before they are handed to the hasher; below this a key costs one pass and no set-up.
const SPILL: usize = 64 * 1024;

/// Tag of text; `KeySpace::short_text` writes it too.
pub(super) const TEXT: u8 = 0x05;

/// A float that is not a number has no key: it does not equal itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotANumber;

/// What a calendar value is; part of its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Calendar {
    /// A day.
    Date = 0,
    /// A time of day.
    Time = 1,
    /// A day and a time.
    DateTime = 2,
}

/// Writes one value in the grammar above, over a buffer that is kept between keys.
///
/// Containers are announced by their count and followed by exactly that many values; the caller sorts the names of
/// mappings. Memory stays bounded: what exceeds the buffer goes straight to the hasher.
#[derive(Default)]
pub struct KeyStream {
    buffer: Vec<u8>,
    key: [u8; 32],
    hasher: Option<Box<blake3::Hasher>>,
    /// Room for a question while it is folded.
    folded: Vec<u8>,
}

impl KeyStream {
    /// Forget what was written and begin a value of `space`.
    pub fn begin(&mut self, space: &KeySpace) {
        self.buffer.clear();
        self.hasher = None;
        self.key = space.key;
    }

    /// The key of everything written since [`begin`](Self::begin).
    pub fn finish(&mut self) -> Key {
        let digest = match self.hasher.take() {
            None => blake3::keyed_hash(&self.key, &self.buffer),
            Some(mut hasher) => hasher.update(&self.buffer).finalize(),
        };
        self.buffer.clear();
        let mut key = [0; 16];
        key.copy_from_slice(&digest.as_bytes()[..16]);
        Key(key)
    }

    /// The absence of a value.
    pub fn none(&mut self) {
        self.octet(0x00);
    }

    /// A truth value; never equal to an integer.
    pub fn boolean(&mut self, value: bool) {
        self.octet(if value { 0x02 } else { 0x01 });
    }

    /// An integer that fits 64 bits.
    pub fn integer(&mut self, value: i64) {
        let magnitude = if value < 0 { !value } else { value };
        let length = (64 - magnitude.leading_zeros() as usize) / 8 + 1;
        self.octet(0x03);
        self.run(&value.to_le_bytes()[..length]);
    }

    /// An integer of any size: two's complement, little-endian, in any number of octets (none is zero).
    pub fn big_integer(&mut self, octets: &[u8]) {
        let octets = if octets.is_empty() { &[0] } else { octets };
        let mut length = octets.len();
        // An octet is redundant when it only repeats the sign of the one before.
        while length > 1 && octets[length - 1] == if octets[length - 2] & 0x80 == 0 { 0x00 } else { 0xFF } {
            length -= 1;
        }
        self.octet(0x03);
        self.run(&octets[..length]);
    }

    /// A float; one without a fraction is written as the integer it is, exactly.
    ///
    /// # Errors
    /// [`NotANumber`] for NaN; nothing was written then.
    pub fn float(&mut self, value: f64) -> Result<(), NotANumber> {
        if value.is_nan() {
            return Err(NotANumber);
        }
        #[expect(clippy::cast_possible_truncation, reason = "compared with what it came from")]
        let integer = value as i64;
        #[expect(
            clippy::cast_precision_loss,
            clippy::float_cmp,
            reason = "equal only if nothing was lost"
        )]
        let whole = integer as f64 == value;
        if whole && value.abs() < 9.0e18 {
            self.integer(integer);
        } else if value.is_finite() && value.abs() >= 9.0e18 {
            // From 2^53 on, every float is an integer; these may exceed 64 bits.
            self.big_float(value);
        } else {
            self.octet(0x04);
            self.put(&value.to_bits().to_le_bytes());
        }
        Ok(())
    }

    /// A finite float of at least 2^53: mantissa times a power of two, written out (at most 1024 bits and a sign).
    fn big_float(&mut self, value: f64) {
        let bits = value.abs().to_bits();
        let shift = (bits >> 52) as usize - 1075;
        let mantissa = u128::from((bits & ((1 << 52) - 1)) | (1 << 52)) << (shift % 8);
        let mut octets = [0u8; 144];
        octets[shift / 8..shift / 8 + 16].copy_from_slice(&mantissa.to_le_bytes());
        if value < 0.0 {
            let mut carry = true;
            for octet in &mut octets {
                (*octet, carry) = (!*octet).overflowing_add(u8::from(carry));
            }
        }
        self.big_integer(&octets);
    }

    /// Text as UTF-8 (lone surrogates as three octets each).
    pub fn text(&mut self, text: &[u8]) {
        self.octet(TEXT);
        self.run(text);
    }

    /// Bytes; never equal to text.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.octet(0x06);
        self.run(bytes);
    }

    /// A sequence; `count` values follow.
    pub fn sequence(&mut self, count: usize) {
        self.octet(0x07);
        self.length(count);
    }

    /// A mapping; `count` pairs of [`name`](Self::name) and value follow, names strictly ascending.
    pub fn mapping(&mut self, count: usize) {
        self.octet(0x08);
        self.length(count);
    }

    /// A record of the class `class`; `count` pairs of name and value follow, names strictly ascending.
    pub fn record(&mut self, class: &[u8], count: usize) {
        self.octet(0x09);
        self.run(class);
        self.length(count);
    }

    /// The name of a pair in a mapping or record.
    pub fn name(&mut self, name: &[u8]) {
        self.run(name);
    }

    /// A member of the enumeration `class`; its name or, for a nameless one, its value follows.
    pub fn member(&mut self, class: &[u8]) {
        self.octet(0x0A);
        self.run(class);
    }

    /// A finite decimal number: `digits` (0 to 9) times ten to the `exponent`. Equal numbers are written the same.
    pub fn decimal(&mut self, negative: bool, digits: &[u8], exponent: i64) {
        let first = digits.iter().position(|&digit| digit != 0).unwrap_or(digits.len());
        let end = digits
            .iter()
            .rposition(|&digit| digit != 0)
            .map_or(first, |last| last + 1);
        let zero = first == end;
        self.octet(0x0B);
        self.octet(u8::from(negative && !zero));
        self.integer(if zero {
            0
        } else {
            exponent.saturating_add_unsigned((digits.len() - end) as u64)
        });
        self.run(&digits[first..end]);
    }

    /// An infinite decimal number.
    pub fn infinite_decimal(&mut self, negative: bool) {
        self.octet(0x0B);
        self.octet(0x02 + u8::from(negative));
    }

    /// A date or time in ISO 8601; its zone's name, or none, follows. `fold` tells the second pass of a repeated hour.
    pub fn calendar(&mut self, kind: Calendar, fold: bool, iso: &str) {
        self.octet(0x0C);
        self.octet(kind as u8);
        self.octet(u8::from(fold));
        self.run(iso.as_bytes());
    }

    /// A UUID.
    pub fn uuid(&mut self, octets: [u8; 16]) {
        self.octet(0x0D);
        self.put(&octets);
    }

    /// Text of a request: like [`text`](Self::text), with LF for CRLF.
    pub fn lossless(&mut self, text: &[u8]) {
        self.text(&normalise::lossless(text));
    }

    /// A question, by its folding; never equal to text that is not folded.
    pub fn folded(&mut self, question: &str) {
        let mut folded = std::mem::take(&mut self.folded);
        folded.clear();
        normalise::fold_into(question, &mut folded);
        self.octet(0x0E);
        self.put(&normalise::UNICODE_VERSION);
        self.run(&folded);
        self.folded = folded;
    }

    /// A request; its api, namespace, tenant, user, policy and body follow.
    pub fn request(&mut self) {
        self.octet(0x0F);
    }

    #[inline]
    fn octet(&mut self, octet: u8) {
        if self.buffer.len() == SPILL {
            self.spill(&[]);
        }
        self.buffer.push(octet);
    }

    /// A length and that many octets.
    fn run(&mut self, octets: &[u8]) {
        self.length(octets.len());
        self.put(octets);
    }

    #[inline]
    fn length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.octet(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        self.octet(length.to_le_bytes()[0]);
    }

    #[inline]
    fn put(&mut self, octets: &[u8]) {
        if self.buffer.len() + octets.len() > SPILL {
            self.spill(octets);
        } else {
            self.buffer.extend_from_slice(octets);
        }
    }

    #[cold]
    fn spill(&mut self, octets: &[u8]) {
        let hasher = self
            .hasher
            .get_or_insert_with(|| Box::new(blake3::Hasher::new_keyed(&self.key)));
        hasher.update(&self.buffer).update(octets);
        self.buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{KeySpace, KeyStream, SPILL};

    #[test]
    fn what_spills_is_hashed_as_one_and_memory_stays_bounded() {
        let space = KeySpace::new("spill", None);
        let mut stream = KeyStream::default();
        for lengths in [
            &[10, 70_000, 3, 65_536, 20][..],
            &[SPILL],
            &[SPILL - 3, 1, 1, 1, 1],
            &[1],
        ] {
            let mut expected = Vec::new();
            stream.begin(&space);
            for &length in lengths {
                stream.octet(0x06);
                expected.push(0x06);
                stream.put(&vec![b'x'; length]);
                expected.extend(vec![b'x'; length]);
            }
            let digest = blake3::keyed_hash(&space.key, &expected);
            assert_eq!(stream.finish().0, digest.as_bytes()[..16], "{lengths:?}");
        }
        stream.begin(&space);
        for _ in 0..3 * SPILL {
            stream.none();
        }
        stream.finish();
        assert!(stream.buffer.capacity() <= 2 * SPILL);
    }
}
