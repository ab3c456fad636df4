//! How much a question asks for: cheap features, a fixed prior, a linear model of the user's own labels, and cuts.

pub mod curve;
pub mod cuts;
pub mod features;
pub mod linear;
mod linear_bytes;
mod linear_fit;
mod ridge;
pub mod score;
mod words;
