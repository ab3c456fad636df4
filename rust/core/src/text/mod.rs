//! Text as resopt sees it: which questions are the same question.

mod alone;
pub mod calendar;
mod capitals;
mod closing;
mod fold;
pub mod normalise;
pub mod split;
pub mod stem;
