//! The rules for prompts and the extraction of sentences, as functions; see the stub.

pub(crate) mod extract;
pub(crate) mod rules;

/// From so many bytes on, other threads run while a text is worked on.
const LARGE: usize = 1 << 15;
