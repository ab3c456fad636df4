//! Tokens, counted exactly and fast, for the encodings whose ranks are published.
//!
//! A text is split into pieces ([`pretoken`]), a piece is one token or is merged from bytes ([`merge`]), and the ranks
//! that say so are carried in the library and checked when first used ([`ranks`]). [`count`] is the face of it.
//!
//! The `bpe` crate's merge was considered and is not used: at run time it builds three automata over the vocabulary.

mod classes;
mod count;
mod memo;
mod merge;
mod pretoken;
mod ranges;
mod ranks;
mod special;
mod table;
mod trie;

pub use count::Encoding;
