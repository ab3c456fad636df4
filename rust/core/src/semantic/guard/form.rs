//! Guards on the form: negation, kind of question, tense, modality, quantifiers, commands, pointers, language.

use super::align::Alignment;
use super::frame::{Ask, Tense};
use super::language;
use super::lexicon::hash;
use super::mark::Mark;
use super::question::{Question, Word};
use super::reason::{Found, Guard};
use super::split::CONTENT;
use super::terms::partners;

impl Question {
    pub(super) fn needs_strict_language(&self) -> bool {
        self.language != language::ENGLISH
    }
}

/// The rest of a long text that was not read must be the same.
pub(super) fn unread(found: &mut Found<'_>) {
    if found.left.rest != found.right.rest {
        let part = |question: &Question| if question.rest == 0 { "" } else { "the end was not read" }.to_owned();
        let (left, right) = (part(found.left), part(found.right));
        found.add(Guard::Unread, &left, &right);
    }
}

/// Asked in two languages.
pub(super) fn languages(found: &mut Found<'_>) {
    let (left, right) = (found.left.language(), found.right.language());
    if left != right {
        found.add(Guard::Language, left, right);
    }
}

/// A command is carried out each time: its answer is nobody else's.
pub(super) fn actions(found: &mut Found<'_>) {
    let (left, right) = (found.left, found.right);
    if left.frame.action || right.frame.action {
        let word = |question: &Question| {
            let at = question.frame.ask_word.map_or(0, usize::from);
            let name = question.words.get(at).map_or("", |word| question.of(word));
            if question.frame.action { name.to_owned() } else { question.frame.ask.name().to_owned() }
        };
        let (a, b) = (word(left), word(right));
        found.add(Guard::Action, &a, &b);
    }
}

/// Words that are bad news in themselves: `declined` may stand for `did not go through`.
const SETBACKS: &[&str] = &[
    "broken", "missing", "fail", "decline", "declined", "reject", "refuse", "lose", "lost", "stuck", "wrong", "invalid",
    "deny", "prevent", "avoid", "stop", "lack", "forget", "unrecognized", "unavailable", "error", "problem", "issue",
    "trouble", "crash", "delay", "late", "wait", "pending", "refusing", "disappear", "absent",
];

fn setback(question: &Question, only: &[u16]) -> bool {
    only.iter().any(|&at| {
        let word = &question.words[usize::from(at)];
        SETBACKS.iter().any(|one| hash(one) == word.raw || hash(one) == word.stem || hash(one.strip_suffix('e').unwrap_or(one)) == word.stem)
    })
}

/// An odd number of negations in one, an even one in the other; or a word against itself with a negative beginning.
pub(super) fn negations(found: &mut Found<'_>, aligned: &Alignment) {
    if !found.wants(Guard::Negation) {
        return;
    }
    let (left, right) = (found.left, found.right);
    let mut flips = 0;
    let mut shown: Option<(Word, Word)> = None;
    for &i in &aligned.only_left {
        for &j in &aligned.only_right {
            let (one, other) = (&left.words[usize::from(i)], &right.words[usize::from(j)]);
            if (one.base != 0 && (one.base == other.stem)) || (other.base != 0 && (other.base == one.stem)) {
                flips += 1;
                shown = Some((*one, *other));
            }
        }
    }
    let is = |word: &&Word| matches!(word.mark, Mark::Not | Mark::Without);
    let (a, b) = (left.words.iter().filter(is).count(), right.words.iter().filter(is).count());
    if (a + b + flips) % 2 == 0 {
        return;
    }
    if let Some((one, other)) = shown {
        return found.words(Guard::Negation, Some(&one), Some(&other));
    }
    // `cannot` against `unable`, `did not arrive` against `missing`: the other side has its own bad news.
    let fewer = if a < b { (left, &aligned.only_left) } else { (right, &aligned.only_right) };
    if setback(fewer.0, fewer.1) {
        return;
    }
    // `with` against `without` is told by the opposites.
    if found.has(Guard::Opposite) {
        return;
    }
    let one = left.words.iter().find(is).copied();
    let other = right.words.iter().find(is).copied();
    let (one, other) = if a > b { (one, None) } else { (None, other) };
    found.words(Guard::Negation, one.as_ref(), other.as_ref());
}

/// May both be answered alike, as far as their question words go?
fn agree(left: &Question, right: &Question, alike: bool) -> bool {
    let (a, b) = (&left.frame, &right.frame);
    if a.ask == b.ask {
        return true;
    }
    let pair = |x: Ask, y: Ask| (a.ask == x && b.ask == y) || (a.ask == y && b.ask == x);
    let either = |x: Ask| a.ask == x || b.ask == x;
    let noun = a.by_noun || b.by_noun;
    if either(Ask::Action) {
        return true;
    }
    if either(Ask::Consequence) {
        return !alike && either(Ask::YesNo);
    }
    if either(Ask::Open) || either(Ask::Tell) || either(Ask::Want) {
        return true;
    }
    // `when will it arrive` and `how long will it take`; `what is the price` and `how much is it`.
    if pair(Ask::HowLong, Ask::When) {
        return a.tense != Tense::Past && b.tense != Tense::Past;
    }
    if pair(Ask::HowMuch, Ask::HowMany) {
        return true;
    }
    if either(Ask::What) {
        return noun || !alike || !(either(Ask::Why) || either(Ask::Who) || either(Ask::When) || either(Ask::Where) || either(Ask::How) || either(Ask::YesNo));
    }
    if either(Ask::YesNo) {
        return !alike || noun && either(Ask::How);
    }
    false
}

/// Another kind of question; or two questions against one.
pub(super) fn asks(found: &mut Found<'_>, aligned: &Alignment) {
    let (left, right) = (found.left, found.right);
    let alike = aligned.only_left.is_empty() && aligned.only_right.is_empty();
    if !agree(left, right, alike) {
        let (a, b) = (left.frame.ask.name(), right.frame.ask.name());
        found.add(Guard::Question, a, b);
    } else if left.frame.asked != right.frame.asked && left.frame.asked.min(right.frame.asked) == 1
        && left.frame.asked.max(right.frame.asked) > 1
        && !alike
    {
        let name = |question: &Question| format!("{} question(s)", question.frame.asked);
        let (a, b) = (name(left), name(right));
        found.add(Guard::Question, &a, &b);
    }
}

/// Past against future; `who is` against `who was`.
pub(super) fn tenses(found: &mut Found<'_>, aligned: &Alignment) {
    let (left, right) = (found.left, found.right);
    let (a, b) = (left.frame.tense, right.frame.tense);
    let pair = |x: Tense, y: Tense| (a == x && b == y) || (a == y && b == x);
    let past = pair(Tense::Past, Tense::Future) || pair(Tense::PastPassive, Tense::Future);
    let alike = aligned.only_left.is_empty() && aligned.only_right.is_empty();
    let was = pair(Tense::Past, Tense::Present) && alike;
    if past || was {
        let word = |question: &Question| question.frame.tense_word.and_then(|at| question.words.get(usize::from(at))).copied();
        let (one, other) = (word(left), word(right));
        found.words(Guard::Tense, one.as_ref(), other.as_ref());
    }
}

/// Must against may against should, when nothing else differs.
pub(super) fn modalities(found: &mut Found<'_>, aligned: &Alignment) {
    let (left, right) = (found.left, found.right);
    let (a, b) = (left.frame.modal, right.frame.modal);
    let alike = aligned.only_left.len() + aligned.only_right.len() <= 1;
    if a != Mark::None && b != Mark::None && a != b && alike && !found.has(Guard::Question) {
        let word = |question: &Question| question.frame.modal_word.and_then(|at| question.words.get(usize::from(at))).copied();
        let (one, other) = (word(left), word(right));
        found.words(Guard::Modality, one.as_ref(), other.as_ref());
    }
}

/// All against some, at least against at most, `only` on one side.
pub(super) fn quantifiers(found: &mut Found<'_>, aligned: &Alignment) {
    if !found.wants(Guard::Quantifier) {
        return;
    }
    let (left, right) = (found.left, found.right);
    let first = |question: &Question, mark: Mark| question.words.iter().find(|word| word.mark == mark).copied();
    let clashes = [
        (Mark::All, Mark::Some),
        (Mark::All, Mark::Any),
        (Mark::AtLeast, Mark::AtMost),
        (Mark::MoreThan, Mark::LessThan),
        (Mark::AtLeast, Mark::LessThan),
        (Mark::AtMost, Mark::MoreThan),
        (Mark::Only, Mark::All),
    ];
    for (x, y) in clashes {
        for (x, y) in [(x, y), (y, x)] {
            if let (Some(one), Some(other)) = (first(left, x), first(right, y))
                && first(left, y).is_none()
                && first(right, x).is_none()
            {
                return found.words(Guard::Quantifier, Some(&one), Some(&other));
            }
        }
    }
    let alike = aligned.only_left.is_empty() && aligned.only_right.is_empty();
    for mark in [Mark::Only, Mark::AtLeast, Mark::AtMost, Mark::MoreThan, Mark::LessThan] {
        let (one, other) = (first(left, mark), first(right, mark));
        if one.is_some() != other.is_some() && (alike || mark != Mark::Only) {
            return found.words(Guard::Quantifier, one.as_ref(), other.as_ref());
        }
    }
}

/// `this error` points at what only its own conversation holds.
pub(super) fn pointers(found: &mut Found<'_>, aligned: &Alignment) {
    let points = |question: &Question| {
        question.words.windows(2).find(|pair| {
            pair[0].mark == Mark::Pointing && pair[0].raw != hash("that") && pair[1].flags & CONTENT != 0
                && !["year", "week", "month", "time", "way", "morning", "day"].iter().any(|one| hash(one) == pair[1].raw)
        }).map(|pair| pair[0])
    };
    let (one, other) = (points(found.left), points(found.right));
    if one.is_some() != other.is_some() && partners(aligned).next().is_some() {
        found.words(Guard::Reference, one.as_ref(), other.as_ref());
    }
}
