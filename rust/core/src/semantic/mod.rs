//! May the answer to one question be served for another?

pub mod guard;
