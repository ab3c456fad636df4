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
//!          | 0B decimal                          decimal: 00 or 01 (negative), exponent (value), digits (text) without
//!                                                zeros at either end; 02 or 03 for the infinities
//!          | 0C kind fold text value             date (0), time (1), datetime (2): ISO 8601; then zone name or none
//!          | 0D octet{16}                        UUID
//! folded   = 0E octet{6} text                    question folded under these Unicode versions
//! request  = 0F value{5} body                    api, namespace, tenant, user, policy
//! text     = length octet*                       UTF-8; a lone surrogate as the three octets UTF-8 would give it
//! bytes    = length octet*
//! length, count = LEB128, shortest form
//! ```
//!
//! The `body` of a request is a mapping of the fields that determine the answer, in which text has LF for CRLF and the
//! text of the last message may be `folded`; neither tag 0E nor 0F occurs in other values. `1`, `1.0` and `-0.0` are
//! the same integer (as in JSON); booleans are not integers; infinity is a float.

mod stream;

pub use stream::{Calendar, KeyStream, NotANumber};

/// Version of the grammar above; part of every key.
pub const SCHEMA: u8 = 1;

/// The longest text, in octets, that fits one block of the hash together with its tag and length.
pub const SHORT_TEXT: usize = 62;

/// Separates resopt's key derivation from every other use of BLAKE3.
const DERIVATION: &str = "resopt 2026-11 key space from schema, namespace and secret";

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
        let mut material = blake3::Hasher::new_derive_key(DERIVATION);
        material.update(&[SCHEMA]);
        for part in [Some(namespace.as_bytes()), secret] {
            material.update(&[u8::from(part.is_some())]);
            let part = part.unwrap_or_default();
            material.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Self {
            key: *material.finalize().as_bytes(),
        }
    }

    /// The key of a text of at most [`SHORT_TEXT`] octets, the commonest key, without a stream; None for a longer one.
    #[inline]
    #[must_use]
    pub fn short_text(&self, text: &[u8]) -> Option<Key> {
        let mut written = [0; 2 + SHORT_TEXT];
        let (head, room) = written.split_at_mut(2);
        room.get_mut(..text.len())?.copy_from_slice(text);
        head.copy_from_slice(&[stream::TEXT, u8::try_from(text.len()).ok()?]);
        let digest = blake3::keyed_hash(&self.key, &written[..2 + text.len()]);
        let mut key = [0; 16];
        key.copy_from_slice(&digest.as_bytes()[..16]);
        Some(Key(key))
    }
}

impl std::fmt::Debug for KeySpace {
    /// Says nothing of the derived key: it stands for the secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeySpace").finish_non_exhaustive()
    }
}
