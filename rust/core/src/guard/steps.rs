//! The words of an instruction as steps: frames and fillers gone, one spelling for what says the same.

use super::hash::{hash, hashes};
use super::instruction::{ANSWER, Determiner, Duty, NOT, Step, carries};
use super::mark::Mark;
use super::split::{CLAUSE, SENTENCE};
use super::word::Word;
use super::wording::{ANNOUNCE, BE, GIVE, POINTERS, STATES, STRESS, SURE, USE, WEIGHTY, group};

/// Reads the words of one sentence.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a sentence")]
pub(super) struct Reader<'a> {
    words: &'a [Word],
    pub(super) steps: Vec<Step>,
    pub(super) duty: Duty,
    /// Said for every case: `always`, `never`.
    pub(super) whole: bool,
    /// `be polite`, `you must be polite`
    pub(super) tells_how_to_be: bool,
    /// Begins with `make sure that` or the like: what follows tells how things are to be.
    framed: bool,
    /// A duty was named.
    bound: bool,
    forbids: bool,
    /// Begins with `avoid` or `refrain from`: the gerund behind it is what is not to be done.
    avoids: bool,
    determiner: Determiner,
}

impl<'a> Reader<'a> {
    pub(super) fn new(words: &'a [Word]) -> Self {
        Self {
            words,
            steps: Vec::with_capacity(words.len()),
            duty: Duty::Order,
            whole: false,
            tells_how_to_be: false,
            framed: false,
            bound: false,
            forbids: false,
            avoids: false,
            determiner: Determiner::None,
        }
    }

    fn raw(&self, at: usize) -> u64 {
        self.words.get(at).map_or(0, |word| word.raw)
    }

    fn follows(&self, at: usize, words: &[u64]) -> bool {
        words.iter().enumerate().all(|(nth, word)| self.raw(at + nth) == *word)
    }

    /// Read all words; false when they point elsewhere or cannot be told.
    pub(super) fn read(&mut self) -> bool {
        self.forbids = self.words.iter().any(|word| word.mark == Mark::Not);
        let mut at = self.frame();
        while at < self.words.len() {
            let Some(used) = self.word(at) else { return false };
            at += used;
        }
        // `The museum opens at noon` tells, `The date must be given` orders.
        let begins = self
            .steps
            .first()
            .is_none_or(|step| step.determiner == Determiner::None);
        begins || self.bound || self.framed
    }

    /// Skip what stands in front of the instruction itself; where it begins.
    pub(super) fn frame(&mut self) -> usize {
        let mut at = 0;
        loop {
            let stressed = |from: usize| {
                from + self
                    .words
                    .iter()
                    .skip(from)
                    .take_while(|word| STRESS.contains(&word.raw))
                    .count()
            };
            let word = self.raw(at);
            let weight = stressed(at + 2);
            if word == const { hash("ensure") } {
                (self.framed, at) = (true, at + 1);
            } else if [const { hash("make") }, const { hash("be") }].contains(&word) && SURE.contains(&self.raw(at + 1))
            {
                // `be sure to`, `make absolutely sure that`
                (self.framed, at) = (true, at + 2);
            } else if self.follows(at, &const { hashes(["it", "is"]) }) && WEIGHTY.contains(&self.raw(weight)) {
                (self.framed, at) = (true, weight + 1);
            } else if const { hashes(["please", "kindly", "you"]) }.contains(&word)
                || at > 0 && const { hashes(["that", "to"]) }.contains(&word)
                || ANNOUNCE.contains(&word) && self.announces(at + 1)
            {
                at += 1;
            } else {
                return at;
            }
        }
    }

    /// Is the word before only an announcement: `Note that`, `Remember to`, `Important:`?
    fn announces(&self, at: usize) -> bool {
        self.words.get(at).is_some_and(|word| word.is(CLAUSE))
            || const { hashes(["that", "to"]) }.contains(&self.raw(at))
    }

    /// Read the word at a place; how many were used, or None when nothing can be said of the sentence.
    fn word(&mut self, at: usize) -> Option<usize> {
        let word = self.words[at];
        let determiner = std::mem::take(&mut self.determiner);
        // A second sentence inside (`A. The first option`), or a statement: no order.
        let stated = self.main() && !self.framed && STATES.contains(&word.raw);
        let inner = at > 0 && word.is(SENTENCE);
        if POINTERS.contains(&word.raw) || stated || inner {
            return None;
        }
        if let Some(used) = self.prohibition(at).or_else(|| self.always(at)) {
            return Some(used);
        }
        if self.main() && Self::obliges(&word) {
            // `you do not have to` forbids nothing.
            if self.bound || self.steps.iter().any(|step| step.word == NOT) {
                return None;
            }
            self.bound = true;
            if word.mark == Mark::Should {
                self.duty = Duty::Advice;
            }
            return Some(1);
        }
        if self.main() && BE.contains(&word.raw) && self.is_bare(at) {
            self.tells_how_to_be |= !self.steps.iter().any(|step| step.content);
            return Some(1);
        }
        match word.raw {
            raw if raw == const { hash("the") } || raw == const { hash("your") } => {
                self.determiner = Determiner::The;
                return Some(1);
            }
            raw if raw == const { hash("a") } || raw == const { hash("an") } => {
                self.determiner = Determiner::A;
                return Some(1);
            }
            raw if STRESS.contains(&raw) || word.mark == Mark::Please && raw != const { hash("just") } => {
                return Some(1);
            }
            raw if raw == const { hash("any") } && self.forbids => return Some(1),
            raw if raw == const { hash("also") } => return Some(1),
            _ => {}
        }
        if !self.forbids && self.gives(at) {
            return Some(1);
        }
        if carries(&word) || group(word.raw).is_some() {
            let all = at > 0 && self.words[at - 1].mark == Mark::All;
            let any = all || self.forbids && determiner != Determiner::The;
            let step = Step::content(&word, determiner, any);
            if self.is_passive(at) {
                let prohibited = self.steps.iter().position(|step| step.word == NOT);
                self.lead(0, step.plain());
                if let Some(not) = prohibited {
                    self.steps.remove(not + 1);
                    self.lead(0, Step::small(NOT, false));
                }
            } else {
                let gerund = self.avoids && self.steps.len() == 1;
                self.steps.push(if gerund { step.plain() } else { step });
            }
        } else {
            self.steps.push(Step::small(spelled(&word), word.is(CLAUSE)));
        }
        Some(1)
    }

    /// Put a step in front of others: what began the sentence does so no more.
    fn lead(&mut self, place: usize, step: Step) {
        if let Some(next) = self.steps.get_mut(place) {
            next.clause = false;
        }
        self.steps.insert(place, step);
    }

    /// `the summary must be written`: what is to be done to the nouns before it, as in `write the summary`.
    fn is_passive(&self, at: usize) -> bool {
        if at == 0 {
            return false;
        }
        let nouns = self.steps.iter().filter(|step| step.content).count();
        let participle = !self.words[at].stem_is_raw() && !self.words[at].plural;
        let be =
            self.bound && self.raw(at - 1) == const { hash("be") } || self.framed && BE.contains(&self.raw(at - 1));
        be && nouns > 0 && self.main() && participle
    }

    /// Are we still in the main clause: nothing but content and a prohibition so far?
    fn main(&self) -> bool {
        self.steps.iter().all(|step| step.content || step.word == NOT)
    }

    fn obliges(word: &Word) -> bool {
        matches!(word.mark, Mark::Must | Mark::Should)
            || word.raw == const { hash("shall") }
            || word.raw == const { hash("mustneed") }
    }

    /// `be` behind a duty or at the start, `is` in `make sure that the answer is`: no words of their own.
    fn is_bare(&self, at: usize) -> bool {
        if self.words[at].raw == const { hash("be") } {
            return self.bound || self.framed || self.steps.iter().all(|step| step.word == NOT);
        }
        self.framed && self.steps.iter().any(|step| step.content)
    }

    /// `never`, `do not`, `use no`, `avoid using`, `under no circumstances`: one step in front of what is forbidden.
    fn prohibition(&mut self, at: usize) -> Option<usize> {
        let word = self.words[at];
        let not = Step::small(NOT, word.is(CLAUSE));
        let forbid = |reader: &mut Self, step: Step| {
            reader.forbids = true;
            reader.steps.push(step);
        };
        if self.follows(at, &const { hashes(["under", "no", "circumstances"]) }) {
            self.whole = true;
            forbid(self, not);
            return Some(3);
        }
        if word.raw == const { hash("do") } && self.raw(at + 1) == NOT {
            return Some(1);
        }
        if word.raw == NOT || word.raw == const { hash("never") } {
            // `never ever`
            self.whole |= word.raw != NOT;
            forbid(self, not);
            return Some(1 + usize::from(self.raw(at + 1) == const { hash("ever") }));
        }
        if word.raw == const { hash("no") } {
            let verb = self.steps.len() == 1 && self.steps[0].content;
            let place = if verb { 0 } else { self.steps.len() };
            self.lead(place, Step::small(NOT, false));
            return Some(1);
        }
        let begins = self.steps.is_empty();
        if begins && word.raw == const { hash("avoid") } {
            forbid(self, not);
            self.avoids = true;
            let doing = self.words.get(at + 1).is_some_and(|next| {
                group(next.raw) == Some(USE) || carries(next) && !next.stem_is_raw() && !next.plural
            });
            if !doing {
                self.steps.push(Step::content(
                    &Word {
                        raw: USE,
                        flags: 0,
                        ..word
                    },
                    Determiner::None,
                    true,
                ));
            }
            return Some(1);
        }
        if begins && self.follows(at, &const { hashes(["refrain", "from"]) }) {
            forbid(self, not);
            self.avoids = true;
            return Some(2);
        }
        None
    }

    /// `always`, `at all times`, `under any circumstances`: how orders are meant anyway.
    fn always(&mut self, at: usize) -> Option<usize> {
        let used = if self.follows(at, &const { hashes(["at", "all", "times"]) })
            || self.forbids && self.follows(at, &const { hashes(["under", "any", "circumstances"]) })
        {
            3
        } else {
            usize::from(!self.forbids && self.raw(at) == const { hash("always") })
        };
        self.whole |= used > 0;
        (used > 0).then_some(used)
    }

    /// `give your answer`, `answers must be given`, `keep your answer`: the answer says it all.
    fn gives(&self, at: usize) -> bool {
        let of_answer = (at + 1..self.words.len())
            .find(|&next| !const { hashes(["the", "your", "a", "an", "all"]) }.contains(&self.raw(next)))
            .is_some_and(|next| group(self.raw(next)) == Some(ANSWER));
        let gives = GIVE.contains(&self.raw(at));
        let keeps = self.steps.is_empty() && self.raw(at) == const { hash("keep") };
        let answered = matches!(self.steps.as_slice(), [only] if only.word == ANSWER) && !self.words[at].stem_is_raw();
        (gives || keeps) && of_answer || gives && answered
    }
}

/// A small word by what it does, where several do the same.
fn spelled(word: &Word) -> u64 {
    match word.mark {
        Mark::All => const { hash("all") },
        _ => word.raw,
    }
}
