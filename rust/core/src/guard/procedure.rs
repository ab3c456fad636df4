//! May a sentence be a step of a procedure: an order to do something at its place, and not a rule on how to answer?
//!
//! `Validate the data` may have to be done twice, `Answer in French` holds from where it stands. In doubt a sentence may
//! be a step: whoever asks wants to keep those.

use std::sync::LazyLock;

use super::hash::{hash, hashes};
use super::instruction::{Determiner, FRONTED, Instruction, Step, carries};
use super::mark::Mark;
use super::question::Question;
use super::split::{CLAUSE, CODE};
use super::steps::Reader;
use super::word::Word;
use super::wording::{STATES, group};

/// May this sentence be a step, as far as that can be told from it alone?
///
/// Statements, prohibitions, standing orders (`Always …`) and rules on how to answer are none.
#[must_use]
pub fn may_be_step(sentence: &str) -> bool {
    if let Some(instruction) = Instruction::read(sentence) {
        return instruction.may_be_step();
    }
    // It points elsewhere (`Run it.`), holds a case (`If it fails, run it.`), or is no order at all.
    let question = Question::read(sentence);
    let words = &question.words;
    let mut at = Reader::new(words).frame();
    if words.get(at).is_some_and(|word| FRONTED.contains(&word.raw)) {
        match (at + 1..words.len()).find(|&next| words[next].is(CLAUSE)) {
            Some(clause) => at = clause,
            // `If it fails fix the code.`: where the order begins cannot be told.
            None => return !words.iter().any(|word| WORDS.names(named(word))),
        }
    }
    while words.get(at).is_some_and(|word| LINKS.contains(&word.raw)) {
        at += 1;
    }
    begins_order(&words[at..])
}

/// Do the words begin with a verb that acts on something?
fn begins_order(words: &[Word]) -> bool {
    let Some((verb, rest)) = words.split_first() else {
        return false;
    };
    let forbids = rest.first().is_some_and(|word| word.mark == Mark::Not);
    let does = verb.raw == const { hash("do") } && !forbids;
    let ordinary = verb.stem_is_raw() && (carries(verb) || matches!(verb.mark, Mark::None | Mark::Tell | Mark::Need));
    let told = rest.first().is_some_and(|word| STATES.contains(&word.raw));
    if !(does || ordinary) || told || GENERAL.contains(&verb.raw) {
        return false;
    }
    let definite = rest
        .first()
        .is_some_and(|word| word.is(CODE) || DEFINITE.contains(&word.raw));
    WORDS.acts(named(verb), definite, rest.iter().map(named))
}

/// Do the steps of a positive order act on something, rather than tell how to answer?
pub(super) fn acts(steps: &[Step]) -> bool {
    let links = steps.iter().take_while(|step| LINKS.contains(&step.word)).count();
    let Some((verb, rest)) = steps[links..].split_first() else {
        return false;
    };
    // `reply to the customer`, `write down the reading`
    let object = rest.iter().find(|step| !PARTICLES.contains(&step.word));
    let definite = object.is_some_and(|step| step.determiner == Determiner::The);
    WORDS.acts(verb.word, definite, rest.iter().map(|step| step.word))
}

/// A word as the steps name it.
fn named(word: &Word) -> u64 {
    group(word.raw).unwrap_or(word.stem)
}

/// Words that rules on how to answer are made of, as the steps name them.
struct Words {
    manners: Vec<u64>,
    tools: Vec<u64>,
    wording: Vec<u64>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let read = |list: &str| Question::read(list).words.iter().map(named).collect();
    Words {
        manners: read(MANNERS),
        tools: read(TOOLS),
        wording: read(WORDING),
    }
});

impl Words {
    fn names(&self, word: u64) -> bool {
        self.manners.contains(&word) || self.wording.contains(&word)
    }

    /// Does an order that begins with `verb` act on something? `definite`: on that thing and no other.
    fn acts(&self, verb: u64, definite: bool, mut rest: impl Iterator<Item = u64>) -> bool {
        let mut words_it = || rest.by_ref().any(|word| self.wording.contains(&word));
        if self.manners.contains(&verb) {
            definite && !words_it()
        } else if self.tools.contains(&verb) {
            !words_it()
        } else {
            !self.wording.contains(&verb)
        }
    }
}

/// Verbs that tell how to answer, unless they have one certain thing for an object: `reply to the customer`.
const MANNERS: &str = "answer, cite, stay, remain, speak, talk, sound, behave, maintain, adopt, obey, respect, prefer, \
                       limit, focus, think, consider, assume, mention, follow, phrase, format";

/// Verbs that tell how to answer where what the answer is made of is among their words: `use short sentences`.
const TOOLS: &str = "use, keep, write, include, return, output, structure, highlight, emphasize";

/// What answers are made of and written in.
const WORDING: &str = "answer, output, tone, voice, style, language, wording, word, phrase, sentence, paragraph, bullet, \
                       heading, headline, title, table, markdown, json, yaml, xml, html, csv, grammar, spelling, jargon, emoji, \
                       term, terminology, unit, summary, explanation, text, source, citation, guideline, rule, \
                       instruction, policy, length, tense, person, pronoun, abbreviation, acronym, synonym, english, french, \
                       german, spanish, italian, dutch, portuguese, polish, russian, chinese, japanese, korean, arabic, \
                       hindi, turkish";

/// What joins a step to the one before it, or tells for how much it holds.
const LINKS: [u64; 20] = hashes([
    "then",
    "next",
    "now",
    "first",
    "second",
    "third",
    "finally",
    "lastly",
    "again",
    "also",
    "and",
    "or",
    "only",
    "just",
    "please",
    "afterwards",
    "all",
    "every",
    "some",
    "most",
]);

/// What begins an order that holds always, or forbids, or tells how to be.
const GENERAL: [u64; 6] = hashes(["always", "never", "not", "avoid", "refrain", "be"]);

const DEFINITE: [u64; 6] = hashes(["the", "your", "this", "that", "these", "those"]);

const PARTICLES: [u64; 7] = hashes(["to", "up", "down", "out", "off", "on", "back"]);
