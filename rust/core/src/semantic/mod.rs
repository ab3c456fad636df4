//! May the answer to one question be served for another?
//!
//! A near neighbour is guarded ([`crate::guard`]: deterministic reasons to refuse), verified ([`verify`]: a small
//! network) and calibrated ([`calibrate`]: local labels and an error budget); [`partition`] is the whole way of a
//! question.

pub mod calibrate;
pub mod partition;
pub mod verify;
