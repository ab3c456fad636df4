//! Texts as vectors, and vectors as near neighbours.
//!
//! A text becomes token ids ([`wordpiece::tokenise`]), the ids become one unit vector ([`embed::Table::embed`]), all
//! from files bundled into the binary ([`bundle`]): offline, the same on every machine. A static vector nominates
//! neighbours; it never decides that two questions are one. An [`index::Index`] holds such vectors, or an embedder's of
//! the caller's own, and finds the near ones.

pub mod bundle;
mod characters;
mod chunked;
pub mod embed;
pub mod index;
pub mod kernels;
mod nearest;
mod quantised;
mod rotation;
mod signs;
mod vocabulary;
pub mod wordpiece;
