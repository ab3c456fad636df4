//! Where the steps of procedures stand in a prompt: what is to be done again must be said again.

use std::ops::Range;

use super::light::Sentence;
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
