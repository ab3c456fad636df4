//! The form of a question: what it asks for, when, under which modality, and whether it is a command.

use super::ask::{command, what, yes_no};
use super::hash::hash;
use super::mark::Mark;
use super::split::{CLAUSE, CONTENT, NUMBER, SENTENCE};
use super::word::Word;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ask {
    /// A statement, or a few key words.
    #[default]
    Open,
    /// `explain X`, `tell me about X`.
    Tell,
    /// `I want to X`, `I need X`.
    Want,
    YesNo,
    Who,
    When,
    Where,
    Why,
    How,
    What,
    HowLong,
    HowMuch,
    HowMany,
    HowOften,
    HowOther,
    Consequence,
    Action,
}

impl Ask {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "a statement",
            Self::Tell => "tell me about",
            Self::Want => "I want to",
            Self::YesNo => "yes or no",
            Self::Who => "who",
            Self::When => "when",
            Self::Where => "where",
            Self::Why => "why",
            Self::How => "how",
            Self::What => "what",
            Self::HowLong => "how long",
            Self::HowMuch => "how much",
            Self::HowMany => "how many",
            Self::HowOften => "how often",
            Self::HowOther => "how + adjective",
            Self::Consequence => "what happens if",
            Self::Action => "do it",
        }
    }
}

/// When it is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tense {
    #[default]
    None,
    Past,
    /// `was declined`: of a state that may last.
    PastPassive,
    Present,
    Future,
}

/// The form of a question.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    pub(super) ask: Ask,
    /// The word that says so.
    pub(super) ask_word: Option<u16>,
    /// Told by a noun (`what is the price`), not by a question word.
    pub(super) by_noun: bool,
    /// `what is X`: asks for no more than what it is.
    pub(super) definition: bool,
    pub(super) tense: Tense,
    pub(super) tense_word: Option<u16>,
    /// `Can`, `Must`, `Should` or none.
    pub(super) modal: Mark,
    pub(super) modal_word: Option<u16>,
    pub(super) action: bool,
    pub(super) asked: u8,
}

/// Read the form of a question from its words.
pub(super) fn frame(words: &[Word], marks: u8, text: &str) -> Frame {
    let mut best = Frame::default();
    let mut asks = 0_u8;
    let mut strong = false;
    for at in (0..words.len()).filter(|&at| words[at].flags & CLAUSE != 0) {
        let found = clause(words, at, text);
        let is_question = !matches!(found.ask, Ask::Open | Ask::Want | Ask::Tell);
        if words[at].flags & SENTENCE != 0 && is_question {
            asks = asks.saturating_add(1);
        }
        best.action |= found.action;
        if (is_question && !strong) || (best.ask == Ask::Open && found.ask != Ask::Open) {
            strong = is_question;
            best = Frame {
                action: best.action,
                ..found
            };
        }
    }
    if best.ask == Ask::Open {
        // `my card is lost when will I get a new one`: a question word inside, with no mark before it.
        let inside = words.iter().enumerate().skip(1).find(|(at, word)| {
            word.mark.asks()
                && words
                    .get(at + 1)
                    .is_some_and(|next| next.mark.helps() || next.mark == Mark::To)
        });
        if let Some((at, _)) = inside {
            best = Frame {
                action: best.action,
                ..clause(words, at, text)
            };
        }
    }
    modality(words, &mut best);
    best.asked = asks.max(marks).max(1);
    best
}

/// Skip what only opens politely: `please`, `can you tell me`, `I would like to know`.
fn opening(words: &[Word], start: usize) -> usize {
    let mut at = start;
    loop {
        if at > start && words.get(at).is_none_or(|word| word.flags & SENTENCE != 0) {
            return start;
        }
        let mark = |nth: usize| words.get(at + nth).map_or(Mark::None, |word| word.mark);
        let content = |nth: usize| {
            words
                .get(at + nth)
                .is_some_and(|word| word.flags & (CONTENT | NUMBER) != 0)
        };
        if mark(0) == Mark::Please || mark(0) == Mark::Joint {
            at += 1;
            continue;
        }
        // `can you (please) tell me`, `could you explain`, `do you know`, `I wonder`, `tell me`
        let mut here = 0;
        if (mark(0).helps() && mark(1) == Mark::Subject) || (mark(0) == Mark::Subject && mark(1).helps()) {
            here = 2;
        } else if mark(0) == Mark::Subject {
            here = 1;
        }
        while mark(here) == Mark::Please || mark(here) == Mark::Want || (here > 0 && mark(here) == Mark::To) {
            here += 1;
        }
        if mark(here) == Mark::Tell && !content(here) {
            let mut after = here + 1;
            while matches!(mark(after), Mark::Possessive | Mark::To | Mark::Tell | Mark::Please) && !content(after) {
                after += 1;
            }
            let more = words
                .get(at + after)
                .is_some_and(|word| word.mark.asks() || word.mark == Mark::Whether || word.mark.helps());
            if more {
                at += after;
                if words[at].mark == Mark::Whether {
                    return at;
                }
                continue;
            }
        }
        return at;
    }
}

fn place(at: usize) -> Option<u16> {
    u16::try_from(at).ok()
}

/// The form of the clause that begins at a word.
fn clause(words: &[Word], start: usize, text: &str) -> Frame {
    let mut at = opening(words, start);
    let mark = |at: usize| words.get(at).map_or(Mark::None, |word| word.mark);
    // `at what`, `in which`, `for how long`
    if mark(at).places() && mark(at + 1).asks() {
        at += 1;
    }
    let mut frame = Frame {
        ask_word: place(at),
        ..Frame::default()
    };
    let Some(first) = words.get(at) else {
        return frame;
    };
    let subordinate = first.flags & SENTENCE == 0 || matches!(first.mark, Mark::Whether);
    match first.mark {
        Mark::Who => frame.ask = Ask::Who,
        Mark::When if mark(at + 1) == Mark::Subject && start == at => {} // `when I pay, …`: a condition
        Mark::When => frame.ask = Ask::When,
        Mark::Where => frame.ask = Ask::Where,
        Mark::Why => frame.ask = Ask::Why,
        // `how hard is it`: a degree, not a way.
        Mark::How
            if words
                .get(at + 1)
                .is_some_and(|word| word.flags & CONTENT != 0 && !word.known().action) =>
        {
            frame.ask = Ask::HowOther;
        }
        Mark::How => frame.ask = Ask::How,
        Mark::HowLong => frame.ask = Ask::HowLong,
        Mark::HowMuch => frame.ask = Ask::HowMuch,
        Mark::HowMany => frame.ask = Ask::HowMany,
        Mark::HowOften => frame.ask = Ask::HowOften,
        Mark::HowOther => frame.ask = Ask::HowOther,
        Mark::WhatHappens => frame.ask = Ask::Consequence,
        Mark::What => {
            let (ask, word) = what(words, at);
            frame.ask = ask;
            frame.by_noun = ask != Ask::What;
            frame.definition = ask == Ask::What
                && mark(at + 1).helps()
                && !matches!(mark(at + 2), Mark::Subject | Mark::Need)
                && words
                    .get(at + 2)
                    .is_some_and(|word| word.mark == Mark::Article || word.stem_is_raw());
            frame.ask_word = place(word);
        }
        Mark::Whether if start != at => frame.ask = Ask::YesNo,
        mark if mark.helps() && !(mark == Mark::Need && first.flags & CLAUSE == 0) => yes_no(words, at, &mut frame),
        Mark::Tell => frame.ask = Ask::Tell,
        Mark::Subject
            if matches!(mark(at + 1), Mark::Want | Mark::Need | Mark::Must)
                || (mark(at + 1) == Mark::Would && mark(at + 2) == Mark::Want) =>
        {
            frame.ask = Ask::Want;
        }
        Mark::Want | Mark::Need => frame.ask = Ask::Want,
        _ => command(words, start, at, text, &mut frame),
    }
    if !matches!(frame.ask, Ask::Open) || !subordinate {
        tense(words, at, &mut frame);
    }
    frame
}

fn tense(words: &[Word], at: usize, frame: &mut Frame) {
    for (nth, word) in words.iter().enumerate().skip(at).take(10) {
        if nth > at && word.flags & CLAUSE != 0 {
            break;
        }
        let found = match word.mark {
            Mark::Past => {
                let state = words[nth + 1..]
                    .iter()
                    .take(4)
                    .any(|word| word.flags & CONTENT != 0 && !word.stem_is_raw());
                let be = word.raw == const { hash("was") } || word.raw == const { hash("were") };
                if be && state { Tense::PastPassive } else { Tense::Past }
            }
            Mark::Present => Tense::Present,
            Mark::Future => Tense::Future,
            Mark::Can | Mark::Should | Mark::Must | Mark::Would => break,
            _ => continue,
        };
        frame.tense = found;
        frame.tense_word = place(nth);
        // `is going to` was read as `is will`.
        if words.get(nth + 1).is_some_and(|word| word.mark == Mark::Future) {
            frame.tense = Tense::Future;
        }
        break;
    }
}

fn modality(words: &[Word], frame: &mut Frame) {
    if matches!(frame.ask, Ask::Open | Ask::Want | Ask::Action) {
        return;
    }
    let from = frame.ask_word.map_or(0, usize::from);
    for (nth, word) in words.iter().enumerate().skip(from).take(6) {
        if nth > from && word.flags & CLAUSE != 0 {
            break;
        }
        match word.mark {
            Mark::Can | Mark::Must | Mark::Should => frame.modal = word.mark,
            Mark::Need if nth > from && matches!(frame.ask, Ask::YesNo) => frame.modal = Mark::Must,
            _ => continue,
        }
        frame.modal_word = place(nth);
        break;
    }
}
