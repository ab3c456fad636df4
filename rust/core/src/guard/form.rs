//! Guards on the form: negation, kind of question, tense, modality, quantifiers, commands, pointers, language.

use super::align::Alignment;
use super::frame::{Ask, Tense};
use super::hash::{hash, hashes};
use super::language;
use super::mark::Mark;
use super::quantity::Kind;
use super::question::Question;
use super::reason::{Found, Guard};
use super::split::{CONTENT, NUMBER};
use super::terms::partners;
use super::word::Word;

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
            if question.frame.action {
                name.to_owned()
            } else {
                question.frame.ask.name().to_owned()
            }
        };
        let (a, b) = (word(left), word(right));
        found.add(Guard::Action, &a, &b);
    }
}

/// May both be answered alike, as far as their question words go?
fn agree(left: &Question, right: &Question, aligned: &Alignment) -> bool {
    let alike = aligned.only_left.is_empty() && aligned.only_right.is_empty();
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
        let duty = |mark| matches!(mark, Mark::Must | Mark::Should);
        return !duty(a.modal) && !duty(b.modal) && a.tense != Tense::Past && b.tense != Tense::Past;
    }
    if pair(Ask::HowMuch, Ask::HowMany) {
        return alike;
    }
    if either(Ask::What) {
        let other = [Ask::Why, Ask::Who, Ask::When, Ask::Where].into_iter().any(either);
        // What X is, against how to do something with X.
        let defined = (a.definition && aligned.only_left.is_empty()) || (b.definition && aligned.only_right.is_empty());
        return noun || !(alike && other || defined && either(Ask::How));
    }
    if either(Ask::YesNo) {
        // `is there a deadline` and `what is the deadline`.
        return !alike
            || either(Ask::HowOther)
            || a.by_noun && b.by_noun
            || noun && (either(Ask::How) || either(Ask::HowMuch));
    }
    false
}

/// Another kind of question; or two questions against one.
pub(super) fn asks(found: &mut Found<'_>, aligned: &Alignment) {
    let (left, right) = (found.left, found.right);
    if !agree(left, right, aligned) {
        let (a, b) = (left.frame.ask.name(), right.frame.ask.name());
        found.add(Guard::Question, a, b);
        return;
    }
    // The longer of the two asks for something more, in words of its own.
    let (more, fewer, only) = if left.frame.asked > right.frame.asked {
        (left.frame.asked, right.frame.asked, &aligned.only_left)
    } else {
        (right.frame.asked, left.frame.asked, &aligned.only_right)
    };
    if fewer == 1 && more > 1 && only.len() > 1 {
        let name = |question: &Question| format!("{} question(s)", question.frame.asked);
        let (a, b) = (name(left), name(right));
        found.add(Guard::Question, &a, &b);
    }
}

const LIVE: [u64; 6] = hashes(["rate", "price", "score", "status", "dollar", "exchange"]);

/// One of them asks for what holds now: the next answer may differ.
pub(super) fn freshness(found: &mut Found<'_>) {
    let now = |question: &Question| -> Option<Word> {
        let words = &question.words;
        (0..words.len())
            .find(|&at| {
                let next = words.get(at + 1);
                let is = |word: &Word, names: &[u64]| names.contains(&word.raw);
                let account = next.is_some_and(|next| is(next, &const { hashes(["account", "accounts"]) }));
                // `now` alone is mostly a filler; at the end of a question about the present it is not.
                let ends = at + 1 == words.len()
                    && question.frame.tense == Tense::Present
                    && is(&words[at], &const { hashes(["now"]) });
                words[at].mark == Mark::Now && !account
                    || ends && !matches!(question.frame.ask, Ask::Open | Ask::How | Ask::Why)
                    || is(&words[at], &const { hashes(["live"]) }) && next.is_some_and(|next| is(next, &LIVE))
            })
            .map(|at| words[at])
    };
    let today = |question: &Question| {
        question
            .quantities
            .iter()
            .any(|one| one.kind == Kind::Relative && one.value == 0.0)
    };
    let (left, right) = (found.left, found.right);
    let (one, other) = (now(left), now(right));
    if one.is_some() || other.is_some() {
        found.words(Guard::Freshness, one.as_ref(), other.as_ref());
    } else if today(left) || today(right) {
        found.add(
            Guard::Freshness,
            if today(left) { "today" } else { "" },
            if today(right) { "today" } else { "" },
        );
    }
}

/// Past against future; `who is` against `who was`.
pub(super) fn tenses(found: &mut Found<'_>, aligned: &Alignment) {
    let (left, right) = (found.left, found.right);
    let (a, b) = (left.frame.tense, right.frame.tense);
    let pair = |x: Tense, y: Tense| (a == x && b == y) || (a == y && b == x);
    let past = pair(Tense::Past, Tense::Future) || pair(Tense::PastPassive, Tense::Future);
    let alike = aligned.only_left.is_empty() && aligned.only_right.is_empty();
    let open = matches!(left.frame.ask, Ask::Why | Ask::How | Ask::Open) || left.frame.ask != right.frame.ask;
    let was = pair(Tense::Past, Tense::Present) && alike && !open;
    if past || was {
        let word = |question: &Question| {
            question
                .frame
                .tense_word
                .and_then(|at| question.words.get(usize::from(at)))
                .copied()
        };
        let (one, other) = (word(left), word(right));
        found.words(Guard::Tense, one.as_ref(), other.as_ref());
    }
}

/// Must against may against should, when nothing else differs.
pub(super) fn modalities(found: &mut Found<'_>, aligned: &Alignment) {
    let (left, right) = (found.left, found.right);
    let (a, b) = (left.frame.modal, right.frame.modal);
    let alike = aligned.only_left.len() + aligned.only_right.len() <= 1;
    // `what can I do` and `what should I do` are one question; `can I` and `should I` are two.
    let told = |ask| matches!(ask, Ask::YesNo | Ask::When);
    let asked = told(left.frame.ask) && left.frame.ask == right.frame.ask;
    let wait = left.frame.ask == Ask::When && (a != Mark::Must && b != Mark::Must);
    if a != Mark::None && b != Mark::None && a != b && alike && asked && !wait && !found.has(Guard::Question) {
        let word = |question: &Question| {
            question
                .frame
                .modal_word
                .and_then(|at| question.words.get(usize::from(at)))
                .copied()
        };
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
    let counts = |question: &Question, mark: Mark| {
        question
            .words
            .windows(2)
            .any(|pair| pair[0].mark == mark && pair[1].is(NUMBER))
    };
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
        let bound = counts(left, mark) || counts(right, mark);
        if one.is_some() != other.is_some() && if mark == Mark::Only { alike } else { bound } {
            return found.words(Guard::Quantifier, one.as_ref(), other.as_ref());
        }
    }
}

/// `this error` points at what only its own conversation holds.
pub(super) fn pointers(found: &mut Found<'_>, aligned: &Alignment) {
    let points = |question: &Question| {
        question
            .words
            .windows(2)
            .find(|pair| {
                pair[0].mark == Mark::Pointing
                    && pair[0].raw != const { hash("that") }
                    && pair[1].flags & CONTENT != 0
                    && !const { hashes(["year", "week", "month", "time", "way", "morning", "day"]) }
                        .contains(&pair[1].raw)
            })
            .map(|pair| pair[0])
    };
    let (one, other) = (points(found.left), points(found.right));
    let alike = aligned.only_left.is_empty() && aligned.only_right.is_empty();
    // Against `the error` or `my error` it points at the same; against errors in general it does not.
    let general = |question: &Question| {
        !question.words.windows(2).any(|pair| {
            (pair[0].mark == Mark::Possessive || pair[0].raw == const { hash("the") }) && pair[1].flags & CONTENT != 0
        })
    };
    let other_general = if one.is_some() {
        general(found.right)
    } else {
        general(found.left)
    };
    if one.is_some() != other.is_some() && alike && other_general && partners(aligned).next().is_some() {
        found.words(Guard::Reference, one.as_ref(), other.as_ref());
    }
}
