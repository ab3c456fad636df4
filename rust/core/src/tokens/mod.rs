//! Tokens, counted exactly and fast, for the encodings whose ranks are published.
//!
//! A text is split into pieces (`pretoken`), most pieces are one token (`table`), the others are merged from bytes (`merge`)
//! or remembered (`memo`), and the ranks that say so are carried in the library and checked when first used (`ranks`).
//! [`Encoding`] is the face of it; [`chat`] has what a chat costs beyond its texts, [`TextClass`] what a text is like.

pub mod chat;
mod classes;
mod count;
mod kind;
mod memo;
mod merge;
mod pretoken;
mod ranges;
mod ranks;
mod special;
mod table;
mod trie;

pub use count::Encoding;
pub use kind::TextClass;
