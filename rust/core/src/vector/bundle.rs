//! The bundled model files: opened once, checked by SHA-256 before anything reads them.
//!
//! A damaged file would give wrong vectors and so wrong answers; it gives an error instead. Layout of the header, 64
//! bytes little-endian: magic of 8 bytes, version u32 = 1, five u32 (dimensions), SHA-256 of the payload that follows.

use sha2::{Digest, Sha256};

use crate::error::Error;

/// Octets of the header.
const HEADER: usize = 64;
/// Version of the layout.
const VERSION: u32 = 1;

/// The trained table of token rows: `RSPTTABL`, dimensions (tokens, columns, bits of a scale, 0, 0).
pub const TABLE: &[u8] = include_bytes!("../../models/table.bin");
/// The trained verifier: `RSPTVERI`, dimensions (columns, states, hidden, signals, bits of a weight).
pub const VERIFIER: &[u8] = include_bytes!("../../models/verifier.bin");
/// What the tokeniser makes of each code point: `RSPTCHAR`; see `models/make_characters.py`.
pub(super) const CHARACTERS: &[u8] = include_bytes!("../../models/characters.bin");
/// The vocabulary, one token a line, the line's number is its id.
pub(super) const VOCABULARY: &str = include_str!("../../models/vocab.txt");
/// SHA-256 of the vocabulary, which has no header of its own.
pub(super) const VOCABULARY_SHA256: [u8; 32] = [
    0x07, 0xEC, 0xED, 0x37, 0x5C, 0xEC, 0x14, 0x4D, 0x27, 0xC9, 0x00, 0x24, 0x1F, 0x3E, 0x33, 0x94, 0x78, 0xDE, 0xC9,
    0x58, 0xF9, 0x2F, 0xDD, 0xBC, 0x55, 0x1F, 0x29, 0x5C, 0x99, 0x20, 0x38, 0xA3,
];

/// The dimensions and the payload of a file whose header and checksum are right.
///
/// # Errors
/// `Damaged` when the file is short, of another kind or version, or its payload is not what was written.
pub fn open<'a>(file: &'a [u8], magic: &[u8; 8]) -> Result<([u32; 5], &'a [u8]), Error> {
    let name = String::from_utf8_lossy(magic);
    let (Some(header), Some(payload)) = (file.get(..HEADER), file.get(HEADER..)) else {
        return Err(damaged(&name, "is too short to have a header"));
    };
    if header.get(..8) != Some(magic.as_slice()) {
        return Err(damaged(&name, "does not begin with its magic"));
    }
    let word = |at: usize| little_u32(header, 8 + 4 * at);
    if word(0) != VERSION {
        return Err(damaged(
            &name,
            &format!("has layout version {}, not {VERSION}", word(0)),
        ));
    }
    if header.get(32..) != Some(Sha256::digest(payload).as_slice()) {
        return Err(damaged(&name, "differs from its checksum"));
    }
    Ok(([word(1), word(2), word(3), word(4), word(5)], payload))
}

/// Check a file that has no header against the digest known when it was bundled.
pub(super) fn check(name: &str, file: &[u8], sha256: &[u8; 32]) -> Result<(), Error> {
    if Sha256::digest(file).as_slice() == sha256 {
        return Ok(());
    }
    Err(damaged(name, "differs from its checksum"))
}

/// The error for a bundled file that cannot be what was built in.
#[must_use]
pub fn damaged(name: &str, how: &str) -> Error {
    Error::Damaged(format!(
        "the bundled model file {name} {how}; install resopt again, or use an embedder of your own"
    ))
}

/// The u32 at `at`, 0 beyond the end.
pub(super) fn little_u32(octets: &[u8], at: usize) -> u32 {
    octets
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// The u16 at `at`, 0 beyond the end.
pub(super) fn little_u16(octets: &[u8], at: usize) -> u16 {
    octets
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::{CHARACTERS, TABLE, VERIFIER, VOCABULARY, VOCABULARY_SHA256, check, open};

    #[test]
    fn the_bundled_files_are_whole() {
        let (dimensions, payload) = open(TABLE, b"RSPTTABL").unwrap();
        assert_eq!(dimensions, [30_522, 128, 16, 0, 0]);
        assert_eq!(payload.len(), 30_522 * 130);
        assert_eq!(open(VERIFIER, b"RSPTVERI").unwrap().0, [128, 64, 64, 15, 8]);
        assert_eq!(open(CHARACTERS, b"RSPTCHAR").unwrap().0[2..], [14, 0, 0]);
        check("vocab.txt", VOCABULARY.as_bytes(), &VOCABULARY_SHA256).unwrap();
    }

    #[test]
    fn any_change_is_an_error_that_says_what_to_do() {
        for (name, at) in [("magic", 3), ("version", 8), ("checksum", 40), ("payload", 70)] {
            let mut file = VERIFIER.to_vec();
            file[at] ^= 1;
            let error = open(&file, b"RSPTVERI").unwrap_err().to_string();
            assert!(
                error.contains("RSPTVERI") && error.contains("install resopt again"),
                "{name}: {error}"
            );
        }
        for length in [0, 63, 64, VERIFIER.len() - 1] {
            assert!(open(&VERIFIER[..length], b"RSPTVERI").is_err(), "{length}");
        }
        assert!(open(TABLE, b"RSPTVERI").is_err());
        let mut words = VOCABULARY.as_bytes().to_vec();
        words[100] ^= 1;
        assert!(check("vocab.txt", &words, &VOCABULARY_SHA256).is_err());
    }
}
