//! Texts as vectors, and vectors as near neighbours.
//!
//! A text becomes token ids ([`wordpiece::tokenise`]), the ids become one unit vector ([`embed::Table::embed`]), all
//! from files bundled into the binary ([`bundle`]): offline, the same on every machine. A static vector nominates
//! neighbours; it never decides that two questions are one.

pub mod bundle;
mod characters;
pub mod embed;
mod vocabulary;
pub mod wordpiece;
