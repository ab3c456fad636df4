//! The pure core of resopt: everything hot, nothing of Python.
//!
//! A request becomes a 16-byte [`key::Key`] (typed stream, keyed BLAKE3), the key finds an opaque value in the
//! [`store::Store`] (exact LRU, deadlines, budgets and tags behind one lock), and what happened is measured by a
//! [`stats::sketch::Sketch`]. [`text::normalise`] decides which questions are the same question; [`vector`] finds the
//! questions that are nearly the same, [`guard`] why two of them differ after all, and [`semantic`] whether one answer
//! serves both; [`tokens`] says what a text is billed as and [`prompt`] says it in fewer; [`route`] says how much a
//! question asks for, and of which model.

pub mod error;
mod frame;
pub mod guard;
pub mod key;
pub mod prompt;
pub mod route;
pub mod semantic;
pub mod stats;
pub mod store;
pub mod text;
pub mod tokens;
pub mod vector;
