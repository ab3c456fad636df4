//! Statistics over what happened: streaming, bounded, mergeable.

pub mod sketch;
mod sketch_bytes;
