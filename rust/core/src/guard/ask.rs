//! What a clause asks for: by its nouns, by its first verb, or as a command.

use super::frame::{Ask, Frame};
use super::hash::{hash, hashes};
use super::mark::Mark;
use super::split::{CAPITAL, CLAUSE, CONTENT, NUMBER, SENTENCE};
use super::word::Word;

/// `is there a way to` asks how; `can you cancel my card` asks for it to be done.
pub(super) fn yes_no(words: &[Word], at: usize, frame: &mut Frame) {
    let mark = |nth: usize| words.get(at + nth).map_or(Mark::None, |word| word.mark);
    frame.ask = Ask::YesNo;
    let you = words.get(at + 1).is_some_and(|word| word.raw == const { hash("you") });
    if you && matches!(mark(0), Mark::Can | Mark::Would | Mark::Future) {
        let skip = (2..5).find(|&nth| mark(nth) != Mark::Please).unwrap_or(2);
        if let Some(verb) = words.get(at + skip) {
            let object = words.get(at + skip + 1).is_some_and(|word| {
                matches!(word.mark, Mark::Possessive | Mark::Pointing | Mark::All | Mark::Subject)
                    || word.raw == const { hash("the") }
                    || word.flags & NUMBER != 0
            });
            if verb.known().action && verb.stem_is_raw() && object {
                frame.ask = Ask::Action;
                frame.action = true;
            } else if verb.mark == Mark::Tell {
                frame.ask = Ask::Tell;
            }
        }
    } else if you && words.get(at + 2).is_some_and(|word| word.mark == Mark::Tell) {
        frame.ask = Ask::Tell;
    } else if words
        .get(at + 1)
        .is_some_and(|word| word.raw == const { hash("there") })
    {
        frame.by_noun = true;
        if words[at..]
            .iter()
            .take(5)
            .any(|word| const { hashes(["way", "ways", "anyway"]) }.contains(&word.raw))
        {
            frame.ask = Ask::How;
        }
    }
}

/// Nouns that say what is asked for, and what that is.
const NOUNS: [u64; 30] = hashes([
    "cost",
    "price",
    "fee",
    "charge",
    "fare",
    "reason",
    "cause",
    "causes",
    "reasons",
    "way",
    "ways",
    "process",
    "procedure",
    "method",
    "steps",
    "step",
    "instructions",
    "duration",
    "timeframe",
    "turnaround",
    "deadline",
    "date",
    "time",
    "hours",
    "times",
    "schedule",
    "location",
    "address",
    "number",
    "frequency",
]);
const NOUN_ASKS: [Ask; 30] = [
    Ask::HowMuch,
    Ask::HowMuch,
    Ask::HowMuch,
    Ask::HowMuch,
    Ask::HowMuch,
    Ask::Why,
    Ask::Why,
    Ask::Why,
    Ask::Why,
    Ask::How,
    Ask::How,
    Ask::How,
    Ask::How,
    Ask::How,
    Ask::How,
    Ask::How,
    Ask::How,
    Ask::HowLong,
    Ask::HowLong,
    Ask::HowLong,
    Ask::When,
    Ask::When,
    Ask::When,
    Ask::When,
    Ask::When,
    Ask::When,
    Ask::Where,
    Ask::Where,
    Ask::HowMany,
    Ask::HowOften,
];

/// `what is the price of`: the noun says what is asked for.
pub(super) fn what(words: &[Word], at: usize) -> (Ask, usize) {
    for (nth, word) in words.iter().enumerate().skip(at + 1).take(6) {
        if matches!(word.mark, Mark::Subject) {
            // `what do I (have to) do to`, `what should I do to`
            let doing = words[nth..].iter().take(5).any(|word| word.raw == const { hash("do") });
            let aim = words[nth..]
                .iter()
                .take(6)
                .any(|word| matches!(word.mark, Mark::To | Mark::Whether));
            return if doing && aim { (Ask::How, at) } else { (Ask::What, at) };
        }
        if word.mark.places() || word.flags & CLAUSE != 0 || word.mark == Mark::Possessive && nth > at + 2 {
            break;
        }
        // Only the head of its group: `the date` but not `the date format`.
        let head = words
            .get(nth + 1)
            .is_none_or(|next| next.flags & CONTENT == 0 || next.flags & CLAUSE != 0);
        if head && let Some(found) = NOUNS.iter().position(|noun| *noun == word.raw) {
            return (NOUN_ASKS[found], nth);
        }
    }
    (Ask::What, at)
}

/// A clause that begins with a verb of the list, in its plain form, with something to do it to.
pub(super) fn command(words: &[Word], start: usize, at: usize, text: &str, frame: &mut Frame) {
    let mut at = at;
    // `go ahead and`, `I want you to`, `help me`
    if words.get(at).is_some_and(|word| word.raw == const { hash("go") })
        && words
            .get(at + 1)
            .is_some_and(|word| word.raw == const { hash("ahead") })
    {
        at = (at + 3).min(words.len().saturating_sub(1));
    }
    let Some(verb) = words.get(at) else { return };
    if !verb.known().action || !verb.stem_is_raw() || at > start + 4 {
        return;
    }
    let next = words.get(at + 1);
    let object = next.is_some_and(|word| {
        matches!(
            word.mark,
            Mark::Possessive
                | Mark::Article
                | Mark::Pointing
                | Mark::All
                | Mark::Any
                | Mark::To
                | Mark::From
                | Mark::For
                | Mark::On
                | Mark::Subject
        ) || word.flags & NUMBER != 0
    });
    let named = next.is_some_and(|word| word.flags & CONTENT != 0 && word.mark == Mark::None);
    let statement = next.is_some_and(|word| word.mark.helps());
    // `exchange rate`, `transfer limit`: many of these verbs are nouns too.
    let noun = const {
        hashes([
            "exchange", "transfer", "order", "charge", "bill", "credit", "debit", "refund", "post", "mark", "log",
            "wire", "return", "call", "ship", "claim", "change", "lock", "hire", "update", "release", "issue", "link",
            "port", "text", "message", "report", "book", "play", "share", "top", "empty", "clear", "open", "track",
            "push",
        ])
    }
    .contains(&verb.raw);
    let aimed = words[at + 1..]
        .iter()
        .take(6)
        .any(|word| matches!(word.mark, Mark::To | Mark::From | Mark::Possessive));
    let named = named && (!noun || aimed) && verb.flags & SENTENCE != 0;
    if verb.flags & (SENTENCE | CAPITAL) == CAPITAL {
        return;
    }
    let asked = text.trim_end().ends_with('?');
    if !statement && (object && !asked || named && !asked && words.len() > 2) {
        frame.ask = Ask::Action;
        frame.action = true;
    }
}
