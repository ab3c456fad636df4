//! How a partition is made.

use crate::guard::Guards;
use crate::semantic::calibrate::Policy;

/// Who says how likely an answer fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// The bundled network.
    Bundled,
    /// The caller, between [`Partition::nominate`] and [`Partition::settle`].
    Own,
    /// Nobody: cosine, guards and labels decide.
    Nobody,
}

/// How a partition is made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Numbers in the caller's vectors; None for the bundled embedder.
    pub dimensions: Option<usize>,
    /// Who verifies.
    pub judge: Judge,
    /// What it may do; its basis is set from `judge` and `dimensions`.
    pub policy: Policy,
    /// Probability that a bound is ever wrong.
    pub alpha: f64,
    /// The guards that refuse.
    pub guards: Guards,
    /// Rule out every missed neighbour by a proven bound.
    pub exact: bool,
    /// Of the tosses that pick audits; None draws one.
    pub seed: Option<u64>,
}
