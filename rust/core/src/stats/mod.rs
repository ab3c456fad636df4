//! Statistics over what happened: streaming, bounded, mergeable.

pub mod bound;
pub mod difference;
pub mod harm;
pub mod sequential;
pub mod sketch;
mod sketch_bytes;
pub mod tally;
