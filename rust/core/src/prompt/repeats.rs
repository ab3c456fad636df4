//! Which repeats are meant: steps of procedures that are to be done again, and what holds in another case.

use std::cell::LazyCell;
use std::ops::Range;

use super::light::{Sentence, spoken};
use super::protect::Ranges;
use super::zones::{is_heading_or_label, opens_case};
use crate::guard::instruction::Instruction;
use crate::guard::procedure::may_be_step;

/// The places of all sentences that may be steps, in their order.
pub(super) struct Steps(Vec<Range<usize>>);

impl Steps {
    pub(super) fn of(text: &str, spoken: &[Sentence<'_>]) -> Self {
        let ranges = spoken.iter().map(|sentence| sentence.range.clone());
        Self(ranges.filter(|range| may_be_step(&text[range.clone()])).collect())
    }

    /// May what is said at `earlier` and at `later` be done twice: is it a step, and does another one stand between?
    pub(super) fn repeat(&self, earlier: &Range<usize>, later: &Range<usize>) -> bool {
        self.within(later) && self.within(&(earlier.end..later.start))
    }

    fn within(&self, place: &Range<usize>) -> bool {
        let first = self.0.partition_point(|step| step.start < place.start);
        self.0.get(first).is_some_and(|step| step.end <= place.end)
    }
}

/// Where a sentence holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope {
    /// The part of the prompt, as its stretch has it.
    pub(super) section: usize,
    /// The sentence before it in its paragraph, or before its list, that names a case: `If the order is late, …`.
    pub(super) case: Option<usize>,
}

impl Scope {
    /// Does what is said here hold there too?
    pub(super) fn covers(self, later: Self) -> bool {
        (self.section == 0 || self.section == later.section) && (self.case.is_none() || self.case == later.case)
    }
}

/// Where each sentence holds.
pub(super) fn scopes(text: &str, spoken: &[Sentence<'_>]) -> Vec<Scope> {
    let mut case = None;
    let mut before = 0..0;
    let scope = |(nth, sentence): (usize, &Sentence<'_>)| {
        let stretch = &sentence.stretch;
        if stretch.range != before {
            // A case holds to the end of its paragraph and for the list below it.
            let between = text.get(before.end..stretch.lines.start).unwrap_or_default();
            let apart = between.lines().nth(1).is_some(); // a blank line, a heading or material
            case = case.filter(|_| stretch.item || !apart);
            before = stretch.range.clone();
        }
        let scope = Scope {
            section: stretch.section,
            case,
        };
        if opens_case(&text[sentence.range.clone()]) {
            case = Some(nth);
        }
        scope
    };
    spoken.iter().enumerate().map(scope).collect()
}

/// What a text says to the model, read at the first repeat.
pub(super) struct Repeats<'a> {
    text: &'a str,
    read: LazyCell<Read<'a>, Box<dyn FnOnce() -> Read<'a> + 'a>>,
}

struct Read<'a> {
    spoken: Vec<Sentence<'a>>,
    scopes: Vec<Scope>,
    steps: Steps,
}

impl<'a> Repeats<'a> {
    pub(super) fn of(text: &'a str, protected: &'a Ranges) -> Self {
        let read = move || {
            let spoken = spoken(text, protected);
            Read {
                scopes: scopes(text, &spoken),
                steps: Steps::of(text, &spoken),
                spoken,
            }
        };
        Self {
            text,
            read: LazyCell::new(Box::new(read)),
        }
    }

    /// May what stands at `earlier` be meant where it stands again, at `later`?
    ///
    /// So it may where it is no instruction, where a heading or label would be left with nothing below it, in another case, and as a step.
    pub(super) fn are_meant(&self, earlier: &Range<usize>, later: &Range<usize>) -> bool {
        let above = self.text[..later.start].trim_end().lines().next_back();
        above.is_some_and(is_heading_or_label)
            || !self.asks(later)
            || self.read.steps.repeat(earlier, later)
            || self
                .scope(earlier)
                .zip(self.scope(later))
                .is_some_and(|(one, other)| !one.covers(other))
    }

    /// Is a place made of nothing but sentences that ask the model for something?
    fn asks(&self, place: &Range<usize>) -> bool {
        let spoken = &self.read.spoken;
        let first = spoken.partition_point(|sentence| sentence.range.start < place.start);
        let signs = |range: &Range<usize>| self.text[range.clone()].chars().filter(|c| c.is_alphanumeric()).count();
        let mut left = signs(place);
        for sentence in spoken[first..]
            .iter()
            .take_while(|sentence| sentence.range.end <= place.end)
        {
            let words = &self.text[sentence.range.clone()];
            if Instruction::read(words).is_none() && !may_be_step(words) {
                return false;
            }
            left = left.saturating_sub(signs(&sentence.range));
        }
        left == 0
    }

    /// Where the first sentence of a place holds; None where nothing speaks to the model.
    fn scope(&self, place: &Range<usize>) -> Option<Scope> {
        let Read { spoken, scopes, .. } = &*self.read;
        let first = spoken.partition_point(|sentence| sentence.range.start < place.start);
        (spoken.get(first)?.range.start < place.end).then(|| scopes[first])
    }
}
