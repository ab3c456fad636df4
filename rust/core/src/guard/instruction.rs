//! Does one instruction ask for what another asks for? Where the guards only refuse, this must be sure.
//!
//! An instruction is read into *steps*: its words of content and the small ones that steer them, in their order and in
//! one spelling for what says the same (`never`, `do not`; `answer`, `your response`). Two instructions are the same
//! when their steps are and no guard tells them apart. A word more, a condition, number, name or modal makes another
//! step, so in doubt two instructions are two.

use super::hash::{hash, hashes};
use super::procedure::acts;
use super::question::Question;
use super::reason::{Guard, Guards};
use super::split::{CAPITAL, CLAUSE, CODE, CONTENT, NUMBER, SENTENCE, SHOUT};
use super::steps::Reader;
use super::word::Word;
use super::wording::group;
use super::{compare, language};

/// Which of several things a noun means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Determiner {
    #[default]
    None,
    A,
    The,
}

/// A word that an instruction turns on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The stem of a word of content or the word it is read as; a small word as it is written.
    pub(super) word: u64,
    pub(super) content: bool,
    /// Begins a clause: a comma or so stands before it.
    pub(super) clause: bool,
    pub(super) determiner: Determiner,
    plural: bool,
    /// Written large; None where a sentence begins, which says nothing.
    capital: Option<bool>,
    degree: u8,
    /// The word as written where it is inflected (`used`, `using`, `ran`); 0 where that says nothing.
    form: u64,
}

impl Step {
    /// A small word that steers what follows it.
    pub(super) fn small(word: u64, clause: bool) -> Self {
        Self {
            word,
            content: false,
            clause,
            determiner: Determiner::None,
            plural: false,
            capital: None,
            degree: 0,
            form: 0,
        }
    }

    /// A word of content. Where none is meant (`no emojis`, `not a single emoji`) or all are, one is as good as many.
    pub(super) fn content(word: &Word, determiner: Determiner, any: bool) -> Self {
        let known = group(word.raw);
        let counted = !any && known != Some(ANSWER);
        Self {
            word: known.unwrap_or(word.stem),
            content: true,
            clause: word.is(CLAUSE),
            determiner: if counted || determiner == Determiner::The && known.is_none() {
                determiner
            } else {
                Determiner::None
            },
            plural: counted && word.plural,
            capital: (!word.is(SENTENCE) || word.is(SHOUT)).then(|| word.is(CAPITAL)),
            degree: word.degree,
            form: if word.stem_is_raw() || word.plural || known == Some(ANSWER) {
                0
            } else {
                word.raw
            },
        }
    }

    /// What is to be done, in whatever form: `avoid using`, `must be used`.
    pub(super) fn plain(self) -> Self {
        Self { form: 0, ..self }
    }

    fn same(&self, other: &Self) -> bool {
        self.word == other.word
            && self.content == other.content
            && self.clause == other.clause
            && self.determiner == other.determiner
            && self.plural == other.plural
            && self.degree == other.degree
            && self.form == other.form
            && self.capital.zip(other.capital).is_none_or(|(one, two)| one == two)
    }
}

/// How binding an instruction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Duty {
    /// `should`, `ought to`
    Advice,
    /// An order; `must`, `have to`
    #[default]
    Order,
}

/// The steps that stand for an answer, and that forbid.
pub(super) const ANSWER: u64 = hash("answer");
pub(super) const NOT: u64 = hash("not");

/// One instruction, read.
#[derive(Clone, Debug)]
pub struct Instruction {
    question: Question,
    steps: Vec<Step>,
    duty: Duty,
    whole: bool,
    step: bool,
}

impl Instruction {
    /// Read a sentence; None when it is no English instruction, points at what other sentences say (`it`, `this`), or
    /// is too short or too odd to be sure about.
    #[must_use]
    pub fn read(sentence: &str) -> Option<Self> {
        let plain = |c: char| c.is_alphanumeric() || c.is_whitespace() || ".,;:!'’\"“”()-–—*_/".contains(c);
        if !sentence.chars().all(plain) {
            return None; // `✅` or `$` may be all that differs
        }
        let question = Question::read(sentence);
        if question.language != language::ENGLISH || question.rest != 0 {
            return None;
        }
        let mut reader = Reader::new(&question.words);
        if !reader.read() {
            return None;
        }
        let (mut steps, duty, whole) = (reader.steps, reader.duty, reader.whole);
        front_last(&mut steps);
        let content = steps.iter().filter(|step| step.content).count();
        let enough = content > 1 || content == 1 && steps.iter().any(|step| step.word == NOT);
        let ordered = steps.first().is_some_and(|step| !FRONTED.contains(&step.word));
        let forbids = steps
            .iter()
            .find(|step| !step.content)
            .is_some_and(|step| step.word == NOT);
        (enough && ordered).then_some(Self {
            step: !whole && !reader.tells_how_to_be && !forbids && acts(&steps),
            question,
            steps,
            duty,
            whole,
        })
    }

    /// Does it bind always (`never`, `always`), whatever the sentence before it says?
    #[must_use]
    pub fn is_general(&self) -> bool {
        self.whole
    }

    /// May it be a step of a procedure, which is to be done as often as it is given?
    #[must_use]
    pub fn may_be_step(&self) -> bool {
        self.step
    }

    /// Does it ask for nothing that `earlier` does not ask for, so that it may be left out behind it?
    #[must_use]
    pub fn restates(&self, earlier: &Self) -> bool {
        self.duty <= earlier.duty
            && self.steps.len() == earlier.steps.len()
            && self
                .steps
                .iter()
                .zip(&earlier.steps)
                .all(|(one, other)| one.same(other))
            && compare(&earlier.question, &self.question, GUARDS).is_empty()
    }
}

/// All guards but the one against orders, which all of these are, and those against exchanged words and negations: the
/// steps tell both, and know more ways to forbid.
const GUARDS: Guards = Guards::ALL
    .without(Guard::Action)
    .without(Guard::Substitution)
    .without(Guard::Negation);

pub(super) const FRONTED: [u64; 14] = hashes([
    "in", "for", "on", "with", "without", "before", "after", "at", "if", "when", "whenever", "unless", "while",
    "during",
]);

/// `For every claim, cite a source` in the order of `Cite a source for every claim`.
fn front_last(steps: &mut [Step]) {
    let mut clauses = (1..steps.len()).filter(|&at| steps[at].clause);
    let (only, more) = (clauses.next(), clauses.next());
    if let (Some(at), None, true) = (only, more, FRONTED.contains(&steps.first().map_or(0, |step| step.word))) {
        steps[at].clause = false;
        steps.rotate_left(at);
        // What begins the sentence now did not before.
        let joint = steps.len() - at;
        steps[joint].clause = false;
    }
    if let Some(first) = steps.first_mut() {
        first.clause = false;
    }
}

/// Does a word say something of its own, by its letters or as a value?
pub(super) fn carries(word: &Word) -> bool {
    word.is(CONTENT | NUMBER | CODE)
}
