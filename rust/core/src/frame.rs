//! The frame around everything that is kept as bytes: three letters and a version before, a checksum behind.
//!
//! What is read is never trusted: the letters, the version and the first 8 bytes of the BLAKE3 digest of all before them
//! have to be right, and every later reading may fail with what is wrong.

use crate::error::Error;

const CHECKSUM: usize = 8;

/// A kind of kept bytes.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Three letters and the version.
    pub(crate) magic: [u8; 4],
    /// What the bytes are, for messages: "a sketch".
    pub(crate) what: &'static str,
}

impl Frame {
    /// The beginning, with room for so many bytes.
    pub(crate) fn begin(&self, capacity: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(capacity);
        out.extend_from_slice(&self.magic);
        out
    }

    /// Put the checksum behind what was begun.
    #[expect(clippy::unused_self, reason = "the end of what `begin` began")]
    pub(crate) fn seal(&self, mut out: Vec<u8>) -> Vec<u8> {
        let digest = checksum(&out);
        out.extend_from_slice(&digest);
        out
    }

    /// What stands between the two.
    ///
    /// # Errors
    /// `InvalidArgument` when the bytes are cut short, changed, or of another kind or version.
    pub(crate) fn open<'a>(&'a self, bytes: &'a [u8]) -> Result<Reader<'a>, Error> {
        let (content, digest) = bytes
            .split_last_chunk::<CHECKSUM>()
            .ok_or_else(|| self.corrupt("they are too short"))?;
        let rest = content
            .strip_prefix(&self.magic[..3])
            .ok_or_else(|| self.corrupt("they do not begin like one"))?;
        let (&version, rest) = rest.split_first().ok_or_else(|| self.corrupt("they are too short"))?;
        if version != self.magic[3] {
            return Err(self.corrupt(&format!(
                "they were written as version {version}, and this release reads version {}",
                self.magic[3]
            )));
        }
        if *digest != checksum(content) {
            return Err(self.corrupt("their checksum is wrong"));
        }
        Ok(Reader { rest, frame: self })
    }

    /// The error that bytes of this kind are not what they should be.
    pub(crate) fn corrupt(&self, why: &str) -> Error {
        Error::InvalidArgument(format!("these bytes are not {}: {why}", self.what))
    }
}

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    frame: &'a Frame,
}

impl<'a> Reader<'a> {
    /// The next `N` bytes.
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.corrupt("they are cut short"))?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next `length` bytes.
    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.corrupt("they are cut short"))?;
        self.rest = rest;
        Ok(head)
    }

    /// A length of four bytes, as [`push_length`] writes it.
    pub(crate) fn length(&mut self) -> Result<usize, Error> {
        Ok(u32::from_le_bytes(self.take()?) as usize)
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// # Errors
    /// `InvalidArgument` when bytes are left.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.corrupt("bytes are left over"))
        }
    }

    /// See [`Frame::corrupt`].
    pub(crate) fn corrupt(&self, why: &str) -> Error {
        self.frame.corrupt(why)
    }
}

/// Write a length as four bytes.
pub(crate) fn push_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let digest = blake3::hash(content);
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&digest.as_bytes()[..CHECKSUM]);
    short
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::Frame;

    const FRAME: Frame = Frame {
        magic: *b"ABC\x02",
        what: "an example",
    };

    fn sealed() -> Vec<u8> {
        let mut out = FRAME.begin(16);
        out.extend_from_slice(&[1, 2, 3]);
        FRAME.seal(out)
    }

    #[test]
    fn what_was_sealed_is_read_back() {
        let bytes = sealed();
        let mut reader = FRAME.open(&bytes).unwrap();
        assert_eq!((reader.take().unwrap(), reader.left()), ([1, 2], 1));
        assert!(reader.finish().is_err());
        assert_eq!(reader.slice(1).unwrap(), [3]);
        assert!(reader.finish().is_ok());
        assert!(reader.take::<1>().is_err());
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed_and_a_version_named() {
        let bytes = sealed();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(FRAME.open(&changed).is_err(), "byte {at}");
            assert!(FRAME.open(&bytes[..at]).is_err(), "cut at {at}");
        }
        let later = Frame {
            magic: *b"ABC\x03",
            ..FRAME
        };
        let message = later.open(&bytes).unwrap_err().to_string();
        assert!(message.contains("written as version 2"), "{message}");
    }
}
