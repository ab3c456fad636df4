//! Values become 16-byte keys: a typed, length-prefixed stream, hashed with keyed BLAKE3.
//!
//! Two values share a key only if they are the same data, and the same data has the same key in every process and
//! release. Both follow from the stream: it is canonical (one encoding per value) and prefix-free (no encoding begins
//! another), so that the bytes determine the value.
//!
//! # Grammar (schema 1)
//!
//! ```text
//! value    = 00                                  none
//!          | 01 | 02                             false | true
//!          | 03 length octet*                    integer: shortest two's complement, little-endian, at least 1 octet
//!          | 04 octet{8}                         float that is no integer: IEEE 754 bits, little-endian; never NaN
//!          | 05 text                             text
//!          | 06 bytes                            bytes
//!          | 07 count value*                     sequence
//!          | 08 count (text value)*              mapping: names strictly ascending by their octets
//!          | 09 text count (text value)*         record: class name, then fields like a mapping
//!          | 0A text value                       member of an enumeration: class name, then member name (or value)
//!          | 0B sign value text                  decimal: exponent (integer), then digits; see `Decimal`
//!          | 0C kind fold text value             date (0), time (1), datetime (2): ISO 8601, then zone name or none
//!          | 0D octet{16}                        UUID
//! folded   = 0E octet{6} text                    question folded under these Unicode versions
//! request  = 0F value{6} count (text item)*      api, namespace, tenant, user, policy, name of the messages field;
//!                                                then the body's fields that determine the answer
//! text     = length octet*                       UTF-8; a lone surrogate as the three octets UTF-8 would give it
//! bytes    = length octet*
//! length, count = LEB128, shortest form
//! ```
//!
//! An `item` of a request is a value in which the last message's text may be `folded`. `1`, `1.0` and `-0.0` are
//! integers (as in JSON); booleans are not. Infinity is a float. Tag `0F` never occurs inside a value.

/// Version of the grammar above; part of every key.
pub const SCHEMA: u8 = 1;

/// Separates resopt's key derivation from every other use of BLAKE3.
const DERIVATION: &str = "resopt 2026-11 key space from schema, namespace and secret";

/// Bytes gathered before they are handed to the hasher; below this a key costs one pass and no set-up.
const SPILL: usize = 64 * 1024;

/// What identifies a value: 128 bits of keyed BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 16]);

/// A set of keys of its own: equal values in two spaces have unrelated keys.
#[derive(Clone)]
pub struct KeySpace {
    key: [u8; 32],
}

impl KeySpace {
    /// The space of `namespace`; with a `secret`, nobody without it can compute or test a key.
    #[must_use]
    pub fn new(namespace: &str, secret: Option<&[u8]>) -> Self {
        let mut material = KeyStream::default();
        material.octet(SCHEMA);
        material.text(namespace.as_bytes());
        match secret {
            Some(secret) => material.bytes(secret),
            None => material.none(),
        }
        Self {
            key: blake3::derive_key(DERIVATION, &material.buffer),
        }
    }
}

impl std::fmt::Debug for KeySpace {
    /// Says nothing of the derived key: it stands for the secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeySpace").finish_non_exhaustive()
    }
}

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
        if !value.is_finite() || value.fract() != 0.0 {
            self.octet(0x04);
            self.put(&value.to_bits().to_le_bytes());
        } else if value.abs() < 9.0e18 {
            #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^63, checked above")]
            self.integer(value as i64);
        } else {
            self.big_float(value);
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
        self.octet(0x05);
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

    fn length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.octet(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        self.octet(length.to_le_bytes()[0]);
    }

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
