//! Why two questions must not share an answer: deterministic guards, each a named reason with its evidence.
//!
//! A question is read once ([`Question::read`]) and stored; [`compare`] finds in a microsecond or two what tells two of
//! them apart. A guard may only refuse: no reason found means that the verifier decides. [`signals`] gives what the
//! calibration learns from, refusing nothing. The tables (`english/*.txt`) are English; for a text in another language
//! only the guards for numbers, codes, names and languages hold, and [`Question::needs_strict`] says so.
//! [`instruction`] asks the other way round: do two instructions say the same? [`procedure`] tells which of them may
//! be steps, to be done as often as they are given.

mod align;
mod ask;
mod form;
mod frame;
mod hash;
pub mod instruction;
mod language;
mod lexicon;
mod mark;
mod order;
mod polarity;
pub mod procedure;
mod quantity;
mod question;
mod readable;
mod reason;
mod signal;
mod split;
mod stem;
mod steps;
mod substitution;
mod terms;
mod unit;
mod value;
mod word;
mod wording;

use align::align;
pub use question::Question;
pub use reason::{Guard, Guards, Reason};
pub use signal::{Signals, signals};

/// Every reason, of the guards switched on, why the answer to one question cannot serve the other.
///
/// Symmetric but for the order of the evidence. An empty list lets the verifier decide.
#[must_use]
pub fn compare(left: &Question, right: &Question, guards: Guards) -> Vec<Reason> {
    let mut found = reason::Found::new(left, right, guards);
    let aligned = align(left, right);
    form::unread(&mut found);
    form::languages(&mut found);
    terms::values(&mut found);
    terms::codes(&mut found, &aligned);
    terms::names(&mut found, &aligned);
    if left.needs_strict_language() || right.needs_strict_language() {
        return found.reasons;
    }
    form::actions(&mut found);
    form::freshness(&mut found);
    polarity::negations(&mut found, &aligned);
    terms::opposites(&mut found, &aligned);
    terms::classes(&mut found, &aligned);
    order::directions(&mut found, &aligned);
    form::asks(&mut found, &aligned);
    form::tenses(&mut found, &aligned);
    form::modalities(&mut found, &aligned);
    form::quantifiers(&mut found, &aligned);
    form::pointers(&mut found, &aligned);
    terms::degrees(&mut found, &aligned);
    substitution::substitutions(&mut found, &aligned);
    found.reasons
}
