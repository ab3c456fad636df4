//! Text as resopt sees it: which questions are the same question.

mod alone;
mod capitals;
mod closing;
mod fold;
pub mod normalise;
pub mod split;
pub mod stem;
